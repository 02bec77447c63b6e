//! What a database is after its process or the power has gone, against what its settings promise.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, OpenOptions};
use falconry_sqlite::{
    Connection, Contract, Error, JournalMode, Settings, Synchronous, Words, contract,
};

use support::faulty::{Failure, FaultyDisk};
use support::memory::MemoryDisk;
use support::{assert_sound, in_mode, journal_modes, keys, open, put};

/// Commits pairs 0, 1, …; after each commit the power goes, and what is left is shown to `judge` with
/// the number of commits.
fn cut_after_each_commit(settings: &Settings, mut judge: impl FnMut(usize, Vec<i64>)) {
    let disk = MemoryDisk::new();
    let connection = open(Arc::new(disk.clone()), settings).unwrap();
    for key in 0..20 {
        put(&connection, key).unwrap();
        let recovered = open(Arc::new(disk.power_loss()), settings).unwrap();
        assert_sound(&recovered);
        judge(key as usize + 1, keys(&recovered).unwrap());
    }
}

fn is_prefix(keys: &[i64]) -> bool {
    keys.iter().enumerate().all(|(index, key)| *key == index as i64)
}

#[test]
fn durable_settings_keep_every_commit_over_a_power_loss() {
    let mut tried = 0;
    for mode in journal_modes() {
        for (_, synchronous) in Synchronous::ALL {
            let settings = Settings { synchronous: *synchronous, ..in_mode(mode) };
            if contract(&settings) != Contract::Durable {
                continue;
            }
            tried += 1;
            cut_after_each_commit(&settings, |commits, keys| {
                assert!(is_prefix(&keys) && keys.len() == commits, "{settings:?}: {keys:?}");
            });
        }
    }
    assert_eq!(tried, 7);
}

#[test]
fn a_removal_that_is_undone_takes_the_last_commit_and_no_more() {
    let settings = in_mode(JournalMode::Delete);
    assert_eq!(contract(&settings), Contract::AllButLast);
    cut_after_each_commit(&settings, |commits, keys| {
        assert!(is_prefix(&keys));
        assert_eq!(keys.len(), commits - 1, "the journal came back and undid the last commit");
    });
}

#[test]
fn a_log_that_is_not_synced_loses_a_suffix_up_to_the_checkpoint() {
    let settings = Settings {
        synchronous: Synchronous::Normal,
        wal_autocheckpoint: 10,
        ..in_mode(JournalMode::Wal)
    };
    assert_eq!(contract(&settings), Contract::Prefix);
    let mut lengths = Vec::new();
    cut_after_each_commit(&settings, |_, keys| {
        assert!(is_prefix(&keys));
        lengths.push(keys.len());
    });
    assert!(lengths.is_sorted(), "what was checkpointed stays: {lengths:?}");
    assert_eq!(lengths[0], 0, "the first commit was in the log alone");
    assert!(lengths[19] > 0, "a checkpoint made commits durable");
}

#[test]
fn a_process_crash_loses_nothing_under_any_settings() {
    for mode in journal_modes() {
        for (_, synchronous) in Synchronous::ALL {
            let settings = Settings { synchronous: *synchronous, ..in_mode(mode) };
            let disk = MemoryDisk::new();
            let connection = open(Arc::new(disk.clone()), &settings).unwrap();
            for key in 0..20 {
                put(&connection, key).unwrap();
            }
            // A transaction that has spilled to the disk is under way.
            connection.execute("PRAGMA cache_size = 1; BEGIN").unwrap();
            for key in 20..200 {
                put(&connection, key).unwrap();
            }
            let restarted = open(Arc::new(disk.process_crash()), &settings).unwrap();
            assert_sound(&restarted);
            assert_eq!(keys(&restarted).unwrap(), (0..20).collect::<Vec<_>>(), "{settings:?}");
        }
    }
}

#[test]
fn a_hot_journal_is_rolled_back() {
    let disk = MemoryDisk::new();
    let settings = Settings { cache_size: 1, page_size: 512, ..in_mode(JournalMode::Delete) };
    let connection = open(Arc::new(disk.clone()), &settings).unwrap();
    put(&connection, 0).unwrap();
    connection.execute("BEGIN").unwrap();
    for key in 1..300 {
        put(&connection, key).unwrap();
    }
    for crashed in [disk.process_crash(), disk.power_loss()] {
        let names = crashed.names();
        assert!(names.contains(&"bank.db-journal".into()), "there is a journal among {names:?}");
        let recovered = open(Arc::new(crashed.clone()), &settings).unwrap();
        assert_eq!(keys(&recovered).unwrap(), [0]);
        assert_sound(&recovered);
        assert!(!crashed.names().contains(&"bank.db-journal".into()), "it was rolled back");
    }
}

/// Bytes of a frame's head in the log, and of the log's own.
const FRAME_HEAD_BYTES: u64 = 24;
const LOG_HEAD_BYTES: u64 = 32;

/// A transaction of many pages, of which `last` is the last one written.
fn write_many(connection: &Connection, last: i64) -> Result<(), Error> {
    connection.execute("BEGIN")?;
    (0..20).try_for_each(|key| put(connection, key))?;
    put(connection, last)?;
    connection.execute("COMMIT")
}

#[test]
fn a_lost_transaction_is_completed_when_its_retry_is_cut_off() {
    // What happens: a power loss takes the first frame of a transaction that was never acknowledged,
    // and leaves the rest, behind the end of the log. It is not there after recovery. A retry writes
    // the same first pages, with the same salts and sums, and the process is killed: now the old rest
    // fits to the new beginning, and the old transaction is there.
    // What it costs a user: nothing that was promised; but "it was not there" does not mean that it
    // will not be.
    let settings = Settings { page_size: 512, wal_autocheckpoint: 0, ..in_mode(JournalMode::Wal) };
    let disk = MemoryDisk::new();
    let _first = open(Arc::new(disk.clone()), &settings).unwrap();
    // The one that is lost comes from a restarted process, as the retry does: both count their
    // changes from what they found.
    let disk = disk.process_crash();
    let connection = open(Arc::new(disk.clone()), &settings).unwrap();
    let log = |disk: &MemoryDisk| disk.open(Path::new("bank.db-wal"), &OpenOptions::READ_WRITE);
    let first_frame = log(&disk).unwrap().len().unwrap();
    let frame_bytes = FRAME_HEAD_BYTES + u64::from(settings.page_size);
    assert_eq!((first_frame - LOG_HEAD_BYTES) % frame_bytes, 0, "{first_frame} is within a frame");

    write_many(&connection, 100).unwrap();
    let damaged = disk.process_crash();
    let lost = vec![0; frame_bytes as usize];
    log(&damaged).unwrap().write_all_at(&lost, first_frame).unwrap();
    let recovered = open(Arc::new(damaged.process_crash()), &settings).unwrap();
    assert_eq!(keys(&recovered).unwrap(), [], "it is lost");

    let mut came_back = 0;
    for at in 0..500 {
        let disk = damaged.process_crash();
        let faulty = FaultyDisk::new(Arc::new(disk.clone()), Failure::FromThen(libc::EIO), at);
        let retried =
            open(Arc::new(faulty), &settings).and_then(|connection| write_many(&connection, 101));
        let restarted = open(Arc::new(disk.process_crash()), &settings).unwrap();
        assert_sound(&restarted);
        let keys = keys(&restarted).unwrap();
        let last = keys.last().copied();
        assert!(keys.is_empty() || keys.len() == 21, "half a transaction: {keys:?}");
        assert!(retried.is_err() || last == Some(101), "an acknowledged one is there");
        came_back += u32::from(last == Some(100));
        if retried.is_ok() {
            break;
        }
    }
    assert!(came_back > 0, "SQLite has mended this: `in_flight_may_return` need not be said");
}

/// Bytes that a device writes as one.
const SECTOR_BYTES: u64 = 512;

#[test]
fn a_transaction_that_was_seen_may_go_with_the_next_one() {
    // What happens: a power loss keeps the last frame of a transaction that was never acknowledged, and
    // loses the frames that pad it to the end of its sector. Recovery takes it, and readers see it. The
    // next one is appended within that sector; if the power goes while it is written, the sector is
    // garbage, and the transaction before it is gone as well.
    // What it costs a user: nothing that was acknowledged to its writer; but what a reader saw after a
    // power loss may not be there after the next one.
    let settings = Settings { page_size: 512, wal_autocheckpoint: 0, ..in_mode(JournalMode::Wal) };
    let log = |disk: &MemoryDisk| disk.open(Path::new("bank.db-wal"), &OpenOptions::READ_WRITE);
    let frame_bytes = FRAME_HEAD_BYTES + u64::from(settings.page_size);
    let disk = MemoryDisk::new();
    let connection = open(Arc::new(disk.clone()), &settings).unwrap();
    put(&connection, 0).unwrap();
    let before = log(&disk).unwrap().len().unwrap();
    put(&connection, 1).unwrap();
    let padded = log(&disk).unwrap().len().unwrap();

    // The shortest log that still has the transaction: without the padding.
    let without_padding = |end: u64| {
        let cut = disk.process_crash();
        log(&cut).unwrap().set_len(end).unwrap();
        let seen = keys(&open(Arc::new(cut.process_crash()), &settings).unwrap()).unwrap();
        (seen == [0, 1]).then_some((end, cut))
    };
    let ends =
        (before..padded).skip(1).filter(|end| (end - LOG_HEAD_BYTES).is_multiple_of(frame_bytes));
    let (end, cut) = ends.filter_map(without_padding).next().expect("it has padding");
    assert!(!end.is_multiple_of(SECTOR_BYTES), "the next frame shares a sector with it");

    let next = open(Arc::new(cut.clone()), &settings).unwrap();
    assert_eq!(keys(&next).unwrap(), [0, 1], "it is seen");
    put(&next, 2).unwrap();
    let torn = cut.process_crash();
    let sector = end / SECTOR_BYTES * SECTOR_BYTES;
    log(&torn).unwrap().write_all_at(&[0xa5; SECTOR_BYTES as usize], sector).unwrap();
    let after = open(Arc::new(torn), &settings).unwrap();
    assert_sound(&after);
    assert_eq!(keys(&after).unwrap(), [0], "SQLite has mended this: see `seen_may_be_lost`");
}
