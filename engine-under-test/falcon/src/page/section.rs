//! Section pages: the nodes of the tree that leads to a section's locator pages.
//!
//! # Method
//!
//! ```text
//!  24        28         32      33   36
//! +---------+----------+-------+----+-----------------------------+
//! | section | sequence | level | 0  | child pages, 0 = none       |
//! | u32     | u32      | u8    | 3  | u32 each, to the page's end |
//! +---------+----------+-------+----+-----------------------------+
//! ```
//!
//! Level 0 leads to what the section keeps: locator pages, or what else is found by a number, as the roots
//! of sections and of indexes are. The sequence counts the nodes of one level from the left. A tree that is
//! full grows by [`SectionPageMut::promote`]: the root moves its content to a new page and leads there.
//!
//! # Invariant
//!
//! The root of a section never changes its place.

use super::bytes::{put_u32, u32_at};
use super::error::PageError;
use super::header::{self, Header, PageKind, assert_kind};
use super::size::PageSize;
use crate::ids::{PageId, PageNumber};

const SECTION: usize = 24;
const SEQUENCE: usize = 28;
const LEVEL: usize = 32;
const UNUSED: usize = 33;
const SLOTS: usize = 36;
const SLOT_BYTES: usize = 4;

/// The highest level of a node. With the smallest page a tree of this height leads to more locator pages
/// than there are page numbers.
pub const NODE_LEVEL_MAX: u8 = 4;

/// A section within its tablespace: a heap of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(pub u32);

/// How many children a section page of `size` has.
pub(super) fn slots(size: PageSize) -> u16 {
    ((size.bytes() - SLOTS) / SLOT_BYTES) as u16
}

/// A section page, for reading.
#[derive(Clone, Copy, Debug)]
pub struct SectionPage<'a> {
    bytes: &'a [u8],
}

impl<'a> SectionPage<'a> {
    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<SectionPage<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::Section)?;
        let checker = header.checker();
        let level = bytes[LEVEL];
        checker.ensure(level <= NODE_LEVEL_MAX, LEVEL, "level", level, || {
            format!("at most {NODE_LEVEL_MAX}")
        })?;
        checker.zero(bytes, UNUSED..SLOTS)?;
        let page = SectionPage { bytes };
        for (slot, child) in page.children() {
            let at = SLOTS + usize::from(slot) * SLOT_BYTES;
            checker.ensure(child != header.id.number, at, "child", child.0, || {
                "another page than this".to_string()
            })?;
        }
        Ok(page)
    }

    /// Takes a page that has passed [`SectionPage::view`].
    pub fn of_checked(bytes: &'a [u8]) -> SectionPage<'a> {
        assert_kind(bytes, PageKind::Section);
        SectionPage { bytes }
    }

    /// Whose node it is.
    pub fn section(&self) -> SectionId {
        SectionId(u32_at(self.bytes, SECTION))
    }

    /// Which node of its level, from the left.
    pub fn sequence(&self) -> u32 {
        u32_at(self.bytes, SEQUENCE)
    }

    /// How many levels lie below.
    pub fn level(&self) -> u8 {
        self.bytes[LEVEL]
    }

    /// How many slots there are.
    pub fn slot_count(&self) -> u16 {
        ((self.bytes.len() - SLOTS) / SLOT_BYTES) as u16
    }

    /// The child in `slot`, if any.
    pub fn child(&self, slot: u16) -> Option<PageNumber> {
        assert!(slot < self.slot_count(), "slot {slot} of {}", self.slot_count());
        match u32_at(self.bytes, SLOTS + usize::from(slot) * SLOT_BYTES) {
            0 => None,
            number => Some(PageNumber(number)),
        }
    }

    /// The slots that have a child, with it.
    pub fn children(self) -> impl Iterator<Item = (u16, PageNumber)> + 'a {
        self.children_from(0)
    }

    /// Those of them at a slot or behind it.
    pub fn children_from(self, slot: u16) -> impl Iterator<Item = (u16, PageNumber)> + 'a {
        let (numbers, _) = self.bytes[SLOTS..].as_chunks::<SLOT_BYTES>();
        let children = (0..).zip(numbers.iter().map(|number| u32::from_le_bytes(*number)));
        let from = children.skip(slot.into()).filter(|(_, number)| *number != 0);
        from.map(|(slot, number)| (slot, PageNumber(number)))
    }
}

/// A section page, for changing.
#[derive(Debug)]
pub struct SectionPageMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> SectionPageMut<'a> {
    /// Makes a node without children.
    pub fn format(
        bytes: &'a mut [u8],
        id: PageId,
        section: SectionId,
        sequence: u32,
        level: u8,
    ) -> SectionPageMut<'a> {
        assert!(level <= NODE_LEVEL_MAX, "level {level}, at most {NODE_LEVEL_MAX}");
        header::format(bytes, id, PageKind::Section);
        put_u32(bytes, SECTION, section.0);
        put_u32(bytes, SEQUENCE, sequence);
        bytes[LEVEL] = level;
        SectionPageMut { bytes }
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a mut [u8]) -> Result<SectionPageMut<'a>, PageError> {
        SectionPage::view(bytes)?;
        Ok(SectionPageMut { bytes })
    }

    /// Takes a page that has passed [`SectionPage::view`].
    pub fn of_checked(bytes: &'a mut [u8]) -> SectionPageMut<'a> {
        assert_kind(bytes, PageKind::Section);
        SectionPageMut { bytes }
    }

    /// The same page, for reading.
    pub fn read(&self) -> SectionPage<'_> {
        SectionPage { bytes: self.bytes }
    }

    /// Puts a child into `slot`, or takes it out.
    pub fn set_child(&mut self, slot: u16, child: Option<PageNumber>) {
        let own = header::id_of(self.bytes).number;
        assert!(slot < self.read().slot_count(), "slot {slot} of {}", self.read().slot_count());
        assert!(child != Some(PageNumber(0)), "page 0 is the header of the file and no child");
        assert!(child != Some(own), "{own} cannot be its own child");
        let number = child.map_or(0, |child| child.0);
        put_u32(self.bytes, SLOTS + usize::from(slot) * SLOT_BYTES, number);
    }

    /// Makes the tree one level higher: what the root held moves to `child`, which becomes the page `id`, and
    /// the root leads to it by its slot 0.
    pub fn promote(&mut self, child: &mut [u8], id: PageId) {
        let (section, level) = (self.read().section(), self.read().level());
        assert!(level < NODE_LEVEL_MAX, "a root of level {level} cannot be promoted");
        assert!(child.len() == self.bytes.len(), "{} != {} bytes", child.len(), self.bytes.len());
        SectionPageMut::format(child, id, section, 0, level);
        child[SLOTS..].copy_from_slice(&self.bytes[SLOTS..]);
        self.bytes[SLOTS..].fill(0);
        self.bytes[LEVEL] = level + 1;
        self.set_child(0, Some(id.number));
    }
}
