//! What a transaction has written: rows that nobody else sees yet.
//!
//! # Method
//!
//! By table, the records that the transaction has changed, each with the row that it has now, and the keys
//! that it had on pages. Several changes of a record so become one: a row that comes and goes is forgotten, its number
//! kept for the next one; a new row that is changed is a new row; one that goes has all keys that it had
//! before the transaction. By index, the keys that changed rows have now, in order.
//!
//! # Invariant
//!
//! The keys in order are those of the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use falconry_seam::reachable;
use falconry_seam::sync::PoisonError;

use crate::TableId;
use crate::db::{RowChange, TableInfo, What};
use crate::page::RecordNumber;
use crate::page::index::{IndexKey, IndexKeyBuf};

/// The keys of a row, by the place of their index.
pub(super) type Keys = Vec<Vec<u8>>;

/// A row as a change leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// Encoded.
    pub(super) row: Vec<u8>,
    pub(super) keys: Keys,
}

/// A record that was changed.
struct Written {
    /// The keys of the row on pages; none when it has none there.
    before: Option<Keys>,
    /// None when it goes.
    now: Option<Now>,
}

/// The writes in one table.
pub(super) struct TableWrites {
    table: Arc<TableInfo>,
    records: BTreeMap<RecordNumber, Written>,
    /// By the place of their index.
    keys: Vec<BTreeSet<IndexKeyBuf>>,
    /// Numbers of rows that came and went.
    spare: Vec<RecordNumber>,
}

/// The writes of a transaction.
#[derive(Default)]
pub(super) struct Writes {
    tables: BTreeMap<TableId, TableWrites>,
}

/// How much a transaction writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    /// Changes of rows.
    pub(super) changes: u64,
    /// Bytes of these in the log, old keys among them.
    pub(super) change_bytes: u64,
    /// Keys that come to indexes or go.
    pub(super) keys: u64,
    /// Bytes of those that come.
    pub(super) new_key_bytes: u64,
}

impl Writes {
    /// The writes in a table, if there are any.
    pub(super) fn table(&self, table: TableId) -> Option<&TableWrites> {
        self.tables.get(&table)
    }

    /// Notes that a record, which has `keys` as the transaction sees it or is not there, becomes `then`
    /// or goes.
    pub(super) fn change(
        &mut self,
        table: &Arc<TableInfo>,
        record: RecordNumber,
        keys: Option<Keys>,
        then: Option<Now>,
    ) {
        let writes = self.tables.entry(table.id).or_insert_with(|| TableWrites::new(table));
        writes.change(record, keys, then);
    }

    /// The number of a row that came and went, for a new one.
    pub(super) fn take_spare(&mut self, table: TableId) -> Option<RecordNumber> {
        self.tables.get_mut(&table)?.spare.pop()
    }

    /// How much there is to write.
    pub(super) fn volume(&self) -> Volume {
        let mut volume = Volume::default();
        for writes in self.tables.values() {
            writes.records.values().for_each(|written| written.count(&mut volume));
        }
        volume
    }

    /// One change for each record, by table and record.
    pub(super) fn take_changes(&mut self) -> Vec<RowChange> {
        let mut changes = Vec::new();
        for (table, writes) in &mut self.tables {
            writes.keys.clear();
            for (record, written) in std::mem::take(&mut writes.records) {
                changes.push(written.into_change(*table, record));
            }
        }
        changes
    }

    /// Gives the numbers back that no row on pages has, nor will have because of what is still here.
    pub(super) fn give_numbers_back(&mut self) {
        for writes in std::mem::take(&mut self.tables).into_values() {
            let is_new = |(record, written): (RecordNumber, Written)| {
                written.before.is_none().then_some(record)
            };
            let new = writes.records.into_iter().filter_map(is_new);
            let mut numbers = writes.table.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            writes.spare.into_iter().chain(new).for_each(|record| numbers.give_back(record));
        }
    }
}

impl TableWrites {
    fn new(table: &Arc<TableInfo>) -> TableWrites {
        TableWrites {
            table: Arc::clone(table),
            records: BTreeMap::new(),
            keys: table.indexes.iter().map(|_| BTreeSet::new()).collect(),
            spare: Vec::new(),
        }
    }

    /// Whether the transaction has changed a record: what pages tell of it is of no interest then.
    pub(super) fn has(&self, record: RecordNumber) -> bool {
        self.records.contains_key(&record)
    }

    /// A record that the transaction has changed: its row, encoded, or none if it goes.
    pub(super) fn row(&self, record: RecordNumber) -> Option<Option<&[u8]>> {
        let written = self.records.get(&record)?;
        Some(written.now.as_ref().map(|now| now.row.as_slice()))
    }

    /// The first changed row at or behind `from`.
    pub(super) fn next_row(&self, from: RecordNumber) -> Option<RecordNumber> {
        let mut records = self.records.range(from..);
        records.find(|(_, written)| written.now.is_some()).map(|(record, _)| *record)
    }

    /// The keys of changed rows in an index.
    pub(super) fn keys(&self, place: usize) -> &BTreeSet<IndexKeyBuf> {
        &self.keys[place]
    }

    /// The first changed row that has this key.
    pub(super) fn holder(&self, place: usize, key: &[u8]) -> Option<RecordNumber> {
        let first = IndexKey { key, record: RecordNumber(0) }.to_buf();
        let found = self.keys[place].range(first..).next()?;
        (found.key == key).then_some(found.record)
    }

    fn change(&mut self, record: RecordNumber, keys: Option<Keys>, then: Option<Now>) {
        let written = match self.records.remove(&record) {
            Some(Written { before, now }) => {
                let has_now = now.as_ref().map(|now| &now.keys);
                assert_eq!(has_now, keys.as_ref(), "the keys of record {}", record.0);
                self.drop_keys(record, keys.unwrap_or_default());
                Written { before, now: then }
            }
            None => Written { before: keys, now: then },
        };
        if written.before.is_none() && written.now.is_none() {
            reachable!("txn/a row came and went");
            self.spare.push(record);
            return;
        }
        let now = written.now.iter().flat_map(|now| &now.keys);
        for (keys, key) in self.keys.iter_mut().zip(now) {
            keys.insert(IndexKey { key, record }.to_buf());
        }
        self.records.insert(record, written);
    }

    fn drop_keys(&mut self, record: RecordNumber, dropped: Keys) {
        for (keys, key) in self.keys.iter_mut().zip(dropped) {
            let key = IndexKeyBuf { key, record };
            assert!(keys.remove(&key), "{key:?} is not among the keys of own rows");
        }
    }
}

impl Written {
    /// The keys that the record had on pages and has no more, by the place of their index.
    fn old_keys(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let before = self.before.iter().flatten().enumerate();
        before.filter_map(|(place, key)| {
            let is_kept = self.now.as_ref().is_some_and(|now| now.keys[place] == *key);
            let place = u8::try_from(place).expect("a table has at most 64 indexes");
            (!is_kept).then_some((place, key.as_slice()))
        })
    }

    fn into_change(self, table: TableId, record: RecordNumber) -> RowChange {
        let old_keys = self.old_keys().map(|(place, key)| (place, key.to_vec())).collect();
        let what = match (&self.before, &self.now) {
            (None, _) => What::Insert,
            (Some(_), Some(_)) => What::Update,
            (Some(_), None) => What::Delete,
        };
        let row = self.now.map(|now| now.row).unwrap_or_default();
        RowChange { table, record, what, row, old_keys }
    }

    fn count(&self, volume: &mut Volume) {
        volume.changes += 1;
        let row_bytes = self.now.as_ref().map_or(0, |now| now.row.len());
        let old_keys = self.old_keys().map(|(_, key)| key.len());
        volume.change_bytes += RowChange::bytes(row_bytes, old_keys) as u64;
        volume.keys += self.old_keys().count() as u64;
        let new_keys = self.now.iter().flat_map(|now| now.keys.iter().enumerate());
        for (place, key) in new_keys {
            let is_kept = self.before.as_ref().is_some_and(|before| before[place] == *key);
            volume.keys += u64::from(!is_kept);
            volume.new_key_bytes += if is_kept { 0 } else { key.len() as u64 };
        }
    }
}

#[cfg(test)]
mod tests {
    use falconry_sim::choice::Choices;
    use falconry_sim::{Machine, MachineConfig};

    use super::*;
    use crate::db::{Database, Options, TableSpec};

    /// Runs `body` with a table of two indexes.
    fn with_table(body: impl Fn(&Arc<TableInfo>)) {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(|ctx| {
            let disk: Arc<dyn falconry_seam::disk::Disk> = ctx.disk();
            let database = Database::create(&disk, &Options::default()).expect("no fault");
            let spec = TableSpec::new("t", 2).index("a", &[0], true).index("b", &[1], false);
            let table = database.create_table(&spec).expect("no fault");
            body(table.info());
            database.close().expect("no fault");
        });
    }

    fn keys(a: &str, b: &str) -> Keys {
        vec![a.into(), b.into()]
    }

    fn now(row: &str, a: &str, b: &str) -> Now {
        Now { row: row.into(), keys: keys(a, b) }
    }

    const R: RecordNumber = RecordNumber(7);

    /// The change that comes of what happened to a record: what, row, old keys.
    fn change(table: &Arc<TableInfo>, steps: &[(Option<Keys>, Option<Now>)]) -> Option<RowChange> {
        let mut writes = Writes::default();
        for (keys, then) in steps {
            writes.change(table, R, keys.clone(), then.clone());
        }
        let volume = writes.volume();
        let mut changes = writes.take_changes();
        assert_eq!(volume.changes, changes.len() as u64);
        let bytes: usize = changes.iter().map(RowChange::encoded_bytes).sum();
        assert_eq!(volume.change_bytes, bytes as u64);
        changes.pop()
    }

    #[test]
    fn changes_of_a_record_become_one() {
        let old = |keys: &[(u8, &str)]| -> Vec<(u8, Vec<u8>)> {
            keys.iter().map(|(place, key)| (*place, (*key).into())).collect()
        };
        let (one, two) = (now("1", "a", "b"), now("2", "a", "c"));
        let (first, second) = (Some(keys("a", "b")), Some(keys("a", "c")));
        type Step = (Option<Keys>, Option<Now>);
        type Change = (What, &'static str, Vec<(u8, Vec<u8>)>);
        let rows: [(&[Step], Option<Change>); 8] = [
            (&[(None, Some(one.clone()))], Some((What::Insert, "1", old(&[])))),
            (&[(None, Some(one.clone())), (first.clone(), None)], None),
            (
                &[(None, Some(one.clone())), (first.clone(), Some(two.clone()))],
                Some((What::Insert, "2", old(&[]))),
            ),
            (&[(first.clone(), Some(two.clone()))], Some((What::Update, "2", old(&[(1, "b")])))),
            (
                &[(first.clone(), Some(two.clone())), (second.clone(), Some(one.clone()))],
                Some((What::Update, "1", old(&[]))),
            ),
            (&[(first.clone(), None)], Some((What::Delete, "", old(&[(0, "a"), (1, "b")])))),
            (
                &[(first.clone(), Some(two.clone())), (second.clone(), None)],
                Some((What::Delete, "", old(&[(0, "a"), (1, "b")]))),
            ),
            (
                &[(None, Some(one.clone())), (first.clone(), Some(two)), (second.clone(), None)],
                None,
            ),
        ];
        with_table(|table| {
            for (steps, expected) in &rows {
                let change = change(table, steps);
                let expected = expected.as_ref().map(|(what, row, old_keys)| RowChange {
                    table: table.id,
                    record: R,
                    what: *what,
                    row: (*row).into(),
                    old_keys: old_keys.clone(),
                });
                assert_eq!(change, expected, "{steps:?}");
            }
        });
    }

    #[test]
    fn keys_follow_their_rows() {
        with_table(|table| {
            let mut writes = Writes::default();
            writes.change(table, R, None, Some(now("1", "a", "b")));
            writes.change(table, RecordNumber(8), Some(keys("x", "b")), Some(now("2", "y", "b")));
            writes.change(table, RecordNumber(9), Some(keys("z", "b")), None);
            let own = writes.table(table.id).expect("it has writes");
            assert_eq!((own.holder(0, b"a"), own.holder(0, b"x")), (Some(R), None));
            assert_eq!(
                (own.holder(0, b"y"), own.holder(1, b"b")),
                (Some(RecordNumber(8)), Some(R))
            );
            assert_eq!(own.keys(1).len(), 2);
            assert_eq!(own.row(RecordNumber(9)), Some(None));
            assert_eq!((own.row(RecordNumber(1)), own.has(RecordNumber(1))), (None, false));
            assert_eq!(own.next_row(RecordNumber(8)), Some(RecordNumber(8)));
            assert_eq!(own.next_row(RecordNumber(9)), None);
            writes.change(table, R, Some(keys("a", "b")), Some(now("3", "c", "d")));
            let own = writes.table(table.id).expect("it has writes");
            assert_eq!((own.holder(0, b"a"), own.holder(0, b"c")), (None, Some(R)));
            writes.change(table, R, Some(keys("c", "d")), None);
            let own = writes.table(table.id).expect("it has writes");
            assert_eq!((own.holder(0, b"c"), own.holder(1, b"d")), (None, None));
            assert_eq!(writes.take_spare(table.id), Some(R));
            assert_eq!(writes.take_spare(table.id), None);
        });
    }

    #[test]
    fn what_is_kept_of_a_row_counts_once() {
        with_table(|table| {
            let mut writes = Writes::default();
            writes.change(table, R, Some(keys("aa", "bbb")), Some(now("row", "aa", "cccc")));
            let change_bytes = RowChange::bytes(3, [3].into_iter()) as u64;
            let expected = Volume { changes: 1, change_bytes, keys: 2, new_key_bytes: 4 };
            assert_eq!(writes.volume(), expected);
        });
    }
}
