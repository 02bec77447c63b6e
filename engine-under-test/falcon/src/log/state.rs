//! What the log knows in memory: the block that is being filled, and the blocks that are retained.
//!
//! # Method
//!
//! Appends go into the open block. The writer seals it: the block gets its place, the checksum of the
//! one before and the start of recovery of that moment; the next one is opened at once. A block goes to
//! the other file when this one has the size that it wants and nothing in the other is needed. What is
//! needed is told by the last durable block, for that is what an opening would go by; a start of
//! recovery that no durable block names yet frees nothing.
//!
//! # Invariant
//!
//! The retained blocks are consecutive, the last of them is durable or in flight, and they lie in at
//! most two runs, the earlier one in the other file.

use std::collections::{BTreeMap, VecDeque};

use falconry_seam::sync::Arc;

use super::LogConfig;
use super::block::{self, BlockNumber, Epoch, Header};
use super::files::{Place, first_place};
use super::record::{self, RecordKind, Window};
use crate::Lsn;

/// A block that is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) header: Header,
    pub(super) crc: u32,
    pub(super) place: Place,
    /// Bytes in the file.
    pub(super) bytes: u64,
}

/// A block that waits for its write, or is being written.
#[derive(Clone)]
pub(super) struct Sealed {
    pub(super) block: Block,
    pub(super) image: Arc<Vec<u8>>,
    /// It is the first of its round in its file: what the file has beyond its wanted size is cut off.
    pub(super) switches: bool,
}

/// What the log has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// Records appended.
    pub appends: u64,
    /// Blocks written and synced.
    pub blocks: u64,
    /// Bytes of these blocks, with header and padding.
    pub bytes: u64,
    /// Bytes of padding among them.
    pub padding_bytes: u64,
    /// Flushes that found their place not durable yet.
    pub flushes_waited: u64,
    /// Times that the log went on in the other file.
    pub switches: u64,
    /// Appends that had to wait until the start of recovery moved on.
    pub stalls: u64,
    /// Urgent appends that did not wait for that, and went beyond the bound of the files.
    pub overruns: u64,
}

/// Whether a record has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// In the open block.
    Here,
    /// Not until the open block, or the one in flight, is written.
    After(BlockNumber),
    /// Not until the start of recovery moves on.
    Stalled,
}

/// The state that appenders and the writer share.
pub(super) struct State {
    config: LogConfig,
    database: u64,
    epoch: Epoch,
    /// The open block: its number, the place where it begins, and its bytes so far.
    pub(super) open_number: BlockNumber,
    pub(super) open_first: Lsn,
    open_image: Vec<u8>,
    /// Where the open block goes unless it goes to the other file.
    next: Place,
    blocks: VecDeque<Block>,
    in_flight: Option<Sealed>,
    /// All before is durable.
    pub(super) durable: Lsn,
    /// What the last durable block names.
    durable_start: Lsn,
    recovery_start: Lsn,
    windows: Windows,
    /// Appends that sleep until there is room.
    pub(super) stalled: usize,
    pub(super) counters: LogCounters,
}

impl State {
    /// A log that ends with `blocks`, the last of which has these bytes and is of the present epoch.
    pub(super) fn new(config: LogConfig, blocks: VecDeque<Block>, image: Arc<Vec<u8>>) -> State {
        let last = *blocks.back().expect("a log has a block");
        let Header { database, epoch, number, recovery_start, .. } = last.header;
        let mut windows = Windows::new(&config);
        windows.put(number, image);
        State {
            config,
            database,
            epoch,
            open_number: BlockNumber(number.0 + 1),
            open_first: last.header.end(),
            open_image: vec![0; block::HEADER_BYTES],
            next: Place { offset: last.place.offset + last.bytes, ..last.place },
            blocks,
            in_flight: None,
            durable: last.header.end(),
            durable_start: recovery_start,
            recovery_start,
            windows,
            stalled: 0,
            counters: LogCounters::default(),
        }
    }

    /// The place after the last record.
    pub(super) fn end(&self) -> Lsn {
        Lsn(self.open_first.0 + (self.open_image.len() - block::HEADER_BYTES) as u64)
    }

    /// What is retained begins here.
    pub(super) fn from(&self) -> Lsn {
        self.durable_start
    }

    /// Whether a record of so many bytes has room.
    pub(super) fn room(&self, record_bytes: usize) -> Room {
        let bytes = self.open_image.len() + record::HEADER_BYTES + record_bytes;
        let padded = self.config.padded(bytes);
        if padded > self.config.window_bytes.into() {
            return Room::After(self.open_number);
        }
        let wanted = self.next.offset + padded;
        if wanted <= self.config.file_bytes_max || self.other_is_free() {
            return Room::Here;
        }
        // A block that names the present start of recovery would free the other file: the one in flight
        // if it does, or else the next one, even if it is empty. There is always room for that one.
        if self.frees_other(self.recovery_start) {
            return match &self.in_flight {
                Some(sealed) if self.frees_other(sealed.block.header.recovery_start) => {
                    Room::After(sealed.block.header.number)
                }
                _ => Room::After(self.open_number),
            };
        }
        Room::Stalled
    }

    /// Bytes of the files from the first retained block to the end of the open one.
    pub(super) fn used_bytes(&self) -> u64 {
        let open = self.config.padded(self.open_image.len());
        let first = self.blocks.front().expect("a log has a block").place;
        if first.file == self.next.file {
            return self.next.offset - first.offset + open;
        }
        // The earlier blocks are in the other file, up to the last of them there.
        let count = self.blocks.partition_point(|block| block.place.file == first.file);
        let last = self.blocks[count - 1];
        let there = last.place.offset + last.bytes - first.offset;
        there + self.next.offset - u64::from(self.config.block_bytes) + open
    }

    /// Whether nothing in the other file is needed, for good.
    fn other_is_free(&self) -> bool {
        self.blocks.front().is_none_or(|block| block.place.file == self.next.file)
    }

    /// Whether nothing in the other file would be needed if recovery started here.
    fn frees_other(&self, start: Lsn) -> bool {
        let other = self.next.file.other();
        let needed = |block: &&Block| block.place.file == other;
        self.blocks.iter().take_while(needed).last().is_none_or(|last| last.header.end() <= start)
    }

    /// Appends a record that has room, and returns the place after it.
    pub(super) fn append(&mut self, kind: RecordKind, parts: &[&[u8]], bytes: usize) -> Lsn {
        record::put(&mut self.open_image, kind, parts, bytes as u32);
        self.counters.appends += 1;
        self.end()
    }

    /// Moves the start of recovery on; returns whether it was before.
    pub(super) fn set_recovery_start(&mut self, lsn: Lsn) -> bool {
        let end = self.end();
        assert!(lsn <= end, "recovery cannot start at {lsn}, the log ends at {end}");
        let moves = lsn > self.recovery_start;
        self.recovery_start = self.recovery_start.max(lsn);
        moves
    }

    /// Seals the open block and opens the next one.
    pub(super) fn seal(&mut self) -> Sealed {
        assert!(
            self.in_flight.is_none(),
            "block {:?} is sealed before the last is written",
            self.open_number
        );
        let last = self.blocks.back().expect("a log has a block");
        let header = Header {
            format: block::FORMAT,
            payload_bytes: (self.open_image.len() - block::HEADER_BYTES) as u32,
            database: self.database,
            epoch: self.epoch,
            number: self.open_number,
            first: self.open_first,
            recovery_start: self.recovery_start,
            previous_crc: last.crc,
        };
        let padded = self.config.padded(self.open_image.len());
        let (place, switches) = self.place(padded);
        // The next block is about as long as this one, padding included.
        let mut next_image = Vec::with_capacity(padded as usize);
        next_image.resize(block::HEADER_BYTES, 0);
        let mut image = std::mem::replace(&mut self.open_image, next_image);
        let crc = block::seal(&mut image, &header, place, self.config.block_bytes);
        let block = Block { header, crc, place, bytes: image.len() as u64 };
        self.open_number = BlockNumber(header.number.0 + 1);
        self.open_first = header.end();
        self.next = Place { offset: place.offset + block.bytes, ..place };
        let sealed = Sealed { block, image: Arc::new(image), switches };
        self.in_flight = Some(sealed.clone());
        sealed
    }

    /// Where a block of so many bytes goes, and whether that is a switch to the other file.
    fn place(&mut self, bytes: u64) -> (Place, bool) {
        let wants_other = self.next.offset + bytes > self.config.file_bytes;
        if !wants_other || !self.other_is_free() {
            return (self.next, false);
        }
        self.counters.switches += 1;
        (first_place(self.next.file.other(), self.config.block_bytes), true)
    }

    /// The block in flight is durable.
    pub(super) fn written(&mut self) {
        let Sealed { block, image, .. } = self.in_flight.take().expect("a block is in flight");
        let used = block::HEADER_BYTES as u64 + u64::from(block.header.payload_bytes);
        self.counters.blocks += 1;
        self.counters.bytes += block.bytes;
        self.counters.padding_bytes += block.bytes - used;
        self.durable = block.header.end();
        self.durable_start = block.header.recovery_start;
        self.windows.put(block.header.number, image);
        self.blocks.push_back(block);
        while self.blocks.len() > 1 && self.blocks[0].header.end() <= self.durable_start {
            self.blocks.pop_front();
        }
    }

    /// Whether a block is still retained.
    pub(super) fn retains(&self, number: BlockNumber) -> bool {
        self.blocks.front().is_some_and(|first| first.header.number <= number)
    }

    /// What holds the record at `lsn`: a window, or the block to be read from the file.
    pub(super) fn find(&self, lsn: Lsn, extent: Extent) -> Found {
        if lsn < self.from() || lsn >= self.end() {
            return Found::Nothing;
        }
        if lsn >= self.open_first {
            return self.open_window(lsn, extent);
        }
        if let Some(sealed) = self.in_flight.as_ref().filter(|of| of.block.header.first <= lsn) {
            return Found::Window(sealed.block, Arc::clone(&sealed.image));
        }
        let after = self.blocks.partition_point(|block| block.header.end() <= lsn);
        let block = self.blocks[after];
        match self.windows.get(block.header.number) {
            Some(image) => Found::Window(block, image),
            None => Found::File(block),
        }
    }

    /// A copy of what the open block holds from `lsn` on: it still grows.
    fn open_window(&self, lsn: Lsn, extent: Extent) -> Found {
        let payload = &self.open_image[block::HEADER_BYTES..];
        let at = (lsn.0 - self.open_first.0) as usize;
        if !record::begins_at(payload, at) {
            return Found::Nothing;
        }
        let to = match extent {
            Extent::Rest => payload.len(),
            Extent::Record => record::header(payload, at).expect("it begins here").1.end,
        };
        let image = Arc::new(payload[at..to].to_vec());
        Found::Open(Window { range: 0..image.len(), image, first: lsn })
    }

    /// Keeps a block that was read from the file.
    pub(super) fn keep(&mut self, number: BlockNumber, image: Arc<Vec<u8>>) {
        self.windows.put(number, image);
    }
}

/// How much of the open block is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// One record.
    Record,
    /// All from it on.
    Rest,
}

/// Where a record is.
pub(super) enum Found {
    /// In a sealed block that is in memory.
    Window(Block, Arc<Vec<u8>>),
    /// In a sealed block that is not.
    File(Block),
    /// In the open block: a copy.
    Open(Window),
    /// Nowhere, or no record begins there.
    Nothing,
}

/// Written blocks in memory, the oldest of which go first. Who still reads one keeps it alive.
struct Windows {
    images: BTreeMap<BlockNumber, Arc<Vec<u8>>>,
    order: VecDeque<BlockNumber>,
    bytes: u64,
    bytes_max: u64,
}

impl Windows {
    fn new(config: &LogConfig) -> Windows {
        let bytes_max = u64::from(config.window_bytes) * u64::from(config.window_count);
        Windows { images: BTreeMap::new(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    fn get(&self, number: BlockNumber) -> Option<Arc<Vec<u8>>> {
        self.images.get(&number).cloned()
    }

    fn put(&mut self, number: BlockNumber, image: Arc<Vec<u8>>) {
        // Two readers may have read the same block.
        if self.images.contains_key(&number) {
            return;
        }
        self.bytes += image.len() as u64;
        self.images.insert(number, image);
        self.order.push_back(number);
        while self.bytes > self.bytes_max {
            let oldest = self.order.pop_front().expect("there are bytes");
            let image = self.images.remove(&oldest).expect("it is in the order");
            self.bytes -= image.len() as u64;
        }
    }
}
