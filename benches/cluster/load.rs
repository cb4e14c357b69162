//! What many callers came to, and what it took.

use std::time::Instant;

use crate::node::Node;
use crate::support::table::Times;

/// What callers were answered.
#[derive(Default)]
pub struct Answers {
    /// What was accepted: erasures, or pairs.
    pub accepted: usize,
    /// Requests that were not.
    pub refused: usize,
    /// Until those that were had their answer.
    pub times: Times,
}

/// Answers, and how long they took together.
pub struct Load {
    accepted: usize,
    seconds: f64,
    /// Seconds of each machine's processor.
    processor: Vec<f64>,
    /// Requests that were not accepted.
    pub refused: usize,
    /// Until those that were had their answer.
    pub times: Times,
}

impl Load {
    /// Has callers call these machines.
    pub fn of(nodes: &[Node], callers: impl FnOnce() -> Answers) -> Self {
        let before: Vec<_> = nodes.iter().map(Node::processor_seconds).collect();
        let started = Instant::now();
        let answers = callers();
        let seconds = started.elapsed().as_secs_f64();
        let processor = nodes.iter().zip(before);
        let processor = processor.map(|(node, before)| node.processor_seconds() - before);
        Self {
            accepted: answers.accepted,
            seconds,
            processor: processor.collect(),
            refused: answers.refused,
            times: answers.times,
        }
    }

    /// How much was accepted a second.
    pub fn per_second(&self, unit: &str) -> String {
        format!("{:.0}{unit}", self.accepted as f64 / self.seconds)
    }

    /// Processor time of each machine for each that was accepted, learning included.
    pub fn processor(&self) -> String {
        let each = self.processor.iter();
        let each = each.map(|seconds| format!("{:.0}", seconds * 1e6 / self.accepted as f64));
        format!("{} µs", each.collect::<Vec<_>>().join(" + "))
    }
}
