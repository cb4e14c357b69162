//! What can go wrong with a node, and with what is asked of a cluster.

/// Why a node does not start, or a command of the cluster is not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// The log cannot be used as it is.
    #[error(transparent)]
    Log(#[from] recant_jetstream::SetUpError),
    /// The servers of the log let nobody in.
    #[error(transparent)]
    Access(#[from] recant_jetstream::AccessError),
    /// A server of the log is not fit for it.
    #[error(transparent)]
    Unfit(#[from] recant_jetstream::UnfitServer),
    /// Settings of the log do not go together.
    #[error(transparent)]
    Settings(#[from] recant_jetstream::InvalidSettings),
    /// The node has no identity for others.
    #[error(transparent)]
    Identity(#[from] recant_replication::PeerIdentityError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] recant_store::StoreError),
    /// The store's place in the log cannot be read.
    #[error(transparent)]
    Entries(#[from] recant_replication::StoreEntriesError),
    /// The service does not start on it.
    #[error(transparent)]
    Service(#[from] recant_service::StartError),
    /// Another node could not be asked.
    #[error(transparent)]
    Peer(#[from] recant_replication::PeerError),
    /// Other nodes cannot connect.
    #[error("cannot listen for other nodes on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Something that the operator has to do first.
    #[error("{0}")]
    Refused(String),
    /// A thread panicked.
    #[error("it panicked; see the log")]
    Panicked,
}

impl NodeError {
    /// Something that the operator has to do first.
    pub(super) fn refused(what: impl Into<String>) -> Self {
        Self::Refused(what.into())
    }
}
