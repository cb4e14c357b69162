//! What nodes said that they hold, and what follows of it.

use std::collections::BTreeMap;

use crate::entry::{BootId, NodeId, Slice};
use crate::messages::Digest;

/// Comparisons of which answers are remembered.
const REMEMBERED: usize = 16;

/// What is known of a node that holds something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It differs from the leader, and no majority says who is right.
    Undecided,
    /// It differs from most.
    Wrong,
}

/// What a leader knows of comparisons in its term.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// The part to compare next.
    pub(super) wanted: Option<Slice>,
    /// What nodes said, by the number of the entry that asked.
    said: BTreeMap<u64, BTreeMap<NodeId, (BootId, [u8; 16])>>,
    found: BTreeMap<NodeId, (BootId, Finding)>,
}

impl Checks {
    /// A node says what it holds.
    pub(super) fn note(&mut self, node: &NodeId, boot: BootId, digest: Digest) {
        for said in self.said.values_mut() {
            // A node that was started again may hold something else.
            said.retain(|of, (life, _)| of != node || *life == boot);
        }
        let said = self.said.entry(digest.number).or_default();
        said.insert(node.clone(), (boot, digest.sum));
        while self.said.len() > REMEMBERED {
            self.said.pop_first();
        }
    }

    /// What follows of `nodes` nodes, as far as it was not known.
    pub(super) fn judge(&mut self, me: &NodeId, nodes: usize) -> Vec<(NodeId, Finding)> {
        let own = self.said.iter().filter(|(_, said)| said.contains_key(me));
        let newest = own.map(|(number, _)| *number).max().unwrap_or_default();
        let mut news = Vec::new();
        for (number, said) in &self.said {
            let Some((_, own)) = said.get(me) else {
                continue;
            };
            let holding = |sum: &[u8; 16]| said.values().filter(|(_, it)| it == sum).count();
            let most = said.values().find(|(_, sum)| 2 * holding(sum) > nodes);
            for (node, (boot, sum)) in said {
                let finding = match most {
                    Some((_, most)) if sum != most => Finding::Wrong,
                    // Others may yet tell, until the next comparison.
                    None if sum != own && *number < newest => Finding::Undecided,
                    Some(_) | None => continue,
                };
                let known = self.found.get(node);
                if known.is_none_or(|(life, known)| life != boot || *known < finding) {
                    self.found.insert(node.clone(), (*boot, finding));
                    news.push((node.clone(), finding));
                }
            }
        }
        news
    }

    /// What is known of this life of a node.
    pub(super) fn finding(&self, node: &NodeId, boot: BootId) -> Option<Finding> {
        let (life, finding) = self.found.get(node)?;
        (*life == boot).then_some(*finding)
    }

    /// What a node said last.
    pub(super) fn last_of(&self, node: &NodeId) -> Option<Digest> {
        self.said.iter().rev().find_map(|(number, said)| {
            let (number, (_, sum)) = (*number, *said.get(node)?);
            Some(Digest { number, sum })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn node(name: &str) -> NodeId {
        NodeId(name.to_owned())
    }

    fn boot(life: u64) -> BootId {
        let process = Uuid::nil();
        BootId { life, process }
    }

    /// What nodes say of an entry, in order.
    fn say(checks: &mut Checks, number: u64, said: &[(&str, u8)]) {
        for (name, sum) in said {
            let sum = [*sum; 16];
            checks.note(&node(name), boot(1), Digest { number, sum });
        }
    }

    #[test]
    fn who_differs_from_most_is_wrong_whoever_leads() {
        let mut checks = Checks::default();
        say(&mut checks, 5, &[("a", 1), ("b", 2)]);
        assert_eq!(checks.judge(&node("a"), 3), []);
        say(&mut checks, 5, &[("c", 2)]);
        let found = checks.judge(&node("a"), 3);
        assert_eq!(found, [(node("a"), Finding::Wrong)]);
        assert_eq!(checks.finding(&node("b"), boot(1)), None);
        assert_eq!(checks.judge(&node("a"), 3), [], "it is known");

        let mut checks = Checks::default();
        say(&mut checks, 5, &[("a", 1), ("b", 2), ("c", 1)]);
        let found = checks.judge(&node("a"), 3);
        assert_eq!(found, [(node("b"), Finding::Wrong)]);
    }

    #[test]
    fn without_a_majority_nobody_is_wrong() {
        let mut checks = Checks::default();
        say(&mut checks, 5, &[("a", 1), ("b", 2)]);
        assert_eq!(checks.judge(&node("a"), 2), [], "others may yet tell");
        say(&mut checks, 7, &[("a", 3), ("b", 3)]);
        let found = checks.judge(&node("a"), 3);
        assert_eq!(found, [(node("b"), Finding::Undecided)]);
        // It is decided when a third one comes back and the part is compared again.
        say(&mut checks, 9, &[("a", 1), ("b", 2), ("c", 1)]);
        let found = checks.judge(&node("a"), 3);
        assert_eq!(found, [(node("b"), Finding::Wrong)]);
    }

    #[test]
    fn a_node_that_was_started_again_is_another() {
        let mut checks = Checks::default();
        say(&mut checks, 5, &[("a", 1), ("b", 2), ("c", 1)]);
        assert_eq!(checks.judge(&node("a"), 3).len(), 1);
        let (number, sum) = (7, [4; 16]);
        checks.note(&node("b"), boot(2), Digest { number, sum });
        say(&mut checks, 7, &[("a", 4), ("c", 4)]);
        assert_eq!(checks.judge(&node("a"), 3), []);
        assert_eq!(checks.finding(&node("b"), boot(2)), None);
        assert_eq!(checks.last_of(&node("b")), Some(Digest { number, sum }));
    }

    #[test]
    fn what_was_said_of_different_entries_is_not_compared() {
        let mut checks = Checks::default();
        for number in 0..100 {
            let sum = u8::try_from(number).expect("few");
            say(&mut checks, number, &[("a", sum)]);
            say(
                &mut checks,
                number.saturating_sub(1),
                &[("b", sum.saturating_sub(1))],
            );
            assert_eq!(checks.judge(&node("a"), 2), []);
        }
        assert!(checks.said.len() <= REMEMBERED);
    }
}
