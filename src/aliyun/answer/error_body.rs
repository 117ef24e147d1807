//! How the API writes an error: as JSON, its keys in any order and some missing; as XML where a
//! gateway answers before it knows that JSON is wanted.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What an error says of itself.
pub(in crate::aliyun) struct ErrorBody {
    pub(in crate::aliyun) code: String,
    pub(in crate::aliyun) message: String,
    pub(in crate::aliyun) request_id: Option<String>,
}

#[derive(Deserialize)]
struct Json {
    #[serde(rename = "Code", alias = "code", default, deserialize_with = "lenient")]
    code: Option<String>,
    #[serde(
        rename = "Message",
        alias = "message",
        default,
        deserialize_with = "lenient"
    )]
    message: Option<String>,
    #[serde(
        rename = "RequestId",
        alias = "requestId",
        default,
        deserialize_with = "lenient"
    )]
    request_id: Option<String>,
}

/// A text, or a number as text; whatever else is there counts as nothing.
pub(in crate::aliyun) fn lenient<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// The error in `body`, if there is one. Codes that say that all is well are none.
pub(in crate::aliyun) fn read(body: &[u8]) -> Option<ErrorBody> {
    let Json {
        code,
        message,
        request_id,
    } = match body.trim_ascii_start().first()? {
        b'{' => serde_json::from_slice(body).ok()?,
        b'<' => read_xml(str::from_utf8(body).ok()?)?,
        _ => return None,
    };
    let code = code.filter(|code| !matches!(code.trim(), "" | "200" | "OK" | "Success"))?;
    Some(ErrorBody {
        code,
        message: message.unwrap_or_default(),
        request_id,
    })
}

/// The three elements that matter, of the flat document that the API writes. A whole parser would
/// do no better: what is not of this form is a page of somebody else.
fn read_xml(text: &str) -> Option<Json> {
    let (_, rest) = text.split_once("<Error>")?;
    let (error, _) = rest.split_once("</Error>")?;
    let element = |name: &str| {
        let (_, rest) = error.split_once(&format!("<{name}>"))?;
        let (content, _) = rest.split_once(&format!("</{name}>"))?;
        Some(unescape_xml(content))
    };
    Some(Json {
        code: element("Code"),
        message: element("Message"),
        request_id: element("RequestId"),
    })
}

fn unescape_xml(text: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    named
        .iter()
        .fold(text.to_owned(), |text, (entity, character)| {
            text.replace(entity, character)
        })
}
