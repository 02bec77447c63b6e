//! Keys that no two rows may have.

use falcon::page::key::KeyValue;
use falcon::{Error, Result};

use crate::{person, small, with_people};

/// The index of which a key was there already.
fn duplicate<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Duplicate { table, index }) => {
            assert_eq!(table, "people");
            index
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_is_on_pages_is_refused_and_nothing_changes() {
    with_people(&small(), |database, table| {
        let mut txn = database.begin();
        let ada = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        let bob = txn.insert(table, &person(2, "bob", 2)).expect("no fault");
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        assert_eq!(duplicate(txn.insert(table, &person(1, "cyd", 3))), "id");
        assert_eq!(duplicate(txn.insert(table, &person(3, "bob", 2))), "pair");
        assert_eq!(duplicate(txn.update(table, ada, &person(2, "bob", 2))), "id");
        assert_eq!(duplicate(txn.update(table, ada, &person(1, "bob", 2))), "pair");
        let cyd = txn.insert(table, &person(3, "bob", 3)).expect("the name is not unique");
        assert_eq!(txn.read(table, ada).expect("no fault"), Some(person(1, "ada", 1)));
        assert!(txn.update(table, ada, &person(1, "ada", 1)).expect("its own keys"));
        txn.commit().expect("no fault");
        let txn = database.begin();
        assert_eq!(txn.read(table, ada).expect("no fault"), Some(person(1, "ada", 1)));
        assert_eq!(txn.read(table, bob).expect("no fault"), Some(person(2, "bob", 2)));
        assert_eq!(txn.read(table, cyd).expect("no fault"), Some(person(3, "bob", 3)));
        assert_eq!(txn.scan(table).expect("no fault").count(), 3);
    });
}

#[test]
fn a_key_of_an_own_row_is_refused() {
    with_people(&small(), |database, table| {
        let mut txn = database.begin();
        let ada = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        assert_eq!(duplicate(txn.insert(table, &person(1, "bob", 2))), "id");
        let bob = txn.insert(table, &person(2, "bob", 2)).expect("no fault");
        assert_eq!(duplicate(txn.update(table, bob, &person(1, "bob", 2))), "id");
        assert!(txn.delete(table, ada).expect("no fault"));
        assert!(txn.update(table, bob, &person(1, "bob", 2)).expect("the key is free"));
        txn.commit().expect("no fault");
        let txn = database.begin();
        assert_eq!(txn.scan(table).expect("no fault").count(), 1);
    });
}

#[test]
fn keys_go_from_row_to_row_within_a_transaction() {
    with_people(&small(), |database, table| {
        let mut txn = database.begin();
        let one = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        let two = txn.insert(table, &person(2, "bob", 2)).expect("no fault");
        txn.commit().expect("no fault");
        // Both exchange their ids, over a third one.
        let mut txn = database.begin();
        assert!(txn.update(table, one, &person(3, "ada", 1)).expect("no fault"));
        assert!(txn.update(table, two, &person(1, "bob", 2)).expect("the id is free"));
        assert!(txn.update(table, one, &person(2, "ada", 1)).expect("the id is free"));
        txn.commit().expect("no fault");
        // The id of a row that goes is that of a new one, and the other way round.
        let mut txn = database.begin();
        assert!(txn.delete(table, one).expect("no fault"));
        let three = txn.insert(table, &person(2, "cyd", 3)).expect("the id is free");
        assert!(txn.delete(table, three).expect("no fault"));
        let three = txn.insert(table, &person(2, "cyd", 4)).expect("the id is free");
        txn.commit().expect("no fault");
        let txn = database.begin();
        let index = table.index("id").expect("it is there");
        let get = |id| txn.get(&index, &[KeyValue::U64(id)]).expect("no fault");
        assert_eq!(get(1), Some((two, person(1, "bob", 2))));
        assert_eq!(get(2), Some((three, person(2, "cyd", 4))));
        assert_eq!(get(3), None);
    });
}

#[test]
fn keys_with_a_null_are_not_compared() {
    with_people(&small(), |database, table| {
        let row = |id| vec![KeyValue::U64(id), KeyValue::Null, KeyValue::U64(1)];
        let mut txn = database.begin();
        let one = txn.insert(table, &row(1)).expect("no fault");
        let two = txn.insert(table, &row(2)).expect("the pair has a null");
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        let three = txn.insert(table, &row(3)).expect("the pair has a null");
        let pair = table.index("pair").expect("it is there");
        let key = [KeyValue::Null, KeyValue::U64(1)];
        assert_eq!(txn.get(&pair, &key).expect("no fault"), Some((one, row(1))));
        assert!(txn.delete(table, one).expect("no fault"));
        assert_eq!(txn.get(&pair, &key).expect("no fault"), Some((two, row(2))));
        assert!(txn.update(table, two, &person(2, "bob", 1)).expect("no fault"));
        assert_eq!(txn.get(&pair, &key).expect("no fault"), Some((three, row(3))));
        assert_eq!(txn.get_for_update(&pair, &key).expect("no fault"), Some((three, row(3))));
        txn.commit().expect("no fault");
    });
}

#[test]
fn zero_has_one_sign_in_keys() {
    with_people(&small(), |database, table| {
        let row = |id, age| vec![KeyValue::U64(id), KeyValue::Text("z".into()), KeyValue::F64(age)];
        let mut txn = database.begin();
        let record = txn.insert(table, &row(1, 0.0)).expect("no fault");
        assert_eq!(duplicate(txn.insert(table, &row(2, -0.0))), "pair");
        txn.commit().expect("no fault");
        let mut txn = database.begin();
        assert_eq!(duplicate(txn.insert(table, &row(2, -0.0))), "pair");
        assert!(txn.update(table, record, &row(1, -0.0)).expect("its own key"));
        txn.commit().expect("no fault");
    });
}

/// Where a key was found is remembered, and is followed only to a row that has the key.
#[test]
fn a_key_is_found_where_it_is_now_wherever_it_was_before() {
    with_people(&small(), |database, table| {
        let by_id = table.index("id").expect("it has one");
        let find = |id: u64| {
            let txn = database.begin();
            // Twice: the second time by what the first has left.
            let found = [0, 1].map(|_| txn.get(&by_id, &[KeyValue::U64(id)]).expect("no fault"));
            assert_eq!(found[0], found[1]);
            txn.commit().expect("no fault");
            found[0].clone()
        };
        let commit = |change: &dyn Fn(&mut falcon::Transaction<'_>)| {
            let mut txn = database.begin();
            change(&mut txn);
            txn.commit().expect("no fault");
        };
        commit(&|txn| {
            txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        });
        let (record, row) = find(1).expect("it was inserted");
        assert_eq!(row, person(1, "ada", 1));
        commit(&|txn| {
            assert!(txn.update(table, record, &person(2, "ada", 1)).expect("no fault"));
        });
        assert_eq!((find(1), find(2)), (None, Some((record, person(2, "ada", 1)))));
        commit(&|txn| {
            assert!(txn.delete(table, record).expect("no fault"));
        });
        assert_eq!((find(1), find(2)), (None, None));
        // The free number goes to a row with another key, and the key to another number.
        commit(&|txn| {
            txn.insert(table, &person(3, "bob", 3)).expect("no fault");
            txn.insert(table, &person(2, "cyd", 2)).expect("no fault");
        });
        let (bob, _) = find(3).expect("it was inserted");
        let (cyd, row) = find(2).expect("it was inserted");
        assert_eq!((bob, row), (record, person(2, "cyd", 2)));
        assert_ne!(cyd, record);
        assert_eq!(find(1), None);
    });
}

/// Who has read the row of a key keeps it there by the lock on the row; who has found none keeps it away by
/// one on the key.
#[test]
fn what_a_key_was_found_to_be_stays_so_until_the_transaction_is_over() {
    with_people(&small(), |database, table| {
        let by_id = table.index("id").expect("it has one");
        let mut txn = database.begin();
        let ada = txn.insert(table, &person(1, "ada", 1)).expect("no fault");
        txn.commit().expect("no fault");
        // It waits until the row is on its page: until then a reader does not know where, and locks the key.
        database.verify().expect("no fault");
        let reader = database.begin();
        for _ in 0..2 {
            let found = reader.get(&by_id, &[KeyValue::U64(1)]).expect("no fault");
            assert_eq!(found, Some((ada, person(1, "ada", 1))));
        }
        assert_eq!(reader.get(&by_id, &[KeyValue::U64(9)]).expect("no fault"), None);
        let refused = |result: Result<bool>, name: &str| {
            let told = result.expect_err("the reader is there").to_string();
            assert!(told.contains(name), "{told}");
        };
        let record = format!("record {} of table", ada.0);
        refused(database.begin().delete(table, ada), &record);
        refused(database.begin().update(table, ada, &person(2, "ada", 1)), &record);
        let mut txn = database.begin();
        assert_eq!(duplicate(txn.insert(table, &person(1, "bob", 2))), "id");
        refused(txn.insert(table, &person(9, "bob", 2)).map(|_| true), "key 0x");
        drop(txn);
        reader.commit().expect("no fault");
        let mut txn = database.begin();
        txn.insert(table, &person(9, "bob", 2)).expect("the reader is gone");
        assert!(txn.delete(table, ada).expect("the reader is gone"));
        txn.commit().expect("no fault");
    });
}
