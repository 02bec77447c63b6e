//! Entries of an index page, and their compressed form.
//!
//! # Method
//!
//! Numbers are written seven bits a byte, low ones first, the top bit set in all bytes but the last.
//!
//! # Invariant
//!
//! Reading never goes past the bytes it was given: a damaged entry is no entry.

use crate::ids::PageNumber;
use crate::page::record_number::RecordNumber;
use crate::varint;

/// What an entry is sorted and found by: first the key, then the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexKey<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The record that has it.
    pub record: RecordNumber,
}

impl IndexKey<'_> {
    /// Before all others, and itself the first entry of every level.
    pub const MIN: IndexKey<'static> = IndexKey { key: &[], record: RecordNumber(0) };

    /// The same, with a key of its own.
    pub fn to_buf(self) -> IndexKeyBuf {
        IndexKeyBuf { key: self.key.to_vec(), record: self.record }
    }
}

/// An [`IndexKey`] with a key of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexKeyBuf {
    /// The key.
    pub key: Vec<u8>,
    /// The record that has it.
    pub record: RecordNumber,
}

impl IndexKeyBuf {
    /// The same, with a borrowed key.
    pub fn borrow(&self) -> IndexKey<'_> {
        IndexKey { key: &self.key, record: self.record }
    }
}

/// What an index page tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry<'a> {
    /// What it is found by.
    pub key: IndexKey<'a>,
    /// In a branch, the child that keeps what is from here on.
    pub child: Option<PageNumber>,
}

/// An entry with a key of its own.
#[derive(Clone, Debug)]
pub(super) struct EntryBuf {
    pub(super) key: IndexKeyBuf,
    pub(super) child: Option<PageNumber>,
}

/// An entry as it lies in the page.
pub(super) struct Stored<'a> {
    /// How many bytes it shares with the key before it.
    pub(super) prefix: usize,
    pub(super) suffix: &'a [u8],
    pub(super) record: RecordNumber,
    pub(super) child: Option<PageNumber>,
    /// Where the next one begins.
    pub(super) end: usize,
}

/// The entry at `at`, if one lies there as a whole.
pub(super) fn read(bytes: &[u8], at: usize, has_child: bool) -> Option<Stored<'_>> {
    let mut at = at;
    let prefix = usize::try_from(varint::read(bytes, &mut at)?).ok()?;
    let length = usize::try_from(varint::read(bytes, &mut at)?).ok()?;
    let suffix = bytes.get(at..at.checked_add(length)?)?;
    at += length;
    let record = RecordNumber(varint::read(bytes, &mut at)?);
    let mut child = None;
    if has_child {
        child = Some(PageNumber(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
        at += 4;
    }
    Some(Stored { prefix, suffix, record, child, end: at })
}

/// Appends an entry, which comes behind the key `before` in its block.
pub(super) fn append(
    out: &mut Vec<u8>,
    before: &[u8],
    IndexKey { key, record }: IndexKey<'_>,
    child: Option<PageNumber>,
) {
    let prefix = shared(before, key);
    varint::append(out, prefix as u64);
    varint::append(out, (key.len() - prefix) as u64);
    out.extend_from_slice(&key[prefix..]);
    varint::append(out, record.0);
    if let Some(child) = child {
        out.extend(child.0.to_le_bytes());
    }
}

/// How many bytes two keys share at their start.
pub(super) fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}
