//! What requests leave behind: counts, nonces, the last of them as they came.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::nonces::UsedNonces;
use super::operation::{self, PerOperation};
use super::request::{ApiRequest, CapturedRequest};
use super::traffic::{Arrival, Traffic};
use super::vendor_error::VendorError;
use crate::clock::Timestamp;
use crate::presence::Operation;

/// How many of the last requests are kept.
const CAPTURED: usize = 100;

/// What arrived and what became of it, since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Requests that arrived, those of blocked addresses included.
    pub arrivals: PerOperation<u64>,
    /// How many arrived in the second that saw most of them.
    pub max_arrivals_per_second: PerOperation<u64>,
    /// How calls ended: `OK`, one of the vendor's error codes, or what was done instead of an
    /// answer (`bad_gateway`, `truncated`, `undecodable`, `reset`, `hang`, `blocked`).
    pub answers: BTreeMap<Cow<'static, str>, u64>,
    /// How often an address was blocked.
    pub blocks: u64,
    /// For how long addresses were blocked, in seconds.
    pub blocked_seconds: f64,
}

/// The memory of the stand-in.
#[derive(Debug)]
pub(super) struct Recorder {
    started: Instant,
    records: Mutex<Records>,
}

#[derive(Debug)]
struct Records {
    traffic: Traffic,
    nonces: UsedNonces,
    answers: BTreeMap<Cow<'static, str>, u64>,
    captured: VecDeque<CapturedRequest>,
    requests: u64,
}

impl Records {
    /// Keeps the request, and gives it its number.
    fn capture(&mut self, call: &ApiRequest) -> u64 {
        self.requests += 1;
        if self.captured.len() == CAPTURED {
            self.captured.pop_front();
        }
        self.captured.push_back(call.captured());
        self.requests
    }
}

impl Recorder {
    pub(super) fn new(traffic: Traffic) -> Self {
        let records = Records {
            traffic,
            nonces: UsedNonces::default(),
            answers: BTreeMap::new(),
            captured: VecDeque::new(),
            requests: 0,
        };
        Self {
            started: Instant::now(),
            records: Mutex::new(records),
        }
    }

    /// When the stand-in started; every duration here counts from then.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// Counts a request and gives it its number.
    pub(super) fn arrive(&self, address: IpAddr, call: &ApiRequest) -> (u64, Arrival) {
        let operation = call.action().and_then(|action| operation::named(&action));
        let (records, now) = &mut self.lock();
        (
            records.capture(call),
            records.traffic.arrive(address, operation, *now),
        )
    }

    /// Gives a request a number that is not one to the API.
    pub(super) fn capture(&self, call: &ApiRequest) -> u64 {
        self.lock().0.capture(call)
    }

    /// Remembers a nonce until `until`, or refuses one that came before.
    pub(super) fn use_nonce(
        &self,
        nonce: &str,
        server_time: Timestamp,
        until: Timestamp,
    ) -> Result<(), VendorError> {
        let (mut records, _) = self.lock();
        if records.nonces.insert(nonce, server_time, until) {
            Ok(())
        } else {
            Err(VendorError::nonce_used())
        }
    }

    /// Counts a call against the account's quota, and throttles it past that.
    pub(super) fn charge(&self, operation: Operation) -> Result<(), VendorError> {
        let (mut records, now) = self.lock();
        records.traffic.charge(operation, now)
    }

    /// Counts how a call ended.
    pub(super) fn count_answer(&self, ending: impl Into<Cow<'static, str>>) {
        let (mut records, _) = self.lock();
        *records.answers.entry(ending.into()).or_default() += 1;
    }

    pub(super) fn stats(&self) -> Stats {
        let (records, now) = self.lock();
        Stats {
            arrivals: records.traffic.arrivals(),
            max_arrivals_per_second: records.traffic.peaks(),
            answers: records.answers.clone(),
            blocks: records.traffic.blocks(),
            blocked_seconds: records.traffic.blocked(now).as_secs_f64(),
        }
    }

    /// The last requests, oldest first.
    pub(super) fn captured(&self) -> Vec<CapturedRequest> {
        let (records, _) = self.lock();
        records.captured.iter().cloned().collect()
    }

    /// The time is asked for under the lock, so that it does not go backwards from one holder of
    /// the lock to the next.
    fn lock(&self) -> (MutexGuard<'_, Records>, Duration) {
        let records = self
            .records
            .lock()
            .expect("nobody panics while holding this lock");
        (records, self.started.elapsed())
    }
}
