//! Requests as the vendor's SDKs send them: `POST /`, every parameter in the query, no body.

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue,
    InvalidHeaderValue, USER_AGENT,
};
use reqwest::{Method, Request, Url};

use super::credentials::AccessKey;
use super::sign::{CanonicalQuery, percent_encode, v2, v3};
use crate::config::Signature;

/// The version of the product's API that the operations are from.
pub(super) const API_VERSION: &str = "2020-04-20";

/// What every request says of its sender.
pub(super) const AGENT: &str = concat!("mqtt-presence-exporter/", env!("CARGO_PKG_VERSION"));

const TOKEN: &str = "x-acs-security-token";

/// The parameter for the n-th client of a batch.
pub(super) const CLIENT_ID_LIST: [&str; 10] = [
    "ClientIdList.1",
    "ClientIdList.2",
    "ClientIdList.3",
    "ClientIdList.4",
    "ClientIdList.5",
    "ClientIdList.6",
    "ClientIdList.7",
    "ClientIdList.8",
    "ClientIdList.9",
    "ClientIdList.10",
];

/// What makes a request one of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp<'a> {
    /// When, as [`format_date`](super::sign::format_date) writes it.
    pub(super) date: &'a str,
    pub(super) nonce: &'a str,
}

/// Where requests go, and how they are signed.
#[derive(Clone, Debug)]
pub(super) struct RequestSigner {
    url: Url,
    /// The `Host` header: as it is signed, so it has to be sent.
    host: String,
    /// The version of the API that is spoken there.
    version: &'static str,
    signature: Signature,
}

impl RequestSigner {
    /// Only scheme, host and port of `endpoint` count.
    pub(super) fn new(mut endpoint: Url, version: &'static str, signature: Signature) -> Self {
        endpoint.set_path("/");
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        let host = endpoint.host_str().unwrap_or_default();
        let host = match endpoint.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Self {
            url: endpoint,
            host,
            version,
            signature,
        }
    }

    /// The request for `action` with its own `params`. It fails only for a host or an access key
    /// that no header can carry, which their constructors do not let through.
    pub(super) fn request(
        &self,
        action: &'static str,
        params: Vec<(&str, &str)>,
        credentials: &AccessKey,
        stamp: Stamp<'_>,
    ) -> Result<Request, InvalidHeaderValue> {
        let mut headers = HeaderMap::with_capacity(12);
        let query = match self.signature {
            Signature::V3 => self.sign_v3(action, params, credentials, stamp, &mut headers)?,
            Signature::V2 => sign_v2(self.version, action, params, credentials, stamp),
        };
        headers.insert(HOST, HeaderValue::from_str(&self.host)?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));

        let mut url = self.url.clone();
        url.set_query(Some(&query));
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Adds the signed headers and `Authorization` to `headers`; the query.
    fn sign_v3(
        &self,
        action: &'static str,
        params: Vec<(&str, &str)>,
        credentials: &AccessKey,
        stamp: Stamp<'_>,
        headers: &mut HeaderMap,
    ) -> Result<String, InvalidHeaderValue> {
        let query = CanonicalQuery::new(params);
        let mut signed: Vec<(&'static str, &str)> = Vec::with_capacity(8);
        signed.extend([
            ("x-acs-action", action),
            ("x-acs-content-sha256", v3::EMPTY_BODY_HASH),
            ("x-acs-date", stamp.date),
            ("x-acs-signature-nonce", stamp.nonce),
            ("x-acs-version", self.version),
        ]);
        if let Some(token) = credentials.security_token() {
            signed.push(("x-acs-accesskey-id", credentials.id()));
            signed.push((TOKEN, token.expose()));
        }
        for &(name, value) in &signed {
            let mut value = HeaderValue::from_str(value)?;
            value.set_sensitive(name == TOKEN);
            headers.insert(HeaderName::from_static(name), value);
        }
        signed.push(("host", &self.host));
        let signed = v3::SignedHeaders::new(signed);
        let request = v3::CanonicalRequest::new("POST", &query, &signed, v3::EMPTY_BODY_HASH);
        let signature = request.string_to_sign().sign(credentials.secret());
        let authorization = v3::AuthorizationHeader {
            access_key_id: credentials.id(),
            signed_headers: signed.names(),
            signature: signature.as_str(),
        };
        let mut authorization = HeaderValue::try_from(authorization.to_string())?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Ok(query.into_string())
    }
}

/// The query, signature included.
fn sign_v2<'a>(
    version: &'a str,
    action: &'static str,
    mut params: Vec<(&'a str, &'a str)>,
    credentials: &'a AccessKey,
    stamp: Stamp<'a>,
) -> String {
    params.reserve(9);
    params.extend([
        ("AccessKeyId", credentials.id()),
        ("Action", action),
        ("Format", "JSON"),
        ("SignatureMethod", v2::METHOD),
        ("SignatureNonce", stamp.nonce),
        ("SignatureVersion", v2::VERSION),
        ("Timestamp", stamp.date),
        ("Version", version),
    ]);
    params.extend(
        credentials
            .security_token()
            .map(|token| ("SecurityToken", token.expose())),
    );
    let query = CanonicalQuery::new(params);
    let signature = v2::StringToSign::new("POST", &query).sign(credentials.secret());
    let mut query = query.into_string();
    query.push_str("&Signature=");
    query.extend(percent_encode(signature.as_str()));
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aliyun::sign::vectors::{self, Vector, Vectors};
    use crate::secret::Secret;

    /// The request that `RequestSigner` makes of a vector's client IDs.
    fn request(signature: Signature, all: &Vectors, vector: &Vector) -> Request {
        let token = vector.token.as_deref().map(Secret::new);
        let credentials = AccessKey::new(
            &all.access_key_id,
            &Secret::new(all.secret.as_str()),
            token.as_ref(),
        )
        .unwrap();
        let (action, mut params) = match &*vector.clients {
            [client] if vector.action == "QuerySessionByClientId" => (
                "QuerySessionByClientId",
                vec![("ClientId", client.as_str())],
            ),
            clients => {
                let clients = clients.iter().map(String::as_str);
                (
                    "BatchQuerySessionByClientIds",
                    CLIENT_ID_LIST.into_iter().zip(clients).collect(),
                )
            }
        };
        params.push(("InstanceId", &all.instance));
        let endpoint = Url::parse(&format!("https://{}/x?y#z", all.host)).unwrap();
        let stamp = Stamp {
            date: &all.date,
            nonce: &all.nonce,
        };
        RequestSigner::new(endpoint, API_VERSION, signature)
            .request(action, params, &credentials, stamp)
            .unwrap()
    }

    fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_v3_request_is_that_of_the_vendors_code() {
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
    fn a_v2_request_is_that_of_the_vendors_code() {
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
    fn what_stands_in_headers_is_not_printed() {
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
    fn a_port_that_is_not_the_schemes_own_is_signed_and_sent() {
        let host =
            |url| RequestSigner::new(Url::parse(url).unwrap(), API_VERSION, Signature::V3).host;
        assert_eq!(host("http://127.0.0.1:8080/"), "127.0.0.1:8080");
        assert_eq!(host("http://[::1]:80/"), "[::1]");
        assert_eq!(host("https://example.org:443"), "example.org");
    }
}
