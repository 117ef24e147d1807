//! The bodies of responses: JSON, and errors in every form in which the API writes them.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The longest code or request ID that is shown, in characters; documented ones are half as long.
const MAX_CODE: usize = 64;

/// The longest message that is shown, in characters.
const MAX_MESSAGE: usize = 300;

/// An error as the API describes it: as JSON, with keys in any order and some of them missing; as
/// XML where a gateway answers that does not support JSON.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ErrorBody {
    #[serde(alias = "code", deserialize_with = "lenient")]
    pub(super) code: Box<str>,
    #[serde(alias = "message", deserialize_with = "lenient")]
    pub(super) message: Box<str>,
    #[serde(alias = "requestId", deserialize_with = "lenient")]
    pub(super) request_id: Option<String>,
}

impl ErrorBody {
    /// The error in `body`, if there is one. A code that means success is no error.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let error = match body.trim_ascii_start().first()? {
            b'{' => serde_json::from_slice(body).ok()?,
            b'<' => Self::read_xml(str::from_utf8(body).ok()?)?,
            _ => return None,
        };
        let success = matches!(error.code.trim(), "" | "200" | "OK" | "Success");
        (!success).then_some(error)
    }

    /// Reads the three elements that matter from the flat document that the API writes. A
    /// document of another form is not from the API.
    fn read_xml(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("<Error>")?;
        let (error, _) = rest.split_once("</Error>")?;
        let element = |name: &str| {
            let (_, rest) = error.split_once(&format!("<{name}>"))?;
            let (content, _) = rest.split_once(&format!("</{name}>"))?;
            let content = content.replace("&lt;", "<").replace("&gt;", ">");
            let content = content.replace("&quot;", "\"").replace("&apos;", "'");
            Some(content.replace("&amp;", "&"))
        };
        Some(Self {
            code: element("Code").unwrap_or_default().into(),
            message: element("Message").unwrap_or_default().into(),
            request_id: element("RequestId"),
        })
    }

    /// The error as it may be shown: of bounded length, on one line, without secrets, which
    /// `redact` removes.
    pub(super) fn presentable(self, redact: impl Fn(&str) -> String) -> Self {
        let message = without_string_to_sign(&self.code, &self.message);
        let shown = |text: &str, longest| presentable(&redact(text), longest);
        Self {
            message: shown(message, MAX_MESSAGE).into(),
            code: shown(&self.code, MAX_CODE).into(),
            request_id: self.request_id.map(|id| shown(&id, MAX_CODE)),
        }
    }
}

/// A text, or a number as text; any other value counts as missing.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: From<String> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text.into(),
        Value::Number(number) => number.to_string().into(),
        _ => T::default(),
    })
}

/// The JSON in `body`. The error has the position only: the content may be a secret.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("the answer is not the expected JSON (line {line}, column {column})")
    })
}

/// `message` without the string that the server would have signed, which contains most of the
/// request, including access key ID and security token. The message starts with another sentence.
fn without_string_to_sign<'a>(code: &str, message: &'a str) -> &'a str {
    let letters = message.chars().filter(char::is_ascii_alphanumeric);
    let letters: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    if !code.contains("Signature") && !letters.contains("stringtosign") {
        return message;
    }
    let ends = [". ", ":", "[", "\n"].map(|mark| message.find(mark));
    &message[..ends.into_iter().flatten().min().unwrap_or(message.len())]
}

/// At most `longest` characters of `text`, on one line, without characters that control a
/// terminal or change the reading order.
pub(super) fn presentable(text: &str, longest: usize) -> String {
    let controls = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut chars = text
        .trim()
        .chars()
        .map(|c| if controls(c) { ' ' } else { c });
    let mut out: String = chars.by_ref().take(longest).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}
