//! The answers of services that issue temporary credentials: bytes in, credentials out.
//!
//! Times are those of the service's clock. The security token service returns them within `Credentials`; the metadata service of an
//! instance and a credentials URI return them at the top level, next to `Code`: `Success`.

use serde::Deserialize;

use super::fetch::FetchedKey;
use crate::aliyun::access_key::AccessKey;
use crate::aliyun::body::parse;
use crate::aliyun::sign::parse_date;
use crate::secret::Secret;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FromSts {
    credentials: Option<Fields>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields {
    code: Option<String>,
    access_key_id: Option<String>,
    access_key_secret: Option<String>,
    security_token: Option<String>,
    expiration: Option<String>,
}

/// Decodes an answer of the security token service (pages "`AssumeRole`" and
/// "`AssumeRoleWithOIDC`"). The error contains nothing of the answer.
pub fn from_sts(body: &[u8]) -> Result<FetchedKey, String> {
    let FromSts { credentials } = parse(body)?;
    credentials
        .ok_or("the answer has no `Credentials`")?
        .check()
}

/// Decodes an answer of a metadata service or a credentials URI. The error contains nothing of the
/// answer except its code.
pub fn from_service(body: &[u8]) -> Result<FetchedKey, String> {
    let fields: Fields = parse(body)?;
    let short = |code: &str| {
        code.len() <= 64 && code.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.')
    };
    match fields.code.as_deref() {
        Some("Success") => fields.check(),
        Some(code) if short(code) => Err(format!("the answer's `Code` is `{code}`, not `Success`")),
        Some(_) => Err("the answer's `Code` is not `Success`".to_owned()),
        None => Err("the answer has no `Code`".to_owned()),
    }
}

impl Fields {
    fn check(self) -> Result<FetchedKey, String> {
        let required = |value: Option<String>, name: &str| {
            value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the answer has no `{name}`"))
        };
        let id = required(self.access_key_id, "AccessKeyId")?;
        let secret = Secret::new(required(self.access_key_secret, "AccessKeySecret")?);
        let token = Secret::new(required(self.security_token, "SecurityToken")?);
        let expires = parse_date(&required(self.expiration, "Expiration")?)
            .ok_or("the answer's `Expiration` does not have the form `YYYY-MM-DDThh:mm:ssZ`")?;
        let key = AccessKey::new(&id, &secret, Some(&token))?;
        let expires = Some(expires);
        Ok(FetchedKey { key, expires })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;

    const KEYS: &str = r#""AccessKeyId":"STS.id","AccessKeySecret":"hidden-1","SecurityToken":"hidden-2","Expiration":"2030-01-01T00:00:00Z""#;

    #[test]
    fn both_forms_are_decoded() {
        let sts = from_sts(format!(r#"{{"RequestId":"R","Credentials":{{{KEYS}}}}}"#).as_bytes())
            .expect("complete");
        assert_eq!(sts.key.id(), "STS.id");
        assert_eq!(
            sts.key.security_token().map(Secret::expose),
            Some("hidden-2")
        );
        let expires = Timestamp::from_millis(1_893_456_000_000);
        assert_eq!(sts.expires, Some(expires));
        let service = format!(r#"{{"Code":"Success","LastUpdated":"x",{KEYS}}}"#);
        assert_eq!(from_service(service.as_bytes()), Ok(sts));
    }

    #[test]
    fn missing_fields_are_named() {
        let error_of = |text: &str| from_service(text.as_bytes()).expect_err("incomplete");
        assert_eq!(
            error_of("{"),
            "the answer is not the expected JSON (line 1, column 1)"
        );
        assert_eq!(error_of(&format!("{{{KEYS}}}")), "the answer has no `Code`");
        assert_eq!(
            error_of(r#"{"Code":"Failed"}"#),
            "the answer's `Code` is `Failed`, not `Success`"
        );
        for name in [
            "AccessKeyId",
            "AccessKeySecret",
            "SecurityToken",
            "Expiration",
        ] {
            let without = format!(r#"{{"Code":"Success",{}}}"#, KEYS.replace(name, "Other"));
            assert_eq!(error_of(&without), format!("the answer has no `{name}`"));
        }
        let undated = format!(r#"{{"Code":"Success",{}}}"#, KEYS.replace("2030", "soon"));
        assert!(error_of(&undated).contains("`Expiration` does not have the form"));
        assert_eq!(
            from_sts(b"{}"),
            Err("the answer has no `Credentials`".to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_body_panics_or_is_shown(at in 0..400_usize, junk in prop::collection::vec(any::<u8>(), 0..8)) {
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
