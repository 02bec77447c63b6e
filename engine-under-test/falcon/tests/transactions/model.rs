//! Statements, their answers, and a model that knows these.
//!
//! # Method
//!
//! The model is the rows by their numbers; whatever is asked of it is found by looking at all of them.
//!
//! # Invariant
//!
//! An answer tells all that a client learns from a statement, so that two answers that are the same cannot
//! be told apart.

use std::collections::BTreeMap;
use std::ops::Bound;

use falcon::page::RecordNumber;
use falcon::page::key::{KeyValue, encode};
use falcon::tree::Direction;
use falcon::txn::{Row, Table, Transaction};
use falcon::{Error, Result};
use falconry_sim::machine::choose;

/// The indexes of the table: name, columns, whether it is unique.
const INDEXES: [(&str, &[usize], bool); 3] =
    [("id", &[0], true), ("name", &[1], false), ("pair", &[1, 2], true)];

type Key = Vec<KeyValue<'static>>;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Insert(Row),
    Update(RecordNumber, Row),
    Delete(RecordNumber),
    Read(RecordNumber),
    Get { index: usize, key: Key, for_update: bool },
    GetMany { index: usize, keys: Vec<Key> },
    Range { index: usize, from: Bound<Key>, to: Bound<Key>, direction: Direction },
    Scan,
}

/// What is answered, but for refusals of locks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Inserted(RecordNumber),
    Duplicate(String),
    Done(bool),
    Row(Option<Row>),
    Rows(Vec<Option<(RecordNumber, Row)>>),
}

fn number(bound: u64) -> KeyValue<'static> {
    KeyValue::U64(choose("model/number", bound))
}

fn name() -> KeyValue<'static> {
    match choose("model/name", 5) {
        0 => KeyValue::Null,
        1 => KeyValue::Text("a".into()),
        2 => KeyValue::Text("a\0b".into()),
        3 => KeyValue::Text("ab".into()),
        // Keys long enough for trees of several levels.
        _ => KeyValue::Text("b".repeat(90).into()),
    }
}

fn row() -> Row {
    vec![number(24), name(), number(6)]
}

fn record() -> RecordNumber {
    RecordNumber(choose("model/record", 16))
}

fn key(index: usize, columns: usize) -> Key {
    let row = row();
    INDEXES[index].1.iter().take(columns).map(|column| row[*column].clone()).collect()
}

fn bound(index: usize) -> Bound<Key> {
    let columns = choose("model/columns", INDEXES[index].1.len() as u64 + 1) as usize;
    match choose("model/bound", 3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(key(index, columns)),
        _ => Bound::Excluded(key(index, columns)),
    }
}

/// Draws a statement.
pub(crate) fn draw() -> Statement {
    let index = choose("model/index", INDEXES.len() as u64) as usize;
    let whole = INDEXES[index].1.len();
    match choose("model/statement", 14) {
        0..=3 => Statement::Insert(row()),
        4..=6 => Statement::Update(record(), row()),
        7 => Statement::Delete(record()),
        8 => Statement::Read(record()),
        9 => Statement::Get { index, key: key(index, whole), for_update: false },
        10 => Statement::Get { index, key: key(index, whole), for_update: true },
        11 => {
            let keys = (0..choose("model/keys", 6)).map(|_| key(index, whole)).collect();
            Statement::GetMany { index, keys }
        }
        12 => {
            let ways = [Direction::Forward, Direction::Backward];
            let direction = ways[choose("model/direction", 2) as usize];
            Statement::Range { index, from: bound(index), to: bound(index), direction }
        }
        _ => Statement::Scan,
    }
}

/// Asks a transaction.
pub(crate) fn ask(
    txn: &mut Transaction<'_>,
    table: &Table,
    statement: &Statement,
) -> Result<Answer> {
    let index = |index: &usize| table.index(INDEXES[*index].0).expect("it is there");
    let answer = match statement {
        Statement::Insert(row) => txn.insert(table, row).map(Answer::Inserted),
        Statement::Update(record, row) => txn.update(table, *record, row).map(Answer::Done),
        Statement::Delete(record) => txn.delete(table, *record).map(Answer::Done),
        Statement::Read(record) => txn.read(table, *record).map(Answer::Row),
        Statement::Get { index: at, key, for_update } => {
            let found = match for_update {
                false => txn.get(&index(at), key),
                true => txn.get_for_update(&index(at), key),
            };
            found.map(|found| Answer::Rows(vec![found]))
        }
        Statement::GetMany { index: at, keys } => txn.get_many(&index(at), keys).map(Answer::Rows),
        Statement::Range { index: at, from, to, direction } => {
            let (from, to) = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
            let index = index(at);
            let rows: Result<Vec<_>> = txn.range(&index, from, to, *direction)?.collect();
            rows.map(|rows| Answer::Rows(rows.into_iter().map(Some).collect()))
        }
        Statement::Scan => {
            let rows: Result<Vec<_>> = txn.scan(table)?.collect();
            rows.map(|rows| Answer::Rows(rows.into_iter().map(Some).collect()))
        }
    };
    match answer {
        Err(Error::Duplicate { index, .. }) => Ok(Answer::Duplicate(index)),
        other => other,
    }
}

/// The rows of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    rows: BTreeMap<RecordNumber, Row>,
}

impl Model {
    /// Does what a statement does, and compares what it answered. Which number a new row gets is for the
    /// engine to say, if it is free.
    pub(crate) fn expect(&mut self, statement: &Statement, answer: &Answer) {
        let expected = match statement {
            Statement::Insert(row) => match (self.duplicate(None, row), answer) {
                (Some(index), _) => Answer::Duplicate(index),
                (None, Answer::Inserted(record)) => {
                    let before = self.rows.insert(*record, row.clone());
                    assert_eq!(before, None, "record {} was not free", record.0);
                    answer.clone()
                }
                (None, other) => panic!("{statement:?}: {other:?}"),
            },
            Statement::Update(record, _) if !self.rows.contains_key(record) => Answer::Done(false),
            Statement::Update(record, row) => match self.duplicate(Some(*record), row) {
                Some(index) => Answer::Duplicate(index),
                None => Answer::Done(self.rows.insert(*record, row.clone()).is_some()),
            },
            Statement::Delete(record) => Answer::Done(self.rows.remove(record).is_some()),
            Statement::Read(record) => Answer::Row(self.rows.get(record).cloned()),
            Statement::Get { index, key, .. } => Answer::Rows(vec![self.get(*index, key)]),
            Statement::GetMany { index, keys } => {
                Answer::Rows(keys.iter().map(|key| self.get(*index, key)).collect())
            }
            Statement::Range { index, from, to, direction } => {
                let mut rows = self.range(*index, from, to);
                if *direction == Direction::Backward {
                    rows.reverse();
                }
                Answer::Rows(rows.into_iter().map(Some).collect())
            }
            Statement::Scan => {
                let rows = self.rows.iter().map(|(record, row)| Some((*record, row.clone())));
                Answer::Rows(rows.collect())
            }
        };
        assert_eq!(*answer, expected, "{statement:?} on {:?}", self.rows);
    }

    /// Whether these are the rows, by their numbers.
    pub(crate) fn is(&self, rows: &[(RecordNumber, Row)]) -> bool {
        self.rows.iter().eq(rows.iter().map(|(record, row)| (record, row)))
    }

    fn key_of(index: usize, row: &Row) -> Key {
        INDEXES[index].1.iter().map(|column| row[*column].clone()).collect()
    }

    /// The first index in which another row has a key of this one.
    fn duplicate(&self, own: Option<RecordNumber>, row: &Row) -> Option<String> {
        let others = || self.rows.iter().filter(|(record, _)| Some(**record) != own);
        let (name, ..) = INDEXES.iter().enumerate().find_map(|(index, known)| {
            let key = Model::key_of(index, row);
            let is_unique = known.2 && !key.contains(&KeyValue::Null);
            let is_there = || others().any(|(_, other)| Model::key_of(index, other) == key);
            (is_unique && is_there()).then_some(known)
        })?;
        Some((*name).to_string())
    }

    fn get(&self, index: usize, key: &Key) -> Option<(RecordNumber, Row)> {
        let mut rows = self.rows.iter();
        let found = rows.find(|(_, row)| Model::key_of(index, row) == *key)?;
        Some((*found.0, found.1.clone()))
    }

    /// Column by column, for so many as a bound has.
    fn range(&self, index: usize, from: &Bound<Key>, to: &Bound<Key>) -> Vec<(RecordNumber, Row)> {
        let begin = |key: &Key, bound: &Key| encode(&key[..bound.len()]).cmp(&encode(bound));
        let is_in = |key: &Key| {
            let behind = match from {
                Bound::Unbounded => true,
                Bound::Included(from) => begin(key, from).is_ge(),
                Bound::Excluded(from) => begin(key, from).is_gt(),
            };
            let before = match to {
                Bound::Unbounded => true,
                Bound::Included(to) => begin(key, to).is_le(),
                Bound::Excluded(to) => begin(key, to).is_lt(),
            };
            behind && before
        };
        let keyed = self.rows.iter().map(|(record, row)| (Model::key_of(index, row), record, row));
        let mut rows: Vec<_> = keyed.filter(|(key, ..)| is_in(key)).collect();
        rows.sort_by_key(|(key, record, _)| (encode(key), **record));
        rows.into_iter().map(|(_, record, row)| (*record, row.clone())).collect()
    }
}
