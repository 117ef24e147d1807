//! A process that uses the limits, and the network and the service around it.
//!
//! It advances the limits only when `next` says so or when something happened, as a process does.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::limits::Permit;

/// A call that a script asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) lane: usize,
    pub(super) priority: Priority,
    /// From leaving to arriving.
    pub(super) flight: Duration,
    /// From arriving to its end: the answer, or the close of the connection.
    pub(super) answer: Duration,
    /// Given back instead of sent.
    pub(super) unsent: bool,
}

/// A call that was granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) asked: Time,
    pub(super) granted: Time,
    pub(super) arrives: Time,
    /// The slots of every layer at the moment of the grant.
    pub(super) slots: [usize; LAYERS.len()],
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Ask(Ask),
    Cancel(usize),
    Throttled {
        layer: usize,
        sent_before: Duration,
        retry_after: Option<Duration>,
    },
    Reconfigure {
        layer: usize,
        spec: LayerSpec,
    },
    /// The process does nothing for so long.
    Stall(Duration),
}

/// An act after a pause.
pub(super) type Script = Vec<(Duration, Act)>;

pub(super) struct World {
    limits: LayerTree,
    layers: Vec<LayerId>,
    lanes: Vec<LaneId>,
    specs: Vec<LayerSpec>,
    now: Time,
    next: Option<Time>,
    stalled_until: Time,
    waiting: HashMap<Ticket, (Ask, Time)>,
    ends: BTreeMap<(Time, usize), Permit>,
    pub(super) calls: Vec<Call>,
}

impl World {
    pub(super) fn new(specs: &[LayerSpec], opens_at: Time) -> Self {
        let (limits, layers, lanes) = limits(specs, opens_at);
        Self {
            limits,
            layers,
            lanes,
            specs: specs.to_vec(),
            now: Time::START,
            next: None,
            stalled_until: Time::START,
            waiting: HashMap::new(),
            ends: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    /// Runs a script, and what it started to its end. All that was asked for is granted then.
    pub(super) fn run(specs: &[LayerSpec], opens_at: Time, script: Script) -> Vec<Call> {
        let mut world = Self::new(specs, opens_at);
        for (pause, act) in script {
            world.wait(pause);
            world.act(act);
        }
        world.wait(Duration::from_secs(1_000_000));
        assert!(
            world.waiting.is_empty(),
            "a wakeup was lost: {:?}",
            world.waiting
        );
        assert_eq!(world.next, None, "there is nothing to wake up for");
        world.calls
    }

    pub(super) fn wait(&mut self, pause: Duration) {
        let until = (self.now + pause).max(self.stalled_until);
        loop {
            let end = self.ends.first_key_value().map(|((at, _), _)| *at);
            let Some(due) = end
                .into_iter()
                .chain(self.next)
                .min()
                .map(|due| due.max(self.stalled_until))
            else {
                break;
            };
            if due > until {
                break;
            }
            self.now = due;
            while let Some(end) = self.ends.first_entry()
                && end.key().0 <= due
            {
                self.limits.finish(end.remove(), Outcome::Answered, due);
            }
            self.advance();
        }
        self.now = until;
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Ask(ask) => {
                let ticket = self
                    .limits
                    .enqueue(self.now, self.lanes[ask.lane], ask.priority);
                self.waiting.insert(ticket, (ask, self.now));
            }
            Act::Cancel(which) => {
                let mut tickets: Vec<_> = self.waiting.keys().copied().collect();
                tickets.sort();
                if let Some(ticket) = tickets.get(which % tickets.len().max(1)) {
                    assert!(self.limits.cancel(*ticket), "it waits");
                    assert!(!self.limits.cancel(*ticket), "it waits no more");
                    self.waiting.remove(ticket);
                }
            }
            Act::Throttled {
                layer,
                sent_before,
                retry_after,
            } => {
                let sent_at = Time::START + self.now.since(Time::START).saturating_sub(sent_before);
                self.limits
                    .throttled(self.layers[layer], sent_at, self.now, retry_after);
            }
            Act::Reconfigure { layer, spec } => {
                self.specs[layer] = spec;
                self.limits.reconfigure(self.layers[layer], &spec, self.now);
            }
            Act::Stall(pause) => {
                self.advance();
                self.stalled_until = self.now + pause;
                return;
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        let advance = self.limits.advance(self.now);
        self.next = advance.next;
        assert!(
            self.next.is_none_or(|next| next > self.now),
            "what can be granted now is granted now"
        );
        for (ticket, permit) in advance.granted {
            let (ask, asked) = self
                .waiting
                .remove(&ticket)
                .expect("only what waits is granted, and once");
            assert_eq!(permit.granted_at, self.now);
            let arrives = self.now + ask.flight;
            let mut slots = [0; LAYERS.len()];
            slots
                .iter_mut()
                .zip(&self.specs)
                .for_each(|(slots, spec)| *slots = spec.slots);
            if ask.unsent {
                self.limits.finish(permit, Outcome::Unused, self.now);
                self.next = Some(self.now);
            } else {
                self.ends
                    .insert((arrives + ask.answer, self.calls.len()), permit);
            }
            self.calls.push(Call {
                ask,
                asked,
                granted: self.now,
                arrives,
                slots,
            });
        }
    }
}

/// The calls that passed a layer, in the order of their grants.
pub(super) fn through(calls: &[Call], layer: usize) -> impl Iterator<Item = &Call> {
    calls
        .iter()
        .filter(move |call| LANES[call.ask.lane].contains(&layer))
}

/// A duration that is often short, sometimes long, and any number of nanoseconds.
fn any_time(longest: Duration) -> impl Strategy<Value = Duration> {
    let longest = u64::try_from(longest.as_nanos()).expect("a short time");
    prop_oneof![2 => Just(0), 3 => 0..=longest / 50, 1 => 0..=longest]
        .prop_map(Duration::from_nanos)
}

pub(super) fn any_ask() -> impl Strategy<Value = Ask> {
    let times = (
        any_time(Duration::from_secs(3)),
        any_time(Duration::from_secs(3)),
    );
    (
        0..LANES.len(),
        prop_oneof![
            3 => Just(Priority::Ordinary),
            1 => prop::sample::select(vec![Priority::Urgent, Priority::Hint, Priority::FirstSweep]),
        ],
        times,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(lane, priority, (flight, answer), unsent)| Ask {
            lane,
            priority,
            flight,
            answer,
            unsent,
        })
}

pub(super) fn any_specs() -> impl Strategy<Value = Vec<LayerSpec>> {
    prop::collection::vec(any_spec(300_000), LAYERS.len())
}

/// Calls come and go, and the process stalls now and then.
pub(super) fn quiet_script() -> impl Strategy<Value = Script> {
    let act = prop_oneof![
        20 => any_ask().prop_map(Act::Ask),
        2 => (0usize..100).prop_map(Act::Cancel),
        1 => any_time(Duration::from_secs(5)).prop_map(Act::Stall),
    ];
    prop::collection::vec((any_time(Duration::from_millis(500)), act), 1..150)
}

/// And the layers change as well.
pub(super) fn any_script() -> impl Strategy<Value = Script> {
    let layer = || 0..LAYERS.len();
    let retry_after = prop::option::weighted(0.3, any_time(Duration::from_secs(400)));
    let act = prop_oneof![
        20 => any_ask().prop_map(Act::Ask),
        2 => (0usize..100).prop_map(Act::Cancel),
        1 => any_time(Duration::from_secs(5)).prop_map(Act::Stall),
        1 => (layer(), any_time(Duration::from_secs(5)), retry_after)
            .prop_map(|(layer, sent_before, retry_after)| Act::Throttled { layer, sent_before, retry_after }),
        1 => (layer(), any_spec(300_000)).prop_map(|(layer, spec)| Act::Reconfigure { layer, spec }),
    ];
    prop::collection::vec((any_time(Duration::from_millis(500)), act), 1..150)
}
