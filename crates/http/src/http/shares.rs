//! How many connections each address has open.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counts of all addresses, and the most of each. A std mutex: it is held for an update of a
/// map and never across an await.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    open: Arc<Mutex<HashMap<IpAddr, u64>>>,
    most: u64,
}

impl Shares {
    pub(super) fn new(most: u64) -> Self {
        Self {
            open: Arc::default(),
            most,
        }
    }

    /// One more connection of `address`; `None` when it has its share. Dropping it frees the place.
    pub(super) fn take(&self, address: IpAddr) -> Option<Share> {
        let owner = owner(address);
        let mut open = self.lock();
        let count = open.entry(owner).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Share {
            shares: self.clone(),
            owner,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom an address stands for. With IPv6 whoever has one address has the whole /64.
pub(super) fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
    }
}

/// One connection of an address.
#[derive(Debug)]
pub(super) struct Share {
    shares: Shares,
    owner: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.shares.lock();
        if let Some(count) = open.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_address_has_its_share_and_gets_it_back() {
        let shares = Shares::new(2);
        let first = shares.take(address("192.0.2.1"));
        let second = shares.take(address("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(shares.take(address("192.0.2.1")).is_none(), "it has two");
        let other = shares.take(address("192.0.2.2"));
        assert!(other.is_some(), "another one has none");
        drop(first);
        assert!(shares.take(address("192.0.2.1")).is_some());
        drop((second, other));
        assert!(
            shares.lock().is_empty(),
            "nothing is kept of those who left"
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let shares = Shares::new(1);
        let _first = shares.take(address("2001:db8::1")).expect("a place");
        assert!(shares.take(address("2001:db8::ffff")).is_none());
        assert!(shares.take(address("2001:db8:0:1::1")).is_some());
    }
}
