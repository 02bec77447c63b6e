//! Finds which of the blocks in the files are the log.
//!
//! # Method
//!
//! A block is begun when the one before it is durable, and the first block of an epoch states the last
//! one of the epoch before again. So the last block of the log is the one with the highest number in the
//! highest epoch, whatever else is there: a block of an older epoch is either before it or superseded,
//! even if its number would fit. From there the chain is followed back, by number, place and checksum of
//! the block before, to where recovery starts.
//!
//! # Invariant
//!
//! A block that was begun and not finished is at the end, where nothing needs it. A gap before the end
//! is damage, and is reported, never cut off.

use std::collections::{BTreeMap, VecDeque};

use super::block::{BlockNumber, Epoch};
use super::files::{Files, Which, first_place};
use super::scan::Scan;
use super::state::Block;
use crate::{Error, Result};

/// The blocks of the log from where recovery starts, in their order.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) blocks: VecDeque<Block>,
    /// A block after the last one was begun, and is not there.
    pub(super) is_torn: bool,
}

/// The blocks that are the log.
pub(super) fn find(files: &Files, found: &Scan, block_bytes: u32) -> Result<Tail> {
    let Some(&last) = found.blocks.iter().max_by_key(|block| age(block)) else {
        let what = "there is no block in either file".to_string();
        return Err(files.damaged(Which::First, format!("byte {block_bytes}"), what));
    };
    let (start, end) = (last.header.recovery_start, last.header.end());
    if start > end {
        let what = format!("recovery would start at {start}, and the log ends at {end}");
        return Err(files.damaged(last.place.file, place_of(&last), what));
    }
    let mut by_number: BTreeMap<BlockNumber, Vec<&Block>> = BTreeMap::new();
    for block in &found.blocks {
        by_number.entry(block.header.number).or_default().push(block);
    }
    let mut blocks = VecDeque::from([last]);
    loop {
        let next = blocks[0];
        if next.header.first <= start {
            break;
        }
        let number = BlockNumber(next.header.number.0.saturating_sub(1));
        let candidates = by_number.get(&number).map_or(&[][..], Vec::as_slice);
        match candidates.iter().find(|block| precedes(block, &next)) {
            Some(before) => blocks.push_front(**before),
            None => return Err(gap(files, found, &next, block_bytes)),
        }
    }
    let is_torn = found.begun.iter().any(|(header, _)| {
        let next = (last.header.epoch, BlockNumber(last.header.number.0 + 1));
        let again = (Epoch(last.header.epoch.0 + 1), last.header.number);
        [next, again].contains(&(header.epoch, header.number))
    });
    Ok(Tail { blocks, is_torn })
}

/// Later blocks of the log have a higher age.
fn age(block: &Block) -> (Epoch, BlockNumber) {
    (block.header.epoch, block.header.number)
}

fn precedes(block: &Block, next: &Block) -> bool {
    block.crc == next.header.previous_crc
        && block.header.epoch <= next.header.epoch
        && block.header.end() == next.header.first
}

/// `block 12 at byte 8192`.
pub(super) fn place_of(block: &Block) -> String {
    format!("block {} at byte {}", block.header.number.0, block.place.offset)
}

/// The error for a block that is not there, while `next` is, which comes after it.
fn gap(files: &Files, found: &Scan, next: &Block, block_bytes: u32) -> Error {
    let number = next.header.number.0.saturating_sub(1);
    // The first block of a round follows the last one of the other file; all others the one that is
    // before them in their own.
    let first = first_place(next.place.file, block_bytes);
    let file = match next.place == first {
        true => next.place.file.other(),
        false => next.place.file,
    };
    let whole = found.blocks.iter().filter(|block| {
        let is_before = file != next.place.file || block.place.offset < next.place.offset;
        block.place.file == file && block.header.number.0 < number && is_before
    });
    let after = whole.max_by_key(|block| age(block));
    let offset = after.map_or(block_bytes.into(), |block| block.place.offset + block.bytes);
    let what = format!(
        "it is not there whole, but {} of {} follows it",
        place_of(next),
        files.name(next.place.file).display()
    );
    files.damaged(file, format!("block {number} at byte {offset}"), what)
}
