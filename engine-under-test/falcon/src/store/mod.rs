//! The store: pages that change together, and are changed again by redo.
//!
//! # Method
//!
//! A [`Change`] is the pages that one step of the engine alters: it latches them, applies
//! [operations](op::PageOp) and puts all of these into one record of the log, so that after a crash all of
//! them are there or none. Redo applies the same operations to each page whose last change is older than the
//! record.
//!
//! # Invariant
//!
//! Bytes of a page change by operations of a [`Change`], and in no other way.

pub mod change;
pub mod code;
pub mod format;
pub mod op;
pub mod record;
mod space;

use std::sync::Arc;

use falconry_seam::sync::{Mutex, MutexGuard, PoisonError};

use crate::cache::{Cache, PageRead};
use crate::log::Log;
use crate::page::{self, Header, PageError, PageKind, PageSize};
use crate::{Error, PageId, Result, TablespaceId};

pub use change::Change;
pub use space::Space;

/// Page cache and log together, and what is known of the room in each tablespace.
pub struct Store {
    cache: Arc<Cache>,
    log: Arc<Log>,
    spaces: Box<[Mutex<Space>]>,
}

impl Store {
    /// A store of tablespaces 0, 1, …, with so many inventory pages each.
    pub fn new(cache: Arc<Cache>, log: Arc<Log>, inventories: &[u32]) -> Store {
        let spaces = inventories.iter().map(|count| Mutex::new(Space::new(*count))).collect();
        Store { cache, log, spaces }
    }

    /// The page cache.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The log.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The size of all pages.
    pub fn page_size(&self) -> PageSize {
        self.cache.files().page_size()
    }

    /// A page of that kind, to look at.
    ///
    /// # Errors
    ///
    /// As [`Cache::read`], and [`Error::Damaged`] for a page of another kind.
    pub fn read(&self, page: PageId, kind: PageKind) -> Result<PageRead<'_>> {
        let guard = self.cache.read_as(page, Some(kind))?;
        self.expect(guard.bytes(), page, kind)?;
        Ok(guard)
    }

    /// Begins a change of pages.
    pub fn change(&self) -> Change<'_> {
        Change::new(self)
    }

    /// An error for a page that cannot be what links, indexes or the log say it is.
    pub(crate) fn damaged(&self, page: PageId, what: impl Into<String>) -> Error {
        let file = self.cache.files().path(page.tablespace);
        Error::Damaged { file, place: page.number.to_string(), what: what.into() }
    }

    fn expect(&self, bytes: &[u8], page: PageId, expected: PageKind) -> Result<()> {
        // The header was looked at when the page came from the disk.
        if page::is_kind(bytes, expected) {
            return Ok(());
        }
        let found = Header::read(bytes).map(|header| header.kind);
        let error = match found {
            Ok(found) if found == expected => return Ok(()),
            Ok(found) => PageError::Kind { page, found, expected },
            Err(error) => error,
        };
        Err(error.in_file(self.cache.files().path(page.tablespace)))
    }

    fn space(&self, tablespace: TablespaceId) -> Result<MutexGuard<'_, Space>> {
        let space = self.spaces.get(tablespace.0 as usize);
        let space = space.ok_or(Error::NoTablespace { tablespace })?;
        Ok(space.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
