//! The bytes of a record, and a record that was read.
//!
//! # Method
//!
//! One byte of kind, four of length, and the bytes. A payload is records and nothing else. Who reads a
//! record holds the window that it is in; the window is freed when the last of them lets go.
//!
//! # Invariant
//!
//! A place that is handed out is where a record begins or where the log ends.

use std::fmt;
use std::ops::Range;

use falconry_seam::sync::Arc;

use crate::Lsn;

/// Bytes of a record before its own.
pub(crate) const HEADER_BYTES: usize = 5;

/// What a record is. The log hands it back and does not look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKind(pub u8);

/// A record that was read from the log.
#[derive(Clone)]
pub struct Record {
    lsn: Lsn,
    kind: RecordKind,
    image: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Record {
    /// Where it begins.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The place after it, which its append returned.
    pub fn end(&self) -> Lsn {
        Lsn(self.lsn.0 + (HEADER_BYTES + self.range.len()) as u64)
    }

    /// What it is.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// What was appended.
    pub fn bytes(&self) -> &[u8] {
        &self.image[self.range.clone()]
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { lsn, kind, .. } = self;
        write!(f, "Record({lsn}, kind {}, {} bytes)", kind.0, self.range.len())
    }
}

/// Appends a record to a payload.
pub(super) fn put(payload: &mut Vec<u8>, kind: RecordKind, parts: &[&[u8]], bytes: u32) {
    payload.push(kind.0);
    payload.extend_from_slice(&bytes.to_le_bytes());
    let before = payload.len();
    parts.iter().for_each(|part| payload.extend_from_slice(part));
    assert_eq!(payload.len() - before, bytes as usize, "a record is not as long as it says");
}

/// Records in memory, some or all of one block's.
#[derive(Clone)]
pub(super) struct Window {
    pub(super) image: Arc<Vec<u8>>,
    /// Where in the image the records are.
    pub(super) range: Range<usize>,
    /// The place of the first of them.
    pub(super) first: Lsn,
}

impl Window {
    /// The place after the last record.
    pub(super) fn end(&self) -> Lsn {
        Lsn(self.first.0 + self.range.len() as u64)
    }

    /// The record at `lsn`, where one is known to begin; none if its length runs out of the window.
    pub(super) fn record(&self, lsn: Lsn) -> Option<Record> {
        let at = self.range.start + lsn.0.checked_sub(self.first.0)? as usize;
        let (kind, range) = header(&self.image[..self.range.end], at)?;
        Some(Record { lsn, kind, image: Arc::clone(&self.image), range })
    }

    /// Whether a record begins at `lsn`, as all the records before it tell.
    pub(super) fn begins_at(&self, lsn: Lsn) -> bool {
        let Some(target) = lsn.0.checked_sub(self.first.0) else { return false };
        begins_at(&self.image[self.range.clone()], target as usize)
    }
}

/// Whether a record of the payload begins at byte `target`.
pub(super) fn begins_at(payload: &[u8], target: usize) -> bool {
    let mut at = 0;
    while at < target {
        match header(payload, at) {
            Some((_, range)) => at = range.end,
            None => return false,
        }
    }
    at == target && target < payload.len()
}

/// Kind and bytes of the record at `at`; none if it does not end within `bytes`.
pub(super) fn header(bytes: &[u8], at: usize) -> Option<(RecordKind, Range<usize>)> {
    let [kind, a, b, c, d] = *bytes.get(at..)?.first_chunk::<HEADER_BYTES>()?;
    let from = at + HEADER_BYTES;
    let to = from.checked_add(u32::from_le_bytes([a, b, c, d]) as usize)?;
    (to <= bytes.len()).then_some((RecordKind(kind), from..to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        let mut payload = vec![0xee; 3];
        put(&mut payload, RecordKind(1), &[b"ab", b"", b"c"], 3);
        put(&mut payload, RecordKind(2), &[], 0);
        let range = 3..payload.len();
        Window { image: Arc::new(payload), range, first: Lsn(100) }
    }

    #[test]
    fn records_come_back() {
        let window = window();
        assert_eq!(window.end(), Lsn(113));
        let first = window.record(Lsn(100)).expect("it is there");
        assert_eq!(
            (first.kind(), first.bytes(), first.end()),
            (RecordKind(1), &b"abc"[..], Lsn(108))
        );
        let second = window.record(first.end()).expect("it is there");
        assert_eq!((second.kind(), second.bytes()), (RecordKind(2), &b""[..]));
        assert_eq!(format!("{second:?}"), "Record(108, kind 2, 0 bytes)");
        assert!(window.record(second.end()).is_none(), "nothing begins at the end");
    }

    #[test]
    fn places_within_a_record_are_none() {
        let window = window();
        let begin: Vec<u64> = (90..120).filter(|lsn| window.begins_at(Lsn(*lsn))).collect();
        assert_eq!(begin, [100, 108]);
        assert!(window.record(Lsn(99)).is_none(), "before the window");
    }

    #[test]
    fn a_length_beyond_the_payload_is_no_record() {
        assert_eq!(header(&[1, 2, 0, 0, 0, 9], 0), None);
        assert_eq!(header(&[1, 0xff, 0xff, 0xff, 0xff, 9], 0), None);
        assert!(!begins_at(&[1, 2, 0, 0, 0, 9], 6));
    }
}
