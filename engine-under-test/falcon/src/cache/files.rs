//! The files in which pages are: one a tablespace.
//!
//! # Method
//!
//! A table of open files, read for each call. Syncs take turns: the system may tell one of two of them
//! alone of an error that concerns both.
//!
//! A sync that fails may have taken back what was written since the last one: the file then reads as it was
//! before. So pages are remembered from their write to the sync after it, and who reads one of them while a
//! sync is under way learns first how that ends.
//!
//! # Invariant
//!
//! After a sync that failed, of a file here or of the copies of its pages, nothing is written or synced any
//! more: what the disk has is unknown, and another sync could say that all is well. Nor is a page read then
//! that such a sync was to cover.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconry_seam::disk::File;
use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use crate::page::{PageError, PageKind, PageSize};
use crate::{Error, PageId, PageNumber, Result, TablespaceId};

/// Open files of pages of one size.
pub struct Files {
    page_size: PageSize,
    open: RwLock<BTreeMap<TablespaceId, Open>>,
    one_sync_at_a_time: Mutex<()>,
    unsynced: Mutex<Unsynced>,
    /// A sync has ended.
    synced: Condvar,
    stopped: Mutex<Option<Error>>,
}

/// Pages that no sync has covered since they were written.
#[derive(Default)]
struct Unsynced {
    /// Written since a sync began last,
    pages: BTreeSet<PageId>,
    /// and before.
    being_synced: BTreeSet<PageId>,
    is_under_way: bool,
}

impl Unsynced {
    fn has(&self, page: PageId) -> bool {
        self.pages.contains(&page) || self.being_synced.contains(&page)
    }
}

#[derive(Clone)]
struct Open {
    path: PathBuf,
    file: Arc<dyn File>,
}

impl Files {
    /// No file yet; pages of that size.
    pub fn new(page_size: PageSize) -> Files {
        Files {
            page_size,
            open: RwLock::new(BTreeMap::new()),
            one_sync_at_a_time: Mutex::new(()),
            unsynced: Mutex::default(),
            synced: Condvar::new(),
            stopped: Mutex::new(None),
        }
    }

    /// Adds the file of a tablespace, or puts another one in its place.
    pub fn add(&self, tablespace: TablespaceId, path: &Path, file: Arc<dyn File>) {
        let open = Open { path: path.into(), file };
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(tablespace, open);
    }

    /// Whether the tablespace has a file here.
    pub fn has(&self, tablespace: TablespaceId) -> bool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).contains_key(&tablespace)
    }

    /// The size of all pages.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Reads a page as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the file ends before the page does, [`Error::NoTablespace`],
    /// [`Error::Io`]; [`Error::Stopped`] for a page that a sync which failed may have taken back.
    pub fn read(&self, page: PageId, bytes: &mut [u8]) -> Result<()> {
        self.read_as(page, None, bytes)
    }

    /// As [`Files::read`], by someone who takes the page for one of that kind.
    pub(super) fn read_as(
        &self,
        page: PageId,
        kind: Option<PageKind>,
        bytes: &mut [u8],
    ) -> Result<()> {
        let Open { path, file } = self.of(page.tablespace)?;
        match file.read_exact_at(bytes, self.offset(page)) {
            Ok(()) => self.check_kept(page),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(PageError::NotInFile { page, expected: kind }.in_file(path))
            }
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    /// Writes pages that are neighbours, from `first` on.
    ///
    /// # Errors
    ///
    /// [`Error::NoTablespace`]; [`Error::Io`], and some of the bytes may have been written then;
    /// [`Error::Stopped`] after a sync that failed.
    pub fn write(&self, first: PageId, bytes: &[u8]) -> Result<()> {
        self.go_on()?;
        let Open { path, file } = self.of(first.tablespace)?;
        let count = (bytes.len() / self.page_size.bytes()) as u32;
        let pages = (0..count).map(|at| PageNumber(first.number.0 + at));
        let pages = pages.map(|number| PageId { number, ..first });
        self.unsynced().pages.extend(pages);
        let written = file.write_all_at(bytes, self.offset(first));
        written.map_err(|error| Error::io("write", path, error))
    }

    /// Makes all that was written durable.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] with the answer of the first file that refuses, now and for good: which of the
    /// writes since the last sync the disk has is unknown.
    pub fn sync(&self) -> Result<()> {
        let _alone = self.one_sync_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        self.go_on()?;
        {
            let mut unsynced = self.unsynced();
            unsynced.is_under_way = true;
            let mut pages = std::mem::take(&mut unsynced.pages);
            unsynced.being_synced.append(&mut pages);
        }
        let result = self.sync_all();
        {
            let mut unsynced = self.unsynced();
            unsynced.is_under_way = false;
            if result.is_ok() {
                unsynced.being_synced.clear();
            }
        }
        self.synced.notify_all();
        result
    }

    /// Syncs each file. By the time this returns, an error has stopped all.
    fn sync_all(&self) -> Result<()> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        for Open { path, file } in open.values() {
            file.sync_data().map_err(|error| self.stop(&Error::io("sync", path, error)))?;
        }
        Ok(())
    }

    /// Whether a page that was just read is what was written there last.
    fn check_kept(&self, page: PageId) -> Result<()> {
        let mut unsynced = self.unsynced();
        while unsynced.is_under_way && unsynced.has(page) {
            unsynced = self.synced.wait(unsynced).unwrap_or_else(PoisonError::into_inner);
        }
        if unsynced.has(page) { self.go_on() } else { Ok(()) }
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is written any more, if that is so.
    pub fn stopped(&self) -> Option<Error> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends all writes for this reason, unless there was one before. Returns the one that stands.
    pub(super) fn stop(&self, why: &Error) -> Error {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.get_or_insert_with(|| Error::Stopped(why.into())).clone()
    }

    fn go_on(&self) -> Result<()> {
        self.stopped().map_or(Ok(()), Err)
    }

    /// The file of a tablespace; empty when it is not open.
    pub fn path(&self, tablespace: TablespaceId) -> PathBuf {
        self.of(tablespace).map_or_else(|_| PathBuf::new(), |open| open.path)
    }

    fn of(&self, tablespace: TablespaceId) -> Result<Open> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&tablespace).cloned().ok_or(Error::NoTablespace { tablespace })
    }

    fn offset(&self, page: PageId) -> u64 {
        u64::from(page.number.0) * self.page_size.bytes() as u64
    }
}
