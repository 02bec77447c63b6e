//! One node for changing: entries come and go.
//!
//! # Method
//!
//! The block that an entry belongs to is decoded, changed and encoded again; what lies behind it is shifted.
//! An entry that comes to a block with room goes the [shorter way](super::in_place). A block that has grown past
//! its limit becomes two halves, unless the entry came at the very end: then it begins a new block and leaves a
//! full one behind, as keys that ascend want it.
//!
//! # Invariant
//!
//! Whether the result fits is known before the first byte is changed.

use super::cursor::Cursor;
use super::entry::{self, EntryBuf, IndexKey};
use super::node::{
    BLOCK_BYTES, BLOCK_ENTRIES_MAX, BLOCKS, Block, ENTRIES, ENTRIES_END, HIGH, HIGH_KEY,
    HIGH_LENGTH, INDEX, INDEX_LEVEL_MAX, IndexId, IndexPage, LEVEL, RIGHT, block_at,
};
use crate::ids::{PageId, PageNumber};
use crate::page::bytes::{offset, put, put_u16, put_u32, put_u64};
use crate::page::error::{NoRoom, PageError};
use crate::page::header::{self, PageKind, assert_kind, id_of};
use crate::page::size::PageSize;

/// Bytes that an entry takes at most beside its key.
const ENTRY_BYTES_MORE: usize = 20;

/// Why an entry was not inserted. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// There is an entry of the same key and record.
    #[error("the entry is there already")]
    Duplicate,
    /// No page of this size takes the key.
    #[error("a key of {found_bytes} bytes, at most {max_bytes} can be indexed")]
    KeyTooLong {
        /// Its length.
        found_bytes: usize,
        /// The greatest length.
        max_bytes: usize,
    },
    /// The page must be split.
    #[error("the page has no room: {0}")]
    NoRoom(NoRoom),
}

/// A node of an index, for changing.
#[derive(Debug)]
pub struct IndexPageMut<'a> {
    pub(super) bytes: &'a mut [u8],
}

impl<'a> IndexPageMut<'a> {
    /// Makes a leaf without entries: the root of a new index.
    pub fn format_leaf(bytes: &'a mut [u8], id: PageId, index: IndexId) -> IndexPageMut<'a> {
        IndexPageMut::format(bytes, id, index, 0)
    }

    /// Makes a branch with one child, which keeps everything.
    pub fn format_branch(
        bytes: &'a mut [u8],
        id: PageId,
        index: IndexId,
        level: u8,
        child: PageNumber,
    ) -> IndexPageMut<'a> {
        assert!((1..=INDEX_LEVEL_MAX).contains(&level), "level {level}, 1 to {INDEX_LEVEL_MAX}");
        let mut page = IndexPageMut::format(bytes, id, index, level);
        let inserted = page.insert(IndexKey::MIN, Some(child));
        assert!(inserted.is_ok(), "an empty branch refused its first entry: {inserted:?}");
        page
    }

    pub(super) fn format(
        bytes: &'a mut [u8],
        id: PageId,
        index: IndexId,
        level: u8,
    ) -> IndexPageMut<'a> {
        header::format(bytes, id, PageKind::Index);
        put_u32(bytes, INDEX, index.0);
        bytes[LEVEL] = level;
        put_u16(bytes, ENTRIES_END, offset(HIGH));
        IndexPageMut { bytes }
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a mut [u8]) -> Result<IndexPageMut<'a>, PageError> {
        IndexPage::view(bytes)?;
        Ok(IndexPageMut { bytes })
    }

    /// Takes a page that has passed [`IndexPage::view`].
    pub fn of_checked(bytes: &'a mut [u8]) -> IndexPageMut<'a> {
        assert_kind(bytes, PageKind::Index);
        IndexPageMut { bytes }
    }

    /// The same page, for reading.
    pub fn read(&self) -> IndexPage<'_> {
        IndexPage { bytes: self.bytes }
    }

    /// Puts in an entry, which must be below the high key. A branch takes one with a child, a leaf one without.
    pub fn insert(
        &mut self,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> Result<(), InsertError> {
        self.check_new(key, child)?;
        let number = self.read().block_for(key);
        if let Some(inserted) = self.insert_in_place(number, key, child) {
            return inserted;
        }
        self.insert_anew(number, key, child)
    }

    /// Puts in an entry by writing its block anew.
    pub(super) fn insert_anew(
        &mut self,
        number: usize,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> Result<(), InsertError> {
        let groups = self.with_entry(number, EntryBuf { key: key.to_buf(), child })?;
        self.replace_block(number, &groups).map_err(InsertError::NoRoom)
    }

    /// What becomes of block `number` when `entry` comes to it: one block, or two.
    pub(super) fn with_entry(
        &self,
        number: usize,
        entry: EntryBuf,
    ) -> Result<Vec<Vec<EntryBuf>>, InsertError> {
        let mut entries = self.decode(number);
        let Err(place) = place_of(&entries, entry.key.borrow()) else {
            return Err(InsertError::Duplicate);
        };
        entries.insert(place, entry);
        if entries.len() <= BLOCK_ENTRIES_MAX {
            return Ok(vec![entries]);
        }
        let is_last = number + 1 == self.read().block_count() && place + 1 == entries.len();
        let middle = if is_last { BLOCK_ENTRIES_MAX } else { entries.len() / 2 };
        let behind = entries.split_off(middle);
        Ok(vec![entries, behind])
    }

    /// What every insertion must be, and who breaks it.
    pub(super) fn check_new(
        &self,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> Result<(), InsertError> {
        let (id, page) = (id_of(self.bytes), self.read());
        assert!(
            child.is_some() == (page.level() > 0),
            "{child:?} was given as the child of an entry of level {}",
            page.level()
        );
        assert!(
            child.is_none_or(|child| child.0 != 0 && child != id.number),
            "{child:?} cannot be a child of {id}"
        );
        let is_below = page.high().is_none_or(|high| key < high);
        assert!(is_below, "{key:?} is not below {:?}, the high key of {id}", page.high());
        let size = PageSize::of_length(self.bytes.len()).expect("a page has a page's size");
        let max_bytes = IndexPage::key_bytes_max(size);
        if key.key.len() > max_bytes {
            return Err(InsertError::KeyTooLong { found_bytes: key.key.len(), max_bytes });
        }
        Ok(())
    }

    /// Takes out the entry for just `key` and tells whether there was one. The last entry of a branch stays:
    /// a branch without children leads nowhere.
    ///
    /// The entry that follows may share less with the one that precedes: at most what the deleted one held in
    /// full, and one byte for a longer length. The deleted one took at least three bytes more than that,
    /// so the block never grows.
    pub fn delete(&mut self, key: IndexKey<'_>) -> bool {
        let number = self.read().block_for(key);
        let mut entries = self.decode(number);
        let Ok(place) = place_of(&entries, key) else { return false };
        let (level, count) = (self.read().level(), self.read().entry_count());
        assert!(level == 0 || count > 1, "the last of {count} entries of a branch was deleted");
        entries.remove(place);
        let groups = if entries.is_empty() { Vec::new() } else { vec![entries] };
        let replaced = self.replace_block(number, &groups);
        assert!(replaced.is_ok(), "a deletion made a block grow: {replaced:?}");
        true
    }

    /// Makes a branch lead to nothing but one child, and to its right sibling as before. That always has room.
    pub fn lead_only_to(&mut self, child: PageNumber) {
        let (id, level) = (id_of(self.bytes), self.read().level());
        assert!(level > 0, "{id} is a leaf, and was to lead to {child}");
        assert!(child.0 != 0 && child != id.number, "{child} cannot be a child of {id}");
        let high = self.read().high().map(|high| high.to_buf());
        let right = self.read().right().zip(high.as_ref().map(|high| high.borrow()));
        let only = EntryBuf { key: IndexKey::MIN.to_buf(), child: Some(child) };
        self.rewrite(right, &[vec![only]]);
    }

    /// The entries of a block, or none if there is no such block.
    pub(super) fn decode(&self, number: usize) -> Vec<EntryBuf> {
        if number >= self.read().block_count() {
            return Vec::new();
        }
        let mut cursor = Cursor::at_block(self.read(), number);
        let mut entries = Vec::with_capacity(BLOCK_ENTRIES_MAX + 1);
        for _ in 0..self.read().block(number).entries {
            let entry = cursor.advance().expect("a block has the entries that it counts");
            entries.push(EntryBuf { key: entry.key.to_buf(), child: entry.child });
        }
        entries
    }

    /// Writes `groups` as blocks in place of block `number`, or of none if there is no such block.
    fn replace_block(&mut self, number: usize, groups: &[Vec<EntryBuf>]) -> Result<(), NoRoom> {
        let mut blocks: Vec<Block> =
            (0..self.read().block_count()).map(|block| self.read().block(block)).collect();
        let end = self.read().entries_end();
        let start = blocks.get(number).map_or(end, |block| block.start);
        let behind = blocks.get(number + 1).map_or(end, |block| block.start);
        let (written, new_blocks) = encode(groups, start);
        let old_count = usize::from(number < blocks.len());
        let needed_bytes = written.len() + new_blocks.len() * BLOCK_BYTES;
        let free_bytes = self.read().free_bytes() + behind - start + old_count * BLOCK_BYTES;
        if needed_bytes > free_bytes {
            return Err(NoRoom { needed_bytes, free_bytes });
        }
        for block in blocks.iter_mut().skip(number + 1) {
            block.start = block.start - behind + start + written.len();
        }
        blocks.splice(number..number + old_count, new_blocks);
        self.bytes.copy_within(behind..end, start + written.len());
        put(self.bytes, start, &written);
        self.put_blocks(&blocks, start + written.len() + end - behind);
        Ok(())
    }

    /// Writes the whole node anew, whose blocks must fit.
    pub(super) fn rewrite(
        &mut self,
        right: Option<(PageNumber, IndexKey<'_>)>,
        groups: &[Vec<EntryBuf>],
    ) {
        let start = entries_start(right.map(|(_, high)| high));
        let (written, blocks) = encode(groups, start);
        let end = start + written.len();
        let size = self.bytes.len();
        assert!(
            end + blocks.len() * BLOCK_BYTES <= size,
            "{} blocks that end at {end} do not fit into {size} bytes",
            blocks.len()
        );
        self.bytes[ENTRIES..].fill(0);
        put_u32(self.bytes, RIGHT, right.map_or(0, |(right, _)| right.0));
        if let Some((_, high)) = right {
            put_u16(self.bytes, HIGH_LENGTH, offset(high.key.len()));
            put_u64(self.bytes, HIGH, high.record.0);
            put(self.bytes, HIGH_KEY, high.key);
        }
        put(self.bytes, start, &written);
        self.put_blocks(&blocks, end);
    }

    fn put_blocks(&mut self, blocks: &[Block], end: usize) {
        for (number, block) in blocks.iter().enumerate() {
            let at = block_at(self.bytes.len(), number);
            put_u16(self.bytes, at, offset(block.start));
            put_u16(self.bytes, at + 2, offset(block.entries));
        }
        put_u16(self.bytes, BLOCKS, offset(blocks.len()));
        put_u16(self.bytes, ENTRIES_END, offset(end));
        put_u16(self.bytes, ENTRIES, offset(blocks.iter().map(|block| block.entries).sum()));
    }
}

/// Where the entries of a node with that high key begin.
pub(super) fn entries_start(high: Option<IndexKey<'_>>) -> usize {
    high.map_or(HIGH, |high| HIGH_KEY + high.key.len())
}

/// The entry for just `key`, or where it would be.
fn place_of(entries: &[EntryBuf], key: IndexKey<'_>) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.key.borrow().cmp(&key))
}

fn encode(groups: &[Vec<EntryBuf>], start: usize) -> (Vec<u8>, Vec<Block>) {
    let entries = groups.iter().flatten();
    let room = entries.map(|entry| entry.key.key.len() + ENTRY_BYTES_MORE).sum();
    let mut written = Vec::with_capacity(room);
    let mut blocks = Vec::with_capacity(groups.len());
    for group in groups {
        blocks.push(Block { start: start + written.len(), entries: group.len() });
        let mut before: &[u8] = &[];
        for entry in group {
            entry::append(&mut written, before, entry.key.borrow(), entry.child);
            before = &entry.key.key;
        }
    }
    (written, blocks)
}
