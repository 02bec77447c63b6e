//! SQLite as an engine under test: settings, promises, and a connection for each client.
//!
//! # Method
//!
//! A transaction takes an idle connection, or opens one, and gives it back when it ends. With
//! `locking_mode=exclusive` there is one connection and clients take turns. Writers begin with
//! `BEGIN IMMEDIATE`, so that all waiting is SQLite's own: its busy handler sleeps in virtual time.
//! A reader takes its snapshot when it begins.
//!
//! # Invariant
//!
//! A connection that lies idle has no transaction open; one that could not be rolled back is closed.

use std::sync::{Arc, PoisonError};

use falconry_seam::disk::Disk;
use falconry_seam::sync::{Condvar, Mutex, MutexGuard};
use falconry_sim::fault::FaultSet;
use falconry_sqlite::{
    CLAIMS, Connection, Contract as Documented, Device, Environment, Error, ErrorKind, JournalMode,
    LockingMode, Settings as Pragmas, contract as documented, reset_randomness,
};

use super::{
    Access, Contract, Database, Engine, EngineError, Order, Pair, Promise, Settings, SettingsDraw,
    Transaction,
};
use crate::run::CaseError;

/// The file of the database.
const NAME: &str = "data.db";

/// How long a connection asks again when another one is in the way, in virtual time. Long enough for
/// the longest stall of a disk.
const BUSY_TIMEOUT_MS: u32 = 120_000;

/// A C engine's frames may jump over a small guard, so it gets more than the 10 KiB it was seen to use.
const STACK_BYTES: usize = 512 << 10;

/// Words of a setting, each with its weight; the boring one first.
type Words = &'static [(&'static str, u32)];

const JOURNAL_MODES: Words = &[("wal", 5), ("delete", 4), ("truncate", 2), ("persist", 2)];
const SYNCHRONOUS: Words = &[("full", 8), ("extra", 6), ("normal", 4), ("off", 1)];
const LOCKING_MODES: Words = &[("normal", 6), ("exclusive", 1)];
const PAGE_SIZES: Words =
    &[("4096", 4), ("512", 2), ("1024", 2), ("2048", 1), ("8192", 1), ("65536", 1)];
const AUTO_VACUUM: Words = &[("none", 4), ("full", 1), ("incremental", 1)];
/// SQLite's own adapters say `true`, which is more than the simulated device promises.
const POWERSAFE_OVERWRITE: Words = &[("false", 1), ("true", 0)];

/// The pragmas among the settings.
const PRAGMAS: [&str; 7] = [
    "journal_mode",
    "synchronous",
    "locking_mode",
    "page_size",
    "auto_vacuum",
    "cache_size",
    "wal_autocheckpoint",
];

/// SQLite, the real library.
pub struct Sqlite;

impl Engine for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError> {
        // A new process begins with a new generator.
        reset_randomness();
        let device = Device { powersafe_overwrite: settings.flag("powersafe_overwrite") };
        let environment = Environment::new(disk, device).map_err(failure)?;
        let database = SqliteDatabase {
            environment,
            pragmas: pragmas(settings)?,
            contract: settings.contract,
            pool: Mutex::new(Pool::default()),
            returned: Condvar::new(),
        };
        let connection = database.take()?;
        let table = if settings.flag("without_rowid") { " WITHOUT ROWID" } else { "" };
        let created = connection.execute(&format!(
            "CREATE TABLE IF NOT EXISTS pair (key BLOB PRIMARY KEY, value BLOB NOT NULL){table}"
        ));
        database.give_back(connection);
        created.map_err(failure)?;
        Ok(Box::new(database))
    }

    fn claims(&self) -> FaultSet {
        CLAIMS.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// The frames of a lost transaction stay behind the end of the log. When the next one begins with
    /// the same pages, as a retry does, and is cut off, its first frames complete the lost one: sums
    /// and salts fit, for the bytes are the same. A rollback journal leaves nothing like it.
    fn in_flight_may_return(&self, settings: &Settings) -> bool {
        settings.text("journal_mode") == "wal"
    }

    /// A commit is padded to the end of its sector, so that no later write shares a sector with it. A
    /// power loss may keep the commit's frame and lose the padding: then recovery takes the transaction,
    /// the next one begins within its last sector, and a torn write of that takes both.
    fn seen_may_be_lost(&self, settings: &Settings) -> bool {
        settings.text("journal_mode") == "wal" && !settings.flag("powersafe_overwrite")
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        let journal_mode = draw.word("journal_mode", JOURNAL_MODES)?;
        let synchronous = draw.word("synchronous", SYNCHRONOUS)?;
        draw.word("locking_mode", LOCKING_MODES)?;
        draw.word("page_size", PAGE_SIZES)?;
        draw.word("auto_vacuum", AUTO_VACUUM)?;
        // A page or two spill dirty pages before the commit, thousands never do.
        draw.number("cache_size", 1, 2000)?;
        draw.number("wal_autocheckpoint", 1, 1000)?;
        draw.flag("without_rowid", 300_000)?;
        draw.word("powersafe_overwrite", POWERSAFE_OVERWRITE)?;
        let mut pragmas = Pragmas::default();
        for (name, value) in [("journal_mode", &journal_mode), ("synchronous", &synchronous)] {
            pragmas.set(name, value).map_err(|bad| draw.refuse(name, value, &bad.to_string()))?;
        }
        Ok(match documented(&pragmas) {
            Documented::Durable => Contract::Durable,
            Documented::AllButLast => Contract::AllButLast,
            Documented::Prefix => Contract::Prefix,
            Documented::Weak => Contract::Weak,
        })
    }

    fn syncs(&self, settings: &Settings, commits: u64) -> u64 {
        commits
            * match (settings.text("journal_mode"), settings.text("synchronous")) {
                ("wal", _) | (_, "off") => 1,
                // The journal's content, its header, the database; a directory for its name.
                (_, "normal") | ("truncate" | "persist", _) => 3,
                _ => 4,
            }
    }

    /// SQLite's random generator is one for the process.
    fn needs_process(&self) -> bool {
        true
    }

    fn stack_bytes(&self) -> usize {
        STACK_BYTES
    }
}

/// An open database: connections, idle and in use.
struct SqliteDatabase {
    environment: Environment,
    pragmas: Pragmas,
    contract: Contract,
    pool: Mutex<Pool>,
    /// Notified when a connection is given back or closed.
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Connections that are open or being opened, idle or in use.
    count: usize,
}

impl SqliteDatabase {
    /// An idle connection, or a new one; waits for one where there may be no other.
    fn take(&self) -> Result<Connection, EngineError> {
        let mut pool = self.pool();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(connection);
            }
            if self.pragmas.locking_mode == LockingMode::Normal || pool.count == 0 {
                break;
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.count += 1;
        drop(pool);
        Connection::open_with(&self.environment, NAME, &self.pragmas).map_err(|error| {
            self.forget();
            failure(error)
        })
    }

    /// Takes a connection back; one that cannot be rolled back is closed.
    fn give_back(&self, connection: Connection) -> Option<Error> {
        let rolled_back = roll_back(&connection);
        if rolled_back.is_ok() {
            self.pool().idle.push(connection);
            self.returned.notify_one();
        } else {
            drop(connection);
            self.forget();
        }
        rolled_back.err()
    }

    /// A connection is closed: another one may be opened.
    fn forget(&self) {
        self.pool().count -= 1;
        self.returned.notify_one();
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // What a panic leaves behind is whole: connections are moved in and out at once.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a commit is worth.
    fn promise(&self) -> Promise {
        match self.contract {
            Contract::Durable | Contract::AllButLast => Promise::Durable,
            Contract::Prefix | Contract::Weak => Promise::Later,
        }
    }
}

impl Database for SqliteDatabase {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let connection = self.take()?;
        let begun = match access {
            Access::Write => run(&connection, "BEGIN IMMEDIATE"),
            // The first read takes the snapshot.
            Access::Read => run(&connection, "BEGIN")
                .and_then(|()| run(&connection, "SELECT 1 FROM pair LIMIT 1")),
        };
        if let Err(error) = begun {
            self.give_back(connection);
            return Err(failure(error));
        }
        Ok(Box::new(SqliteTransaction { database: self, access, connection: Some(connection) }))
    }

    fn check(&mut self) -> Result<(), EngineError> {
        let connection = self.take()?;
        let checked = connection.integrity_check();
        self.give_back(connection);
        match checked.map_err(failure)?.as_slice() {
            [] => Ok(()),
            complaints => Err(EngineError::Corrupt { what: complaints.join("; ") }),
        }
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        let connection = self.take()?;
        let mut promise = match self.contract {
            Contract::Durable => Promise::Durable,
            // The last removal of a journal is as uncertain as any.
            Contract::AllButLast | Contract::Prefix | Contract::Weak => Promise::Later,
        };
        if self.pragmas.journal_mode == JournalMode::Wal {
            // Closing makes this copy too, but does not say when it failed.
            let complete = connection.checkpoint().map_err(failure)?;
            if complete && self.contract == Contract::Prefix {
                promise = Promise::Durable;
            }
        }
        connection.close().map_err(failure)?;
        for idle in std::mem::take(&mut self.pool().idle) {
            idle.close().map_err(failure)?;
        }
        Ok(promise)
    }
}

/// A transaction on a connection of its own.
struct SqliteTransaction<'d> {
    database: &'d SqliteDatabase,
    access: Access,
    /// `None` once it has ended.
    connection: Option<Connection>,
}

impl SqliteTransaction<'_> {
    /// The connection, if the transaction is still open on it: SQLite rolls some errors back by
    /// itself, and what came after would be a transaction of its own.
    fn open(&self) -> Result<&Connection, EngineError> {
        let open = self.connection.as_ref().filter(|connection| connection.in_transaction());
        open.ok_or_else(|| EngineError::Stopped { what: "an error rolled it back".into() })
    }

    /// The same, if it may write.
    fn open_to_write(&self) -> Result<&Connection, EngineError> {
        match self.access {
            Access::Write => self.open(),
            Access::Read => Err(EngineError::Refused { what: "the transaction only reads".into() }),
        }
    }

    fn end(&mut self) -> Option<Error> {
        self.connection.take().and_then(|connection| self.database.give_back(connection))
    }
}

impl Transaction for SqliteTransaction<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let get = || {
            let mut get = self.open()?.prepare_cached("SELECT value FROM pair WHERE key = ?1")?;
            get.bind_blob(1, key)?;
            Ok(if get.step()? { Some(get.column_blob(0)) } else { None })
        };
        get().map_err(Failed::into)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let put = || {
            let sql = "INSERT OR REPLACE INTO pair (key, value) VALUES (?1, ?2)";
            let mut put = self.open_to_write()?.prepare_cached(sql)?;
            put.bind_blob(1, key)?;
            put.bind_blob(2, value)?;
            Ok(put.run()?)
        };
        put().map_err(Failed::into)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        let delete = || {
            let mut delete =
                self.open_to_write()?.prepare_cached("DELETE FROM pair WHERE key = ?1")?;
            delete.bind_blob(1, key)?;
            Ok(delete.run()?)
        };
        delete().map_err(Failed::into)
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let range = || {
            let sql = match to {
                Some(_) => "SELECT key, value FROM pair WHERE key >= ?1 AND key < ?2 ORDER BY key",
                None => "SELECT key, value FROM pair WHERE key >= ?1 ORDER BY key",
            };
            let mut range = self.open()?.prepare_cached(sql)?;
            range.bind_blob(1, from)?;
            if let Some(to) = to {
                range.bind_blob(2, to)?;
            }
            let mut pairs = Vec::new();
            while range.step()? {
                pairs.push((range.column_blob(0), range.column_blob(1)));
            }
            Ok(pairs)
        };
        range().map_err(Failed::into)
    }

    fn some(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, EngineError> {
        let some = || {
            let order = if order == Order::Ascending { "ASC" } else { "DESC" };
            let below = if to.is_some() { "AND key < ?2" } else { "" };
            let sql = format!(
                "SELECT key, value FROM pair WHERE key >= ?1 {below} ORDER BY key {order} \
                 LIMIT {limit}"
            );
            let mut some = self.open()?.prepare(&sql)?;
            some.bind_blob(1, from)?;
            if let Some(to) = to {
                some.bind_blob(2, to)?;
            }
            let mut pairs = Vec::new();
            while some.step()? {
                pairs.push((some.column_blob(0), some.column_blob(1)));
            }
            Ok(pairs)
        };
        some().map_err(Failed::into)
    }

    fn commit(mut self: Box<Self>) -> Result<Promise, EngineError> {
        let committed = run(self.open()?, "COMMIT");
        let rolled_back = self.end();
        match (committed, rolled_back) {
            (Ok(()), _) => Ok(self.database.promise()),
            // Busy means that nothing happened only when that nothing was undone as well.
            (Err(error), Some(worse)) if error.is_busy() => Err(failure(worse)),
            (Err(error), _) => Err(failure(error)),
        }
    }

    fn rollback(mut self: Box<Self>) -> Result<(), EngineError> {
        self.end().map_or(Ok(()), |error| Err(failure(error)))
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        // An error here closed the connection, which rolls back.
        self.end();
    }
}

/// An error of SQLite's, or of the adapter before it asked SQLite.
enum Failed {
    Sqlite(Error),
    Adapter(EngineError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Sqlite(error)
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Failed::Adapter(error)
    }
}

impl From<Failed> for EngineError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Sqlite(error) => failure(error),
            Failed::Adapter(error) => error,
        }
    }
}

/// What a client can do about an error of SQLite's.
fn failure(error: Error) -> EngineError {
    let what = error.message().to_owned();
    match error.kind() {
        ErrorKind::Busy => EngineError::Busy,
        ErrorKind::Full | ErrorKind::Io | ErrorKind::CannotOpen => {
            EngineError::Disk { what, errno: error.errno() }
        }
        ErrorKind::ReadOnly => EngineError::ReadOnly,
        ErrorKind::Corrupt => EngineError::Corrupt { what },
        _ => EngineError::Refused { what: error.to_string() },
    }
}

/// Runs a statement that is kept for the next time.
fn run(connection: &Connection, sql: &'static str) -> Result<(), Error> {
    connection.prepare_cached(sql)?.run()
}

/// Ends whatever transaction is open.
fn roll_back(connection: &Connection) -> Result<(), Error> {
    if connection.in_transaction() { run(connection, "ROLLBACK") } else { Ok(()) }
}

/// The pragmas of a run.
fn pragmas(settings: &Settings) -> Result<Pragmas, EngineError> {
    let mut pragmas = Pragmas { busy_timeout_ms: BUSY_TIMEOUT_MS, ..Pragmas::default() };
    for name in PRAGMAS {
        let set = pragmas.set(name, settings.text(name));
        set.map_err(|bad| EngineError::Refused { what: bad.to_string() })?;
    }
    Ok(pragmas)
}

#[cfg(test)]
mod tests;
