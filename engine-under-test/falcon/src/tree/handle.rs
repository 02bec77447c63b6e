//! A tree that was opened: which index it is, and where its root lies.
//!
//! # Method
//!
//! The root is looked up once, for it never moves.
//!
//! # Invariant
//!
//! A handle has no state of the tree: any number of them work on one index.

use std::sync::Arc;

use crate::page::index::{INDEX_LEVEL_MAX, IndexId};
use crate::page::{PageKind, SectionPage};
use crate::store::Store;
use crate::store::format::{INDEX_ROOTS, INDEXES};
use crate::{Error, PageId, PageNumber, Result, TablespaceId};

/// The tree of an index.
#[derive(Clone)]
pub struct Tree {
    pub(super) store: Arc<Store>,
    pub(super) tablespace: TablespaceId,
    pub(super) index: IndexId,
    pub(super) root: PageNumber,
}

impl Tree {
    /// Finds an index that was [created](super::create()).
    ///
    /// # Errors
    ///
    /// [`Error::NoIndex`] when it was not, [`Error::TooManyIndexes`] when it never can be,
    /// [`Error::Damaged`] when its root or the page of roots is none, and those of the cache.
    pub fn open(store: Arc<Store>, tablespace: TablespaceId, index: IndexId) -> Result<Tree> {
        let roots = PageId { tablespace, number: INDEX_ROOTS };
        let root = {
            let guard = store.read(roots, PageKind::Section)?;
            let page = SectionPage::of_checked(guard.bytes());
            let place = root_slot(&store, roots, page, index)?;
            page.child(place).ok_or(Error::NoIndex { tablespace, index: index.0 })?
        };
        let tree = Tree { store, tablespace, index, root };
        tree.read(root, &(0..=INDEX_LEVEL_MAX))?;
        Ok(tree)
    }

    /// The tablespace that it lies in.
    pub fn tablespace(&self) -> TablespaceId {
        self.tablespace
    }

    /// Which index of the tablespace it is.
    pub fn index(&self) -> IndexId {
        self.index
    }
}

/// The slot of an index in the page of roots, which is checked to be that page.
pub(super) fn root_slot(
    store: &Store,
    roots: PageId,
    page: SectionPage<'_>,
    index: IndexId,
) -> Result<u16> {
    let (section, level) = (page.section(), page.level());
    if (section, level) != (INDEXES, 0) {
        let what = format!("a node of {section:?} of level {level}, expected the roots of indexes");
        return Err(store.damaged(roots, what));
    }
    let count = page.slot_count();
    u16::try_from(index.0).ok().filter(|slot| *slot < count).ok_or(Error::TooManyIndexes {
        tablespace: roots.tablespace,
        index: index.0,
        index_max: count.into(),
    })
}
