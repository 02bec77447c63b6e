//! Transactions on a whole database, on the simulated machine.
//!
//! # Method
//!
//! What one transaction does is compared with a model of the table; what several do at once, with the same
//! done one after the other. Refusals are met one by one, each with what it leaves behind.
//!
//! # Invariant
//!
//! After each test the pages of the database agree with each other.

#[path = "../../../canary/tests/support/mod.rs"]
mod support;

mod crash;
mod many;
mod model;
mod one;
mod refusals;
mod statements;
mod unique;
mod waits;

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

/// Columns: a number, a text or null, a number. `id` and `pair` are unique, `name` is not.
pub(crate) fn people() -> TableSpec {
    TableSpec::new("people", 3).index("id", &[0], true).index("name", &[1], false).index(
        "pair",
        &[1, 2],
        true,
    )
}

/// A row of [`people`].
pub(crate) fn person(id: u64, name: &str, age: u64) -> Row {
    vec![KeyValue::U64(id), KeyValue::Text(name.to_string().into()), KeyValue::U64(age)]
}

/// Runs `body` with a new database that has the table [`people`], closes it, and looks at its pages.
pub(crate) fn with_people(options: &Options, body: impl Fn(&Database, &Table)) {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    let options = *options;
    machine.run(move |ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = Database::create(&disk, &options).expect("no fault");
        let table = database.create_table(&people()).expect("no fault");
        body(&database, &table);
        let report = database.verify().expect("no fault");
        assert_eq!(report.problems, Vec::<String>::new());
        database.close().expect("no fault");
    });
}

/// The ids of rows.
pub(crate) fn ids<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<u64> {
    let id = |row: &Row| match row[0] {
        KeyValue::U64(id) => id,
        ref other => panic!("{other:?} is no id"),
    };
    rows.into_iter().map(id).collect()
}
