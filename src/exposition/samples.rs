//! Samples as lines of the text format.

use std::fmt::Display;
use std::io::Write;

use crate::clock::Timestamp;
use crate::telemetry::Metric;

/// The start of the line of a client: `NAME{client_id="`.
///
/// The whole array is copied and the copy truncated: a copy of a fixed size is a few
/// instructions, a copy of a variable size is a function call.
pub(super) struct Opening {
    pub(super) metric: &'static Metric,
    bytes: [u8; 72],
    len: usize,
}

impl Opening {
    pub(super) const fn new(metric: &'static Metric) -> Self {
        const LABEL: &[u8] = b"{client_id=\"";
        let name = metric.name;
        let mut bytes = [0; 72];
        let (head, rest) = bytes.split_at_mut(name.len());
        head.copy_from_slice(name.as_bytes());
        rest.split_at_mut(LABEL.len()).0.copy_from_slice(LABEL);
        Self {
            metric,
            bytes,
            len: name.len() + LABEL.len(),
        }
    }
}

/// Appends the samples of one family to a chunk.
pub(super) struct SampleWriter<'a> {
    pub(super) opening: &'static Opening,
    /// Whether the header has been written.
    pub(super) begun: &'a mut bool,
    pub(super) buf: &'a mut Vec<u8>,
    /// The size at which `buf` is full, in bytes.
    pub(super) full: usize,
}

impl SampleWriter<'_> {
    /// Whether the chunk is full.
    pub(super) fn is_full(&self) -> bool {
        self.buf.len() >= self.full
    }

    /// Writes a sample with these labels.
    pub(super) fn sample(&mut self, labels: impl Display, value: impl Display) {
        self.begin();
        let name = self.opening.metric.name;
        writeln!(self.buf, "{name}{{{labels}}} {value}").expect("writing to a Vec does not fail");
    }

    /// Writes a sample of one client, 1 or 0. `labels` are those of the fleet, which begin with the
    /// client ID.
    pub(super) fn client_flag(&mut self, labels: &str, value: bool) {
        self.client(labels);
        self.buf
            .extend_from_slice(if value { b"} 1\n" } else { b"} 0\n" });
    }

    /// Writes a sample of one client, a time in seconds.
    pub(super) fn client_time(&mut self, labels: &str, value: Timestamp) {
        self.client(labels);
        if let Some(tail) = tail(value) {
            self.buf.extend_from_slice(&tail);
        } else {
            let millis = value.as_millis();
            writeln!(self.buf, "}} {}.{:03}", millis / 1000, millis % 1000)
                .expect("writing to a Vec does not fail");
        }
    }

    fn client(&mut self, labels: &str) {
        self.begin();
        let end = self.buf.len() + self.opening.len;
        self.buf.extend_from_slice(&self.opening.bytes);
        self.buf.truncate(end);
        self.buf.extend_from_slice(labels.as_bytes());
    }

    fn begin(&mut self) {
        if !*self.begun {
            *self.begun = true;
            self.buf
                .extend_from_slice(self.opening.metric.header().as_bytes());
        }
    }
}

/// The end of a line with `time`, in seconds.
///
/// Integer arithmetic for each pair of digits: a loop that divides, or `f64`, takes longer than
/// the rest of the line. `None` if the seconds do not have ten digits, which they have from 2001
/// to 2286.
fn tail(time: Timestamp) -> Option<[u8; 17]> {
    let (seconds, millis) = (time.as_millis() / 1000, time.as_millis() % 1000);
    if !(1_000_000_000..10_000_000_000).contains(&seconds) {
        return None;
    }
    let mut tail = *b"} ssssssssss.mmm\n";
    let mut put = |at: usize, pair: u64| {
        let [tens, ones] = PAIRS[(pair % 100) as usize];
        tail[at] = tens;
        tail[at + 1] = ones;
    };
    put(2, seconds / 100_000_000);
    put(4, seconds / 1_000_000);
    put(6, seconds / 10_000);
    put(8, seconds / 100);
    put(10, seconds);
    put(12, millis / 100);
    put(14, millis);
    tail[12] = b'.';
    Some(tail)
}

/// `00` to `99`: division by 100 takes half the steps of division by 10.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0_u8;
    while n < 100 {
        pairs[n as usize] = [b'0' + n / 10, b'0' + n % 10];
        n += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::table::STATE;

    fn line(time: Timestamp) -> String {
        static OPENING: Opening = Opening::new(&STATE.client_online);
        let (mut begun, mut buf) = (true, Vec::new());
        let mut out = SampleWriter {
            opening: &OPENING,
            begun: &mut begun,
            buf: &mut buf,
            full: usize::MAX,
        };
        out.client_time("x\"", time);
        String::from_utf8(buf).expect("text")
    }

    proptest! {
        #[test]
        fn a_time_is_written_to_the_millisecond(millis in prop_oneof![
            any::<u64>(),
            1_000_000_000_000_u64..10_000_000_000_000,
            999_999_999_990_u64..1_000_000_000_010,
            9_999_999_999_990_u64..10_000_000_000_010,
        ]) {
            let expected = format!("mqtt_presence_client_online{{client_id=\"x\"}} {}.{:03}\n", millis / 1000, millis % 1000);
            prop_assert_eq!(line(Timestamp::from_millis(millis)), expected);
        }
    }
}
