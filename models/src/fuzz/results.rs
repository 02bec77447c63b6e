//! What is asked of the reader of results: whatever a file holds, it answers or says what is wrong.
//!
//! # Method
//!
//! With an odd first byte the rest is the file itself. With an even one it is what stands in the rows of
//! a sound file, one column after the other with a zero byte between them: no change of a byte of a
//! database file reaches what is read from the texts in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, params};

use crate::store::Store;

/// A folder of one input, removed when all is done with it.
struct Room(PathBuf);

impl Room {
    fn new() -> Result<Room, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("falconry-fuzz-{}-{number}", std::process::id());
        let room = Room(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&room.0).map_err(|error| room.told(&error))?;
        Ok(room)
    }

    fn file(&self) -> PathBuf {
        self.0.join("results.sqlite")
    }

    fn told(&self, error: &std::io::Error) -> String {
        format!("{}: {error}", self.0.display())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The reader of results.
pub(super) fn read(input: &[u8]) -> Result<(), String> {
    let Some((first, rest)) = input.split_first() else { return Ok(()) };
    let room = Room::new()?;
    if first % 2 == 1 {
        std::fs::write(room.file(), rest).map_err(|error| room.told(&error))?;
    } else {
        with_rows(&room.file(), rest)?;
    }
    ask(&room.file());
    Ok(())
}

/// The bytes of a sound file, whose one run has these columns.
pub(super) fn file_with(columns: &[u8]) -> Result<Vec<u8>, String> {
    let room = Room::new()?;
    with_rows(&room.file(), columns)?;
    std::fs::read(room.file()).map_err(|error| room.told(&error))
}

/// A sound file, whose one run has these columns.
fn with_rows(file: &Path, columns: &[u8]) -> Result<(), String> {
    Store::open(file).map_err(|error| error.to_string())?;
    let texts: Vec<String> =
        columns.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into()).collect();
    let text = |index: usize| texts.get(index).map_or("", String::as_str);
    let number = |index: usize| text(index).parse::<i64>().unwrap_or(index as i64);
    let write = || -> rusqlite::Result<()> {
        let connection = Connection::open(file)?;
        connection.execute_batch("PRAGMA synchronous = OFF")?;
        connection.execute(
            "INSERT INTO runs VALUES (1, ?, '', ?, 'plan', ?)",
            params![number(0), text(1), text(2)],
        )?;
        connection.execute(
            "INSERT INTO parts VALUES (1, 0, '', '', ?, ?)",
            params![number(3), text(4)],
        )?;
        connection.execute(
            "INSERT INTO sightings VALUES (1, 'signature', '', '7', ?, ?, ?)",
            params![number(5), text(6), text(7)],
        )?;
        connection.execute(
            "INSERT INTO signatures VALUES ('signature', '', ?1, ?2, ?2, ?1, ?3, ?4, 1)",
            params![text(8), number(9), number(10), number(11)],
        )?;
        Ok(())
    };
    write().map_err(|error| format!("a sound file cannot be written: {error}"))
}

/// Asks all that the program asks of its results. Whether it gets an answer or an error is all the same.
fn ask(file: &Path) {
    let Ok(Some(store)) = Store::open_existing(file) else { return };
    let _ = (store.signatures(), store.latest());
    let _ = (store.of_seed(7), store.of_signature("signature"), store.newest_of_plan("plan"));
}
