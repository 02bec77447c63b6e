//! A prepared statement.

use std::ffi::c_int;
use std::slice;

use falconry_seam::foreign;
use libsqlite3_sys as ffi;

use crate::connection::Connection;
use crate::error::Error;

/// A statement's handle, finalised when it is dropped.
pub(crate) struct Raw {
    handle: *mut ffi::sqlite3_stmt,
    /// The text it was prepared from, when it may be kept for the next one who asks.
    pub(crate) sql: Option<&'static str>,
}

impl Raw {
    /// Takes charge of a handle.
    pub(crate) fn new(handle: *mut ffi::sqlite3_stmt) -> Raw {
        Raw { handle, sql: None }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the handle is finalised once, before its connection is closed. The code repeats
        // the error of the last step, which was reported there.
        foreign(|| unsafe { ffi::sqlite3_finalize(self.handle) });
    }
}

/// A prepared statement of a connection. Parameters count from 1 and columns from 0, as in SQLite.
pub struct Statement<'c> {
    connection: &'c Connection,
    /// `None` only while it is dropped.
    raw: Option<Raw>,
}

impl<'c> Statement<'c> {
    /// A statement, which goes back to its connection's cache when `sql` is given.
    pub(crate) fn new(connection: &'c Connection, mut raw: Raw, sql: Option<&'static str>) -> Self {
        raw.sql = sql;
        Statement { connection, raw: Some(raw) }
    }

    /// Binds an integer.
    ///
    /// # Errors
    ///
    /// When there is no such parameter, or the statement is running.
    pub fn bind_i64(&mut self, parameter: u32, value: i64) -> Result<(), Error> {
        // SAFETY: the statement is alive; SQLite checks the number.
        let code = unsafe { ffi::sqlite3_bind_int64(self.handle(), number(parameter), value) };
        self.connection.check(code)
    }

    /// Binds bytes, which are copied.
    ///
    /// # Errors
    ///
    /// As [`Statement::bind_i64`].
    pub fn bind_blob(&mut self, parameter: u32, value: &[u8]) -> Result<(), Error> {
        // SAFETY: the bytes live across the call, and SQLite copies them within it.
        let code = unsafe {
            ffi::sqlite3_bind_blob64(
                self.handle(),
                number(parameter),
                value.as_ptr().cast(),
                value.len() as u64,
                ffi::SQLITE_TRANSIENT(),
            )
        };
        self.connection.check(code)
    }

    /// Binds text, which is copied.
    ///
    /// # Errors
    ///
    /// As [`Statement::bind_i64`].
    pub fn bind_text(&mut self, parameter: u32, value: &str) -> Result<(), Error> {
        // SAFETY: the text lives across the call, and SQLite copies it within it.
        let code = unsafe {
            ffi::sqlite3_bind_text64(
                self.handle(),
                number(parameter),
                value.as_ptr().cast(),
                value.len() as u64,
                ffi::SQLITE_TRANSIENT(),
                ffi::SQLITE_UTF8 as u8,
            )
        };
        self.connection.check(code)
    }

    /// Runs to the next row: `true` when there is one, `false` when the statement is done.
    ///
    /// # Errors
    ///
    /// What SQLite or the disk says. The statement begins anew at the next step.
    pub fn step(&mut self) -> Result<bool, Error> {
        let handle = self.handle();
        // SAFETY: the statement is alive, and its connection is used by this thread alone.
        match foreign(|| unsafe { ffi::sqlite3_step(handle) }) {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            _ => {
                let error = self.connection.error();
                self.reset();
                Err(error)
            }
        }
    }

    /// Runs to the end and drops the rows.
    ///
    /// # Errors
    ///
    /// As [`Statement::step`].
    pub fn run(&mut self) -> Result<(), Error> {
        while self.step()? {}
        self.reset();
        Ok(())
    }

    /// Begins anew; parameters stay bound.
    pub fn reset(&mut self) {
        let handle = self.handle();
        // SAFETY: the statement is alive. The code repeats the error of the last step.
        foreign(|| unsafe { ffi::sqlite3_reset(handle) });
    }

    /// Columns of a row.
    pub fn column_count(&self) -> u32 {
        // SAFETY: the statement is alive.
        let count = unsafe { ffi::sqlite3_column_count(self.handle()) };
        u32::try_from(count).unwrap_or(0)
    }

    /// A column of the current row as an integer; 0 when there is no such column or row.
    pub fn column_i64(&self, column: u32) -> i64 {
        // SAFETY: the statement is alive; SQLite answers 0 where there is nothing.
        unsafe { ffi::sqlite3_column_int64(self.handle(), number(column)) }
    }

    /// A column of the current row as bytes; none when there is no such column or row.
    pub fn column_blob(&self, column: u32) -> Vec<u8> {
        // SAFETY: the statement is alive; the bytes are copied before the next call on it.
        unsafe {
            let start = ffi::sqlite3_column_blob(self.handle(), number(column));
            let count = ffi::sqlite3_column_bytes(self.handle(), number(column));
            if start.is_null() || count <= 0 {
                return Vec::new();
            }
            slice::from_raw_parts(start.cast::<u8>(), count as usize).to_vec()
        }
    }

    /// A column of the current row as text; empty when there is no such column or row.
    pub fn column_text(&self, column: u32) -> String {
        // SAFETY: the statement is alive. Asking for text first makes SQLite convert the value, and
        // the bytes below are then those of the text.
        unsafe { ffi::sqlite3_column_text(self.handle(), number(column)) };
        String::from_utf8_lossy(&self.column_blob(column)).into_owned()
    }

    /// Whether a column of the current row is NULL, or not there.
    pub fn column_is_null(&self, column: u32) -> bool {
        // SAFETY: the statement is alive.
        let kind = unsafe { ffi::sqlite3_column_type(self.handle(), number(column)) };
        kind == ffi::SQLITE_NULL
    }

    fn handle(&self) -> *mut ffi::sqlite3_stmt {
        self.raw.as_ref().map_or(std::ptr::null_mut(), |raw| raw.handle)
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        let Some(raw) = self.raw.take() else { return };
        if raw.sql.is_none() {
            return;
        }
        // SAFETY: the statement is alive. A kept one holds no lock and none of the caller's values.
        foreign(|| unsafe {
            ffi::sqlite3_reset(raw.handle);
            ffi::sqlite3_clear_bindings(raw.handle);
        });
        self.connection.keep(raw);
    }
}

/// A parameter's or column's number as SQLite takes it; one that does not fit is none.
fn number(index: u32) -> c_int {
    c_int::try_from(index).unwrap_or(c_int::MAX)
}
