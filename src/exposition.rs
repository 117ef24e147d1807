//! Renders a snapshot in the text format of Prometheus, in chunks.
//!
//! The label text of a client is escaped and rendered when its fleet is built, so a sample of a
//! client is two copies and a value. The text of a million clients has hundreds of megabytes and
//! is never in memory as a whole: [`ScrapeText::fill`] continues where the previous chunk ended.
//!
//! The format is the text format 0.0.4 (page "Exposition formats"). Each family is contiguous
//! across all instances; a family without samples is left out, including its header, as in the
//! client libraries of Prometheus. HTTP does not belong here.

mod families;
mod probe;
mod samples;

use std::sync::Arc;

use families::FAMILIES;
pub use probe::probe_text;
use samples::SampleWriter;

use crate::presence::Snapshot;

/// The size of a chunk in bytes, plus at most one line: large enough for efficient system calls,
/// small enough for the CPU caches.
pub const CHUNK: usize = 64 * 1024;

/// The text of one scrape, and the position up to which it has been written.
#[derive(Debug)]
pub struct ScrapeText {
    snapshot: Arc<Snapshot>,
    own: String,
    per_client: bool,
    next: Cursor,
}

/// The next position.
#[derive(Debug, Default)]
struct Cursor {
    family: usize,
    /// Whether the header of the family has been written.
    begun: bool,
    instance: usize,
    /// The client or the group within the instance.
    item: usize,
    /// The number of bytes of the exporter's own text that have been written.
    own: usize,
}

impl ScrapeText {
    /// The text of `snapshot`, followed by the families in `own`, complete lines of this format
    /// ([`Metrics::gather_text`](crate::telemetry::Metrics::gather_text)). Without
    /// `per_client`, the families with a series for each client are left out.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, own: String, per_client: bool) -> Self {
        Self {
            snapshot,
            own,
            per_client,
            next: Cursor::default(),
        }
    }

    /// Appends about [`CHUNK`] bytes to `buf`, always complete lines. Returns `false` at the end of
    /// the text, if nothing was appended.
    pub fn fill(&mut self, buf: &mut Vec<u8>) -> bool {
        self.fill_up(buf, CHUNK)
    }

    fn fill_up(&mut self, buf: &mut Vec<u8>, size: usize) -> bool {
        let start = buf.len();
        let full = start + size;
        let next = &mut self.next;
        while let Some(family) = FAMILIES.get(next.family) {
            let is_included = self.per_client || !family.is_per_client();
            let instances = self.snapshot.instances.as_slice();
            let instances = if is_included { instances } else { &[] };
            let mut out = SampleWriter {
                opening: &family.opening,
                begun: &mut next.begun,
                buf,
                full,
            };
            let offset = self.snapshot.offset;
            while let Some(instance) = instances.get(next.instance) {
                if let Some(item) = family.write(instance, offset, next.item, &mut out) {
                    next.item = item;
                    return true;
                }
                next.instance += 1;
                next.item = 0;
            }
            *next = Cursor {
                family: next.family + 1,
                ..Cursor::default()
            };
        }
        for line in self.own[self.next.own..].split_inclusive('\n') {
            if buf.len() >= full {
                break;
            }
            buf.extend_from_slice(line.as_bytes());
            self.next.own += line.len();
        }
        buf.len() > start
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::{Moment, WallOffset};
    use crate::presence::{FleetBuilder, InstanceId, InstanceState, Observation, Operation};

    const OWN: &str = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";

    /// Instances with these numbers of clients, every other client online.
    fn snapshot(clients: &[usize]) -> Arc<Snapshot> {
        let at = Moment::from_micros(1_700_000_000_123_000);
        let instance = |(number, &clients): (usize, &usize)| {
            let names: Vec<_> = (0..clients)
                .map(|n| format!("GID_{}@@@{n}", n % 3))
                .collect();
            let mut fleet =
                FleetBuilder::new(InstanceId::new(&format!("post-cn-{number}")).expect("an ID"));
            for name in &names {
                fleet.push(name, []).expect("new");
            }
            let state = InstanceState::new(fleet.build(), Duration::from_secs(300));
            for name in names.iter().step_by(2) {
                state.publish(
                    name,
                    Observation {
                        online: true,
                        at,
                        answered: at,
                        operation: Operation::Single,
                    },
                );
            }
            state.snapshot(at)
        };
        Arc::new(Snapshot {
            at,
            offset: WallOffset::default(),
            instances: clients.iter().enumerate().map(instance).collect(),
        })
    }

    fn chunks(snapshot: &Arc<Snapshot>, own: &str, per_client: bool, size: usize) -> Vec<String> {
        let mut exposition = ScrapeText::new(Arc::clone(snapshot), own.into(), per_client);
        let mut chunks = Vec::new();
        let mut buf = Vec::new();
        while exposition.fill_up(&mut buf, size) {
            chunks.push(String::from_utf8(std::mem::take(&mut buf)).expect("text"));
        }
        assert!(
            buf.is_empty() && !exposition.fill_up(&mut buf, size),
            "nothing follows the end"
        );
        chunks
    }

    proptest! {
        #[test]
        fn chunks_of_any_size_make_the_same_text(
            clients in prop::collection::vec(0_usize..9, 0..4),
            own in 0_usize..4,
            per_client: bool,
            size in 1_usize..4000,
        ) {
            let (snapshot, own) = (snapshot(&clients), OWN.repeat(own));
            let whole = chunks(&snapshot, &own, per_client, usize::MAX / 2);
            prop_assert!(whole.len() <= 1);
            let parts = chunks(&snapshot, &own, per_client, size);
            for part in &parts {
                // Including the header, no line here is longer than a kilobyte.
                prop_assert!(part.ends_with('\n') && part.len() < size + 1000, "{part}");
            }
            prop_assert_eq!(parts.concat(), whole.concat());
        }
    }

    #[test]
    fn a_chunk_is_appended_to_the_buffer() {
        let mut exposition = ScrapeText::new(snapshot(&[1]), OWN.into(), true);
        let mut buf = vec![b'\n'; 2 * CHUNK];
        assert!(exposition.fill(&mut buf));
        assert!(buf.ends_with(OWN.as_bytes()) && buf.len() > 2 * CHUNK + OWN.len());
        assert!(!exposition.fill(&mut buf));
    }

    #[test]
    fn per_client_false_omits_only_client_series() {
        let all = chunks(&snapshot(&[3, 2]), OWN, true, CHUNK).concat();
        let fewer = chunks(&snapshot(&[3, 2]), OWN, false, CHUNK).concat();
        assert!(!fewer.contains("client_id"), "{fewer}");
        assert!(all.ends_with(&fewer));
        assert!(
            all[..all.len() - fewer.len()]
                .lines()
                .all(|line| line.contains("mqtt_presence_client_"))
        );
    }
}
