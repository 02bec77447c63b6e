//! One node for reading: its fields, its check and the search in it.
//!
//! # Method
//!
//! See the [module](super).
//!
//! # Invariant
//!
//! A node that passed [`IndexPage::view`] is walked from any block without meeting a damaged entry.

use super::cursor::Cursor;
use super::entry::{self, IndexKey, IndexKeyBuf};
use crate::ids::PageNumber;
use crate::page::bytes::{u16_at, u32_at, u64_at};
use crate::page::error::PageError;
use crate::page::header::{Checker, Header, PageKind, assert_kind, id_of};
use crate::page::record_number::RecordNumber;
use crate::page::size::PageSize;

pub(super) const INDEX: usize = 24;
pub(super) const RIGHT: usize = 28;
pub(super) const LEVEL: usize = 32;
const UNUSED: usize = 33;
pub(super) const ENTRIES: usize = 34;
pub(super) const ENTRIES_END: usize = 36;
pub(super) const BLOCKS: usize = 38;
pub(super) const HIGH_LENGTH: usize = 40;
const UNUSED_TOO: usize = 42;
pub(super) const HIGH: usize = 44;
pub(super) const HIGH_KEY: usize = 52;

pub(super) const BLOCK_BYTES: usize = 4;
/// A search reads half as many entries on average, and each block costs a whole key and its place.
pub(super) const BLOCK_ENTRIES_MAX: usize = 16;

/// The highest level of a node. A tree would need more pages than there are numbers to grow so high.
pub const INDEX_LEVEL_MAX: u8 = 31;

/// An index within its tablespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexId(pub u32);

/// A run of entries whose first has its key in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it begins.
    pub(super) start: usize,
    /// How many entries it has.
    pub(super) entries: usize,
}

/// Where in a page of `size` the index of blocks tells of `block`.
pub(super) fn block_at(size: usize, block: usize) -> usize {
    size - (block + 1) * BLOCK_BYTES
}

/// A node of an index, for reading.
#[derive(Clone, Copy, Debug)]
pub struct IndexPage<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> IndexPage<'a> {
    /// The longest key that a page of `size` takes. It is an eighth of the page, less what else an entry needs,
    /// so that a page with too many entries can always be split into two that each have room for one more.
    pub fn key_bytes_max(size: PageSize) -> usize {
        size.bytes() / 8 - 24
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<IndexPage<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::Index)?;
        let checker = header.checker();
        let page = IndexPage { bytes };
        let level = page.level();
        checker.ensure(level <= INDEX_LEVEL_MAX, LEVEL, "level", level, || {
            format!("at most {INDEX_LEVEL_MAX}")
        })?;
        checker.zero(bytes, UNUSED..ENTRIES)?;
        checker.zero(bytes, UNUSED_TOO..HIGH)?;
        let right = u32_at(bytes, RIGHT);
        checker.ensure(right != header.id.number.0, RIGHT, "right sibling", right, || {
            "another page than this".to_string()
        })?;
        let key_max = IndexPage::key_bytes_max(header.size);
        let high_max = if right == 0 { 0 } else { key_max };
        let high = u16_at(bytes, HIGH_LENGTH);
        checker.ensure(
            usize::from(high) <= high_max,
            HIGH_LENGTH,
            "high key length",
            high,
            || format!("at most {high_max}"),
        )?;
        let blocks_max = (bytes.len() - page.entries_start()) / BLOCK_BYTES;
        let blocks = u16_at(bytes, BLOCKS);
        checker.ensure(usize::from(blocks) <= blocks_max, BLOCKS, "block count", blocks, || {
            format!("at most {blocks_max}")
        })?;
        let (end, end_min) = (u16_at(bytes, ENTRIES_END), page.entries_start());
        let end_max = bytes.len() - page.block_count() * BLOCK_BYTES;
        let end_fits = (end_min..=end_max).contains(&usize::from(end));
        checker.ensure(end_fits, ENTRIES_END, "end of the entries", end, || {
            format!("{end_min} to {end_max}")
        })?;
        page.check_blocks(checker, key_max)?;
        Ok(page)
    }

    fn check_blocks(&self, checker: Checker, key_max: usize) -> Result<(), PageError> {
        let mut walk = Walk { at: self.entries_start(), ..Walk::default() };
        let mut entries = 0;
        for number in 0..self.block_count() {
            let block = self.block(number);
            let place = block_at(self.bytes.len(), number);
            checker.ensure(block.start == walk.at, place, "block", block.start as u64, || {
                walk.at.to_string()
            })?;
            let count_fits = (1..=BLOCK_ENTRIES_MAX).contains(&block.entries);
            checker.ensure(count_fits, place + 2, "block", block.entries as u64, || {
                format!("1 to {BLOCK_ENTRIES_MAX} entries")
            })?;
            for ordinal in 0..block.entries {
                let is_first = (number, ordinal) == (0, 0);
                self.check_entry(checker, &mut walk, is_first, ordinal == 0, key_max)?;
            }
            entries += block.entries;
        }
        let end = self.entries_end();
        checker.ensure(walk.at == end, ENTRIES_END, "end of the entries", end as u64, || {
            walk.at.to_string()
        })?;
        let count = u16_at(self.bytes, ENTRIES);
        checker.ensure(usize::from(count) == entries, ENTRIES, "entry count", count, || {
            entries.to_string()
        })?;
        let is_populated = self.level() == 0 || entries > 0;
        checker.ensure(is_populated, ENTRIES, "entry count", count, || {
            "at least 1 in a branch".to_string()
        })
    }

    fn check_entry(
        &self,
        checker: Checker,
        walk: &mut Walk,
        is_first: bool,
        is_block_start: bool,
        key_max: usize,
    ) -> Result<(), PageError> {
        let at = walk.at;
        let broken = |what: &str| checker.refuse(at, "entry", self.bytes[at], what.to_string());
        // The check of the block's start or of the last entry's end has kept the walk inside the page.
        let entries = &self.bytes[..self.entries_end()];
        let stored = entry::read(entries, at, self.level() > 0)
            .ok_or_else(|| broken("an entry that lies here as a whole"))?;
        let shared_max = if is_block_start { 0 } else { walk.key.len() };
        if stored.prefix > shared_max || stored.prefix + stored.suffix.len() > key_max {
            return Err(broken("one with a shorter prefix or key"));
        }
        if let Some(child) = stored.child
            && (child.0 == 0 || child == id_of(self.bytes).number)
        {
            return Err(broken("one with another child"));
        }
        walk.next.clear();
        walk.next.extend_from_slice(&walk.key[..stored.prefix]);
        walk.next.extend_from_slice(stored.suffix);
        let found = IndexKey { key: &walk.next, record: stored.record };
        if !is_first && found <= (IndexKey { key: &walk.key, record: walk.record }) {
            return Err(broken("behind the entry before it"));
        }
        if self.high().is_some_and(|high| found >= high) {
            return Err(broken("below the high key"));
        }
        (walk.record, walk.at) = (stored.record, stored.end);
        std::mem::swap(&mut walk.key, &mut walk.next);
        Ok(())
    }

    /// Takes a page that has passed [`IndexPage::view`].
    pub fn of_checked(bytes: &'a [u8]) -> IndexPage<'a> {
        assert_kind(bytes, PageKind::Index);
        IndexPage { bytes }
    }

    /// Whose node it is.
    pub fn index(&self) -> IndexId {
        IndexId(u32_at(self.bytes, INDEX))
    }

    /// How many levels lie below: 0 for a leaf.
    pub fn level(&self) -> u8 {
        self.bytes[LEVEL]
    }

    /// The node to the right, on the same level.
    pub fn right(&self) -> Option<PageNumber> {
        Some(PageNumber(u32_at(self.bytes, RIGHT))).filter(|right| right.0 != 0)
    }

    /// What all entries lie below. The rightmost node has no bound.
    pub fn high(&self) -> Option<IndexKey<'a>> {
        self.right()?;
        let length = usize::from(u16_at(self.bytes, HIGH_LENGTH));
        let key = &self.bytes[HIGH_KEY..HIGH_KEY + length];
        Some(IndexKey { key, record: RecordNumber(u64_at(self.bytes, HIGH)) })
    }

    /// How many entries there are.
    pub fn entry_count(&self) -> u16 {
        u16_at(self.bytes, ENTRIES)
    }

    /// How many bytes are unused.
    pub fn free_bytes(&self) -> usize {
        self.bytes.len() - self.block_count() * BLOCK_BYTES - self.entries_end()
    }

    /// Where to go for `target` if it cannot be here or below: to the right.
    pub fn right_for(&self, target: IndexKey<'_>) -> Option<PageNumber> {
        self.right().filter(|_| self.high().is_some_and(|high| target >= high))
    }

    /// In a branch, the child that keeps `target`.
    pub fn child_for(&self, target: IndexKey<'_>) -> PageNumber {
        assert!(self.level() > 0, "a leaf has no children, and was asked for one");
        let mut cursor = Cursor::at_block(*self, self.block_for(target));
        let mut child = None;
        while let Some(entry) = cursor.advance() {
            // What is before the first entry is in the first child: nothing else could keep it.
            if entry.key > target && child.is_some() {
                break;
            }
            child = entry.child;
        }
        child.expect("a branch has at least one entry")
    }

    /// Where to go for the last of what is below `bound`, or of everything, unless it is here or below.
    pub fn right_below(&self, bound: Option<IndexKey<'_>>) -> Option<PageNumber> {
        self.right()
            .filter(|_| bound.is_none_or(|bound| self.high().is_some_and(|high| high < bound)))
    }

    /// In a branch, the entry of the child that keeps the last of what is below `bound`, or of everything:
    /// what the child keeps begins with the entry's key.
    pub fn child_below(&self, bound: Option<IndexKey<'_>>) -> (IndexKeyBuf, PageNumber) {
        assert!(self.level() > 0, "a leaf has no children, and was asked for one");
        let block = match bound {
            None => self.block_count() - 1,
            Some(bound) => {
                let block = self.block_for(bound);
                if self.block_key(block) < bound { block } else { block.saturating_sub(1) }
            }
        };
        let mut cursor = Cursor::at_block(*self, block);
        let mut found = None;
        while let Some(entry) = cursor.advance() {
            // As in `child_for`, the first child keeps what is before it too.
            if found.is_some() && bound.is_some_and(|bound| entry.key >= bound) {
                break;
            }
            let child = entry.child.expect("every entry of a branch has a child");
            found = Some((entry.key.to_buf(), child));
        }
        found.expect("a branch has at least one entry")
    }

    /// The entries, from the first.
    pub fn entries(&self) -> Cursor<'a> {
        Cursor::at_block(*self, 0)
    }

    /// The entries from `target` on.
    pub fn lower_bound(&self, target: IndexKey<'_>) -> Cursor<'a> {
        let mut cursor = Cursor::at_block(*self, self.block_for(target));
        cursor.skip_below(target);
        cursor
    }

    /// Whether there is an entry for just `target`.
    pub fn contains(&self, target: IndexKey<'_>) -> bool {
        self.lower_bound(target).advance().is_some_and(|entry| entry.key == target)
    }

    /// The last block that begins at or before `target`, or the first.
    pub(super) fn block_for(&self, target: IndexKey<'_>) -> usize {
        let (mut low, mut high) = (0, self.block_count());
        while low < high {
            let middle = low.midpoint(high);
            if self.block_key(middle) <= target {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
    }

    fn block_key(&self, block: usize) -> IndexKey<'a> {
        let stored = self.stored(self.block(block).start);
        IndexKey { key: stored.suffix, record: stored.record }
    }

    pub(super) fn stored(&self, at: usize) -> entry::Stored<'a> {
        let entries = &self.bytes[..self.entries_end()];
        entry::read(entries, at, self.level() > 0).unwrap_or_else(|| {
            panic!("{} was checked, and has no entry at byte {at}", id_of(self.bytes))
        })
    }

    pub(super) fn block_count(&self) -> usize {
        u16_at(self.bytes, BLOCKS).into()
    }

    pub(super) fn block(&self, block: usize) -> Block {
        let at = block_at(self.bytes.len(), block);
        Block { start: u16_at(self.bytes, at).into(), entries: u16_at(self.bytes, at + 2).into() }
    }

    pub(super) fn entries_start(&self) -> usize {
        if self.right().is_none() {
            HIGH
        } else {
            HIGH_KEY + usize::from(u16_at(self.bytes, HIGH_LENGTH))
        }
    }

    pub(super) fn entries_end(&self) -> usize {
        u16_at(self.bytes, ENTRIES_END).into()
    }
}

/// How far a check has come.
#[derive(Default)]
struct Walk {
    key: Vec<u8>,
    /// Memory for the key that comes.
    next: Vec<u8>,
    record: RecordNumber,
    at: usize,
}
