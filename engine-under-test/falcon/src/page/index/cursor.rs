//! Walks the entries of one index page in order.
//!
//! # Method
//!
//! The key of an entry is put together from the one before it, in a buffer that the cursor owns. A cursor
//! lends its entries, so that a walk allocates once.
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
    key: Vec<u8>,
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
            key: Vec::new(),
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

    fn current(&self) -> IndexKey<'_> {
        IndexKey { key: &self.key, record: self.record }
    }

    fn read(&mut self) -> bool {
        if self.at == self.page.entries_end() {
            return false;
        }
        let stored = self.page.stored(self.at);
        self.key.truncate(stored.prefix);
        self.key.extend(stored.suffix);
        self.record = stored.record;
        self.child = stored.child;
        self.at = stored.end;
        true
    }
}
