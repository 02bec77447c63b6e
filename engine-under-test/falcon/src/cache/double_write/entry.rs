//! The bytes of an entry: a header and the images of neighbouring pages, or of none.
//!
//! # Method
//!
//! The checksum covers the place of the entry and all its bytes, so one that was torn, or is a remnant of
//! something that was once at another place, is none. The header has one of its own: that an entry was begun
//! is told even by one that is torn.
//!
//! # Invariant
//!
//! An entry that [`check`] accepts was encoded for this place.

use super::CAPACITY_PAGES_MAX;
use crate::page::PageSize;
use crate::{PageId, PageNumber, TablespaceId};

/// The newest format that is known here, and the one that is written.
pub(super) const FORMAT: u16 = 1;
/// Bytes of an entry before its first image.
pub(super) const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"fDbl";
/// Where the checksum of the header is: behind what it covers.
const HEADER_CRC: usize = 48;
/// Generations from here on are none: nothing is ever added to what comes near.
const GENERATION_MAX: u64 = 1 << 62;

/// Entries that were begun between two syncs of all files. Later ones have higher numbers, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(pub(super) u64);

impl Generation {
    pub(super) fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

/// What an entry says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) format: u16,
    pub(super) page_size: PageSize,
    pub(super) database: u64,
    pub(super) generation: Generation,
    /// The first of its pages.
    pub(super) first: PageId,
    pub(super) pages: u32,
    /// The whole entry, with what is behind its images.
    pub(super) entry_bytes: u32,
}

impl Header {
    /// The header of an entry for so many pages.
    pub(super) fn new(
        page_size: PageSize,
        database: u64,
        generation: Generation,
        first: PageId,
        pages: usize,
        align_bytes: u32,
    ) -> Header {
        let bytes = HEADER_BYTES + pages * page_size.bytes();
        let entry_bytes = bytes.next_multiple_of(align_bytes as usize) as u32;
        let pages = pages as u32;
        Header { format: FORMAT, page_size, database, generation, first, pages, entry_bytes }
    }

    /// Its pages, each with the place of its image in the entry.
    pub(super) fn images(&self) -> impl Iterator<Item = (PageId, usize)> + use<> {
        let Header { first, pages, page_size, .. } = *self;
        (0..pages).map(move |index| {
            let number = PageNumber(first.number.0 + index);
            let page = PageId { number, ..first };
            (page, HEADER_BYTES + index as usize * page_size.bytes())
        })
    }
}

/// The entry with these images, as it is written at `offset`.
pub(super) fn encode(header: &Header, images: &[u8], offset: u64) -> Vec<u8> {
    let images_bytes = header.pages as usize * header.page_size.bytes();
    assert_eq!(images.len(), images_bytes, "the images of {} pages", header.pages);
    let mut bytes = Vec::with_capacity(header.entry_bytes as usize);
    bytes.resize(HEADER_BYTES, 0);
    bytes.extend_from_slice(images);
    bytes.resize(header.entry_bytes as usize, 0);
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&header.format.to_le_bytes());
    let halves = [
        (12, header.page_size.bytes() as u32),
        (32, header.first.tablespace.0),
        (36, header.first.number.0),
        (40, header.pages),
        (44, header.entry_bytes),
    ];
    for (at, half) in halves {
        bytes[at..at + 4].copy_from_slice(&half.to_le_bytes());
    }
    bytes[16..24].copy_from_slice(&header.database.to_le_bytes());
    bytes[24..32].copy_from_slice(&header.generation.0.to_le_bytes());
    let header_crc = header_checksum(&bytes, offset);
    bytes[HEADER_CRC..HEADER_CRC + 4].copy_from_slice(&header_crc.to_le_bytes());
    let crc = checksum(&bytes, offset);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the header at the start of `bytes` says, if one was written at `offset`. Whether the entry is whole
/// is not looked at.
pub(super) fn peek(bytes: &[u8], offset: u64) -> Option<Header> {
    let bytes = bytes.get(..HEADER_BYTES)?;
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let tablespace = TablespaceId(half(32));
    let header = Header {
        format: u16::from_le_bytes([bytes[8], bytes[9]]),
        page_size: PageSize::of_length(half(12) as usize)?,
        database: word(16),
        generation: Generation(word(24)),
        first: PageId { tablespace, number: PageNumber(half(36)) },
        pages: half(40),
        entry_bytes: half(44),
    };
    let pages_max = CAPACITY_PAGES_MAX as u32;
    let images_bytes = u64::from(header.pages) * header.page_size.bytes() as u64;
    let can_be = bytes[..4] == MAGIC
        && half(HEADER_CRC) == header_checksum(bytes, offset)
        && header.pages <= pages_max
        && header.first.number.0.checked_add(header.pages).is_some()
        && header.generation.0 < GENERATION_MAX
        && HEADER_BYTES as u64 + images_bytes <= header.entry_bytes.into();
    can_be.then_some(header)
}

/// Whether these bytes are a whole entry that was written at `offset`.
pub(super) fn check(bytes: &[u8], offset: u64) -> bool {
    let stored = u32::from_le_bytes(bytes[4..8].try_into().expect("4 bytes"));
    checksum(bytes, offset) == stored
}

fn header_checksum(bytes: &[u8], offset: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_le_bytes()), &bytes[8..HEADER_CRC])
}

fn checksum(bytes: &[u8], offset: u64) -> u32 {
    let crc = crc32c::crc32c(&offset.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &bytes[..4]);
    crc32c::crc32c_append(crc, &bytes[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(pages: usize) -> Header {
        let first = PageId { tablespace: TablespaceId(3), number: PageNumber(70) };
        Header::new(PageSize::MIN, 7, Generation(5), first, pages, 512)
    }

    #[test]
    fn an_entry_tells_what_was_put_into_it() {
        let bytes = encode(&header(2), &[0xab; 2048], 1024);
        assert_eq!(bytes.len(), 2560);
        assert_eq!(peek(&bytes, 1024), Some(header(2)));
        assert_eq!(peek(&bytes, 512), None, "another place");
        assert!(check(&bytes, 1024));
        assert!(!check(&bytes, 512), "another place");
        let images: Vec<_> = header(2).images().map(|(page, at)| (page.number.0, at)).collect();
        assert_eq!(images, [(70, 64), (71, 1088)]);
    }

    #[test]
    fn every_byte_counts() {
        let bytes = encode(&header(1), &[0xab; 1024], 0);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(!check(&damaged, 0), "byte {at}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_are_no_header() {
        let good = encode(&header(1), &[0xab; 1024], 0);
        let rows: [(usize, u8, &str); 5] = [
            (0, b'x', "another beginning"),
            (12, 1, "a page of 1025 bytes"),
            (31, 0x40, "a generation that is never reached"),
            (40, 2, "more pages than bytes"),
            (42, 0xff, "more pages than there may be"),
        ];
        for (at, value, what) in rows {
            let mut bytes = good.clone();
            bytes[at] = value;
            let crc = header_checksum(&bytes, 0);
            bytes[HEADER_CRC..HEADER_CRC + 4].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(peek(&bytes, 0), None, "{what}");
        }
        let mut bytes = good.clone();
        bytes[36..40].fill(0xff);
        let crc = header_checksum(&bytes, 0);
        bytes[HEADER_CRC..HEADER_CRC + 4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(peek(&bytes, 0), None, "pages behind the last number");
        assert_eq!(peek(&good[..63], 0), None, "less than a header");
        for at in 8..52 {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            assert_eq!(peek(&bytes, 0), None, "byte {at} does not fit the checksum");
        }
    }
}
