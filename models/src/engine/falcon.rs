//! Falcon as an engine under test: settings, promises, and a table of pairs.
//!
//! # Method
//!
//! The engine's settings, and how the adapter uses it: by how many tables and indexes, and by which of several
//! calls that must come to the same. Its `pairs` has the tables.
//!
//! # Invariant
//!
//! Every setting of the engine is drawn, over its whole range but for sizes that no memory has, or that are
//! too small for the rows of the workload.

use std::sync::Arc;
use std::time::Duration;

use falcon::{Database as Falcon, Error, Options};
use falconry_seam::disk::Disk;
use falconry_sim::fault::{Fault, FaultSet};
use falconry_sim::io::with_env;

use super::{Contract, Database, Engine, EngineError, POWER_CLAIMS, Settings, SettingsDraw};
use crate::run::CaseError;

mod blocks;
mod bounds;
mod cache_alone;
mod damaged;
mod forged;
mod kinds;
mod log_alone;
mod origin;
mod pairs;
mod part;
mod parts;
mod picture;
mod refusals;
mod shown;

use pairs::{FalconDatabase, Use};

/// Sizes of pages; the usual one first.
const PAGE_BYTES: &[(&str, u32)] =
    &[("4096", 3), ("1024", 4), ("2048", 2), ("8192", 1), ("16384", 1), ("32768", 1)];
/// Alignments of blocks of the log.
const BLOCK_BYTES: &[(&str, u32)] = &[("512", 10), ("4096", 6), ("1024", 3), ("65536", 1)];
/// How ranges are read.
const RANGE_BY: &[(&str, u32)] = &[("index", 4), ("backward", 2), ("scan", 2), ("mixed", 4)];

/// What is run: the engine, or a part without the rest, which a scenario asks for.
const PARTS: &[(&str, u32)] = &[("all", 1), ("log", 0), ("cache", 0)];

/// What it survives beside the loss of power: every error that a call of the disk may return, for it stops, and
/// the next opening recovers. Not among them: a sector that can never be read again, and an error of a sync that
/// is told by a later one, when the commit was acknowledged.
const ERROR_CLAIMS: FaultSet = FaultSet::of(&[
    Fault::EioRead,
    Fault::EioWrite,
    Fault::SyncFailDirty,
    Fault::SyncFailClean,
    Fault::SyncFailDropped,
    Fault::Enospc,
    Fault::ReadOnly,
    Fault::DeviceGone,
    Fault::SubSectorTear,
    Fault::GarbageSector,
]);

/// What only second copies of pages survive: without them the word of device and system is taken that a page is
/// written as a whole or not at all, also when the write fails.
const DOUBLE_WRITE_CLAIMS: FaultSet = FaultSet::of(&[
    Fault::ShortWrite,
    Fault::EioWrite,
    Fault::Enospc,
    Fault::SubSectorTear,
    Fault::GarbageSector,
]);

/// What a row has beside its key and value: its tag, and the lengths of the columns.
const ROW_BYTES_MORE: usize = 64;

/// Falcon.
pub struct FalconEngine;

impl Engine for FalconEngine {
    fn name(&self) -> &str {
        "falcon"
    }

    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError> {
        let options = options(settings, disk.sector_size());
        match settings.text("part") {
            "log" => return log_alone::open(&*disk, options.log),
            "cache" => return cache_alone::open(&*disk, &options),
            _ => {}
        }
        let is_old = settings.text("origin") != "new";
        if is_old {
            origin::lay_out(&*disk)?;
        }
        let exists = Falcon::exists(&*disk).map_err(failure)?;
        shown::before(&*disk, settings.number("page_bytes"))?;
        refusals::before(&disk, &options, exists)?;
        let falcon = match exists {
            true => Falcon::open(&disk, &options),
            false => Falcon::create(&disk, &options),
        };
        let falcon = falcon.map_err(failure)?;
        refusals::second(&disk, &options)?;
        Ok(Box::new(FalconDatabase::new(falcon, Use::of(settings), is_old)?))
    }

    fn claims(&self) -> FaultSet {
        POWER_CLAIMS.union(ERROR_CLAIMS)
    }

    fn claims_under(&self, settings: &Settings) -> FaultSet {
        match settings.flag("double_write") {
            true => self.claims(),
            false => self.claims().minus(DOUBLE_WRITE_CLAIMS),
        }
    }

    fn bugs(&self) -> &[&str] {
        falcon::Bug::NAMES
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        let page_bytes = draw.word("page_bytes", PAGE_BYTES)?;
        let has_large_pages = ["16384", "32768"].contains(&page_bytes.as_str());
        // Beyond what the threads need: how much larger the cache is.
        draw.small_number("cache_frames_more", 1, 1_024)?;
        draw.small_number("run_pages_max", 1, 1_024)?;
        draw.small_number("gopher_threads", 1, 20)?;
        draw.small_number("io_threads", 1, 21)?;
        draw.number("checkpoint_interval_ms", 1, 86_400_000)?;
        draw.number("lock_wait_timeout_ms", 1, 86_400_000)?;
        draw.flag("double_write", 700_000)?;
        // Beyond one run.
        draw.small_number("double_write_pages_more", 1, 65_536)?;
        draw.small_number("sequence_batch", 1, 1_000_000)?;
        let has_large_blocks = draw.word("block_bytes", BLOCK_BYTES)? == "65536";
        // Beyond the least that the other sizes allow: in windows, files and bounds of files.
        draw.small_number("window_blocks", 1, 256)?;
        draw.number("window_count", 1, 4_096)?;
        // Every opening reads all of the log's files, and windows have several pages and blocks.
        let file_windows = if has_large_pages || has_large_blocks { 4 } else { 64 };
        draw.small_number_to("file_windows", 1, file_windows, 64)?;
        draw.number("file_windows_max", 1, 256)?;
        // How it is used.
        draw.number("tables", 1, 4)?;
        draw.flag("tag_index", 500_000)?;
        draw.flag("insert_first", 500_000)?;
        draw.word("range_by", RANGE_BY)?;
        draw.word("part", PARTS)?;
        draw.word("origin", origin::ORIGINS)?;
        let room = draw.room();
        draw.derived("row_bytes_max", (room.pair_bytes_max + ROW_BYTES_MORE) as u64)?;
        draw.derived("transaction_bytes_max", room.transaction_bytes_max as u64)?;
        Ok(Contract::Durable)
    }

    fn syncs(&self, _: &Settings, commits: u64) -> u64 {
        // Several commits share a sync, and an opening makes some.
        6 + commits / 3
    }
}

/// The options that these settings stand for, on a disk with such sectors.
fn options(settings: &Settings, sector_bytes: u32) -> Options {
    let number = |name: &str| settings.number(name);
    let milliseconds = |name: &str| Duration::from_millis(settings.number(name));
    let mut options = Options {
        page_bytes: number("page_bytes") as u32,
        run_pages_max: number("run_pages_max") as usize,
        gopher_threads: number("gopher_threads") as usize,
        io_threads: number("io_threads") as usize - 1,
        checkpoint_interval: milliseconds("checkpoint_interval_ms"),
        lock_wait_timeout: milliseconds("lock_wait_timeout_ms"),
        double_write: settings.flag("double_write"),
        double_write_pages: (number("run_pages_max") + number("double_write_pages_more") - 1)
            .min(1 << 16) as usize,
        sequence_batch: number("sequence_batch") as u32,
        ..Options::default()
    };
    // The longest row of the workload must find frames for its overflow pages, and room in a record.
    let row_bytes_max = number("row_bytes_max") as usize;
    let frames_each = (row_bytes_max / (options.page_bytes as usize - 64) + 16).max(32);
    options.cache_frames =
        frames_each * (options.gopher_threads + 2) + number("cache_frames_more") as usize - 1;
    let log = &mut options.log;
    log.block_bytes = (number("block_bytes") as u32).max(sector_bytes);
    let window_min = (8 * options.page_bytes).max(log.block_bytes).max(3 * row_bytes_max as u32);
    log.window_bytes = (window_min.next_multiple_of(log.block_bytes)
        + (number("window_blocks") as u32 - 1) * log.block_bytes)
        .min(1 << 26);
    log.window_count = number("window_count") as u32;
    let window = u64::from(log.window_bytes);
    log.file_bytes = u64::from(log.block_bytes) + window * number("file_windows");
    // Half of the log must take the largest transaction of the workload, with what it makes of pages.
    let transaction = 8 * number("transaction_bytes_max") + 4 * u64::from(options.page_bytes);
    let least = (2 * transaction + 2 * window).max(8 * window);
    log.file_bytes_max = log.file_bytes + least + window * number("file_windows_max");
    options
}

/// A choice of the running machine; 0 where none runs.
fn pick(label: &'static str, bound: u64) -> u64 {
    with_env(|env| env.choices.choose(label, bound)).unwrap_or(0)
}

/// What a client can do about an error of Falcon's.
fn failure(error: Error) -> EngineError {
    // Damage that has stopped the engine is damage, whoever is told.
    if let Error::Stopped(why) | Error::OutcomeUnknown { why, .. } = &error
        && let Some(damage @ Error::Damaged { .. }) = why.error()
    {
        return EngineError::Corrupt { what: format!("{damage} (the engine has stopped)") };
    }
    let what = error.to_string();
    match error {
        Error::Deadlock { .. } => EngineError::Conflict,
        Error::LockTimeout { .. } => EngineError::Busy,
        Error::Io { source, .. } => EngineError::Disk { what, errno: source.raw_os_error() },
        Error::Damaged { .. } | Error::Foreign { .. } | Error::Missing { .. } => {
            EngineError::Corrupt { what }
        }
        Error::Stopped(_) => EngineError::Stopped { what },
        _ => EngineError::Refused { what },
    }
}

#[cfg(test)]
mod tests;
