//! Nodes at work on real servers, in real files, over real sockets, while everything fails in turn.

mod caller;
mod cluster;
mod faults;
mod kept_file;
mod node;
mod real_store;
mod test_store;
mod transport;
