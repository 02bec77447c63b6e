//! What transactions refuse, and what a broken disk does to them.
//!
//! # Method
//!
//! What is wrong with a call is told before anything is locked: with no patience for locks, another
//! transaction then has the whole table at once. A disk in memory fails when it is told to, and shows its bytes.
//!
//! # Invariant
//!
//! After an error the transaction goes on, is undone, or is found out by the next opening, as the error says.

use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;

use falcon::log::LogConfig;
use falcon::page::key::KeyValue;
use falcon::page::{DataPage, DataPageMut, Header, PageKind, Record, RecordNumber, seal};
use falcon::tree::Direction::Forward;
use falcon::txn::{Row, Table};
use falcon::{Database, Error, Options, PageId, PageNumber, TableSpec, TablespaceId, row};
use falconry_seam::disk::Disk;
use falconry_seam::time::Duration;
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

use crate::support::MemoryDisk;
use crate::{people, person, small, with_people};

/// No patience for locks, and no thread that does something of its own accord.
fn still() -> Options {
    Options {
        lock_wait_timeout: Duration::ZERO,
        checkpoint_interval: Duration::from_secs(24 * 60 * 60),
        ..small()
    }
}

/// Nobody holds a lock on the table.
fn assert_unlocked(database: &Database, table: &Table) {
    database.begin().lock_table(table, true).expect("nobody holds a lock");
}

fn column_count<T>(result: Result<T, Error>) -> (String, usize, usize) {
    match result {
        Err(Error::ColumnCount { name, found, expected }) => (name, found, expected),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn counts_of_columns_are_checked_first() {
    with_people(&still(), |database, table| {
        let mut txn = database.begin();
        let (short, null) = (&person(1, "ada", 1)[..2], vec![KeyValue::Null; 4]);
        assert_eq!(column_count(txn.insert(table, short)), ("people".into(), 2, 3));
        let update = txn.update(table, RecordNumber(0), &null);
        assert_eq!(column_count(update), ("people".into(), 4, 3));
        let (id, pair) = (table.index("id").expect("it is"), table.index("pair").expect("it is"));
        assert_eq!(column_count(txn.get(&id, &[])), ("id".into(), 0, 1));
        assert_eq!(column_count(txn.get(&pair, &null[..1])), ("pair".into(), 1, 2));
        assert_eq!(column_count(txn.get_for_update(&id, &null)), ("id".into(), 4, 1));
        let keys = [null[..2].to_vec(), null[..1].to_vec()];
        assert_eq!(column_count(txn.get_many(&pair, &keys)), ("pair".into(), 1, 2));
        let range = txn.range(&pair, Included(&null[..3]), Unbounded, Forward);
        assert_eq!(column_count(range), ("pair".into(), 3, 2));
        let range = txn.range(&pair, Unbounded, Included(&null[..3]), Forward);
        assert_eq!(column_count(range), ("pair".into(), 3, 2));
        assert_unlocked(database, table);
        txn.commit().expect("no fault");
    });
}

#[test]
fn rows_and_keys_that_are_too_long_are_refused_first() {
    with_people(&still(), |database, table| {
        let mut txn = database.begin();
        let long = "x".repeat(20_000);
        let error = txn.insert(table, &person(1, &long, 1)).expect_err("the row is too long");
        let Error::RowTooLong { bytes, bytes_max, .. } = error else { panic!("{error}") };
        assert!(bytes > 20_000 && bytes_max < bytes, "{bytes}, at most {bytes_max}");
        let error = txn.update(table, RecordNumber(0), &person(1, &long[..200], 1));
        let error = error.expect_err("the key is too long");
        assert!(matches!(error, Error::KeyTooLong { bytes: 203, bytes_max: 104 }), "{error}");
        assert_unlocked(database, table);
        // A key to look for may have any length: there is no row with it.
        let name = table.index("name").expect("it is there");
        let key = [KeyValue::Text(long.into())];
        assert_eq!(txn.get(&name, &key).expect("no fault"), None);
        let range = txn.range(&name, Included(&key), Included(&key), Forward).expect("no fault");
        assert_eq!(range.count(), 0);
        txn.commit().expect("no fault");
    });
}

#[test]
fn a_change_that_fits_into_no_record_of_the_log_is_refused() {
    let log = LogConfig { window_bytes: 8 << 10, ..small().log };
    with_people(&Options { log, ..small() }, |database, _| {
        let many = (0..64).fold(TableSpec::new("many", 2), |spec, number| {
            spec.index(format!("index {number}"), &[0], false)
        });
        let table = database.create_table(&many).expect("no fault");
        let row = |fill: u8, bytes| {
            let key = String::from(char::from(fill)).repeat(95);
            vec![KeyValue::Text(key.into()), KeyValue::Bytes(vec![fill; bytes].into())]
        };
        let mut txn = database.begin();
        let record = txn.insert(&table, &row(b'a', 3_000)).expect("it fits");
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        let error = txn.update(&table, record, &row(b'b', 3_000)).expect_err("old keys are long");
        assert!(matches!(error, Error::TooLong { bytes_max: 8_123, .. }), "{error}");
        assert_eq!(txn.read(&table, record).expect("no fault"), Some(row(b'a', 3_000)));
        assert!(txn.update(&table, record, &row(b'b', 100)).expect("it fits"));
        txn.commit().expect("no fault");
    });
}

#[test]
fn a_table_of_another_database_is_refused() {
    with_people(&still(), |database, table| {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let other = Database::create(&disk, &still()).expect("no fault");
        let theirs = other.create_table(&people()).expect("no fault");
        let mut txn = database.begin();
        let mut refuse = || {
            let error = txn.insert(&theirs, &person(1, "ada", 1)).expect_err("another's");
            assert!(matches!(error, Error::OtherDatabase { .. }), "{error}");
            let error = txn.read(&theirs, RecordNumber(0)).expect_err("another's");
            assert_eq!(error.to_string(), "table people is of another database");
        };
        refuse();
        txn.insert(table, &person(1, "ada", 1)).expect("it is of this one");
        let error =
            txn.scan(&theirs).expect_err("another's, although one of this number is locked");
        assert!(matches!(error, Error::OtherDatabase { .. }), "{error}");
        txn.commit().expect("no fault");
        other.close().expect("no fault");
    });
}

#[test]
fn a_transaction_that_is_too_large_is_rolled_back() {
    with_people(&still(), |database, table| {
        let mut txn = database.begin();
        for id in 0..2_000 {
            txn.insert(table, &person(id, "ada", id)).expect("no fault");
        }
        let error = txn.commit().expect_err("the log is small");
        assert!(matches!(error, Error::TransactionTooLarge { .. }), "{error}");
        assert_unlocked(database, table);
        let mut txn = database.begin();
        assert_eq!(txn.scan(table).expect("no fault").count(), 0);
        let record = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        assert_eq!(record, RecordNumber(0), "the numbers are free again");
        txn.commit().expect("no fault");
    });
}

/// A database on a disk in memory, with one committed row; `body` may break the disk.
fn on_memory(body: impl Fn(&MemoryDisk, Database, &Table, RecordNumber)) {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(move |_| {
        let memory = MemoryDisk::default();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let log = LogConfig { file_bytes_max: 4 << 20, ..still().log };
        let options = Options { log, ..still() };
        let database = Database::create(&disk, &options).expect("no fault");
        let table = database.create_table(&people()).expect("no fault");
        let mut txn = database.begin();
        let record = txn.insert(&table, &person(1, "ada", 1)).expect("no fault");
        txn.commit().expect("no fault");
        database.checkpoint().expect("no fault");
        body(&memory, database, &table, record);
    });
}

/// The rows that the next opening finds.
fn rows_at_next_opening(memory: &MemoryDisk) -> Vec<Row> {
    memory.crash_process();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let database = Database::open(&disk, &still()).expect("no fault");
    let table = database.table("people").expect("it is there");
    let txn = database.begin();
    let rows = txn.scan(&table).expect("no fault").map(|row| row.expect("no fault").1).collect();
    txn.commit().expect("no fault");
    assert_eq!(database.verify().expect("no fault").problems, Vec::<String>::new());
    database.close().expect("no fault");
    rows
}

#[test]
fn a_commit_that_the_log_fails_is_told_by_the_next_opening() {
    on_memory(|memory, database, table, _| {
        let mut other = database.begin();
        other.insert(table, &person(3, "cyd", 3)).expect("no fault");
        let mut txn = database.begin();
        txn.insert(table, &person(2, "bob", 2)).expect("no fault");
        let number = txn.id();
        memory.fail_after(0);
        let error = txn.commit().expect_err("the log cannot be written");
        assert!(matches!(error, Error::OutcomeUnknown { txn, .. } if txn == number), "{error}");
        assert!(error.to_string().contains("not known until the next opening"), "{error}");
        // Nothing of the others is in the log: they are not committed.
        let stopped = other.insert(table, &person(4, "dan", 4)).expect_err("it has stopped");
        assert!(matches!(stopped, Error::Stopped(_)), "{stopped}");
        let stopped = other.commit().expect_err("it has stopped");
        assert!(matches!(stopped, Error::Stopped(_)), "{stopped}");
        let stopped = database.begin().lock_table(table, false).expect_err("it has stopped");
        assert!(matches!(stopped, Error::Stopped(_)), "{stopped}");
        drop(database);
        assert_eq!(rows_at_next_opening(memory), [person(1, "ada", 1)]);
    });
}

#[test]
fn a_commit_whose_rows_do_not_get_into_the_log_is_none() {
    on_memory(|memory, database, table, _| {
        let mut txn = database.begin();
        // More than a window takes: the second record waits for the first to be written.
        for id in 2..350 {
            txn.insert(table, &person(id, &"n".repeat(90), id)).expect("no fault");
        }
        memory.fail_after(0);
        let error = txn.commit().expect_err("the log cannot be written");
        assert!(matches!(error, Error::Stopped(_)), "{error}");
        drop(database);
        assert_eq!(rows_at_next_opening(memory), [person(1, "ada", 1)]);
    });
}

/// Opens the database again, so that no page is in memory.
fn open_again(memory: &MemoryDisk, database: Database) -> (Database, Table) {
    database.close().expect("no fault");
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let database = Database::open(&disk, &still()).expect("no fault");
    let table = database.table("people").expect("it is there");
    (database, table)
}

#[test]
fn a_page_that_cannot_be_read_fails_the_call_and_nothing_else() {
    on_memory(|memory, database, _, record| {
        let (database, table) = open_again(memory, database);
        let mut txn = database.begin();
        memory.fail_after(0);
        let error = txn.read(&table, record).expect_err("the disk fails");
        assert!(matches!(error, Error::Io { .. }), "{error}");
        let error = txn.insert(&table, &person(2, "bob", 2)).expect_err("the disk fails");
        assert!(matches!(error, Error::Io { .. }), "{error}");
        let mut scan = txn.scan(&table).expect("it is locked");
        assert!(scan.next().expect("an error is an item").is_err());
        assert!(scan.next().is_none(), "there is nothing behind an error");
        let id = table.index("id").expect("it is there");
        let mut range = txn.range(&id, Unbounded, Unbounded, Forward).expect("it is locked");
        assert!(range.next().expect("an error is an item").is_err());
        assert!(range.next().is_none(), "there is nothing behind an error");
        memory.fail_after(u64::MAX / 2);
        assert_eq!(txn.read(&table, record).expect("it works"), Some(person(1, "ada", 1)));
        txn.insert(&table, &person(2, "bob", 2)).expect("it works");
        txn.commit().expect("it works");
        database.close().expect("it works");
    });
}

/// Puts a record in the place of the only one of the only data page of the tablespace.
fn replace_record(memory: &MemoryDisk, record: &[u8]) {
    let page_bytes = small().page_bytes as usize;
    memory.edit("user.pages", |file| {
        let is_data =
            |page: &[u8]| Header::read(page).is_ok_and(|header| header.kind == PageKind::Data);
        let number = file.chunks(page_bytes).position(is_data).expect("there is a data page");
        let page = &mut file[number * page_bytes..][..page_bytes];
        let (line, _) = DataPage::of_checked(page).records().next().expect("it has a record");
        DataPageMut::of_checked(page).put(line, Record::whole(record)).expect("it has room");
        let number = PageNumber(number as u32);
        seal(page, PageId { tablespace: TablespaceId(1), number });
    });
}

#[test]
fn a_row_that_is_none_or_not_the_one_of_its_key_is_damaged() {
    let rows: [(Vec<u8>, &str); 3] = [
        (vec![1, 9], "byte 1 of the row: expected the tag of a column"),
        (row::encode(&person(1, "ada", 1)[..2]), "2 values were given for people"),
        (row::encode(&person(9, "ada", 1)), "index id leads to it by a key that it does not have"),
    ];
    for (bytes, expected) in &rows {
        on_memory(|memory, database, _, record| {
            database.close().expect("no fault");
            replace_record(memory, bytes);
            let disk: Arc<dyn Disk> = Arc::new(memory.clone());
            let database = Database::open(&disk, &still()).expect("the catalogue is whole");
            let table = database.table("people").expect("it is there");
            let txn = database.begin();
            let id = table.index("id").expect("it is there");
            let key = [KeyValue::U64(1)];
            let told = |error: Error| {
                let Error::Damaged { file, place, what } = &error else { panic!("{error}") };
                assert_eq!(file.to_str(), Some("user.pages"));
                assert_eq!(place, &format!("record {} of table people", record.0));
                assert!(what.starts_with(expected), "{error}");
            };
            told(txn.get(&id, &key).expect_err("the row is damaged"));
            let mut range =
                txn.range(&id, Included(&key), Unbounded, Forward).expect("it is locked");
            told(range.next().expect("an error is an item").expect_err("the row is damaged"));
            assert!(range.next().is_none());
            txn.commit().expect("no fault");
        });
    }
}
