//! A node that is full becomes two, and a root that is full becomes a level.
//!
//! # Method
//!
//! A split takes the entry that found no room, so that both halves fit whatever it is. The right half
//! moves to a new page, and the left one leads there: until the parent knows of the new page the tree is whole
//! by the link alone. Both halves get about as many bytes, but for an entry at the very end of the tree's
//! level: keys that ascend would leave every node half empty, so the left one stays as full as it can.
//! Blocks stay as they are, except for the one that is cut.
//!
//! In a leaf the bound between the halves is the shortest key that separates them, which keeps branches small.
//!
//! Why both halves fit: let e be the most that one entry takes, a block of its own included. It is less
//! than an eighth of the page. The old entries fit; the new one, the block that it may divide and the
//! block that is cut add e each. The fairest cut leaves half of that and at most e / 2 to a side, and a
//! high key takes less than e: seven eighths of a page.
//!
//! # Invariant
//!
//! All entries of the left half are below the bound, and none of the right half is. A root keeps its place.

use super::change::{IndexPageMut, InsertError, entries_start};
use super::entry::{self, EntryBuf, IndexKey, IndexKeyBuf, shared};
use super::node::{BLOCK_BYTES, INDEX, INDEX_LEVEL_MAX, LEVEL};
use crate::ids::{PageId, PageNumber};
use crate::page::header::{self, PageKind, id_of};
use crate::page::record_number::RecordNumber;

/// A place between two entries: within a block, or before it.
#[derive(Clone, Copy)]
struct Cut {
    group: usize,
    place: usize,
    /// What the blocks left of it take, with their places in the index of blocks.
    left_bytes: usize,
    right_bytes: usize,
}

impl IndexPageMut<'_> {
    /// Splits the node and inserts an entry, and returns the bound between the halves: what the parent must
    /// learn of the new node. The right half becomes the page `right_id`.
    ///
    /// Of the log's images of both, that of the right page must come first: until it is there, nothing may
    /// lead to it. Both pages still need their place in the log.
    pub fn split_insert(
        &mut self,
        right_bytes: &mut [u8],
        right_id: PageId,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> Result<IndexKeyBuf, InsertError> {
        self.check_new(key, child)?;
        assert!(
            right_bytes.len() == self.bytes.len(),
            "{} is split into a page of {} bytes",
            id_of(self.bytes),
            right_bytes.len()
        );
        let page = self.read();
        let number = page.block_for(key);
        let changed = self.with_entry(number, EntryBuf { key: key.to_buf(), child })?;
        let mut groups: Vec<_> = (0..page.block_count()).map(|block| self.decode(block)).collect();
        let old_count = usize::from(number < groups.len());
        groups.splice(number..number + old_count, changed);

        let level = page.level();
        let is_last = groups.last().and_then(|group| group.last());
        let ascends =
            page.right().is_none() && is_last.is_some_and(|last| last.key.borrow() == key);
        let cuts = cuts(&groups);
        let cut = if ascends {
            let room = |cut: &&Cut| {
                self.bytes.len() - entries_start(Some(bound(&groups, **cut, level).borrow()))
            };
            cuts.iter().rev().find(|cut| cut.left_bytes <= room(cut))
        } else {
            cuts.iter().min_by_key(|cut| cut.left_bytes.max(cut.right_bytes))
        };
        let cut = *cut.unwrap_or_else(|| panic!("{} has no place to be cut at", id_of(self.bytes)));

        let bound = bound(&groups, cut, level);
        let index = page.index();
        let old_high = page.high().map(IndexKey::to_buf);
        let right_link = page.right().zip(old_high.as_ref().map(IndexKeyBuf::borrow));
        let right_groups = divide(&mut groups, cut);
        IndexPageMut::format(right_bytes, right_id, index, level)
            .rewrite(right_link, &right_groups);
        self.rewrite(Some((right_id.number, bound.borrow())), &groups);
        Ok(bound)
    }

    /// Makes the tree one level higher: what the root held moves to the page `left_id`, and the root leads to
    /// it alone. The root has room for many entries then. Both pages still need their place in the log.
    pub fn grow_root(&mut self, left_bytes: &mut [u8], left_id: PageId) {
        let (id, level) = (id_of(self.bytes), self.read().level());
        assert!(self.read().right().is_none(), "{id} has a right sibling and is no root");
        assert!(level < INDEX_LEVEL_MAX, "a root of level {level} cannot grow");
        assert!(left_id != id, "{id} cannot be its own child");
        header::format(left_bytes, left_id, PageKind::Index);
        left_bytes[INDEX..].copy_from_slice(&self.bytes[INDEX..]);
        self.bytes[LEVEL] = level + 1;
        let first = EntryBuf { key: IndexKey::MIN.to_buf(), child: Some(left_id.number) };
        self.rewrite(None, &[vec![first]]);
    }
}

/// All places where both sides have an entry, with what the sides would take.
fn cuts(groups: &[Vec<EntryBuf>]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut left_bytes = 0;
    for (group, entries) in groups.iter().enumerate() {
        let mut before: &[u8] = &[];
        for (place, entry) in entries.iter().enumerate() {
            let starts = entry_bytes(&[], entry) + BLOCK_BYTES;
            let stays = if place == 0 { starts } else { entry_bytes(before, entry) };
            // What the right side takes more since the entry has to begin a block.
            let right_bytes = starts - stays;
            cuts.push(Cut { group, place, left_bytes, right_bytes });
            left_bytes += stays;
            before = &entry.key.key;
        }
    }
    for cut in &mut cuts {
        cut.right_bytes += left_bytes - cut.left_bytes;
    }
    // Before the first entry there is nothing to cut off.
    cuts.remove(0);
    cuts
}

fn entry_bytes(before: &[u8], entry: &EntryBuf) -> usize {
    let mut written = Vec::new();
    entry::append(&mut written, before, entry.key.borrow(), entry.child);
    written.len()
}

/// Takes what is right of the cut out of `groups`.
fn divide(groups: &mut Vec<Vec<EntryBuf>>, cut: Cut) -> Vec<Vec<EntryBuf>> {
    let mut right = groups.split_off(cut.group);
    let behind = right[0].split_off(cut.place);
    let before = std::mem::replace(&mut right[0], behind);
    if !before.is_empty() {
        groups.push(before);
    }
    right
}

/// A key that is above what is left of the cut, and not above what is right of it.
fn bound(groups: &[Vec<EntryBuf>], cut: Cut, level: u8) -> IndexKeyBuf {
    let right = &groups[cut.group][cut.place].key;
    let left = match cut.place {
        0 => groups[cut.group - 1].last().expect("no block is empty"),
        place => &groups[cut.group][place - 1],
    };
    // What is in a branch was shortened when its leaf was split, and equal keys differ by record alone.
    if level > 0 || left.key.key == right.key {
        return right.clone();
    }
    let length = shared(&left.key.key, &right.key) + 1;
    IndexKeyBuf { key: right.key[..length].to_vec(), record: RecordNumber(0) }
}
