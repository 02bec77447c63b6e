//! redb: one table from numbers to bytes.

use std::path::Path;

use redb::{Builder, Database, Durability, ReadableDatabase, TableDefinition};

use super::{Engine, Put, Setup, missing};
use crate::{Result, rows};

const ROWS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("rows");

pub(super) struct Redb {
    database: Database,
}

impl Redb {
    pub(super) fn open(dir: &Path, setup: Setup) -> Result<Redb> {
        let mut builder = Builder::new();
        builder.set_cache_size(setup.cache_bytes);
        let database = builder.create(dir.join("rows.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(ROWS)?;
        transaction.commit()?;
        Ok(Redb { database })
    }
}

impl Engine for Redb {
    fn commit(&self, rows: &[Put]) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(ROWS)?;
            for Put { key, value, .. } in rows {
                table.insert(*key, value.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn read(&self, keys: &[u64]) -> Result<()> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(ROWS)?;
        for key in keys {
            let found = table.get(*key)?.ok_or_else(|| missing(*key))?;
            rows::check(*key, found.value())?;
        }
        Ok(())
    }

    fn scan(&self, from: u64, count: u64) -> Result<u64> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(ROWS)?;
        let mut seen = 0;
        for row in table.range(from..)?.take(count as usize) {
            let (key, value) = row?;
            rows::check(key.value(), value.value())?;
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
