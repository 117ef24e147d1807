//! The page at `/`: what this is, and where everything is.

use std::fmt::Write as _;

use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY};
use axum::response::Html;
use axum::routing::{MethodRouter, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}\
    dt{margin-top:.75rem}dd{margin:0}:root{color-scheme:light dark}";

/// The landing page, with a link to each of `index`: a path and what is there.
pub(super) fn routes(index: &[(String, &str)]) -> MethodRouter {
    let headers: [(HeaderName, String); 2] =
        [(CONTENT_SECURITY_POLICY, content_security_policy()), (REFERRER_POLICY, "no-referrer".to_owned())];
    let page = page(index);
    get(move || async move { (headers, Html(page)) })
}

/// The page brings its style along and needs nothing else, so that nothing else is let in.
fn content_security_policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn page(index: &[(String, &str)]) -> String {
    let mut links = String::new();
    for (path, about) in index {
        let (path, about) = (escape(path), escape(about));
        let _ = writeln!(links, "<dt><a href=\"{path}\">{path}</a></dt>\n<dd>{about}</dd>");
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>mqtt-presence-exporter</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>mqtt-presence-exporter</h1>\n\
         <p>Which devices are online on ApsaraMQ for MQTT, for Prometheus. Version {version}.</p>\n\
         <dl>\n{links}</dl>\n</body>\n</html>\n",
        version = escape(env!("CARGO_PKG_VERSION")),
    )
}

/// `text` as HTML, in an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_linked_and_nothing_breaks_out() {
        let page = page(&[("/metrics".to_owned(), "all"), ("/a&'\"<b>".to_owned(), "1 < 2")]);
        assert!(page.contains("<a href=\"/metrics\">/metrics</a>"), "{page}");
        assert!(page.contains("<a href=\"/a&amp;&#39;&quot;&lt;b&gt;\">"), "{page}");
        assert!(page.contains("1 &lt; 2") && page.contains(env!("CARGO_PKG_VERSION")), "{page}");
    }

    #[test]
    fn the_style_is_the_one_that_the_policy_lets_in() {
        let page = page(&[]);
        let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("a style").0;
        assert!(content_security_policy().contains(&STANDARD.encode(Sha256::digest(style))));
    }
}
