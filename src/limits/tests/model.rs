//! The rules told a second time, as naively as possible: time goes by in ticks, at each of them
//! every lane and every layer is looked at, and nothing is remembered that could be counted.
//!
//! The limits must grant the same tickets in the same order at the same time, although they are
//! only woken when they asked to be.

use std::collections::{BTreeMap, HashMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::limits::rate::CALL;
use crate::limits::{Permit, Priority, Ticket};

const TICK: Duration = Duration::from_millis(10);
const TICKS_A_SECOND: u64 = 100;

/// The number of a call, in the order in which they were asked for.
type CallNo = usize;

struct Layer {
    spec: LayerSpec,
    /// The rate in force, which the model takes from the limits: [`super::granted`] tests it.
    millicalls: u64,
    spent: u128,
    spent_overtaking: u128,
    shut_until: u64,
    in_flight: usize,
    cooling: Vec<u64>,
}

#[derive(Default)]
struct Lane {
    urgent: VecDeque<CallNo>,
    ordinary: VecDeque<CallNo>,
    served_urgent: usize,
    served: usize,
}

struct Model {
    tick: u64,
    opens_at: u64,
    layers: Vec<Layer>,
    lanes: Vec<Lane>,
    grants: usize,
}

impl Layer {
    fn burst(&self) -> u128 {
        u128::from(self.spec.burst) * CALL
    }

    fn open(&self, tick: u64) -> bool {
        self.shut_until <= tick
            && self.spent + CALL <= self.burst()
            && self.in_flight + self.cooling.len() < self.spec.slots
            && self.in_flight < self.spec.in_flight
    }

    fn open_for_overtaking(&self, tick: u64) -> bool {
        self.open(tick) && self.spent_overtaking + 10 * CALL <= self.burst().max(10 * CALL)
    }
}

impl Model {
    fn new(specs: &[LayerSpec], opens_at: u64) -> Self {
        let layer = |spec: &LayerSpec| {
            let mut layer = Layer {
                spec: *spec,
                millicalls: spec.rate.millicalls(),
                spent: 0,
                spent_overtaking: 0,
                shut_until: opens_at,
                in_flight: 0,
                cooling: Vec::new(),
            };
            layer.spent = layer.burst() - CALL;
            layer.spent_overtaking = layer.burst().max(10 * CALL) - 10 * CALL;
            layer
        };
        let lanes = (0..LANES.len()).map(|at| Lane {
            served: at,
            served_urgent: at,
            ..Lane::default()
        });
        Self {
            tick: 0,
            opens_at,
            layers: specs.iter().map(layer).collect(),
            lanes: lanes.collect(),
            grants: LANES.len(),
        }
    }

    fn next_tick(&mut self) {
        for layer in &mut self.layers {
            if self.tick >= self.opens_at {
                let leak = u128::from(layer.millicalls) * TICK.as_nanos();
                layer.spent = layer.spent.saturating_sub(leak);
                layer.spent_overtaking = layer.spent_overtaking.saturating_sub(leak);
            }
        }
        self.tick += 1;
        for layer in &mut self.layers {
            layer.cooling.retain(|free| *free > self.tick);
        }
    }

    fn grant(&mut self) -> Option<CallNo> {
        let open = |lane: usize| {
            LANES[lane]
                .iter()
                .all(|layer| self.layers[*layer].open(self.tick))
        };
        let overtakes = |lane: usize| {
            LANES[lane]
                .iter()
                .all(|layer| self.layers[*layer].open_for_overtaking(self.tick))
        };
        let lanes = || self.lanes.iter().enumerate();
        let urgent = lanes()
            .filter(|(at, lane)| !lane.urgent.is_empty() && overtakes(*at))
            .min_by_key(|(_, lane)| lane.served_urgent);
        let ordinary = lanes()
            .filter(|(at, lane)| !(lane.urgent.is_empty() && lane.ordinary.is_empty()) && open(*at))
            .min_by_key(|(_, lane)| lane.served);
        let overtaking = urgent.is_some();
        let (at, _) = urgent.or(ordinary)?;
        self.grants += 1;
        for layer in LANES[at] {
            let layer = &mut self.layers[*layer];
            layer.in_flight += 1;
            layer.spent += CALL;
            if overtaking {
                layer.spent_overtaking += 10 * CALL;
            }
        }
        let lane = &mut self.lanes[at];
        if overtaking {
            lane.served_urgent = self.grants;
            lane.urgent.pop_front()
        } else {
            lane.served = self.grants;
            lane.ordinary
                .pop_front()
                .or_else(|| lane.urgent.pop_front())
        }
    }

    fn end(&mut self, lane: usize, sent: bool) {
        for layer in LANES[lane] {
            let layer = &mut self.layers[*layer];
            layer.in_flight -= 1;
            if sent {
                layer.cooling.push(self.tick + TICKS_A_SECOND);
            }
        }
    }

    fn cancel(&mut self, call: CallNo) {
        for lane in &mut self.lanes {
            lane.urgent.retain(|other| *other != call);
            lane.ordinary.retain(|other| *other != call);
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
        urgent: bool,
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
                urgent,
                ends_after,
            } => {
                let call = self.asked.len();
                self.asked.push((lane, ends_after));
                let priority = if urgent {
                    Priority::Urgent
                } else {
                    Priority::Ordinary
                };
                let ticket = self.limits.enqueue(now, self.lanes[lane], priority);
                self.waiting.insert(ticket, call);
                let lane = &mut self.model.lanes[lane];
                if urgent {
                    &mut lane.urgent
                } else {
                    &mut lane.ordinary
                }
                .push_back(call);
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
                    self.limits.return_unsent(permit);
                    self.model.end(lane, false);
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
            self.limits.finish(permit, now);
            self.model.end(self.asked[call].0, true);
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
        24 => (0..LANES.len(), prop::bool::weighted(0.3), prop_oneof![1 => Just(0u64), 8 => 1u64..200])
            .prop_map(|(lane, urgent, ends_after)| Act::Ask { lane, urgent, ends_after }),
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
