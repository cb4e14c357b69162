//! A file as the library for Parquet reads it.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read};

use ::parquet::errors::Result;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

/// A file in which a read at its end fails.
///
/// What a damaged file says to be long, two thousand million bytes say, is passed over by the library byte by
/// byte, and at the end of a file it gets none, without an error, as often: that takes a minute.
pub(super) struct EndedFile(pub(super) File);

/// Reads until the end, and then fails.
pub(super) struct EndedReader<R>(R);

impl<R: Read> Read for EndedReader<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(into)? {
            0 if !into.is_empty() => Err(Error::from(ErrorKind::UnexpectedEof)),
            count => Ok(count),
        }
    }
}

impl Length for EndedFile {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for EndedFile {
    type T = EndedReader<BufReader<File>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.0.get_read(start).map(EndedReader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_at_the_end_fails() {
        let mut reader = EndedReader(&b"ab"[..]);
        let mut into = [0; 4];
        assert_eq!(reader.read(&mut into).expect("there"), 2);
        assert_eq!(reader.read(&mut []).expect("nothing was asked for"), 0);
        let error = reader.read(&mut into).expect_err("the end");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
