//! Why a request came to nothing.

/// Why a node was not removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// There is no such node, or it leads.
    #[error("there is no such node to remove, or it leads: let another node lead first")]
    NotRemovable,
    /// Another node leads, or none.
    #[error("this node does not lead")]
    NotLeading,
    /// The lead was lost meanwhile: whether the node is removed, the log says.
    #[error("another node leads since: ask again")]
    Open,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError<E> {
    /// Another node leads, or none. Nothing came of it.
    #[error("this node does not lead")]
    NotLeading,
    /// The lead was lost meanwhile. What came of it only the log says: it may be done, now or later.
    #[error("another node leads since: what became of the request is open")]
    Open,
    /// It is longer than an entry of the log may be. Nothing came of it.
    #[error("the request takes {bytes} bytes, more than an entry of the log may: send it in parts")]
    TooLong {
        /// What it takes.
        bytes: usize,
    },
    /// The log takes no more, until what no node needs has been trimmed. Nothing came of it.
    #[error("the log is full")]
    LogFull,
    /// The store refuses it. Nothing came of it.
    #[error(transparent)]
    Store(E),
}
