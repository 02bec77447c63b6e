//! The bytes of a block.
//!
//! # Method
//!
//! A block is encoded in the memory that its records were appended to: a header in front, zeros behind
//! up to the alignment. The checksum covers all of it and, before it, the place of the block, so that a
//! block which was written to another place is none.
//!
//! # Invariant
//!
//! Two blocks with the same database, epoch and number are the same block.

use super::files::Place;
use crate::Lsn;

/// The newest format that is known here, and the one that is written.
pub(super) const FORMAT: u16 = 1;
/// Bytes of a block before its payload.
pub(super) const HEADER_BYTES: usize = 64;
/// The largest block that there can be.
pub(super) const BYTES_MAX: u32 = 64 << 20;

const MAGIC: [u8; 4] = *b"fBlk";
/// Numbers, epochs and places from here on are none: nothing is ever added to what comes near.
const COUNT_MAX: u64 = 1 << 62;

/// A life of the log: one from its creation, or from an opening, to the next opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// The number of a block, from 1. A block that an opening states again keeps its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockNumber(pub u64);

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) format: u16,
    pub(super) payload_bytes: u32,
    pub(super) database: u64,
    pub(super) epoch: Epoch,
    pub(super) number: BlockNumber,
    /// The place of the first byte of payload.
    pub(super) first: Lsn,
    /// What recovery reads from, if this is the last block.
    pub(super) recovery_start: Lsn,
    /// The checksum of the block before, by which the chain is exact.
    pub(super) previous_crc: u32,
}

impl Header {
    /// The place after the last byte of payload.
    pub(super) fn end(&self) -> Lsn {
        Lsn(self.first.0 + u64::from(self.payload_bytes))
    }

    /// Bytes of the block in the file.
    pub(super) fn block_bytes(&self, alignment: u32) -> u64 {
        (HEADER_BYTES as u64 + u64::from(self.payload_bytes)).next_multiple_of(alignment.into())
    }
}

/// Makes a block of `image`, which has room for the header and then the payload. Returns its checksum.
pub(super) fn seal(image: &mut Vec<u8>, header: &Header, place: Place, alignment: u32) -> u32 {
    let bytes = HEADER_BYTES + header.payload_bytes as usize;
    assert_eq!(image.len(), bytes, "the payload of {:?} is not as long as it says", header.number);
    image.resize(header.block_bytes(alignment) as usize, 0);
    image[..HEADER_BYTES].fill(0);
    image[..4].copy_from_slice(&MAGIC);
    image[8..10].copy_from_slice(&header.format.to_le_bytes());
    image[12..16].copy_from_slice(&header.payload_bytes.to_le_bytes());
    let words =
        [header.database, header.epoch.0, header.number.0, header.first.0, header.recovery_start.0];
    for (index, word) in words.into_iter().enumerate() {
        image[16 + 8 * index..24 + 8 * index].copy_from_slice(&word.to_le_bytes());
    }
    image[56..60].copy_from_slice(&header.previous_crc.to_le_bytes());
    let crc = checksum(image, place);
    image[4..8].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// What the header at the start of `bytes` says, if it can be one. The checksum is not looked at.
pub(super) fn peek(bytes: &[u8]) -> Option<Header> {
    let bytes = bytes.get(..HEADER_BYTES)?;
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let header = Header {
        format: u16::from_le_bytes([bytes[8], bytes[9]]),
        payload_bytes: half(12),
        database: word(16),
        epoch: Epoch(word(24)),
        number: BlockNumber(word(32)),
        first: Lsn(word(40)),
        recovery_start: Lsn(word(48)),
        previous_crc: half(56),
    };
    let counts = [header.epoch.0, header.number.0, header.first.0, header.recovery_start.0];
    let can_be = bytes[..4] == MAGIC
        && header.payload_bytes <= BYTES_MAX - HEADER_BYTES as u32
        && counts.iter().all(|count| *count < COUNT_MAX);
    can_be.then_some(header)
}

/// The checksum of a whole block, if it is the one that the block names.
pub(super) fn check(bytes: &[u8], place: Place) -> Option<u32> {
    let stored = u32::from_le_bytes(bytes.get(4..8)?.try_into().expect("4 bytes"));
    (checksum(bytes, place) == stored).then_some(stored)
}

fn checksum(bytes: &[u8], place: Place) -> u32 {
    let crc = crc32c::crc32c(&[place.file.index() as u8]);
    let crc = crc32c::crc32c_append(crc, &place.offset.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &bytes[..4]);
    crc32c::crc32c_append(crc, &bytes[8..])
}

#[cfg(test)]
mod tests {
    use super::super::files::Which;
    use super::*;

    fn header(payload_bytes: u32) -> Header {
        Header {
            format: FORMAT,
            payload_bytes,
            database: 7,
            epoch: Epoch(3),
            number: BlockNumber(12),
            first: Lsn(1000),
            recovery_start: Lsn(900),
            previous_crc: 0xdead_beef,
        }
    }

    fn sealed(place: Place) -> Vec<u8> {
        let mut image = vec![0; HEADER_BYTES];
        image.extend_from_slice(&[0xab; 500]);
        seal(&mut image, &header(500), place, 512);
        image
    }

    const PLACE: Place = Place { file: Which::First, offset: 512 };

    #[test]
    fn a_block_tells_what_was_put_into_it() {
        let image = sealed(PLACE);
        assert_eq!(image.len(), 1024);
        assert_eq!(peek(&image), Some(header(500)));
        assert_eq!(header(500).end(), Lsn(1500));
        assert!(check(&image, PLACE).is_some());
    }

    #[test]
    fn a_block_of_another_place_is_none() {
        let image = sealed(PLACE);
        assert_eq!(check(&image, Place { offset: 1024, ..PLACE }), None);
        assert_eq!(check(&image, Place { file: Which::Second, ..PLACE }), None);
    }

    #[test]
    fn every_byte_counts() {
        let image = sealed(PLACE);
        for at in 0..image.len() {
            let mut damaged = image.clone();
            damaged[at] ^= 0x10;
            assert_eq!(check(&damaged, PLACE), None, "byte {at}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_are_no_header() {
        let mut image = sealed(PLACE);
        image[31] = 0x40;
        assert_eq!(peek(&image), None, "an epoch that no log reaches");
        let mut image = sealed(PLACE);
        image[15] = 0x7f;
        assert_eq!(peek(&image), None, "a payload that no block has");
        assert_eq!(peek(&image[..63]), None, "less than a header");
    }
}
