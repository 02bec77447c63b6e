//! Walks the entries of one index page in order.
//!
//! # Method
//!
//! The key of an entry is put together from the one before it, in a buffer that the cursor owns. A cursor
//! lends its entries, so that a walk allocates once, and with short keys never.
//!
//! # Invariant
//!
//! The buffer holds the key of the entry that was read last.

use super::entry::{IndexEntry, IndexKey};
use super::node::IndexPage;
use crate::ids::PageNumber;
use crate::page::record_number::RecordNumber;

/// A place among the entries of an index page.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    page: IndexPage<'a>,
    /// Where the next entry lies.
    at: usize,
    key: KeyBuffer,
    record: RecordNumber,
    child: Option<PageNumber>,
    /// The entry in the buffer was read and not lent yet.
    is_pending: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn at_block(page: IndexPage<'a>, block: usize) -> Cursor<'a> {
        let at =
            if block < page.block_count() { page.block(block).start } else { page.entries_end() };
        Cursor {
            page,
            at,
            key: KeyBuffer::default(),
            record: RecordNumber(0),
            child: None,
            is_pending: false,
        }
    }

    /// The next entry, if there is one more.
    pub fn advance(&mut self) -> Option<IndexEntry<'_>> {
        if !self.is_pending && !self.read() {
            return None;
        }
        self.is_pending = false;
        Some(IndexEntry { key: self.current(), child: self.child })
    }

    pub(super) fn skip_below(&mut self, target: IndexKey<'_>) {
        while self.read() {
            if self.current() >= target {
                self.is_pending = true;
                return;
            }
        }
    }

    /// Where the next entry lies, unless one was read and not lent.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The child of the entry that was read last.
    pub(super) fn child(&self) -> Option<PageNumber> {
        self.child
    }

    /// The key of the entry that was read last.
    pub(super) fn current(&self) -> IndexKey<'_> {
        IndexKey { key: self.key.bytes(), record: self.record }
    }

    fn read(&mut self) -> bool {
        if self.at == self.page.entries_end() {
            return false;
        }
        let stored = self.page.stored(self.at);
        self.key.replace_end(stored.prefix, stored.suffix);
        self.record = stored.record;
        self.child = stored.child;
        self.at = stored.end;
        true
    }
}

/// Keys up to this length need no memory of their own.
const SHORT_BYTES: usize = 40;

/// The bytes of one key.
#[derive(Clone, Debug)]
struct KeyBuffer {
    short: [u8; SHORT_BYTES],
    short_length: usize,
    /// Used instead of `short` from the first long key on.
    long: Vec<u8>,
}

impl Default for KeyBuffer {
    fn default() -> Self {
        KeyBuffer { short: [0; SHORT_BYTES], short_length: 0, long: Vec::new() }
    }
}

impl KeyBuffer {
    fn bytes(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.short_length] } else { &self.long }
    }

    /// Keeps so many bytes from the start, which there are, and puts these behind them.
    fn replace_end(&mut self, kept: usize, end: &[u8]) {
        let length = kept + end.len();
        if self.long.is_empty() && length <= SHORT_BYTES {
            self.short[kept..length].copy_from_slice(end);
            self.short_length = length;
            return;
        }
        if self.long.is_empty() {
            self.long.extend_from_slice(&self.short[..self.short_length]);
        }
        self.long.truncate(kept);
        self.long.extend_from_slice(end);
        if self.long.is_empty() {
            self.short_length = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_short_keys_and_long_ones_in_any_order() {
        let mut buffer = KeyBuffer::default();
        let mut expected: Vec<u8> = Vec::new();
        let steps =
            [(0, 3), (2, 38), (40, 1), (10, 2), (0, 0), (0, 41), (41, 100), (0, 0), (0, 40)];
        for (number, (kept, added)) in steps.into_iter().enumerate() {
            let end = vec![number as u8 + 1; added];
            expected.truncate(kept);
            expected.extend(&end);
            buffer.replace_end(kept, &end);
            assert_eq!(buffer.bytes(), expected, "step {number}");
        }
    }
}
