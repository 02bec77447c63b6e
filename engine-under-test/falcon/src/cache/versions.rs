//! The file of versions: of every page, how new it is on the disk.
//!
//! # Method
//!
//! A checksum tells a page that is damaged, and its number one that is in the wrong place. Neither tells a page
//! whose last write the device has lost: what is there then is whole, and was right once. So this file has for
//! each page the place in the log of the change that was written last, as far as a checkpoint has seen to it. A
//! page that is older when it is read is told. The idea is that of the block tags of parity arrays (Krioukov and
//! others, *Parity Lost and Parity Regained*, FAST 2008), which call it version mirroring.
//!
//! ```text
//! a block of 512 bytes
//! byte 0..4     4..8    8..16     16..
//!      CRC-32C  number  database  62 places in the log, eight bytes each: those of the pages from
//!                                 number / tablespaces * 62 on, of tablespace number % tablespaces
//! ```
//!
//! Numbers are little-endian. The checksum covers the rest of the block.
//!
//! A checkpoint takes the places that are new before it syncs the pages, and writes them after that: what the
//! file says of a page was durable before. A crash may leave older places than the pages have, which is nothing
//! to tell of, and so may an eviction.
//!
//! # Invariant
//!
//! Nothing depends on the file. A block that is not whole, or of another database, says nothing of its pages,
//! and one that is not there likewise.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconry_seam::disk::File;
use falconry_seam::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Error, Lsn, PageId, PageNumber, Result, TablespaceId};

const BLOCK_BYTES: usize = 512;
const HEAD_BYTES: usize = 16;
/// Pages of a block.
const PAGES: u32 = ((BLOCK_BYTES - HEAD_BYTES) / 8) as u32;

/// Blocks that are read at a time.
const PIECE_BLOCKS: usize = 128;

/// How new the pages of some tablespaces are on the disk.
pub struct Versions {
    file: Arc<dyn File>,
    path: PathBuf,
    database: u64,
    tablespaces: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocks: BTreeMap<u32, [Lsn; PAGES as usize]>,
    /// Those with places that the file does not have.
    new: BTreeSet<u32>,
}

/// Blocks as they are to be written.
pub(super) struct Taken(Vec<(u32, [u8; BLOCK_BYTES])>);

impl Versions {
    /// Opens the file, new and empty or with what a life before this one left in it, for pages of the
    /// tablespaces below that number. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn open(
        file: Arc<dyn File>,
        path: &Path,
        database: u64,
        tablespaces: u32,
    ) -> Result<Versions> {
        let mut state = State::default();
        let mut piece = vec![0; PIECE_BLOCKS * BLOCK_BYTES];
        for first in (0..).step_by(PIECE_BLOCKS) {
            let offset = u64::from(first) * BLOCK_BYTES as u64;
            let read = read_upto(&*file, &mut piece, offset);
            let read = read.map_err(|error| Error::io("read", path, error))?;
            for (number, block) in (first..).zip(piece[..read].chunks_exact(BLOCK_BYTES)) {
                if let Some(places) = decode(number, database, block) {
                    state.blocks.insert(number, places);
                }
            }
            if read < piece.len() {
                break;
            }
        }
        let path = path.to_path_buf();
        Ok(Versions { file, path, database, tablespaces, state: Mutex::new(state) })
    }

    /// The page whose place in the log is the latest. The log was durable up to there.
    pub(crate) fn latest(&self) -> Option<(PageId, Lsn)> {
        let state = self.state();
        let of_blocks = state.blocks.iter().flat_map(|(number, places)| {
            (0..).zip(places).map(|(slot, lsn)| (self.page(*number, slot), *lsn))
        });
        of_blocks.filter(|(_, lsn)| *lsn > Lsn(0)).max_by_key(|(_, lsn)| *lsn)
    }

    /// The place in the log that a page has at least; 0 if nothing is known of it.
    pub(super) fn of(&self, page: PageId) -> Lsn {
        let (number, slot) = self.place(page);
        self.state().blocks.get(&number).map_or(Lsn(0), |places| places[slot])
    }

    /// Pages were written, each with the changes up to that place in the log. They need not be durable.
    pub(super) fn written(&self, pages: impl Iterator<Item = (PageId, Lsn)>) {
        let mut state = self.state();
        for (page, lsn) in pages {
            let (number, slot) = self.place(page);
            state.blocks.entry(number).or_insert([Lsn(0); PAGES as usize])[slot] = lsn;
            state.new.insert(number);
        }
    }

    /// Takes what the file does not have. All of it must be durable on the pages before it is written.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state();
        let new = std::mem::take(&mut state.new);
        let blocks = new.into_iter().map(|number| {
            let places = &state.blocks[&number];
            (number, encode(number, self.database, places))
        });
        Taken(blocks.collect())
    }

    /// Writes what was taken, durably.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: what the file has of these blocks is unknown, and nothing else is wrong.
    pub(super) fn save(&self, taken: &Taken) -> Result<()> {
        let Taken(blocks) = taken;
        if blocks.is_empty() {
            return Ok(());
        }
        // Neighbours in one write.
        for run in blocks.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
            let bytes: Vec<u8> = run.iter().flat_map(|(_, block)| block).copied().collect();
            let offset = u64::from(run[0].0) * BLOCK_BYTES as u64;
            let written = self.file.write_all_at(&bytes, offset);
            written.map_err(|error| Error::io("write", &self.path, error))?;
        }
        self.file.sync_data().map_err(|error| Error::io("sync", &self.path, error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block and the slot in it.
    fn place(&self, page: PageId) -> (u32, usize) {
        let PageId { tablespace, number } = page;
        (number.0 / PAGES * self.tablespaces + tablespace.0, (number.0 % PAGES) as usize)
    }

    fn page(&self, block: u32, slot: u32) -> PageId {
        let number =
            PageNumber((block / self.tablespaces).saturating_mul(PAGES).saturating_add(slot));
        PageId { tablespace: TablespaceId(block % self.tablespaces), number }
    }
}

/// Reads until the buffer is full or the file ends; returns how much that is.
fn read_upto(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn encode(number: u32, database: u64, places: &[Lsn; PAGES as usize]) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    block[4..8].copy_from_slice(&number.to_le_bytes());
    block[8..16].copy_from_slice(&database.to_le_bytes());
    for (to, lsn) in block[HEAD_BYTES..].chunks_exact_mut(8).zip(places) {
        to.copy_from_slice(&lsn.0.to_le_bytes());
    }
    let sum = crc32c::crc32c(&block[4..]);
    block[..4].copy_from_slice(&sum.to_le_bytes());
    block
}

/// What a block says; nothing, if it is not whole, in another place than its own, or of another database.
fn decode(number: u32, database: u64, block: &[u8]) -> Option<[Lsn; PAGES as usize]> {
    let sum = crc32c::crc32c(&block[4..]);
    let is_ours = block[..4] == sum.to_le_bytes()
        && block[4..8] == number.to_le_bytes()
        && block[8..16] == database.to_le_bytes();
    let mut places = [Lsn(0); PAGES as usize];
    for (lsn, bytes) in places.iter_mut().zip(block[HEAD_BYTES..].chunks_exact(8)) {
        *lsn = Lsn(u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    }
    is_ours.then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written_and_in_no_other_form() {
        let mut places = [Lsn(0); PAGES as usize];
        (places[0], places[61]) = (Lsn(7), Lsn(u64::MAX));
        let block = encode(3, 0xDB, &places);
        assert_eq!(decode(3, 0xDB, &block), Some(places));
        assert_eq!(decode(4, 0xDB, &block), None);
        assert_eq!(decode(3, 0xDC, &block), None);
        for at in 0..BLOCK_BYTES {
            let mut damaged = block;
            damaged[at] ^= 0x10;
            assert_eq!(decode(3, 0xDB, &damaged), None, "byte {at}");
        }
    }
}
