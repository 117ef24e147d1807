//! The promises, over any run.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::world::{Act, Ask, Call, World, any_script, any_specs, quiet_script, through};
use super::*;
use crate::limits::rate::CALL;

/// Checks that in no second more calls arrive than the layer had slots when the last of them was
/// granted. (The last in the order of the grants: `calls` are in that order.)
fn check_arrivals(calls: &[Call], layer: usize) -> Result<(), TestCaseError> {
    let mut arrivals: Vec<(Time, usize, usize)> = through(calls, layer)
        .enumerate()
        .filter(|(_, call)| !call.ask.unsent)
        .map(|(order, call)| (call.arrives, order, call.slots[layer]))
        .collect();
    arrivals.sort_unstable();
    let mut second = VecDeque::new();
    for arrival in arrivals {
        second.push_back(arrival);
        while second
            .front()
            .is_some_and(|first| arrival.0.since(first.0) >= SECOND)
        {
            second.pop_front();
        }
        let (_, _, slots) = second
            .iter()
            .max_by_key(|(_, order, _)| order)
            .expect("there is one");
        prop_assert!(
            second.len() <= *slots,
            "{} arrivals for {slots} slots: {second:?}",
            second.len()
        );
    }
    Ok(())
}

proptest! {
    /// The promise on which everything rests.
    #[test]
    fn no_second_sees_more_arrivals_than_slots(specs in any_specs(), script in any_script()) {
        let calls = World::run(&specs, Time::START, script);
        for layer in 0..LAYERS.len() {
            check_arrivals(&calls, layer)?;
        }
    }

    /// In the worst case for the slots, pace out of the way, every layer is full all the time.
    #[test]
    fn not_even_with_nothing_but_slots(slots in prop::collection::vec(1usize..8, LAYERS.len()), script in any_script()) {
        let specs: Vec<_> = slots.into_iter().map(|slots| LayerSpec { slots, ..wide() }).collect();
        let script = script.into_iter().filter(|(_, act)| matches!(act, Act::Ask(_) | Act::Stall(_))).collect();
        let calls = World::run(&specs, Time::START, script);
        for layer in 0..LAYERS.len() {
            check_arrivals(&calls, layer)?;
        }
    }

    #[test]
    fn what_leaves_is_never_more_than_the_rate_and_a_burst(specs in any_specs(), script in quiet_script()) {
        let calls = World::run(&specs, Time::START, script);
        for (layer, spec) in specs.iter().enumerate() {
            let sent: Vec<Time> = through(&calls, layer).map(|call| call.granted).collect();
            for (first, from) in sent.iter().enumerate() {
                for (last, to) in sent.iter().enumerate().skip(first) {
                    let beyond_burst = (last + 1 - first).saturating_sub(spec.burst as usize);
                    prop_assert!(beyond_burst as u128 * CALL <= spec.rate.over(to.since(*from)));
                }
            }
        }
    }

    #[test]
    fn nothing_leaves_before_the_layers_open(specs in any_specs(), script in any_script(), opens_at in 0u64..3_000) {
        let calls = World::run(&specs, at(opens_at), script);
        prop_assert!(calls.iter().all(|call| call.granted >= at(opens_at)));
    }

    /// Nobody is served twice while another waits who could go.
    #[test]
    fn turns_are_taken_one_by_one(spec in any_spec(100_000), script in quiet_script()) {
        let specs: Vec<_> = (0..LAYERS.len()).map(|layer| if layer == 0 { spec } else { wide() }).collect();
        let script = script.into_iter().map(|(pause, act)| (pause, match act {
            Act::Ask(ask) => Act::Ask(Ask { priority: Priority::Ordinary, ..ask }),
            act => act,
        })).collect();
        let calls = World::run(&specs, Time::START, script);
        let calls: Vec<_> = through(&calls, 0).collect();
        for (nth, call) in calls.iter().enumerate() {
            // Since when it was this call's turn to wait: since it came and its lane's last call went.
            let lane_before = calls[..nth].iter().rposition(|other| other.ask.lane == call.ask.lane);
            let meanwhile = calls[lane_before.map_or(0, |at| at + 1)..nth].iter().filter(|other| other.granted > call.asked);
            let mut served = [0; LANES.len()];
            meanwhile.for_each(|other| served[other.ask.lane] += 1);
            prop_assert!(served.iter().all(|times| *times <= 1), "{served:?} before {call:?}");
        }
    }

    /// With more of everything waiting than can go: what overtakes is a tenth, what does not is
    /// the rest, and both use all of the rate.
    #[test]
    fn overtaking_takes_a_tenth_and_leaves_the_rest(rate in 10u32..300, burst in 1u32..40, lanes in 1usize..5) {
        let mut limits = LayerTree::default();
        let place = answering(&mut limits);
        let layer = limits.add_layer(None, &paced(rate, burst), Time::START);
        let mut waiting = HashMap::new();
        for _ in 0..lanes {
            let lane = limits.add_lane(layer, place);
            for priority in [Priority::Urgent, Priority::Ordinary] {
                let ticket = limits.enqueue(Time::START, lane, priority);
                waiting.insert(ticket, (lane, priority));
            }
        }
        let (seconds, mut now, mut urgent, mut ordinary) = (5, Time::START, Vec::new(), 0);
        while now < at(u64::from(seconds) * 1_000) {
            let advance = limits.advance(now);
            for (ticket, _permit) in advance.granted {
                let (lane, priority) = waiting.remove(&ticket).expect("it waited");
                match priority {
                    Priority::Urgent => urgent.push(now),
                    _ => ordinary += 1,
                }
                let ticket = limits.enqueue(now, lane, priority);
                waiting.insert(ticket, (lane, priority));
            }
            now = advance.next.unwrap_or(now);
        }
        let whole = |from: Time, to: Time| Rate::per_second(rate).over(to.since(from)) + u128::from(burst.max(10)) * CALL;
        for (first, from) in urgent.iter().enumerate() {
            for (last, to) in urgent.iter().enumerate().skip(first) {
                prop_assert!(10 * (last + 1 - first) as u128 * CALL <= whole(*from, *to));
            }
        }
        let all = rate * seconds;
        // An overtaking that comes a nanosecond too early for its tenth waits for the next turn.
        prop_assert!(11 * (urgent.len() + 1) >= all as usize, "{} of {all} were urgent", urgent.len());
        prop_assert!(10 * ordinary >= 9 * all - 10, "{ordinary} of {all} were ordinary");
    }
}
