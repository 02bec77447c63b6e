//! Sections: heaps of records, each found by its number.
//!
//! # Method
//!
//! Page 2 of a tablespace leads to the root of each section. From there section pages lead to locator pages, a
//! locator to a line of a data page, and a record that is too long for one goes on in overflow pages. A
//! data page belongs to one locator page, which remembers about how much room it has: too much is found out
//! and mended when a record finds no room there.
//!
//! Nodes that are missing on the way to a record are made first, each with its link in one change. A record
//! then comes to its place, with its overflow pages and without its old ones, in one change.
//!
//! A section that was dropped is freed from the left, in changes that each leave the rest within reach.
//!
//! # Invariant
//!
//! One thread at a time changes a section. Reading needs no more than that the record itself stays.

mod find;
mod known;
mod reclaim;
mod walk;
mod write;

pub(crate) use find::{chain, look, next_record, prefetch, read};
pub(crate) use known::Known;
pub(crate) use reclaim::reclaim;
pub(crate) use walk::{SectionWalk, numbers};
pub(crate) use write::{create, delete, put};

use crate::page::{PageKind, SectionId, SectionPage};
use crate::store::Store;
use crate::store::format::SECTION_ROOTS;
use crate::{Error, PageId, PageNumber, Result, TablespaceId};

/// Where the root of a section is; none for a section that was not made.
pub(crate) fn root_of(
    store: &Store,
    tablespace: TablespaceId,
    section: SectionId,
) -> Result<Option<PageNumber>> {
    let roots = PageId { tablespace, number: SECTION_ROOTS };
    let page = store.read(roots, PageKind::Section)?;
    let page = SectionPage::of_checked(page.bytes());
    let slot = slot_of(section, page.slot_count())?;
    Ok(page.child(slot))
}

/// The sections that a tablespace has.
pub(crate) fn all(store: &Store, tablespace: TablespaceId) -> Result<Vec<SectionId>> {
    let page = store.read(PageId { tablespace, number: SECTION_ROOTS }, PageKind::Section)?;
    let page = SectionPage::of_checked(page.bytes());
    Ok(page.children().map(|(slot, _)| SectionId(slot.into())).collect())
}

fn slot_of(section: SectionId, slots: u16) -> Result<u16> {
    match u16::try_from(section.0) {
        Ok(slot) if slot < slots => Ok(slot),
        _ => Err(Error::TooMany { what: "tables", limit: slots.into() }),
    }
}
