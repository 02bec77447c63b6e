//! A database whole: opened, closed, cut off anywhere and opened again.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use falcon::page::key::KeyValue;
use falcon::{Database, Direction, Error, Options, Row, TableSpec, Transaction};
use falconry_seam::disk::Disk;
use falconry_sim::choice::Choices;
use falconry_sim::fault::Fault;
use falconry_sim::machine::choose;
use falconry_sim::{At, End, Ending, Machine, MachineConfig};

#[test]
fn an_empty_database_is_made_closed_and_opened() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        assert!(!Database::exists(&*disk).expect("no fault"));
        let missing = Database::open(&disk, &Options::default()).expect_err("there is none");
        assert_eq!(missing.to_string(), "catalogue.pages is missing");
        let database = Database::create(&disk, &Options::default()).expect("no fault");
        let used = Database::open(&disk, &Options::default()).expect_err("it is open");
        assert!(matches!(used, Error::InUse { .. }), "{used}");
        assert_eq!(database.verify().expect("no fault").problems, Vec::<String>::new());
        database.close().expect("no fault");
        let exists = Database::create(&disk, &Options::default()).expect_err("it is there");
        assert!(matches!(exists, Error::Exists), "{exists}");
        let database = Database::open(&disk, &Options::default()).expect("no fault");
        assert_eq!(database.recovery_report().reapplied, 0);
        assert_eq!(database.verify().expect("no fault").problems, Vec::<String>::new());
        database.close().expect("no fault");
    });
}

/// Options with the smallest pages, a cache that has to evict, and a log that has to switch.
fn small(choices: &mut Choices) -> Options {
    let page_bytes = 1_024 << choices.choose("test/page", 3);
    let mut options = Options { page_bytes, gopher_threads: 1, ..Options::default() };
    options.cache_frames = 32 * 3 + choices.choose("test/frames", 64) as usize;
    options.io_threads = choices.choose("test/io", 3) as usize;
    options.double_write = choices.choose("test/double_write", 2) == 0;
    options.log.block_bytes = 4096;
    options.log.window_bytes = 64 << 10;
    options.log.file_bytes = (64 << 10) + 4096;
    options.log.file_bytes_max = options.log.file_bytes + (512 << 10);
    options
}

/// A row that a number tells: its key, and a value of a length that varies over all that there may be.
fn row(key: u64, version: u64) -> Row {
    let mixed = (key << 32 | version).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bytes = match mixed >> 61 {
        0 => 3_000 + (mixed >> 8) % 15_000,
        1 => (mixed >> 8) % 900,
        _ => (mixed >> 8) % 60,
    };
    let value: Vec<u8> = (0..bytes).map(|at| (mixed >> (at % 8 * 8)) as u8 ^ at as u8).collect();
    vec![KeyValue::U64(key), KeyValue::Bytes(value.into()), KeyValue::U64(mixed % 4)]
}

fn spec() -> TableSpec {
    TableSpec::new("rows", 3).index("key", &[0], true).index("group", &[2, 0], false)
}

/// What the database must hold, by key.
type Model = BTreeMap<u64, Row>;

/// One transaction of some inserts, updates and deletes, on the database and on the model.
fn work(database: &Database, choose: &mut dyn FnMut(u64) -> u64, model: &mut Model) {
    let table = database.table("rows").expect("it was made");
    let by_key = table.index("key").expect("it was made");
    let mut txn = database.begin();
    let mut after = model.clone();
    for _ in 0..=choose(6) {
        let key = choose(60);
        let row = row(key, choose(1 << 20));
        let found = txn.get_for_update(&by_key, &[KeyValue::U64(key)]).expect("no fault");
        assert_eq!(found.as_ref().map(|(_, row)| row), after.get(&key), "key {key}");
        match (found, choose(3)) {
            (None, _) => {
                txn.insert(&table, &row).expect("no fault");
                after.insert(key, row);
            }
            (Some((record, _)), 0) => {
                assert!(txn.delete(&table, record).expect("no fault"));
                after.remove(&key);
            }
            (Some((record, _)), _) => {
                txn.update(&table, record, &row).expect("no fault");
                after.insert(key, row);
            }
        }
    }
    if choose(5) == 0 {
        txn.rollback();
    } else {
        txn.commit().expect("no fault");
        *model = after;
    }
}

/// The database holds just the model, by each index and both ways, and fits together.
fn compare(database: &Database, model: &Model) {
    let table = database.table("rows").expect("it was made");
    let mut txn = database.begin();
    let all = |txn: &mut Transaction<'_>, index: &str, direction| -> Vec<Row> {
        let index = table.index(index).expect("it was made");
        let range = txn.range(&index, Bound::Unbounded, Bound::Unbounded, direction);
        range.expect("no fault").map(|found| found.expect("no fault").1).collect()
    };
    let expected: Vec<Row> = model.values().cloned().collect();
    assert_eq!(all(&mut txn, "key", Direction::Forward), expected);
    let mut backward = all(&mut txn, "key", Direction::Backward);
    backward.reverse();
    assert_eq!(backward, expected);
    let mut groups = all(&mut txn, "group", Direction::Forward);
    groups.sort_by_key(|row| format!("{:?}", row[0]));
    let mut sorted = expected;
    sorted.sort_by_key(|row| format!("{:?}", row[0]));
    assert_eq!(groups, sorted);
    txn.rollback();
    let report = database.verify().expect("no fault");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.rows, model.len() as u64);
    assert_eq!(report.entries, 2 * model.len() as u64);
}

#[test]
fn rows_come_move_and_go_and_are_there_after_a_crash_of_the_process() {
    let mut reapplied = 0;
    for seed in 0..8 {
        let mut choices = Choices::from_seed(seed);
        let options = small(&mut choices);
        let mut machine = Machine::new(MachineConfig::default(), choices);
        reapplied += machine.run(|ctx| {
            let disk: Arc<dyn Disk> = ctx.disk();
            let mut choose = |count: u64| choose("test/work", count);
            let mut model = Model::new();
            let mut database = Database::create(&disk, &options).expect("no fault");
            database.create_table(&spec()).expect("no fault");
            let mut reapplied = 0;
            for life in 0..4 {
                for _ in 0..25 {
                    work(&database, &mut choose, &mut model);
                }
                compare(&database, &model);
                for _ in 0..5 {
                    work(&database, &mut choose, &mut model);
                }
                if life == 1 {
                    database.close().expect("no fault");
                } else {
                    drop(database);
                }
                database = Database::open(&disk, &options).expect("no fault");
                reapplied += database.recovery_report().reapplied;
                compare(&database, &model);
            }
            database.close().expect("no fault");
            reapplied
        });
    }
    assert!(reapplied > 0, "no gopher was ever behind");
}

fn open_or_create(disk: &Arc<dyn Disk>) -> falcon::Result<Database> {
    match Database::exists(&**disk)? {
        true => Database::open(disk, &Options::default()),
        false => Database::create(disk, &Options::default()),
    }
}

/// Cuts a creation off, by its end or by a sync that fails. Returns the machine, and whether the mark of a
/// creation and a complete catalogue are both there.
fn cut_off(seed: u64, creation: Ending, sync_fails_ppm: u32) -> (Machine, bool) {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
    machine.faults().set_rate(Fault::LostWrite, 1_000_000);
    machine.faults().set_rate(Fault::SyncFailClean, sync_fails_ppm);
    let end = machine.boot(creation, |ctx| drop(open_or_create(&ctx.disk()))).end;
    assert!(!matches!(end, End::Verdict(_)), "{end:?}");
    machine.faults().set_rate(Fault::SyncFailClean, 0);
    let is_late = machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let is_marked = disk.exists("creating".as_ref()).expect("no fault");
        is_marked && Database::exists(&*disk).expect("no fault")
    });
    (machine, is_late)
}

/// What broke: the process was killed when the last page of a new database was written and not synced, or the sync
/// failed. The next opening read the page, from the system's memory, took away the mark that the creation was
/// under way, and lost its power: the page was gone, and so was the mark. It would have cost a user the new
/// database, and a hand to remove it: it neither opened nor could be created again. The opening now writes and
/// syncs what it has read.
#[test]
fn a_creation_that_is_cut_off_at_its_very_end_is_made_anew_or_whole() {
    let killed = (40..70).flat_map(|at| {
        (0..3).map(move |seed| (100 * seed + at, Ending::ProcessCrash(At::DiskOp(at)), 0))
    });
    // About one of the syncs of a creation.
    let failed = (0..150).map(|seed| (seed, Ending::Never, 80_000));
    let mut late = [0, 0];
    for (seed, creation, ppm) in killed.chain(failed) {
        if !cut_off(seed, creation, ppm).1 {
            continue;
        }
        late[usize::from(ppm > 0)] += 1;
        for lost in 5..25 {
            let (mut machine, _) = cut_off(seed, creation, ppm);
            let end = Ending::PowerLoss(At::DiskOp(lost));
            let end = machine.boot(end, |ctx| drop(open_or_create(&ctx.disk()))).end;
            assert!(!matches!(end, End::Verdict(_)), "{end:?}");
            machine.run(|ctx| {
                let disk: Arc<dyn Disk> = ctx.disk();
                let database = open_or_create(&disk);
                let database = database.unwrap_or_else(|error| panic!("{seed}, {lost}: {error}"));
                let report = database.verify().expect("no fault");
                assert_eq!(report.problems, Vec::<String>::new());
                database.close().expect("no fault");
            });
        }
    }
    assert!(late[0] > 1 && late[1] > 2, "{late:?}");
}

#[test]
fn a_description_that_the_catalogue_cannot_keep_is_refused_and_costs_no_number() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let mut options = small(&mut Choices::from_seed(0));
        options.page_bytes = 1_024;
        options.cache_frames = 96;
        let database = Database::create(&disk, &options).expect("no fault");
        let columns = vec![0; 1_000];
        let long = (0..64).fold(TableSpec::new("long", 1), |spec, number| {
            spec.index(format!("index {number}"), &columns, false)
        });
        // More often than there are numbers for tables.
        for _ in 0..300 {
            let refused = database.create_table(&long).expect_err("it is too long");
            assert!(matches!(refused, Error::RowTooLong { .. }), "{refused}");
        }
        database.create_table(&spec()).expect("there is a number left");
        database.close().expect("no fault");
    });
}
