//! A connection to a database, and the little of SQLite's interface that clients need.
//!
//! # Method
//!
//! Every call enters C inside `foreign`, so that a simulated machine whose power has gone throws no
//! panic through C frames. Connections are opened without SQLite's own mutex: a connection is used by
//! one thread at a time, which the type holds by being `Send` and not `Sync`.

use std::cell::RefCell;
use std::ffi::{CString, c_int};
use std::ptr;

use falconry_seam::foreign;
use libsqlite3_sys as ffi;

use crate::environment::Environment;
use crate::error::Error;
use crate::settings::Settings;
use crate::statement::{Raw, Statement};

/// Prepared statements that a connection keeps for [`Connection::prepare_cached`].
const CACHED_MAX: usize = 32;

/// A connection to one database.
pub struct Connection {
    db: *mut ffi::sqlite3,
    cache: RefCell<Vec<Raw>>,
    /// Outlives the connection: its callbacks use what is in it.
    environment: Environment,
}

// SAFETY: the connection was opened for one thread at a time, whichever it is; the raw pointers are
// used through it alone.
unsafe impl Send for Connection {}

impl Connection {
    /// Opens the database `name`, creating it if it is absent, with SQLite's default settings.
    ///
    /// # Errors
    ///
    /// What SQLite or the disk says; nothing stays open then.
    pub fn open(environment: &Environment, name: &str) -> Result<Connection, Error> {
        let misnamed = |_| Error::new(ffi::SQLITE_CANTOPEN, format!("'{name}' has a NUL in it"));
        let name = CString::new(name).map_err(misnamed)?;
        let flags = ffi::SQLITE_OPEN_READWRITE
            | ffi::SQLITE_OPEN_CREATE
            | ffi::SQLITE_OPEN_NOMUTEX
            | ffi::SQLITE_OPEN_EXRESCODE;
        let mut db = ptr::null_mut();
        // SAFETY: both names end with NUL and live across the call; `db` takes the handle.
        let code = foreign(|| unsafe {
            ffi::sqlite3_open_v2(name.as_ptr(), &mut db, flags, environment.vfs_name().as_ptr())
        });
        if db.is_null() {
            return Err(Error::of_code(code));
        }
        let environment = environment.clone();
        // From here on an error closes what SQLite opened, even after it failed.
        let connection = Connection { db, cache: RefCell::default(), environment };
        if code == ffi::SQLITE_OK { Ok(connection) } else { Err(connection.error()) }
    }

    /// Opens the database `name` and makes `settings` hold on it.
    ///
    /// # Errors
    ///
    /// As [`Connection::open`]; also when SQLite does not take a setting (for instance the journal
    /// mode, while another connection is using another one).
    pub fn open_with(
        environment: &Environment,
        name: &str,
        settings: &Settings,
    ) -> Result<Connection, Error> {
        let connection = Connection::open(environment, name)?;
        connection.busy_timeout_ms(settings.busy_timeout_ms);
        for pragma in settings.pragmas() {
            let told = connection.first_text(&pragma.sql())?;
            if let Some(expected) = pragma.answer
                && told.as_deref() != Some(expected)
            {
                let told = told.unwrap_or_default();
                let what = format!("{} was refused, it stays {told:?}", pragma.sql());
                return Err(Error::new(ffi::SQLITE_BUSY, what));
            }
        }
        Ok(connection)
    }

    /// Runs statements, separated by semicolons, and drops their rows.
    ///
    /// # Errors
    ///
    /// That of the first statement that fails; those before it have run.
    pub fn execute(&self, sql: &str) -> Result<(), Error> {
        let sql = text(sql)?;
        // SAFETY: the text ends with NUL, and no callback is given.
        let code = foreign(|| unsafe {
            ffi::sqlite3_exec(self.db, sql.as_ptr(), None, ptr::null_mut(), ptr::null_mut())
        });
        self.check(code)
    }

    /// Prepares one statement.
    ///
    /// # Errors
    ///
    /// When it cannot be parsed, or the schema cannot be read.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>, Error> {
        Ok(Statement::new(self, self.compile(sql)?, None))
    }

    /// Prepares one statement, or takes one that was prepared before and is not in use. When it is
    /// dropped it is kept for the next call.
    ///
    /// # Errors
    ///
    /// As [`Connection::prepare`].
    pub fn prepare_cached(&self, sql: &'static str) -> Result<Statement<'_>, Error> {
        let mut cache = self.cache.borrow_mut();
        let kept = cache.iter().position(|raw| raw.sql == Some(sql));
        let raw = kept.map(|index| cache.swap_remove(index));
        drop(cache);
        let raw = match raw {
            Some(raw) => raw,
            None => self.compile(sql)?,
        };
        Ok(Statement::new(self, raw, Some(sql)))
    }

    /// The first column of the first row of a statement, as text. The statement is run to its end:
    /// what it writes is committed only there, after its rows. `PRAGMA journal_mode=wal` answers `wal`
    /// and fails then.
    ///
    /// # Errors
    ///
    /// As those of [`Connection::prepare`] and [`Statement::step`].
    pub fn first_text(&self, sql: &str) -> Result<Option<String>, Error> {
        let mut statement = self.prepare(sql)?;
        let mut first = None;
        while statement.step()? {
            first.get_or_insert_with(|| statement.column_text(0));
        }
        Ok(first)
    }

    /// Sleeps and asks again for up to `ms` milliseconds when another connection is in the way; 0
    /// gives up at once.
    pub fn busy_timeout_ms(&self, ms: u32) {
        let ms = c_int::try_from(ms).unwrap_or(c_int::MAX);
        // SAFETY: the connection is open.
        foreign(|| unsafe { ffi::sqlite3_busy_timeout(self.db, ms) });
    }

    /// Whether a transaction is open that `BEGIN` began. An error may have rolled it back.
    pub fn in_transaction(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_get_autocommit(self.db) == 0 }
    }

    /// Rows that the last statement changed.
    pub fn changes(&self) -> u64 {
        // SAFETY: the connection is open.
        let changes = unsafe { ffi::sqlite3_changes64(self.db) };
        u64::try_from(changes).unwrap_or(0)
    }

    /// What SQLite's own check of the structure complains of; nothing when it is sound.
    ///
    /// # Errors
    ///
    /// When the check could not run, or complains while the disk fails: SQLite writes a page that
    /// could not be read among its complaints, as it does one that is damaged.
    pub fn integrity_check(&self) -> Result<Vec<String>, Error> {
        let mut statement = self.prepare("PRAGMA integrity_check")?;
        let failures_before = self.environment.disk_failures();
        let mut complaints = Vec::new();
        while statement.step()? {
            complaints.push(statement.column_text(0));
        }
        if complaints == ["ok"] {
            complaints.clear();
        }
        if !complaints.is_empty() && self.environment.disk_failures() > failures_before {
            let what = format!("the disk failed during the check: {}", complaints.join("; "));
            return Err(Error::new(ffi::SQLITE_IOERR, what));
        }
        Ok(complaints)
    }

    /// Copies the log into the database and begins it anew. `true` when all of it was done, `false`
    /// when other connections were in the way of some.
    ///
    /// # Errors
    ///
    /// When the disk failed.
    pub fn checkpoint(&self) -> Result<bool, Error> {
        let mut statement = self.prepare("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(statement.step()? && statement.column_i64(0) == 0)
    }

    /// Closes the connection: rolls back what is open and gives its locks back. In write-ahead
    /// logging the last connection copies the log into the database.
    ///
    /// # Errors
    ///
    /// SQLite reports none for what the disk does to that copy; it is made again at the next open.
    pub fn close(mut self) -> Result<(), Error> {
        let code = self.finish();
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(Error::of_code(code)) }
    }

    /// `Ok`, or the error that SQLite keeps for the call that returned `code`.
    pub(crate) fn check(&self, code: c_int) -> Result<(), Error> {
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(self.error()) }
    }

    /// The error of the last call.
    pub(crate) fn error(&self) -> Error {
        // SAFETY: the connection is open and this thread has it.
        unsafe { Error::of_connection(self.db, self.environment.last_errno()) }
    }

    /// Keeps a statement for the next [`Connection::prepare_cached`], unless there are many.
    pub(crate) fn keep(&self, raw: Raw) {
        let mut cache = self.cache.borrow_mut();
        if cache.len() < CACHED_MAX {
            cache.push(raw);
        }
    }

    fn compile(&self, sql: &str) -> Result<Raw, Error> {
        let text = text(sql)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the text ends with NUL and lives across the call; `handle` takes the statement.
        let code = foreign(|| unsafe {
            ffi::sqlite3_prepare_v2(self.db, text.as_ptr(), -1, &mut handle, ptr::null_mut())
        });
        self.check(code)?;
        if handle.is_null() {
            return Err(Error::new(ffi::SQLITE_MISUSE, format!("'{sql}' is no statement")));
        }
        Ok(Raw::new(handle))
    }

    fn finish(&mut self) -> c_int {
        self.cache.get_mut().clear();
        let db = std::mem::replace(&mut self.db, ptr::null_mut());
        // SAFETY: the connection was open (or null, which SQLite ignores), its statements are
        // finalised, and nobody sees the handle again.
        foreign(|| unsafe { ffi::sqlite3_close(db) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // An error here is that of a misuse which the types exclude.
        self.finish();
    }
}

fn text(sql: &str) -> Result<CString, Error> {
    CString::new(sql).map_err(|_| Error::new(ffi::SQLITE_MISUSE, "there is a NUL in the statement"))
}
