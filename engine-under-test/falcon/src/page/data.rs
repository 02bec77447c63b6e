//! Data pages: records of any length, each found by its line.
//!
//! # Method
//!
//! ```text
//!  24        28      30      32        34  36
//! +---------+-------+-------+---------+---+---------------------+ - - +---------+
//! | section | lines | heap  | garbage | 0 | line index, upwards | room| records |
//! | u32     | u16   | u16   | u16     | 2 | offset u16, len u16 |     | <- down |
//! +---------+-------+-------+---------+---+---------------------+ - - +---------+
//!                      '----------------------------------------------^
//! ```
//!
//! A line with offset 0 is free. The top bit of a length says that the record goes on elsewhere: its
//! first four bytes here are then the number of its first overflow page. A record that shrinks stays
//! where it is, and what it leaves is garbage, as a deleted one is. If a record finds no room between
//! index and heap, although there is enough with the garbage, the page is compacted first. Lines keep
//! their numbers throughout.
//!
//! # Invariant
//!
//! Room and garbage are known exactly: header, index, room, records and garbage add up to the page. No two
//! records overlap, and the last line of the index is in use.

use super::bytes::{offset, put_u16, put_u32, u16_at, u32_at};
use super::error::{NoRoom, PageError};
use super::header::{self, Checker, Header, PageKind, assert_kind};
use super::section::SectionId;
use super::size::PageSize;
use crate::ids::{PageId, PageNumber};

const SECTION: usize = 24;
const LINES: usize = 28;
const HEAP: usize = 30;
const GARBAGE: usize = 32;
const UNUSED: usize = 34;
const INDEX: usize = 36;
const LINE_BYTES: usize = 4;
const TAIL_BYTES: usize = 4;
/// Set in the length of a record that goes on in overflow pages. No record is that long: a page has at most
/// 32,768 bytes, and not all are for one record.
const HAS_TAIL: u16 = 1 << 15;

/// A record's place in the index of its data page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(pub u16);

/// A record, as far as it is in its data page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its bytes, or the first of them.
    pub head: &'a [u8],
    /// The overflow page where it goes on.
    pub tail: Option<PageNumber>,
}

impl<'a> Record<'a> {
    /// A record that is here as a whole.
    pub fn whole(bytes: &'a [u8]) -> Record<'a> {
        Record { head: bytes, tail: None }
    }

    /// How many bytes it takes in the page, without its line.
    pub fn stored_bytes(&self) -> usize {
        self.head.len() + if self.tail.is_some() { TAIL_BYTES } else { 0 }
    }
}

/// One entry of the line index.
#[derive(Clone, Copy)]
struct Extent {
    start: usize,
    length: usize,
    has_tail: bool,
}

impl Extent {
    fn end(self) -> usize {
        self.start + self.length
    }
}

/// A data page, for reading.
#[derive(Clone, Copy, Debug)]
pub struct DataPage<'a> {
    bytes: &'a [u8],
}

impl<'a> DataPage<'a> {
    /// The longest record, tail reference included, that an empty page of `size` takes.
    pub fn record_bytes_max(size: PageSize) -> usize {
        size.bytes() - INDEX - LINE_BYTES
    }

    /// Where in the page a line of the index is, if there is one.
    pub(crate) fn place_of(line: Line) -> usize {
        line_at(line)
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<DataPage<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::Data)?;
        let checker = header.checker();
        let lines = u16_at(bytes, LINES);
        let lines_max = (bytes.len() - INDEX) / LINE_BYTES;
        checker.ensure(usize::from(lines) <= lines_max, LINES, "line count", lines, || {
            format!("at most {lines_max}")
        })?;
        let page = DataPage { bytes };
        let heap = u16_at(bytes, HEAP);
        let heap_min = page.index_end();
        let heap_fits = (heap_min..=bytes.len()).contains(&usize::from(heap));
        checker.ensure(heap_fits, HEAP, "start of the records", heap, || {
            format!("{heap_min} to {}", bytes.len())
        })?;
        checker.zero(bytes, UNUSED..INDEX)?;
        page.check_records(checker)?;
        Ok(page)
    }

    fn check_records(&self, checker: Checker) -> Result<(), PageError> {
        let mut extents = Vec::with_capacity(self.line_count().into());
        for line in 0..self.line_count() {
            let at = line_at(Line(line));
            let (start, length) = (u16_at(self.bytes, at), u16_at(self.bytes, at + 2));
            let Some(extent) = self.extent(Line(line)) else {
                checker
                    .ensure(length == 0, at + 2, "length", length, || "0 if free".to_string())?;
                continue;
            };
            checker.ensure(extent.start >= self.heap(), at, "offset", start, || {
                format!("at least {}", self.heap())
            })?;
            checker.ensure(extent.end() <= self.bytes.len(), at + 2, "length", length, || {
                format!("one that ends by {}", self.bytes.len())
            })?;
            if extent.has_tail {
                let tail = extent.length >= TAIL_BYTES && u32_at(self.bytes, extent.start) != 0;
                checker.ensure(tail, at + 2, "length", length, || {
                    "that of a record with an overflow page".to_string()
                })?;
            }
            extents.push((extent.start, extent.end(), at));
        }
        extents.sort_unstable();
        for pair in extents.windows(2) {
            let ((_, end, _), (start, _, at)) = (pair[0], pair[1]);
            checker.ensure(end <= start, at, "offset", start as u64, || format!("from {end}"))?;
        }
        let used: usize = extents.iter().map(|(start, end, _)| end - start).sum();
        let garbage = self.bytes.len() - self.heap() - used;
        let found = u16_at(self.bytes, GARBAGE);
        checker.ensure(usize::from(found) == garbage, GARBAGE, "garbage", found, || {
            garbage.to_string()
        })?;
        let last_used = self.line_count() == 0 || !self.is_free(Line(self.line_count() - 1));
        checker.ensure(last_used, LINES, "line count", self.line_count(), || {
            "such that the last line is in use".to_string()
        })
    }

    /// Takes a page that has passed [`DataPage::view`].
    pub fn of_checked(bytes: &'a [u8]) -> DataPage<'a> {
        assert_kind(bytes, PageKind::Data);
        DataPage { bytes }
    }

    /// Whose records they are.
    pub fn section(&self) -> SectionId {
        SectionId(u32_at(self.bytes, SECTION))
    }

    /// How many lines the index has, free ones included.
    pub fn line_count(&self) -> u16 {
        u16_at(self.bytes, LINES)
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.line_count() == 0
    }

    /// The record of `line`, if it has one.
    pub fn record(&self, line: Line) -> Option<Record<'a>> {
        let extent = self.extent(line)?;
        let stored = &self.bytes[extent.start..extent.end()];
        if !extent.has_tail {
            return Some(Record::whole(stored));
        }
        let tail = Some(PageNumber(u32_at(stored, 0)));
        Some(Record { head: &stored[TAIL_BYTES..], tail })
    }

    /// All records, by their lines.
    pub fn records(self) -> impl Iterator<Item = (Line, Record<'a>)> + 'a {
        (0..self.line_count()).map(Line).filter_map(move |line| Some((line, self.record(line)?)))
    }

    /// How many bytes are neither header nor index nor record.
    pub fn free_bytes(&self) -> usize {
        self.heap() - self.index_end() + usize::from(u16_at(self.bytes, GARBAGE))
    }

    /// The longest record, tail reference included, that [`DataPageMut::insert`] would take.
    /// None if it would not even take an empty one.
    pub fn insert_bytes_max(&self) -> Option<usize> {
        let index_bytes = if self.first_free_line().0 < self.line_count() { 0 } else { LINE_BYTES };
        self.free_bytes().checked_sub(index_bytes)
    }

    /// The line that [`DataPageMut::insert`] would take.
    pub fn first_free_line(&self) -> Line {
        let free = (0..self.line_count()).map(Line).find(|line| self.is_free(*line));
        free.unwrap_or(Line(self.line_count()))
    }

    fn is_free(&self, line: Line) -> bool {
        u16_at(self.bytes, line_at(line)) == 0
    }

    fn extent(&self, line: Line) -> Option<Extent> {
        if line.0 >= self.line_count() || self.is_free(line) {
            return None;
        }
        let (start, length) =
            (u16_at(self.bytes, line_at(line)), u16_at(self.bytes, line_at(line) + 2));
        Some(Extent {
            start: start.into(),
            length: (length & !HAS_TAIL).into(),
            has_tail: length & HAS_TAIL != 0,
        })
    }

    fn heap(&self) -> usize {
        u16_at(self.bytes, HEAP).into()
    }

    fn index_end(&self) -> usize {
        line_at(Line(self.line_count()))
    }
}

fn line_at(line: Line) -> usize {
    INDEX + usize::from(line.0) * LINE_BYTES
}

/// A data page, for changing.
#[derive(Debug)]
pub struct DataPageMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> DataPageMut<'a> {
    /// Makes a page without records.
    pub fn format(bytes: &'a mut [u8], id: PageId, section: SectionId) -> DataPageMut<'a> {
        let size = header::format(bytes, id, PageKind::Data);
        put_u32(bytes, SECTION, section.0);
        put_u16(bytes, HEAP, offset(size.bytes()));
        DataPageMut { bytes }
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a mut [u8]) -> Result<DataPageMut<'a>, PageError> {
        DataPage::view(bytes)?;
        Ok(DataPageMut { bytes })
    }

    /// Takes a page that has passed [`DataPage::view`].
    pub fn of_checked(bytes: &'a mut [u8]) -> DataPageMut<'a> {
        assert_kind(bytes, PageKind::Data);
        DataPageMut { bytes }
    }

    /// The same page, for reading.
    pub fn read(&self) -> DataPage<'_> {
        DataPage { bytes: self.bytes }
    }

    /// Puts a record into the first free line.
    pub fn insert(&mut self, record: Record<'_>) -> Result<Line, NoRoom> {
        let line = self.read().first_free_line();
        self.put(line, record)?;
        Ok(line)
    }

    /// Puts a record into `line`, in place of the one that is there, if any.
    pub fn put(&mut self, line: Line, record: Record<'_>) -> Result<(), NoRoom> {
        assert!(record.tail != Some(PageNumber(0)), "page 0 is no overflow page");
        let before = self.read().extent(line);
        let lines_more = (usize::from(line.0) + 1).saturating_sub(self.read().line_count().into());
        let needed_bytes = lines_more * LINE_BYTES + record.stored_bytes();
        let free_bytes = self.read().free_bytes() + before.map_or(0, |extent| extent.length);
        if needed_bytes > free_bytes {
            return Err(NoRoom { needed_bytes, free_bytes });
        }
        match before {
            Some(extent) if record.stored_bytes() <= extent.length => {
                self.add_garbage(extent.length - record.stored_bytes());
                self.write(line, extent.start, record);
            }
            _ => {
                self.release(line);
                let room = self.read().heap() - self.read().index_end();
                if needed_bytes > room {
                    self.compact();
                }
                self.grow_index(lines_more);
                let start = self.read().heap() - record.stored_bytes();
                put_u16(self.bytes, HEAP, offset(start));
                self.write(line, start, record);
            }
        }
        Ok(())
    }

    /// Takes the record out of `line` and tells whether there was one.
    pub fn delete(&mut self, line: Line) -> bool {
        let was_there = self.release(line);
        let used = (0..self.read().line_count()).rev().find(|at| !self.read().is_free(Line(*at)));
        put_u16(self.bytes, LINES, used.map_or(0, |last| last + 1));
        if self.read().is_empty() {
            put_u16(self.bytes, HEAP, offset(self.bytes.len()));
            put_u16(self.bytes, GARBAGE, 0);
        }
        was_there
    }

    /// Moves all records together at the end of the page, so that no garbage is left.
    pub fn compact(&mut self) {
        let mut extents: Vec<(usize, usize, Line)> = (0..self.read().line_count())
            .filter_map(|line| Some((self.read().extent(Line(line))?, Line(line))))
            .map(|(extent, line)| (extent.start, extent.length, line))
            .collect();
        // From the end of the page down, so that no record is moved over one that is still to be moved.
        extents.sort_unstable_by(|one, other| other.cmp(one));
        let mut heap = self.bytes.len();
        for (start, length, line) in extents {
            heap -= length;
            self.bytes.copy_within(start..start + length, heap);
            put_u16(self.bytes, line_at(line), offset(heap));
        }
        put_u16(self.bytes, HEAP, offset(heap));
        put_u16(self.bytes, GARBAGE, 0);
    }

    fn release(&mut self, line: Line) -> bool {
        let Some(extent) = self.read().extent(line) else { return false };
        self.bytes[line_at(line)..line_at(line) + LINE_BYTES].fill(0);
        self.add_garbage(extent.length);
        true
    }

    fn add_garbage(&mut self, bytes: usize) {
        let garbage = usize::from(u16_at(self.bytes, GARBAGE)) + bytes;
        put_u16(self.bytes, GARBAGE, offset(garbage));
    }

    fn grow_index(&mut self, lines_more: usize) {
        let end = self.read().index_end();
        self.bytes[end..end + lines_more * LINE_BYTES].fill(0);
        put_u16(self.bytes, LINES, self.read().line_count() + lines_more as u16);
    }

    fn write(&mut self, line: Line, start: usize, record: Record<'_>) {
        let length = offset(record.stored_bytes());
        assert!(length < HAS_TAIL, "a record of {length} bytes in a page");
        let mut head_at = start;
        let mut flag = 0;
        if let Some(tail) = record.tail {
            put_u32(self.bytes, start, tail.0);
            (head_at, flag) = (start + TAIL_BYTES, HAS_TAIL);
        }
        self.bytes[head_at..head_at + record.head.len()].copy_from_slice(record.head);
        put_u16(self.bytes, line_at(line), offset(start));
        put_u16(self.bytes, line_at(line) + 2, length | flag);
    }
}
