//! Locator pages: where the records of a section are.
//!
//! # Method
//!
//! ```text
//!  24        28         32
//! +---------+----------+----------------------------------------------+
//! | section | sequence | slots of 8 bytes, to the page's end:         |
//! | u32     | u32      | data page u32, line u16, free bytes u16      |
//! +---------+----------+----------------------------------------------+
//! ```
//!
//! A slot is free (page 0, line 0), a stub (page 0, line 1: the number is given away, the record not
//! written yet) or real. A data page belongs to one locator page, and of the slots that lead to it at most one,
//! its keeper, tells how much room it has. When the keeper comes to tell of another record, another slot
//! of the same data page takes over.
//!
//! # Invariant
//!
//! No data page has two keepers, and only real slots keep.

use super::bytes::{offset, put_u16, put_u32, u16_at, u32_at};
use super::data::Line;
use super::error::PageError;
use super::header::{self, Header, PageKind, assert_kind};
use super::section::SectionId;
use super::size::PageSize;
use crate::ids::{PageId, PageNumber};

const SECTION: usize = 24;
const SEQUENCE: usize = 28;
const SLOTS: usize = 32;
const SLOT_BYTES: usize = 8;
const LINE: usize = 4;
const SPACE: usize = 6;

/// How many records a locator page of `size` tells of.
pub(super) fn slots(size: PageSize) -> u16 {
    ((size.bytes() - SLOTS) / SLOT_BYTES) as u16
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locator {
    /// There is none of this number.
    Free,
    /// The number is given away, and the record is not on a page yet.
    Stub,
    /// It is there.
    Real {
        /// The data page.
        page: PageNumber,
        /// The line there.
        line: Line,
    },
}

/// A locator page, for reading.
#[derive(Clone, Copy, Debug)]
pub struct LocatorPage<'a> {
    bytes: &'a [u8],
}

impl<'a> LocatorPage<'a> {
    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<LocatorPage<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::Locator)?;
        let checker = header.checker();
        let page = LocatorPage { bytes };
        let mut kept = Vec::new();
        for slot in 0..page.slot_count() {
            let at = at(slot);
            let (number, line, space) = page.raw(slot);
            checker.ensure(number != header.id.number.0, at, "data page", number, || {
                "another page than this".to_string()
            })?;
            let line_max = if number == 0 { 1 } else { u16::MAX };
            checker.ensure(line <= line_max, at + LINE, "line", line, || {
                "0 or 1 without a data page".to_string()
            })?;
            let space_max = if number == 0 { 0 } else { bytes.len() };
            checker.ensure(
                usize::from(space) <= space_max,
                at + SPACE,
                "free bytes",
                space,
                || format!("at most {space_max}"),
            )?;
            if space > 0 {
                kept.push((number, slot));
            }
        }
        kept.sort_unstable();
        for pair in kept.windows(2) {
            let (number, slot) = pair[1];
            checker.ensure(pair[0].0 != number, self::at(slot), "data page", number, || {
                format!("kept by slot {} alone", pair[0].1)
            })?;
        }
        Ok(page)
    }

    /// Takes a page that has passed [`LocatorPage::view`].
    pub fn of_checked(bytes: &'a [u8]) -> LocatorPage<'a> {
        assert_kind(bytes, PageKind::Locator);
        LocatorPage { bytes }
    }

    /// Whose records they are.
    pub fn section(&self) -> SectionId {
        SectionId(u32_at(self.bytes, SECTION))
    }

    /// Which of the section's locator pages it is.
    pub fn sequence(&self) -> u32 {
        u32_at(self.bytes, SEQUENCE)
    }

    /// How many slots there are.
    pub fn slot_count(&self) -> u16 {
        ((self.bytes.len() - SLOTS) / SLOT_BYTES) as u16
    }

    /// Where in the page a slot is.
    pub(crate) fn place_of(slot: u16) -> usize {
        at(slot)
    }

    /// Where the record of `slot` is.
    pub fn locator(&self, slot: u16) -> Locator {
        match self.raw(slot) {
            (0, 0, _) => Locator::Free,
            (0, _, _) => Locator::Stub,
            (page, line, _) => Locator::Real { page: PageNumber(page), line: Line(line) },
        }
    }

    /// The first free slot at or behind `from`, if any.
    pub fn first_free(&self, from: u16) -> Option<u16> {
        (from..self.slot_count()).find(|slot| self.locator(*slot) == Locator::Free)
    }

    /// How many records of this page lie in the data page `page`.
    pub fn record_count(&self, page: PageNumber) -> u16 {
        self.slots_of(page).count() as u16
    }

    /// The room that the data page `page` is known to have: 0 if nothing is known.
    pub fn space(&self, page: PageNumber) -> u16 {
        self.slots_of(page).map(|slot| self.raw(slot).2).max().unwrap_or(0)
    }

    /// The first data page that is known to have at least `bytes` bytes of room.
    pub fn page_with_space(&self, bytes: u16) -> Option<PageNumber> {
        let wanted = bytes.max(1);
        let found = self.slots().find(|slot| u16_at(slot, SPACE) >= wanted)?;
        Some(PageNumber(u32_at(found, 0)))
    }

    fn slots_of(self, page: PageNumber) -> impl Iterator<Item = u16> + 'a {
        let slots = self.slots().enumerate();
        slots.filter_map(move |(slot, bytes)| {
            (page.0 != 0 && u32_at(bytes, 0) == page.0).then_some(slot as u16)
        })
    }

    /// The bytes of all slots. Whoever looks through them all does so for every row that comes.
    fn slots(self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes[SLOTS..].chunks_exact(SLOT_BYTES)
    }

    fn raw(&self, slot: u16) -> (u32, u16, u16) {
        assert!(slot < self.slot_count(), "slot {slot} of {}", self.slot_count());
        let at = at(slot);
        (u32_at(self.bytes, at), u16_at(self.bytes, at + LINE), u16_at(self.bytes, at + SPACE))
    }
}

fn at(slot: u16) -> usize {
    SLOTS + usize::from(slot) * SLOT_BYTES
}

/// A locator page, for changing.
#[derive(Debug)]
pub struct LocatorPageMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> LocatorPageMut<'a> {
    /// Makes a page all of whose slots are free.
    pub fn format(
        bytes: &'a mut [u8],
        id: PageId,
        section: SectionId,
        sequence: u32,
    ) -> LocatorPageMut<'a> {
        header::format(bytes, id, PageKind::Locator);
        put_u32(bytes, SECTION, section.0);
        put_u32(bytes, SEQUENCE, sequence);
        LocatorPageMut { bytes }
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a mut [u8]) -> Result<LocatorPageMut<'a>, PageError> {
        LocatorPage::view(bytes)?;
        Ok(LocatorPageMut { bytes })
    }

    /// Takes a page that has passed [`LocatorPage::view`].
    pub fn of_checked(bytes: &'a mut [u8]) -> LocatorPageMut<'a> {
        assert_kind(bytes, PageKind::Locator);
        LocatorPageMut { bytes }
    }

    /// The same page, for reading.
    pub fn read(&self) -> LocatorPage<'_> {
        LocatorPage { bytes: self.bytes }
    }

    /// Says where the record of `slot` is. What was known of the room of its old data page stays known as
    /// long as a record of that page is left.
    pub fn set(&mut self, slot: u16, locator: Locator) {
        let (old_page, _, space) = self.read().raw(slot);
        let (page, line) = match locator {
            Locator::Free => (0, 0),
            Locator::Stub => (0, 1),
            Locator::Real { page, line } => {
                let own = header::id_of(self.bytes).number;
                assert!(page.0 != 0 && page != own, "{page} is no data page of {own}");
                (page.0, line.0)
            }
        };
        put_u32(self.bytes, at(slot), page);
        put_u16(self.bytes, at(slot) + LINE, line);
        if page != old_page {
            put_u16(self.bytes, at(slot) + SPACE, 0);
            let heir = self.read().slots_of(PageNumber(old_page)).next();
            if let Some(heir) = heir.filter(|_| space > 0) {
                put_u16(self.bytes, at(heir) + SPACE, space);
            }
        }
    }

    /// Says how much room the data page `page`, which a slot must lead to, has.
    pub fn set_space(&mut self, page: PageNumber, bytes: u16) {
        let keeper = self.read().slots_of(page).find(|slot| self.read().raw(*slot).2 > 0);
        let keeper = keeper.or_else(|| self.read().slots_of(page).next());
        let slot = keeper.unwrap_or_else(|| panic!("no slot leads to {page}, of room {bytes}"));
        let size = offset(self.bytes.len());
        assert!(bytes <= size, "{bytes} bytes of room in a page of {size}");
        put_u16(self.bytes, at(slot) + SPACE, bytes);
    }
}
