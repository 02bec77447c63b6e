//! A call of the disk fails: the first, the second, … until a run meets no failure any more.
//!
//! # Method
//!
//! The same work is done over and over; in the n-th round the n-th call of the disk fails, once or
//! from then on. Whatever happens, what was acknowledged must be there when the faults are over, and
//! nothing that was never tried.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]

mod support;

use std::sync::Arc;

use falconry_sqlite::{Error, ErrorKind, JournalMode, LockingMode, Settings, Synchronous};

use support::faulty::{Failure, FaultyDisk};
use support::memory::MemoryDisk;
use support::{assert_sound, in_mode, journal_modes, keys, open, put};

/// More calls than any of these runs makes.
const CALLS_MAX: u64 = 5_000;

const COMMITS: i64 = 6;

/// Opens and commits pairs 0, 1, …, going on after errors; returns the keys that were acknowledged.
fn work(disk: &FaultyDisk, settings: &Settings, errors: &mut Vec<Error>) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    let connection = match open(Arc::new(disk.clone()), settings) {
        Ok(connection) => connection,
        Err(error) => {
            errors.push(error);
            return acknowledged;
        }
    };
    for key in 0..COMMITS {
        let committed = connection.execute("BEGIN").and_then(|()| {
            put(&connection, key)?;
            put(&connection, key + 100)?;
            connection.execute("COMMIT")
        });
        match committed {
            Ok(()) => acknowledged.push(key),
            Err(error) => {
                errors.push(error);
                if connection.in_transaction() {
                    // It may fail as the commit did; then closing rolls back.
                    errors.extend(connection.execute("ROLLBACK").err());
                }
            }
        }
    }
    acknowledged
}

/// Sweeps one kind of failure over all calls of the work. Returns how many rounds had an error.
fn sweep(settings: &Settings, failure: Failure) -> u64 {
    let mut rounds_with_errors = 0;
    for at in 0.. {
        assert!(at < CALLS_MAX, "{settings:?} {failure:?}: the work never ends");
        let disk = MemoryDisk::new();
        let faulty = FaultyDisk::new(Arc::new(disk.clone()), failure, at);
        let mut errors = Vec::new();
        let acknowledged = work(&faulty, settings, &mut errors);
        rounds_with_errors += u64::from(!errors.is_empty());
        for error in &errors {
            let kind = error.kind();
            let told = matches!(
                kind,
                ErrorKind::Io | ErrorKind::Full | ErrorKind::CannotOpen | ErrorKind::Busy
            ) || error.message().contains("no transaction is active");
            assert!(told, "{settings:?} {failure:?} at {at}: {kind:?}: {error}");
        }
        for restarted in [disk.process_crash(), disk.power_loss()] {
            judge(restarted, settings, &acknowledged, &format!("{failure:?} at {at}"));
        }
        if !faulty.failed() {
            assert_eq!(acknowledged, (0..COMMITS).collect::<Vec<_>>());
            assert_eq!(errors, []);
            return rounds_with_errors;
        }
    }
    unreachable!("the range has no end");
}

fn judge(disk: MemoryDisk, settings: &Settings, acknowledged: &[i64], when: &str) {
    let connection = open(Arc::new(disk), settings).expect(when);
    assert_sound(&connection);
    let keys = keys(&connection).expect(when);
    let (firsts, seconds): (Vec<i64>, Vec<i64>) = keys.iter().partition(|key| **key < 100);
    let halves: Vec<i64> = seconds.iter().map(|key| key - 100).collect();
    assert_eq!(firsts, halves, "{settings:?} {when}: a transaction is there by half");
    for key in acknowledged {
        assert!(firsts.contains(key), "{settings:?} {when}: {key} is missing in {firsts:?}");
    }
}

/// Durable settings in each mode, the locking mode alternating.
fn all_durable() -> impl Iterator<Item = Settings> {
    journal_modes().flat_map(|mode| {
        [LockingMode::Normal, LockingMode::Exclusive].map(|locking_mode| Settings {
            locking_mode,
            synchronous: Synchronous::Extra,
            busy_timeout_ms: 0,
            wal_autocheckpoint: 4,
            ..in_mode(mode)
        })
    })
}

#[test]
fn one_failed_call_loses_nothing() {
    for settings in all_durable() {
        assert!(sweep(&settings, Failure::Once(libc::EIO)) > 10);
    }
}

#[test]
fn a_device_that_is_gone_loses_nothing() {
    for settings in all_durable() {
        assert!(sweep(&settings, Failure::FromThen(libc::EIO)) > 10);
    }
}

#[test]
fn a_full_device_loses_nothing() {
    for settings in all_durable() {
        assert!(sweep(&settings, Failure::Once(libc::ENOSPC)) > 10);
    }
}

#[test]
fn short_and_interrupted_transfers_are_made_whole() {
    for settings in all_durable() {
        assert_eq!(sweep(&settings, Failure::Short), 0);
    }
}

#[test]
fn a_full_device_is_told_as_such() {
    let settings = in_mode(JournalMode::Wal);
    let disk = MemoryDisk::new();
    drop(open(Arc::new(disk.clone()), &settings).unwrap());
    let told = (0..CALLS_MAX).find_map(|at| {
        let disk = Arc::new(disk.process_crash());
        let full = FaultyDisk::new(disk, Failure::FromThen(libc::ENOSPC), at);
        let connection = open(Arc::new(full), &settings).ok()?;
        put(&connection, 1).err().filter(|error| error.kind() == ErrorKind::Full)
    });
    let error = told.expect("a write met the full device");
    assert_eq!(error.errno(), Some(libc::ENOSPC));
    assert_eq!(error.message(), "database or disk is full");
}

#[test]
fn a_check_that_meets_a_failed_read_does_not_call_it_damage() {
    // What broke: SQLite's check writes a page that could not be read into its rows of complaints, and
    // the disk's error was taken for a damaged database.
    for mode in journal_modes() {
        let settings = Settings { page_size: 512, cache_size: 1, ..in_mode(mode) };
        let disk = MemoryDisk::new();
        let connection = open(Arc::new(disk.clone()), &settings).unwrap();
        (0..30).for_each(|key| put(&connection, key).unwrap());
        // Values that fill chains of overflow pages, whose reads the check reports in another way.
        connection.execute("UPDATE pair SET value = zeroblob(3000) WHERE key % 3 = 0").unwrap();
        let mut failed = 0;
        for at in 0.. {
            assert!(at < CALLS_MAX, "{mode:?}: the check never ends");
            let once = Failure::Once(libc::EIO);
            let faulty = FaultyDisk::new(Arc::new(disk.process_crash()), once, at);
            let checked = open(Arc::new(faulty.clone()), &settings)
                .and_then(|connection| connection.integrity_check());
            match checked {
                Ok(complaints) => assert_eq!(complaints, Vec::<String>::new(), "{mode:?} at {at}"),
                Err(error) => {
                    let kind = error.kind();
                    let disk = matches!(kind, ErrorKind::Io | ErrorKind::CannotOpen);
                    assert!(disk, "{mode:?} at {at}: {error}");
                    failed += 1;
                }
            }
            if !faulty.failed() {
                break;
            }
        }
        assert!(failed > 50, "{mode:?}: only {failed} checks met the failure");
    }
}

#[test]
fn an_open_whose_journal_mode_was_not_committed_is_refused() {
    // What broke: `PRAGMA journal_mode=wal` answers `wal` and commits the change only when it is run
    // to its end; when that failed, the connection went on in another mode, which promises less.
    for mode in journal_modes() {
        let settings = in_mode(mode);
        let expected = MemoryDisk::new();
        let whole = open(Arc::new(expected), &settings).unwrap();
        let expected = whole.first_text("PRAGMA journal_mode").unwrap();
        let mut refused = 0;
        for at in 0.. {
            assert!(at < CALLS_MAX, "{mode:?}: opening never ends");
            let once = Failure::Once(libc::EIO);
            let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()), once, at);
            match open(Arc::new(faulty.clone()), &settings) {
                Ok(connection) => {
                    let told = connection.first_text("PRAGMA journal_mode").unwrap();
                    assert_eq!(told, expected, "{mode:?} at {at}");
                }
                Err(_) => refused += 1,
            }
            if !faulty.failed() {
                break;
            }
        }
        assert!(refused > 5, "{mode:?}: only {refused} failures were met");
    }
}
