//! What a storm needs of an API: the fake one and the simulator have it.

use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::presence::PresenceSource;

use super::plan::Change;

/// An API and its devices.
pub(super) trait Stage: Send + Sync + 'static {
    /// The clock of the exporter.
    fn clock(&self) -> Clock;

    /// A source of an instance, as after a reload with other credentials.
    fn source(&self, instance: usize, call_timeout: Duration) -> Arc<dyn PresenceSource>;

    /// Where the calls of an instance go.
    fn place(&self, instance: usize) -> String;

    /// Whether a device is online now.
    fn is_online(&self, instance: usize, client: &str) -> bool;

    /// Connects or disconnects a device.
    fn flip(&self, instance: usize, client: &str);

    fn change(&self, change: &Change);

    /// Whether the API refuses a client.
    fn is_refused(&self, client: &str) -> bool;

    /// The most calls of each operation that arrived in any second.
    fn most_in_a_second(&self) -> [u64; 2];
}
