//! What requests leave behind: counts, nonces, the last of them as they came.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::call::{Call, Captured};
use super::nonces::Nonces;
use super::operation::{self, PerOperation};
use super::refusal::Refusal;
use super::traffic::{Arrival, Traffic};
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
pub(super) struct Ledger {
    started: Instant,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    traffic: Traffic,
    nonces: Nonces,
    answers: BTreeMap<Cow<'static, str>, u64>,
    captured: VecDeque<Captured>,
    requests: u64,
}

impl Pages {
    /// Keeps the request, and gives it its number.
    fn capture(&mut self, call: &Call) -> u64 {
        self.requests += 1;
        if self.captured.len() == CAPTURED {
            self.captured.pop_front();
        }
        self.captured.push_back(call.captured());
        self.requests
    }
}

impl Ledger {
    pub(super) fn new(traffic: Traffic) -> Self {
        let pages = Pages {
            traffic,
            nonces: Nonces::default(),
            answers: BTreeMap::new(),
            captured: VecDeque::new(),
            requests: 0,
        };
        Self {
            started: Instant::now(),
            pages: Mutex::new(pages),
        }
    }

    /// When the stand-in started; every duration here counts from then.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// Counts a request and gives it its number.
    pub(super) fn arrive(&self, address: IpAddr, call: &Call) -> (u64, Arrival) {
        let operation = call.action().and_then(|action| operation::named(&action));
        let (pages, now) = &mut self.open();
        (
            pages.capture(call),
            pages.traffic.arrive(address, operation, *now),
        )
    }

    /// Gives a request a number that is not one to the API.
    pub(super) fn capture(&self, call: &Call) -> u64 {
        self.open().0.capture(call)
    }

    /// Remembers a nonce until `until`, or refuses one that came before.
    pub(super) fn use_nonce(
        &self,
        nonce: &str,
        server_time: Timestamp,
        until: Timestamp,
    ) -> Result<(), Refusal> {
        let (mut pages, _) = self.open();
        if pages.nonces.insert(nonce, server_time, until) {
            Ok(())
        } else {
            Err(Refusal::nonce_used())
        }
    }

    /// Counts a call against the account's quota, and throttles it past that.
    pub(super) fn charge(&self, operation: Operation) -> Result<(), Refusal> {
        let (mut pages, now) = self.open();
        pages.traffic.charge(operation, now)
    }

    /// Counts how a call ended.
    pub(super) fn tally(&self, ending: impl Into<Cow<'static, str>>) {
        let (mut pages, _) = self.open();
        *pages.answers.entry(ending.into()).or_default() += 1;
    }

    pub(super) fn stats(&self) -> Stats {
        let (pages, now) = self.open();
        Stats {
            arrivals: pages.traffic.arrivals(),
            max_arrivals_per_second: pages.traffic.peaks(),
            answers: pages.answers.clone(),
            blocks: pages.traffic.blocks(),
            blocked_seconds: pages.traffic.blocked(now).as_secs_f64(),
        }
    }

    /// The last requests, oldest first.
    pub(super) fn captured(&self) -> Vec<Captured> {
        let (pages, _) = self.open();
        pages.captured.iter().cloned().collect()
    }

    /// The time is asked for under the lock, so that it does not go backwards from one holder of
    /// the lock to the next.
    fn open(&self) -> (MutexGuard<'_, Pages>, Duration) {
        let pages = self
            .pages
            .lock()
            .expect("nobody panics while holding this lock");
        (pages, self.started.elapsed())
    }
}
