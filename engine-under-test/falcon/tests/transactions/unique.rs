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
