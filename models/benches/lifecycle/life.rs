//! One life of Falcon: create, work, lose the power, recover, check everything.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use falcon::log::LogConfig;
use falcon::page::key::KeyValue;
use falcon::{Database, Direction, Options, Table, TableSpec};
use falconry_seam::disk::Disk;
use falconry_sim::choice::Choices;
use falconry_sim::disk::DiskConfig;
use falconry_sim::{Machine, MachineConfig};

const OPERATIONS: u64 = 50;
const KEYS: u64 = 32;
const VALUE_BYTES: u64 = 64;

/// A small server's settings.
fn options() -> Options {
    Options {
        cache_frames: 160,
        gopher_threads: 2,
        io_threads: 1,
        log: LogConfig {
            file_bytes: 132 << 10,
            file_bytes_max: 8 << 20,
            window_bytes: 64 << 10,
            ..LogConfig::default()
        },
        ..Options::default()
    }
}

/// What must be there.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Lives the life of a seed, and returns how often its power went. Panics where anything is not as it must be.
pub fn live(seed: u64) -> u64 {
    let mut choices = Choices::from_seed(seed);
    let disk = DiskConfig::draw(&mut choices);
    let mut machine = Machine::new(MachineConfig { disk, ..MachineConfig::default() }, choices);
    let model = machine.run(|ctx| work(ctx.disk(), seed));
    machine.cut_power();
    machine.run(|ctx| recover(ctx.disk(), seed, &model));
    machine.counters().power_losses
}

/// Creates a database and changes it; every commit is acknowledged, and then nobody closes it.
fn work(disk: Arc<dyn Disk>, seed: u64) -> Model {
    let database = Database::create(&disk, &options()).expect("no fault is on");
    let spec = TableSpec::new("pair", 2).index("by_key", &[0], true);
    let table = database.create_table(&spec).expect("no fault is on");
    let mut model = Model::new();
    let mut done = 0;
    while done < OPERATIONS {
        let count = (1 + falconry_sim::choose("life/operations", 4)).min(OPERATIONS - done);
        transaction(&database, &table, &mut model, count)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        done += count;
    }
    drop(database);
    model
}

/// One transaction of so many operations.
fn transaction(
    database: &Database,
    table: &Table,
    model: &mut Model,
    count: u64,
) -> falcon::Result<()> {
    let by_key = table.index("by_key").expect("it was made");
    let mut txn = database.begin();
    for _ in 0..count {
        let key = format!("key {:02}", falconry_sim::choose("life/key", KEYS)).into_bytes();
        let found = txn.get_for_update(&by_key, &[bytes(&key)])?;
        let value_bytes = falconry_sim::choose("life/value_bytes", VALUE_BYTES + 1);
        match (found, value_bytes) {
            (Some((record, _)), 0) => {
                txn.delete(table, record)?;
                model.remove(&key);
            }
            (found, value_bytes) => {
                let value = vec![value_bytes as u8; value_bytes as usize];
                let row = [bytes(&key), bytes(&value)];
                match found {
                    Some((record, _)) => txn.update(table, record, &row).map(drop)?,
                    None => txn.insert(table, &row).map(drop)?,
                }
                model.insert(key, value);
            }
        }
    }
    txn.commit()
}

/// Opens what the power has left, and compares everything. Then the life is over: nobody closes it.
fn recover(disk: Arc<dyn Disk>, seed: u64, model: &Model) {
    let database = Database::open(&disk, &options()).expect("no fault is on");
    let report = database.verify().expect("no fault is on");
    assert!(report.problems.is_empty(), "seed {seed}: {:?}", report.problems);
    let table = database.table("pair").expect("it was made");
    let by_key = table.index("by_key").expect("it was made");
    let txn = database.begin();
    let range = txn.range(&by_key, Bound::Unbounded, Bound::Unbounded, Direction::Forward);
    let pair = |row: falcon::Row| match <[KeyValue<'_>; 2]>::try_from(row) {
        Ok([KeyValue::Bytes(key), KeyValue::Bytes(value)]) => {
            (key.into_owned(), value.into_owned())
        }
        other => panic!("seed {seed}: a row is no pair: {other:?}"),
    };
    let rows = range.expect("no fault is on").map(|found| found.expect("no fault is on").1);
    let found: Model = rows.map(pair).collect();
    assert_eq!(&found, model, "seed {seed}");
}

fn bytes(bytes: &[u8]) -> KeyValue<'_> {
    KeyValue::Bytes(bytes.into())
}
