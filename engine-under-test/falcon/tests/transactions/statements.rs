//! What single statements do, to their own transaction and to others.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use falcon::log::LogConfig;
use falcon::page::RecordNumber;
use falcon::page::key::KeyValue;
use falcon::tree::Direction::{Backward, Forward};
use falcon::txn::{Index, Row, Table, Transaction};
use falcon::{Database, Options, Result};
use falconry_seam::disk::Disk;
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

use crate::{ids, people, person, small, with_people};

fn index(table: &Table, name: &str) -> Index {
    table.index(name).expect("it is there")
}

fn rows(rows: impl Iterator<Item = Result<(RecordNumber, Row)>>) -> Vec<Row> {
    rows.map(|row| row.expect("no fault").1).collect()
}

#[test]
fn what_is_committed_is_seen_and_outlives_the_database() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = Database::create(&disk, &small()).expect("no fault");
        let table = database.create_table(&people()).expect("no fault");
        let mut txn = database.begin();
        let ada = txn.insert(&table, &person(1, "ada", 36)).expect("no fault");
        let bob = txn.insert(&table, &person(2, "bob", 7)).expect("no fault");
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        assert!(txn.update(&table, ada, &person(1, "ada", 37)).expect("no fault"));
        assert!(txn.delete(&table, bob).expect("no fault"));
        txn.commit().expect("no fault");
        database.close().expect("no fault");
        let database = Database::open(&disk, &small()).expect("no fault");
        let table = database.table("people").expect("it is there");
        let txn = database.begin();
        assert_eq!(txn.read(&table, ada).expect("no fault"), Some(person(1, "ada", 37)));
        assert_eq!(txn.read(&table, bob).expect("no fault"), None);
        assert_eq!(rows(txn.scan(&table).expect("no fault")), [person(1, "ada", 37)]);
        txn.commit().expect("no fault");
        assert_eq!(database.verify().expect("no fault").problems, Vec::<String>::new());
        database.close().expect("no fault");
    });
}

/// Three committed rows, and a transaction that has changed one, deleted one and added one.
fn changed<'d>(database: &'d Database, table: &Table) -> (Transaction<'d>, [RecordNumber; 4]) {
    let mut txn = database.begin();
    let one = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
    let two = txn.insert(table, &person(2, "bob", 2)).expect("no fault");
    let three = txn.insert(table, &person(3, "cyd", 3)).expect("no fault");
    txn.commit().expect("no fault");
    let mut txn = database.begin();
    assert!(txn.update(table, one, &person(10, "cyd", 1)).expect("no fault"));
    assert!(txn.delete(table, two).expect("no fault"));
    let four = txn.insert(table, &person(2, "cyd", 4)).expect("no fault");
    (txn, [one, two, three, four])
}

#[test]
fn own_writes_are_seen_by_single_reads() {
    with_people(&small(), |database, table| {
        let (txn, [one, two, three, four]) = changed(database, table);
        let row = |record| txn.read(table, record).expect("no fault");
        assert_eq!(row(one), Some(person(10, "cyd", 1)));
        assert_eq!(row(two), None);
        assert_eq!(row(three), Some(person(3, "cyd", 3)));
        assert_eq!(row(four), Some(person(2, "cyd", 4)));
        assert_eq!(row(RecordNumber(1_000_000)), None);
        let id = index(table, "id");
        let get = |id_value| txn.get(&id, &[KeyValue::U64(id_value)]).expect("no fault");
        assert_eq!(get(1), None);
        assert_eq!(get(10), Some((one, person(10, "cyd", 1))));
        assert_eq!(get(2), Some((four, person(2, "cyd", 4))));
        assert_eq!(get(3), Some((three, person(3, "cyd", 3))));
        let keys = [3, 1, 2, 3, 10].map(|id| vec![KeyValue::U64(id)]);
        let many = txn.get_many(&id, &keys).expect("no fault");
        let found: Vec<_> = many.iter().map(|found| found.as_ref().map(|(at, _)| *at)).collect();
        assert_eq!(found, [Some(three), None, Some(four), Some(three), Some(one)]);
        // By an index that is not unique: the first record, which is an own one, then one on pages.
        let name = index(table, "name");
        let cyd = txn.get(&name, &[KeyValue::Text("cyd".into())]).expect("no fault");
        assert_eq!(cyd, Some((one, person(10, "cyd", 1))));
        let bob = txn.get(&name, &[KeyValue::Text("bob".into())]).expect("no fault");
        assert_eq!(bob, None);
    });
}

#[test]
fn own_writes_are_merged_into_ranges_and_scans() {
    with_people(&small(), |database, table| {
        let (txn, _) = changed(database, table);
        let id = index(table, "id");
        let name = index(table, "pair");
        let forward = txn.range(&id, Unbounded, Unbounded, Forward).expect("no fault");
        assert_eq!(ids(&rows(forward)), [2, 3, 10]);
        let backward = txn.range(&id, Unbounded, Unbounded, Backward).expect("no fault");
        assert_eq!(ids(&rows(backward)), [10, 3, 2]);
        let cyd = [KeyValue::Text("cyd".into())];
        let all = txn.range(&name, Included(&cyd), Included(&cyd), Forward).expect("no fault");
        assert_eq!(ids(&rows(all)), [10, 3, 2], "by age");
        let before = txn.range(&name, Unbounded, Excluded(&cyd), Forward).expect("no fault");
        assert_eq!(ids(&rows(before)), [0; 0]);
        let from = [KeyValue::Text("cyd".into()), KeyValue::U64(3)];
        let rest = txn.range(&name, Excluded(&from), Unbounded, Backward).expect("no fault");
        assert_eq!(ids(&rows(rest)), [2]);
        let scan = txn.scan(table).expect("no fault");
        assert_eq!(ids(&rows(scan)), [10, 3, 2], "by record");
        // A range leaves the transaction free to read.
        let mut range = txn.range(&id, Unbounded, Unbounded, Forward).expect("no fault");
        let (record, first) = range.next().expect("there are three").expect("no fault");
        assert_eq!(txn.read(table, record).expect("no fault"), Some(first));
        assert_eq!(range.count(), 2);
    });
}

#[test]
fn a_rollback_undoes_all_and_gives_numbers_back() {
    with_people(&small(), |database, table| {
        let (txn, [one, two, three, four]) = changed(database, table);
        txn.rollback();
        let mut txn = database.begin();
        assert_eq!(ids(&rows(txn.scan(table).expect("no fault"))), [1, 2, 3]);
        assert_eq!(txn.read(table, one).expect("no fault"), Some(person(1, "ada", 1)));
        assert_eq!(txn.read(table, two).expect("no fault"), Some(person(2, "bob", 2)));
        assert_eq!(txn.read(table, three).expect("no fault"), Some(person(3, "cyd", 3)));
        assert_eq!(txn.insert(table, &person(4, "dan", 4)).expect("no fault"), four);
        // Dropping is rolling back.
        drop(txn);
        let mut txn = database.begin();
        assert_eq!(txn.insert(table, &person(4, "dan", 4)).expect("no fault"), four);
    });
}

#[test]
fn changes_of_one_record_become_one() {
    with_people(&small(), |database, table| {
        let mut txn = database.begin();
        let gone = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        assert!(txn.delete(table, gone).expect("no fault"));
        assert!(!txn.delete(table, gone).expect("no fault"), "it is gone");
        assert!(!txn.update(table, gone, &person(1, "ada", 1)).expect("no fault"));
        let again = txn.insert(table, &person(1, "eve", 2)).expect("no fault");
        assert_eq!(again, gone, "its number is free");
        assert!(txn.update(table, again, &person(5, "eve", 3)).expect("no fault"));
        assert!(txn.update(table, again, &person(6, "eve", 3)).expect("no fault"));
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        assert!(txn.update(table, again, &person(7, "fay", 3)).expect("no fault"));
        assert!(txn.update(table, again, &person(8, "fay", 4)).expect("no fault"));
        assert!(txn.delete(table, again).expect("no fault"));
        assert!(!txn.update(table, again, &person(8, "fay", 4)).expect("no fault"));
        let other = txn.insert(table, &person(6, "eve", 3)).expect("no fault");
        assert_ne!(other, again, "it is there until the transaction is on pages");
        txn.commit().expect("no fault");
        let txn = database.begin();
        assert_eq!(rows(txn.scan(table).expect("no fault")), [person(6, "eve", 3)]);
    });
}

#[test]
fn a_transaction_that_comes_to_nothing_writes_nothing() {
    with_people(&small(), |database, table| {
        let mut txn = database.begin();
        let record = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        assert!(txn.delete(table, record).expect("no fault"));
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        assert_eq!(txn.insert(table, &person(2, "bob", 1)).expect("no fault"), record);
        txn.rollback();
    });
}

#[test]
fn a_commit_of_many_records_is_one_commit() {
    let log = LogConfig { file_bytes_max: 4 << 20, ..small().log };
    with_people(&Options { log, ..small() }, |database, table| {
        let name = "n".repeat(80);
        let mut txn = database.begin();
        let records: Vec<RecordNumber> = (0..400)
            .map(|id| txn.insert(table, &person(id, &name, id)).expect("no fault"))
            .collect();
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        assert_eq!(ids(&rows(txn.scan(table).expect("no fault"))), Vec::from_iter(0..400));
        for record in &records {
            assert!(txn.delete(table, *record).expect("no fault"));
        }
        assert_eq!(txn.scan(table).expect("no fault").count(), 0);
        txn.commit().expect("no fault");
        let txn = database.begin();
        let pair = index(table, "pair");
        let range = txn.range(&pair, Unbounded, Unbounded, Backward).expect("no fault");
        assert_eq!(range.count(), 0);
    });
}

#[test]
fn a_long_row_goes_to_overflow_pages_and_back() {
    with_people(&small(), |database, table| {
        let long = |seed: u8| KeyValue::Bytes((0..3_000).map(|at| at as u8 ^ seed).collect());
        let row = |id, seed| vec![KeyValue::U64(id), KeyValue::Null, long(seed)];
        let mut txn = database.begin();
        // The pair of a long value would be too long for a key.
        let refused = txn.insert(table, &row(1, 7)).expect_err("the key is too long");
        assert!(refused.to_string().contains("a key has 30"), "{refused}");
        txn.rollback();
        let spec = falcon::TableSpec::new("long", 2).index("id", &[0], true);
        let table = &database.create_table(&spec).expect("no fault");
        let row = |id, seed| vec![KeyValue::U64(id), long(seed)];
        let mut txn = database.begin();
        let records: Vec<_> =
            (0..6).map(|id| txn.insert(table, &row(id, 1)).expect("no fault")).collect();
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        for (id, record) in records.iter().enumerate() {
            let id = id as u64;
            assert_eq!(txn.read(table, *record).expect("no fault"), Some(row(id, 1)));
            assert!(txn.update(table, *record, &row(id, 2)).expect("no fault"));
        }
        txn.commit().expect("no fault");
        let txn = database.begin();
        let found = rows(txn.scan(table).expect("no fault"));
        assert_eq!(found, (0..6).map(|id| row(id, 2)).collect::<Vec<_>>());
    });
}

#[test]
fn handles_tell_of_their_table() {
    with_people(&small(), |database, table| {
        assert_eq!((table.name(), table.column_count()), ("people", 3));
        assert!(table.index("age").is_none());
        let pair = index(table, "pair");
        assert_eq!((pair.name(), pair.columns(), pair.is_unique()), ("pair", &[1, 2][..], true));
        assert_eq!(pair.table().name(), "people");
        assert!(!index(table, "name").is_unique());
        assert_eq!(format!("{table:?} {pair:?}"), r#"Table("people") Index("people", "pair")"#);
        let (one, two) = (database.begin(), database.begin());
        assert!(one.id() < two.id());
        // A transaction may go from thread to thread.
        falconry_seam::thread::scope(|scope| scope.spawn(|| one.rollback()).join())
            .expect("it does not panic");
    });
}
