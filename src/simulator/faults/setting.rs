//! The types of fault settings, on the command line and in JSON.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::super::vendor_error::VendorError;
use crate::config::duration::{self, DurationError};

/// The value does not have the form that the text describes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(String);

/// A probability from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Probability(f64);

impl Probability {
    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Probability {
    type Error = InvalidSetting;

    fn try_from(value: f64) -> Result<Self, InvalidSetting> {
        let form = || InvalidSetting("a probability is a number from 0 to 1".to_owned());
        let possible = (0.0..=1.0).contains(&value);
        possible.then_some(Self(value)).ok_or_else(form)
    }
}

impl FromStr for Probability {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        text.parse().unwrap_or(f64::NAN).try_into()
    }
}

/// A duration in the format of Prometheus: `20ms`, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurationSetting(#[serde(with = "duration")] pub Duration);

impl From<Duration> for DurationSetting {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for DurationSetting {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        duration::parse(text).map(Self)
    }
}

/// A setting of one client or operation, `KEY=VALUE`. The key `*` stands for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyedSetting<V> {
    text: String,
    #[serde(skip)]
    key: String,
    #[serde(skip)]
    value: V,
}

impl<V> KeyedSetting<V> {
    /// The value in `settings` for `key`, that of the first setting that matches.
    pub(in crate::simulator) fn find<'a>(settings: &'a [Self], key: &str) -> Option<&'a V> {
        let matches = |setting: &&Self| setting.key == key || setting.key == "*";
        settings.iter().find(matches).map(|setting| &setting.value)
    }
}

impl<V: FromStr<Err: Display>> FromStr for KeyedSetting<V> {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let form = || InvalidSetting("write it as KEY=VALUE".to_owned());
        // A client ID may contain `=`.
        let (key, value) = text.rsplit_once('=').ok_or_else(form)?;
        let value = value.parse();
        Ok(Self {
            value: value.map_err(|error: V::Err| InvalidSetting(error.to_string()))?,
            key: key.to_owned(),
            text: text.to_owned(),
        })
    }
}

impl<'de, V: FromStr<Err: Display>> Deserialize<'de> for KeyedSetting<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// An error in place of an answer: `STATUS:CODE` is an error of the API, `STATUS` the page of a
/// gateway or proxy in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub(in crate::simulator) VendorError);

impl FromStr for Refusal {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let (status, code) = text.split_once(':').unwrap_or((text, ""));
        match status.parse() {
            Ok(status @ 400..600) if !text.ends_with(':') => Ok(Self(VendorError {
                status,
                code: code.to_owned().into(),
                message: "The call is refused.".into(),
            })),
            _ => Err(InvalidSetting(
                "a refusal is an HTTP status from 400 to 599, or STATUS:CODE".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_a_number_from_0_to_1() {
        for text in ["", "-0.1", "1.01", "NaN", "inf", "x"] {
            let error = text.parse::<Probability>().unwrap_err().to_string();
            assert_eq!(error, "a probability is a number from 0 to 1", "{text}");
        }
        for (text, value) in [("0", 0.0), ("0.25", 0.25), ("1", 1.0)] {
            assert_eq!(text.parse::<Probability>().map(Probability::get), Ok(value));
        }
    }

    #[test]
    fn a_setting_is_for_one_key_or_for_all() {
        let settings = ["GID_a@@@x=1=7", "b=8", "*=9", "c=10"];
        let settings = settings.map(|text| text.parse::<KeyedSetting<u64>>().unwrap());
        let value = |key| KeyedSetting::find(&settings, key);
        assert_eq!(value("GID_a@@@x=1"), Some(&7));
        assert_eq!(value("b"), Some(&8));
        assert_eq!(value("c"), Some(&9), "the first setting that matches");
        assert_eq!(KeyedSetting::find(&settings[..2], "c"), None);
        let refused = |text: &str| text.parse::<KeyedSetting<u64>>().unwrap_err().to_string();
        assert_eq!(refused("a"), "write it as KEY=VALUE");
        assert_eq!(refused("a=x"), "invalid digit found in string");
    }

    #[test]
    fn a_refusal_has_a_status_and_perhaps_a_code() {
        let refusal = |text: &str| {
            let Refusal(error) = text.parse()?;
            Ok((error.status, error.code))
        };
        assert_eq!(refusal("404:NoSuch"), Ok((404, "NoSuch".into())));
        assert_eq!(refusal("502"), Ok((502, "".into())));
        for text in ["", "200", "600:X", "400:", "X", "X:400"] {
            let error: InvalidSetting = refusal(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "a refusal is an HTTP status from 400 to 599, or STATUS:CODE",
                "{text}"
            );
        }
    }
}
