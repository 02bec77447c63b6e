//! The files in which pages are: one a tablespace.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconry_seam::disk::File;
use falconry_seam::sync::{PoisonError, RwLock};

use crate::page::PageSize;
use crate::{Error, PageId, Result, TablespaceId};

/// Open files of pages of one size.
pub struct Files {
    page_size: PageSize,
    open: RwLock<BTreeMap<TablespaceId, Open>>,
}

#[derive(Clone)]
struct Open {
    path: PathBuf,
    file: Arc<dyn File>,
}

impl Files {
    /// No file yet; pages of that size.
    pub fn new(page_size: PageSize) -> Files {
        Files { page_size, open: RwLock::new(BTreeMap::new()) }
    }

    /// Adds the file of a tablespace, or puts another one in its place.
    pub fn add(&self, tablespace: TablespaceId, path: &Path, file: Arc<dyn File>) {
        let open = Open { path: path.into(), file };
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(tablespace, open);
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
    /// [`Error::Io`].
    pub fn read(&self, page: PageId, bytes: &mut [u8]) -> Result<()> {
        let Open { path, file } = self.of(page.tablespace)?;
        match file.read_exact_at(bytes, self.offset(page)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let (place, what) = (page.number.to_string(), "the file ends before it".into());
                Err(Error::Damaged { file: path, place, what })
            }
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    /// Writes pages that are neighbours, from `first` on.
    ///
    /// # Errors
    ///
    /// [`Error::NoTablespace`], [`Error::Io`]; some of the bytes may have been written then.
    pub fn write(&self, first: PageId, bytes: &[u8]) -> Result<()> {
        let Open { path, file } = self.of(first.tablespace)?;
        let written = file.write_all_at(bytes, self.offset(first));
        written.map_err(|error| Error::io("write", path, error))
    }

    /// Makes all that was written durable.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] of the first file that refuses; the others were not all tried.
    pub fn sync(&self) -> Result<()> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        for Open { path, file } in open.values() {
            file.sync_data().map_err(|error| Error::io("sync", path, error))?;
        }
        Ok(())
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
