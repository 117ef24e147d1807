//! The types of fault settings, on the command line and in JSON.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::duration::{self, DurationError};

/// The value is not a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a probability is a number from 0 to 1")]
pub struct InvalidProbability;

/// A probability from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Probability(f64);

impl Probability {
    /// Takes a number from 0 to 1.
    pub fn new(value: f64) -> Result<Self, InvalidProbability> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(InvalidProbability)
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Probability {
    type Error = InvalidProbability;

    fn try_from(value: f64) -> Result<Self, InvalidProbability> {
        Self::new(value)
    }
}

impl FromStr for Probability {
    type Err = InvalidProbability;

    fn from_str(text: &str) -> Result<Self, InvalidProbability> {
        text.parse()
            .map_err(|_| InvalidProbability)
            .and_then(Self::new)
    }
}

/// A duration in the format of Prometheus: `20ms`, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurationSetting(#[serde(with = "duration")] Duration);

impl DurationSetting {
    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

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

/// The value is not a setting of one client or operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// There is no `=`.
    #[error("write it as KEY=VALUE")]
    NoValue,
    /// The part after the last `=` has another form.
    #[error("{0}")]
    Value(String),
}

/// A setting of one client or operation, `KEY=VALUE`. The key `*` stands for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "String",
    into = "String",
    bound(
        serialize = "V: Clone",
        deserialize = "V: FromStr, V::Err: fmt::Display"
    )
)]
pub struct KeyedSetting<V> {
    text: String,
    key: String,
    value: V,
}

impl<V> KeyedSetting<V> {
    /// The value in `settings` for `key`, that of the first setting that matches.
    pub(in crate::simulator) fn find<'a>(settings: &'a [Self], key: &str) -> Option<&'a V> {
        let matches = |setting: &&Self| setting.key == key || setting.key == "*";
        settings.iter().find(matches).map(|setting| &setting.value)
    }
}

impl<V: FromStr<Err: fmt::Display>> FromStr for KeyedSetting<V> {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        // A client ID may contain `=`.
        let (key, value) = text.rsplit_once('=').ok_or(InvalidSetting::NoValue)?;
        let value = value.parse();
        Ok(Self {
            value: value.map_err(|error: V::Err| InvalidSetting::Value(error.to_string()))?,
            key: key.to_owned(),
            text: text.to_owned(),
        })
    }
}

impl<V: FromStr<Err: fmt::Display>> TryFrom<String> for KeyedSetting<V> {
    type Error = InvalidSetting;

    fn try_from(text: String) -> Result<Self, InvalidSetting> {
        text.parse()
    }
}

impl<V> From<KeyedSetting<V>> for String {
    fn from(setting: KeyedSetting<V>) -> Self {
        setting.text
    }
}

/// The text is not a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a refusal is an HTTP status from 400 to 599, or STATUS:CODE")]
pub struct InvalidRefusal;

/// An error in place of an answer: `STATUS:CODE` is an error of the API, `STATUS` the page of a
/// gateway or proxy in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The error code, empty if there is none.
    pub code: String,
}

impl FromStr for Refusal {
    type Err = InvalidRefusal;

    fn from_str(text: &str) -> Result<Self, InvalidRefusal> {
        let (status, code) = text.split_once(':').unwrap_or((text, ""));
        let status = status.parse().map_err(|_| InvalidRefusal)?;
        let code = code.to_owned();
        let possible = (400..600).contains(&status) && !text.ends_with(':');
        possible
            .then_some(Self { status, code })
            .ok_or(InvalidRefusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_a_number_from_0_to_1() {
        for text in ["", "-0.1", "1.01", "NaN", "inf", "x"] {
            assert_eq!(
                text.parse::<Probability>(),
                Err(InvalidProbability),
                "{text}"
            );
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
        let refused = |text: &str| text.parse::<KeyedSetting<u64>>().unwrap_err();
        assert_eq!(refused("a"), InvalidSetting::NoValue);
        assert!(matches!(refused("a=x"), InvalidSetting::Value(_)));
    }

    #[test]
    fn a_refusal_has_a_status_and_perhaps_a_code() {
        let refusal = |text: &str| text.parse::<Refusal>().map(|r| (r.status, r.code));
        assert_eq!(refusal("404:NoSuch"), Ok((404, "NoSuch".to_owned())));
        assert_eq!(refusal("502"), Ok((502, String::new())));
        for text in ["", "200", "600:X", "400:", "X", "X:400"] {
            assert_eq!(refusal(text), Err(InvalidRefusal), "{text}");
        }
    }
}
