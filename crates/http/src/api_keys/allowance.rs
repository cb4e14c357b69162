//! How many requests whoever calls may send.
//!
//! Each allowance is a bucket that fills at a steady rate up to a burst (GCRA, by `governor`). There are
//! two of each caller: one of requests of erasures and one of everything else, so that no flood of
//! questions holds back an erasure of the same key.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::ServerSettings;

/// What a call is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// From nothing: whoever asks whether the server is well must hear it.
    Nothing,
    /// From the allowance of requests of erasures.
    Erasures,
    /// From that of everything else.
    Usual,
}

impl Charge {
    /// The label that metrics know it by.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Erasures => "erasures",
            Self::Usual => "usual",
        }
    }
}

/// How fast an allowance comes back, and how much of it there is at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl Rate {
    /// The rate that the settings give, or `own` in its place; `None` for no limit.
    pub(super) fn of(settings: &ServerSettings, own: Option<u64>) -> Option<Self> {
        let number = |number: u64| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX));
        let per_second = number(own.unwrap_or(settings.requests_per_second_max))?;
        let burst = number(settings.requests_burst_max).unwrap_or(per_second);
        Some(Self { per_second, burst })
    }

    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

/// The allowances of one key.
pub(super) struct KeyAllowances {
    pub(super) rate: Rate,
    usual: DefaultDirectRateLimiter,
    erasures: DefaultDirectRateLimiter,
}

impl KeyAllowances {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            usual: RateLimiter::direct(rate.quota()),
            erasures: RateLimiter::direct(rate.quota()),
        }
    }

    /// Takes one request; the time until there is one again when there is none.
    pub(super) fn take(&self, charge: Charge) -> Result<(), Duration> {
        let limiter = match charge {
            Charge::Nothing => return Ok(()),
            Charge::Erasures => &self.erasures,
            Charge::Usual => &self.usual,
        };
        let taken = limiter.check();
        taken.map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

/// The allowances of addresses that called without a key. Those of one that was silent for long enough
/// are full, and are forgotten.
pub(super) struct AddressAllowances {
    usual: DefaultKeyedRateLimiter<IpAddr>,
    erasures: DefaultKeyedRateLimiter<IpAddr>,
}

impl AddressAllowances {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            usual: RateLimiter::keyed(rate.quota()),
            erasures: RateLimiter::keyed(rate.quota()),
        }
    }

    /// Takes one request of an address; the time until there is one again when there is none.
    pub(super) fn take(&self, address: IpAddr, charge: Charge) -> Result<(), Duration> {
        let limiter = match charge {
            Charge::Nothing => return Ok(()),
            Charge::Erasures => &self.erasures,
            Charge::Usual => &self.usual,
        };
        let taken = limiter.check_key(&address);
        taken.map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets those whose allowance is full again.
    pub(super) fn forget_silent(&self) {
        for limiter in [&self.usual, &self.erasures] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(per_second: u64, burst: u64) -> ServerSettings {
        ServerSettings {
            requests_per_second_max: per_second,
            requests_burst_max: burst,
            ..ServerSettings::default()
        }
    }

    /// Takes until it is refused; the wait that is asked for.
    fn exhaust(mut take: impl FnMut() -> Result<(), Duration>) -> Duration {
        let refused = std::iter::repeat_with(&mut take).find_map(Result::err);
        refused.expect("the loop ends with a refusal")
    }

    #[test]
    fn a_key_has_the_rate_of_the_settings_or_its_own() {
        let rate = |per_second, burst, own| {
            let rate = Rate::of(&settings(per_second, burst), own)?;
            Some((rate.per_second.get(), rate.burst.get()))
        };
        assert_eq!(rate(0, 0, None), None);
        assert_eq!(rate(0, 7, None), None);
        assert_eq!(rate(5, 0, None), Some((5, 5)));
        assert_eq!(rate(5, 7, None), Some((5, 7)));
        assert_eq!(rate(5, 0, Some(2)), Some((2, 2)));
        assert_eq!(rate(5, 7, Some(2)), Some((2, 7)));
        assert_eq!(rate(5, 7, Some(0)), None);
    }

    #[test]
    fn erasures_are_left_when_all_else_is_used_up() {
        let rate = Rate::of(&settings(1, 4), None).expect("a rate");
        let key = KeyAllowances::new(rate);
        let wait = exhaust(|| key.take(Charge::Usual));
        assert!(wait <= Duration::from_secs(1), "one comes back each second");
        for _ in 0..4 {
            assert_eq!(key.take(Charge::Erasures), Ok(()));
        }
        for _ in 0..1_000 {
            assert_eq!(key.take(Charge::Nothing), Ok(()));
        }
    }

    #[test]
    fn addresses_have_allowances_of_their_own() {
        let rate = Rate::of(&settings(1, 1_000), None).expect("a rate");
        let all = AddressAllowances::new(rate);
        let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        exhaust(|| all.take(one, Charge::Usual));
        all.forget_silent();
        assert_eq!(all.take(other, Charge::Usual), Ok(()));
        assert_eq!(all.take(one, Charge::Erasures), Ok(()));
        assert_eq!(all.usual.len(), 2, "neither is full again");
    }
}
