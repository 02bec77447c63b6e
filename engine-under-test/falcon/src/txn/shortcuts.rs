//! Shortcuts from a unique key to its record, past the index.
//!
//! # Method
//!
//! A table of places, two for each hash of a key. A place has the record that was found last by a key of that
//! hash, and the hash's other bits, by which most other keys are told from it. Nobody keeps the table true: when
//! a row goes or gets another key its place stays. So whoever follows a shortcut locks the record and compares
//! the row's own key; a row that has the key is the only one, whatever led there.
//!
//! # Invariant
//!
//! What is found here decides nothing: without it every call has the same answer, later.

use falconry_seam::sync::atomic::{AtomicU64, Ordering};

use crate::page::RecordNumber;
use crate::page::index::IndexId;
use crate::{TablespaceId, memory};

/// Places for each frame of the page cache: they take about a thirtieth of its memory.
const PLACES_PER_FRAME: usize = 16;
/// The most places: 32 MiB.
const PLACES_MAX: usize = 1 << 22;
/// Low bits of a place, for the record's number and one; the rest is the hash's tag. Records beyond have no
/// shortcut.
const RECORD_BITS: u32 = 40;
const RECORD_MASK: u64 = (1 << RECORD_BITS) - 1;

/// Shortcuts of all indexes of a database.
pub(crate) struct Shortcuts {
    places: Box<[AtomicU64]>,
}

/// The hash of one key of one index.
#[derive(Clone, Copy)]
pub(super) struct KeyHash(u64);

impl KeyHash {
    pub(super) fn of(tablespace: TablespaceId, index: IndexId, key: &[u8]) -> KeyHash {
        let start = u64::from(tablespace.0) << 32 | u64::from(index.0);
        // The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), word by word.
        let mix = |hash: u64, word: u64| {
            let hash = (hash ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
            let hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            hash ^ (hash >> 31)
        };
        let (words, rest) = key.as_chunks();
        let hash = words.iter().fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        KeyHash(mix(mix(hash, u64::from_le_bytes(last)), key.len() as u64))
    }

    fn tag(self) -> u64 {
        self.0 & !RECORD_MASK
    }
}

impl Shortcuts {
    /// None yet, for a cache of so many frames.
    pub(crate) fn new(cache_frames: usize) -> Shortcuts {
        let count = cache_frames.saturating_mul(PLACES_PER_FRAME).next_power_of_two();
        let places = memory::table(count.clamp(2, PLACES_MAX), |_| AtomicU64::new(0));
        Shortcuts { places }
    }

    /// Says that the key is asked for soon.
    pub(super) fn prefetch(&self, key: KeyHash) {
        memory::prefetch(self.pair(key).as_ptr());
    }

    /// A record whose row may have the key.
    pub(super) fn get(&self, key: KeyHash) -> Option<RecordNumber> {
        self.pair(key).iter().find_map(|place| {
            // Relaxed: the record's lock and its page's latch show the row.
            let place = place.load(Ordering::Relaxed);
            let record = place & RECORD_MASK;
            let is_it = place & !RECORD_MASK == key.tag() && record != 0;
            is_it.then(|| RecordNumber(record - 1))
        })
    }

    /// Notes where the row of a key was found.
    pub(super) fn put(&self, key: KeyHash, record: RecordNumber) {
        if record.0 >= RECORD_MASK {
            return;
        }
        let [first, second] = self.pair(key) else { unreachable!("a pair is two") };
        let other = first.load(Ordering::Relaxed);
        // The newcomer has the first place, and who had it the second.
        if other != 0 && other & !RECORD_MASK != key.tag() {
            second.store(other, Ordering::Relaxed);
        }
        first.store(key.tag() | (record.0 + 1), Ordering::Relaxed);
    }

    fn pair(&self, key: KeyHash) -> &[AtomicU64] {
        let at = key.0 as usize & (self.places.len() - 1) & !1;
        &self.places[at..at + 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &[u8]) -> KeyHash {
        KeyHash::of(TablespaceId(1), IndexId(7), key)
    }

    #[test]
    fn what_was_put_last_is_found() {
        let shortcuts = Shortcuts::new(64);
        assert_eq!(shortcuts.get(hash(b"a")), None);
        shortcuts.put(hash(b"a"), RecordNumber(0));
        assert_eq!(shortcuts.get(hash(b"a")), Some(RecordNumber(0)));
        shortcuts.put(hash(b"a"), RecordNumber(5));
        assert_eq!(shortcuts.get(hash(b"a")), Some(RecordNumber(5)));
        shortcuts.put(hash(b"b"), RecordNumber(RECORD_MASK));
        assert_eq!(shortcuts.get(hash(b"b")), None, "a number that has no room");
    }

    #[test]
    fn a_pair_keeps_the_last_two_of_different_keys() {
        // Two places in all.
        let shortcuts = Shortcuts::new(0);
        let keys = [b"one", b"two", b"six"].map(|key| hash(key));
        for (number, key) in keys.into_iter().enumerate() {
            shortcuts.put(key, RecordNumber(number as u64));
        }
        let found = keys.map(|key| shortcuts.get(key));
        assert_eq!(found, [None, Some(RecordNumber(1)), Some(RecordNumber(2))]);
    }

    #[test]
    fn every_byte_of_a_key_and_its_index_counts() {
        let keys: [&[u8]; 6] =
            [b"", b"\0", b"12345678", b"12345678\0", b"\x0012345678", b"12345679"];
        let mut hashes: Vec<u64> = keys.iter().map(|key| hash(key).0).collect();
        hashes.push(KeyHash::of(TablespaceId(0), IndexId(7), b"").0);
        hashes.push(KeyHash::of(TablespaceId(1), IndexId(8), b"").0);
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 8);
    }
}
