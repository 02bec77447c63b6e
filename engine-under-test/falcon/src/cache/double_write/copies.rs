//! Copies pages before they are written in place.
//!
//! # Method
//!
//! A write reserves room, writes its entry there, and waits for a sync of the file that has begun after
//! that; whoever finds nobody syncing does it for all. Then it writes in place. Who finds no room makes it:
//! new writes wait, those that are under way end, pages whose write in place failed are written once more
//! from their copies, the files are synced, and the next generation begins. No latch of a page is held
//! meanwhile, so whoever is waited for gets on.
//!
//! A checkpoint syncs the files anyway. If no page was written in place while it did, it begins the next
//! generation too.
//!
//! # Invariant
//!
//! A write in place is begun when its copy is durable. A generation is begun when all writes in place are.

use std::collections::BTreeMap;
use std::sync::Arc;

use falconry_seam::planted;
use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::entry::{self, Generation, Header};
use super::scan::Found;
use super::{DoubleWriteConfig, Home};
use crate::cache::Files;
use crate::lockfree::hand_over::{HandOver, Turn};
use crate::page::PageSize;
use crate::{Error, Lsn, PageId, Result};

/// What was counted since the file was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoubleWriteCounters {
    /// Runs of pages that were copied.
    pub entries: u64,
    /// Pages in them.
    pub pages: u64,
    /// Syncs of the file.
    pub syncs: u64,
    /// Times that the next generation began because there was no room.
    pub full: u64,
    /// Times that it began with a checkpoint.
    pub checkpoints: u64,
}

/// The file into which pages are copied before they are written in place. Threads share it.
pub struct DoubleWrite {
    pub(super) home: Home,
    pub(super) config: DoubleWriteConfig,
    /// What the last life left.
    pub(super) left: Found,
    state: Mutex<State>,
    /// The last write under way has ended, or a generation has begun.
    changed: Condvar,
    /// Its places are numbers of entries, in the order in which their writes ended.
    hand_over: HandOver<Error>,
    /// What everybody gets if a thread leaves while it syncs.
    abandoned: Error,
}

struct State {
    generation: Generation,
    /// Where the next entry goes.
    end: u64,
    /// Pages in the entries of this generation.
    pages: usize,
    repair: Repair,
    /// Writes under way: each has room, and has not ended in place.
    running: usize,
    /// Writes that ever got room.
    begun: u64,
    /// Entries whose write has ended.
    written: u64,
    is_renewing: bool,
    /// Pages whose write in place has begun and has not succeeded since, with their last copies.
    unsettled: BTreeMap<PageId, Image>,
    counters: DoubleWriteCounters,
}

/// How far the repair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// It was not asked for, and there are copies.
    Needed,
    /// Pages whose files were not given may still be torn; copies that it makes go here.
    Partial(u64),
    /// No copy of the last life is needed.
    Over,
}

/// One image in an entry.
#[derive(Clone)]
struct Image {
    entry: Arc<Vec<u8>>,
    at: usize,
}

/// Room for an entry, and the write under way that it is for, which ends when this is dropped.
struct Slot<'a> {
    of: &'a DoubleWrite,
    generation: Generation,
    offset: u64,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        state.running -= 1;
        let is_last = state.running == 0;
        drop(state);
        if is_last {
            self.of.changed.notify_all();
        }
    }
}

impl DoubleWrite {
    pub(super) fn with(home: Home, config: DoubleWriteConfig, left: Found) -> DoubleWrite {
        let repair = if left.copies.is_empty() { Repair::Over } else { Repair::Needed };
        let state = State {
            generation: left.generation.next(),
            end: 0,
            pages: 0,
            repair,
            running: 0,
            begun: 0,
            written: 0,
            is_renewing: false,
            unsettled: BTreeMap::new(),
            counters: DoubleWriteCounters::default(),
        };
        DoubleWrite {
            home,
            config,
            left,
            state: Mutex::new(state),
            changed: Condvar::new(),
            hand_over: HandOver::new(0),
            abandoned: Error::Stopped("a thread ended while it copied pages".into()),
        }
    }

    /// What was counted since the file was opened.
    pub fn counters(&self) -> DoubleWriteCounters {
        self.lock().counters
    }

    /// Whether runs of so many pages of this size can be copied.
    pub(in crate::cache) fn check_fits(&self, page_size: PageSize, run_pages: usize) -> Result<()> {
        let capacity_pages = self.config.capacity_pages;
        if capacity_pages < run_pages {
            let (name, range) = ("capacity_pages", "at least run_pages_max");
            return Err(Error::Setting { name, value: capacity_pages as u64, range });
        }
        if self.home.page_size != page_size {
            let (name, range) =
                ("page_bytes", "the same for the files and their double-write file");
            return Err(Error::Setting { name, value: page_size.bytes() as u64, range });
        }
        Ok(())
    }

    /// The copy of the last life with the latest place in the log. The log was durable up to there.
    pub(crate) fn latest_copy(&self) -> Option<(PageId, Lsn)> {
        let latest = self.left.copies.iter().max_by_key(|(_, copy)| copy.lsn);
        latest.map(|(page, copy)| (*page, copy.lsn))
    }

    /// Copies neighbouring pages, sealed and from `first` on, and writes them in place. The log is durable
    /// up to their changes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::NoTablespace`]: what is in place may be torn, and the copy is kept until
    /// the pages are written again. [`Error::Stopped`] after a sync that failed.
    pub(in crate::cache) fn write(&self, files: &Files, first: PageId, bytes: &[u8]) -> Result<()> {
        let Home { file, page_size, database, .. } = &self.home;
        let pages = bytes.len() / page_size.bytes();
        let align_bytes = self.config.align_bytes;
        let mut header =
            Header::new(*page_size, *database, Generation(0), first, pages, align_bytes);
        let slot = self.reserve(files, &header)?;
        header.generation = slot.generation;
        let entry = Arc::new(entry::encode(&header, bytes, slot.offset));
        file.write_all_at(&entry, slot.offset).map_err(self.home.io("write"))?;
        if !planted!("copy_not_durable") {
            self.make_durable(files)?;
        }
        let images = header.images().map(|(page, at)| (page, Image { entry: entry.clone(), at }));
        self.lock().unsettled.extend(images);
        files.write(first, bytes)?;
        let mut state = self.lock();
        for (page, _) in header.images() {
            state.unsettled.remove(&page);
        }
        Ok(())
    }

    /// Syncs the files for a checkpoint, and begins the next generation if nothing was written meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub(in crate::cache) fn sync_pages(&self, files: &Files) -> Result<()> {
        let before = self.lock().begun_if_quiet();
        files.sync()?;
        let mut state = self.lock();
        let is_settled = before.is_some() && before == state.begun_if_quiet();
        if is_settled && state.pages > 0 {
            state.counters.checkpoints += 1;
            state.begin_generation();
        }
        Ok(())
    }

    /// How far the repair is, and the generation that begins when it is over.
    pub(super) fn repair_state(&self) -> (Repair, Generation) {
        let state = self.lock();
        assert_eq!(state.begun, 0, "pages were written before the repair");
        (state.repair, state.generation)
    }

    pub(super) fn set_repair_state(&self, repair: Repair) {
        self.lock().repair = repair;
    }

    /// Room for an entry, which may take a new generation.
    fn reserve(&self, files: &Files, header: &Header) -> Result<Slot<'_>> {
        let pages = header.pages as usize;
        loop {
            let mut state = self.lock();
            assert!(state.repair != Repair::Needed, "pages are written before the repair");
            while state.is_renewing {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if let Some(why) = files.stopped() {
                return Err(why);
            }
            if state.has_room(pages, self.config.capacity_pages) {
                let (generation, offset) = (state.generation, state.end);
                state.end += u64::from(header.entry_bytes);
                state.pages += pages;
                state.running += 1;
                state.begun += 1;
                state.counters.entries += 1;
                state.counters.pages += pages as u64;
                return Ok(Slot { of: self, generation, offset });
            }
            drop(state);
            self.renew(files, pages)?;
        }
    }

    /// Begins a new generation, unless there is room for so many pages, or somebody else does it.
    fn renew(&self, files: &Files, pages: usize) -> Result<()> {
        /// Lets those go on who wait, however it ends.
        struct Over<'a>(&'a DoubleWrite);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.lock().is_renewing = false;
                self.0.changed.notify_all();
            }
        }
        let mut state = self.lock();
        if state.is_renewing || state.has_room(pages, self.config.capacity_pages) {
            return Ok(());
        }
        state.is_renewing = true;
        drop(state);
        let _over = Over(self);
        let mut state = self.lock();
        while state.running > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let unsettled = state.unsettled.clone();
        drop(state);
        for (page, Image { entry, at }) in unsettled {
            files.write(page, &entry[at..at + self.home.page_size.bytes()])?;
        }
        files.sync()?;
        let mut state = self.lock();
        assert_eq!(state.running, 0, "a page is written while a generation begins");
        state.unsettled.clear();
        state.counters.full += 1;
        state.begin_generation();
        Ok(())
    }

    /// Makes all entries durable whose write has ended.
    fn make_durable(&self, files: &Files) -> Result<()> {
        let number = {
            let mut state = self.lock();
            state.written += 1;
            state.written
        };
        let writer = match self.hand_over.wait(number, self.abandoned.clone()) {
            Turn::Durable => return Ok(()),
            Turn::Stopped(why) => return Err(why),
            Turn::Writer(writer) => writer,
        };
        let written = {
            let mut state = self.lock();
            state.counters.syncs += 1;
            state.written
        };
        if let Err(error) = self.home.file.sync_data() {
            let why = files.stop(&self.home.io("sync")(error));
            writer.finish(Err(why.clone()));
            return Err(why);
        }
        writer.finish(Ok(written));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, pages: usize, capacity_pages: usize) -> bool {
        self.pages + pages <= capacity_pages
    }

    /// How many writes ever got room, if none is under way and none left a page torn.
    fn begun_if_quiet(&self) -> Option<u64> {
        let is_quiet = self.running == 0 && !self.is_renewing && self.unsettled.is_empty();
        is_quiet.then_some(self.begun)
    }

    fn begin_generation(&mut self) {
        self.generation = self.generation.next();
        (self.end, self.pages) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use falconry_seam::disk::OpenOptions;
    use falconry_sim::choice::Choices;
    use falconry_sim::{Machine, MachineConfig};

    use super::*;
    use crate::{PageNumber, TablespaceId};

    #[test]
    fn a_thread_that_leaves_while_it_syncs_stops_the_copying() {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(|ctx| {
            let path = Path::new("double_write");
            let file = ctx.disk().open(path, &OpenOptions::CREATE).expect("no fault");
            let config = DoubleWriteConfig::default();
            let copies = DoubleWrite::open(file, path, PageSize::MIN, 7, config).expect("empty");
            drop(copies.hand_over.wait(1, copies.abandoned.clone()));
            let page = PageId { tablespace: TablespaceId(0), number: PageNumber(0) };
            let written = copies.write(&Files::new(PageSize::MIN), page, &[0; 1024]);
            let told = written.expect_err("it has stopped").to_string();
            assert_eq!(told, "the engine has stopped: a thread ended while it copied pages");
            assert_eq!(copies.lock().running, 0, "the write is over");
        });
    }
}
