//! One file as calls see it: its cached pages, and the log of what is not durable yet.
//!
//! # Method
//!
//! A write makes new pages, shows them at once, and logs one operation a page that knows the page
//! before and after. So it costs the same whatever is pending, and a version costs one pointer. The
//! log is in the order of the calls; what became durable out of order leaves a hole that goes when
//! it comes to the front.
//!
//! # Invariant
//!
//! Platter + log, applied in order = cache, but for pages that are clean and lost.

use std::collections::{BTreeMap, VecDeque};

use falconry_seam::disk::LockKind;

use super::cold::ColdPages;
use super::pages::{PAGE_BYTES, PagePool, PageRef, PageTable, piece, sector_mask};
use super::platter::{FileId, PlatterFile};

/// The micro-operation "these sectors hold these bytes".
#[derive(Clone, Debug)]
pub(super) struct Data {
    pub(super) page: u64,
    /// The sectors that it writes.
    pub(super) mask: u8,
    /// The page as the cache had it.
    pub(super) before: Option<PageRef>,
    /// The page as the write left it.
    pub(super) after: PageRef,
}

impl Data {
    /// Gives its pages back, if nobody else holds them.
    pub(super) fn give_to(self, pool: &mut PagePool) {
        pool.give(self.before);
        pool.give(Some(self.after));
    }

    /// Where its first sector begins in the file.
    pub(super) fn offset(&self) -> u64 {
        self.page * PAGE_BYTES as u64
            + u64::from(self.mask.trailing_zeros()) * super::pages::SECTOR_BYTES as u64
    }

    /// Bytes of its sectors.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.mask.count_ones()) * super::pages::SECTOR_BYTES as u64
    }
}

/// One micro-operation of a file.
#[derive(Clone, Debug)]
pub(super) enum Micro {
    Data(Data),
    /// The file has `to` bytes; `cuts` if it had more.
    Size {
        to: u64,
        cuts: bool,
    },
    /// It is durable, or dropped.
    Done,
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// In the page cache: a sync of its file writes it.
    Cache,
    /// In the device's cache: any flush of the device writes it.
    Device,
}

/// What is wrong with a write, and shows only when it reaches the platter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    Phantom,
    /// It lands on this page of this file.
    Misdirected(FileId, u64),
}

/// An operation that is not durable yet.
#[derive(Clone, Debug)]
pub(super) struct Op {
    /// Its place in the order of all operations of the disk.
    pub(super) seq: u64,
    /// The call that made it.
    pub(super) call: u64,
    pub(super) stage: Stage,
    pub(super) flaw: Flaw,
    pub(super) micro: Micro,
}

/// A file that has a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// What reads see.
    pub(super) pages: PageTable,
    pub(super) len: u64,
    /// Those of them that nobody has read in since the power came.
    pub(super) cold: ColdPages,
    pub(super) created_ns: u64,
    /// What is not durable, in the order of the calls.
    pub(super) log: VecDeque<Op>,
    /// Operations of the log that are not done.
    pub(super) live: u64,
    /// Those of them that cut the file.
    pub(super) cuts: u64,
    /// Calls that write and have not returned.
    pub(super) in_flight: Vec<u64>,
    /// Sectors that are clean in the cache and not on the platter, by page.
    pub(super) lost: BTreeMap<u64, u8>,
    /// A failed writeback that the next sync reports.
    pub(super) late_error: bool,
    /// Writes that came to the platter in this life without a sync, since the last sync.
    pub(super) written_back: u64,
    pub(super) handles: u32,
    pub(super) linked: bool,
    /// Pages that count against the capacity.
    pub(super) pages_used: u64,
    /// Advisory locks, by handle.
    pub(super) locks: Vec<(u64, LockKind)>,
    /// Calls of this file begin no earlier.
    pub(super) busy_until_ns: u64,
}

/// What a write appends to the log.
pub(super) struct Entry {
    pub(super) call: u64,
    pub(super) stage: Stage,
    pub(super) flaw: Flaw,
}

impl Node {
    /// Gives back the pages that nobody else holds.
    pub(super) fn give_to(self, pool: &mut PagePool) {
        for op in self.log {
            if let Micro::Data(data) = op.micro {
                data.give_to(pool);
            }
        }
        self.pages.give_to(pool);
    }

    /// The file as a boot finds it.
    pub(super) fn from_platter(file: &PlatterFile) -> Self {
        let cold = ColdPages::of(&file.pages);
        Node {
            pages: file.pages.clone(),
            len: file.len,
            created_ns: file.created_ns,
            pages_used: cold.count(),
            cold,
            linked: true,
            ..Node::default()
        }
    }

    /// Copies bytes out of the cache, up to the end of the file.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let len = self.len.saturating_sub(offset).min(out.len() as u64) as usize;
        self.pages.read(offset, &mut out[..len]);
        len
    }

    /// Shows `bytes` at `offset` and logs them, and the new length if the file grows. Returns how
    /// many operations were logged.
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        offset: u64,
        entry: &Entry,
        next_seq: &mut u64,
        pool: &mut PagePool,
    ) -> u64 {
        let mut done = 0;
        let live_before = self.live;
        while done < bytes.len() {
            let (page, at, len) = piece(offset + done as u64, bytes.len() - done);
            let slot = self.pages.slot(page);
            self.pages_used += u64::from(slot.is_none());
            let after = pool.overlay(slot.as_ref(), at, &bytes[done..done + len]);
            let before = slot.replace(after.clone());
            let mask = sector_mask(at, len);
            self.cold.show(page);
            if !self.lost.is_empty() {
                self.found(page, mask);
            }
            self.push(entry, Micro::Data(Data { page, mask, before, after }), next_seq);
            done += len;
        }
        let end = offset + bytes.len() as u64;
        if end > self.len {
            self.push(entry, Micro::Size { to: end, cuts: false }, next_seq);
            self.len = end;
        }
        self.live - live_before
    }

    /// Changes the length and logs it. Returns how many operations were logged.
    pub(super) fn set_len(
        &mut self,
        len: u64,
        entry: &Entry,
        next_seq: &mut u64,
        pool: &mut PagePool,
    ) -> u64 {
        if len == self.len {
            return 0;
        }
        if len < self.len {
            self.pages.truncate(len, pool);
            self.pages_used = self.pages.iter().count() as u64;
            self.cold.truncate(len);
            self.lost.split_off(&len.div_ceil(PAGE_BYTES as u64));
        }
        let cuts = len < self.len;
        self.cuts += u64::from(cuts);
        self.push(entry, Micro::Size { to: len, cuts }, next_seq);
        self.len = len;
        1
    }

    /// Pages of a range that hold nothing yet.
    pub(super) fn absent_pages(&self, offset: u64, len: u64) -> u64 {
        if len == 0 {
            return 0;
        }
        let page_bytes = PAGE_BYTES as u64;
        let (first, end) = (offset / page_bytes, (offset + len).div_ceil(page_bytes));
        (end - first) - self.pages.present(first, end)
    }

    /// Gives every page of a range a place; those that hold nothing read as zeros.
    pub(super) fn reserve(&mut self, offset: u64, len: u64) {
        let zeros: PageRef = std::sync::Arc::new([0; PAGE_BYTES]);
        let page_bytes = PAGE_BYTES as u64;
        for page in offset / page_bytes..(offset + len).div_ceil(page_bytes) {
            let slot = self.pages.slot(page);
            if slot.is_none() {
                *slot = Some(zeros.clone());
                self.pages_used += 1;
            }
        }
    }

    #[inline]
    fn push(&mut self, entry: &Entry, micro: Micro, next_seq: &mut u64) {
        let Entry { call, stage, flaw } = *entry;
        // A length is metadata: a flush of the device alone does not bring it to the platter.
        let stage = if matches!(micro, Micro::Size { .. }) { Stage::Cache } else { stage };
        self.log.push_back(Op { seq: *next_seq, call, stage, flaw, micro });
        self.live += 1;
        *next_seq += 1;
    }

    /// Place in the order of all of the oldest operation that is pending.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.log.iter().find(|op| !matches!(op.micro, Micro::Done)).map(|op| op.seq)
    }

    /// Sectors that were lost are written again.
    pub(super) fn found(&mut self, page: u64, mask: u8) {
        if let Some(lost) = self.lost.get_mut(&page) {
            *lost &= !mask;
            if *lost == 0 {
                self.lost.remove(&page);
            }
        }
    }

    /// Takes the operation at `index` of the log out of it.
    pub(super) fn take(&mut self, index: usize) -> Op {
        let op = &mut self.log[index];
        debug_assert!(!matches!(op.micro, Micro::Done), "operation {} is done", op.seq);
        let taken = Op { micro: std::mem::replace(&mut op.micro, Micro::Done), ..*op };
        self.live -= 1;
        self.cuts -= u64::from(matches!(taken.micro, Micro::Size { cuts: true, .. }));
        taken
    }

    /// Removes what is done from the front of the log.
    pub(super) fn trim(&mut self) {
        while let Some(Op { micro: Micro::Done, .. }) = self.log.front() {
            self.log.pop_front();
        }
        // Holes behind an operation that stays must not pile up.
        if self.log.len() as u64 > 2 * self.live + 64 {
            self.log.retain(|op| !matches!(op.micro, Micro::Done));
        }
    }

    /// Older operations lose the sectors that `mask` of `page` covers: newer bytes are durable, or
    /// were dropped on purpose. Returns how many operations are done with that.
    pub(super) fn supersede(&mut self, page: u64, mask: u8, before_seq: u64) -> u64 {
        let mut gone = 0;
        for op in self.log.iter_mut().take_while(|op| op.seq < before_seq) {
            if let Micro::Data(data) = &mut op.micro
                && data.page == page
            {
                data.mask &= !mask;
                if data.mask == 0 {
                    op.micro = Micro::Done;
                    gone += 1;
                }
            }
        }
        self.live -= gone;
        gone
    }

    /// Older data loses what lies behind a cut that is durable before it. Returns how many operations
    /// are done with that.
    pub(super) fn cut_older(&mut self, to: u64, before_seq: u64, pool: &mut PagePool) -> u64 {
        let (last, at, _) = piece(to, 1);
        let mut gone = 0;
        for op in self.log.iter_mut().take_while(|op| op.seq < before_seq) {
            let Micro::Data(data) = &mut op.micro else { continue };
            if data.page < last {
                continue;
            }
            if data.page == last && at > 0 {
                data.mask &= sector_mask(0, at);
                let zeros = [0; PAGE_BYTES];
                data.after = pool.overlay(Some(&data.after), at, &zeros[at..]);
            } else {
                data.mask = 0;
            }
            if data.mask == 0 {
                op.micro = Micro::Done;
                gone += 1;
            }
        }
        self.live -= gone;
        gone
    }

    /// Whether the file was cut within or before a page after the operation `seq`.
    pub(super) fn is_cut_after(&self, seq: u64, page: u64) -> bool {
        let end = (page + 1) * PAGE_BYTES as u64;
        self.cuts > 0
            && self
                .log
                .iter()
                .filter(|op| op.seq > seq)
                .any(|op| matches!(op.micro, Micro::Size { to, cuts: true } if to < end))
    }

    /// Indexes of the operations that a sync covers: pending, made before `upto`, by calls that had
    /// returned when it was submitted.
    pub(super) fn covered(&self, upto: u64, in_flight: &[u64]) -> Vec<usize> {
        let pending = self.log.iter().enumerate().take_while(|(_, op)| op.seq < upto);
        pending
            .filter(|(_, op)| !matches!(op.micro, Micro::Done) && !in_flight.contains(&op.call))
            .map(|(index, _)| index)
            .collect()
    }

    /// The sectors of a page that are not durable yet.
    pub(super) fn dirty_mask(&self, page: u64) -> u8 {
        let of_page = self.log.iter().filter_map(|op| match &op.micro {
            Micro::Data(data) if data.page == page => Some(data.mask),
            _ => None,
        });
        of_page.fold(0, |all, mask| all | mask)
    }
}
