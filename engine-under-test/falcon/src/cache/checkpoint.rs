//! Checkpoints: all that was changed before one begins is durable when it ends.
//!
//! # Method
//!
//! A checkpoint looks at the list of dirty pages once, cuts it into runs of neighbours, and puts these on
//! a queue from which the I/O threads and the checkpoint's own thread take them. Whoever comes to a page
//! that another is writing, an eviction say, waits for that write and then looks at the page again: the
//! write may have failed, or be older than the page. When all is written the files are synced. One
//! checkpoint runs at a time; the next one waits for it and then looks for itself, for it may have been
//! asked to cover later changes.
//!
//! # Invariant
//!
//! Of a checkpoint that says it is done every page was written after it began, or by a write that it has
//! waited for.

use std::collections::VecDeque;

use falconry_seam::planted;
use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Cache;
use crate::{Error, PageId, Result};

/// What a checkpoint has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointReport {
    /// Pages that were dirty, or being written, when it began.
    pub pages: usize,
    /// Runs of neighbours that these made.
    pub runs: usize,
}

/// What checkpoints and I/O threads share.
#[derive(Default)]
pub(super) struct Queue {
    /// Held by the checkpoint that runs.
    one_at_a_time: Mutex<()>,
    work: Mutex<Work>,
    /// There is work, or the I/O threads are to end.
    wanted: Condvar,
    /// The last run was written.
    done: Condvar,
}

#[derive(Default)]
struct Work {
    runs: VecDeque<Vec<PageId>>,
    in_progress: usize,
    error: Option<Error>,
    stops: bool,
}

impl Cache {
    /// Writes every page that is dirty now, and returns when all of them are durable.
    ///
    /// # Errors
    ///
    /// The first of the log, of a write or of a sync. Pages that could not be written are dirty as before.
    /// After a sync that failed nobody knows what the disk has: [`Error::Stopped`], now and for every
    /// later write.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        let queue = &self.checkpoints;
        let _alone = queue.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = self.dirty.snapshot();
        let runs = runs_of(&pages, self.run_pages_max);
        let report = CheckpointReport { pages: pages.len(), runs: runs.len() };
        {
            let mut work = queue.work();
            work.error = None;
            work.runs.extend(runs);
        }
        queue.wanted.notify_all();
        while self.write_next_run(false) {}
        queue.wait_until_done()?;
        let versions = self.versions.as_ref();
        let versions = versions.map(|versions| Ok((versions, versions.take()?))).transpose()?;
        match &self.double_write {
            _ if planted!("checkpoint_without_sync") => {}
            Some(double_write) => double_write.sync_pages(&self.files)?,
            None => self.files.sync()?,
        }
        if let Some((versions, taken)) = versions {
            versions.save(&taken).map_err(|error| self.files.stop(&error))?;
        }
        Ok(report)
    }

    /// Pages that wait to be written.
    pub fn dirty_count(&self) -> usize {
        self.dirty.count()
    }

    /// Takes a run off the queue and writes it; `false` when there is none. Who may wait does so until
    /// there is one, and gets `false` when the I/O threads are to end.
    pub(super) fn write_next_run(&self, may_wait: bool) -> bool {
        let Some(run) = self.checkpoints.take(may_wait) else { return false };
        let result = self.write_run(&run, true);
        self.checkpoints.finish(result.err());
        true
    }

    pub(super) fn stop_io(&self) {
        self.checkpoints.work().stops = true;
        self.checkpoints.wanted.notify_all();
    }
}

impl Queue {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, may_wait: bool) -> Option<Vec<PageId>> {
        let mut work = self.work();
        loop {
            if let Some(run) = work.runs.pop_front() {
                work.in_progress += 1;
                return Some(run);
            }
            if !may_wait || work.stops {
                return None;
            }
            work = self.wanted.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish(&self, error: Option<Error>) {
        let mut work = self.work();
        work.in_progress -= 1;
        if let Some(error) = error {
            work.error.get_or_insert(error);
        }
        let is_done = work.in_progress == 0 && work.runs.is_empty();
        drop(work);
        if is_done {
            self.done.notify_all();
        }
    }

    fn wait_until_done(&self) -> Result<()> {
        let mut work = self.work();
        let counts =
            |work: &Work| work.in_progress > 0 && !planted!("checkpoint_with_write_in_flight");
        while counts(&work) || !work.runs.is_empty() {
            work = self.done.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        work.error.take().map_or(Ok(()), Err)
    }
}

/// Pages in order, cut where their numbers are not neighbours, where the tablespace changes, and after
/// `pages_max`.
fn runs_of(pages: &[PageId], pages_max: usize) -> Vec<Vec<PageId>> {
    let mut runs: Vec<Vec<PageId>> = Vec::new();
    for page in pages {
        let follows = |last: &PageId| {
            last.tablespace == page.tablespace
                && last.number.0.checked_add(1) == Some(page.number.0)
        };
        match runs.last_mut() {
            Some(run) if run.len() < pages_max && run.last().is_some_and(follows) => {
                run.push(*page)
            }
            _ => runs.push(vec![*page]),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PageNumber, TablespaceId};

    fn page(tablespace: u32, number: u32) -> PageId {
        PageId { tablespace: TablespaceId(tablespace), number: PageNumber(number) }
    }

    #[test]
    fn runs_end_at_gaps_at_tablespaces_and_at_their_bound() {
        let pages = [page(0, 1), page(0, 2), page(0, 4), page(1, 5), page(1, 6), page(1, 7)];
        let runs = runs_of(&pages, 2);
        let lengths: Vec<usize> = runs.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 2, 1]);
        assert_eq!(runs.concat(), pages);
    }
}
