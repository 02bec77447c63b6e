//! One node that a link leads to: what came from the disk is checked here.
//!
//! # Method
//!
//! A page that a link leads to must be a node of this index and of the level that the link says. Only the
//! root's level is not known beforehand, for the root may grow whenever nobody has its latch. No link but
//! that of the index leads to the root.
//!
//! # Invariant
//!
//! A node that was read has passed the check.

use std::fmt;
use std::ops::RangeInclusive;

use super::Tree;
use crate::cache::PageRead;
use crate::page::PageKind;
use crate::page::index::IndexPage;
use crate::{Error, PageId, PageNumber, Result};

impl Tree {
    pub(super) fn id(&self, number: PageNumber) -> PageId {
        PageId { tablespace: self.tablespace, number }
    }

    pub(super) fn damaged(&self, number: PageNumber, what: impl fmt::Display) -> Error {
        self.store.damaged(self.id(number), format!("index {}: {what}", self.index.0))
    }

    /// A node to look at, of one of these levels.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the page is no such node, and those of the cache.
    pub(super) fn read(
        &self,
        number: PageNumber,
        levels: &RangeInclusive<u8>,
    ) -> Result<PageRead<'_>> {
        let guard = self.store.read(self.id(number), PageKind::Index)?;
        self.check(number, IndexPage::of_checked(guard.bytes()), levels)?;
        Ok(guard)
    }

    /// Whether a page of entries is what the link to it says.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when it is not.
    pub(super) fn check(
        &self,
        number: PageNumber,
        page: IndexPage<'_>,
        levels: &RangeInclusive<u8>,
    ) -> Result<()> {
        if page.index() != self.index {
            return Err(self.damaged(number, format!("a node of index {}", page.index().0)));
        }
        if !levels.contains(&page.level()) {
            let what = format!("a node of level {}, expected {levels:?}", page.level());
            return Err(self.damaged(number, what));
        }
        match page.right() {
            Some(right) if number == self.root || right == self.root => {
                let what = format!("it has {right} to its right, and {} is the root", self.root);
                Err(self.damaged(number, what))
            }
            _ => Ok(()),
        }
    }
}
