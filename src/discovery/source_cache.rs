//! The last valid content of all sources.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};

use super::source::SourceLocation;

/// The content of files and URLs, by location.
///
/// It is kept unparsed and compressed: a list of client IDs shrinks to a few bytes per client, less
/// than any parsed form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceCache(pub(super) BTreeMap<SourceLocation, Arc<Text>>);

impl SourceCache {
    /// The text `bytes`, shared with the current text of `location` if that is equal.
    pub(super) fn text(&self, location: &SourceLocation, bytes: &[u8]) -> Arc<Text> {
        let digest = Sha256::digest(bytes).into();
        match self.0.get(location) {
            Some(text) if text.digest == digest => Arc::clone(text),
            _ => Arc::new(Text::new(digest, bytes)),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    digest: [u8; 32],
    packed: Box<[u8]>,
}

impl Text {
    fn new(digest: [u8; 32], bytes: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder
            .write_all(bytes)
            .and_then(|()| encoder.finish())
            .expect("a Vec takes everything");
        Self {
            digest,
            packed: packed.into(),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        DeflateDecoder::new(&*self.packed)
            .read_to_end(&mut bytes)
            .expect("it was packed here");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was_and_the_same_one_is_kept_once() {
        let (mut texts, location) = (
            SourceCache::default(),
            SourceLocation::File("a.json".into()),
        );
        let bytes = br#"[{"targets": ["GID_test@@@1"]}]"#.repeat(1000);
        let text = texts.text(&location, &bytes);
        assert_eq!(text.bytes(), bytes);
        assert!(text.packed.len() * 20 < bytes.len());
        texts.0.insert(location.clone(), Arc::clone(&text));
        assert!(Arc::ptr_eq(&texts.text(&location, &bytes), &text));
        assert!(!Arc::ptr_eq(&texts.text(&location, b"[]"), &text));
    }
}
