//! Disks for these tests: one in memory whose power can go, and one that fails at a chosen call.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod faulty;
pub mod memory;

use std::sync::Arc;

use falconry_seam::disk::Disk;
use falconry_sqlite::{Connection, Device, Environment, Error, JournalMode, Settings, Words};

/// The database of most tests.
pub const NAME: &str = "bank.db";

/// An environment on `disk`, on a device that promises nothing.
pub fn environment(disk: Arc<dyn Disk>) -> Environment {
    Environment::new(disk, Device::default()).expect("the environment is made")
}

/// SQLite's defaults with a journal mode.
pub fn in_mode(journal_mode: JournalMode) -> Settings {
    Settings { journal_mode, ..Settings::default() }
}

/// All journal modes.
pub fn journal_modes() -> impl Iterator<Item = JournalMode> {
    JournalMode::ALL.iter().map(|(_, mode)| *mode)
}

/// Opens the database and makes its table.
pub fn open(disk: Arc<dyn Disk>, settings: &Settings) -> Result<Connection, Error> {
    let connection = Connection::open_with(&environment(disk), NAME, settings)?;
    connection.execute("CREATE TABLE IF NOT EXISTS pair (key INTEGER PRIMARY KEY, value BLOB)")?;
    Ok(connection)
}

/// Commits one pair whose value fills a part of a page.
pub fn put(connection: &Connection, key: i64) -> Result<(), Error> {
    let mut put = connection.prepare_cached("INSERT OR REPLACE INTO pair VALUES (?1, ?2)")?;
    put.bind_i64(1, key)?;
    put.bind_blob(2, &value(key))?;
    put.run()
}

/// The value that belongs to a key.
pub fn value(key: i64) -> Vec<u8> {
    let mut bytes = key.to_le_bytes().to_vec();
    bytes.resize(200, key as u8);
    bytes
}

/// All keys in order; panics when a value is not its key's.
pub fn keys(connection: &Connection) -> Result<Vec<i64>, Error> {
    let mut all = connection.prepare_cached("SELECT key, value FROM pair ORDER BY key")?;
    let mut keys = Vec::new();
    while all.step()? {
        let key = all.column_i64(0);
        assert_eq!(all.column_blob(1), value(key), "the value of key {key}");
        keys.push(key);
    }
    Ok(keys)
}

/// Panics unless SQLite finds its structure sound.
pub fn assert_sound(connection: &Connection) {
    assert_eq!(connection.integrity_check().expect("the check runs"), Vec::<String>::new());
}
