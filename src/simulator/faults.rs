//! What goes wrong, and when: settings that can be changed while the simulator runs, and pure
//! functions that decide from them.

mod setting;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use setting::{DurationSetting, InvalidProbability, Probability};

use super::seeded_random::SeededRandom;
use super::vendor_error::VendorError;

/// The faults of the stand-in; none by default.
///
/// The same fields are the flags `--fault.NAME` of `simulate` and the keys of the admin API's
/// JSON. Everything is decided by the seed and the number of the request, so that a run can be
/// repeated.
///
/// Of the faults that decide a call's outcome (from `internal_error` to `hang`) a call meets one
/// at most: they share one throw of the random, in the order in which they stand here, and what
/// goes past a sum of 1 never happens.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Time between a request and its answer.
    #[arg(long = "fault.latency", value_name = "DURATION", default_value_t)]
    pub latency: DurationSetting,
    /// Up to so much more time, differently for each request.
    #[arg(
        long = "fault.latency-jitter",
        value_name = "DURATION",
        default_value_t
    )]
    pub latency_jitter: DurationSetting,
    /// `InternalError` with HTTP status 500, as older gateways say it.
    #[arg(
        long = "fault.internal-error",
        value_name = "PROBABILITY",
        default_value_t
    )]
    pub internal_error: Probability,
    /// `InternalError` with HTTP status 417, as documented.
    #[arg(
        long = "fault.internal-error-417",
        value_name = "PROBABILITY",
        default_value_t
    )]
    pub internal_error_417: Probability,
    /// `Throttling.User`.
    #[arg(long = "fault.throttling", value_name = "PROBABILITY", default_value_t)]
    pub throttling: Probability,
    /// `SystemOverFlow`.
    #[arg(
        long = "fault.system-overflow",
        value_name = "PROBABILITY",
        default_value_t
    )]
    pub system_overflow: Probability,
    /// `ServiceUnavailable`.
    #[arg(
        long = "fault.service-unavailable",
        value_name = "PROBABILITY",
        default_value_t
    )]
    pub service_unavailable: Probability,
    /// HTTP status 502 with a page of HTML, as a proxy answers.
    #[arg(
        long = "fault.bad-gateway",
        value_name = "PROBABILITY",
        default_value_t
    )]
    pub bad_gateway: Probability,
    /// Half of the answer's body, then the end of the connection.
    #[arg(long = "fault.truncated", value_name = "PROBABILITY", default_value_t)]
    pub truncated: Probability,
    /// HTTP status 200 with a body that is no answer.
    #[arg(
        long = "fault.undecodable",
        value_name = "PROBABILITY",
        default_value_t
    )]
    pub undecodable: Probability,
    /// A reset connection, before the first byte of an answer.
    #[arg(long = "fault.reset", value_name = "PROBABILITY", default_value_t)]
    pub reset: Probability,
    /// A request that is read and never answered.
    #[arg(long = "fault.hang", value_name = "PROBABILITY", default_value_t)]
    pub hang: Probability,
    /// What `x-acs-retry-after` says with a throttling answer.
    #[arg(long = "fault.retry-after", value_name = "DURATION")]
    pub retry_after: Option<DurationSetting>,
    /// How far the server's clock is ahead, in seconds; behind if negative.
    #[arg(
        long = "fault.clock-skew",
        value_name = "SECONDS",
        default_value_t,
        allow_negative_numbers = true
    )]
    pub clock_skew: i64,
    /// How much older the cache is that batches are answered from.
    #[arg(
        long = "fault.batch-staleness",
        value_name = "DURATION",
        default_value_t
    )]
    pub batch_staleness: DurationSetting,
    /// A client of a batch that its answer lacks.
    #[arg(long = "fault.omission", value_name = "PROBABILITY", default_value_t)]
    pub omission: Probability,
    /// A span of `stall_hold` in which nothing that arrives is read; at its end all connections
    /// deliver together.
    #[arg(long = "fault.stall", value_name = "PROBABILITY", default_value_t)]
    pub stall: Probability,
    /// How long a stall is.
    #[arg(long = "fault.stall-hold", value_name = "DURATION", default_value_t)]
    pub stall_hold: DurationSetting,
    /// A client ID that is refused with `ParameterCheckFailed`; repeatable.
    #[arg(long = "fault.poison", value_name = "CLIENT_ID")]
    pub poison: Vec<String>,
}

/// What happens to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FaultDecision {
    /// How long the answer takes.
    pub(super) delay: Duration,
    pub(super) outcome: FaultOutcome,
}

/// Whether one call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FaultOutcome {
    Answered(AnswerForm),
    Reset,
    Hang,
}

/// In which form an answer is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AnswerForm {
    Whole,
    /// A success becomes this; a refusal stays, so that no fault hides the caller's mistake.
    Refused(VendorError),
    BadGateway,
    Truncated,
    Undecodable,
}

impl Faults {
    /// What happens to the `request`th call.
    pub(super) fn decide(&self, seed: u64, request: u64) -> FaultDecision {
        let random = SeededRandom::new(seed).derive("request").nth(request);
        let jitter = self
            .latency_jitter
            .get()
            .mul_f64(random.derive("jitter").unit());
        FaultDecision {
            delay: self.latency.get() + jitter,
            outcome: self.outcome(random.derive("outcome").unit()),
        }
    }

    fn outcome(&self, mut throw: f64) -> FaultOutcome {
        let mut falls_to = |share: Probability| {
            throw -= share.get();
            throw < 0.0
        };
        let form = if falls_to(self.internal_error) {
            AnswerForm::Refused(VendorError::internal_error(500))
        } else if falls_to(self.internal_error_417) {
            AnswerForm::Refused(VendorError::internal_error(417))
        } else if falls_to(self.throttling) {
            AnswerForm::Refused(VendorError::throttled())
        } else if falls_to(self.system_overflow) {
            AnswerForm::Refused(VendorError::system_overflow())
        } else if falls_to(self.service_unavailable) {
            AnswerForm::Refused(VendorError::service_unavailable())
        } else if falls_to(self.bad_gateway) {
            AnswerForm::BadGateway
        } else if falls_to(self.truncated) {
            AnswerForm::Truncated
        } else if falls_to(self.undecodable) {
            AnswerForm::Undecodable
        } else if falls_to(self.reset) {
            return FaultOutcome::Reset;
        } else if falls_to(self.hang) {
            return FaultOutcome::Hang;
        } else {
            AnswerForm::Whole
        };
        FaultOutcome::Answered(form)
    }

    /// Whether the answer to the `request`th call lacks `client`.
    pub(super) fn omits(&self, seed: u64, request: u64, client: &str) -> bool {
        let random = SeededRandom::new(seed).derive("omission").nth(request);
        random.derive(client).unit() < self.omission.get()
    }

    /// If connections stall now, when they go on. Both times count from the simulator's start.
    pub(super) fn stalled_until(&self, seed: u64, now: Duration) -> Option<Duration> {
        let hold = self.stall_hold.get().as_millis();
        let span = u64::try_from(now.as_millis().checked_div(hold)?).ok()?;
        let stalls = SeededRandom::new(seed).derive("stall").nth(span).unit() < self.stall.get();
        stalls.then(|| {
            self.stall_hold
                .get()
                .saturating_mul(u32::try_from(span + 1).unwrap_or(u32::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probability(value: f64) -> Probability {
        Probability::new(value).unwrap()
    }

    #[test]
    fn nothing_goes_wrong_by_default() {
        let faults = Faults::default();
        let fine = FaultDecision {
            delay: Duration::ZERO,
            outcome: FaultOutcome::Answered(AnswerForm::Whole),
        };
        assert!((0..1000).all(|request| faults.decide(7, request) == fine));
        assert!((0..1000).all(|request| !faults.omits(7, request, "GID_test@@@a")));
        assert!((0..1000).all(|second| {
            faults
                .stalled_until(7, Duration::from_secs(second))
                .is_none()
        }));
    }

    #[test]
    fn each_fault_takes_its_share_of_the_calls() {
        let tenth = probability(0.1);
        let faults = Faults {
            internal_error: tenth,
            internal_error_417: tenth,
            throttling: tenth,
            reset: tenth,
            hang: tenth,
            truncated: tenth,
            ..Faults::default()
        };
        let outcomes: Vec<FaultOutcome> = (0..10_000)
            .map(|request| faults.decide(1, request).outcome)
            .collect();
        let share = |wanted: &FaultOutcome| {
            outcomes.iter().filter(|outcome| *outcome == wanted).count() as f64 / 10_000.0
        };
        for wanted in [
            FaultOutcome::Answered(AnswerForm::Refused(VendorError::internal_error(500))),
            FaultOutcome::Answered(AnswerForm::Refused(VendorError::internal_error(417))),
            FaultOutcome::Answered(AnswerForm::Refused(VendorError::throttled())),
            FaultOutcome::Answered(AnswerForm::Truncated),
            FaultOutcome::Reset,
            FaultOutcome::Hang,
        ] {
            assert!(
                (share(&wanted) - 0.1).abs() < 0.01,
                "{wanted:?}: {}",
                share(&wanted)
            );
        }
        assert!((share(&FaultOutcome::Answered(AnswerForm::Whole)) - 0.4).abs() < 0.015);
    }

    #[test]
    fn a_sum_past_one_leaves_the_last_ones_out() {
        let faults = Faults {
            reset: probability(1.0),
            hang: probability(1.0),
            ..Faults::default()
        };
        assert!((0..1000).all(|request| faults.decide(1, request).outcome == FaultOutcome::Reset));
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let span = |text: &str| text.parse::<DurationSetting>().unwrap();
        let faults = Faults {
            latency: span("20ms"),
            latency_jitter: span("10ms"),
            ..Faults::default()
        };
        let delays: Vec<Duration> = (0..1000)
            .map(|request| faults.decide(1, request).delay)
            .collect();
        assert!(
            delays
                .iter()
                .all(|delay| (20..30).contains(&delay.as_millis()))
        );
        assert!(delays.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn settings_travel_as_json_and_a_typo_is_an_error() {
        let faults: Faults =
            serde_json::from_str(r#"{"latency": "20ms", "hang": 0.1, "poison": ["a"]}"#).unwrap();
        assert_eq!(faults.latency.get(), Duration::from_millis(20));
        assert_eq!(faults.hang, probability(0.1));
        let again = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&again).unwrap(), faults);
        assert!(serde_json::from_str::<Faults>(r#"{"hangs": 0.1}"#).is_err());
        assert!(serde_json::from_str::<Faults>(r#"{"hang": 1.1}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_stall_ends_with_its_span(seed: u64, hold in 1_u64..5_000, now in 0_u64..10_000_000) {
            let faults = Faults {
                stall: probability(0.5),
                stall_hold: Duration::from_millis(hold).into(),
                ..Faults::default()
            };
            if let Some(end) = faults.stalled_until(seed, Duration::from_millis(now)) {
                let end = u64::try_from(end.as_millis()).unwrap();
                prop_assert!(end > now && end <= now + hold);
                prop_assert_eq!(end % hold, 0);
            }
        }
    }
}
