//! The rules one by one, each in the smallest case that shows it.

use super::*;
use crate::limits::Permit;

/// Limits of one layer with one lane.
fn single(spec: &LayerSpec) -> (LayerTree, LayerId, LaneId) {
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let layer = limits.add_layer(None, spec, Time::START);
    let lane = limits.add_lane(layer, place);
    (limits, layer, lane)
}

fn ask(limits: &mut LayerTree, now: Time, lane: LaneId) -> Ticket {
    limits.enqueue(now, lane, Priority::Ordinary)
}

/// Asks `times` times, and says when each was granted. Nothing ever ends.
fn grants(limits: &mut LayerTree, mut now: Time, lane: LaneId, times: usize) -> Vec<Time> {
    for _ in 0..times {
        ask(limits, now, lane);
    }
    let mut granted = Vec::new();
    while granted.len() < times {
        let advance = limits.advance(now);
        granted.extend(advance.granted.iter().map(|(_, permit)| permit.granted_at));
        let Some(next) = advance.next else { break };
        now = next;
    }
    granted
}

fn permit(limits: &mut LayerTree, now: Time, lane: LaneId) -> Option<Permit> {
    let ticket = ask(limits, now, lane);
    let granted = limits.advance(now).granted.pop().map(|(_, permit)| permit);
    if granted.is_none() {
        assert!(limits.cancel(ticket));
    }
    granted
}

#[test]
fn the_first_call_leaves_when_the_layer_opens_and_no_burst_is_saved_up() {
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let layer = limits.add_layer(None, &paced(10, 5), at(1_000));
    let lane = limits.add_lane(layer, place);
    assert_eq!(
        grants(&mut limits, at(0), lane, 3),
        [at(1_000), at(1_100), at(1_200)]
    );
}

#[test]
fn a_pause_earns_a_burst_and_no_more() {
    let (mut limits, _, lane) = single(&paced(10, 3));
    assert_eq!(
        grants(&mut limits, at(60_000), lane, 4),
        [at(60_000), at(60_000), at(60_000), at(60_100)]
    );
}

#[test]
fn a_slot_is_held_until_a_second_after_the_end() {
    let (mut limits, _, lane) = single(&LayerSpec { slots: 1, ..wide() });
    let first = permit(&mut limits, at(0), lane).expect("the slot is free");
    ask(&mut limits, at(0), lane);
    let waits = limits.advance(at(60_000));
    assert!(waits.granted.is_empty());
    assert_eq!(waits.next, None, "only the end of the first can help");
    limits.finish(first, Outcome::Answered, at(60_000));
    assert_eq!(limits.advance(at(60_000)).next, Some(at(61_000)));
    assert_eq!(limits.advance(at(61_000)).granted.len(), 1);
}

#[test]
fn a_place_in_flight_is_free_at_the_end() {
    let (mut limits, _, lane) = single(&LayerSpec {
        in_flight: 1,
        ..wide()
    });
    let first = permit(&mut limits, at(0), lane).expect("the place is free");
    assert!(permit(&mut limits, at(5), lane).is_none());
    limits.finish(first, Outcome::Answered, at(10));
    assert!(permit(&mut limits, at(10), lane).is_some());
}

#[test]
fn what_was_not_sent_holds_no_slot() {
    let (mut limits, _, lane) = single(&LayerSpec {
        slots: 1,
        in_flight: 1,
        ..wide()
    });
    let first = permit(&mut limits, at(0), lane).expect("the slot is free");
    limits.finish(first, Outcome::Unused, at(0));
    assert!(permit(&mut limits, at(1), lane).is_some());
}

#[test]
fn what_is_held_back_by_one_layer_takes_nothing_from_the_others() {
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let ip = limits.add_layer(None, &LayerSpec { slots: 2, ..wide() }, Time::START);
    let full = limits.add_layer(Some(ip), &LayerSpec { slots: 1, ..wide() }, Time::START);
    let (held_back, free) = (limits.add_lane(full, place), limits.add_lane(ip, place));
    assert!(permit(&mut limits, at(1), held_back).is_some());
    for _ in 0..10 {
        ask(&mut limits, at(2), held_back);
    }
    assert!(limits.advance(at(2)).granted.is_empty());
    assert!(
        permit(&mut limits, at(3), free).is_some(),
        "the second slot is there"
    );
    assert!(
        permit(&mut limits, at(4), free).is_none(),
        "and there is no third"
    );
}

/// Three instances, one of them slow: it gets its own rate, the others share what it leaves.
#[test]
fn no_lane_is_in_the_way_of_another() {
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let ip = limits.add_layer(None, &paced(100, 1), Time::START);
    let slow = limits.add_layer(Some(ip), &paced(10, 1), Time::START);
    let lanes = [
        limits.add_lane(slow, place),
        limits.add_lane(ip, place),
        limits.add_lane(ip, place),
    ];
    let mut tickets: Vec<Vec<Ticket>> = Vec::new();
    for lane in lanes {
        tickets.push((0..1_000).map(|_| ask(&mut limits, at(0), lane)).collect());
    }
    let mut served = [0; 3];
    let mut now = at(0);
    while now < at(10_000) {
        let advance = limits.advance(now);
        for (ticket, _) in advance.granted {
            let lane = tickets
                .iter()
                .position(|tickets| tickets.contains(&ticket))
                .expect("one of them");
            served[lane] += 1;
        }
        now = advance.next.expect("more waits");
    }
    assert_eq!(
        served.iter().sum::<i32>(),
        1_000,
        "none of the rate is lost"
    );
    assert!((99..=100).contains(&served[0]), "{served:?}");
    assert!(served[1].abs_diff(served[2]) <= 1, "{served:?}");
}

/// Thousands of instances, most of them closed most of the time, and all served in turn.
#[test]
fn thousands_of_lanes_take_turns() {
    const LANES: usize = 5_000;
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let ip = limits.add_layer(None, &paced(220, 11), Time::START);
    let mut lane_of = std::collections::HashMap::new();
    for number in 0..LANES {
        let instance = limits.add_layer(Some(ip), &paced(1, 1), Time::START);
        let lane = limits.add_lane(instance, place);
        for _ in 0..2 {
            lane_of.insert(ask(&mut limits, at(0), lane), number);
        }
    }
    let (mut order, mut now) = (Vec::new(), at(0));
    while order.len() < 2 * LANES {
        let advance = limits.advance(now);
        order.extend(advance.granted.iter().map(|(ticket, _)| lane_of[ticket]));
        now = advance.next.unwrap_or(now);
    }
    let twice: Vec<usize> = (0..LANES).chain(0..LANES).collect();
    assert_eq!(order, twice);
}

#[test]
fn a_lane_that_is_alone_gives_its_ordinary_tickets_nine_tenths() {
    let (mut limits, _, lane) = single(&paced(100, 1));
    let mut urgent = std::collections::HashSet::new();
    for _ in 0..1_000 {
        urgent.insert(limits.enqueue(at(0), lane, Priority::Urgent));
        ask(&mut limits, at(0), lane);
    }
    let (mut order, mut now) = (Vec::new(), at(0));
    while order.len() < 100 {
        let advance = limits.advance(now);
        order.extend(
            advance
                .granted
                .iter()
                .map(|(ticket, _)| urgent.contains(ticket)),
        );
        now = advance.next.expect("more waits");
    }
    assert!(order[0], "an urgent one first");
    assert_eq!(order.iter().filter(|urgent| **urgent).count(), 10);
}

#[test]
fn urgent_calls_use_the_whole_rate_where_nothing_else_wants_it() {
    let (mut limits, _, lane) = single(&paced(100, 1));
    for _ in 0..100 {
        limits.enqueue(at(0), lane, Priority::Urgent);
    }
    let (mut granted, mut now) = (0, at(0));
    while now < at(995) {
        let advance = limits.advance(now);
        granted += advance.granted.len();
        now = advance.next.unwrap_or(at(995));
    }
    assert_eq!(granted, 100);
}

#[test]
fn an_urgent_call_does_not_wait_for_the_queue() {
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let layer = limits.add_layer(None, &paced(10, 1), Time::START);
    let (busy, other) = (limits.add_lane(layer, place), limits.add_lane(layer, place));
    for _ in 0..1_000 {
        ask(&mut limits, at(0), busy);
    }
    assert_eq!(limits.advance(at(0)).granted.len(), 1);
    let probe = limits.enqueue(at(50), other, Priority::Urgent);
    let next = limits.advance(at(50)).next.expect("calls wait");
    assert_eq!(limits.advance(next).granted[0].0, probe);
}

#[test]
fn another_configured_rate_keeps_slots_and_pace() {
    let (mut limits, layer, lane) = single(&LayerSpec {
        slots: 2,
        ..paced(1, 1)
    });
    let first = permit(&mut limits, at(0), lane).expect("open");
    let second = permit(&mut limits, at(1_000), lane).expect("open");
    limits.reconfigure(
        layer,
        &LayerSpec {
            slots: 1,
            ..paced(1, 1)
        },
        at(1_000),
    );
    limits.finish(first, Outcome::Answered, at(1_000));
    ask(&mut limits, at(5_000), lane);
    assert!(
        limits.advance(at(5_000)).granted.is_empty(),
        "the second still holds the one slot"
    );
    limits.finish(second, Outcome::Answered, at(5_000));
    assert_eq!(limits.advance(at(5_000)).next, Some(at(6_000)));

    let (mut limits, layer, lane) = single(&paced(1, 1));
    assert!(permit(&mut limits, at(0), lane).is_some());
    limits.reconfigure(layer, &paced(2, 1), at(200));
    ask(&mut limits, at(200), lane);
    assert_eq!(
        limits.advance(at(200)).next,
        Some(at(600)),
        "four fifths of a call, at two a second"
    );
}

#[test]
fn a_service_is_left_alone_as_long_as_it_asks_but_not_for_ever() {
    for (asks, gets) in [(7, 7), (86_400, 300)] {
        let (mut limits, layer, lane) = single(&paced(100, 5));
        limits.throttled(layer, at(0), at(1_000), Some(Duration::from_secs(asks)));
        limits.throttled(layer, at(0), at(1_000), Some(Duration::from_secs(1)));
        ask(&mut limits, at(1_000), lane);
        assert_eq!(
            limits.advance(at(1_000)).next,
            Some(at(1_000 + gets * 1_000))
        );
    }
}

#[test]
fn a_wait_counts_to_the_layer_that_held_back_last() {
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let ip = limits.add_layer(None, &paced(10, 1), Time::START);
    let instance = limits.add_layer(Some(ip), &paced(5, 1), Time::START);
    let (inner, outer) = (limits.add_lane(instance, place), limits.add_lane(ip, place));
    let waited = |limits: &LayerTree| [ip, instance].map(|layer| limits.waited(layer).as_millis());
    assert!(permit(&mut limits, at(0), inner).is_some());
    assert_eq!(waited(&limits), [0, 0]);
    // Both are closed, the instance for longer.
    assert_eq!(grants(&mut limits, at(0), inner, 1), [at(200)]);
    assert_eq!(waited(&limits), [0, 200]);
    // The instance opens at 400 ms, but the address only at 450.
    assert!(permit(&mut limits, at(350), outer).is_some());
    assert_eq!(grants(&mut limits, at(370), inner, 1), [at(450)]);
    assert_eq!(waited(&limits), [80, 200]);
    // A process that comes late is not held back by anybody.
    ask(&mut limits, at(2_000), inner);
    assert_eq!(limits.advance(at(3_000)).granted.len(), 1);
    assert_eq!(waited(&limits), [80, 200]);
}

#[test]
fn time_that_goes_backwards_stands_still() {
    let (mut limits, _, lane) = single(&LayerSpec { slots: 1, ..wide() });
    let first = permit(&mut limits, at(5_000), lane).expect("open");
    limits.finish(first, Outcome::Answered, at(1_000));
    assert!(permit(&mut limits, at(2_000), lane).is_none());
    assert!(permit(&mut limits, at(5_999), lane).is_none());
    assert!(permit(&mut limits, at(6_000), lane).is_some());
}
