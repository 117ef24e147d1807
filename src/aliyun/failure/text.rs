//! Making texts of others fit to be seen.

use std::borrow::Cow;

use crate::aliyun::credentials::AccessKey;
use crate::secret::REDACTED;

/// The longest code or request ID, in characters; documented ones have half of it.
pub(in crate::aliyun) const LONGEST_CODE: usize = 64;

/// The longest message, in characters.
pub(in crate::aliyun) const LONGEST_MESSAGE: usize = 300;

/// `message` without what the server says it would have signed: that is most of the request,
/// access key ID and security token included. Such a message begins with a sentence of its own.
pub(in crate::aliyun) fn without_string_to_sign(mut message: String, code: &str) -> String {
    let spells_it_out = |text: &str| {
        let squeezed: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        squeezed.to_ascii_lowercase().contains("stringtosign")
    };
    if code.contains("Signature") || spells_it_out(&message) {
        let end = [". ", ":", "[", "\n"]
            .iter()
            .filter_map(|mark| message.find(mark))
            .min();
        message.truncate(end.unwrap_or(message.len()));
    }
    message
}

/// `text` without anything that `credentials` hold, should it turn up there.
pub(in crate::aliyun) fn redacted<'a>(
    text: &'a str,
    credentials: Option<&AccessKey>,
) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    let Some(credentials) = credentials else {
        return text;
    };
    let token = credentials
        .security_token()
        .map(|token| (token.expose(), REDACTED));
    let secret = (credentials.secret().expose(), REDACTED);
    for (held, shown) in token
        .into_iter()
        .chain([secret, (credentials.id(), "<access key ID>")])
    {
        if text.contains(held) {
            text = Cow::Owned(text.replace(held, shown));
        }
    }
    text
}

/// `text` on one line, at most `longest` characters of it, with nothing that steers a terminal or
/// changes the order in which it is read.
pub(in crate::aliyun) fn presentable(text: &str, longest: usize) -> String {
    let mut out: String = text
        .trim()
        .chars()
        .take(longest)
        .map(|c| if steers(c) { ' ' } else { c })
        .collect();
    if text.trim().chars().nth(longest).is_some() {
        out.push('…');
    }
    out
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
