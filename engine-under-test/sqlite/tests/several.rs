//! Several connections to one database, on threads of the operating system.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]

mod support;

use std::sync::Arc;

use falconry_seam::thread;
use falconry_sqlite::{Connection, Environment, JournalMode, LockingMode, Settings};

use support::memory::MemoryDisk;
use support::{NAME, assert_sound, environment, in_mode, journal_modes, keys, put};

const CLIENTS: i64 = 4;
const COMMITS: i64 = 25;

fn connect(environment: &Environment, settings: &Settings) -> Connection {
    Connection::open_with(environment, NAME, settings).unwrap()
}

/// One increment of the counter in a transaction of its own; `false` when another connection was in
/// the way for longer than the busy timeout.
fn increment(connection: &Connection) -> bool {
    let run = || {
        connection.execute("BEGIN IMMEDIATE")?;
        connection.execute("UPDATE counter SET value = value + 1")?;
        connection.execute("COMMIT")
    };
    match run() {
        Ok(()) => true,
        Err(error) if error.is_busy() => {
            if connection.in_transaction() {
                connection.execute("ROLLBACK").unwrap();
            }
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn counters_of_several_writers_lose_nothing() {
    for mode in journal_modes() {
        let environment = environment(Arc::new(MemoryDisk::new()));
        let settings = Settings { busy_timeout_ms: 60_000, ..in_mode(mode) };
        let main = connect(&environment, &settings);
        main.execute("CREATE TABLE counter (value); INSERT INTO counter VALUES (0)").unwrap();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let connection = connect(&environment, &settings);
                scope.spawn(move || {
                    for _ in 0..COMMITS {
                        while !increment(&connection) {}
                    }
                });
            }
        });
        let value = main.first_text("SELECT value FROM counter").unwrap();
        assert_eq!(value, Some((CLIENTS * COMMITS).to_string()), "{mode:?}");
        assert_sound(&main);
    }
}

#[test]
fn readers_of_the_log_see_a_sum_that_never_changes() {
    let environment = environment(Arc::new(MemoryDisk::new()));
    let settings = Settings { wal_autocheckpoint: 5, ..in_mode(JournalMode::Wal) };
    let main = connect(&environment, &settings);
    main.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, sum)").unwrap();
    main.execute("INSERT INTO account VALUES (0, 500), (1, 500)").unwrap();
    thread::scope(|scope| {
        for reader in 0..3 {
            let connection = connect(&environment, &settings);
            scope.spawn(move || {
                for _ in 0..200 {
                    let sum = connection.first_text("SELECT sum(sum) FROM account").unwrap();
                    assert_eq!(sum.as_deref(), Some("1000"), "reader {reader}");
                }
            });
        }
        let connection = connect(&environment, &settings);
        scope.spawn(move || {
            for amount in 0..100 {
                let transfer = format!(
                    "BEGIN IMMEDIATE; UPDATE account SET sum = sum - {amount} WHERE id = 0;
                     UPDATE account SET sum = sum + {amount} WHERE id = 1; COMMIT"
                );
                connection.execute(&transfer).unwrap();
            }
        });
    });
    assert_sound(&main);
}

#[test]
fn a_writer_in_the_way_is_busy_at_once_without_a_timeout() {
    for mode in journal_modes() {
        let environment = environment(Arc::new(MemoryDisk::new()));
        let settings = Settings { busy_timeout_ms: 0, ..in_mode(mode) };
        let (a, b) = (connect(&environment, &settings), connect(&environment, &settings));
        a.execute("CREATE TABLE pair (key INTEGER PRIMARY KEY, value BLOB)").unwrap();
        a.execute("BEGIN IMMEDIATE").unwrap();
        put(&a, 1).unwrap();
        let error = b.execute("BEGIN IMMEDIATE").unwrap_err();
        assert!(error.is_busy(), "{mode:?}: {error}");
        assert_eq!(keys(&b).unwrap(), [], "{mode:?}: a reader beside the writer");
        a.execute("COMMIT").unwrap();
        assert_eq!(keys(&b).unwrap(), [1], "{mode:?}");
        put(&b, 2).unwrap();
        assert_eq!(keys(&a).unwrap(), [1, 2], "{mode:?}");
    }
}

#[test]
fn a_reader_delays_a_commit_to_the_database_and_not_one_to_the_log() {
    for mode in journal_modes() {
        let environment = environment(Arc::new(MemoryDisk::new()));
        let settings = Settings { busy_timeout_ms: 0, ..in_mode(mode) };
        let (writer, reader) = (connect(&environment, &settings), connect(&environment, &settings));
        writer.execute("CREATE TABLE pair (key INTEGER PRIMARY KEY, value BLOB)").unwrap();
        reader.execute("BEGIN").unwrap();
        assert_eq!(keys(&reader).unwrap(), []);
        let committed = put(&writer, 1);
        if mode == JournalMode::Wal {
            committed.unwrap();
            assert_eq!(keys(&reader).unwrap(), [], "the snapshot stays");
        } else {
            assert!(committed.unwrap_err().is_busy(), "{mode:?}");
        }
        reader.execute("COMMIT").unwrap();
        put(&writer, 2).unwrap();
        assert!(keys(&reader).unwrap().contains(&2), "{mode:?}");
    }
}

#[test]
fn an_exclusive_connection_keeps_all_others_out() {
    for mode in journal_modes() {
        let environment = environment(Arc::new(MemoryDisk::new()));
        let settings = Settings { busy_timeout_ms: 0, ..in_mode(mode) };
        let exclusive = Settings { locking_mode: LockingMode::Exclusive, ..settings.clone() };
        let alone = connect(&environment, &exclusive);
        alone.execute("CREATE TABLE pair (key INTEGER PRIMARY KEY, value BLOB)").unwrap();
        put(&alone, 1).unwrap();
        let other = Connection::open(&environment, NAME).unwrap();
        assert!(keys(&other).unwrap_err().is_busy(), "{mode:?}");
        alone.close().unwrap();
        assert_eq!(keys(&other).unwrap(), [1], "{mode:?}");
    }
}

#[test]
fn two_processes_do_not_mix() {
    // Two environments on one disk stand for two processes: they share nothing but its locks.
    let disk = MemoryDisk::new();
    let settings = Settings { busy_timeout_ms: 0, ..Settings::default() };
    let first = connect(&environment(Arc::new(disk.clone())), &settings);
    first.execute("CREATE TABLE pair (key INTEGER PRIMARY KEY, value BLOB)").unwrap();
    let second = Connection::open(&environment(Arc::new(disk)), NAME).unwrap();
    assert!(keys(&second).unwrap_err().is_busy());
    first.close().unwrap();
    assert_eq!(keys(&second).unwrap(), []);
}
