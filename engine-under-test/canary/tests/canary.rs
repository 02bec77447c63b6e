//! The canary is a plausible engine, apart from its one bug, which is shown too.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use falconry_canary::{Batch, Canary, Content};
use support::MemoryDisk;

const LOG: &str = "canary.log";

fn open(disk: &MemoryDisk, sync_every: u32) -> Canary {
    Canary::open(disk, Path::new(LOG), sync_every).expect("the disk has no faults")
}

fn put(key: &str, value: &str) -> Batch {
    BTreeMap::from([(key.into(), Some(value.into()))])
}

fn delete(key: &str) -> Batch {
    BTreeMap::from([(key.into(), None)])
}

fn content(pairs: &[(&str, &str)]) -> Content {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let disk = MemoryDisk::default();
    let mut canary = open(&disk, 1);
    for batch in [put("a", "1"), put("b", ""), put("c", "3"), delete("a"), put("c", "4")] {
        canary.commit(batch).expect("the disk has no faults");
    }
    canary.commit(Batch::new()).expect("an empty batch is a batch");
    canary.commit(put("d", "5")).expect("the disk has no faults");
    let expected = content(&[("b", ""), ("c", "4"), ("d", "5")]);
    assert_eq!(canary.content(), &expected);
    assert!(canary.check().expect("the log can be read"));
    drop(canary);
    assert_eq!(open(&disk, 1).content(), &expected);
}

#[test]
fn with_a_sync_for_each_commit_nothing_acknowledged_is_lost() {
    let disk = MemoryDisk::default();
    let mut canary = open(&disk, 1);
    canary.commit(put("a", "1")).expect("the disk has no faults");
    disk.cut_power();
    drop(canary);
    assert_eq!(open(&disk, 1).content(), &content(&[("a", "1")]));
}

/// The bug: of seven acknowledged commits the one that no sync covered is lost.
#[test]
fn an_acknowledged_commit_is_lost_when_the_power_goes() {
    let disk = MemoryDisk::default();
    let mut canary = open(&disk, 3);
    for number in 1..=7 {
        canary.commit(put("a", &number.to_string())).expect("the disk has no faults");
    }
    disk.cut_power();
    drop(canary);
    assert_eq!(open(&disk, 3).content(), &content(&[("a", "6")]));
}

#[test]
fn a_sync_makes_all_commits_durable() {
    let disk = MemoryDisk::default();
    let mut canary = open(&disk, 100);
    canary.commit(put("a", "1")).expect("the disk has no faults");
    canary.sync().expect("the disk has no faults");
    disk.cut_power();
    drop(canary);
    assert_eq!(open(&disk, 100).content(), &content(&[("a", "1")]));
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let disk = MemoryDisk::default();
    let mut canary = open(&disk, 1);
    canary.commit(put("key", "first")).expect("the disk has no faults");
    let mut log = Vec::new();
    disk.edit(LOG, |bytes| log = bytes.clone());
    let first = log.len();
    canary.commit(put("key", "second")).expect("the disk has no faults");
    drop(canary);
    disk.edit(LOG, |bytes| log = bytes.clone());

    for torn_at in first..log.len() {
        // What follows is missing, zero, or not what was written.
        let cut = log[..torn_at].to_vec();
        let mut zeros = cut.clone();
        zeros.resize(log.len() + 100, 0);
        let mut damaged = log.clone();
        damaged[torn_at] ^= 0x10;
        for tail in [cut, zeros, damaged] {
            disk.edit(LOG, |bytes| *bytes = tail);
            let mut canary = open(&disk, 1);
            assert_eq!(canary.content(), &content(&[("key", "first")]), "torn at {torn_at}");
            assert!(canary.check().expect("the log can be read"));
            canary.commit(put("key", "third")).expect("the disk has no faults");
            drop(canary);
            assert_eq!(open(&disk, 1).content(), &content(&[("key", "third")]));
        }
    }
}

#[test]
fn a_log_that_was_changed_under_the_engine_fails_its_check() {
    let disk = MemoryDisk::default();
    let mut canary = open(&disk, 1);
    canary.commit(put("a", "1")).expect("the disk has no faults");
    disk.edit(LOG, |bytes| bytes[12] ^= 1);
    assert!(!canary.check().expect("the log can be read"));
}

#[test]
fn the_log_is_open_once() {
    let disk = MemoryDisk::default();
    let first = open(&disk, 1);
    let second = Canary::open(&disk, Path::new(LOG), 1).err().expect("the log is locked");
    assert_eq!(second.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    open(&disk, 1);
}
