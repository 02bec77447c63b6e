//! A database on a real file system: its life, refusals and a full disk.
//!
//! # Method
//!
//! Each test has a folder of its own among the temporary files. Threads, locks and the clock are those of the
//! system, so that nothing is asserted of what depends on them.
//!
//! # Invariant
//!
//! A refusal changes no byte of any file.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests are of a real machine, which no run is in"
)]

#[macro_use]
#[path = "../pass_on/mod.rs"]
mod pass_on;

#[path = "../folder/mod.rs"]
mod folder;
mod full_disk;
mod refusals;

use std::ops::Bound;
use std::path::Path;

use falcon::page::key::KeyValue;
use falcon::{Database, Direction, Error, Options, Result, Table, TableSpec};
use folder::Folder;

/// Settings that keep files short.
pub fn options() -> Options {
    Options { cache_frames: 320, gopher_threads: 2, ..Options::default() }
}

/// The table of all tests: a number and its text, with an index of the numbers.
pub fn table(database: &Database) -> Result<Table> {
    match database.table("rows") {
        Some(table) => Ok(table),
        None => database.create_table(&TableSpec::new("rows", 2).index("number", &[0], true)),
    }
}

/// Commits a row.
pub fn put(database: &Database, number: u64) -> Result<()> {
    let table = table(database)?;
    let mut txn = database.begin();
    txn.insert(&table, &row(number))?;
    txn.commit()
}

fn row(number: u64) -> [KeyValue<'static>; 2] {
    [KeyValue::U64(number), KeyValue::Text(format!("row {number} ").repeat(20).into())]
}

/// The numbers that are there. Each row must be whole, and the structure of the database good.
pub fn numbers(database: &Database) -> Result<Vec<u64>> {
    let index = table(database)?.index("number").expect("the table was made with it");
    let txn = database.begin();
    let mut numbers = Vec::new();
    for found in txn.range(&index, Bound::Unbounded, Bound::Unbounded, Direction::Forward)? {
        let (_, found) = found?;
        let KeyValue::U64(number) = found[0] else { panic!("a row of {found:?}") };
        assert_eq!(found, row(number));
        numbers.push(number);
    }
    txn.commit()?;
    assert_eq!(database.verify()?.problems, Vec::<String>::new());
    Ok(numbers)
}

/// A folder with a database of some rows, which was closed.
pub fn closed(test: &str) -> Folder {
    let folder = Folder::new(test);
    let database = Database::create(&folder.disk(), &options()).expect("there is none");
    (0..10).for_each(|number| put(&database, number).expect("the disk works"));
    database.close().expect("the disk works");
    folder
}

#[test]
fn what_was_committed_is_there_after_an_orderly_end() {
    let folder = closed("closed");
    let database = Database::open(&folder.disk(), &options()).expect("it was closed");
    let report = database.recovery_report();
    assert_eq!((report.redone, report.reapplied), (0, 0), "{report:?}");
    assert_eq!(numbers(&database).expect("the disk works"), Vec::from_iter(0..10));
    database.close().expect("the disk works");
}

#[test]
fn what_was_committed_is_there_after_a_sudden_end() {
    let folder = closed("dropped");
    let database = Database::open(&folder.disk(), &options()).expect("it was closed");
    (10..20).for_each(|number| put(&database, number).expect("the disk works"));
    let table = table(&database).expect("it was made");
    let mut txn = database.begin();
    txn.insert(&table, &row(99)).expect("nobody else has it");
    drop(txn);
    drop(database);
    let database = Database::open(&folder.disk(), &options()).expect("what is there is whole");
    assert_eq!(numbers(&database).expect("the disk works"), Vec::from_iter(0..20));
    database.close().expect("the disk works");
}

#[test]
fn statistics_tell_of_a_life() {
    let folder = closed("statistics");
    let database = Database::open(&folder.disk(), &options()).expect("it was closed");
    let before = database.statistics();
    put(&database, 50).expect("the disk works");
    put(&database, 50).map(|()| "a duplicate").expect_err("it is there already");
    database.checkpoint().expect("the disk works");
    let after = database.statistics();
    let grown =
        |name| after.get(name).expect("it is counted") - before.get(name).expect("likewise");
    assert_eq!(grown("transactions_begun"), 2);
    assert_eq!(grown("transactions_committed"), 1);
    assert_eq!(grown("transactions_rolled_back"), 1);
    assert!(grown("log_bytes") >= 4096, "{after}");
    assert!(grown("checkpoints") >= 1, "{after}");
    assert!(before.iter().zip(after.iter()).all(|(before, after)| before <= after), "{after}");
    database.close().expect("the disk works");
}

#[test]
fn a_database_that_is_open_is_not_opened_or_made_again() {
    let folder = closed("in-use");
    let database = Database::open(&folder.disk(), &options()).expect("it was closed");
    for refused in [
        Database::open(&folder.disk(), &options()).expect_err("it is open"),
        Database::create(&folder.disk(), &options()).expect_err("it is open"),
    ] {
        assert!(
            matches!(&refused, Error::InUse { file } if file == Path::new("lock")),
            "{refused}"
        );
    }
    put(&database, 10).expect("the refusals did nothing to it");
    database.close().expect("the disk works");
    let database = Database::open(&folder.disk(), &options()).expect("it was closed");
    assert_eq!(numbers(&database).expect("the disk works"), Vec::from_iter(0..11));
}
