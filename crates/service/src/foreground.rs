//! How much of the machine answers take, so that work in the background can make room for them.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What an answer takes beside what is seen of it here: reading the request, writing the answer.
const AROUND_AN_ANSWER: Duration = Duration::from_micros(50);

/// Longest that work in the background goes on before it looks how much was answered meanwhile.
const TURN: Duration = Duration::from_millis(1);

/// Longest pause: a question in it, whether to go on at all, is not heard.
const PAUSE_MAX: Duration = Duration::from_millis(300);

/// A pause is at most so many times as long as the turn before it: however many ask, a tenth of the
/// time is left, and nothing is starved.
const PAUSE_TURNS_MAX: u32 = 9;

/// A pause is so many times as long as what the answers took meanwhile: they came one upon another.
const PAUSE_PER_ANSWERING: u32 = 10;

/// Pauses shorter than this are not worth waking up for.
const PAUSE_MIN: Duration = Duration::from_micros(100);

/// What answers have taken so far. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Foreground(Arc<AtomicU64>);

/// An answer under way; what it took counts when this is dropped.
#[derive(Debug)]
pub(crate) struct Answering<'a> {
    foreground: &'a Foreground,
    since: Instant,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let took = self.since.elapsed() + AROUND_AN_ANSWER;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.foreground.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// What a thread of the background has done since its last pause.
#[derive(Debug, Clone, Copy)]
struct Turn {
    since: Instant,
    /// What answers had taken when it began.
    taken: u64,
}

thread_local! {
    static TURN_OF_THREAD: Cell<Option<Turn>> = const { Cell::new(None) };
}

impl Foreground {
    /// An answer begins.
    pub(crate) fn answering(&self) -> Answering<'_> {
        Answering {
            foreground: self,
            since: Instant::now(),
        }
    }

    fn turn(&self) -> Turn {
        Turn {
            since: Instant::now(),
            taken: self.0.load(Ordering::Relaxed),
        }
    }

    /// To be called often by a thread of the background: pauses it as long as answers need.
    pub(crate) fn make_room(&self) {
        let Some(turn) = TURN_OF_THREAD.get() else {
            TURN_OF_THREAD.set(Some(self.turn()));
            return;
        };
        let ran = turn.since.elapsed();
        if ran < TURN {
            return;
        }
        let taken = self.0.load(Ordering::Relaxed).saturating_sub(turn.taken);
        let pause = pause(ran, Duration::from_nanos(taken));
        if pause >= PAUSE_MIN {
            std::thread::sleep(pause);
        }
        TURN_OF_THREAD.set(Some(self.turn()));
    }
}

/// The pause after a turn of length `ran` in which answers took `taken`.
fn pause(ran: Duration, taken: Duration) -> Duration {
    let most = (ran * PAUSE_TURNS_MAX).min(PAUSE_MAX);
    taken.saturating_mul(PAUSE_PER_ANSWERING).min(most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_is_no_longer_than_answers_need_and_leaves_a_tenth_of_the_time(
            ran in 0u64..1_000_000_000, taken in any::<u64>(),
        ) {
            let (ran, taken) = (Duration::from_nanos(ran), Duration::from_nanos(taken));
            let pause = pause(ran, taken);
            prop_assert!(pause <= 9 * ran);
            prop_assert!(pause <= taken.saturating_mul(10));
            prop_assert!(pause <= PAUSE_MAX);
        }
    }

    #[test]
    fn answers_are_added_up_with_what_is_around_them() {
        let foreground = Foreground::default();
        assert_eq!(pause(TURN, Duration::ZERO), Duration::ZERO);
        for _ in 0..3 {
            drop(foreground.answering());
        }
        let taken = Duration::from_nanos(foreground.turn().taken);
        assert!(taken >= 3 * AROUND_AN_ANSWER);
    }
}
