//! The header that every page begins with, and the seal that tells a good page from a bad one.
//!
//! # Method
//!
//! ```text
//!  0         4      5      6       8         16         20           24
//! +---------+------+------+-------+---------+----------+------------+---- - -
//! | crc-32c | kind | form | 0     | lsn     | page     | tablespace | content
//! | u32     | u8   | u8   | u16   | u64     | u32      | u32        |
//! +---------+------+------+-------+---------+----------+------------+---- - -
//! ```
//!
//! The checksum is over the tablespace and number of the page, then over all its bytes but the checksum
//! itself. It is therefore wrong for a page that lies elsewhere; with the id that the page holds of itself it
//! tells a misplaced page from a damaged one.
//!
//! # Invariant
//!
//! A page that [`check`] accepts is one that [`seal`] was called on for the same place. `lsn` is the end of
//! the log's record of the last change: the page may be written once the log is durable up to there.

use std::fmt;

use super::bytes::{put_u32, put_u64, u32_at, u64_at};
use super::error::PageError;
use super::size::PageSize;
use crate::ids::{Lsn, PageId, PageNumber, TablespaceId};

const CHECKSUM: usize = 0;
const KIND: usize = 4;
const FORM: usize = 5;
const UNUSED: usize = 6;
const LSN: usize = 8;
const NUMBER: usize = 16;
const TABLESPACE: usize = 20;
/// Where the content of a page begins.
pub const HEADER_BYTES: usize = 24;

/// The newest form of the pages, of all kinds.
const FORM_KNOWN: u8 = 1;

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PageKind {
    /// Page 0 of a file.
    FileHeader = 1,
    /// Which pages are free.
    Inventory = 2,
    /// A node of a section tree.
    Section = 3,
    /// Where records are.
    Locator = 4,
    /// Records.
    Data = 5,
    /// The tail of a long record.
    Overflow = 6,
    /// A node of an index.
    Index = 7,
    /// Values of sequences.
    Sequence = 8,
}

impl PageKind {
    /// All kinds, by their number.
    pub const ALL: [PageKind; 8] = [
        PageKind::FileHeader,
        PageKind::Inventory,
        PageKind::Section,
        PageKind::Locator,
        PageKind::Data,
        PageKind::Overflow,
        PageKind::Index,
        PageKind::Sequence,
    ];

    fn of(number: u8) -> Option<PageKind> {
        PageKind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

impl fmt::Display for PageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PageKind::FileHeader => "file header",
            PageKind::Inventory => "inventory",
            PageKind::Section => "section",
            PageKind::Locator => "locator",
            PageKind::Data => "data",
            PageKind::Overflow => "overflow",
            PageKind::Index => "index",
            PageKind::Sequence => "sequence",
        })
    }
}

/// What a page says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which page it is.
    pub id: PageId,
    /// What it is for.
    pub kind: PageKind,
    /// The place in the log behind its last change.
    pub lsn: Lsn,
    /// Its length.
    pub size: PageSize,
}

impl Header {
    /// Reads the header, without a look at the checksum.
    pub fn read(bytes: &[u8]) -> Result<Header, PageError> {
        let Some(size) = PageSize::of_length(bytes.len()) else {
            return Err(PageError::Size { bytes: bytes.len() });
        };
        let id = id_of(bytes);
        let form = bytes[FORM];
        if form > FORM_KNOWN {
            return Err(PageError::Newer {
                page: id,
                found: form.into(),
                known: FORM_KNOWN.into(),
            });
        }
        let checker = Checker { page: id };
        checker.ensure(form > 0, FORM, "form", form, || format!("1 to {FORM_KNOWN}"))?;
        let Some(kind) = PageKind::of(bytes[KIND]) else {
            return Err(checker.refuse(KIND, "kind", bytes[KIND], "1 to 8".to_string()));
        };
        checker.zero(bytes, UNUSED..LSN)?;
        Ok(Header { id, kind, lsn: Lsn(u64_at(bytes, LSN)), size })
    }

    /// Reads the header of a page that should be of `expected` kind.
    pub(super) fn read_kind(bytes: &[u8], expected: PageKind) -> Result<Header, PageError> {
        let header = Header::read(bytes)?;
        if header.kind != expected {
            return Err(PageError::Kind { page: header.id, found: header.kind, expected });
        }
        Ok(header)
    }

    /// What checks the rest of the page.
    pub(super) fn checker(&self) -> Checker {
        Checker { page: self.id }
    }
}

/// The id that a page holds of itself.
pub(super) fn id_of(bytes: &[u8]) -> PageId {
    PageId {
        tablespace: TablespaceId(u32_at(bytes, TABLESPACE)),
        number: PageNumber(u32_at(bytes, NUMBER)),
    }
}

/// Whether a page, whose header was checked, is of this kind.
pub(crate) fn is_kind(bytes: &[u8], kind: PageKind) -> bool {
    bytes[KIND] == kind as u8
}

/// Panics unless the page is of `kind`: a view of a checked page was taken of the wrong one.
pub(super) fn assert_kind(bytes: &[u8], kind: PageKind) {
    assert!(
        bytes[KIND] == kind as u8,
        "{} is of kind {}, and was taken for a page of kind {kind}",
        id_of(bytes),
        bytes[KIND]
    );
}

/// Makes an empty page: all zero but for the header, with no place in the log yet.
pub(super) fn format(bytes: &mut [u8], id: PageId, kind: PageKind) -> PageSize {
    let Some(size) = PageSize::of_length(bytes.len()) else {
        panic!("{id} cannot be made of {} bytes", bytes.len());
    };
    bytes.fill(0);
    bytes[KIND] = kind as u8;
    bytes[FORM] = FORM_KNOWN;
    put_u32(bytes, NUMBER, id.number.0);
    put_u32(bytes, TABLESPACE, id.tablespace.0);
    size
}

/// Says that the log's record of the page's last change ends at `lsn`.
pub fn set_lsn(bytes: &mut [u8], lsn: Lsn) {
    let before = Lsn(u64_at(bytes, LSN));
    assert!(before <= lsn, "{} goes back from {before} to {lsn} in the log", id_of(bytes));
    put_u64(bytes, LSN, lsn.0);
}

/// Takes out what a write of the page puts in, its checksum and its place in the log: what is left is the
/// page's content.
pub fn clear_seal(bytes: &mut [u8]) {
    put_u32(bytes, CHECKSUM, 0);
    put_u64(bytes, LSN, 0);
}

/// Puts the checksum into a page that is about to be written as `page`.
pub fn seal(bytes: &mut [u8], page: PageId) {
    let held = id_of(bytes);
    assert!(held == page, "{held} was about to be written as {page}");
    put_u32(bytes, CHECKSUM, checksum(bytes, page));
}

/// Tells whether what was read as `page` is what was last sealed as that page.
pub fn check(bytes: &[u8], page: PageId) -> Result<Header, PageError> {
    if PageSize::of_length(bytes.len()).is_none() {
        return Err(PageError::Size { bytes: bytes.len() });
    }
    let stored = u32_at(bytes, CHECKSUM);
    let computed = checksum(bytes, page);
    if stored == computed && id_of(bytes) == page {
        return Header::read(bytes);
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(PageError::NeverWritten { page, expected: None });
    }
    let found = id_of(bytes);
    if found != page && stored == checksum(bytes, found) {
        return Err(PageError::Misplaced { page, found });
    }
    Err(PageError::Checksum { page, stored, computed })
}

fn checksum(bytes: &[u8], page: PageId) -> u32 {
    let place = crc32c::crc32c(&page.tablespace.0.to_le_bytes());
    let place = crc32c::crc32c_append(place, &page.number.0.to_le_bytes());
    crc32c::crc32c_append(place, &bytes[CHECKSUM + 4..])
}

/// Makes the errors of one page.
#[derive(Clone, Copy)]
pub(super) struct Checker {
    page: PageId,
}

impl Checker {
    /// An error unless `holds`.
    pub(super) fn ensure(
        self,
        holds: bool,
        at: usize,
        field: &'static str,
        found: impl Into<u64>,
        expected: impl FnOnce() -> String,
    ) -> Result<(), PageError> {
        if holds { Ok(()) } else { Err(self.refuse(at, field, found, expected())) }
    }

    /// The error for a field that holds what it may not.
    pub(super) fn refuse(
        self,
        at: usize,
        field: &'static str,
        found: impl Into<u64>,
        expected: String,
    ) -> PageError {
        PageError::Field { page: self.page, at, field, found: found.into(), expected }
    }

    /// An error unless all bytes of a place that has no use yet are zero.
    pub(super) fn zero(self, bytes: &[u8], place: std::ops::Range<usize>) -> Result<(), PageError> {
        // All at once, for most are: one that is not is looked for then.
        if bytes[place.clone()].iter().fold(0, |any, byte| any | byte) == 0 {
            return Ok(());
        }
        let at = place.clone().find(|at| bytes[*at] != 0).expect("one of them is not zero");
        Err(self.refuse(at, "unused byte", bytes[at], "0".to_string()))
    }
}
