//! Frozen state to text: what Prometheus reads, a chunk at a time.
//!
//! A fleet's label text was escaped and rendered when the fleet was built, so that a sample of a
//! client is two copies and a value. A million clients are hundreds of megabytes of text, which
//! is never in memory as a whole: [`ScrapeText::fill`] goes on where the chunk before ended.
//!
//! The format is the text format 0.0.4 (page "Exposition formats"). Each family stands in one
//! piece, across all instances; one that has no sample is left out, header included, as client
//! libraries do. Nothing of HTTP belongs here.

mod families;
mod probe;
mod samples;

use std::sync::Arc;

use families::{FAMILIES, Family};
pub use probe::{ProbeResult, probe_text};

use crate::presence::Snapshot;

/// How much text a chunk holds, give or take a line: enough to make a system call worth its cost,
/// little enough for the caches.
pub const CHUNK: usize = 64 * 1024;

/// One scrape's text, as far as it has been written.
#[derive(Debug)]
pub struct ScrapeText {
    frozen: Arc<Snapshot>,
    own: String,
    per_client: bool,
    next: Cursor,
}

/// What is to be written next.
#[derive(Debug, Default)]
struct Cursor {
    family: usize,
    /// Whether the header of the family has been written.
    begun: bool,
    instance: usize,
    /// The client or the group within the instance.
    item: usize,
    /// How much of the exporter's own text has been written.
    own: usize,
}

impl ScrapeText {
    /// The text of `frozen`, and after it the families in `own`, which is whole lines of this
    /// format ([`Metrics::gather_text`](crate::telemetry::Metrics::gather_text)). Without
    /// `per_client`, the families that have a series for each client are left out.
    #[must_use]
    pub fn new(frozen: Arc<Snapshot>, own: String, per_client: bool) -> Self {
        Self {
            frozen,
            own,
            per_client,
            next: Cursor::default(),
        }
    }

    /// Appends about [`CHUNK`] bytes to `buf`, always whole lines. `false` once there is nothing
    /// more, when nothing was appended.
    pub fn fill(&mut self, buf: &mut Vec<u8>) -> bool {
        self.fill_up(buf, CHUNK)
    }

    fn fill_up(&mut self, buf: &mut Vec<u8>, size: usize) -> bool {
        let start = buf.len();
        let full = start + size;
        while let Some(family) = FAMILIES.get(self.next.family) {
            if self.per_client || !family.is_per_client() {
                self.fill_family(family, buf, full);
                if buf.len() >= full {
                    return true;
                }
            }
            self.next = Cursor {
                family: self.next.family + 1,
                ..Cursor::default()
            };
        }
        self.fill_own(buf, full);
        buf.len() > start
    }

    /// Goes on with a family until it ends or `buf` is full.
    fn fill_family(&mut self, family: &'static Family, buf: &mut Vec<u8>, full: usize) {
        while let Some(instance) = self.frozen.instances.get(self.next.instance) {
            let mut lines = family.lines(&mut self.next.begun, buf, full);
            if let Some(item) = family.write(instance, self.next.item, &mut lines) {
                self.next.item = item;
                return;
            }
            self.next.instance += 1;
            self.next.item = 0;
        }
    }

    /// Goes on with the exporter's own text.
    fn fill_own(&mut self, buf: &mut Vec<u8>, full: usize) {
        let rest = &self.own.as_bytes()[self.next.own..];
        let room = full - buf.len();
        let end = if rest.len() <= room {
            rest.len()
        } else {
            let is_end = |byte: &u8| *byte == b'\n';
            let last = rest[..room]
                .iter()
                .rposition(is_end)
                .or_else(|| rest.iter().position(is_end));
            last.map_or(rest.len(), |at| at + 1)
        };
        buf.extend_from_slice(&rest[..end]);
        self.next.own += end;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::presence::{FleetBuilder, InstanceId, InstanceState, Observation, Operation};

    const OWN: &str = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";

    /// Instances with so many clients each, every other one online.
    fn frozen(clients: &[usize]) -> Arc<Snapshot> {
        let at = Timestamp::from_millis(1_700_000_000_123);
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
                        operation: Operation::Single,
                    },
                );
            }
            state.snapshot(at)
        };
        Arc::new(Snapshot {
            at,
            instances: clients.iter().enumerate().map(instance).collect(),
        })
    }

    fn chunks(frozen: &Arc<Snapshot>, own: &str, per_client: bool, size: usize) -> Vec<String> {
        let mut exposition = ScrapeText::new(Arc::clone(frozen), own.into(), per_client);
        let mut chunks = Vec::new();
        let mut buf = Vec::new();
        while exposition.fill_up(&mut buf, size) {
            chunks.push(String::from_utf8(std::mem::take(&mut buf)).expect("text"));
        }
        assert!(
            buf.is_empty() && !exposition.fill_up(&mut buf, size),
            "the end is the end"
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
            let (frozen, own) = (frozen(&clients), OWN.repeat(own));
            let whole = chunks(&frozen, &own, per_client, usize::MAX / 2);
            prop_assert!(whole.len() <= 1);
            let parts = chunks(&frozen, &own, per_client, size);
            for part in &parts {
                // No line is longer than a kilobyte here, header included.
                prop_assert!(part.ends_with('\n') && part.len() < size + 1000, "{part}");
            }
            prop_assert_eq!(parts.concat(), whole.concat());
        }
    }

    #[test]
    fn a_chunk_is_appended_to_what_is_there() {
        let mut exposition = ScrapeText::new(frozen(&[1]), OWN.into(), true);
        let mut buf = vec![b'\n'; 2 * CHUNK];
        assert!(exposition.fill(&mut buf));
        assert!(buf.ends_with(OWN.as_bytes()) && buf.len() > 2 * CHUNK + OWN.len());
        assert!(!exposition.fill(&mut buf));
    }

    #[test]
    fn without_series_for_each_client_the_rest_is_the_same() {
        let all = chunks(&frozen(&[3, 2]), OWN, true, CHUNK).concat();
        let fewer = chunks(&frozen(&[3, 2]), OWN, false, CHUNK).concat();
        assert!(!fewer.contains("client_id"), "{fewer}");
        assert!(all.ends_with(&fewer));
        assert!(
            all[..all.len() - fewer.len()]
                .lines()
                .all(|line| line.contains("mqtt_presence_client_"))
        );
    }
}
