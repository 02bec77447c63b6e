//! What part of an index a range is.
//!
//! # Method
//!
//! A bound names the first columns of a key, or all of them, and stands for all keys that begin with them.
//! Columns are encoded so that none begins another, and no column begins with 0xFF: so the keys that begin
//! with some columns are just those from the columns' bytes on and below these with 0xFF behind.
//!
//! # Invariant
//!
//! A span goes from its beginning, inclusive, to its end, exclusive.

use std::collections::BTreeSet;
use std::collections::btree_set;
use std::ops::Bound;

use crate::page::RecordNumber;
use crate::page::index::{IndexKey, IndexKeyBuf};
use crate::page::key::{self, KeyValue};

/// Behind all that a column can begin with.
const BEHIND_COLUMNS: u8 = 0xFF;

/// A part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: Vec<u8>,
    /// None is the index's end.
    to: Option<Vec<u8>>,
}

impl Span {
    /// All keys from `from` to `to`, where each stands for all keys that begin with it.
    pub(super) fn new(from: Bound<&[KeyValue<'_>]>, to: Bound<&[KeyValue<'_>]>) -> Span {
        let from = match from {
            Bound::Unbounded => Vec::new(),
            Bound::Included(columns) => key::encode(columns),
            Bound::Excluded(columns) => behind(columns),
        };
        let to = match to {
            Bound::Unbounded => None,
            Bound::Included(columns) => Some(behind(columns)),
            Bound::Excluded(columns) => Some(key::encode(columns)),
        };
        Span { from, to }
    }

    /// The bounds of encoded keys.
    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        (Bound::Included(&self.from), to)
    }

    /// The entries of `keys` within.
    pub(super) fn of<'a>(
        &self,
        keys: &'a BTreeSet<IndexKeyBuf>,
    ) -> btree_set::Range<'a, IndexKeyBuf> {
        let first = |key: &[u8]| IndexKey { key, record: RecordNumber(0) }.to_buf();
        let from = first(&self.from);
        match self.to.as_deref().map(first) {
            // A set refuses bounds that are the wrong way round.
            Some(to) => keys.range(from.clone()..to.max(from)),
            None => keys.range(from..),
        }
    }
}

fn behind(columns: &[KeyValue<'_>]) -> Vec<u8> {
    let mut key = key::encode(columns);
    key.push(BEHIND_COLUMNS);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u64) -> KeyValue<'static> {
        KeyValue::U64(value)
    }

    fn text(value: &'static str) -> KeyValue<'static> {
        KeyValue::Text(value.into())
    }

    /// Keys of two columns, in order; the record is the place.
    fn keys() -> BTreeSet<IndexKeyBuf> {
        let columns = [
            [KeyValue::Null, number(9)],
            [text(""), number(0)],
            [text("a"), KeyValue::Null],
            [text("a"), number(1)],
            [text("a"), number(u64::MAX)],
            [text("a\0"), number(1)],
            [text("ab"), number(1)],
            [KeyValue::Bytes(vec![0xff; 3].into()), KeyValue::Bytes(vec![0xff; 3].into())],
        ];
        let of = |(place, columns): (usize, &[KeyValue<'_>; 2])| IndexKeyBuf {
            key: key::encode(columns),
            record: RecordNumber(place as u64),
        };
        columns.iter().enumerate().map(of).collect()
    }

    fn places(from: Bound<&[KeyValue<'_>]>, to: Bound<&[KeyValue<'_>]>) -> Vec<u64> {
        let (span, keys) = (Span::new(from, to), keys());
        let places: Vec<u64> = span.of(&keys).map(|entry| entry.record.0).collect();
        let bounds = span.bounds();
        let is_in =
            |entry: &&IndexKeyBuf| std::ops::RangeBounds::contains(&bounds, &entry.key.as_slice());
        let by_bounds: Vec<u64> = keys.iter().filter(is_in).map(|entry| entry.record.0).collect();
        assert_eq!(places, by_bounds, "{span:?}");
        places
    }

    #[test]
    fn a_bound_stands_for_all_keys_that_begin_with_it() {
        use Bound::{Excluded, Included, Unbounded};
        let a = [text("a")];
        assert_eq!(places(Included(&a), Included(&a)), [2, 3, 4]);
        assert_eq!(places(Excluded(&a), Unbounded), [5, 6, 7]);
        assert_eq!(places(Unbounded, Excluded(&a)), [0, 1]);
        assert_eq!(places(Included(&a), Excluded(&a)), [0; 0]);
        assert_eq!(places(Excluded(&a), Included(&a)), [0; 0]);
        let a1 = [text("a"), number(1)];
        assert_eq!(places(Included(&a1), Included(&a1)), [3]);
        assert_eq!(places(Excluded(&a1), Included(&a)), [4]);
        assert_eq!(places(Included(&a), Excluded(&a1)), [2]);
    }

    #[test]
    fn no_columns_are_the_beginning_of_every_key() {
        use Bound::{Excluded, Included, Unbounded};
        let all = places(Unbounded, Unbounded);
        assert_eq!(all.len(), keys().len());
        assert_eq!(places(Included(&[]), Included(&[])), all);
        assert_eq!(places(Excluded(&[]), Unbounded), [0; 0]);
        assert_eq!(places(Unbounded, Excluded(&[])), [0; 0]);
    }

    #[test]
    fn bounds_the_wrong_way_round_hold_nothing() {
        let (low, high) = ([text("a")], [text("b")]);
        assert_eq!(places(Bound::Included(&high), Bound::Included(&low)), [0; 0]);
    }
}
