//! Falcon: a table of two columns with a unique index on the first.

use std::borrow::Cow;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use falcon::log::LogConfig;
use falcon::page::key::KeyValue;
use falcon::{Database, Direction, Index, Options, Table, TableSpec};
use falconry_seam::disk::{Disk, StdDisk};

use super::{Engine, LogCounts, Put, Setup, missing};
use crate::{Result, rows};

const PAGE_BYTES: usize = 4_096;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Falcon {
    database: Database,
    table: Table,
    by_key: Index,
}

impl Falcon {
    pub(super) fn open(dir: &Path, setup: Setup) -> Result<Falcon> {
        let disk: Arc<dyn Disk> = Arc::new(StdDisk::open(dir)?);
        let mut options = Options {
            cache_frames: setup.cache_bytes / PAGE_BYTES,
            log: LogConfig { block_bytes: disk.sector_size().max(512), ..LogConfig::default() },
            ..Options::default()
        };
        if setup.keeps_log {
            options.checkpoint_interval = DAY;
            options.log.file_bytes = 512 << 20;
        }
        let open = if Database::exists(&*disk)? { Database::open } else { Database::create };
        let database = open(&disk, &options)?;
        let table = match database.table("rows") {
            Some(table) => table,
            None => {
                database.create_table(&TableSpec::new("rows", 2).index("by_key", &[0], true))?
            }
        };
        let by_key = table.index("by_key").ok_or("the table is another one")?;
        Ok(Falcon { database, table, by_key })
    }
}

fn check(key: u64, row: &[KeyValue<'_>]) -> Result<()> {
    match row {
        [KeyValue::U64(found), KeyValue::Bytes(value)] if *found == key => rows::check(key, value),
        _ => Err(format!("key {key} has the row {row:?}").into()),
    }
}

impl Engine for Falcon {
    fn commit(&self, rows: &[Put]) -> Result<()> {
        let mut transaction = self.database.begin();
        for Put { key, value, is_new } in rows {
            let row = [KeyValue::U64(*key), KeyValue::Bytes(Cow::Borrowed(value))];
            if *is_new {
                transaction.insert(&self.table, &row)?;
                continue;
            }
            let found = transaction.get_for_update(&self.by_key, &row[..1])?;
            let (record, _) = found.ok_or_else(|| missing(*key))?;
            transaction.update(&self.table, record, &row)?;
        }
        Ok(transaction.commit()?)
    }

    fn read(&self, keys: &[u64]) -> Result<()> {
        let transaction = self.database.begin();
        for key in keys {
            let found = transaction.get(&self.by_key, &[KeyValue::U64(*key)])?;
            let (_, row) = found.ok_or_else(|| missing(*key))?;
            check(*key, &row)?;
        }
        Ok(transaction.commit()?)
    }

    fn scan(&self, from: u64, count: u64) -> Result<u64> {
        let transaction = self.database.begin();
        let from = [KeyValue::U64(from)];
        let direction = Direction::Forward;
        let range =
            transaction.range(&self.by_key, Bound::Included(&from), Bound::Unbounded, direction)?;
        let mut seen = 0;
        for row in range.take(count as usize) {
            let (_, row) = row?;
            let key = match row[0] {
                KeyValue::U64(key) => key,
                _ => return Err(format!("a row without a key: {row:?}").into()),
            };
            check(key, &row)?;
            seen += 1;
        }
        transaction.commit()?;
        Ok(seen)
    }

    fn log_bytes(&self) -> Result<Option<u64>> {
        Ok(self.log_counts().map(|counts| counts.bytes))
    }

    fn log_counts(&self) -> Option<LogCounts> {
        let statistics = self.database.statistics();
        let bytes = statistics.get("log_bytes")?;
        Some(LogCounts { bytes, blocks: statistics.get("log_blocks")? })
    }

    fn told(&self) -> String {
        self.database.statistics().to_string()
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.database.close()?)
    }
}
