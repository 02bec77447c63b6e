//! Every built-in engine keeps the contract of the trait, on a disk without faults.

#[path = "../../engine-under-test/canary/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use falconry::engine::{
    Access, Concurrency, Database, Engine, EngineError, Pair, Promise, Settings, SettingsDraw,
    built_in,
};
use falconry_seam::disk::Disk;
use falconry_sim::choice::Choices;
use falconry_sim::fault::Fault;
use support::MemoryDisk;

/// The settings that a seed draws, with each way to interleave clients in turn.
fn settings(engine: &dyn Engine, seed: u64) -> Settings {
    let mut choices = Choices::from_seed(seed);
    let mut draw = SettingsDraw::new(&mut choices, engine.name(), &[]);
    let contract = engine.draw(&mut draw).expect("nothing is forced");
    let values = draw.finish().expect("nothing is forced");
    let ways = engine.concurrency();
    Settings::new(values, contract, ways[seed as usize % ways.len()])
}

/// Runs `body` on a fresh disk of each engine under the settings of 24 seeds.
fn for_each(body: impl Fn(&dyn Engine, &Settings, &MemoryDisk)) {
    assert!(!built_in().is_empty());
    for engine in built_in() {
        for seed in 0..24 {
            body(*engine, &settings(*engine, seed), &MemoryDisk::default());
        }
    }
}

fn open(engine: &dyn Engine, settings: &Settings, disk: &MemoryDisk) -> Box<dyn Database> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let opened = engine.open(disk, settings);
    opened.unwrap_or_else(|error| panic!("{} with {settings:?}: {error}", engine.name()))
}

/// Changes in one transaction: keys with their new values, or none.
fn write(database: &dyn Database, changes: &[(&[u8], Option<&[u8]>)]) -> Result<(), EngineError> {
    let mut transaction = database.begin(Access::Write)?;
    for (key, value) in changes {
        match value {
            Some(value) => transaction.put(key, value)?,
            None => transaction.delete(key)?,
        }
    }
    transaction.commit().map(drop)
}

fn all(database: &dyn Database) -> Vec<Pair> {
    let mut transaction = database.begin(Access::Read).expect("the disk works");
    let pairs = transaction.range(b"", None).expect("the disk works");
    transaction.rollback().expect("the disk works");
    pairs
}

fn pair(key: &str, value: &str) -> Pair {
    (key.into(), value.into())
}

#[test]
fn a_new_database_is_empty_and_whole() {
    for_each(|engine, settings, disk| {
        let mut database = open(engine, settings, disk);
        assert_eq!(all(&*database), []);
        let mut reader = database.begin(Access::Read).expect("the disk works");
        assert_eq!(reader.get(b"key").expect("the disk works"), None);
        drop(reader);
        database.check().expect("nothing is wrong");
        database.close().expect("the disk works");
    });
}

#[test]
fn a_transaction_sees_its_own_writes_and_ends_as_a_whole() {
    for_each(|engine, settings, disk| {
        let database = open(engine, settings, disk);
        write(&*database, &[(b"a", Some(b"1")), (b"b", Some(b"2")), (b"c", Some(b""))])
            .expect("the disk works");

        let mut transaction = database.begin(Access::Write).expect("the disk works");
        transaction.put(b"a", b"10").expect("the disk works");
        transaction.delete(b"b").expect("the disk works");
        transaction.delete(b"absent").expect("nothing happens");
        transaction.put(b"d", b"4").expect("the disk works");
        assert_eq!(transaction.get(b"a").expect("the disk works"), Some(b"10".to_vec()));
        assert_eq!(transaction.get(b"b").expect("the disk works"), None);
        let own = transaction.range(b"a", Some(b"d")).expect("the disk works");
        assert_eq!(own, [pair("a", "10"), pair("c", "")]);
        transaction.rollback().expect("the disk works");
        assert_eq!(all(&*database), [pair("a", "1"), pair("b", "2"), pair("c", "")]);

        let mut dropped = database.begin(Access::Write).expect("the disk works");
        dropped.put(b"e", b"5").expect("the disk works");
        drop(dropped);
        write(&*database, &[(b"b", None), (b"\xff\x00", Some(b"\x00\xff"))])
            .expect("the disk works");
        let expected = [pair("a", "1"), pair("c", ""), (vec![0xff, 0], vec![0, 0xff])];
        assert_eq!(all(&*database), expected, "{}", engine.name());
    });
}

#[test]
fn ranges_have_a_first_key_and_an_end() {
    for_each(|engine, settings, disk| {
        let database = open(engine, settings, disk);
        let keys = [&b"a"[..], b"ab", b"b", b"b\x00", b"c"];
        let changes: Vec<_> = keys.iter().map(|key| (*key, Some(*key))).collect();
        write(&*database, &changes).expect("the disk works");
        let mut reader = database.begin(Access::Read).expect("the disk works");
        for (from, to, expected) in [
            (&b"a"[..], Some(&b"b"[..]), &keys[..2]),
            (b"aa", Some(b"b\x00"), &keys[1..3]),
            (b"b", None, &keys[2..]),
            (b"d", None, &keys[5..]),
            (b"b", Some(b"b"), &keys[..0]),
            (b"c", Some(b"a"), &keys[..0]),
        ] {
            let found = reader.range(from, to).expect("the disk works");
            let found: Vec<&[u8]> = found.iter().map(|(key, _)| key.as_slice()).collect();
            assert_eq!(found, expected, "{} from {from:?} to {to:?}", engine.name());
        }
    });
}

#[test]
fn what_was_shut_down_is_there_again() {
    for_each(|engine, settings, disk| {
        let mut expected = BTreeMap::new();
        for life in 0..4u32 {
            let mut database = open(engine, settings, disk);
            assert!(all(&*database).into_iter().eq(expected.clone()), "{settings:?}");
            for commit in 0..8u32 {
                let key = format!("key {:03}", (life * 7 + commit * 5) % 17).into_bytes();
                let value = vec![commit as u8; (commit as usize * 997) % 6000];
                write(&*database, &[(&key, Some(&value))]).expect("the disk works");
                expected.insert(key, value);
            }
            database.check().expect("nothing is wrong");
            match database.close().expect("the disk works") {
                Promise::Durable => disk.cut_power(),
                Promise::Later | Promise::Memory => disk.crash_process(),
            }
        }
    });
}

#[test]
fn a_reader_refuses_to_write() {
    for name in ["redb", "sqlite", "canary"] {
        let engine = falconry::engine::find(name).expect("it is built in");
        let database = open(engine, &settings(engine, 1), &MemoryDisk::default());
        let mut reader = database.begin(Access::Read).expect("the disk works");
        for refused in [reader.put(b"a", b"1"), reader.delete(b"a")] {
            assert!(matches!(refused, Err(EngineError::Refused { .. })), "{name}: {refused:?}");
        }
        drop(reader);
        assert_eq!(all(&*database), []);
    }
}

#[test]
fn redb_runs_in_both_ways_and_judges_each_fault() {
    let redb = falconry::engine::find("redb").expect("it is built in");
    if cfg!(target_os = "linux") {
        assert!(falconry_ambient::is_interposed());
        assert_eq!(redb.concurrency(), [Concurrency::Futex, Concurrency::Gated]);
    }
    let left_out: Vec<Fault> = falconry_redb::promise::LEFT_OUT
        .iter()
        .map(|(name, _)| name.parse().expect("a name of the table of faults"))
        .collect();
    for fault in Fault::ALL {
        let claimed = redb.claims().contains(*fault);
        assert_ne!(claimed, left_out.contains(fault), "{fault} is claimed, or left out");
    }
}

#[test]
fn sqlite_judges_each_fault() {
    let sqlite = falconry::engine::find("sqlite").expect("it is built in");
    let left_out: Vec<Fault> = falconry_sqlite::LEFT_OUT
        .iter()
        .map(|(name, _)| name.parse().expect("a name of the table of faults"))
        .collect();
    for fault in Fault::ALL {
        let claimed = sqlite.claims().contains(*fault);
        assert_ne!(claimed, left_out.contains(fault), "{fault} is claimed, or left out");
    }
}

#[test]
fn the_canary_without_its_bug_is_to_be_had() {
    let canary = falconry::engine::find("canary").expect("it is built in");
    assert!(canary.is_canary());
    let forced = [("sync_every".to_string(), "1".to_string())];
    let mut choices = Choices::from_seed(1);
    let mut draw = SettingsDraw::new(&mut choices, "canary", &forced);
    canary.draw(&mut draw).expect("one is a value it takes");
    for seed in 0..100 {
        assert_ne!(settings(canary, seed).number("sync_every"), 1, "it is never drawn");
    }
}
