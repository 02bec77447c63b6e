//! Creating a log, and opening one.
//!
//! # Method
//!
//! Opening reads everything before it writes anything. Then it states the last block again, in a new
//! epoch, behind that block, and syncs. So whatever is behind it from the life before, torn or whole, is
//! superseded; and the last block is durable even if it was only in the page cache until now, where a
//! failed sync may have left it looking written. Nothing that may be durable is overwritten for this.
//!
//! # Invariant
//!
//! Nothing can be appended before the new epoch is durable.

use std::collections::VecDeque;
use std::path::Path;

use falconry_seam::disk::Disk;
use falconry_seam::sync::Arc;

use super::block::{self, BlockNumber, Epoch, Header};
use super::files::{Files, Place, Which, first_place};
use super::serial::Log;
use super::state::Block;
use super::{LogConfig, scan, tail};
use crate::{Lsn, PageId, Result};

/// What an opening found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTail {
    /// Where recovery starts to read.
    pub recovery_start: Lsn,
    /// The place after the last record.
    pub end: Lsn,
    /// The last block.
    pub last_block: BlockNumber,
    /// The epoch that begins with this opening.
    pub epoch: Epoch,
    /// A block behind the last one was begun and not finished. Nobody was told that it was durable.
    pub is_torn: bool,
}

impl LogTail {
    /// The tail of a log that was created just now.
    pub(crate) const NEW: LogTail = LogTail {
        recovery_start: Lsn(0),
        end: Lsn(0),
        last_block: BlockNumber(1),
        epoch: Epoch(1),
        is_torn: false,
    };
}

impl Log {
    /// Creates a log in two new files, for the database with this identity. When this returns the log
    /// and the names of its files are durable.
    ///
    /// # Errors
    ///
    /// `Error::Setting` and, for a name that is taken, `Error::Io`: nothing was done. After any
    /// other error the files may be there, unfinished; the caller removes them.
    pub fn create(
        disk: &dyn Disk,
        names: [&Path; 2],
        config: LogConfig,
        database: u64,
    ) -> Result<Log> {
        config.check(disk.sector_size())?;
        let files = Files::create(disk, names, &config, database)?;
        let header = Header {
            format: block::FORMAT,
            payload_bytes: 0,
            database,
            epoch: LogTail::NEW.epoch,
            number: LogTail::NEW.last_block,
            first: LogTail::NEW.end,
            recovery_start: LogTail::NEW.recovery_start,
            previous_crc: 0,
        };
        let place = first_place(Which::First, config.block_bytes);
        let (block, image) = state_block(&files, header, &[], place, config.block_bytes)?;
        files.sync_names(disk)?;
        Ok(Log::at(files, config, VecDeque::from([block]), image))
    }

    /// Opens a log, and begins a new epoch of it. Blocks are aligned as they are in the files, whatever
    /// [`LogConfig::block_bytes`] says.
    ///
    /// # Errors
    ///
    /// `Error::Setting`, also for a size that does not fit to the alignment in the files;
    /// `Error::Missing`, `Error::Foreign`, `Error::Newer` and
    /// `Error::Damaged` for files that are not this log, whole but for a torn end; `Error::Io`. The
    /// log is as it was: open it again.
    pub fn open(
        disk: &dyn Disk,
        names: [&Path; 2],
        config: LogConfig,
        database: u64,
    ) -> Result<(Log, LogTail)> {
        Log::open_beyond(disk, names, config, database, None)
    }

    /// As [`Log::open`], for a page that was written: it must not have changes that the log has not. Pages are
    /// written after the log, so that one which ends before has lost what was durable.
    ///
    /// # Errors
    ///
    /// As [`Log::open`]; `Error::Damaged` for such a log.
    pub(crate) fn open_beyond(
        disk: &dyn Disk,
        names: [&Path; 2],
        config: LogConfig,
        database: u64,
        written: Option<(PageId, Lsn)>,
    ) -> Result<(Log, LogTail)> {
        config.check(disk.sector_size())?;
        let (files, block_bytes) = Files::open(disk, names, database)?;
        // The other sizes must fit to what the file has.
        let config = LogConfig { block_bytes, ..config };
        config.check(disk.sector_size())?;
        let found = scan::scan(&files, block_bytes, database)?;
        let tail::Tail { mut blocks, is_torn } = tail::find(&files, &found, block_bytes)?;
        let last = blocks.pop_back().expect("a tail has a block");
        if let Some((page, lsn)) = written.filter(|(_, lsn)| *lsn > last.header.end()) {
            let end = last.header.end();
            let what = format!("the log ends at {end} with it, and {page} has changes up to {lsn}");
            return Err(files.damaged(last.place.file, tail::place_of(&last), what));
        }
        let mut image = vec![0; last.bytes as usize];
        files.read(last.place, &mut image)?;
        if block::check(&image, last.place) != Some(last.crc) {
            let what = "it was whole when it was read before".to_string();
            return Err(files.damaged(last.place.file, tail::place_of(&last), what));
        }
        let header = Header { epoch: Epoch(last.header.epoch.0 + 1), ..last.header };
        let place = Place { offset: last.place.offset + last.bytes, ..last.place };
        let payload = &image[block::HEADER_BYTES..][..header.payload_bytes as usize];
        let (block, image) = state_block(&files, header, payload, place, block_bytes)?;
        files.sync(place.file)?;
        blocks.push_back(block);
        let tail = LogTail {
            recovery_start: header.recovery_start,
            end: header.end(),
            last_block: header.number,
            epoch: header.epoch,
            is_torn,
        };
        Ok((Log::at(files, config, blocks, image), tail))
    }
}

/// Writes the first block of an epoch.
fn state_block(
    files: &Files,
    header: Header,
    payload: &[u8],
    place: Place,
    block_bytes: u32,
) -> Result<(Block, Arc<Vec<u8>>)> {
    let mut image = vec![0; block::HEADER_BYTES];
    image.extend_from_slice(payload);
    let crc = block::seal(&mut image, &header, place, block_bytes);
    files.write(place, &image)?;
    let block = Block { header, crc, place, bytes: image.len() as u64 };
    Ok((block, Arc::new(image)))
}
