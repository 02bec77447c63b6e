//! What only whoever has the engine in hand can bring about.

use falconry_seam::sync::MutexGuard;
use falconry_sim::choice::Choices;
use falconry_sim::{End, Ending, Machine, MachineConfig};

use super::*;
use crate::PageId;
use crate::db::TableInfo;
use crate::page::PageKind;
use crate::page::index::IndexId;
use crate::page::key::KeyValue;

fn hold(table: &TableInfo) -> MutexGuard<'_, ()> {
    table.pages.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Commits a row that is longer than a page, and says by whom.
fn put(database: &Database, table: &str) -> crate::TxnId {
    let table = database.table(table).expect("it was made");
    let mut txn = database.begin();
    txn.insert(&table, &[KeyValue::Bytes(vec![7; 9_000].into())]).expect("no fault");
    let id = txn.id();
    txn.commit().expect("no fault");
    id
}

/// What broke: recovery began at the first record of a transaction that no gopher had applied, and made the
/// pages of another one anew, which had been applied behind that place and whose row lay before it. The log
/// did not have the row any more. It would have cost a user the database after a crash: it did not open. A
/// checkpoint now says in the log where it began, and what it made durable is not made again.
#[test]
fn what_is_durable_is_not_made_again_from_rows_that_the_log_has_no_more() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let options = Options { gopher_threads: 1, ..Options::default() };
        let database = Database::create(&disk, &options).expect("no fault");
        for name in ["first", "second"] {
            database.create_table(&TableSpec::new(name, 1)).expect("no fault");
        }
        let [_, first, second] = &database.engine.open_tables()[..] else { panic!("two tables") };
        let (before_first, before_second) = (hold(first), hold(second));
        let applied = put(&database, "first");
        put(&database, "second");
        drop(before_first);
        database.engine.pending.wait_for(applied);
        database.checkpoint().expect("no fault");
        database.engine.stop(&Error::Stopped("a crash".into()));
        drop(before_second);
        drop(database);

        let database = Database::open(&disk, &options).expect("what is there is whole");
        let report = database.recovery_report();
        assert_eq!((report.reapplied, report.rows), (1, 1), "{report:?}");
        assert!(report.skipped_durable > 0, "{report:?}");
        let found = database.verify().expect("no fault");
        assert_eq!((found.rows, found.problems), (2, Vec::new()));
        database.close().expect("no fault");
    });
}

#[test]
fn who_looks_for_free_numbers_of_a_dropped_table_is_told() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = Database::create(&disk, &Options::default()).expect("no fault");
        database.create_table(&TableSpec::new("rows", 1)).expect("no fault");
        let [_, table] = &database.engine.open_tables()[..] else { panic!("one table") };
        database.drop_table("rows").expect("nobody uses it");
        // It has no lock yet, and its pages may be another's.
        let told = crate::txn::new_number(&database.engine, table).expect_err("it is gone");
        assert!(matches!(told, Error::Dropped { what: "table", .. }), "{told}");
        database.close().expect("no fault");
    });
}

#[test]
fn pages_of_a_dropped_table_are_a_problem_until_the_next_opening_has_freed_them() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = Database::create(&disk, &Options::default()).expect("no fault");
        database.create_table(&TableSpec::new("rows", 1)).expect("no fault");
        put(&database, "rows");
        // Nobody frees anything.
        database.engine.reclaims.end();
        database.drop_table("rows").expect("nobody uses it");
        let problems = database.verify().expect("no fault").problems;
        let told = |what: &str| problems.iter().filter(|problem| problem.contains(what)).count();
        assert_eq!(told("record 1 of the catalogue tells of 1"), 1, "{problems:?}");
        assert_eq!(told("section 1 of tablespace 1 is of no table"), 1, "{problems:?}");
        assert_eq!(told("is in use, and nothing leads to it"), problems.len() - 2, "{problems:?}");
        database.close().expect("no fault");
        let database = Database::open(&disk, &Options::default()).expect("no fault");
        assert_eq!(database.verify().expect("no fault").problems, Vec::<String>::new());
        database.close().expect("no fault");
    });
}

#[test]
fn an_index_of_no_table_is_a_problem() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = Database::create(&disk, &Options::default()).expect("no fault");
        database
            .create_table(&TableSpec::new("rows", 1).index("key", &[0], true))
            .expect("no fault");
        assert_eq!(database.verify().expect("no fault").problems, Vec::<String>::new());
        let store = &database.engine.store;
        crate::tree::create(store, TablespaceId(1), IndexId(5)).expect("no fault");
        let problems = database.verify().expect("no fault").problems;
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(problems[0], "index 5 of tablespace 1 is of no table");
        assert!(problems[1].ends_with("is in use, and nothing leads to it"), "{problems:?}");
        database.close().expect("no fault");
    });
}

#[test]
fn a_checkpoint_of_another_form_is_named() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = Database::create(&disk, &Options::default()).expect("no fault");
        let log = database.engine.store.log();
        let end = log.append(crate::store::record::CHECKPOINT, &[&[1; 8]]).expect("no fault");
        log.flush(end).expect("no fault");
        drop(database);
        let refused = Database::open(&disk, &Options::default()).expect_err("it is damaged");
        let told = refused.to_string();
        assert!(told.starts_with("log is damaged at a record: at "), "{told}");
        assert!(told.ends_with(": a checkpoint has 32 bytes, and this one 8"), "{told}");
    });
}

/// What a close says when `keep` has kept something for ever.
fn close_with(keep: impl FnOnce(&Database) + 'static) -> String {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    let boot = machine.boot(Ending::Never, move |ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = Database::create(&disk, &Options::default()).expect("no fault");
        database.create_table(&TableSpec::new("rows", 1)).expect("no fault");
        keep(&database);
        database.close().expect("no fault");
    });
    let End::Verdict(verdict) = boot.end else { panic!("{:?}", boot.end) };
    let name = "db/nothing is held after a close";
    assert!(verdict.assertion.starts_with(name), "{verdict:?}");
    verdict.message.to_string()
}

#[test]
fn a_close_finds_what_was_not_given_back() {
    let lock = close_with(|database| {
        let table = database.table("rows").expect("it was made");
        let txn = database.begin();
        txn.lock_table(&table, false).expect("nobody else has it");
        std::mem::forget(txn);
    });
    assert!(lock.contains("there are still locks"), "{lock}");
    let pin = close_with(|database| {
        let id = PageId { tablespace: TablespaceId::CATALOGUE, number: PageNumber(0) };
        std::mem::forget(
            database.engine.store.read(id, PageKind::FileHeader).expect("it is there"),
        );
    });
    assert!(pin.contains("pins of 1 frames"), "{pin}");
    let room = close_with(|database| {
        std::mem::forget(database.engine.admission.admit(7, || 0).expect("there is room"));
    });
    assert!(room.contains("7 bytes of the log"), "{room}");
}

/// What broke: who waited for room in the log asked for a checkpoint, and for another one as soon as that was made,
/// although a transaction that no gopher had applied held the start of recovery. It would have cost a user a disk
/// that is busy with checkpoints of nothing, and a log that each of them made longer, until the gopher came to it.
#[test]
fn who_waits_for_room_asks_for_no_checkpoint_that_can_make_none() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let options = Options { gopher_threads: 1, ..Options::default() };
        let database = Database::create(&disk, &options).expect("no fault");
        database.create_table(&TableSpec::new("rows", 1)).expect("no fault");
        let [_, table] = &database.engine.open_tables()[..] else { panic!("one table") };
        let before_gopher = hold(table);
        for _ in 0..8 {
            put(&database, "rows");
        }
        let checkpoints = || database.statistics().get("checkpoints").expect("it is counted");
        let before = checkpoints();
        let engine = Arc::clone(&database.engine);
        let waits = thread::spawn(move || {
            let log = engine.store.log();
            // More than there is before the rows are on pages.
            engine.admission.admit(log.capacity_bytes() - 65_536, || log.used_bytes()).map(drop)
        });
        thread::sleep(options.checkpoint_interval / 2);
        let made = checkpoints() - before;
        assert!((1..4).contains(&made), "{made} checkpoints");
        drop(before_gopher);
        waits.join().expect("it does not panic").expect("there is room");
        database.close().expect("no fault");
    });
}

#[test]
fn rows_are_found_in_a_cache_that_lies_in_one_slab() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let options = Options { cache_frames: 8_192, ..Options::default() };
        let database = Database::create(&disk, &options).expect("no fault");
        let spec = TableSpec::new("rows", 2).index("by_key", &[0], true);
        let table = database.create_table(&spec).expect("no fault");
        let row = |key: u64| [KeyValue::U64(key), KeyValue::Bytes(vec![key as u8; 300].into())];
        let mut txn = database.begin();
        for key in 0..200 {
            txn.insert(&table, &row(key)).expect("no fault");
        }
        txn.commit().expect("no fault");
        database.close().expect("no fault");

        let database = Database::open(&disk, &options).expect("it was closed");
        assert!(database.engine.store.cache().is_large());
        let by_key = database.table("rows").and_then(|table| table.index("by_key"));
        let by_key = by_key.expect("it was made");
        // By the index first, and then by shortcuts.
        for key in (0..200).chain(0..200) {
            let found = database.begin().get(&by_key, &row(key)[..1]).expect("no fault");
            assert_eq!(found.expect("it is there").1, row(key));
        }
        database.close().expect("no fault");
    });
}
