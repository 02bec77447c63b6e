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
use crate::read_ahead::ReadAhead;

/// What there is in the two files, each in the order of its places.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) blocks: Vec<Block>,
    /// Headers without their block: its write did not end, or it was overwritten or damaged.
    pub(super) begun: Vec<(Header, Place)>,
}

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
    let mut reader = ReadAhead::new(files.len(which)?, |buffer, offset| {
        files.read(Place { file: which, offset }, buffer)
    });
    let mut place = first_place(which, block_bytes);
    while place.offset + block::HEADER_BYTES as u64 <= reader.len() {
        let mut step = u64::from(block_bytes);
        let header = block::peek(reader.at(place.offset, block::HEADER_BYTES as u64)?);
        if let Some(header) = header.filter(|header| header.database == database) {
            let bytes = header.block_bytes(block_bytes);
            let is_there = bytes <= reader.len() - place.offset;
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
