//! What the limits promise, shown on whole runs: a process, a network and a service in [`world`],
//! and the same rules told a second time, naively, in [`model`].

mod granted;
mod model;
mod places;
mod promises;
mod rules;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use super::{
    LaneId, LayerId, LayerSpec, LayerTree, Outcome, PlaceId, Priority, Rate, Ticket, Time,
};

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Time {
    Time::START + Duration::from_millis(millis)
}

/// A layer that never holds anything back.
fn wide() -> LayerSpec {
    LayerSpec {
        rate: Rate::per_second(1_000_000),
        burst: 1_000_000,
        slots: usize::MAX,
        trial_slots: 0,
        in_flight: usize::MAX,
    }
}

/// A place that has answered before.
fn answering(limits: &mut LayerTree) -> PlaceId {
    let place = limits.add_place();
    let layer = limits.add_layer(None, &wide(), Time::START);
    let lane = limits.add_lane(layer, place);
    limits.enqueue(Time::START, lane, Priority::Ordinary);
    let (_, permit) = limits.advance(Time::START).granted.remove(0);
    limits.finish(permit, Outcome::Answered, Time::START);
    place
}

/// A layer with only a pace.
fn paced(calls_per_second: u32, burst: u32) -> LayerSpec {
    LayerSpec {
        rate: Rate::per_second(calls_per_second),
        burst,
        ..wide()
    }
}

/// Layers of every kind, slow enough to be felt: up to `millicalls` thousandths of a call a second.
fn any_spec(millicalls: u64) -> impl Strategy<Value = LayerSpec> {
    let in_flight = prop_oneof![1usize..20, Just(usize::MAX)];
    (500..=millicalls, 1u32..25, 1usize..40, in_flight).prop_map(
        |(rate, burst, slots, in_flight)| LayerSpec {
            rate: Rate::from_millicalls(rate),
            burst,
            slots,
            trial_slots: 0,
            in_flight,
        },
    )
}

/// Layers as in a process with two operations, two accounts and two instances: for each the layer
/// above it.
const LAYERS: [Option<usize>; 6] = [None, Some(0), Some(0), Some(1), Some(1), None];

/// Lanes on every level: for each the layers that it passes.
const LANES: [&[usize]; 7] = [
    &[3, 1, 0],
    &[4, 1, 0],
    &[4, 1, 0],
    &[1, 0],
    &[2, 0],
    &[0],
    &[5],
];

/// The lanes and layers of [`LANES`] and [`LAYERS`], open from `opens_at` on.
fn limits(specs: &[LayerSpec], opens_at: Time) -> (LayerTree, Vec<LayerId>, Vec<LaneId>) {
    let mut limits = LayerTree::default();
    let place = answering(&mut limits);
    let mut layers: Vec<LayerId> = Vec::new();
    for (above, spec) in LAYERS.iter().zip(specs) {
        let above = above.map(|above| layers[above]);
        layers.push(limits.add_layer(above, spec, opens_at));
    }
    let lanes = LANES
        .iter()
        .map(|path| limits.add_lane(layers[path[0]], place))
        .collect();
    (limits, layers, lanes)
}
