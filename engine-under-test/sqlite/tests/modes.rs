//! Each journal mode, locking mode and page size, by itself and across a restart.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]

mod support;

use std::sync::Arc;

use falconry_sqlite::{AutoVacuum, Connection, JournalMode, LockingMode, Settings};

use support::memory::MemoryDisk;
use support::{NAME, assert_sound, environment, in_mode, journal_modes, keys, open, put};

/// Commits `count` pairs, closes, opens again, and expects them.
fn write_and_read_again(disk: &MemoryDisk, settings: &Settings, count: i64) {
    let disk = Arc::new(disk.clone());
    let connection = open(disk.clone(), settings).unwrap();
    for key in 0..count {
        put(&connection, key).unwrap();
    }
    connection.close().unwrap();

    let connection = open(disk, settings).unwrap();
    assert_eq!(keys(&connection).unwrap(), (0..count).collect::<Vec<_>>());
    assert_sound(&connection);
}

#[test]
fn each_journal_mode_keeps_what_was_committed() {
    for mode in journal_modes() {
        for locking_mode in [LockingMode::Normal, LockingMode::Exclusive] {
            let settings = Settings { locking_mode, ..in_mode(mode) };
            write_and_read_again(&MemoryDisk::new(), &settings, 50);
        }
    }
}

#[test]
fn each_page_and_sector_size_works() {
    for mode in journal_modes() {
        for page_size in [512, 1024, 4096, 65_536] {
            for sector_size in [512, 4096] {
                let settings = Settings { page_size, ..in_mode(mode) };
                let disk = MemoryDisk::with_sectors(sector_size);
                write_and_read_again(&disk, &settings, 20);
                let connection = open(Arc::new(disk), &settings).unwrap();
                let told = connection.first_text("PRAGMA page_size").unwrap();
                assert_eq!(told, Some(page_size.to_string()));
            }
        }
    }
}

#[test]
fn the_files_of_each_mode_are_there_and_gone_when_sqlite_says_so() {
    let rows = [
        (JournalMode::Delete, vec![NAME], vec![NAME]),
        (JournalMode::Truncate, vec![NAME, "bank.db-journal"], vec![NAME, "bank.db-journal"]),
        (JournalMode::Persist, vec![NAME, "bank.db-journal"], vec![NAME, "bank.db-journal"]),
        (JournalMode::Wal, vec![NAME, "bank.db-wal"], vec![NAME]),
    ];
    for (mode, while_open, when_closed) in rows {
        let disk = MemoryDisk::new();
        let connection = open(Arc::new(disk.clone()), &in_mode(mode)).unwrap();
        put(&connection, 1).unwrap();
        assert_eq!(disk.names(), while_open, "{mode:?} while open");
        connection.close().unwrap();
        assert_eq!(disk.names(), when_closed, "{mode:?} when closed");
    }
}

#[test]
fn a_small_cache_spills_and_a_large_transaction_rolls_back() {
    for mode in journal_modes() {
        let settings = Settings { cache_size: 1, page_size: 512, ..in_mode(mode) };
        let connection = open(Arc::new(MemoryDisk::new()), &settings).unwrap();
        put(&connection, -1).unwrap();
        connection.execute("BEGIN").unwrap();
        for key in 0..300 {
            put(&connection, key).unwrap();
        }
        assert!(connection.in_transaction());
        connection.execute("ROLLBACK").unwrap();
        assert_eq!(keys(&connection).unwrap(), [-1], "{mode:?}");
        assert_sound(&connection);
    }
}

#[test]
fn vacuum_sorting_and_savepoints_use_temporary_files_in_memory_only() {
    let disk = MemoryDisk::new();
    let settings = Settings { auto_vacuum: AutoVacuum::Incremental, ..Settings::default() };
    let connection = open(Arc::new(disk.clone()), &settings).unwrap();
    // With files for what is temporary SQLite asks for files without a name.
    connection.execute("PRAGMA temp_store = file; PRAGMA cache_size = 1").unwrap();
    connection.execute("BEGIN; SAVEPOINT a").unwrap();
    for key in 0..2000 {
        put(&connection, key).unwrap();
    }
    connection.execute("ROLLBACK TO a").unwrap();
    for key in 0..1000 {
        put(&connection, key).unwrap();
    }
    connection.execute("COMMIT; CREATE INDEX by_value ON pair (value)").unwrap();
    connection.execute("CREATE TEMP TABLE copy AS SELECT * FROM pair ORDER BY value DESC").unwrap();
    connection.execute("DELETE FROM pair WHERE key % 2; PRAGMA incremental_vacuum").unwrap();
    let copied = connection.first_text("SELECT count(*) FROM temp.copy").unwrap();
    assert_eq!(copied.as_deref(), Some("1000"));
    connection.execute("VACUUM").unwrap();
    assert_eq!(keys(&connection).unwrap().len(), 500);
    assert_sound(&connection);
    assert_eq!(disk.names(), [NAME]);
}

#[test]
fn a_checkpoint_empties_the_log() {
    let disk = MemoryDisk::new();
    let settings = Settings { wal_autocheckpoint: 0, ..in_mode(JournalMode::Wal) };
    let connection = open(Arc::new(disk.clone()), &settings).unwrap();
    for key in 0..100 {
        put(&connection, key).unwrap();
    }
    assert!(connection.checkpoint().unwrap());
    let crashed = disk.power_loss();
    let connection = open(Arc::new(crashed), &settings).unwrap();
    assert_eq!(keys(&connection).unwrap().len(), 100);
}

#[test]
fn several_environments_and_the_default_vfs_do_not_meet() {
    let (first, second) = (Arc::new(MemoryDisk::new()), Arc::new(MemoryDisk::new()));
    let a = open(first, &Settings::default()).unwrap();
    let b = open(second, &Settings::default()).unwrap();
    put(&a, 1).unwrap();
    put(&b, 2).unwrap();
    assert_eq!((keys(&a).unwrap(), keys(&b).unwrap()), (vec![1], vec![2]));
}

#[test]
fn a_name_outside_the_disk_is_refused() {
    let environment = environment(Arc::new(MemoryDisk::new()));
    for name in ["../x.db", "a/../../x.db", "a\0b"] {
        let error = Connection::open(&environment, name).err().expect("it is refused");
        assert_eq!(error.kind(), falconry_sqlite::ErrorKind::CannotOpen, "{name:?}: {error}");
    }
}
