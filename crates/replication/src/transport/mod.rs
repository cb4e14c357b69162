//! How nodes reach one another: HTTP/1.1 over TCP, with certificates on both sides where they are
//! configured.

mod connector;
mod duplex;
mod identity;
mod listener;
mod peers;

pub use duplex::Duplex;
pub use identity::{PeerIdentity, PeerIdentityError, PeerIdentityFiles};
pub use listener::PeerListener;
pub(crate) use peers::BEAT_PATH;
pub use peers::{PeerError, Peers, peer_uri};
