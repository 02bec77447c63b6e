//! Writing pages to their files, after the log and after their copies.

use falconry_seam::planted;
use falconry_seam::sync::RwLockReadGuard;

use super::dirty::Begun;
use super::frame::{Content, Frame};
use super::{Cache, count};
use crate::lockfree::bucket::Found;
use crate::{Lsn, PageId, Result, page};

/// Pages that are being written together, as they were copied.
struct Run<'a> {
    pages: Vec<(PageId, &'a Frame, Lsn)>,
    bytes: Vec<u8>,
    /// The log must be durable up to here first.
    lsn: Lsn,
}

/// What came of wanting to write a page.
enum Begin<'a> {
    /// It is pinned, marked as being written, and cannot change while it is copied.
    Begun(&'a Frame, RwLockReadGuard<'a, Content>),
    /// It is not in the cache, or clean.
    Nothing,
    /// Somebody changes it just now, or writes it: what is written may be older than the page.
    Busy,
}

impl Cache {
    /// Writes those of `pages` that are dirty, which are neighbours in ascending order, in as few writes
    /// as their gaps allow; returns how many pages that were. Who may wait does so for pages that are
    /// changed or written just now, holding nothing; who may not leaves them.
    ///
    /// # Errors
    ///
    /// Those of the log and of the file. The pages are dirty then, as before.
    pub(super) fn write_run(&self, pages: &[PageId], may_wait: bool) -> Result<u64> {
        let mut written = 0;
        let mut rest = pages;
        while !rest.is_empty() {
            let (run, looked_at) = self.copy(rest, may_wait);
            rest = &rest[looked_at..];
            if !run.pages.is_empty() {
                written += run.pages.len() as u64;
                self.put(&run)?;
            }
        }
        Ok(written)
    }

    /// Copies pages from the first of `pages` on, until one of them need not be written or is busy; says
    /// how many are done with. Those in the run are pinned and being written.
    fn copy(&self, pages: &[PageId], may_wait: bool) -> (Run<'_>, usize) {
        let mut run = Run { pages: Vec::new(), bytes: Vec::new(), lsn: Lsn::default() };
        for (index, id) in pages.iter().enumerate() {
            // Waiting with pages that are being written in hand could keep from their frames the very one
            // that is waited for.
            let is_first = run.pages.is_empty();
            match self.begin_write_of(*id, may_wait && is_first) {
                Begin::Begun(frame, content) => {
                    let start = run.bytes.len();
                    run.bytes.extend_from_slice(&content.bytes);
                    run.lsn = run.lsn.max(content.lsn);
                    page::set_lsn(&mut run.bytes[start..], content.lsn);
                    page::seal(&mut run.bytes[start..], *id);
                    run.pages.push((*id, frame, content.lsn));
                }
                Begin::Nothing => return (run, index + 1),
                Begin::Busy if may_wait => return (run, index),
                Begin::Busy => return (run, index + 1),
            }
        }
        (run, pages.len())
    }

    fn begin_write_of(&self, page: PageId, may_wait: bool) -> Begin<'_> {
        let found = self.bucket(page).find(page, |frame| &self.frames[frame as usize].state);
        // A frame that is leaving holds a clean page.
        let Found::Pinned(frame) = found else { return Begin::Nothing };
        let frame = &self.frames[frame as usize];
        let content = if may_wait { Some(frame.read()) } else { frame.try_read() };
        let Some(content) = content else {
            frame.state.unpin();
            return Begin::Busy;
        };
        let begun = self.dirty.begin(page, &frame.state);
        if begun == Begun::Now {
            return Begin::Begun(frame, content);
        }
        drop(content);
        frame.state.unpin();
        match begun {
            Begun::ByAnother if may_wait => {
                self.dirty.wait_for(page);
                Begin::Busy
            }
            Begun::ByAnother => Begin::Busy,
            _ => Begin::Nothing,
        }
    }

    fn put(&self, run: &Run<'_>) -> Result<()> {
        let first = run.pages[0].0;
        let needed = if planted!("page_before_log") { Lsn::default() } else { run.lsn };
        let result = self.log.make_durable(needed).and_then(|()| match &self.double_write {
            Some(double_write) => double_write.write(&self.files, first, &run.bytes),
            None => self.files.write(first, &run.bytes),
        });
        // Before anybody can write one of them again.
        if let (Some(versions), Ok(())) = (&self.versions, &result) {
            versions.written(run.pages.iter().map(|(page, _, lsn)| (*page, *lsn)));
        }
        for (page, frame, _) in &run.pages {
            self.dirty.end(*page, &frame.state, result.is_ok());
            frame.state.unpin();
        }
        if result.is_ok() {
            count(&self.counters.pages_written, run.pages.len() as u64);
            count(&self.counters.runs_written, 1);
        }
        result
    }
}
