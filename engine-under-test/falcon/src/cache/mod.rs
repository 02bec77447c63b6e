//! The page cache: every page that is read or changed is in one of its frames meanwhile.
//!
//! # Method
//!
//! A table of buckets says which frame holds a page; each bucket has a latch of its own, and its key is
//! the whole [`PageId`], for every tablespace has a page 1. A guard pins its frame and holds the page's
//! latch, shared or exclusive. Most readers find their frame by a hint, have neither the bucket's latch nor a
//! pin, and keep the page there by its own latch alone: whoever would take the frame away needs that.
//!
//! Frames are given away by a generalised clock (Smith, 1978): a page comes in with no credit and earns some
//! with each later use, so that a scan, which uses each page once, takes frames only from other pages of
//! scans. Changed pages are written by evictions and by checkpoints.
//!
//! # Invariant
//!
//! - A page has one frame.
//! - No page is written before the log is durable up to its last change.
//! - With a [`DoubleWrite`], of every page that may be torn on the disk there is a whole copy.
//! - When a checkpoint returns, all that was changed before it began is durable.

mod checkpoint;
mod dirty;
mod double_write;
mod files;
mod frame;
mod guard;
mod io_threads;
mod replace;
mod versions;
mod write;

use std::sync::Arc;

use falconry_seam::sync::Mutex;
use falconry_seam::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use falconry_seam::thread;

pub use checkpoint::CheckpointReport;
pub use double_write::{DoubleWrite, DoubleWriteConfig, DoubleWriteCounters, Repaired};
pub use files::Files;
pub use guard::{PageRead, PageWrite};
pub use io_threads::IoThreads;
pub use versions::{Seal, Versions};

use crate::lockfree::bucket::{Bucket, Found};
use crate::log::Log;
use crate::memory::{self, PageBytes, Slab};
use crate::page::{self, PageKind};
use crate::{Error, Lsn, PageId, Result};
use dirty::DirtyList;
use frame::Frame;

/// The log, as far as the cache needs it.
pub trait WriteAhead: Send + Sync {
    /// Returns when the log is durable up to `upto`.
    ///
    /// # Errors
    ///
    /// When it will never be. No page that needs it is written then. So it is with the last place of all,
    /// `Lsn(u64::MAX)`: who has changed a page and could not log that stamps it so.
    fn make_durable(&self, upto: Lsn) -> Result<()>;

    /// How far it is durable. A page in a file that has later changes is not of this log.
    fn durable(&self) -> Lsn {
        Lsn(u64::MAX)
    }
}

impl WriteAhead for Log {
    fn make_durable(&self, upto: Lsn) -> Result<()> {
        if upto == Lsn(u64::MAX) {
            return Err(Error::Stopped("a page was changed without its log record".into()));
        }
        self.flush(upto)
    }

    fn durable(&self) -> Lsn {
        Log::durable(self)
    }
}

/// How a cache is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Frames, 4 to 16,777,216: a guard needs one each.
    pub frame_count: usize,
    /// Pages of one write at most, 1 to 1,024.
    pub run_pages_max: usize,
}

impl Default for CacheConfig {
    /// 1,024 frames, runs of 64 pages.
    fn default() -> Self {
        CacheConfig { frame_count: 1_024, run_pages_max: 64 }
    }
}

impl CacheConfig {
    fn validate(&self) -> Result<()> {
        let range = |name, value: usize, low, high, range| match value {
            value if (low..=high).contains(&value) => Ok(()),
            value => Err(Error::Setting { name, value: value as u64, range }),
        };
        range("frame_count", self.frame_count, 4, 1 << 24, "from 4 to 16,777,216")?;
        range("run_pages_max", self.run_pages_max, 1, 1_024, "from 1 to 1,024")
    }
}

/// What a cache has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Pages that were asked for and there.
    pub hits: u64,
    /// Pages that were asked for and not there.
    pub misses: u64,
    /// Pages that were read from their file.
    pub pages_read: u64,
    /// Pages that were written to it.
    pub pages_written: u64,
    /// Writes that these pages took.
    pub runs_written: u64,
    /// Pages that gave their frame to another one.
    pub evictions: u64,
    /// Pages that were written because their frame was needed.
    pub eviction_writes: u64,
    /// How often all frames were in use, so that a caller had to wait.
    pub stalls: u64,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    pages_read: AtomicU64,
    pages_written: AtomicU64,
    runs_written: AtomicU64,
    evictions: AtomicU64,
    eviction_writes: AtomicU64,
    stalls: AtomicU64,
}

/// Bytes of pages from which on a cache has them in one slab.
const SLAB_BYTES_MIN: usize = 32 << 20;

/// Pages in memory.
pub struct Cache {
    frames: Box<[Frame]>,
    /// Where the pages of a large cache lie, one for each frame.
    slab: Option<Arc<Slab>>,
    buckets: Box<[Bucket<PageId>]>,
    /// Frames in which pages were found last: each may hold another page by now, or none.
    hints: Box<[AtomicU32]>,
    /// Frames that hold no page; they are taken.
    free: Mutex<Vec<u32>>,
    /// The next frame that the clock looks at.
    hand: AtomicUsize,
    dirty: DirtyList,
    files: Files,
    double_write: Option<DoubleWrite>,
    versions: Option<Versions>,
    log: Arc<dyn WriteAhead>,
    run_pages_max: usize,
    checkpoints: checkpoint::Queue,
    counters: Counters,
}

impl Cache {
    /// A cache without any page. It writes pages in place and nowhere else: that is for devices that do
    /// not tear a page ([`Disk::atomic_unit`](falconry_seam::disk::Disk::atomic_unit)); on all others it
    /// needs [`Cache::with_double_write`].
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a configuration out of range.
    pub fn new(config: CacheConfig, files: Files, log: Arc<dyn WriteAhead>) -> Result<Cache> {
        config.validate()?;
        let count = config.frame_count;
        let (slab, frames) = frames(count, files.page_size().bytes());
        // Twice as many buckets as frames, so that most hold one page at most.
        let bucket_count = (count * 2).next_power_of_two();
        let buckets = memory::table(bucket_count, |_| Bucket::new());
        let hints = memory::table(bucket_count, |_| AtomicU32::new(0));
        Ok(Cache {
            frames,
            slab,
            buckets,
            hints,
            free: Mutex::new((0..count as u32).rev().collect()),
            hand: AtomicUsize::new(0),
            dirty: DirtyList::default(),
            files,
            double_write: None,
            versions: None,
            log,
            run_pages_max: config.run_pages_max,
            checkpoints: checkpoint::Queue::default(),
            counters: Counters::default(),
        })
    }

    /// The same cache, but every page is copied there, durably, before it is written in place. What a crash
    /// left there was [repaired](DoubleWrite::repair) before.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when a run of pages does not fit there, or pages are of another size.
    pub fn with_double_write(mut self, double_write: DoubleWrite) -> Result<Cache> {
        double_write.check_fits(self.files.page_size(), self.run_pages_max)?;
        self.double_write = Some(double_write);
        Ok(self)
    }

    /// The same cache, but a page that is older than it was when a checkpoint made it durable is not read.
    #[must_use]
    pub fn with_versions(mut self, versions: Versions) -> Cache {
        self.versions = Some(versions);
        self
    }

    /// How new its pages are on the disk, if that is known.
    pub(crate) fn versions(&self) -> Option<&Versions> {
        self.versions.as_ref()
    }

    /// Where pages are copied before they are written in place, if they are.
    pub fn double_write(&self) -> Option<&DoubleWrite> {
        self.double_write.as_ref()
    }

    /// A page to look at, with others.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when what the file holds is not this page, or is an old one, [`Error::Io`] when it
    /// cannot be read or a changed page that must make room cannot be written, [`Error::Stopped`] when it will
    /// never be, [`Error::CacheFull`] when every frame stays in use. The cache is as it was.
    pub fn read(&self, page: PageId) -> Result<PageRead<'_>> {
        self.read_as(page, None)
    }

    /// As [`Cache::read`], by someone who takes the page for one of that kind. Whether it is one is not looked at;
    /// the error of a page that was never written names the kind, that of whoever asked for the page first.
    pub(crate) fn read_as(&self, page: PageId, kind: Option<PageKind>) -> Result<PageRead<'_>> {
        // The short way of most: no latch but the page's own, and no pin. What the frame holds is seen by its latch.
        let frame = &self.frames[self.hint(page).load(Ordering::Relaxed) as usize];
        if let Some(guard) = PageRead::try_latch(frame, page) {
            count(&self.counters.hits, 1);
            frame.earn_credit();
            return Ok(guard);
        }
        loop {
            if let Some(guard) = PageRead::latch(self, self.fetch(page, kind)?, page)? {
                return Ok(guard);
            }
        }
    }

    /// Whether the cache is large: then it is worth while to [prefetch](Cache::prefetch).
    pub(crate) fn is_large(&self) -> bool {
        self.slab.is_some()
    }

    /// Says that the byte `at` of a page is read soon. Whether that is so nobody needs to know: it is for the
    /// processor, which fetches it while the caller does something else.
    pub(crate) fn prefetch(&self, page: PageId, at: usize) {
        // Small caches are in reach of the processor as they are.
        if let Some(slab) = &self.slab {
            let frame = self.hint(page).load(Ordering::Relaxed) as usize;
            memory::prefetch(&raw const self.frames[frame]);
            slab.prefetch(frame, at);
        }
    }

    /// A page to change, alone.
    ///
    /// # Errors
    ///
    /// As [`Cache::read`].
    pub fn write(&self, page: PageId) -> Result<PageWrite<'_>> {
        self.write_as(page, None)
    }

    /// As [`Cache::write`], by someone who takes the page for one of that kind.
    pub(crate) fn write_as(&self, page: PageId, kind: Option<PageKind>) -> Result<PageWrite<'_>> {
        loop {
            if let Some(guard) = PageWrite::latch(self, self.fetch(page, kind)?, page)? {
                return Ok(guard);
            }
        }
    }

    /// A page that is built anew, all zero, alone: what its file holds is not read. It is dirty, as by
    /// [`PageWrite::change`], and has to be formatted before the guard goes. Nobody else may ask for the
    /// page before this returns.
    ///
    /// # Errors
    ///
    /// As [`Cache::read`], but for what the file holds.
    pub fn create(&self, page: PageId, lsn: Lsn) -> Result<PageWrite<'_>> {
        let empty = |_, bytes: &mut [u8]| {
            bytes.fill(0);
            Ok(Lsn::default())
        };
        loop {
            let frame = self.fetch_with(page, empty)?;
            if let Some(mut guard) = PageWrite::latch(self, frame, page)? {
                guard.change(lsn).fill(0);
                return Ok(guard);
            }
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> CacheCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { hits, misses, pages_read, pages_written, .. } = &self.counters;
        let Counters { runs_written, evictions, eviction_writes, stalls, .. } = &self.counters;
        CacheCounters {
            hits: get(hits),
            misses: get(misses),
            pages_read: get(pages_read),
            pages_written: get(pages_written),
            runs_written: get(runs_written),
            evictions: get(evictions),
            eviction_writes: get(eviction_writes),
            stalls: get(stalls),
        }
    }

    /// How many frames are pinned: none while nobody has a guard.
    pub fn pinned_count(&self) -> usize {
        self.frames.iter().filter(|frame| frame.state.is_pinned()).count()
    }

    /// The files of the tablespaces.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Finds the page's frame, or gives it one and reads it. The frame is pinned.
    fn fetch(&self, page: PageId, kind: Option<PageKind>) -> Result<u32> {
        self.fetch_with(page, |page, bytes| {
            self.files.read_as(page, kind, bytes)?;
            count(&self.counters.pages_read, 1);
            let header = page::check(bytes, page).and_then(|_| page::check_content(bytes));
            let file = self.files.path(page.tablespace);
            let lsn = header.map_err(|error| error.expecting(kind).in_file(&file))?.lsn;
            let end = self.log.durable();
            if lsn > end {
                let what = format!("it has changes up to {lsn} of the log, which ends at {end}");
                return Err(Error::Damaged { file, place: page.to_string(), what });
            }
            let known = self.versions.as_ref().map_or(Lsn(0), |versions| versions.of(page));
            if lsn < known {
                let what =
                    format!("it is as of {lsn}, and had changes up to {known}: a write is lost");
                return Err(Error::Damaged { file, place: page.to_string(), what });
            }
            Ok(lsn)
        })
    }

    fn fetch_with(
        &self,
        page: PageId,
        load: impl Fn(PageId, &mut [u8]) -> Result<Lsn>,
    ) -> Result<u32> {
        loop {
            match self.bucket(page).find(page, |frame| &self.frames[frame as usize].state) {
                Found::Pinned(frame) => {
                    count(&self.counters.hits, 1);
                    self.frames[frame as usize].earn_credit();
                    self.hint(page).store(frame, Ordering::Relaxed);
                    return Ok(frame);
                }
                Found::Leaving => thread::yield_now(),
                Found::Absent => {
                    if let Some(frame) = self.bring_in(page, &load)? {
                        return Ok(frame);
                    }
                }
            }
        }
    }

    /// Gives the page a frame of its own and loads it there; `None` when somebody else was faster.
    fn bring_in(
        &self,
        page: PageId,
        load: &impl Fn(PageId, &mut [u8]) -> Result<Lsn>,
    ) -> Result<Option<u32>> {
        let frame = self.claim()?;
        let mut content = self.frames[frame as usize].write();
        content.page = Some(page);
        let found =
            self.bucket(page).insert(page, frame, |other| &self.frames[other as usize].state);
        if found != Found::Absent {
            content.page = None;
            drop(content);
            self.free_list().push(frame);
            if let Found::Pinned(other) = found {
                self.frames[other as usize].state.unpin();
            }
            return Ok(None);
        }
        count(&self.counters.misses, 1);
        // Whoever finds the frame from here on waits for the latch, until the page is loaded or not.
        match load(page, content.room(self.files.page_size().bytes())) {
            Ok(lsn) => {
                (content.lsn, content.failed) = (lsn, None);
                self.frames[frame as usize].lose_credit();
                Ok(Some(frame))
            }
            Err(error) => {
                self.bucket(page).remove(page, frame);
                (content.page, content.failed) = (None, Some(Box::new((page, error.clone()))));
                drop(content);
                self.frames[frame as usize].state.unpin();
                Err(error)
            }
        }
    }

    /// Neighbours have neighbouring hints, so that few lines of the processor's cache hold those in use.
    fn hint(&self, page: PageId) -> &AtomicU32 {
        let at = page.number.0.wrapping_add(page.tablespace.0.wrapping_mul(0x9E37_79B9));
        &self.hints[at as usize & (self.hints.len() - 1)]
    }

    fn bucket(&self, page: PageId) -> &Bucket<PageId> {
        // The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): neighbours go to buckets far apart.
        let mut hash = u64::from(page.tablespace.0) << 32 | u64::from(page.number.0);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        &self.buckets[(hash ^ (hash >> 31)) as usize & (self.buckets.len() - 1)]
    }
}

/// Frames without pages, and where they will have them if not each for itself: in one slab, if that is large and can
/// be had.
fn frames(count: usize, page_bytes: usize) -> (Option<Arc<Slab>>, Box<[Frame]>) {
    let is_large = count.saturating_mul(page_bytes) >= SLAB_BYTES_MIN;
    let (slab, pieces) = is_large.then(|| Slab::cut(count, page_bytes)).flatten().unzip();
    let mut pieces = pieces.unwrap_or_default().into_iter();
    let frame = |_| Frame::new(pieces.next().unwrap_or_else(PageBytes::none));
    (slab, memory::table(count, frame))
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
