//! Sequence pages: the values of sequences.
//!
//! # Method
//!
//! ```text
//!  24        28  32
//! +---------+---+--------------------------------+
//! | ordinal | 0 | values, i64 each, to the end   |
//! | u32     | 4 |                                |
//! +---------+---+--------------------------------+
//! ```
//!
//! Sequence n is in the page with ordinal n / slots, at slot n % slots. A value is changed in place; when
//! the log is played again it is only raised, for the page may hold a later value than the record that is
//! played.
//!
//! # Invariant
//!
//! Any value is a good one: the form alone can be wrong.

use super::bytes::{array_at, put, put_u32, u32_at};
use super::error::PageError;
use super::header::{self, Header, PageKind, assert_kind};
use super::size::PageSize;
use crate::ids::PageId;

const ORDINAL: usize = 24;
const UNUSED: usize = 28;
const SLOTS: usize = 32;
const SLOT_BYTES: usize = 8;

/// A sequence page, for reading.
#[derive(Clone, Copy, Debug)]
pub struct SequencePage<'a> {
    bytes: &'a [u8],
}

impl<'a> SequencePage<'a> {
    /// How many sequences a page of `size` holds.
    pub fn slots(size: PageSize) -> u16 {
        ((size.bytes() - SLOTS) / SLOT_BYTES) as u16
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<SequencePage<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::Sequence)?;
        header.checker().zero(bytes, UNUSED..SLOTS)?;
        Ok(SequencePage { bytes })
    }

    /// Takes a page that has passed [`SequencePage::view`].
    pub fn of_checked(bytes: &'a [u8]) -> SequencePage<'a> {
        assert_kind(bytes, PageKind::Sequence);
        SequencePage { bytes }
    }

    /// Which of the sequence pages it is.
    pub fn ordinal(&self) -> u32 {
        u32_at(self.bytes, ORDINAL)
    }

    /// How many sequences it holds.
    pub fn slot_count(&self) -> u16 {
        ((self.bytes.len() - SLOTS) / SLOT_BYTES) as u16
    }

    /// The value in `slot`.
    pub fn value(&self, slot: u16) -> i64 {
        assert!(slot < self.slot_count(), "slot {slot} of {}", self.slot_count());
        i64::from_le_bytes(array_at(self.bytes, SLOTS + usize::from(slot) * SLOT_BYTES))
    }
}

/// A sequence page, for changing.
#[derive(Debug)]
pub struct SequencePageMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> SequencePageMut<'a> {
    /// Makes a page all of whose values are 0.
    pub fn format(bytes: &'a mut [u8], id: PageId, ordinal: u32) -> SequencePageMut<'a> {
        header::format(bytes, id, PageKind::Sequence);
        put_u32(bytes, ORDINAL, ordinal);
        SequencePageMut { bytes }
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a mut [u8]) -> Result<SequencePageMut<'a>, PageError> {
        SequencePage::view(bytes)?;
        Ok(SequencePageMut { bytes })
    }

    /// Takes a page that has passed [`SequencePage::view`].
    pub fn of_checked(bytes: &'a mut [u8]) -> SequencePageMut<'a> {
        assert_kind(bytes, PageKind::Sequence);
        SequencePageMut { bytes }
    }

    /// The same page, for reading.
    pub fn read(&self) -> SequencePage<'_> {
        SequencePage { bytes: self.bytes }
    }

    /// Sets the value in `slot`.
    pub fn set(&mut self, slot: u16, value: i64) {
        assert!(slot < self.read().slot_count(), "slot {slot} of {}", self.read().slot_count());
        put(self.bytes, SLOTS + usize::from(slot) * SLOT_BYTES, &value.to_le_bytes());
    }

    /// Sets the value in `slot` unless it is higher already, and tells whether it was set.
    pub fn raise(&mut self, slot: u16, value: i64) -> bool {
        let raised = self.read().value(slot) < value;
        if raised {
            self.set(slot, value);
        }
        raised
    }
}
