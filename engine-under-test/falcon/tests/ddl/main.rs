//! Tables that are made and dropped, on the simulated machine.
//!
//! # Method
//!
//! What a drop does to those who use the table, and to its pages, is met one by one ([`drops`], [`pages`]).
//! Then clients make, fill and drop tables and sequences while the power goes, and a model knows what has to be
//! there ([`crash`]). The same runs are to find each bug that is planted ([`planted`]).
//!
//! # Invariant
//!
//! After each test the pages of the database agree with each other: none is lost, none has two owners.

#[path = "../../../canary/tests/support/mod.rs"]
mod support;

mod crash;
mod drops;
mod pages;
mod planted;

use std::sync::Arc;

use falcon::log::LogConfig;
use falcon::page::key::KeyValue;
use falcon::txn::{Row, Table};
use falcon::{Database, Options, TableSpec};
use falconry_seam::disk::Disk;
use falconry_seam::time::Duration;
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

/// A database with small pages, a small cache and a small log.
pub(crate) fn small() -> Options {
    Options {
        page_bytes: 1_024,
        cache_frames: 128,
        gopher_threads: 2,
        io_threads: 1,
        checkpoint_interval: Duration::from_millis(50),
        lock_wait_timeout: Duration::from_secs(1),
        log: LogConfig {
            file_bytes: 128 << 10,
            file_bytes_max: 512 << 10,
            window_bytes: 32 << 10,
            window_count: 2,
            block_bytes: 4_096,
        },
        ..Options::default()
    }
}

/// Columns: a number, a text, bytes. `id` is unique, `text` is not and has long keys.
pub(crate) fn spec(name: &str) -> TableSpec {
    TableSpec::new(name, 3).index("id", &[0], true).index("text", &[1], false)
}

/// A row of [`spec`] with so many bytes.
pub(crate) fn row(id: u64, bytes: usize) -> Row {
    let text = format!("{:0>60}", id * 7_919 % 1_000);
    vec![
        KeyValue::U64(id),
        KeyValue::Text(text.into()),
        KeyValue::Bytes(vec![id as u8; bytes].into()),
    ]
}

/// Commits rows of so many bytes each, some to a transaction.
pub(crate) fn fill(database: &Database, table: &Table, ids: std::ops::Range<u64>, bytes: usize) {
    let ids: Vec<u64> = ids.collect();
    for ids in ids.chunks(8) {
        let mut txn = database.begin();
        for id in ids {
            txn.insert(table, &row(*id, bytes)).expect("no fault");
        }
        txn.commit().expect("no fault");
    }
}

/// Runs `body` on the disk of a simulated machine without faults.
pub(crate) fn on_machine(body: impl FnOnce(&Arc<dyn Disk>)) {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        body(&disk);
    });
}

/// Looks at all pages, and returns how many are in use.
pub(crate) fn used_pages(database: &Database) -> u64 {
    let report = database.verify().expect("no fault");
    assert_eq!(report.problems, Vec::<String>::new());
    report.pages
}
