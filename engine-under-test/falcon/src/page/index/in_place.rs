//! An entry that comes to a block with room for one more.
//!
//! # Method
//!
//! Of all that is in the page only the entry behind the new one is written otherwise than before: it shares its
//! start with the new one now. Both are written where that one lay, and what lies behind is shifted. The bytes
//! of the page are those that the block would have, were it decoded and encoded again.
//!
//! # Invariant
//!
//! Whether the result fits is known before the first byte is changed.

use std::ops::Range;

use super::change::{IndexPageMut, InsertError};
use super::cursor::Cursor;
use super::entry::{self, IndexKey};
use super::node::{BLOCK_BYTES, BLOCK_ENTRIES_MAX, Block, ENTRIES, ENTRIES_END, block_at};
use crate::ids::PageNumber;
use crate::page::bytes::{offset, put, put_u16, u16_at};
use crate::page::error::NoRoom;

impl IndexPageMut<'_> {
    /// Puts the entry into that block, if the block is there and has room in its count. `None`: it is not or
    /// has not, and nothing was changed.
    pub(super) fn insert_in_place(
        &mut self,
        number: usize,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> Option<Result<(), InsertError>> {
        let page = self.read();
        if number >= page.block_count() || page.block(number).entries >= BLOCK_ENTRIES_MAX {
            return None;
        }
        let Some((place, written)) =
            encode(&mut Cursor::at_block(page, number), page.block(number), key, child)
        else {
            return Some(Err(InsertError::Duplicate));
        };
        Some(self.put_in(number, place, &written).map_err(InsertError::NoRoom))
    }

    /// Puts bytes with one more entry in place of those of `place`.
    fn put_in(&mut self, number: usize, place: Range<usize>, written: &[u8]) -> Result<(), NoRoom> {
        let (page, end) = (self.read(), self.read().entries_end());
        let count = page.block_count();
        let behind = if number + 1 < count { page.block(number + 1).start } else { end };
        // As many bytes as the whole block has, before and after, and its place in the index of blocks.
        let block_bytes = behind - page.block(number).start + BLOCK_BYTES;
        let (needed_bytes, free_bytes) =
            (block_bytes + written.len() - place.len(), block_bytes + page.free_bytes());
        if needed_bytes > free_bytes {
            return Err(NoRoom { needed_bytes, free_bytes });
        }
        self.bytes.copy_within(place.end..end, place.start + written.len());
        put(self.bytes, place.start, written);
        let moved = |at: usize| offset(at + written.len() - place.len());
        let size = self.bytes.len();
        for at in (number + 1..count).map(|block| block_at(size, block)) {
            let start = u16_at(self.bytes, at).into();
            put_u16(self.bytes, at, moved(start));
        }
        for at in [block_at(size, number) + 2, ENTRIES] {
            let entries = u16_at(self.bytes, at);
            put_u16(self.bytes, at, entries + 1);
        }
        put_u16(self.bytes, ENTRIES_END, moved(end));
        Ok(())
    }
}

/// The new entry and the one behind it as they are to be, and where that one lies. `None` if there is an entry
/// of that key and record. The cursor stands before the block.
fn encode(
    cursor: &mut Cursor<'_>,
    block: Block,
    key: IndexKey<'_>,
    child: Option<PageNumber>,
) -> Option<(Range<usize>, Vec<u8>)> {
    let mut before = cursor.clone();
    let mut is_behind = false;
    for _ in 0..block.entries {
        let found = cursor.advance().expect("a block has the entries that it counts").key;
        if found == key {
            return None;
        }
        is_behind = found > key;
        if is_behind {
            break;
        }
        before.clone_from(cursor);
    }
    let is_first = before.at() == block.start;
    let mut written = Vec::with_capacity(2 * key.key.len() + 48);
    let shared_with: &[u8] = if is_first { &[] } else { before.current().key };
    entry::append(&mut written, shared_with, key, child);
    if is_behind {
        let behind = cursor.current();
        entry::append(&mut written, key.key, behind, cursor.child());
    }
    Some((before.at()..cursor.at(), written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::index::IndexId;
    use crate::page::{PageSize, RecordNumber};
    use crate::{PageId, TablespaceId};

    /// Keys that share more or less with each other, in an order that jumps about.
    fn keys() -> impl Iterator<Item = (Vec<u8>, RecordNumber)> {
        (0..400_u64).map(|step| {
            let number = step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            let mut key = vec![(number % 3) as u8; (number % 7) as usize];
            key.extend(vec![(number / 7 % 5) as u8; (number / 3 % 60) as usize]);
            (key, RecordNumber(number % 11))
        })
    }

    #[test]
    fn the_page_is_as_if_its_block_had_been_written_anew() {
        let id = PageId { tablespace: TablespaceId(1), number: PageNumber(9) };
        let new = || {
            let mut bytes = vec![0; PageSize::DEFAULT.bytes()];
            IndexPageMut::format_leaf(&mut bytes, id, IndexId(3));
            bytes
        };
        let (mut one, mut other) = (new(), new());
        let (mut in_place, mut duplicates, mut refused) = (0, 0, 0);
        for (key, record) in keys().chain(keys().take(60)) {
            let key = IndexKey { key: &key, record };
            let (mut page, mut anew) =
                (IndexPageMut::of_checked(&mut one), IndexPageMut::of_checked(&mut other));
            let number = page.read().block_for(key);
            let result = page.insert_in_place(number, key, None);
            in_place += usize::from(result.is_some());
            let result = result.unwrap_or_else(|| page.insert_anew(number, key, None));
            assert_eq!(result, anew.insert_anew(number, key, None), "{key:?}");
            duplicates += usize::from(result == Err(InsertError::Duplicate));
            refused += usize::from(matches!(result, Err(InsertError::NoRoom(_))));
            assert!(one == other, "{key:?}");
        }
        assert!(
            in_place > 300 && duplicates > 10 && refused > 10,
            "{in_place} {duplicates} {refused}"
        );
    }
}
