//! The stages compared with golden vectors of Alibaba Cloud's SDK
//! (`tests/data/signing/make_vectors.py`) and with its documentation.

use serde::Deserialize;

use super::{CanonicalQuery, StringToSign, v2, v3};
use crate::secret::Secret;

/// The file of vectors.
#[derive(Deserialize)]
pub(in crate::aliyun) struct Vectors {
    pub(in crate::aliyun) secret: String,
    pub(in crate::aliyun) access_key_id: String,
    pub(in crate::aliyun) instance: String,
    pub(in crate::aliyun) host: String,
    pub(in crate::aliyun) date: String,
    pub(in crate::aliyun) nonce: String,
    pub(in crate::aliyun) requests: Vec<Vector>,
}

/// One request, with every stage of both signatures.
#[derive(Deserialize)]
pub(in crate::aliyun) struct Vector {
    pub(in crate::aliyun) action: String,
    pub(in crate::aliyun) clients: Vec<String>,
    pub(in crate::aliyun) token: Option<String>,
    pub(in crate::aliyun) v3: V3,
    pub(in crate::aliyun) v2: V2,
}

#[derive(Deserialize)]
pub(in crate::aliyun) struct V3 {
    pub(in crate::aliyun) query: String,
    canonical_request: String,
    string_to_sign: String,
    signature: String,
    pub(in crate::aliyun) authorization: String,
}

#[derive(Deserialize)]
pub(in crate::aliyun) struct V2 {
    pub(in crate::aliyun) query: String,
    string_to_sign: String,
    pub(in crate::aliyun) signature: String,
}

pub(in crate::aliyun) fn load() -> Vectors {
    let text = include_str!("../../../tests/data/signing/vectors.json");
    serde_json::from_str(text).expect("valid vectors")
}

impl Vectors {
    fn parameters<'a>(&'a self, vector: &'a Vector) -> Vec<(String, &'a str)> {
        let single = vector.action == "QuerySessionByClientId";
        let name = |n| {
            if single {
                "ClientId".to_owned()
            } else {
                format!("ClientIdList.{n}")
            }
        };
        let clients = vector
            .clients
            .iter()
            .zip(1..)
            .map(|(client, n)| (name(n), client.as_str()));
        clients
            .chain([("InstanceId".to_owned(), self.instance.as_str())])
            .collect()
    }
}

fn borrowed<'a>(params: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    params
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect()
}

#[test]
fn every_v3_stage_equals_that_of_the_sdk() {
    let vectors = load();
    assert!(vectors.requests.len() >= 20);
    for vector in &vectors.requests {
        let params = vectors.parameters(vector);
        let query = CanonicalQuery::new(borrowed(&params));
        assert_eq!(query.as_str(), vector.v3.query);

        let mut headers = vec![
            ("x-acs-version", "2020-04-20"),
            ("x-acs-action", vector.action.as_str()),
            ("host", vectors.host.as_str()),
            ("x-acs-date", vectors.date.as_str()),
            ("x-acs-signature-nonce", vectors.nonce.as_str()),
            ("x-acs-content-sha256", v3::EMPTY_BODY_HASH),
        ];
        if let Some(token) = &vector.token {
            headers.extend([
                ("x-acs-security-token", token.as_str()),
                ("x-acs-accesskey-id", &vectors.access_key_id),
            ]);
        }
        let request = v3::CanonicalRequest::new("POST", &query, headers, v3::EMPTY_BODY_HASH);
        assert_eq!(request.as_str(), vector.v3.canonical_request);

        let string_to_sign = request.string_to_sign();
        assert_eq!(string_to_sign.as_str(), vector.v3.string_to_sign);

        let signature = string_to_sign.sign(&Secret::new(vectors.secret.as_str()));
        assert_eq!(signature.as_str(), vector.v3.signature);

        let secret = Secret::new(vectors.secret.as_str());
        let header = request.authorization(&vectors.access_key_id, &secret);
        assert_eq!(header, vector.v3.authorization);
        let parsed = v3::AuthorizationHeader::parse(&header).expect("the same form");
        assert_eq!(parsed.access_key_id, vectors.access_key_id);
        let listed = format!("SignedHeaders={},", parsed.signed_headers);
        assert!(vector.v3.authorization.contains(&listed));
        assert!(signature.matches(parsed.signature));
    }
}

#[test]
fn every_v2_stage_equals_that_of_the_sdk() {
    let vectors = load();
    for vector in &vectors.requests {
        let own = vectors.parameters(vector);
        let mut params = borrowed(&own);
        params.extend([
            ("Version", "2020-04-20"),
            ("Timestamp", &vectors.date),
            ("SignatureVersion", v2::VERSION),
            ("SignatureNonce", &vectors.nonce),
            ("SignatureMethod", v2::METHOD),
            ("Format", "JSON"),
            ("Action", &vector.action),
            ("AccessKeyId", &vectors.access_key_id),
        ]);
        params.extend(
            vector
                .token
                .as_deref()
                .map(|token| ("SecurityToken", token)),
        );
        let query = CanonicalQuery::new(params);
        assert_eq!(query.as_str(), vector.v2.query);

        let string_to_sign = v2::string_to_sign("POST", &query);
        assert_eq!(string_to_sign.as_str(), vector.v2.string_to_sign);

        let signature = string_to_sign.sign(&Secret::new(vectors.secret.as_str()));
        assert_eq!(signature.as_str(), vector.v2.signature);
        assert!(signature.matches(&vector.v2.signature));
    }
}

/// Page "Request syntax and signature method V3".
#[test]
fn the_published_v3_example() {
    let query = CanonicalQuery::new(vec![
        ("RegionId", "cn-shanghai"),
        (
            "ImageId",
            "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
        ),
    ]);
    let headers = vec![
        ("host", "ecs.cn-shanghai.aliyuncs.com"),
        ("x-acs-action", "RunInstances"),
        ("x-acs-content-sha256", v3::EMPTY_BODY_HASH),
        ("x-acs-date", "2023-10-26T10:22:32Z"),
        (
            "x-acs-signature-nonce",
            " 3156853299f313e23d1673dc12e1703d ",
        ),
        ("x-acs-version", "2014-05-26"),
    ];
    let request = v3::CanonicalRequest::new("POST", &query, headers, v3::EMPTY_BODY_HASH);
    let signature = request
        .string_to_sign()
        .sign(&Secret::new("YourAccessKeySecret"));
    let published = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";
    assert_eq!(signature.as_str(), published);
    assert!(signature.matches(published));
    assert!(!signature.matches(&published.to_uppercase()));
    assert!(!signature.matches(""));
}

/// Page "Request syntax and signature method V2 for RPC APIs".
#[test]
fn the_published_v2_example() {
    let query = CanonicalQuery::new(vec![
        ("AccessKeyId", "testid"),
        ("Action", "DescribeRegions"),
        ("Format", "XML"),
        ("SignatureMethod", v2::METHOD),
        ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
        ("SignatureVersion", v2::VERSION),
        ("Timestamp", "2016-02-23T12:46:24Z"),
        ("Version", "2014-05-26"),
    ]);
    let signature = v2::string_to_sign("GET", &query).sign(&Secret::new("testsecret"));
    assert_eq!(signature.as_str(), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
    assert!(!signature.matches("OLeaidS1JvxuMvnyHOwuJ+uX5qY"));
}

#[test]
fn a_body_is_hashed_as_its_header_carries_it() {
    assert_eq!(v3::body_hash(b"").as_str(), v3::EMPTY_BODY_HASH);
    // `printf 'a=b' | sha256sum`
    assert_eq!(
        v3::body_hash(b"a=b").as_str(),
        "42144f3939c3ffbbf0bf8b1f12affb5c23a4c5bd41e0ff672d54a5754f062058"
    );
}

#[test]
fn other_forms_of_authorization_are_rejected() {
    for header in [
        "",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b",
        "Bearer x",
        "ACS3-HMAC-SM3 Credential=a,SignedHeaders=b,Signature=c",
    ] {
        assert_eq!(v3::AuthorizationHeader::parse(header), None, "{header}");
    }
    let spaced = v3::AuthorizationHeader::parse(
        "ACS3-HMAC-SHA256 Credential=a, SignedHeaders=b;c, Signature=d",
    );
    assert_eq!(
        spaced,
        Some(v3::AuthorizationHeader {
            access_key_id: "a",
            signed_headers: "b;c",
            signature: "d"
        })
    );
}

/// Compiles only while the types have no `Debug`: with it, `_` below is ambiguous.
#[test]
fn stages_that_may_contain_a_token_cannot_be_printed() {
    trait NoDebug<A> {
        fn check() {}
    }
    impl<T> NoDebug<()> for T {}
    impl<T: std::fmt::Debug> NoDebug<u8> for T {}

    <CanonicalQuery as NoDebug<_>>::check();
    <v3::CanonicalRequest as NoDebug<_>>::check();
    <StringToSign as NoDebug<_>>::check();
}
