//! The settings of a database, and their ranges.
//!
//! # Method
//!
//! A builder whose every setting has a default that suits a small server. [`Options::check`] looks at each
//! by itself and then at what must fit together: threads that change pages need frames for them.
//!
//! # Invariant
//!
//! A setting out of range is refused before the disk is touched, by its name and with its range.

use std::time::Duration;

use crate::cache::CacheConfig;
use crate::log::LogConfig;
use crate::page::PageSize;
use crate::{Error, Result};

/// Frames that each thread which changes pages may need at once, and as many for all readers.
const FRAMES_PER_THREAD: usize = 32;

/// How a database is created and opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a page: a power of two from 1,024 to 32,768. Fixed at creation; an opening goes by the file.
    pub page_bytes: u32,
    /// Frames of the page cache: at least 32 for each gopher and 64 more, at most 16,777,216.
    pub cache_frames: usize,
    /// Pages that are written together at most: 1 to 1,024.
    pub run_pages_max: usize,
    /// Threads that copy committed rows to pages: 1 to 20.
    pub gopher_threads: usize,
    /// Threads that write for checkpoints, beside the one that asks for them: 0 to 20.
    pub io_threads: usize,
    /// The time between checkpoints: 1 ms to a day. The log's size may ask for one earlier.
    pub checkpoint_interval: Duration,
    /// How long a transaction waits for a lock: up to a day. Zero is not at all. A wait that is only for
    /// transactions which are durable, and on their way to pages, lasts until they are there.
    pub lock_wait_timeout: Duration,
    /// Whether pages are written twice, so that a torn one can be repaired, also where neither the device nor
    /// the system's page cache can tear one. Elsewhere they always are. Without it their word is taken: a sector
    /// that is torn all the same, or a write that fails or is cut short within a page just before the engine ends,
    /// leaves a page that the next opening refuses.
    pub double_write: bool,
    /// Pages that are written twice before all files have to be synced, and so the size of the file of second copies:
    /// from `run_pages_max` to 65,536.
    pub double_write_pages: usize,
    /// Numbers of a sequence that are made durable at once, by a commit: 1 to 1,000,000. A crash, and a closing as
    /// well, leaves out as many at most.
    pub sequence_batch: u32,
    /// Whether an opening takes the files as they are where the file `versions` is missing, or has lost a write, and
    /// makes it anew. What it said of pages is lost then: one that has lost its last write too, as it may have by
    /// the same fault, is read as it was before. It is for a database without a backup, and for one opening;
    /// look at it with [`Database::verify`](crate::Database::verify) afterwards.
    pub make_versions_anew: bool,
    /// The log's own settings.
    pub log: LogConfig,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            page_bytes: PageSize::DEFAULT.bytes() as u32,
            cache_frames: 4_096,
            run_pages_max: 64,
            gopher_threads: 5,
            io_threads: 2,
            checkpoint_interval: Duration::from_secs(60),
            lock_wait_timeout: Duration::from_secs(50),
            double_write: true,
            double_write_pages: 1_024,
            sequence_batch: 64,
            make_versions_anew: false,
            log: LogConfig::default(),
        }
    }
}

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Options {
    /// Whether all is in range, on a disk with such sectors.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] with the first setting that is not.
    pub fn check(&self, sector_bytes: u32) -> Result<()> {
        PageSize::new(self.page_bytes.into())?;
        within("gopher_threads", self.gopher_threads, 1, 20, "from 1 to 20")?;
        within("io_threads", self.io_threads, 0, 20, "from 0 to 20")?;
        let frames_min = self.frames_min();
        let range = "at least 32 for each of the gopher_threads and 64 more, at most 16,777,216";
        within("cache_frames", self.cache_frames, frames_min, 1 << 24, range)?;
        within("run_pages_max", self.run_pages_max, 1, 1_024, "from 1 to 1,024")?;
        let range = "from run_pages_max to 65,536";
        let pages = self.double_write_pages;
        within("double_write_pages", pages, self.run_pages_max, 1 << 16, range)?;
        let interval = self.checkpoint_interval;
        if !(Duration::from_millis(1)..=DAY).contains(&interval) {
            return refuse("checkpoint_interval", interval, "from 1 ms to a day");
        }
        if self.lock_wait_timeout > DAY {
            return refuse("lock_wait_timeout", self.lock_wait_timeout, "at most a day");
        }
        let batch = self.sequence_batch as usize;
        within("sequence_batch", batch, 1, 1_000_000, "from 1 to 1,000,000")?;
        self.log.check(sector_bytes)?;
        self.check_pages(self.page_bytes as usize)?;
        // A checkpoint leaves no more than a window, and a few blocks, that recovery would have to read.
        let file_max = self.log.file_bytes_max;
        if file_max < 8 * u64::from(self.log.window_bytes) {
            let (name, range) = ("file_bytes_max", "at least eight times window_bytes");
            return Err(Error::Setting { name, value: file_max, range });
        }
        Ok(())
    }

    /// Whether records of the log have room for what pages of this size need: an opening asks for those that
    /// the files have.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`].
    pub(crate) fn check_pages(&self, page_bytes: usize) -> Result<()> {
        let window_bytes = self.log.window_bytes as usize;
        within("window_bytes", window_bytes, 8 * page_bytes, 1 << 26, "at least eight pages")
    }

    fn frames_min(&self) -> usize {
        FRAMES_PER_THREAD * (self.gopher_threads + 2)
    }

    pub(crate) fn cache(&self) -> CacheConfig {
        CacheConfig { frame_count: self.cache_frames, run_pages_max: self.run_pages_max }
    }

    /// The longest row, encoded, with such pages: its overflow pages must find frames in the cache, and the
    /// record of their change room in the log.
    pub(crate) fn row_bytes_max(&self, page_bytes: usize) -> usize {
        let frames = self.cache_frames / (self.gopher_threads + 2) - 12;
        let record = self.log.record_bytes_max();
        let of_log = record / 2;
        // A page of a chain takes less than this in the record, with its bit in the inventory, and its
        // predecessor's.
        let pages = frames.min(record / 128);
        (pages * (page_bytes - 64)).min(of_log)
    }
}

fn within(
    name: &'static str,
    value: usize,
    low: usize,
    high: usize,
    range: &'static str,
) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::Setting { name, value: value as u64, range })
}

fn refuse(name: &'static str, value: Duration, range: &'static str) -> Result<()> {
    Err(Error::Setting { name, value: value.as_millis() as u64, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_in_range_and_every_setting_has_one() {
        let good = Options::default();
        good.check(4096).expect("in range");
        let day = DAY + Duration::from_millis(1);
        let rows = [
            ("page_bytes", Options { page_bytes: 1_000, ..good }),
            ("gopher_threads", Options { gopher_threads: 0, ..good }),
            ("gopher_threads", Options { gopher_threads: 21, ..good }),
            ("io_threads", Options { io_threads: 21, ..good }),
            ("cache_frames", Options { cache_frames: 223, ..good }),
            ("cache_frames", Options { cache_frames: (1 << 24) + 1, ..good }),
            ("run_pages_max", Options { run_pages_max: 0, ..good }),
            ("run_pages_max", Options { run_pages_max: 1_025, ..good }),
            ("double_write_pages", Options { double_write_pages: 63, ..good }),
            ("double_write_pages", Options { double_write_pages: 65_537, ..good }),
            ("checkpoint_interval", Options { checkpoint_interval: Duration::ZERO, ..good }),
            ("checkpoint_interval", Options { checkpoint_interval: day, ..good }),
            ("lock_wait_timeout", Options { lock_wait_timeout: day, ..good }),
            ("sequence_batch", Options { sequence_batch: 0, ..good }),
            ("sequence_batch", Options { sequence_batch: 1_000_001, ..good }),
            ("window_count", Options { log: LogConfig { window_count: 0, ..good.log }, ..good }),
            ("file_bytes_max", {
                let log = LogConfig { file_bytes: 4 << 20, file_bytes_max: 7 << 20, ..good.log };
                Options { log, ..good }
            }),
            ("window_bytes", {
                let log = LogConfig { window_bytes: 16_384, ..good.log };
                Options { log, ..good }
            }),
        ];
        for (expected, options) in rows {
            match options.check(4096) {
                Err(Error::Setting { name, .. }) => assert_eq!(name, expected, "{options:?}"),
                other => panic!("{options:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_smallest_cache_takes_a_row_of_a_page_and_more() {
        for gopher_threads in 1..=20 {
            let options = Options { gopher_threads, ..Options::default() };
            let options = Options { cache_frames: options.frames_min(), ..options };
            assert!(options.row_bytes_max(1_024) > 16 * 1_024);
        }
    }
}
