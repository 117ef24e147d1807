//! Labels as Prometheus writes them: the allowed names, and how a value is escaped
//! (page "Exposition formats": backslash, double quote and newline).

use std::borrow::Cow;

/// Label names that a configuration must not use: the exporter or Prometheus sets them.
pub const RESERVED_LABELS: [&str; 10] = [
    "job",
    "instance",
    "instance_id",
    "client_id",
    "group_id",
    "status",
    "operation",
    "code",
    "le",
    "quantile",
];

/// Why a text is not a valid name of a configured label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelNameError {
    /// The text does not match `[a-zA-Z_][a-zA-Z0-9_]*`.
    #[error("a label name consists of letters, digits and `_`, and does not start with a digit")]
    Malformed,
    /// The text is one of [`RESERVED_LABELS`], or starts with `__`.
    #[error("this label name is reserved")]
    Reserved,
}

/// The name of a configured label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(Box<str>);

impl LabelName {
    /// Validates `text`.
    pub fn new(text: &str) -> Result<Self, LabelNameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts_well = text.starts_with(|c: char| allowed(c) && !c.is_ascii_digit());
        if !starts_well || !text.chars().all(allowed) {
            Err(LabelNameError::Malformed)
        } else if text.starts_with("__") || RESERVED_LABELS.contains(&text) {
            Err(LabelNameError::Reserved)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const SPECIAL: [char; 3] = ['\\', '"', '\n'];

/// Appends `value` to `out`, escaped as a label value.
pub fn escape_into(out: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(SPECIAL) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => r"\\",
            b'"' => r#"\""#,
            _ => r"\n",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// `value` escaped as a label value; borrowed if it contains nothing to escape.
#[must_use]
pub fn escape(value: &str) -> Cow<'_, str> {
    if value.contains(SPECIAL) {
        let mut out = String::with_capacity(value.len() + 8);
        escape_into(&mut out, value);
        Cow::Owned(out)
    } else {
        Cow::Borrowed(value)
    }
}

/// The inverse of [`escape`]; borrowed if nothing was escaped.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        out.push(match escaped {
            Some('n') => '\n',
            escaped => escaped.unwrap_or(c),
        });
    }
    Cow::Owned(out)
}

/// The names and values in `text`, which lists labels as in the exposition: `name="escaped"`,
/// separated by commas.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_once("=\"")?;
        let end = end_of_value(behind)?;
        rest = &behind[end + 1..];
        Some((name.trim_start_matches(','), unescape(&behind[..end])))
    })
}

/// The position of the quote that ends an escaped value: the first one without a backslash.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        assert!(LabelName::new("site").is_ok());
        assert_eq!(LabelName::new("instance"), Err(LabelNameError::Reserved));
        assert_eq!(LabelName::new("__meta"), Err(LabelNameError::Reserved));
        assert_eq!(LabelName::new(""), Err(LabelNameError::Malformed));
        assert_eq!(LabelName::new("9lives"), Err(LabelNameError::Malformed));
        assert_eq!(LabelName::new("größe"), Err(LabelNameError::Malformed));
    }

    proptest! {
        #[test]
        fn unescape_inverts_escape_and_escaped_text_has_no_newline(value in "[\\x00-\\x7fé日\\\\\"\n]{0,40}") {
            let escaped = escape(&value);
            prop_assert!(!escaped.contains('\n'));
            prop_assert_eq!(unescape(&escaped), value.as_str());
        }

        #[test]
        fn pairs_parses_rendered_labels(values in prop::collection::vec("[a\\\\\",=\n]{0,6}", 0..5)) {
            let text: Vec<_> = values.iter().map(|value| format!("name=\"{}\"", escape(value))).collect();
            let text = text.join(",");
            let (names, found): (Vec<_>, Vec<_>) = pairs(&text).unzip();
            prop_assert!(names.iter().all(|name| *name == "name"));
            prop_assert_eq!(found, values);
        }
    }
}
