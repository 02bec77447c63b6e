//! Falcon as an engine under test: settings, promises, and a table of pairs.
//!
//! # Method
//!
//! Pairs are rows of one table with a unique index on the key. A transaction that may write locks what it
//! reads for writing at once, so that two that read the same do not end in a deadlock each time.
//!
//! # Invariant
//!
//! Every setting of the engine is drawn, over its whole range but for sizes that no memory has, or that are
//! too small for the rows of the workloads.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use falcon::page::key::KeyValue;
use falcon::{Database as Falcon, Error, Options, TableSpec, Transaction as Txn};
use falconry_seam::disk::Disk;

use super::{
    Access, Contract, Database, Engine, EngineError, Pair, Promise, Settings, SettingsDraw,
    Transaction,
};
use crate::run::CaseError;

const TABLE: &str = "pair";
const BY_KEY: &str = "by_key";

/// Sizes of pages; the usual one first.
const PAGE_BYTES: &[(&str, u32)] =
    &[("4096", 3), ("1024", 4), ("2048", 2), ("8192", 1), ("16384", 1), ("32768", 1)];
/// Alignments of blocks of the log.
const BLOCK_BYTES: &[(&str, u32)] = &[("512", 6), ("4096", 3), ("1024", 1), ("65536", 1)];

/// The longest row that a workload has.
const ROW_BYTES_MAX: usize = 72 << 10;

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
        let exists = Falcon::exists(&*disk).map_err(failure)?;
        let falcon = match exists {
            true => Falcon::open(&disk, &options),
            false => Falcon::create(&disk, &options),
        };
        let falcon = falcon.map_err(failure)?;
        if falcon.table(TABLE).is_none() {
            let spec = TableSpec::new(TABLE, 2).index(BY_KEY, &[0], true);
            falcon.create_table(&spec).map_err(failure)?;
        }
        Ok(Box::new(FalconDatabase { falcon }))
    }

    fn bugs(&self) -> &[&str] {
        falcon::Bug::NAMES
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        draw.word("page_bytes", PAGE_BYTES)?;
        // Beyond what the threads need: how much larger the cache is.
        draw.number("cache_frames_more", 1, 1_024)?;
        draw.number("run_pages_max", 1, 1_024)?;
        draw.number("gopher_threads", 1, 20)?;
        draw.number("io_threads", 1, 21)?;
        draw.number("checkpoint_interval_ms", 1, 86_400_000)?;
        draw.number("lock_wait_timeout_ms", 1, 86_400_000)?;
        draw.flag("double_write", 700_000)?;
        draw.word("block_bytes", BLOCK_BYTES)?;
        // Beyond the least that the other sizes allow: in windows, files and bounds of files.
        draw.number("window_blocks", 1, 256)?;
        draw.number("window_count", 1, 4_096)?;
        draw.number("file_windows", 1, 64)?;
        draw.number("file_windows_max", 8, 256)?;
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
        ..Options::default()
    };
    // The longest row of a workload must find frames for its overflow pages, and room in a record.
    let frames_each = (ROW_BYTES_MAX / (options.page_bytes as usize - 64) + 16).max(32);
    options.cache_frames =
        frames_each * (options.gopher_threads + 2) + number("cache_frames_more") as usize - 1;
    let log = &mut options.log;
    log.block_bytes = (number("block_bytes") as u32).max(sector_bytes);
    let window_min = (8 * options.page_bytes).max(log.block_bytes).max(3 * ROW_BYTES_MAX as u32);
    log.window_bytes = (window_min.next_multiple_of(log.block_bytes)
        + (number("window_blocks") as u32 - 1) * log.block_bytes)
        .min(1 << 26);
    log.window_count = number("window_count") as u32;
    let window = u64::from(log.window_bytes);
    log.file_bytes = u64::from(log.block_bytes) + window * number("file_windows");
    // The largest transaction of a workload must fit several times.
    log.file_bytes_max = log.file_bytes + window * number("file_windows_max") + (8 << 20);
    options
}

struct FalconDatabase {
    falcon: Falcon,
}

impl Database for FalconDatabase {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let table = self.falcon.table(TABLE).ok_or_else(gone)?;
        let by_key = table.index(BY_KEY).ok_or_else(gone)?;
        Ok(Box::new(FalconTransaction { txn: self.falcon.begin(), access, table, by_key }))
    }

    fn check(&mut self) -> Result<(), EngineError> {
        let report = self.falcon.verify().map_err(failure)?;
        match report.problems.as_slice() {
            [] => Ok(()),
            problems => Err(EngineError::Corrupt { what: problems.join("; ") }),
        }
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        self.falcon.close().map_err(failure)?;
        Ok(Promise::Durable)
    }
}

fn gone() -> EngineError {
    EngineError::Corrupt { what: "the table of pairs is gone".into() }
}

struct FalconTransaction<'d> {
    txn: Txn<'d>,
    access: Access,
    table: falcon::Table,
    by_key: falcon::Index,
}

impl FalconTransaction<'_> {
    fn find(
        &mut self,
        key: &[u8],
    ) -> Result<Option<(falcon::page::RecordNumber, falcon::Row)>, EngineError> {
        let key = [bytes(key)];
        let found = match self.access {
            Access::Read => self.txn.get(&self.by_key, &key),
            Access::Write => self.txn.get_for_update(&self.by_key, &key),
        };
        found.map_err(failure)
    }

    fn may_write(&self) -> Result<(), EngineError> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(EngineError::Refused { what: "the transaction only reads".into() }),
        }
    }
}

impl Transaction for FalconTransaction<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.find(key)?.map(|(_, row)| pair(row).map(|(_, value)| value)).transpose()
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.may_write()?;
        let row = [bytes(key), bytes(value)];
        let put = match self.find(key)? {
            Some((record, _)) => self.txn.update(&self.table, record, &row).map(drop),
            None => self.txn.insert(&self.table, &row).map(drop),
        };
        put.map_err(failure)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.may_write()?;
        if let Some((record, _)) = self.find(key)? {
            self.txn.delete(&self.table, record).map_err(failure)?;
        }
        Ok(())
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let (from, to) = ([bytes(from)], to.map(|to| [bytes(to)]));
        let to = to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        let from = Bound::Included(&from[..]);
        let range = self.txn.range(&self.by_key, from, to, falcon::Direction::Forward);
        let mut pairs = Vec::new();
        for found in range.map_err(failure)? {
            pairs.push(pair(found.map_err(failure)?.1)?);
        }
        Ok(pairs)
    }

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        self.txn.commit().map_err(failure)?;
        Ok(Promise::Durable)
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        self.txn.rollback();
        Ok(())
    }
}

fn bytes(bytes: &[u8]) -> KeyValue<'_> {
    KeyValue::Bytes(bytes.into())
}

/// The key and the value of a row.
fn pair(row: falcon::Row) -> Result<Pair, EngineError> {
    match <[KeyValue<'_>; 2]>::try_from(row) {
        Ok([KeyValue::Bytes(key), KeyValue::Bytes(value)]) => {
            Ok((key.into_owned(), value.into_owned()))
        }
        other => Err(EngineError::Corrupt { what: format!("a row is no pair: {other:?}") }),
    }
}

/// What a client can do about an error of Falcon's.
fn failure(error: Error) -> EngineError {
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
