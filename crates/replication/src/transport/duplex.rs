//! A connection, whatever is under it.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection that is read and written.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
