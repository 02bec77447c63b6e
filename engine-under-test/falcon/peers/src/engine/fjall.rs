//! fjall: one keyspace, a batch for each transaction.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{Engine, Put, Setup, missing};
use crate::{Result, rows};

/// More than the log that is to be kept: memory takes all of it, so that nothing makes it needless.
const KEPT_BYTES: u64 = 1 << 30;

pub(super) struct Fjall {
    database: Database,
    rows: Keyspace,
}

impl Fjall {
    pub(super) fn open(dir: &Path, setup: Setup) -> Result<Fjall> {
        let mut builder = Database::builder(dir).cache_size(setup.cache_bytes as u64);
        if setup.keeps_log {
            builder = builder.max_journaling_size(2 * KEPT_BYTES);
        }
        let database = builder.open()?;
        let rows = database.keyspace("rows", || match setup.keeps_log {
            true => KeyspaceCreateOptions::default().max_memtable_size(KEPT_BYTES),
            false => KeyspaceCreateOptions::default(),
        })?;
        Ok(Fjall { database, rows })
    }
}

/// The key in the form that sorts.
fn sortable(key: u64) -> [u8; 8] {
    key.to_be_bytes()
}

impl Engine for Fjall {
    fn commit(&self, rows: &[Put]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for Put { key, value, .. } in rows {
            batch.insert(&self.rows, sortable(*key), value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn read(&self, keys: &[u64]) -> Result<()> {
        let snapshot = self.database.snapshot();
        for key in keys {
            let found = snapshot.get(&self.rows, sortable(*key))?;
            rows::check(*key, &found.ok_or_else(|| missing(*key))?)?;
        }
        Ok(())
    }

    fn scan(&self, from: u64, count: u64) -> Result<u64> {
        let snapshot = self.database.snapshot();
        let mut seen = 0;
        for row in snapshot.range(&self.rows, sortable(from)..).take(count as usize) {
            let (key, value) = row.into_inner()?;
            let key = u64::from_be_bytes(key.as_ref().try_into()?);
            rows::check(key, &value)?;
            seen += 1;
        }
        Ok(seen)
    }

    fn log_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
