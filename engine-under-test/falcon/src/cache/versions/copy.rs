//! The bytes of a copy of a block.
//!
//! # Method
//!
//! ```text
//! the file     block 0, copy 0 | block 0, copy 1 | block 1, copy 0 | block 1, copy 1 | …  4,096 bytes each
//!
//! a copy       byte 0..4     4..8   8..16     16..24  24..26  26..32  32..
//!                   CRC-32C  place  database  save    format  zero    508 places in the log, eight bytes each:
//!                                                                     of pages from block / tablespaces * 508
//!                                                                     on, of tablespace block % tablespaces
//! ```
//!
//! Numbers are little-endian; `place` is that of the copy in the file, in copies. The checksum covers the rest.
//!
//! # Invariant
//!
//! What is read is what was written at that place, as a whole, or nothing.

use crate::Lsn;

/// The newest format that is known here. The first had one copy of a block, and no seal; it says nothing now.
pub(super) const FORMAT: u16 = 2;
/// The largest sector that there is: what is torn of one copy is none of another.
pub(super) const COPY_BYTES: usize = 4_096;
const HEAD_BYTES: usize = 32;
/// Pages of a block.
pub(super) const PAGES: u32 = ((COPY_BYTES - HEAD_BYTES) / 8) as u32;

/// How new each page of a block is.
pub(super) type Places = [Lsn; PAGES as usize];

/// Neighbouring pages of a tablespace.
pub(super) struct Block {
    pub(super) places: Box<Places>,
    /// The copy that counts, or was read.
    pub(super) copy: Option<InFile>,
}

/// A copy of a block in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InFile {
    /// Its place in the file, in copies.
    pub(super) place: u32,
    /// The number of the save that wrote it, from 1.
    pub(super) save: u64,
    /// What it adds to the sum of all copies.
    pub(super) hash: u64,
}

impl Block {
    /// Nothing is known of its pages.
    pub(super) fn unknown() -> Block {
        Block { places: Box::new([Lsn(0); PAGES as usize]), copy: None }
    }

    /// The number of the save that wrote its copy; 0 without one.
    pub(super) fn save(&self) -> u64 {
        self.copy.map_or(0, |copy| copy.save)
    }
}

/// Where a place is in the file, in bytes.
pub(super) fn offset_of(place: u32) -> u64 {
    u64::from(place) * COPY_BYTES as u64
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// What a copy adds to the sum: its place, its save and, by its checksum, all else of it.
fn hash_of(place: u32, bytes: &[u8]) -> u64 {
    let sum = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    mix(mix(u64::from(place) << 32 | u64::from(sum)) ^ word(bytes, 16))
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(word: u64) -> u64 {
    let mut word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// A copy, and its bytes.
pub(super) fn encode(place: u32, database: u64, save: u64, places: &Places) -> (InFile, Vec<u8>) {
    let mut bytes = vec![0; COPY_BYTES];
    bytes[4..8].copy_from_slice(&place.to_le_bytes());
    bytes[8..16].copy_from_slice(&database.to_le_bytes());
    bytes[16..24].copy_from_slice(&save.to_le_bytes());
    bytes[24..26].copy_from_slice(&FORMAT.to_le_bytes());
    for (to, lsn) in bytes[HEAD_BYTES..].chunks_exact_mut(8).zip(places) {
        to.copy_from_slice(&lsn.0.to_le_bytes());
    }
    let sum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    (InFile { place, save, hash: hash_of(place, &bytes) }, bytes)
}

/// What a copy says, and in which format; nothing, if it is not whole, in another place than its own, or of
/// another database.
pub(super) fn decode(place: u32, database: u64, bytes: &[u8]) -> Option<(u16, Block)> {
    let is_ours = bytes[..4] == crc32c::crc32c(&bytes[4..]).to_le_bytes()
        && bytes[4..8] == place.to_le_bytes()
        && word(bytes, 8) == database;
    if !is_ours {
        return None;
    }
    let mut block = Block::unknown();
    for (at, lsn) in (HEAD_BYTES..).step_by(8).zip(&mut *block.places) {
        *lsn = Lsn(word(bytes, at));
    }
    block.copy = Some(InFile { place, save: word(bytes, 16), hash: hash_of(place, bytes) });
    Some((u16::from_le_bytes([bytes[24], bytes[25]]), block))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(last: u64) -> Places {
        let mut places = [Lsn(0); PAGES as usize];
        (places[0], places[507]) = (Lsn(7), Lsn(last));
        places
    }

    #[test]
    fn a_copy_is_read_as_it_was_written_and_in_no_other_form() {
        let (copy, bytes) = encode(3, 0xDB, 9, &places(u64::MAX));
        let (format, block) = decode(3, 0xDB, &bytes).expect("it is whole");
        assert_eq!((format, *block.places), (FORMAT, places(u64::MAX)));
        assert_eq!((copy.place, copy.save, block.copy), (3, 9, Some(copy)));
        assert!(decode(4, 0xDB, &bytes).is_none() && decode(3, 0xDC, &bytes).is_none());
        for at in 0..COPY_BYTES {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(3, 0xDB, &damaged).is_none(), "byte {at}");
        }
    }

    #[test]
    fn copies_that_differ_in_anything_have_other_hashes() {
        let hash = |place, save, last| encode(place, 0xDB, save, &places(last)).0.hash;
        let hashes = [hash(3, 9, 5), hash(2, 9, 5), hash(3, 8, 5), hash(3, 9, 6)];
        assert_eq!(BTreeSet::from(hashes).len(), 4);
    }
}
