//! Every setting keeps its promise over crashes, and two writers wait for each other.

#![allow(clippy::disallowed_methods, reason = "a test stands outside of the run")]

#[path = "../../canary/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use falconry_redb::promise::{CLAIMS, LEFT_OUT};
use falconry_redb::{Settings, begin_write, open};
use falconry_seam::disk::Disk;
use redb::{Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use support::MemoryDisk;

const FILE: &str = "store.redb";
const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("table");

fn every_setting() -> impl Iterator<Item = Settings> {
    (0..16).map(|bits| Settings {
        cache_bytes: if bits & 1 == 0 { 1 << 20 } else { 0 },
        two_phase_commit: bits & 2 != 0,
        quick_repair: bits & 4 != 0,
        check_on_open: bits & 8 != 0,
    })
}

#[test]
fn every_setting_recovers_from_a_power_loss() {
    for settings in every_setting() {
        let memory = MemoryDisk::default();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let path = Path::new(FILE);
        for life in 0..3 {
            let database = open(&disk, path, &settings).expect("the disk works");
            let transaction =
                begin_write(&database, Durability::Immediate, &settings).expect("the disk works");
            {
                let mut table = transaction.open_table(TABLE).expect("the disk works");
                assert_eq!(table.len().expect("the disk works"), life * 40, "{settings:?}");
                for key in life * 40..(life + 1) * 40 {
                    table.insert(key, &[key as u8; 900][..]).expect("the disk works");
                }
            }
            transaction.commit().expect("the disk works");
            memory.cut_power();
            memory.fail_after(0);
            drop(database);
            memory.cut_power();
        }
        let mut database = open(&disk, path, &settings).expect("the disk works");
        assert!(database.check_integrity().expect("the disk works"), "{settings:?}");
        let transaction = database.begin_read().expect("the disk works");
        let table = transaction.open_table(TABLE).expect("the disk works");
        for entry in table.iter().expect("the disk works") {
            let (key, value) = entry.expect("the disk works");
            assert_eq!(value.value(), [key.value() as u8; 900], "{settings:?}");
        }
        assert_eq!(table.len().expect("the disk works"), 120, "{settings:?}");
    }
}

#[test]
fn writers_wait_for_each_other() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let settings = Settings::default();
    let database = open(&disk, Path::new(FILE), &settings).expect("the disk works");
    thread::scope(|scope| {
        for writer in 0..4 {
            let database = &database;
            scope.spawn(move || {
                for key in 0..10 {
                    let transaction = begin_write(database, Durability::Immediate, &settings)
                        .expect("the disk works");
                    transaction
                        .open_table(TABLE)
                        .expect("the disk works")
                        .insert(writer * 10 + key, &[1][..])
                        .expect("the disk works");
                    transaction.commit().expect("the disk works");
                }
            });
        }
    });
    let transaction = database.begin_read().expect("the disk works");
    let table = transaction.open_table(TABLE).expect("the disk works");
    assert_eq!(table.len().expect("the disk works"), 40);
}

#[test]
fn each_fault_is_claimed_or_left_out_once() {
    let claimed: BTreeSet<&str> = CLAIMS.iter().copied().collect();
    let left_out: BTreeSet<&str> = LEFT_OUT.iter().map(|(name, _)| *name).collect();
    assert_eq!((claimed.len(), left_out.len()), (CLAIMS.len(), LEFT_OUT.len()), "none twice");
    assert!(claimed.is_disjoint(&left_out));
    assert!(LEFT_OUT.iter().all(|(_, reason)| reason.len() > 20), "each has a reason");
}
