//! Requests as the SDKs of Alibaba Cloud send them: `POST /`, all parameters in the query, no
//! body.

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use reqwest::{Method, Request, Url};

use url::Position;

use super::access_key::AccessKey;
use super::sign::{CanonicalQuery, format_date, percent_encode, v2, v3};
use crate::clock::Timestamp;
use crate::config::Signature;

/// The version of the API that the operations belong to.
pub(super) const API_VERSION: &str = "2020-04-20";

/// The `User-Agent` of every request.
pub(super) const AGENT: &str = concat!("mqtt-presence-exporter/", env!("CARGO_PKG_VERSION"));

const TOKEN: &str = "x-acs-security-token";

/// What makes a request unique.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    pub(super) date: String,
    /// A text that no other request has: ASCII letters and digits.
    pub(super) nonce: String,
}

impl Stamp {
    /// The stamp of a request at `now`. Its nonce is 128 random bits of the operating system.
    pub(super) fn new(now: Timestamp) -> Self {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).expect("the operating system has random numbers");
        Self {
            date: format_date(now),
            nonce: hex::encode(bits),
        }
    }
}

/// The destination of requests, and how they are signed.
#[derive(Clone, Debug)]
pub(super) struct RequestSigner {
    url: Url,
    version: &'static str,
    signature: Signature,
}

impl RequestSigner {
    /// Signs for the API `version` at `endpoint`, of which scheme, host and port are used.
    pub(super) fn new(mut endpoint: Url, version: &'static str, signature: Signature) -> Self {
        endpoint.set_path("/");
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        Self {
            url: endpoint,
            version,
            signature,
        }
    }

    /// The `Host` header: the signature covers the value that is sent.
    fn host(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// The signed request for `action` with `params`.
    pub(super) fn request(
        &self,
        action: &'static str,
        params: Vec<(&str, &str)>,
        key: &AccessKey,
        stamp: &Stamp,
    ) -> Request {
        let mut headers = HeaderMap::with_capacity(12);
        let query = match self.signature {
            Signature::V3 => self.sign_v3(action, params, key, stamp, &mut headers),
            Signature::V2 => self.sign_v2(action, params, key, stamp),
        };
        headers.insert(HOST, header_value(self.host()));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));

        let mut url = self.url.clone();
        url.set_query(Some(&query));
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = headers;
        request
    }

    /// Adds the signed headers and `Authorization` to `headers`; returns the query.
    fn sign_v3(
        &self,
        action: &'static str,
        params: Vec<(&str, &str)>,
        key: &AccessKey,
        stamp: &Stamp,
        headers: &mut HeaderMap,
    ) -> String {
        let mut signed: Vec<(&'static str, &str)> = vec![
            ("host", self.host()),
            ("x-acs-action", action),
            ("x-acs-content-sha256", v3::EMPTY_BODY_HASH),
            ("x-acs-date", &stamp.date),
            ("x-acs-signature-nonce", &stamp.nonce),
            ("x-acs-version", self.version),
        ];
        if let Some(token) = key.security_token() {
            signed.push(("x-acs-accesskey-id", key.id()));
            signed.push((TOKEN, token.expose()));
        }
        for &(name, value) in &signed {
            let mut value = header_value(value);
            value.set_sensitive(name == TOKEN);
            headers.insert(HeaderName::from_static(name), value);
        }
        let query = CanonicalQuery::new(params);
        let request = v3::CanonicalRequest::new("POST", &query, signed, v3::EMPTY_BODY_HASH);
        let authorization = request.authorization(key.id(), key.secret());
        let mut authorization = header_value(&authorization);
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        query.into_string()
    }

    /// The query, including the signature.
    fn sign_v2<'a>(
        &'a self,
        action: &'static str,
        mut params: Vec<(&'a str, &'a str)>,
        key: &'a AccessKey,
        stamp: &'a Stamp,
    ) -> String {
        params.extend([
            ("AccessKeyId", key.id()),
            ("Action", action),
            ("Format", "JSON"),
            ("SignatureMethod", v2::METHOD),
            ("SignatureNonce", &stamp.nonce),
            ("SignatureVersion", v2::VERSION),
            ("Timestamp", &stamp.date),
            ("Version", self.version),
        ]);
        let token = key.security_token();
        params.extend(token.map(|token| ("SecurityToken", token.expose())));
        let query = CanonicalQuery::new(params);
        let signature = v2::string_to_sign("POST", &query).sign(key.secret());
        let signature = percent_encode(signature.as_str());
        format!("{}&Signature={signature}", query.as_str())
    }
}

/// A host or a part of an access key: ASCII without control characters, as their types ensure.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("printable ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::aliyun::sign::vectors::{self, Vector, Vectors};
    use crate::secret::Secret;

    /// The request for the client IDs of a vector.
    fn request(signature: Signature, all: &Vectors, vector: &Vector) -> Request {
        let token = vector.token.as_deref().map(Secret::new);
        let key = AccessKey::new(
            &all.access_key_id,
            &Secret::new(all.secret.as_str()),
            token.as_ref(),
        )
        .unwrap();
        let names: Vec<_> = (1..=10).map(|n| format!("ClientIdList.{n}")).collect();
        let (action, mut params) = match &*vector.clients {
            [client] if vector.action == "QuerySessionByClientId" => (
                "QuerySessionByClientId",
                vec![("ClientId", client.as_str())],
            ),
            clients => {
                let clients = clients.iter().map(String::as_str);
                (
                    "BatchQuerySessionByClientIds",
                    names.iter().map(String::as_str).zip(clients).collect(),
                )
            }
        };
        params.push(("InstanceId", &all.instance));
        let endpoint = Url::parse(&format!("https://{}/x?y#z", all.host)).unwrap();
        let stamp = Stamp {
            date: all.date.clone(),
            nonce: all.nonce.clone(),
        };
        RequestSigner::new(endpoint, API_VERSION, signature).request(action, params, &key, &stamp)
    }

    fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_v3_request_equals_the_one_of_the_sdk() {
        let all = vectors::load();
        for vector in &all.requests {
            let request = request(Signature::V3, &all, vector);
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.url().path(), "/");
            assert_eq!(request.url().query(), Some(&*vector.v3.query));
            assert_eq!(
                header(&request, "authorization"),
                Some(&*vector.v3.authorization)
            );
            assert_eq!(header(&request, "host"), Some(&*all.host));
            assert_eq!(header(&request, "x-acs-date"), Some(&*all.date));
            assert_eq!(header(&request, "x-acs-signature-nonce"), Some(&*all.nonce));
            assert_eq!(header(&request, "x-acs-action"), Some(&*vector.action));
            assert_eq!(
                header(&request, "x-acs-security-token"),
                vector.token.as_deref()
            );
            let id = vector.token.as_ref().map(|_| &*all.access_key_id);
            assert_eq!(header(&request, "x-acs-accesskey-id"), id);
        }
    }

    #[test]
    fn a_v2_request_equals_the_one_of_the_sdk() {
        let all = vectors::load();
        for vector in &all.requests {
            let request = request(Signature::V2, &all, vector);
            let expected = [("Signature".to_owned(), vector.v2.signature.clone())];
            let signature: Vec<_> = request
                .url()
                .query_pairs()
                .into_owned()
                .filter(|(name, _)| name == "Signature")
                .collect();
            assert_eq!(signature, expected);
            assert!(request.url().query().unwrap().starts_with(&vector.v2.query));
            assert!(
                request
                    .headers()
                    .keys()
                    .all(|name| !name.as_str().starts_with("x-acs-"))
            );
            assert_eq!(header(&request, "authorization"), None);
        }
    }

    #[test]
    fn secrets_in_headers_are_not_printed() {
        let all = vectors::load();
        let vector = all
            .requests
            .iter()
            .find(|vector| vector.token.is_some())
            .unwrap();
        let printed = format!("{:?}", request(Signature::V3, &all, vector).headers());
        assert!(
            !printed.contains(vector.token.as_deref().unwrap()),
            "{printed}"
        );
        assert!(!printed.contains("Credential"), "{printed}");
    }

    #[test]
    fn a_port_other_than_the_default_is_signed_and_sent() {
        let host = |url| {
            let endpoint = Url::parse(url).unwrap();
            let signer = RequestSigner::new(endpoint, API_VERSION, Signature::V3);
            signer.host().to_owned()
        };
        assert_eq!(host("http://127.0.0.1:8080/"), "127.0.0.1:8080");
        assert_eq!(host("http://[::1]:80/"), "[::1]");
        assert_eq!(host("https://example.org:443"), "example.org");
    }

    #[test]
    fn nonces_are_32_digits_and_differ() {
        let nonce = || Stamp::new(Timestamp::default()).nonce;
        let nonces: HashSet<String> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
        assert!(
            nonces
                .iter()
                .all(|nonce| nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit()))
        );
    }
}
