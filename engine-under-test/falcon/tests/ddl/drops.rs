//! What a drop does to names and handles, and whom it waits for.

use std::ops::Bound;
use std::sync::Arc;

use falcon::page::RecordNumber;
use falcon::page::key::KeyValue;
use falcon::tree::Direction;
use falcon::{Database, Error, Options, TableSpec};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_seam::time::Duration;

use crate::support::MemoryDisk;
use crate::{fill, on_machine, row, small, spec, used_pages};

fn is_dropped(error: &Error, name: &str) {
    assert!(
        matches!(error, Error::Dropped { what: "table", name: found } if found == name),
        "{error}"
    );
}

#[test]
fn a_dropped_table_is_gone_for_all_who_have_it() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let table = database.create_table(&spec("t")).expect("no fault");
        let index = table.index("id").expect("it has one");
        fill(&database, &table, 0..10, 10);
        let mut before = database.begin();
        database.drop_table("t").expect("nobody uses it");
        assert!(database.table("t").is_none());
        assert_eq!(database.table_names(), Vec::<String>::new());

        let key = [KeyValue::U64(1)];
        is_dropped(&before.insert(&table, &row(20, 0)).expect_err("gone"), "t");
        is_dropped(&before.update(&table, RecordNumber(0), &row(20, 0)).expect_err("gone"), "t");
        is_dropped(&before.delete(&table, RecordNumber(0)).expect_err("gone"), "t");
        is_dropped(&before.read(&table, RecordNumber(0)).expect_err("gone"), "t");
        is_dropped(&before.get(&index, &key).expect_err("gone"), "t");
        is_dropped(&before.get_for_update(&index, &key).expect_err("gone"), "t");
        let all = (Bound::Unbounded, Bound::Unbounded, Direction::Forward);
        is_dropped(&before.range(&index, all.0, all.1, all.2).expect_err("gone"), "t");
        is_dropped(&before.scan(&table).expect_err("gone"), "t");
        is_dropped(&before.lock_table(&table, true).expect_err("gone"), "t");
        // The transaction itself goes on.
        let other = database.create_table(&spec("t")).expect("the name is free");
        before.insert(&other, &row(1, 0)).expect("another table");
        before.commit().expect("no fault");
        is_dropped(&database.begin().scan(&table).expect_err("it is the old one"), "t");
        let missing = database.drop_table("u").expect_err("there was none");
        assert_eq!(missing.to_string(), "there is no table u");
        assert_eq!(database.verify().expect("no fault").rows, 1);
        used_pages(&database);
        database.close().expect("no fault");
    });
}

#[test]
fn a_drop_waits_for_those_who_use_the_table() {
    on_machine(|disk| {
        let options = Options { lock_wait_timeout: Duration::from_millis(50), ..small() };
        let database = Database::create(disk, &options).expect("no fault");
        let table = database.create_table(&spec("t")).expect("no fault");
        let reader = database.begin();
        assert_eq!(reader.read(&table, RecordNumber(7)).expect("no fault"), None);
        let refused = database.drop_table("t").expect_err("somebody reads");
        assert!(matches!(refused, Error::LockTimeout { .. }), "{refused}");
        reader.rollback();

        let mut writer = database.begin();
        writer.insert(&table, &row(1, 3_000)).expect("nothing was dropped");
        thread::scope(|scope| {
            let dropper = scope.spawn(|| database.drop_table("t"));
            thread::sleep(Duration::from_millis(20));
            writer.commit().expect("no fault");
            dropper.join().expect("it does not panic").expect("the writer is through");
        });
        let told = database.statistics();
        assert_eq!((told.get("tables_created"), told.get("tables_dropped")), (Some(1), Some(1)));
        used_pages(&database);
        database.close().expect("no fault");
    });
}

#[test]
fn who_waited_for_a_table_while_it_was_dropped_is_told() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let table = database.create_table(&spec("t")).expect("no fault");
        fill(&database, &table, 0..4, 10);
        let holder = database.begin();
        holder.lock_table(&table, false).expect("nobody else");
        thread::scope(|scope| {
            let dropper = scope.spawn(|| database.drop_table("t"));
            thread::sleep(Duration::from_millis(10));
            let readers: Vec<_> = (0..2)
                .map(|number| {
                    let (database, table) = (&database, &table);
                    scope.spawn(move || match number {
                        0 => database.begin().read(table, RecordNumber(0)).map(drop),
                        _ => database.begin().insert(table, &row(9, 0)).map(drop),
                    })
                })
                .collect();
            let second = scope.spawn(|| database.drop_table("t"));
            thread::sleep(Duration::from_millis(10));
            holder.rollback();
            dropper.join().expect("no panic").expect("it was first");
            for reader in readers {
                is_dropped(&reader.join().expect("no panic").expect_err("it waited"), "t");
            }
            is_dropped(&second.join().expect("no panic").expect_err("it waited"), "t");
        });
        used_pages(&database);
        database.close().expect("no fault");
    });
}

#[test]
fn numbers_are_used_again_where_pages_tell_nobody() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        // More tables than a page has slots for sections, and more indexes.
        for round in 0..600 {
            let table = database.create_table(&spec("t")).expect("a number is free");
            fill(&database, &table, round..round + 2, 10);
            database.drop_table("t").expect("nobody uses it");
            used_pages(&database);
        }
        database.close().expect("no fault");
    });
}

#[test]
fn there_are_no_more_tables_than_slots_and_a_drop_makes_room() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let mut count = 0;
        let refused = loop {
            match database.create_table(&TableSpec::new(format!("t{count}"), 1)) {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.to_string(), "there can be no more than 247 tables");
        assert_eq!(count, 246, "section 0 is none");
        database.drop_table("t7").expect("nobody uses it");
        used_pages(&database);
        database.create_table(&spec("t7")).expect("there is room");
        assert_eq!(database.table_names().len(), 246);
        database.close().expect("no fault");
        let database = Database::open(disk, &small()).expect("it is whole");
        assert_eq!(database.table_names().len(), 246);
        database.close().expect("no fault");
    });
}

/// What broke: a transaction that was to write to a table of another database looked for free numbers in its own
/// database, and left them with the other's table, before it was refused. It would have cost a user rows: the
/// next one that was inserted there took the number, and the place, of a row that was there. Whose table it is
/// is now looked at first.
#[test]
fn a_table_of_another_database_keeps_its_numbers() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        database.create_table(&spec("t")).expect("no fault");
        let other_disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let other = Database::create(&other_disk, &small()).expect("no fault");
        let theirs = other.create_table(&spec("t")).expect("no fault");
        fill(&other, &theirs, 0..3, 10);
        other.close().expect("no fault");
        let other = Database::open(&other_disk, &small()).expect("no fault");
        let theirs = other.table("t").expect("it is there");
        let refused = database.begin().insert(&theirs, &row(9, 0)).expect_err("it is another's");
        assert!(matches!(refused, Error::OtherDatabase { .. }), "{refused}");
        fill(&other, &theirs, 3..4, 10);
        assert_eq!(other.verify().expect("no fault").rows, 4);
        used_pages(&other);
        other.close().expect("no fault");
        database.close().expect("no fault");
    });
}
