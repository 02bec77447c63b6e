//! Pages: the formats of all kinds of page, and the operations on the bytes of one.
//!
//! # Method
//!
//! A page is a buffer of [`PageSize`] bytes that begins with a [`Header`]. Each kind has a view for
//! reading (`DataPage`) and one for changing (`DataPageMut`), made in one of three ways: `view` checks
//! everything and is for what came from the disk; `of_checked` checks the kind only and is for a page that
//! has passed `view` and was since changed through these views only; `format` makes a new page. A page is
//! read as [`check`] (is it the page that was written here?), then [`check_content`] (can it be walked?).
//! A change is made, then marked by [`set_lsn`]; [`seal`] comes last, just before the page is written.
//!
//! All numbers are little-endian. Offsets and lengths within a page are `u16` and unsigned: the largest
//! page has 32,768 bytes. Page 0 holds the header of the file and is nobody's child, so that the number 0
//! stands for "no page" in every link.
//!
//! # Invariant
//!
//! No I/O, no cache, no log: what is here is a function of the bytes alone. A page that passed `view` is
//! read without a check, and an operation on it that fails leaves it as it was.

mod bytes;
mod data;
mod dump;
mod error;
mod file_header;
mod header;
pub mod index;
mod inventory;
pub mod key;
mod locator;
mod overflow;
mod record_number;
mod section;
mod sequence;
mod size;

pub use data::{DataPage, DataPageMut, Line, Record};
pub use dump::dump;
pub use error::{NoRoom, PageError};
pub use file_header::{Creation, DatabaseId, FileHeader, FileHeaderMut, FileIdentity};
pub(crate) use header::is_kind;
pub use header::{HEADER_BYTES, Header, PageKind, check, clear_seal, seal, set_lsn};
pub use inventory::{InventoryMap, InventoryPage, InventoryPageMut, RESERVED_PAGES};
pub use locator::{Locator, LocatorPage, LocatorPageMut};
pub use overflow::OverflowPage;
pub use record_number::{RecordNumber, RecordPath, SectionGeometry};
pub use section::{NODE_LEVEL_MAX, SectionId, SectionPage, SectionPageMut};
pub use sequence::{SequencePage, SequencePageMut};
pub use size::PageSize;

use index::IndexPage;

/// Checks all that the content of a page says of itself, whatever its kind. It does not look at the
/// checksum: that is what [`check`] does.
pub fn check_content(bytes: &[u8]) -> Result<Header, PageError> {
    let header = Header::read(bytes)?;
    match header.kind {
        PageKind::FileHeader => drop(FileHeader::view(bytes)?),
        PageKind::Inventory => drop(InventoryPage::view(bytes)?),
        PageKind::Section => drop(SectionPage::view(bytes)?),
        PageKind::Locator => drop(LocatorPage::view(bytes)?),
        PageKind::Data => drop(DataPage::view(bytes)?),
        PageKind::Overflow => drop(OverflowPage::view(bytes)?),
        PageKind::Index => drop(IndexPage::view(bytes)?),
        PageKind::Sequence => drop(SequencePage::view(bytes)?),
    }
    Ok(header)
}
