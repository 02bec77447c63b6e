//! Which pages of a file are on the device alone: the first read of one takes the device's time.
//!
//! # Method
//!
//! After a power loss all pages are cold. A read fetches those it needs in windows of 32 pages, as
//! read-ahead does, and they are warm from then on; so are pages that are written. A partial write
//! of a cold page does not wait for the rest of it (our choice).

use std::collections::BTreeMap;

use super::pages::{PAGE_BYTES, PageTable};

/// Pages of one fetch: 128 KiB, as Linux reads ahead (our choice).
const WINDOW_PAGES: u64 = 32;
const CHUNK_PAGES: u64 = 64;

/// Pages that are not in the page cache: a bit a page, 64 of them a number.
#[derive(Clone, Debug, Default)]
pub(super) struct ColdPages {
    chunks: BTreeMap<u64, u64>,
}

impl ColdPages {
    /// All pages of a table.
    pub(super) fn of(pages: &PageTable) -> Self {
        ColdPages { chunks: pages.occupied().filter(|(_, bits)| *bits != 0).collect() }
    }

    pub(super) fn count(&self) -> u64 {
        self.chunks.values().map(|bits| u64::from(bits.count_ones())).sum()
    }

    /// A page is in the cache now.
    #[inline]
    pub(super) fn show(&mut self, page: u64) {
        if !self.chunks.is_empty() {
            self.take(page / CHUNK_PAGES, 1 << (page % CHUNK_PAGES));
        }
    }

    /// Reads a range in. Returns how many fetches that takes.
    #[inline]
    pub(super) fn fetch(&mut self, offset: u64, len: usize) -> u64 {
        if len == 0 || self.chunks.is_empty() { 0 } else { self.fetch_some(offset, len) }
    }

    fn fetch_some(&mut self, offset: u64, len: usize) -> u64 {
        let first = offset / PAGE_BYTES as u64;
        let last = (offset + len as u64 - 1) / PAGE_BYTES as u64;
        let mut fetches = 0;
        for window in first / WINDOW_PAGES..=last / WINDOW_PAGES {
            let (from, to) = (window * WINDOW_PAGES, (window + 1) * WINDOW_PAGES - 1);
            let chunk = from / CHUNK_PAGES;
            let bits = |from: u64, to: u64| {
                let (low, high) = (from % CHUNK_PAGES, to % CHUNK_PAGES);
                u64::MAX << low & u64::MAX >> (CHUNK_PAGES - 1 - high)
            };
            let wanted = bits(first.max(from), last.min(to));
            if self.chunks.get(&chunk).is_some_and(|cold| cold & wanted != 0) {
                self.take(chunk, bits(from, to));
                fetches += 1;
            }
        }
        fetches
    }

    fn take(&mut self, chunk: u64, bits: u64) {
        if let Some(cold) = self.chunks.get_mut(&chunk) {
            *cold &= !bits;
            if *cold == 0 {
                self.chunks.remove(&chunk);
            }
        }
    }

    /// The file ends at `len` now.
    pub(super) fn truncate(&mut self, len: u64) {
        let end = len.div_ceil(PAGE_BYTES as u64);
        self.chunks.split_off(&end.div_ceil(CHUNK_PAGES));
        if !end.is_multiple_of(CHUNK_PAGES) {
            self.take(end / CHUNK_PAGES, u64::MAX << (end % CHUNK_PAGES));
        }
    }
}
