//! The rules told a second time, as naively as possible: time goes by in ticks, at each of them
//! every lane and every layer is looked at, and nothing is remembered that could be counted.
//!
//! The limits must grant the same tickets in the same order at the same time, although they are
//! only woken when they asked to be.

use std::collections::{BTreeMap, HashMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::limits::Permit;
use crate::limits::rate::CALL;

const TICK: Duration = Duration::from_millis(10);
const TICKS_A_SECOND: u64 = 100;

/// The number of a call, in the order in which they were asked for.
type CallNo = usize;

struct Layer {
    spec: LayerSpec,
    /// The rate in force, which the model takes from the limits: [`super::granted`] tests it.
    millicalls: u64,
    /// By priority, like `in_flight`.
    spent: [u128; 4],
    shut_until: u64,
    in_flight: [usize; 4],
    cooling: Vec<u64>,
}

const PRIORITIES: [Priority; 4] = [
    Priority::Urgent,
    Priority::Hint,
    Priority::FirstSweep,
    Priority::Ordinary,
];

/// The tenths of a layer that each priority may use.
const TENTHS: [usize; 4] = [1, 7, 8, 10];

const ORDINARY: usize = 3;

/// By priority.
#[derive(Default)]
struct Lane {
    waiting: [VecDeque<CallNo>; 4],
    served: [usize; 4],
}

struct Model {
    tick: u64,
    opens_at: u64,
    layers: Vec<Layer>,
    lanes: Vec<Lane>,
    grants: usize,
    /// The priorities at which calls were granted.
    granted_as: HashMap<CallNo, usize>,
}

impl Layer {
    fn cost(priority: usize) -> u128 {
        (10 * CALL).div_ceil(TENTHS[priority] as u128)
    }

    fn burst(&self, priority: usize) -> u128 {
        (u128::from(self.spec.burst) * CALL).max(Self::cost(priority))
    }

    fn open(&self, priority: usize, tick: u64) -> bool {
        let all: usize = self.in_flight.iter().sum();
        let fits =
            |priority: usize| self.spent[priority] + Self::cost(priority) <= self.burst(priority);
        let part = self.spec.in_flight.min(self.spec.slots) as u128 * TENTHS[priority] as u128 / 10;
        self.shut_until <= tick
            && fits(ORDINARY)
            && fits(priority)
            && all + self.cooling.len() < self.spec.slots
            && all < self.spec.in_flight
            && (priority == ORDINARY || (self.in_flight[priority] as u128) < part.max(1))
    }
}

impl Model {
    fn new(specs: &[LayerSpec], opens_at: u64) -> Self {
        let layer = |spec: &LayerSpec| {
            let mut layer = Layer {
                spec: *spec,
                millicalls: spec.rate.millicalls(),
                spent: [0; 4],
                shut_until: opens_at,
                in_flight: [0; 4],
                cooling: Vec::new(),
            };
            layer.spent = [0, 1, 2, 3].map(|n| layer.burst(n) - Layer::cost(n));
            layer
        };
        let lanes = (0..LANES.len()).map(|at| Lane {
            served: [at; 4],
            ..Lane::default()
        });
        Self {
            tick: 0,
            opens_at,
            layers: specs.iter().map(layer).collect(),
            lanes: lanes.collect(),
            grants: LANES.len(),
            granted_as: HashMap::new(),
        }
    }

    fn next_tick(&mut self) {
        for layer in &mut self.layers {
            if self.tick >= self.opens_at {
                let leak = u128::from(layer.millicalls) * TICK.as_nanos();
                layer.spent = layer.spent.map(|spent| spent.saturating_sub(leak));
            }
        }
        self.tick += 1;
        for layer in &mut self.layers {
            layer.cooling.retain(|free| *free > self.tick);
        }
    }

    fn grant(&mut self) -> Option<CallNo> {
        let (at, priority) = [0, 1, 2, ORDINARY].into_iter().find_map(|priority| {
            let waits = |lane: &Lane| match priority {
                ORDINARY => lane.waiting.iter().any(|waiting| !waiting.is_empty()),
                own => !lane.waiting[own].is_empty(),
            };
            let open = |layers: &[usize]| {
                let mut layers = layers.iter();
                layers.all(|layer| self.layers[*layer].open(priority, self.tick))
            };
            let lanes = self.lanes.iter().enumerate();
            lanes
                .filter(|(at, lane)| waits(lane) && open(LANES[*at]))
                .min_by_key(|(_, lane)| lane.served[priority])
                .map(|(at, _)| (at, priority))
        })?;
        self.grants += 1;
        for layer in LANES[at] {
            let layer = &mut self.layers[*layer];
            layer.in_flight[priority] += 1;
            layer.spent[ORDINARY] += CALL;
            if priority != ORDINARY {
                layer.spent[priority] += Layer::cost(priority);
            }
        }
        let lane = &mut self.lanes[at];
        lane.served[priority] = self.grants;
        let call = match priority {
            // Sweeps first: the others have parts of their own.
            ORDINARY => [ORDINARY, 2, 0, 1]
                .into_iter()
                .find_map(|own| lane.waiting[own].pop_front()),
            own => lane.waiting[own].pop_front(),
        }?;
        self.granted_as.insert(call, priority);
        Some(call)
    }

    fn end(&mut self, call: CallNo, lane: usize, sent: bool) {
        let priority = self.granted_as[&call];
        for layer in LANES[lane] {
            let layer = &mut self.layers[*layer];
            layer.in_flight[priority] -= 1;
            if sent {
                layer.cooling.push(self.tick + TICKS_A_SECOND);
            }
        }
    }

    fn cancel(&mut self, call: CallNo) {
        for lane in &mut self.lanes {
            for waiting in &mut lane.waiting {
                waiting.retain(|other| *other != call);
            }
        }
    }

    fn throttled(&mut self, layer: usize, rest: Option<u64>) {
        let layer = &mut self.layers[layer];
        if let Some(rest) = rest {
            layer.shut_until = layer
                .shut_until
                .max(self.tick + rest.min(300 * TICKS_A_SECOND));
        }
    }

    fn reconfigure(&mut self, layer: usize, spec: LayerSpec) {
        self.layers[layer].spec = spec;
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Asks for a call that ends so many ticks after its grant; 0 for one that is not sent.
    Ask {
        lane: usize,
        priority: usize,
        ends_after: u64,
    },
    Cancel(usize),
    Throttled {
        layer: usize,
        sent_before: u64,
        rest: Option<u64>,
    },
    Reconfigure {
        layer: usize,
        spec: LayerSpec,
    },
}

/// The limits and the model, side by side.
struct Pair {
    limits: LayerTree,
    model: Model,
    layers: Vec<LayerId>,
    lanes: Vec<LaneId>,
    next: Option<Time>,
    happened: bool,
    waiting: HashMap<Ticket, CallNo>,
    asked: Vec<(usize, u64)>,
    ends: BTreeMap<(u64, CallNo), Permit>,
}

impl Pair {
    fn new(specs: &[LayerSpec], opens_at: u64) -> Self {
        let (limits, layers, lanes) = limits(specs, time(opens_at));
        Self {
            limits,
            lanes,
            model: Model::new(specs, opens_at),
            layers,
            next: None,
            happened: false,
            waiting: HashMap::new(),
            asked: Vec::new(),
            ends: BTreeMap::new(),
        }
    }

    fn now(&self) -> Time {
        time(self.model.tick)
    }

    fn act(&mut self, act: Act) {
        let now = self.now();
        self.happened = true;
        match act {
            Act::Ask {
                lane,
                priority,
                ends_after,
            } => {
                let call = self.asked.len();
                self.asked.push((lane, ends_after));
                let now = self.now();
                let ticket = self
                    .limits
                    .enqueue(now, self.lanes[lane], PRIORITIES[priority]);
                self.waiting.insert(ticket, call);
                self.model.lanes[lane].waiting[priority].push_back(call);
            }
            Act::Cancel(which) => {
                let mut waiting: Vec<_> = self
                    .waiting
                    .iter()
                    .map(|(ticket, call)| (*call, *ticket))
                    .collect();
                waiting.sort_unstable();
                if let Some((call, ticket)) = waiting.get(which % waiting.len().max(1)) {
                    assert!(self.limits.cancel(*ticket));
                    self.waiting.remove(ticket);
                    self.model.cancel(*call);
                }
            }
            Act::Throttled {
                layer,
                sent_before,
                rest,
            } => {
                let sent_at = self.model.tick.saturating_sub(sent_before);
                let retry_after = rest.map(|ticks| time(ticks).since(Time::START));
                self.limits
                    .throttled(self.layers[layer], time(sent_at), now, retry_after);
                self.model.throttled(layer, rest);
            }
            Act::Reconfigure { layer, spec } => {
                self.limits.reconfigure(self.layers[layer], &spec, now);
                self.model.reconfigure(layer, spec);
            }
        }
    }

    /// Lets both grant, and compares.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        let expected: Vec<CallNo> = std::iter::from_fn(|| self.model.grant()).collect();
        let mut granted = Vec::new();
        if self.happened || self.next.is_some_and(|next| next <= self.now()) {
            let advance = self.limits.advance(self.now());
            self.next = advance.next;
            self.happened = false;
            for (ticket, permit) in advance.granted {
                let call = self
                    .waiting
                    .remove(&ticket)
                    .expect("only what waits is granted");
                granted.push(call);
                let (lane, ends_after) = self.asked[call];
                if ends_after == 0 {
                    self.limits.finish(permit, Outcome::Unused, self.now());
                    self.model.end(call, lane, false);
                    self.happened = true;
                } else {
                    self.ends
                        .insert((self.model.tick + ends_after, call), permit);
                }
            }
        }
        prop_assert_eq!(granted, expected, "at {:?}", self.now());
        for (layer, id) in self.layers.iter().enumerate() {
            let rate = self.limits.rate_in_force(*id, self.now());
            let configured = self.model.layers[layer].spec.rate;
            prop_assert!(rate <= configured && rate >= configured.min(Rate::ONE));
            self.model.layers[layer].millicalls = rate.millicalls();
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.model.next_tick();
        let now = self.now();
        while let Some(end) = self.ends.first_entry()
            && end.key().0 <= self.model.tick
        {
            let ((_, call), permit) = end.remove_entry();
            if call % 3 > 0 {
                self.limits.granted(&permit, now);
            }
            self.limits.finish(permit, Outcome::Answered, now);
            self.model.end(call, self.asked[call].0, true);
            self.happened = true;
        }
    }
}

fn time(tick: u64) -> Time {
    Time::START + TICK * u32::try_from(tick).expect("a short run")
}

fn any_act() -> impl Strategy<Value = Act> {
    let layer = || 0..LAYERS.len();
    let rest = prop::option::weighted(0.3, prop_oneof![3 => 0u64..500, 1 => 29_000u64..31_000]);
    prop_oneof![
        24 => (0..LANES.len(), prop_oneof![1 => 0usize..3, 1 => Just(ORDINARY)], prop_oneof![1 => Just(0u64), 8 => 1u64..200])
            .prop_map(|(lane, priority, ends_after)| Act::Ask { lane, priority, ends_after }),
        2 => (0usize..100).prop_map(Act::Cancel),
        1 => (layer(), 0u64..300, rest).prop_map(|(layer, sent_before, rest)| Act::Throttled { layer, sent_before, rest }),
        1 => (layer(), any_spec(40_000)).prop_map(|(layer, spec)| Act::Reconfigure { layer, spec }),
    ]
}

proptest! {
    #[test]
    fn the_limits_do_what_the_rules_say(
        specs in prop::collection::vec(any_spec(40_000), LAYERS.len()),
        opens_at in 0u64..200,
        script in prop::collection::vec((prop_oneof![6 => 0u64..10, 1 => 0u64..300], any_act()), 1..120),
    ) {
        let mut pair = Pair::new(&specs, opens_at);
        for (pause, act) in script.into_iter().chain([(3_000, Act::Cancel(0))]) {
            for _ in 0..pause {
                pair.settle()?;
                pair.tick();
            }
            pair.act(act);
        }
    }
}
