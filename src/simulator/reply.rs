//! The vendor's shapes of answers, in JSON and XML.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::vendor_error::VendorError;

/// A successful answer.
#[derive(Debug)]
pub(super) enum ApiAnswer {
    /// Of `QuerySessionByClientId`.
    Single(bool),
    /// Of `BatchQuerySessionByClientIds`.
    Batch(Vec<(String, bool)>),
}

/// By which names an answer can be found.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) request_id: &'a str,
    pub(super) host: &'a str,
}

/// The media types of the two shapes of an answer.
pub(super) const JSON: &str = "application/json;charset=utf-8";
pub(super) const XML: &str = "text/xml;charset=utf-8";

/// What a proxy answers in the vendor's place, and its media type.
pub(super) const BAD_GATEWAY: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>502</body></html>";
pub(super) const HTML: &str = "text/html";

/// What no client can read.
pub(super) const UNDECODABLE: &str = r#"{"OnlineStatus": maybe"#;

/// The body of an answer in JSON.
pub(super) fn json(answer: &Result<ApiAnswer, VendorError>, origin: &Origin<'_>) -> String {
    let value = match answer {
        Ok(ApiAnswer::Single(online)) => {
            json!({"OnlineStatus": online, "RequestId": origin.request_id})
        }
        Ok(ApiAnswer::Batch(clients)) => {
            let entry = |(client, online): &(String, bool)| json!({"ClientId": client, "OnlineStatus": online});
            let entries: Vec<Value> = clients.iter().map(entry).collect();
            json!({"RequestId": origin.request_id, "OnlineStatusList": entries})
        }
        Err(refusal) => json!({
            "RequestId": origin.request_id,
            "HostId": origin.host,
            "Code": refusal.code,
            "Message": refusal.message,
            "Recommend": format!("https://api.aliyun.com/troubleshoot?q={}", refusal.code),
        }),
    };
    value.to_string()
}

/// The body of an answer to `action` in XML.
pub(super) fn xml(
    answer: &Result<ApiAnswer, VendorError>,
    action: &str,
    origin: &Origin<'_>,
) -> String {
    let mut content = element("RequestId", origin.request_id);
    let root = match answer {
        Ok(ApiAnswer::Single(online)) => {
            content += &element("OnlineStatus", &online.to_string());
            format!("{action}Response")
        }
        Ok(ApiAnswer::Batch(clients)) => {
            content += "<OnlineStatusList>";
            for (client, online) in clients {
                let fields =
                    element("ClientId", client) + &element("OnlineStatus", &online.to_string());
                write!(content, "<OnlineStatusList>{fields}</OnlineStatusList>")
                    .expect("a `String` takes any text");
            }
            content += "</OnlineStatusList>";
            format!("{action}Response")
        }
        Err(refusal) => {
            content += &element("HostId", origin.host);
            content += &element("Code", &refusal.code);
            content += &element("Message", &refusal.message);
            "Error".to_owned()
        }
    };
    format!("<?xml version='1.0' encoding='UTF-8'?><{root}>{content}</{root}>")
}

fn element(name: &str, text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<{name}>{text}</{name}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin<'_> = Origin {
        request_id: "R",
        host: "h",
    };

    #[test]
    fn answers_have_the_vendors_shapes() {
        let batch = Ok(ApiAnswer::Batch(vec![
            ("a<&>".to_owned(), true),
            ("b".to_owned(), false),
        ]));
        assert_eq!(
            serde_json::from_str::<Value>(&json(&batch, &ORIGIN)).unwrap(),
            json!({"RequestId": "R", "OnlineStatusList": [
                {"ClientId": "a<&>", "OnlineStatus": true}, {"ClientId": "b", "OnlineStatus": false},
            ]})
        );
        assert!(
            xml(&batch, "Batch", &ORIGIN)
                .contains("<ClientId>a&lt;&amp;&gt;</ClientId><OnlineStatus>true<")
        );
        let refusal = Err(VendorError::no_such_api());
        let body: Value = serde_json::from_str(&json(&refusal, &ORIGIN)).unwrap();
        assert_eq!(
            (&body["Code"], &body["HostId"]),
            (&json!("InvalidApi.NotFound"), &json!("h"))
        );
        let body = xml(&refusal, "Any", &ORIGIN);
        assert!(body.contains(
            "<Error><RequestId>R</RequestId><HostId>h</HostId><Code>InvalidApi.NotFound</Code>"
        ));
    }
}
