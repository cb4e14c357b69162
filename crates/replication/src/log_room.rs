//! How much room the log has for requests, as its leader knows.

use recant_jetstream::Fill;

/// One part in so many of the log is left by additions: for what erases, and what is said of that.
const FOR_ERASURES: u64 = 16;

/// One part in so many is left by all requests, for what keeps nodes together: a leader that can say nothing
/// any more is none.
const FOR_NODES: u64 = 32;

/// What keeps nodes together takes no more than this.
const SHORT: u64 = 4 * 1024;

/// What is known of the room. Before the first look nothing is.
#[derive(Debug, Default)]
pub(crate) struct LogRoom {
    fill: Option<Fill>,
    /// Bytes that were sent to the log since the last look was asked for, and before that.
    sent: u64,
    sent_before: u64,
    /// Whether there was no room for something since.
    was_refused: bool,
}

impl LogRoom {
    /// A look is asked for.
    pub(crate) fn look(&mut self) {
        self.sent_before = self.sent;
    }

    /// What came of the look. What was sent while it was under way may or may not be in it.
    pub(crate) fn looked(&mut self, fill: Fill) {
        self.sent -= self.sent_before.min(self.sent);
        self.sent_before = 0;
        self.fill = Some(fill);
        self.was_refused = false;
    }

    /// Whether there is room for requests, additions or those that erase, however long they are.
    pub(crate) fn has_room(&self, erases: bool) -> bool {
        let left = if erases { FOR_NODES } else { FOR_ERASURES };
        self.is_within(left, 0) && (erases || !self.was_refused)
    }

    /// Whether an entry may be sent to the log. So it is counted.
    pub(crate) fn takes(&mut self, bytes: u64) -> bool {
        let takes = bytes <= SHORT || self.is_within(FOR_NODES, bytes);
        if takes {
            self.sent += bytes;
        }
        takes
    }

    /// There was no room for an entry: there is none for additions before the next look, whatever short
    /// entries find room.
    pub(crate) fn refused(&mut self) {
        self.was_refused = true;
    }

    /// Bytes of the log, by the last look.
    pub(crate) fn bytes(&self) -> u64 {
        self.fill.map_or(0, |fill| fill.bytes)
    }

    fn is_within(&self, left: u64, more: u64) -> bool {
        self.fill.is_none_or(|Fill { bytes, bytes_max }| {
            let taken = bytes.saturating_add(self.sent).saturating_add(more);
            taken <= bytes_max - bytes_max / left
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 32 << 20;
    const PART: u64 = MAX / FOR_NODES;

    /// A log of which so many 32nds are taken.
    fn room(parts: u64) -> LogRoom {
        let mut room = LogRoom::default();
        look(&mut room, parts);
        room
    }

    fn look(room: &mut LogRoom, parts: u64) {
        room.looked(Fill {
            bytes: parts * PART,
            bytes_max: MAX,
        });
    }

    #[test]
    fn additions_end_before_erasures_and_both_before_what_keeps_nodes_together() {
        let mut room = room(29);
        assert!(room.has_room(false) && room.takes(PART) && room.has_room(false));
        assert!(room.takes(PART));
        assert!(!room.has_room(false) && room.has_room(true));
        assert!(!room.takes(SHORT + 1) && room.takes(SHORT));
        assert!(!room.has_room(true));
    }

    #[test]
    fn an_entry_longer_than_what_is_left_is_not_sent() {
        let mut room = room(20);
        assert!(!room.takes(11 * PART + 1) && room.takes(11 * PART));
        // Before anything is known the log itself says so.
        assert!(LogRoom::default().takes(1 << 40));
    }

    #[test]
    fn what_was_refused_is_over_with_the_next_look_alone() {
        let mut room = room(1);
        room.refused();
        assert!(room.takes(10) && !room.has_room(false) && room.has_room(true));
        look(&mut room, 1);
        assert!(room.has_room(false));
    }

    #[test]
    fn what_was_sent_during_a_look_counts_beside_it() {
        let mut room = room(10);
        assert!(room.takes(10 * PART));
        room.look();
        assert!(room.takes(5 * PART));
        look(&mut room, 20);
        assert!(!room.takes(6 * PART + 1) && room.takes(6 * PART));
    }
}
