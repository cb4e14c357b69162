//! Which part of the log nobody needs any more.

use std::time::Duration;

use super::exchange::Output;
use super::{Node, Role};
use crate::boot_time::BootTime;

/// Between two times that a leader says so.
const TRIM_EVERY: Duration = Duration::from_secs(60);

impl Node {
    /// Says which part of the log nobody needs, when it is time. A node that was removed needs nothing; one that
    /// is out reads its way on from where it stands, and so does one that is about to join.
    pub(super) fn trim(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        if now < leading.trim_next {
            return;
        }
        leading.trim_next = now + TRIM_EVERY;
        let (mark, me) = (&self.applied, &self.options.id);
        let others = mark.members.iter().filter(|(node, _)| *node != me);
        let needed = others.filter(|(node, _)| !mark.is_removed(node));
        let applied = needed.map(|(node, member)| leading.applied_by(node, member));
        let joining = leading.joining.iter();
        let joining = joining.filter(|(node, it)| it.is_near(mark) && !mark.is_removed(node));
        let joining = joining.map(|(_, it)| it.beat.applied);
        let least = applied.chain(joining).chain([mark.number]).min();
        let least = least.unwrap_or_default();
        if let Some(sequence) = self.places.of(least) {
            out.push(Output::Trim(sequence));
        }
    }
}
