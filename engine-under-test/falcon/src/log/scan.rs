//! Finds every block in a file, whole or begun.
//!
//! # Method
//!
//! Each aligned place is looked at. Where a whole block of this database is, the scan goes on behind it,
//! so nothing that is stored in a record can pass for a block; elsewhere it goes on at the next place.
//!
//! # Invariant
//!
//! Nothing is believed but the checksum: what looks like a block and is none is only remembered.

use super::block::{self, Header};
use super::files::{Files, Place, Which, first_place};
use super::state::Block;
use crate::Result;

/// What there is in the two files, each in the order of its places.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) blocks: Vec<Block>,
    /// Headers without their block: its write did not end, or it was overwritten or damaged.
    pub(super) begun: Vec<(Header, Place)>,
}

/// Bytes that are read at once, unless one block needs more.
const READ_BYTES: u64 = 256 << 10;

/// Scans both files for the blocks of a database.
pub(super) fn scan(files: &Files, block_bytes: u32, database: u64) -> Result<Scan> {
    let mut found = Scan::default();
    for which in Which::BOTH {
        scan_file(files, which, block_bytes, database, &mut found)?;
    }
    Ok(found)
}

fn scan_file(
    files: &Files,
    which: Which,
    block_bytes: u32,
    database: u64,
    found: &mut Scan,
) -> Result<()> {
    let mut reader = Reader { files, which, len: files.len(which)?, from: 0, buffer: Vec::new() };
    let mut place = first_place(which, block_bytes);
    while place.offset + block::HEADER_BYTES as u64 <= reader.len {
        let mut step = u64::from(block_bytes);
        let header = block::peek(reader.at(place.offset, block::HEADER_BYTES as u64)?);
        if let Some(header) = header.filter(|header| header.database == database) {
            let bytes = header.block_bytes(block_bytes);
            let is_there = bytes <= reader.len - place.offset;
            let crc = match is_there {
                true => block::check(reader.at(place.offset, bytes)?, place),
                false => None,
            };
            match crc {
                Some(_) if header.format > block::FORMAT => {
                    return Err(files.newer(which, header.format));
                }
                Some(crc) => {
                    found.blocks.push(Block { header, crc, place, bytes });
                    step = bytes;
                }
                None => found.begun.push((header, place)),
            }
        }
        place.offset += step;
    }
    Ok(())
}

/// Reads a file from its begin to its end in large pieces.
struct Reader<'a> {
    files: &'a Files,
    which: Which,
    len: u64,
    /// Where the buffer begins in the file.
    from: u64,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// So many bytes at an offset, which the file has.
    fn at(&mut self, offset: u64, bytes: u64) -> Result<&[u8]> {
        let is_here = offset >= self.from && offset + bytes <= self.from + self.buffer.len() as u64;
        if !is_here {
            let wanted = bytes.max(READ_BYTES).min(self.len - offset);
            self.buffer.resize(wanted as usize, 0);
            self.from = offset;
            self.files.read(Place { file: self.which, offset }, &mut self.buffer)?;
        }
        let at = (offset - self.from) as usize;
        Ok(&self.buffer[at..at + bytes as usize])
    }
}
