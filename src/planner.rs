//! What a configuration costs, in time and in calls: pure arithmetic, before any call is made.

mod check;
mod plan;
#[cfg(test)]
mod tests;
mod timing;

pub use plan::{InstancePlan, Outlook, Plan, USUAL_INTERVALS, shown};
