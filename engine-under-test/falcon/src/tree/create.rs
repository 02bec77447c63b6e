//! A new index: an empty leaf as its root, and its place among the indexes of the tablespace.
//!
//! # Method
//!
//! The page of [roots](INDEX_ROOTS) has a slot for each index. The root is allocated, formatted and put into
//! the slot by one change.
//!
//! # Invariant
//!
//! A slot that has a root keeps it until the index is dropped.

use super::handle::root_slot;
use crate::page::index::IndexId;
use crate::page::{PageKind, SectionPage};
use crate::store::Store;
use crate::store::format::INDEX_ROOTS;
use crate::store::op::PageOp;
use crate::{PageId, Result, TablespaceId};

/// Creates an index without entries; one that is there already stays as it is.
///
/// # Errors
///
/// [`Error::TooManyIndexes`](crate::Error::TooManyIndexes) when the tablespace has no slot for it,
/// [`Error::Damaged`](crate::Error::Damaged) when the page of roots is none, and those of the cache: nothing
/// was changed. [`Error::Stopped`](crate::Error::Stopped) and [`Error::NoPages`](crate::Error::NoPages); after
/// any of these that comes while pages are changed, the engine has stopped.
pub fn create(store: &Store, tablespace: TablespaceId, index: IndexId) -> Result<()> {
    let roots = PageId { tablespace, number: INDEX_ROOTS };
    let mut change = store.change();
    let slot = change.page(roots, PageKind::Section)?;
    let place = root_slot(store, roots, SectionPage::of_checked(change.bytes(slot)), index)?;
    if SectionPage::of_checked(change.bytes(slot)).child(place).is_some() {
        return Ok(());
    }
    let root = change.allocate(tablespace)?;
    change.create(PageId { tablespace, number: root }, &PageOp::FormatLeaf { index })?;
    change.apply(slot, &PageOp::SetChild { slot: place, child: Some(root) })?;
    change.commit()?;
    Ok(())
}
