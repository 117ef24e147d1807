//! The types of fault settings, on the command line and in JSON.

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
}
