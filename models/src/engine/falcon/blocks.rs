//! The blocks of a picture's log, and a new seal for one that was changed.
//!
//! # Method
//!
//! Blocks are found by their checksums, as an opening finds them. A block that is sealed anew has another checksum,
//! which the next one names: so that is sealed anew as well, and all behind it.
//!
//! # Invariant
//!
//! What is sealed here is a log to whoever reads it, whatever its records say.

use std::ops::Range;

use falcon::log::RecordKind;

use super::picture::{BLOCK_BYTES, Files, LOG};

/// Bytes of a block before its records, and of a record before its own.
pub(super) const HEADER_BYTES: usize = 64;
const RECORD_HEADER_BYTES: usize = 5;
const CRC: Range<usize> = 4..8;
const PREVIOUS_CRC: Range<usize> = 56..60;

/// Where a block is, and what it says of itself.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Which file of the log.
    pub(super) file: usize,
    /// Its bytes there.
    pub(super) range: Range<usize>,
    /// Of its bytes those that are records.
    payload_bytes: usize,
    /// Its epoch and its number: later blocks have higher ones.
    age: (u64, u64),
    crc: u32,
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("a header has it"))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("a header has it"))
}

fn checksum(bytes: &[u8], file: usize, offset: usize) -> u32 {
    let crc = crc32c::crc32c(&[file as u8]);
    let crc = crc32c::crc32c_append(crc, &(offset as u64).to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &bytes[..4]);
    crc32c::crc32c_append(crc, &bytes[8..])
}

/// All blocks that are whole, the oldest first.
pub(super) fn all(files: &Files) -> Vec<Block> {
    let mut found = Vec::new();
    for (file, name) in LOG.into_iter().enumerate() {
        let bytes = files[name].as_slice();
        let mut at = BLOCK_BYTES;
        while at + HEADER_BYTES <= bytes.len() {
            let block = block_at(bytes, file, at);
            at = block.as_ref().map_or(at + BLOCK_BYTES, |block| block.range.end);
            found.extend(block);
        }
    }
    found.sort_by_key(|block| block.age);
    found
}

fn block_at(bytes: &[u8], file: usize, at: usize) -> Option<Block> {
    let header = &bytes[at..at + HEADER_BYTES];
    let payload_bytes = half(header, 12) as usize;
    let length = (HEADER_BYTES + payload_bytes).next_multiple_of(BLOCK_BYTES);
    let image = bytes.get(at..at + length)?;
    let crc = half(image, CRC.start);
    let is_whole = image.starts_with(b"fBlk") && checksum(image, file, at) == crc;
    let age = (word(image, 24), word(image, 32));
    is_whole.then_some(Block { file, range: at..at + length, payload_bytes, age, crc })
}

impl Block {
    /// The kind of each of its records, and where that has its bytes in the file.
    pub(super) fn records(&self, files: &Files) -> Vec<(RecordKind, Range<usize>)> {
        let bytes = files[LOG[self.file]].as_slice();
        let mut at = self.range.start + HEADER_BYTES;
        let end = at + self.payload_bytes;
        let mut found = Vec::new();
        while at + RECORD_HEADER_BYTES <= end {
            let from = at + RECORD_HEADER_BYTES;
            let to = from + half(bytes, at + 1) as usize;
            found.push((RecordKind(bytes[at]), from..to));
            at = to;
        }
        found
    }

    /// Where the record begins whose bytes are there.
    pub(super) fn kind_at(record: &Range<usize>) -> usize {
        record.start - RECORD_HEADER_BYTES
    }
}

/// Seals the block `changed`, one of those that [`all`] found before, and all that follow it.
pub(super) fn seal(files: &mut Files, blocks: &[Block], changed: usize) {
    let mut old = Vec::new();
    for (ordinal, block) in blocks.iter().enumerate().skip(changed) {
        let image = &mut files.get_mut(LOG[block.file]).expect("it is there")[block.range.clone()];
        let previous = half(image, PREVIOUS_CRC.start);
        let new_previous = old.iter().find(|(before, _)| *before == previous);
        if let Some((_, new)) = new_previous {
            image[PREVIOUS_CRC].copy_from_slice(&u32::to_le_bytes(*new));
        } else if ordinal != changed {
            continue;
        }
        let crc = checksum(image, block.file, block.range.start);
        image[CRC].copy_from_slice(&crc.to_le_bytes());
        old.push((block.crc, crc));
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::{CRASHED, PictureDisk, answer, options};
    use super::super::tests::on_machines;
    use super::*;
    use falcon::Database as Falcon;

    #[test]
    fn a_log_that_is_sealed_anew_is_one() {
        on_machines("a_log_that_is_sealed_anew_is_one", 1, || {
            let mut files = CRASHED.files();
            let blocks = all(&files);
            assert!(blocks.len() > 4, "{blocks:?}");
            // A byte that has no use, so that the records are the same.
            let log = files.get_mut(LOG[blocks[0].file]).expect("it is there");
            log[blocks[0].range.start + 10] = 1;
            assert_eq!(all(&files).len(), blocks.len() - 1);
            seal(&mut files, &blocks, 0);
            let (before, after) = (blocks.last().expect("some"), all(&files));
            assert_eq!(after.len(), blocks.len());
            assert_ne!(before.crc, after.last().expect("some").crc, "it names the one before");
            let disk = PictureDisk::shared(files);
            let falcon = Falcon::open(&disk, &options()).expect("it is a log");
            assert_eq!(answer(&falcon, CRASHED.answer).expect("whole"), CRASHED.answer);
            Ok(())
        });
    }
}
