//! Who waits for whom, and what a refused lock leaves behind.
//!
//! # Method
//!
//! Time is virtual: a thread that has not gone on after a tenth of a second waits for a lock.
//!
//! # Invariant
//!
//! No test waits for as long as a lock may be waited for, but where that is what is tested.

use std::ops::Bound::Unbounded;
use std::sync::Arc;

use falcon::page::RecordNumber;
use falcon::page::key::KeyValue;
use falcon::tree::Direction;
use falcon::txn::{Row, Table, Transaction};
use falcon::{Database, Error, Options, Result};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_seam::time::Duration;
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

use crate::{people, person, small, with_people};

/// Two committed rows.
fn two(database: &Database, table: &Table) -> [RecordNumber; 2] {
    let mut txn = database.begin();
    let rows = [(1, "ada"), (2, "bob")].map(|(id, name)| person(id, name, id));
    let records = rows.map(|row| txn.insert(table, &row).expect("no fault"));
    txn.commit().expect("no fault");
    records
}

enum Ends {
    Commits,
    RollsBack,
}

/// Runs `asks` in a transaction of its own while `holds` is there, and then `ends` that; what `asks` returned.
fn behind<T: Send>(
    database: &Database,
    holds: Transaction<'_>,
    ends: Ends,
    asks: impl FnOnce(&mut Transaction<'_>) -> Result<T> + Send,
) -> T {
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut txn = database.begin();
            let answer = asks(&mut txn).expect("it waits for its turn");
            txn.commit().expect("no fault");
            answer
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!asking.is_finished(), "it does not wait");
        match ends {
            Ends::Commits => holds.commit().expect("no fault"),
            Ends::RollsBack => holds.rollback(),
        }
        asking.join().expect("it does not panic")
    })
}

fn key(id: u64) -> [KeyValue<'static>; 1] {
    [KeyValue::U64(id)]
}

#[test]
fn who_reads_a_record_waits_for_who_changes_it() {
    with_people(&small(), |database, table| {
        let [ada, _] = two(database, table);
        let update = |row: &Row| {
            let mut txn = database.begin();
            assert!(txn.update(table, ada, row).expect("no fault"));
            txn
        };
        let read = |txn: &mut Transaction<'_>| txn.read(table, ada);
        let new = person(1, "ada", 9);
        let seen = behind(database, update(&new), Ends::Commits, read);
        assert_eq!(seen, Some(new.clone()));
        let seen = behind(database, update(&person(1, "ada", 10)), Ends::RollsBack, read);
        assert_eq!(seen, Some(new));
    });
}

#[test]
fn who_looks_for_a_unique_key_waits_for_who_adds_or_removes_it() {
    with_people(&small(), |database, table| {
        let [ada, bob] = two(database, table);
        let id = table.index("id").expect("it is there");
        let mut txn = database.begin();
        assert!(txn.delete(table, ada).expect("no fault"));
        let get = |txn: &mut Transaction<'_>| txn.get(&id, &key(1));
        assert_eq!(behind(database, txn, Ends::Commits, get), None);
        let mut txn = database.begin();
        let row = person(1, "cyd", 1);
        let cyd = txn.insert(table, &row).expect("no fault");
        let found = behind(database, txn, Ends::Commits, get);
        assert_eq!(found, Some((cyd, row)));
        // A key moves to another row: the one that had it is not met under it any more.
        let mut txn = database.begin();
        assert!(txn.update(table, cyd, &person(3, "cyd", 1)).expect("no fault"));
        assert!(txn.update(table, bob, &person(1, "bob", 2)).expect("no fault"));
        let found = behind(database, txn, Ends::Commits, get);
        assert_eq!(found, Some((bob, person(1, "bob", 2))));
    });
}

#[test]
fn who_adds_a_unique_key_waits_for_who_has_looked_for_it() {
    with_people(&small(), |database, table| {
        let id = table.index("id").expect("it is there");
        let insert = |txn: &mut Transaction<'_>| txn.insert(table, &person(1, "ada", 1));
        let txn = database.begin();
        assert_eq!(txn.get(&id, &key(1)).expect("no fault"), None);
        behind(database, txn, Ends::Commits, insert);
        // For an update, others do not even look.
        let txn = database.begin();
        assert_eq!(txn.get_for_update(&id, &key(2)).expect("no fault"), None);
        let get = |txn: &mut Transaction<'_>| txn.get(&id, &key(2));
        assert_eq!(behind(database, txn, Ends::Commits, get), None);
        let txn = database.begin();
        assert!(txn.get_for_update(&id, &key(1)).expect("no fault").is_some());
        let read = |txn: &mut Transaction<'_>| txn.read(table, RecordNumber(0));
        assert!(behind(database, txn, Ends::Commits, read).is_some());
    });
}

#[test]
fn who_writes_waits_for_who_has_read_a_range() {
    with_people(&small(), |database, table| {
        let [ada, _] = two(database, table);
        let name = table.index("name").expect("it is there");
        let insert = |txn: &mut Transaction<'_>| txn.insert(table, &person(3, "cyd", 3));
        let txn = database.begin();
        let range = txn.range(&name, Unbounded, Unbounded, Direction::Forward).expect("no fault");
        assert_eq!(range.count(), 2);
        behind(database, txn, Ends::Commits, insert);
        let txn = database.begin();
        assert_eq!(txn.scan(table).expect("no fault").count(), 3);
        let delete = |txn: &mut Transaction<'_>| txn.delete(table, ada);
        assert!(behind(database, txn, Ends::Commits, delete));
        let txn = database.begin();
        let key = [KeyValue::Text("eve".into())];
        assert_eq!(txn.get(&name, &key).expect("no fault"), None);
        let insert = |txn: &mut Transaction<'_>| txn.insert(table, &person(4, "eve", 4));
        behind(database, txn, Ends::Commits, insert);
    });
}

#[test]
fn a_table_is_locked_as_a_whole() {
    with_people(&small(), |database, table| {
        let [ada, bob] = two(database, table);
        let txn = database.begin();
        txn.lock_table(table, false).expect("no fault");
        let reader = database.begin();
        assert!(reader.read(table, ada).expect("both read").is_some());
        reader.commit().expect("no fault");
        let update = |txn: &mut Transaction<'_>| txn.update(table, bob, &person(2, "bob", 3));
        assert!(behind(database, txn, Ends::Commits, update));
        let mut txn = database.begin();
        txn.lock_table(table, true).expect("no fault");
        assert!(txn.update(table, bob, &person(2, "bob", 4)).expect("no fault"));
        let read = |txn: &mut Transaction<'_>| txn.read(table, ada);
        assert!(behind(database, txn, Ends::Commits, read).is_some());
    });
}

/// All calls give the same error, and what was done before is undone.
fn assert_refused(database: &Database, table: &Table, mut txn: Transaction<'_>, told: &Error) {
    let id = table.index("id").expect("it is there");
    let same = |error: Error| assert_eq!(error.to_string(), told.to_string());
    same(txn.insert(table, &person(7, "gus", 7)).expect_err("it is over"));
    same(txn.update(table, RecordNumber(9), &person(7, "gus", 7)).expect_err("it is over"));
    same(txn.delete(table, RecordNumber(9)).expect_err("it is over"));
    same(txn.read(table, RecordNumber(9)).expect_err("it is over"));
    same(txn.get(&id, &key(9)).expect_err("it is over"));
    same(txn.get_for_update(&id, &key(9)).expect_err("it is over"));
    same(txn.get_many(&id, &[key(9).to_vec()]).expect_err("it is over"));
    let range = txn.range(&id, Unbounded, Unbounded, Direction::Forward);
    same(range.expect_err("it is over"));
    same(txn.scan(table).expect_err("it is over"));
    same(txn.lock_table(table, false).expect_err("it is over"));
    same(txn.commit().expect_err("it is over"));
    let txn = database.begin();
    let (_, row) = txn.get(&id, &key(1)).expect("no lock is left").expect("it is there");
    assert_eq!(row, person(1, "ada", 1));
    assert_eq!(txn.get(&id, &key(5)).expect("no lock is left"), None);
}

#[test]
fn the_younger_of_two_that_wait_for_each_other_is_refused_and_the_other_goes_on() {
    with_people(&small(), |database, table| {
        let [ada, bob] = two(database, table);
        let mut older = database.begin();
        let mut txn = database.begin();
        txn.insert(table, &person(5, "eve", 5)).expect("no fault");
        assert!(txn.update(table, ada, &person(1, "ada", 8)).expect("no fault"));
        let refused = thread::scope(|scope| {
            let other = scope.spawn(move || {
                assert!(older.update(table, bob, &person(2, "bob", 8)).expect("no fault"));
                older.read(table, ada).expect("it gets it when the other is refused");
                older.rollback();
            });
            thread::sleep(Duration::from_millis(100));
            let refused = txn.read(table, bob).expect_err("the other waits for it");
            assert!(matches!(refused, Error::Deadlock { .. }), "{refused}");
            assert!(!other.is_finished(), "it waits until the transaction is rolled back");
            assert_refused(database, table, txn, &refused);
            other.join().expect("it does not panic");
            refused
        });
        assert!(refused.to_string().contains("which waits for"), "{refused}");
    });
}

#[test]
fn who_waits_is_refused_when_an_older_one_would_wait_for_it() {
    with_people(&small(), |database, table| {
        let [ada, bob] = two(database, table);
        let mut older = database.begin();
        assert!(older.update(table, ada, &person(1, "ada", 8)).expect("no fault"));
        thread::scope(|scope| {
            let younger = scope.spawn(|| {
                let mut txn = database.begin();
                assert!(txn.update(table, bob, &person(2, "bob", 8)).expect("no fault"));
                let refused = txn.read(table, ada).expect_err("the other is older");
                assert!(matches!(refused, Error::Deadlock { .. }), "{refused}");
                txn.rollback();
            });
            thread::sleep(Duration::from_millis(100));
            let row = older.read(table, bob).expect("the other is refused");
            assert_eq!(row, Some(person(2, "bob", 2)), "and rolled back");
            younger.join().expect("it does not panic");
        });
        older.commit().expect("no fault");
    });
}

/// A client that waits for no lock was once refused by its own last transaction: that was durable, and had its
/// locks until a gopher had brought it to pages.
#[test]
fn without_patience_a_client_is_not_refused_because_of_its_last_transaction() {
    for seed in 0..20 {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        machine.run(|ctx| {
            let disk: Arc<dyn Disk> = ctx.disk();
            let options = Options { lock_wait_timeout: Duration::ZERO, ..small() };
            let database = Database::create(&disk, &options).expect("no fault");
            let table = database.create_table(&people()).expect("no fault");
            let [ada, _] = two(&database, &table);
            for age in 0..20 {
                let mut txn = database.begin();
                let was_there = txn.update(&table, ada, &person(1, "ada", age));
                assert!(was_there.expect("nobody else is there"));
                txn.commit().expect("no fault");
            }
            database.close().expect("no fault");
        });
    }
}

#[test]
fn who_has_waited_for_too_long_is_refused() {
    with_people(&small(), |database, table| {
        let [_, bob] = two(database, table);
        let mut holds = database.begin();
        assert!(holds.update(table, bob, &person(2, "bob", 8)).expect("no fault"));
        let mut txn = database.begin();
        txn.insert(table, &person(5, "eve", 5)).expect("no fault");
        let refused = txn.delete(table, bob).expect_err("the other goes on for long");
        assert!(matches!(refused, Error::LockTimeout { .. }), "{refused}");
        assert_refused(database, table, txn, &refused);
        holds.commit().expect("no fault");
        let txn = database.begin();
        let row = txn.read(table, bob).expect("no fault");
        assert_eq!(row, Some(person(2, "bob", 8)));
    });
}

/// A new row waits for who has looked at the number that it gets; if that is in vain the number is free.
#[test]
fn a_number_of_a_row_that_did_not_come_is_given_to_another() {
    with_people(&small(), |database, table| {
        let looks = database.begin();
        assert_eq!(looks.read(table, RecordNumber(0)).expect("no fault"), None);
        let mut txn = database.begin();
        let refused = txn.insert(table, &person(1, "ada", 1)).expect_err("it is looked at");
        assert!(matches!(refused, Error::LockTimeout { .. }), "{refused}");
        txn.rollback();
        looks.commit().expect("no fault");
        let mut txn = database.begin();
        let record = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        assert_eq!(record, RecordNumber(0));
        txn.commit().expect("no fault");
    });
}
