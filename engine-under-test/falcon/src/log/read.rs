//! Reads back what is retained.
//!
//! # Method
//!
//! A record is looked for in the open block, in the blocks that are still in memory, and last in the
//! file. There the whole block is read and its checksum compared with the one that was written. The lock
//! is not held while the disk is read: if the block was given up meanwhile, what was read counts for
//! nothing.
//!
//! # Invariant
//!
//! What is returned is what was appended at that place, or an error.

use falconry_seam::sync::Arc;

use super::block;
use super::record::{Record, Window};
use super::serial::Log;
use super::state::{Block, Extent, Found};
use super::tail::place_of;
use crate::{Error, Lsn, Result};

impl Log {
    /// The record that begins at `lsn`, durable or not.
    ///
    /// # Errors
    ///
    /// [`Error::NotInLog`] where no record begins, or none any more; [`Error::Damaged`] and
    /// [`Error::Io`] of the file.
    pub fn read(&self, lsn: Lsn) -> Result<Record> {
        let (window, _) = self.window(lsn, Extent::Record)?.ok_or_else(|| self.not_there(lsn))?;
        if !window.begins_at(lsn) {
            return Err(self.not_there(lsn));
        }
        Ok(window.record(lsn).expect("a record begins there"))
    }

    /// The records from `from` on, where one begins or the log ends, up to the end that is met.
    ///
    /// The items are errors as of [`Log::read`]; the first of them is the last item.
    pub fn records(&self, from: Lsn) -> Records<'_> {
        Records { log: self, next: from, window: None, is_over: false }
    }

    fn not_there(&self, lsn: Lsn) -> Error {
        let state = self.lock();
        Error::NotInLog { lsn, from: state.from(), end: state.end() }
    }

    /// The window that holds `lsn`, and which block it is, unless it is the open one.
    fn window(&self, lsn: Lsn, extent: Extent) -> Result<Option<(Window, Option<Block>)>> {
        let found = self.lock().find(lsn, extent);
        let (block, image) = match found {
            Found::Nothing => return Ok(None),
            Found::Open(window) => return Ok(Some((window, None))),
            Found::Window(block, image) => (block, image),
            Found::File(block) => {
                let read = self.read_block(&block);
                let mut state = self.lock();
                if !state.retains(block.header.number) {
                    return Ok(None);
                }
                let image = read?;
                state.keep(block.header.number, Arc::clone(&image));
                (block, image)
            }
        };
        let range = block::HEADER_BYTES..block::HEADER_BYTES + block.header.payload_bytes as usize;
        Ok(Some((Window { image, range, first: block.header.first }, Some(block))))
    }

    fn read_block(&self, block: &Block) -> Result<Arc<Vec<u8>>> {
        let mut bytes = vec![0; block.bytes as usize];
        self.files.read(block.place, &mut bytes)?;
        match block::check(&bytes, block.place) {
            Some(crc) if crc == block.crc => Ok(Arc::new(bytes)),
            found => {
                let what = format!("its checksum is not {:#010x}: {found:x?}", block.crc);
                Err(self.files.damaged(block.place.file, place_of(block), what))
            }
        }
    }
}

/// Reads the log forwards. It keeps in memory the block that it is in.
pub struct Records<'a> {
    log: &'a Log,
    next: Lsn,
    window: Option<(Window, Option<Block>)>,
    is_over: bool,
}

impl Records<'_> {
    fn step(&mut self) -> Result<Option<Record>> {
        let is_read = |window: &(Window, Option<Block>)| window.0.end() <= self.next;
        if self.window.as_ref().is_none_or(is_read) {
            self.window = self.log.window(self.next, Extent::Rest)?;
            match &self.window {
                None if self.next == self.log.end() => return Ok(None),
                Some((window, _)) if window.begins_at(self.next) => {}
                _ => return Err(self.log.not_there(self.next)),
            }
        }
        let (window, block) = self.window.as_ref().expect("it was set");
        match window.record(self.next) {
            Some(record) => {
                self.next = record.end();
                Ok(Some(record))
            }
            None => {
                let block = block.as_ref().expect("the open block has whole records");
                let what = format!("the record at {} does not end within the block", self.next);
                Err(self.log.files.damaged(block.place.file, place_of(block), what))
            }
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        if self.is_over {
            return None;
        }
        let item = self.step().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}
