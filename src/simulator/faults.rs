//! Faults: settings that can be changed while the simulator runs, and pure functions that apply
//! them.

mod setting;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use setting::{DurationSetting, InvalidSetting, KeyedSetting, Probability, Refusal};

use super::seeded_random::SeededRandom;
use super::vendor_error::VendorError;

/// The faults of the simulator; none by default.
///
/// The same fields are the flags `--fault.NAME` of `simulate` and the JSON keys of the admin API.
/// The seed and the number of the request decide every fault, so a run can be repeated.
///
/// A call has at most one of the faults from `internal_error` to `hang`: they share one random
/// number, in the order of the fields, and probabilities above a sum of 1 have no effect.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Latency of every answer.
    #[arg(long = "fault.latency", value_name = "DURATION", default_value = "0s")]
    pub latency: DurationSetting,
    /// Maximum additional latency, random for each request.
    #[arg(
        long = "fault.latency-jitter",
        value_name = "DURATION",
        default_value = "0s"
    )]
    pub latency_jitter: DurationSetting,
    /// `InternalError` with HTTP status 500, as from older gateways.
    #[arg(
        long = "fault.internal-error",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub internal_error: Probability,
    /// `InternalError` with HTTP status 417, as documented.
    #[arg(
        long = "fault.internal-error-417",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub internal_error_417: Probability,
    /// `Throttling.User`.
    #[arg(
        long = "fault.throttling",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub throttling: Probability,
    /// `SystemOverFlow`.
    #[arg(
        long = "fault.system-overflow",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub system_overflow: Probability,
    /// `ServiceUnavailable`.
    #[arg(
        long = "fault.service-unavailable",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub service_unavailable: Probability,
    /// HTTP status 502 with an HTML page, as from a proxy.
    #[arg(
        long = "fault.bad-gateway",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub bad_gateway: Probability,
    /// The connection ends after half of the body.
    #[arg(
        long = "fault.truncated",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub truncated: Probability,
    /// HTTP status 200 with a body that cannot be parsed.
    #[arg(
        long = "fault.undecodable",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub undecodable: Probability,
    /// The connection is reset before the first byte of the answer.
    #[arg(long = "fault.reset", value_name = "PROBABILITY", default_value = "0")]
    pub reset: Probability,
    /// The request is read and never answered.
    #[arg(long = "fault.hang", value_name = "PROBABILITY", default_value = "0")]
    pub hang: Probability,
    /// Value of the header `x-acs-retry-after` in throttling errors.
    #[arg(long = "fault.retry-after", value_name = "DURATION")]
    pub retry_after: Option<DurationSetting>,
    /// Offset of the server's clock in seconds; negative if it is behind.
    #[arg(
        long = "fault.clock-skew",
        value_name = "SECONDS",
        default_value_t,
        allow_negative_numbers = true
    )]
    pub clock_skew: i64,
    /// Additional age of the cache that answers batches.
    #[arg(
        long = "fault.batch-staleness",
        value_name = "DURATION",
        default_value = "0s"
    )]
    pub batch_staleness: DurationSetting,
    /// A client of a batch is missing in the answer.
    #[arg(
        long = "fault.omission",
        value_name = "PROBABILITY",
        default_value = "0"
    )]
    pub omission: Probability,
    /// Nothing is read for one period of `stall_hold`; at its end, all connections deliver
    /// together.
    #[arg(long = "fault.stall", value_name = "PROBABILITY", default_value = "0")]
    pub stall: Probability,
    /// Duration of a stall.
    #[arg(
        long = "fault.stall-hold",
        value_name = "DURATION",
        default_value = "0s"
    )]
    pub stall_hold: DurationSetting,
    /// Client ID that is rejected with `ParameterCheckFailed`; repeatable.
    #[arg(long = "fault.poison", value_name = "CLIENT_ID")]
    pub poison: Vec<String>,
    /// Error in place of the status of a client (`*` for all clients); without a code, the page of
    /// a proxy; repeatable.
    #[arg(long = "fault.refusal", value_name = "CLIENT_ID=STATUS[:CODE]")]
    pub refusal: Vec<KeyedSetting<Refusal>>,
    /// Additional latency of answers about a client; their content does not change meanwhile;
    /// repeatable.
    #[arg(long = "fault.late", value_name = "CLIENT_ID=DURATION")]
    pub late: Vec<KeyedSetting<DurationSetting>>,
    /// Calls per second of an account for an operation (`*` for each operation), in place of the
    /// documented quota; repeatable.
    #[arg(long = "fault.quota", value_name = "OPERATION=CALLS")]
    pub quota: Vec<KeyedSetting<u64>>,
    /// Offset of the header `Date` in seconds, in addition to that of the server's clock.
    #[arg(
        long = "fault.date-skew",
        value_name = "SECONDS",
        default_value_t,
        allow_negative_numbers = true
    )]
    pub date_skew: i64,
    /// Requests are accepted and not answered; when the freeze ends, all of them arrive together.
    #[arg(long = "fault.freeze")]
    pub freeze: bool,
    /// Connections that are open when this is set stay open, but nothing is read or answered on
    /// them from then on; new connections work.
    #[arg(long = "fault.dead-connections")]
    pub dead_connections: bool,
}

/// The effect of a fault on the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// Replaces a successful answer.
    Error(VendorError),
    BadGateway,
    Truncated,
    Undecodable,
    Reset,
    Hang,
}

impl Faults {
    /// The time until the answer to the call with the number `request`, and the effect on it.
    pub(super) fn decide(&self, seed: u64, request: u64) -> (Duration, Effect) {
        let random = SeededRandom::new(seed).derive("request").nth(request);
        let jitter = random.derive("jitter").unit();
        let delay = self.latency.0 + self.latency_jitter.0.mul_f64(jitter);
        (delay, self.effect(random.derive("outcome").unit()))
    }

    fn effect(&self, mut random: f64) -> Effect {
        let error = Effect::Error;
        let effects = [
            (self.internal_error, error(VendorError::INTERNAL_ERROR)),
            (
                self.internal_error_417,
                error(VendorError::INTERNAL_ERROR_417),
            ),
            (self.throttling, error(VendorError::THROTTLED)),
            (self.system_overflow, error(VendorError::SYSTEM_OVERFLOW)),
            (
                self.service_unavailable,
                error(VendorError::SERVICE_UNAVAILABLE),
            ),
            (self.bad_gateway, Effect::BadGateway),
            (self.truncated, Effect::Truncated),
            (self.undecodable, Effect::Undecodable),
            (self.reset, Effect::Reset),
            (self.hang, Effect::Hang),
        ];
        let effect = effects.into_iter().find(|(probability, _)| {
            random -= probability.get();
            random < 0.0
        });
        effect.map_or(Effect::None, |(_, effect)| effect)
    }

    /// Whether `client` is missing in the answer to the call with the number `request`.
    pub(super) fn omits(&self, seed: u64, request: u64, client: &str) -> bool {
        let random = SeededRandom::new(seed).derive("omission").nth(request);
        random.derive(client).unit() < self.omission.get()
    }

    /// The error that is answered in place of the status of `client`.
    pub(super) fn refused(&self, client: &str) -> Option<VendorError> {
        if self.poison.iter().any(|poison| poison == client) {
            return Some(VendorError::CLIENT_ID);
        }
        KeyedSetting::find(&self.refusal, client).map(|Refusal(error)| error.clone())
    }

    /// The additional latency of an answer about `clients`.
    pub(super) fn late<'a>(&self, clients: impl Iterator<Item = &'a str>) -> Duration {
        let late = clients.filter_map(|client| KeyedSetting::find(&self.late, client));
        late.map(|late| late.0).max().unwrap_or_default()
    }

    /// The calls per second of an account for an operation, in place of the documented quota.
    pub(super) fn quota(&self, operation: &str) -> Option<u64> {
        KeyedSetting::find(&self.quota, operation).copied()
    }

    /// The end of the stall of all connections, if there is one at `now`. Both times count from the
    /// start of the simulator.
    pub(super) fn stalled_until(&self, seed: u64, now: Duration) -> Option<Duration> {
        let DurationSetting(hold) = self.stall_hold;
        let period = u32::try_from(now.as_millis().checked_div(hold.as_millis())?).ok()?;
        let random = SeededRandom::new(seed).derive("stall").nth(period.into());
        (random.unit() < self.stall.get()).then(|| hold.saturating_mul(period.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probability(value: f64) -> Probability {
        Probability::try_from(value).unwrap()
    }

    #[test]
    fn there_are_no_faults_by_default() {
        let faults = Faults::default();
        let none = (Duration::ZERO, Effect::None);
        assert!((0..1000).all(|request| faults.decide(7, request) == none));
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
        let effects: Vec<Effect> = (0..10_000)
            .map(|request| faults.decide(1, request).1)
            .collect();
        let share = |wanted: &Effect| {
            effects.iter().filter(|effect| *effect == wanted).count() as f64 / 10_000.0
        };
        for wanted in [
            Effect::Error(VendorError::INTERNAL_ERROR),
            Effect::Error(VendorError::INTERNAL_ERROR_417),
            Effect::Error(VendorError::THROTTLED),
            Effect::Truncated,
            Effect::Reset,
            Effect::Hang,
        ] {
            assert!(
                (share(&wanted) - 0.1).abs() < 0.01,
                "{wanted:?}: {}",
                share(&wanted)
            );
        }
        assert!((share(&Effect::None) - 0.4).abs() < 0.015);
    }

    #[test]
    fn probabilities_above_a_sum_of_one_have_no_effect() {
        let faults = Faults {
            reset: probability(1.0),
            hang: probability(1.0),
            ..Faults::default()
        };
        assert!((0..1000).all(|request| faults.decide(1, request).1 == Effect::Reset));
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
            .map(|request| faults.decide(1, request).0)
            .collect();
        assert!(
            delays
                .iter()
                .all(|delay| (20..30).contains(&delay.as_millis()))
        );
        assert!(delays.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn settings_are_kept_in_json_and_a_typo_is_an_error() {
        let faults: Faults = serde_json::from_str(
            r#"{"latency": "20ms", "hang": 0.1, "poison": ["a"], "late": ["a=3s"]}"#,
        )
        .unwrap();
        assert_eq!(faults.latency.0, Duration::from_millis(20));
        assert_eq!(faults.hang, probability(0.1));
        let again = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&again).unwrap(), faults);
        assert!(serde_json::from_str::<Faults>(r#"{"hangs": 0.1}"#).is_err());
        assert!(serde_json::from_str::<Faults>(r#"{"hang": 1.1}"#).is_err());
        assert!(serde_json::from_str::<Faults>(r#"{"late": ["a=3"]}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_stall_ends_with_its_span(seed: u64, hold in 1_u64..5_000, now in 0_u64..10_000_000) {
            let faults = Faults {
                stall: probability(0.5),
                stall_hold: DurationSetting(Duration::from_millis(hold)),
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
