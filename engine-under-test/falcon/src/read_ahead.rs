//! Reads a file from its begin to its end in large pieces.
//!
//! # Method
//!
//! One buffer, filled from where the first byte is that it has not.
//!
//! # Invariant
//!
//! Nothing behind the length is read that the file had when the reading began.

use crate::Result;

/// Bytes that are read at once, unless more are asked for.
const READ_BYTES: u64 = 64 << 10;

/// A file that is looked through once, and mostly forwards.
pub(crate) struct ReadAhead<R> {
    /// Fills a buffer with what the file has from an offset on.
    read: R,
    len: u64,
    /// Where the buffer begins in the file.
    from: u64,
    buffer: Vec<u8>,
}

impl<R: FnMut(&mut [u8], u64) -> Result<()>> ReadAhead<R> {
    /// A file of that length, read by `read`.
    pub(crate) fn new(len: u64, read: R) -> ReadAhead<R> {
        ReadAhead { read, len, from: 0, buffer: Vec::new() }
    }

    /// The length of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// So many bytes at an offset, which the file has.
    pub(crate) fn at(&mut self, offset: u64, bytes: u64) -> Result<&[u8]> {
        let is_here = offset >= self.from && offset + bytes <= self.from + self.buffer.len() as u64;
        if !is_here {
            let wanted = bytes.max(READ_BYTES).min(self.len - offset);
            self.buffer.resize(wanted as usize, 0);
            self.from = offset;
            (self.read)(&mut self.buffer, offset)?;
        }
        let at = (offset - self.from) as usize;
        Ok(&self.buffer[at..at + bytes as usize])
    }
}
