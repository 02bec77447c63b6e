//! A new file of pages: its fixed pages, and the word that its creation is complete.
//!
//! # Method
//!
//! Page 0 is the header, page 1 the first inventory, page 2 the root of the sections, page 3 the root of the
//! indexes. The caller syncs the file between [`format_file`] and [`complete`], and after it: a header that
//! says the file is complete is then never durable before the rest.
//!
//! # Invariant
//!
//! No fixed page has a place in the log: they are there before anything in the log tells of the file.

use std::path::Path;

use falconry_seam::disk::File;
use falconry_seam::planted;

use crate::page::{FileHeaderMut, FileIdentity, InventoryPageMut, PageSize};
use crate::page::{RESERVED_PAGES, SectionId, SectionPageMut, seal};
use crate::{Error, PageId, PageNumber, Result};

/// The page whose slots lead to the roots of the sections.
pub const SECTION_ROOTS: PageNumber = PageNumber(2);
/// The page whose slots lead to the roots of the indexes.
pub const INDEX_ROOTS: PageNumber = PageNumber(3);
/// What [`SECTION_ROOTS`] is a node of. It is no section of records.
pub const SECTIONS: SectionId = SectionId(u32::MAX);
/// What [`INDEX_ROOTS`] is a node of. It is no section of records.
pub const INDEXES: SectionId = SectionId(u32::MAX - 1);

/// Writes the fixed pages of a new file, whose creation begins with that. Nothing is synced.
///
/// # Errors
///
/// [`Error::Io`] with `path`, which names the file; some of the pages may have been written then.
pub fn format_file(
    file: &dyn File,
    path: &Path,
    identity: FileIdentity,
    page_size: PageSize,
) -> Result<()> {
    let tablespace = identity.tablespace;
    let id = |number| PageId { tablespace, number };
    let mut bytes = vec![0; page_size.bytes()];
    FileHeaderMut::format(&mut bytes, identity);
    write(file, path, id(PageNumber(0)), &mut bytes)?;
    let mut inventory = InventoryPageMut::format(&mut bytes, tablespace, 0);
    if planted!("reserved_pages_not_marked") {
        for page in 0..RESERVED_PAGES {
            inventory.mark_free(PageNumber(page));
        }
    }
    write(file, path, id(PageNumber(1)), &mut bytes)?;
    for (number, section) in [(SECTION_ROOTS, SECTIONS), (INDEX_ROOTS, INDEXES)] {
        assert!(number.0 < RESERVED_PAGES, "{number} of {RESERVED_PAGES} fixed pages");
        SectionPageMut::format(&mut bytes, id(number), section, 0, 0);
        write(file, path, id(number), &mut bytes)?;
    }
    Ok(())
}

/// Writes the header of a file whose fixed pages are durable: its creation is complete. Nothing is synced.
///
/// # Errors
///
/// [`Error::Io`] with `path`, which names the file; the header may have been written then.
pub fn complete(
    file: &dyn File,
    path: &Path,
    identity: FileIdentity,
    page_size: PageSize,
) -> Result<()> {
    let mut bytes = vec![0; page_size.bytes()];
    FileHeaderMut::format(&mut bytes, identity).complete();
    let id = PageId { tablespace: identity.tablespace, number: PageNumber(0) };
    write(file, path, id, &mut bytes)
}

fn write(file: &dyn File, path: &Path, page: PageId, bytes: &mut [u8]) -> Result<()> {
    seal(bytes, page);
    let offset = u64::from(page.number.0) * bytes.len() as u64;
    file.write_all_at(bytes, offset).map_err(|error| Error::io("write", path, error))
}
