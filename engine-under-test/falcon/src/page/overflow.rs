//! Overflow pages: the tail of a record that is too long for its data page.
//!
//! # Method
//!
//! ```text
//!  24        28     32       34  36
//! +---------+------+--------+---+--------------------+------+
//! | section | next | length | 0 | the record's bytes | 0    |
//! | u32     | u32  | u16    | 2 |                    |      |
//! +---------+------+--------+---+--------------------+------+
//! ```
//!
//! The pages of a tail are a chain, in the order of the bytes: the record's line leads to the first, the last
//! one leads to page 0. A chain is written from its end, so that every page is made once and never changed.
//!
//! # Invariant
//!
//! A page of a chain holds at least one byte.

use super::bytes::{offset, put, put_u16, put_u32, u16_at, u32_at};
use super::error::PageError;
use super::header::{self, Header, PageKind, assert_kind};
use super::section::SectionId;
use super::size::PageSize;
use crate::ids::{PageId, PageNumber};

const SECTION: usize = 24;
const NEXT: usize = 28;
const LENGTH: usize = 32;
const UNUSED: usize = 34;
const CONTENT: usize = 36;

/// An overflow page.
#[derive(Clone, Copy, Debug)]
pub struct OverflowPage<'a> {
    bytes: &'a [u8],
}

impl<'a> OverflowPage<'a> {
    /// How many bytes of a record a page of `size` takes.
    pub fn capacity(size: PageSize) -> usize {
        size.bytes() - CONTENT
    }

    /// Makes a page of a chain, which goes on at `next`.
    pub fn format(
        bytes: &'a mut [u8],
        id: PageId,
        section: SectionId,
        next: Option<PageNumber>,
        content: &[u8],
    ) -> OverflowPage<'a> {
        let size = header::format(bytes, id, PageKind::Overflow);
        let (length, max) = (content.len(), OverflowPage::capacity(size));
        assert!((1..=max).contains(&length), "{length} bytes in an overflow page for 1 to {max}");
        assert!(next != Some(PageNumber(0)), "page 0 is the header of the file and in no chain");
        assert!(next != Some(id.number), "{id} cannot follow itself");
        put_u32(bytes, SECTION, section.0);
        put_u32(bytes, NEXT, next.map_or(0, |next| next.0));
        put_u16(bytes, LENGTH, offset(length));
        put(bytes, CONTENT, content);
        OverflowPage { bytes }
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<OverflowPage<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::Overflow)?;
        let checker = header.checker();
        let (length, max) = (u16_at(bytes, LENGTH), OverflowPage::capacity(header.size));
        checker.ensure(
            length > 0 && usize::from(length) <= max,
            LENGTH,
            "length",
            length,
            || format!("1 to {max}"),
        )?;
        let next = u32_at(bytes, NEXT);
        checker.ensure(next != header.id.number.0, NEXT, "next page", next, || {
            "another page than this".to_string()
        })?;
        checker.zero(bytes, UNUSED..CONTENT)?;
        checker.zero(bytes, CONTENT + usize::from(length)..bytes.len())?;
        Ok(OverflowPage { bytes })
    }

    /// Takes a page that has passed [`OverflowPage::view`].
    pub fn of_checked(bytes: &'a [u8]) -> OverflowPage<'a> {
        assert_kind(bytes, PageKind::Overflow);
        OverflowPage { bytes }
    }

    /// Whose record it is.
    pub fn section(&self) -> SectionId {
        SectionId(u32_at(self.bytes, SECTION))
    }

    /// The page that goes on, if this is not the last.
    pub fn next(&self) -> Option<PageNumber> {
        Some(PageNumber(u32_at(self.bytes, NEXT))).filter(|next| next.0 != 0)
    }

    /// The bytes of the record that are here.
    pub fn content(&self) -> &'a [u8] {
        &self.bytes[CONTENT..CONTENT + usize::from(u16_at(self.bytes, LENGTH))]
    }
}
