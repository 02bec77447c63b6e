//! Creating and opening: names, locks, errors, and what a power loss in the middle leaves.

#[path = "../../canary/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;

use falconry_redb::{Backend, Failure, Settings, begin_write, open};
use falconry_seam::disk::{Disk, OpenOptions};
use redb::{Builder, Database, Durability, ReadableDatabase, TableDefinition};
use support::MemoryDisk;

const FILE: &str = "store.redb";
const TABLE: TableDefinition<u64, u64> = TableDefinition::new("table");

fn open_on(disk: &MemoryDisk) -> Result<Database, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    open(&disk, Path::new(FILE), &Settings::default())
}

fn commit(database: &Database, key: u64, durability: Durability) -> Result<(), Failure> {
    let transaction = begin_write(database, durability, &Settings::default())?;
    transaction.open_table(TABLE)?.insert(key, key * 7)?;
    transaction.commit()?;
    Ok(())
}

/// How many keys there are from 0 on without a gap; each has its value.
fn count(database: &Database) -> u64 {
    let transaction = database.begin_read().expect("the disk works");
    let table = match transaction.open_table(TABLE) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return 0,
        Err(error) => panic!("{error}"),
    };
    let keys: Vec<(u64, u64)> = table
        .range::<u64>(..)
        .expect("the disk works")
        .map(|entry| entry.map(|(key, value)| (key.value(), value.value())))
        .collect::<Result<_, _>>()
        .expect("the disk works");
    let whole = (0..keys.len() as u64).map(|key| (key, key * 7)).collect::<Vec<_>>();
    assert_eq!(keys, whole, "a prefix of what was written");
    whole.len() as u64
}

#[test]
fn a_commit_survives_closing_a_crash_and_a_power_loss() {
    let disk = MemoryDisk::default();
    let database = open_on(&disk).expect("the disk works");
    commit(&database, 0, Durability::Immediate).expect("the disk works");
    database.close().expect("the disk works");

    let database = open_on(&disk).expect("the disk works");
    commit(&database, 1, Durability::Immediate).expect("the disk works");
    disk.cut_power();
    disk.fail_after(0);
    drop(database);
    disk.cut_power();

    let mut database = open_on(&disk).expect("the disk works");
    assert_eq!(count(&database), 2);
    assert!(database.check_integrity().expect("the disk works"));
}

#[test]
fn commits_without_durability_follow_the_next_durable_one() {
    let disk = MemoryDisk::default();
    let database = open_on(&disk).expect("the disk works");
    for key in 0..6 {
        let durability = if key == 3 { Durability::Immediate } else { Durability::None };
        commit(&database, key, durability).expect("the disk works");
    }
    assert_eq!(count(&database), 6, "all of them can be read");
    disk.fail_after(0);
    drop(database);
    // They live in memory: a crash of the process loses them already.
    disk.crash_process();
    assert_eq!(count(&open_on(&disk).expect("the disk works")), 4);
}

#[test]
fn a_file_is_open_once() {
    let disk = MemoryDisk::default();
    let first = open_on(&disk).expect("the disk works");
    let second = open_on(&disk).expect_err("the file is locked");
    assert!(matches!(&second, Failure::Refused(what) if what.contains("already open")), "{second}");
    drop(first);
    open_on(&disk).expect("closing gave the lock back");
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let disk = MemoryDisk::default();
    open_on(&disk).expect("the disk works").close().expect("the disk works");
    disk.edit(FILE, |bytes| bytes[..8].fill(b'x'));
    let error = open_on(&disk).expect_err("that is no database");
    assert!(matches!(&error, Failure::Corrupt(what) if what.contains("magic number")), "{error}");
}

#[test]
fn an_error_of_the_disk_keeps_its_errno_and_stops_redb() {
    let disk = MemoryDisk::default();
    let database = open_on(&disk).expect("the disk works");
    disk.fail_after(0);
    let first = commit(&database, 0, Durability::Immediate).expect_err("the disk fails");
    assert!(matches!(&first, Failure::Disk(error) if error.raw_os_error() == Some(5)), "{first}");
    let second = commit(&database, 0, Durability::Immediate).expect_err("redb stopped");
    assert!(matches!(second, Failure::Stopped(_)), "{second}");
    disk.crash_process();
    let third = commit(&database, 0, Durability::Immediate).expect_err("redb stays stopped");
    assert!(matches!(third, Failure::Stopped(_)), "{third}");
    drop(database);
    commit(&open_on(&disk).expect("the disk works"), 0, Durability::Immediate)
        .expect("opened again it goes on");
}

/// Creates a database and makes three commits; says how many were acknowledged.
fn life(disk: &MemoryDisk) -> Result<u64, (u64, Failure)> {
    let database = open_on(disk).map_err(|error| (0, error))?;
    for key in 0..3 {
        commit(&database, key, Durability::Immediate).map_err(|error| (key, error))?;
    }
    database.close().map_err(|error| (3, error.into()))?;
    Ok(3)
}

#[test]
fn no_call_of_a_life_can_be_the_last_without_recovery() {
    let whole = MemoryDisk::default();
    assert_eq!(life(&whole).expect("the disk works"), 3);
    assert!(whole.calls() > 30, "{} calls", whole.calls());
    for cut_power in [true, false] {
        for calls in 0..whole.calls() {
            let disk = MemoryDisk::default();
            disk.fail_after(calls);
            // A failure after the last commit is one of closing, which a caller may not look at.
            let acknowledged = life(&disk).unwrap_or_else(|(acknowledged, _)| acknowledged);
            if cut_power {
                disk.cut_power()
            } else {
                disk.crash_process()
            }
            let mut database = open_on(&disk).unwrap_or_else(|error| {
                panic!("failed after {calls} calls, power cut: {cut_power}: {error}")
            });
            let found = count(&database);
            assert!(found == acknowledged || found == acknowledged + 1, "after {calls} calls");
            assert!(database.check_integrity().expect("the disk works"), "after {calls} calls");
        }
    }
}

/// Why a new database grows under another name: redb refuses for ever what a power loss leaves of one
/// that was created in place. When this fails, redb has changed and the detour can go.
#[test]
fn redb_refuses_a_file_whose_creation_was_cut_short() {
    let disk = MemoryDisk::default();
    let file = disk.open(Path::new(FILE), &OpenOptions::CREATE).expect("the disk works");
    // The length was written, the header was not: nothing of it was ever synced.
    file.set_len(1 << 20).expect("the disk works");
    let error = Builder::new().create_with_backend(Backend::new(file, FILE)).map_err(Failure::from);
    let error = error.expect_err("there is no magic number");
    assert!(matches!(error, Failure::Corrupt(_)), "{error}");
}

#[test]
fn an_unfinished_creation_is_begun_again() {
    let disk = MemoryDisk::default();
    let new = Path::new("store.redb.new");
    let file = disk.open(new, &OpenOptions::CREATE).expect("the disk works");
    file.set_len(1 << 20).expect("the disk works");
    drop(file);
    open_on(&disk).expect("the rest of an earlier creation is overwritten");
    assert!(!disk.exists(new).expect("the disk works"));
}
