//! What the services say that give temporary credentials: bytes in, credentials out.
//!
//! The security token service puts them below `Credentials`; the metadata service of an instance
//! and a credentials URI put them at the top, beside a `Code` that says `Success`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::AccessKey;
use crate::aliyun::sign::parse_date;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Temporary credentials, as a service gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryKey {
    /// The access key and its token.
    pub credentials: AccessKey,
    /// When they expire, by the service's clock.
    pub expires: Timestamp,
}

#[derive(Deserialize)]
struct FromSts {
    #[serde(rename = "Credentials")]
    credentials: Option<Keys>,
}

#[derive(Deserialize)]
struct FromService {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(flatten)]
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    #[serde(rename = "AccessKeyId")]
    id: Option<String>,
    #[serde(rename = "AccessKeySecret")]
    secret: Option<String>,
    #[serde(rename = "SecurityToken")]
    token: Option<String>,
    #[serde(rename = "Expiration")]
    expiration: Option<String>,
}

/// Understands an answer of the security token service (pages "`AssumeRole`" and
/// "`AssumeRoleWithOIDC`"). An error says what is wrong, and nothing of what stands there.
pub fn from_sts(body: &[u8]) -> Result<TemporaryKey, String> {
    let FromSts { credentials } = parse(body)?;
    credentials
        .ok_or("the answer has no `Credentials`")?
        .check()
}

/// Understands an answer of a metadata service or a credentials URI. An error says what is wrong,
/// and nothing of what stands there but its code.
pub fn from_service(body: &[u8]) -> Result<TemporaryKey, String> {
    let FromService { code, keys } = parse(body)?;
    match code.as_deref() {
        Some("Success") => keys.check(),
        Some(code)
            if code.len() <= 64 && code.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.') =>
        {
            Err(format!("the answer's `Code` is `{code}`, not `Success`"))
        }
        Some(_) => Err("the answer's `Code` is not `Success`".to_owned()),
        None => Err("the answer has no `Code`".to_owned()),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // The place is enough: what stands there may be a secret.
    serde_json::from_slice(body).map_err(|error| {
        format!(
            "the answer is not the expected JSON (line {}, column {})",
            error.line(),
            error.column()
        )
    })
}

impl Keys {
    fn check(self) -> Result<TemporaryKey, String> {
        let there = |value: Option<String>, name: &str| {
            value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the answer has no `{name}`"))
        };
        let id = there(self.id, "AccessKeyId")?;
        let secret = Secret::new(there(self.secret, "AccessKeySecret")?);
        let token = Secret::new(there(self.token, "SecurityToken")?);
        let expires = parse_date(&there(self.expiration, "Expiration")?)
            .ok_or("the answer's `Expiration` is no time of the form `YYYY-MM-DDThh:mm:ssZ`")?;
        let credentials =
            AccessKey::new(&id, &secret, Some(&token)).map_err(|error| error.to_string())?;
        Ok(TemporaryKey {
            credentials,
            expires,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: &str = r#""AccessKeyId":"STS.id","AccessKeySecret":"hidden-1","SecurityToken":"hidden-2","Expiration":"2030-01-01T00:00:00Z""#;

    #[test]
    fn both_shapes_are_understood() {
        let sts = from_sts(format!(r#"{{"RequestId":"R","Credentials":{{{KEYS}}}}}"#).as_bytes())
            .expect("complete");
        assert_eq!(sts.credentials.id(), "STS.id");
        assert_eq!(
            sts.credentials.security_token().map(Secret::expose),
            Some("hidden-2")
        );
        assert_eq!(sts.expires, Timestamp::from_millis(1_893_456_000_000));
        let service = format!(r#"{{"Code":"Success","LastUpdated":"x",{KEYS}}}"#);
        assert_eq!(from_service(service.as_bytes()), Ok(sts));
    }

    #[test]
    fn what_is_missing_is_named() {
        let told = |text: &str| from_service(text.as_bytes()).expect_err("incomplete");
        assert_eq!(
            told("{"),
            "the answer is not the expected JSON (line 1, column 1)"
        );
        assert_eq!(told(&format!("{{{KEYS}}}")), "the answer has no `Code`");
        assert_eq!(
            told(r#"{"Code":"Failed"}"#),
            "the answer's `Code` is `Failed`, not `Success`"
        );
        for name in [
            "AccessKeyId",
            "AccessKeySecret",
            "SecurityToken",
            "Expiration",
        ] {
            let without = format!(r#"{{"Code":"Success",{}}}"#, KEYS.replace(name, "Other"));
            assert_eq!(told(&without), format!("the answer has no `{name}`"));
        }
        let undated = format!(r#"{{"Code":"Success",{}}}"#, KEYS.replace("2030", "soon"));
        assert!(told(&undated).contains("`Expiration` is no time"));
        assert_eq!(
            from_sts(b"{}"),
            Err("the answer has no `Credentials`".to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_of_them_is_told(at in 0..400_usize, junk in prop::collection::vec(any::<u8>(), 0..8)) {
            for text in [format!(r#"{{"Code":"Success",{KEYS}}}"#), format!(r#"{{"Credentials":{{{KEYS}}}}}"#)] {
                let mut bytes = text.into_bytes();
                let at = at % bytes.len();
                bytes.splice(at..at, junk.iter().copied());
                for error in [from_sts(&bytes).err(), from_service(&bytes).err()].into_iter().flatten() {
                    prop_assert!(!error.contains("hidden"), "{}", error);
                }
            }
        }
    }
}
