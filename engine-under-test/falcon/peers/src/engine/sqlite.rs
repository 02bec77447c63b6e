//! SQLite in WAL mode: a table whose key is its row number, one connection to write and one to read.
//!
//! # Method
//!
//! Threads that commit share a connection under a lock. With one each they would meet SQLite's busy handler,
//! which sleeps: that is slower, and some threads would wait for ever.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::{Engine, Put, Setup, missing};
use crate::{Result, rows};

const FILE: &str = "rows.sqlite";
const INSERT: &str = "INSERT INTO rows (key, value) VALUES (?1, ?2)";
const UPDATE: &str = "UPDATE rows SET value = ?2 WHERE key = ?1";

pub(super) struct Sqlite {
    dir: PathBuf,
    writes: Mutex<Connection>,
    reads: Mutex<Connection>,
}

impl Sqlite {
    pub(super) fn open(dir: &Path, setup: Setup) -> Result<Sqlite> {
        let writes = connect(dir, setup)?;
        writes.execute_batch(
            "CREATE TABLE IF NOT EXISTS rows (key INTEGER PRIMARY KEY, value BLOB NOT NULL)",
        )?;
        let reads = connect(dir, setup)?;
        Ok(Sqlite { dir: dir.into(), writes: Mutex::new(writes), reads: Mutex::new(reads) })
    }
}

fn connect(dir: &Path, setup: Setup) -> Result<Connection> {
    let connection = Connection::open(dir.join(FILE))?;
    let kib = setup.cache_bytes / 1_024;
    let checkpoint_pages = if setup.keeps_log { 0 } else { 1_000 };
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -{kib};
         PRAGMA wal_autocheckpoint = {checkpoint_pages};"
    ))?;
    Ok(connection)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put(connection: &Connection, row: &Put) -> Result<()> {
    let mut statement = connection.prepare_cached(if row.is_new { INSERT } else { UPDATE })?;
    let count = statement.execute((row.key.cast_signed(), &row.value))?;
    if count == 1 { Ok(()) } else { Err(missing(row.key)) }
}

impl Engine for Sqlite {
    fn commit(&self, rows: &[Put]) -> Result<()> {
        let mut connection = lock(&self.writes);
        if let [row] = rows {
            // A statement alone is a transaction, and the quickest one.
            return put(&connection, row);
        }
        let transaction = connection.transaction()?;
        rows.iter().try_for_each(|row| put(&transaction, row))?;
        Ok(transaction.commit()?)
    }

    fn read(&self, keys: &[u64]) -> Result<()> {
        let mut connection = lock(&self.reads);
        if let [key] = keys {
            return get(&connection, *key);
        }
        let transaction = connection.transaction()?;
        keys.iter().try_for_each(|key| get(&transaction, *key))?;
        Ok(transaction.commit()?)
    }

    fn scan(&self, from: u64, count: u64) -> Result<u64> {
        let connection = lock(&self.reads);
        let mut statement = connection
            .prepare_cached("SELECT key, value FROM rows WHERE key >= ?1 ORDER BY key LIMIT ?2")?;
        let mut found = statement.query((from.cast_signed(), count.cast_signed()))?;
        let mut seen = 0;
        while let Some(row) = found.next()? {
            let key: i64 = row.get(0)?;
            rows::check(key.cast_unsigned(), row.get_ref(1)?.as_blob()?)?;
            seen += 1;
        }
        Ok(seen)
    }

    fn log_bytes(&self) -> Result<Option<u64>> {
        Ok(Some(std::fs::metadata(self.dir.join(format!("{FILE}-wal")))?.len()))
    }

    fn close(self: Box<Self>) -> Result<()> {
        let closed = |connection: Mutex<Connection>| {
            let connection = connection.into_inner().unwrap_or_else(PoisonError::into_inner);
            connection.close().map_err(|(_, error)| error)
        };
        closed(self.reads)?;
        Ok(closed(self.writes)?)
    }
}

fn get(connection: &Connection, key: u64) -> Result<()> {
    let mut statement = connection.prepare_cached("SELECT value FROM rows WHERE key = ?1")?;
    let mut found = statement.query([key.cast_signed()])?;
    let row = found.next()?.ok_or_else(|| missing(key))?;
    rows::check(key, row.get_ref(0)?.as_blob()?)
}
