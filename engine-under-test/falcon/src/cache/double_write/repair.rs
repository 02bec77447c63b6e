//! Puts copies back over pages that a crash tore.
//!
//! # Method
//!
//! First every copy is written once more, behind the entries that are there and in the same generation, and
//! synced; then each page that has one is written in place: its copy if it is not whole, and else, byte
//! for byte, what was read there; then the files are synced, and an entry without pages begins the next generation. Why also whole pages, and why copies anew: a
//! life before this one may have ended after a sync that failed. The system may then show bytes that
//! the disk never got, and call them clean. What was written since the last good sync has its copy in this
//! generation, so all of it is written again here, and the copies before it.
//!
//! # Invariant
//!
//! A whole page keeps its content. A crash within a repair leaves what a repair needs.

use super::Home;
use super::copies::{DoubleWrite, Repair};
use super::entry::{self, Generation, Header};
use super::scan::Copy;
use crate::cache::Files;
use crate::page::{self, PageError};
use crate::{Error, Lsn, PageId, PageNumber, Result, TablespaceId};

/// A page that was not whole, and is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Which.
    pub page: PageId,
    /// The place in the log of the last change that it has now.
    pub lsn: Lsn,
    /// What was wrong with it.
    pub what: String,
}

/// A page with the copy that the last life left.
type Left<'a> = (&'a PageId, &'a Copy);

impl DoubleWrite {
    /// Makes every page whole that the last life may have left torn, and durable; returns those that were
    /// not. To be called before anything is written through the cache, for all files that there are: copies
    /// of pages whose tablespace has no file in `files` are passed over. It may be called again with
    /// more files.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Damaged`] for a copy that was whole when the file was opened;
    /// [`Error::Newer`] or [`Error::Damaged`] for a whole page in place that this Falcon does not know;
    /// [`Error::Stopped`] for a sync that failed. Open again and repair again: all copies are there.
    pub fn repair(&self, files: &Files) -> Result<Vec<Repaired>> {
        let (repair, generation) = self.repair_state();
        let end = match repair {
            Repair::Needed => self.left.end,
            Repair::Partial(end) => end,
            Repair::Over => return Ok(Vec::new()),
        };
        let (given, others): (Vec<_>, Vec<_>) =
            self.left.copies.iter().partition(|(page, _)| files.has(page.tablespace));
        let end = self.copy_anew(files, &given, end)?;
        let repaired = self.put_back(files, &given)?;
        if others.is_empty() {
            // Otherwise each opening that nothing is written after would repair all of them again.
            self.write_entry(generation, None, &[], 0)?;
            self.sync(files)?;
        }
        self.set_repair_state(match others.is_empty() {
            true => Repair::Over,
            false => Repair::Partial(end),
        });
        Ok(repaired)
    }

    /// Writes the copies once more, from `end` on, durably; returns where they end.
    fn copy_anew(&self, files: &Files, given: &[Left<'_>], mut end: u64) -> Result<u64> {
        let mut bytes = vec![0; self.home.page_size.bytes()];
        for (page, copy) in given {
            read_copy(&self.home, **page, copy, &mut bytes)?;
            end = end.next_multiple_of(self.config.align_bytes.into());
            end += self.write_entry(self.left.generation, Some(**page), &bytes, end)?;
        }
        self.sync(files)?;
        Ok(end)
    }

    /// Writes all pages that have a copy in place, durably: as they are there, or else the copy.
    fn put_back(&self, files: &Files, given: &[Left<'_>]) -> Result<Vec<Repaired>> {
        let mut bytes = vec![0; self.home.page_size.bytes()];
        let mut repaired = Vec::new();
        for (page, copy) in given {
            if let Some(what) = what_is_wrong(files, **page, &mut bytes)? {
                read_copy(&self.home, **page, copy, &mut bytes)?;
                repaired.push(Repaired { page: **page, lsn: copy.lsn, what });
            }
            files.write(**page, &bytes)?;
        }
        files.sync()?;
        Ok(repaired)
    }

    /// Writes an entry with one page, or with none. Returns its length.
    fn write_entry(
        &self,
        generation: Generation,
        page: Option<PageId>,
        image: &[u8],
        offset: u64,
    ) -> Result<u64> {
        let Home { page_size, database, file, .. } = &self.home;
        let first = page.unwrap_or(PageId { tablespace: TablespaceId(0), number: PageNumber(0) });
        let (pages, align_bytes) = (usize::from(page.is_some()), self.config.align_bytes);
        let header = Header::new(*page_size, *database, generation, first, pages, align_bytes);
        let bytes = entry::encode(&header, image, offset);
        file.write_all_at(&bytes, offset).map_err(self.home.io("write"))?;
        Ok(header.entry_bytes.into())
    }

    fn sync(&self, files: &Files) -> Result<()> {
        self.home.file.sync_data().map_err(|error| files.stop(&self.home.io("sync")(error)))
    }
}

/// Reads a copy once more.
fn read_copy(home: &Home, page: PageId, copy: &Copy, bytes: &mut [u8]) -> Result<()> {
    home.file.read_exact_at(bytes, copy.offset).map_err(home.io("read"))?;
    match page::check(bytes, page) {
        Ok(header) if header.lsn == copy.lsn => Ok(()),
        _ => {
            let place = format!("the copy of {page} at byte {}", copy.offset);
            let what = "it was whole when it was read before".into();
            Err(Error::Damaged { file: home.path.clone(), place, what })
        }
    }
}

/// Reads a page in place, and says why it is not whole, if it is not.
fn what_is_wrong(files: &Files, page: PageId, bytes: &mut [u8]) -> Result<Option<String>> {
    match files.read(page, bytes) {
        Ok(()) => {}
        Err(Error::Damaged { what, .. }) => return Ok(Some(what)),
        Err(error) => return Err(error),
    }
    match page::check(bytes, page) {
        Ok(_) => Ok(None),
        Err(
            error @ (PageError::NeverWritten { .. }
            | PageError::Checksum { .. }
            | PageError::Misplaced { .. }),
        ) => Ok(Some(error.to_string())),
        Err(error) => Err(error.in_file(files.path(page.tablespace))),
    }
}
