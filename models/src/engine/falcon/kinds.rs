//! A table whose keys are of all kinds, and what an index answers of them.
//!
//! # Method
//!
//! The values that a row may have stand in [`VALUES`] in the order that the engine promises, so that a row's
//! place there is its rank, which the row has too. What a range answers is compared with what a scan finds, in
//! one transaction under the table's lock: the scan knows nothing of keys, and the ranks nothing of how a key
//! is encoded.
//!
//! # Invariant
//!
//! Rows come and go by single statements; the comparison changes nothing.

use std::ops::Bound;

use falcon::page::RecordNumber;
use falcon::page::key::KeyValue;
use falcon::{Database as Falcon, Direction, Error, Index, Row, Table, TableSpec, Transaction};

use super::pairs::found_or_made;
use super::{failure, pick};
use crate::engine::EngineError;

const NAME: &str = "kinds";
const BY_VALUE: &str = "by_value";
const BY_BOTH: &str = "by_both";
const BY_RANK: &str = "by_rank";
/// How often a rank may have another number beside it, which an index may have too.
const BESIDE: u64 = 3;

/// What a row can be of, in the order of keys.
const VALUES: [Value; 18] = [
    Value::Null,
    Value::I64(i64::MIN),
    Value::I64(-1),
    Value::I64(0),
    Value::I64(i64::MAX),
    Value::U64(0),
    Value::U64(u64::MAX),
    Value::F64(f64::NEG_INFINITY),
    Value::F64(-1.5),
    Value::F64(-0.0),
    Value::F64(f64::MIN_POSITIVE),
    Value::F64(f64::INFINITY),
    Value::F64(f64::NAN),
    Value::Text(""),
    Value::Text("a"),
    Value::Text("a\0"),
    Value::Text("ab"),
    Value::Bytes(b"\0\xFF"),
];

#[derive(Clone, Copy)]
enum Value {
    Null,
    I64(i64),
    U64(u64),
    F64(f64),
    Text(&'static str),
    Bytes(&'static [u8]),
}

impl Value {
    fn key(self) -> KeyValue<'static> {
        match self {
            Value::Null => KeyValue::Null,
            Value::I64(value) => KeyValue::I64(value),
            Value::U64(value) => KeyValue::U64(value),
            Value::F64(value) => KeyValue::F64(value),
            Value::Text(value) => KeyValue::Text(value.into()),
            Value::Bytes(value) => KeyValue::Bytes(value.into()),
        }
    }
}

/// A row of this rank, with this number beside it.
pub(super) fn row(rank: u64, beside: u64) -> [KeyValue<'static>; 3] {
    [VALUES[rank as usize].key(), KeyValue::U64(rank), KeyValue::U64(beside)]
}

/// A rank.
pub(super) fn pick_rank() -> u64 {
    pick("falcon/rank", VALUES.len() as u64)
}

/// Puts a row there, changes one, takes one away, or compares.
pub(super) fn upkeep(falcon: &Falcon) -> Result<(), EngineError> {
    let spec = TableSpec::new(NAME, 3)
        .index(BY_VALUE, &[0], true)
        .index(BY_BOTH, &[0, 2], false)
        .index(BY_RANK, &[1], false);
    let Some(table) = found_or_made(falcon, &spec)? else { return Ok(()) };
    match pick("falcon/kinds", 6) {
        kind @ 0..=3 => changed(falcon, &table, kind),
        _ => compared(falcon, &table),
    }
}

fn changed(falcon: &Falcon, table: &Table, kind: u64) -> Result<(), EngineError> {
    let mut txn = falcon.begin();
    let row = row(pick_rank(), pick("falcon/beside", BESIDE));
    let done = if kind < 2 {
        txn.insert(table, &row).map(drop)
    } else {
        let key = [KeyValue::U64(pick_rank())];
        match txn.get_for_update(&index(table, BY_RANK), &key).map_err(failure)? {
            Some((record, _)) if kind == 2 => txn.update(table, record, &row).map(drop),
            Some((record, _)) => txn.delete(table, record).map(drop),
            None => Ok(()),
        }
    };
    match done {
        Ok(()) | Err(Error::Duplicate { .. }) => txn.commit().map_err(failure),
        done => done.map_err(failure),
    }
}

fn index(table: &Table, name: &str) -> Index {
    table.index(name).expect("the table was made with it")
}

/// A range by a drawn index between drawn bounds has just the rows that a scan finds there, in their order.
fn compared(falcon: &Falcon, table: &Table) -> Result<(), EngineError> {
    let txn = falcon.begin();
    txn.lock_table(table, false).map_err(failure)?;
    let mut ranks = scanned(&txn, table)?;
    let (from, to) = (Edge::pick(), Edge::pick());
    ranks.retain(|row| from.is_below(*row) && to.is_above(*row));
    let is_forward = pick("falcon/forward", 2) == 0;
    let by = [BY_BOTH, BY_VALUE][usize::from(!from.is_of_both() && !to.is_of_both())];
    let direction = if is_forward { Direction::Forward } else { Direction::Backward };
    let (by, from, to) = (index(table, by), from.columns(), to.columns());
    let range = txn.range(&by, bound(&from), bound(&to), direction).map_err(failure)?;
    let mut found = range
        .map(|found| found.map_err(failure).and_then(|(_, row)| ranked(&row)))
        .collect::<Result<Vec<_>, _>>()?;
    if !is_forward {
        found.reverse();
    }
    match difference(found, ranks) {
        None => Ok(()),
        Some(what) => {
            let name = by.name();
            let what = format!("a range by index {name} from {from:?} to {to:?} {what}");
            Err(EngineError::Corrupt { what })
        }
    }
}

/// What is wrong with the rows of a range, told by their ranks and the numbers beside them, where a scan has
/// found others.
fn difference(mut found: Vec<(u64, u64)>, mut scanned: Vec<(u64, u64)>) -> Option<String> {
    // Rows of one rank are null all of them, and come by their numbers or by their records.
    if !found.is_sorted_by_key(|(rank, _)| *rank) {
        return Some(format!("has the ranks {found:?}, out of order"));
    }
    found.sort_unstable();
    scanned.sort_unstable();
    (found != scanned).then(|| format!("has the ranks {found:?}, and a scan finds {scanned:?}"))
}

fn scanned(txn: &Transaction<'_>, table: &Table) -> Result<Vec<(u64, u64)>, EngineError> {
    let scan = txn.scan(table).map_err(failure)?;
    scan.map(|found: falcon::Result<(RecordNumber, Row)>| ranked(&found.map_err(failure)?.1))
        .collect()
}

/// The rank of a row and the number beside it. Its value must be the one of its rank, bit by bit.
fn ranked(found: &Row) -> Result<(u64, u64), EngineError> {
    if let [value, KeyValue::U64(rank), KeyValue::U64(beside)] = found.as_slice()
        && let Some(known) = VALUES.get(*rank as usize)
        && match (value, known.key()) {
            (KeyValue::F64(one), KeyValue::F64(other)) => one.to_bits() == other.to_bits(),
            (one, other) => *one == other,
        }
    {
        return Ok((*rank, *beside));
    }
    Err(EngineError::Corrupt { what: format!("a row is of no rank: {found:?}") })
}

/// One end of a range, by the value of a rank and perhaps the number beside it.
#[derive(Clone, Copy)]
enum Edge {
    Open,
    Included(u64, Option<u64>),
    Excluded(u64, Option<u64>),
}

impl Edge {
    fn pick() -> Edge {
        let kind = pick("falcon/edge", 5);
        if kind == 0 {
            return Edge::Open;
        }
        let rank = pick_rank();
        let beside = kind.is_multiple_of(2).then(|| pick("falcon/beside", BESIDE));
        if kind <= 2 { Edge::Included(rank, beside) } else { Edge::Excluded(rank, beside) }
    }

    fn is_of_both(self) -> bool {
        matches!(self, Edge::Included(_, Some(_)) | Edge::Excluded(_, Some(_)))
    }

    /// Whether a row is above this edge, the lower one of a range.
    fn is_below(self, (rank, number): (u64, u64)) -> bool {
        match self {
            Edge::Open => true,
            Edge::Included(edge, None) => rank >= edge,
            Edge::Excluded(edge, None) => rank > edge,
            Edge::Included(edge, Some(beside)) => (rank, number) >= (edge, beside),
            Edge::Excluded(edge, Some(beside)) => (rank, number) > (edge, beside),
        }
    }

    /// Whether a row is below this edge, the upper one of a range.
    fn is_above(self, (rank, number): (u64, u64)) -> bool {
        match self {
            Edge::Open => true,
            Edge::Included(edge, None) => rank <= edge,
            Edge::Excluded(edge, None) => rank < edge,
            Edge::Included(edge, Some(beside)) => (rank, number) <= (edge, beside),
            Edge::Excluded(edge, Some(beside)) => (rank, number) < (edge, beside),
        }
    }

    fn columns(self) -> Bound<Vec<KeyValue<'static>>> {
        let columns = |rank: u64, beside: Option<u64>| {
            let value = [VALUES[rank as usize].key()];
            value.into_iter().chain(beside.map(KeyValue::U64)).collect()
        };
        match self {
            Edge::Open => Bound::Unbounded,
            Edge::Included(rank, beside) => Bound::Included(columns(rank, beside)),
            Edge::Excluded(rank, beside) => Bound::Excluded(columns(rank, beside)),
        }
    }
}

fn bound<'a>(columns: &'a Bound<Vec<KeyValue<'static>>>) -> Bound<&'a [KeyValue<'static>]> {
    columns.as_ref().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use falcon::page::key;

    use super::*;

    #[test]
    fn the_values_stand_in_the_order_of_keys() {
        let keys: Vec<Vec<u8>> = VALUES.iter().map(|value| key::encode(&[value.key()])).collect();
        assert!(keys.is_sorted_by(|one, other| one < other), "{keys:?}");
    }

    #[test]
    fn a_range_that_differs_from_a_scan_is_told() {
        let scanned = || vec![(4, 1), (2, 0), (2, 2)];
        assert_eq!(difference(vec![(2, 2), (2, 0), (4, 1)], scanned()), None);
        for wrong in [
            vec![(2, 0), (4, 1)],
            vec![(2, 0), (2, 0), (2, 2), (4, 1)],
            vec![(4, 1), (2, 0), (2, 2)],
            vec![(2, 0), (2, 2), (5, 1)],
        ] {
            assert!(difference(wrong.clone(), scanned()).is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn a_row_with_another_value_than_its_rank_has_is_told() {
        for rank in 0..VALUES.len() as u64 {
            assert_eq!(ranked(&row(rank, 2).to_vec()).expect("it is of its rank"), (rank, 2));
            let other = (rank + 1) % VALUES.len() as u64;
            let mixed = [row(rank, 2)[0].clone(), KeyValue::U64(other), KeyValue::U64(2)];
            assert!(ranked(&mixed.to_vec()).is_err(), "rank {rank}");
        }
        let positive = [KeyValue::F64(0.0), KeyValue::U64(9), KeyValue::U64(0)];
        assert!(ranked(&positive.to_vec()).is_err(), "the sign of a zero is kept");
    }

    #[test]
    fn edges_are_below_and_above_what_they_say() {
        let rows = [
            (Edge::Open, [true, true, true], [true, true, true]),
            (Edge::Included(3, None), [false, true, true], [true, true, false]),
            (Edge::Excluded(3, None), [false, false, true], [true, false, false]),
            (Edge::Included(3, Some(1)), [false, true, true], [true, true, false]),
            (Edge::Excluded(3, Some(1)), [false, false, true], [true, false, false]),
            (Edge::Excluded(3, Some(0)), [false, true, true], [true, false, false]),
        ];
        for (edge, below, above) in rows {
            let places = [(2, 2), (3, 1), (4, 0)];
            assert_eq!(places.map(|place| edge.is_below(place)), below);
            assert_eq!(places.map(|place| edge.is_above(place)), above);
        }
    }
}
