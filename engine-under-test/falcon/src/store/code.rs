//! The bytes that page operations have in the log.
//!
//! # Method
//!
//! A record of page changes is, for each page, its tablespace, its number, the count of its operations, and
//! these. See [`PageOp`](super::op) for the bytes of each.
//!
//! # Invariant
//!
//! What is encoded is decoded; what does not decode is no record of ours, and is told by the byte where it
//! goes wrong.

use std::borrow::Cow;

use falconry_seam::planted;

use super::op::{Content, PageOp, Source};
use crate::page::index::IndexId;
use crate::page::{Line, Locator, RecordNumber, SectionId};
use crate::{Lsn, PageId, PageNumber, TablespaceId};

/// All operations of one record on one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageChange<'a> {
    /// The page.
    pub page: PageId,
    /// What happens to it, in this order.
    pub ops: Vec<PageOp<'a>>,
}

/// Why a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct CodeError {
    /// Where in the record.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

/// Bytes before the operations of a page.
pub(super) const PAGE_BYTES: usize = 10;

/// Appends what one page undergoes: its ops are encoded already.
pub(super) fn put_page(record: &mut Vec<u8>, page: PageId, count: u16, ops: &[u8]) {
    put_u32(record, page.tablespace.0);
    put_u32(record, page.number.0);
    record.extend_from_slice(&count.to_le_bytes());
    record.extend_from_slice(ops);
}

/// Appends an operation.
pub(super) fn put_op(to: &mut Vec<u8>, op: &PageOp<'_>) {
    match op {
        PageOp::Image(image) => put_image(to, image),
        PageOp::FormatInventory { ordinal } => put_numbers(to, 2, &[*ordinal]),
        PageOp::MarkUsed(page) => put_numbers(to, 3, &[page.0]),
        PageOp::MarkFree(page) => put_numbers(to, 4, &[page.0]),
        PageOp::FormatSection { section, sequence, level } => {
            put_numbers(to, 5, &[section.0, *sequence]);
            to.push(*level);
        }
        PageOp::SetChild { slot, child } => {
            to.push(6);
            put_u16(to, *slot);
            put_u32(to, number_of(*child));
        }
        PageOp::FormatLocator { section, sequence } => {
            put_numbers(to, 7, &[section.0, *sequence]);
        }
        PageOp::SetLocator { slot, locator } => {
            to.push(8);
            put_u16(to, *slot);
            let (page, line) = match locator {
                Locator::Free => (0, 0),
                Locator::Stub => (0, 1),
                Locator::Real { page, line } => (page.0, line.0),
            };
            put_u32(to, page);
            put_u16(to, line);
        }
        PageOp::SetSpace { page, bytes } => {
            put_numbers(to, 9, &[page.0]);
            put_u16(to, *bytes);
        }
        PageOp::FormatData { section } => put_numbers(to, 10, &[section.0]),
        PageOp::PutRecord { line, tail, content } => {
            to.push(11);
            put_u16(to, line.0);
            put_u32(to, number_of(*tail));
            put_content(to, content);
        }
        PageOp::DeleteRecord { line } => {
            to.push(12);
            put_u16(to, line.0);
        }
        PageOp::FormatOverflow { section, next, content } => {
            put_numbers(to, 13, &[section.0, number_of(*next)]);
            put_content(to, content);
        }
        PageOp::FormatLeaf { index } => put_numbers(to, 14, &[index.0]),
        PageOp::InsertEntry { key, record, child } => {
            to.push(15);
            put_u64(to, record.0);
            put_u32(to, number_of(*child));
            put_key(to, key);
        }
        PageOp::DeleteEntry { key, record } => {
            to.push(16);
            put_u64(to, record.0);
            put_key(to, key);
        }
        PageOp::FormatSequences { ordinal } => put_numbers(to, 17, &[*ordinal]),
        PageOp::StartSequence { slot } => put_slot(to, 18, *slot),
        PageOp::RaiseSequence { slot, value } => {
            put_slot(to, 19, *slot);
            put_u64(to, value.cast_unsigned());
        }
    }
}

fn number_of(page: Option<PageNumber>) -> u32 {
    page.map_or(0, |page| page.0)
}

fn put_numbers(to: &mut Vec<u8>, tag: u8, numbers: &[u32]) {
    to.push(tag);
    numbers.iter().for_each(|number| put_u32(to, *number));
}

fn put_slot(to: &mut Vec<u8>, tag: u8, slot: u16) {
    to.push(tag);
    put_u16(to, slot);
}

fn put_u16(to: &mut Vec<u8>, number: u16) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put_u32(to: &mut Vec<u8>, number: u32) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn put_key(to: &mut Vec<u8>, key: &[u8]) {
    put_u16(to, u16::try_from(key.len()).expect("a key is shorter than a page"));
    to.extend_from_slice(key);
}

fn put_content(to: &mut Vec<u8>, content: &Content<'_>) {
    let bytes = u32::try_from(content.bytes.len()).expect("content is no longer than a page");
    match content.source {
        None => {
            to.push(0);
            put_u32(to, bytes);
            to.extend_from_slice(&content.bytes);
        }
        Some(source) => {
            assert_eq!(source.bytes, bytes, "content and its place in the log differ in length");
            to.push(1);
            put_u64(to, source.lsn.0);
            put_u32(to, source.from);
            put_u32(to, source.bytes);
        }
    }
}

/// An image without its longest run of zeros.
fn put_image(to: &mut Vec<u8>, image: &[u8]) {
    let (mut longest, mut start) = (0..0, 0);
    for at in 0..=image.len() {
        if at == image.len() || image[at] != 0 {
            if at - start > longest.len() {
                longest = start..at;
            }
            start = at + 1;
        }
    }
    to.push(1);
    put_u16(to, longest.start as u16);
    put_u16(to, (image.len() - longest.end) as u16);
    to.extend_from_slice(&image[..longest.start]);
    to.extend_from_slice(&image[longest.end..]);
}

/// Reads a record of page changes, in a database with such pages. Content that is elsewhere in the log comes
/// without its bytes: whoever applies the operation reads them there first.
///
/// # Errors
///
/// [`CodeError`] where the record is not one of ours.
pub fn decode(record: &[u8], page_bytes: usize) -> Result<Vec<PageChange<'_>>, CodeError> {
    let mut reader = Reader::new(record);
    let mut changes = Vec::new();
    while !reader.is_over() {
        let tablespace = TablespaceId(reader.u32()?);
        let page = PageId { tablespace, number: PageNumber(reader.u32()?) };
        let count = reader.u16()?;
        // Each has a byte at the least, so that a count which is not ours asks for no more than the record has.
        let mut ops = Vec::with_capacity(usize::from(count).min(record.len() - reader.at()));
        for _ in 0..count {
            ops.push(reader.op(page_bytes)?);
        }
        changes.push(PageChange { page, ops });
    }
    Ok(changes)
}

/// Reads the numbers and bytes of a record, one after the other.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the record's begin.
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Where it is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether it is at the end.
    pub(crate) fn is_over(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn op(&mut self, page_bytes: usize) -> Result<PageOp<'a>, CodeError> {
        let at = self.at;
        Ok(match self.u8()? {
            1 => self.image(page_bytes)?,
            2 => PageOp::FormatInventory { ordinal: self.u32()? },
            3 => PageOp::MarkUsed(PageNumber(self.u32()?)),
            4 => PageOp::MarkFree(PageNumber(self.u32()?)),
            5 => PageOp::FormatSection {
                section: SectionId(self.u32()?),
                sequence: self.u32()?,
                level: self.u8()?,
            },
            6 => PageOp::SetChild { slot: self.u16()?, child: self.page()? },
            7 => PageOp::FormatLocator { section: SectionId(self.u32()?), sequence: self.u32()? },
            8 => self.locator()?,
            9 => PageOp::SetSpace { page: PageNumber(self.u32()?), bytes: self.u16()? },
            10 => PageOp::FormatData { section: SectionId(self.u32()?) },
            11 => PageOp::PutRecord {
                line: Line(self.u16()?),
                tail: self.page()?,
                content: self.content()?,
            },
            12 => PageOp::DeleteRecord { line: Line(self.u16()?) },
            13 => PageOp::FormatOverflow {
                section: SectionId(self.u32()?),
                next: self.page()?,
                content: self.content()?,
            },
            14 => PageOp::FormatLeaf { index: IndexId(self.u32()?) },
            15 => {
                let (record, child) = (RecordNumber(self.u64()?), self.page()?);
                PageOp::InsertEntry { key: self.key()?, record, child }
            }
            16 => {
                let record = RecordNumber(self.u64()?);
                PageOp::DeleteEntry { key: self.key()?, record }
            }
            17 => PageOp::FormatSequences { ordinal: self.u32()? },
            18 => PageOp::StartSequence { slot: self.u16()? },
            19 => {
                let (slot, value) = (self.u16()?, self.u64()?);
                PageOp::RaiseSequence { slot, value: value.cast_signed() }
            }
            tag => return Err(CodeError { at, what: format!("{tag} is no page operation") }),
        })
    }

    fn image(&mut self, page_bytes: usize) -> Result<PageOp<'a>, CodeError> {
        let at = self.at;
        let (head, tail) = (usize::from(self.u16()?), usize::from(self.u16()?));
        if head + tail > page_bytes {
            let what = format!("{head} and {tail} bytes of an image, a page has {page_bytes}");
            return Err(CodeError { at, what });
        }
        let mut image = vec![0; page_bytes];
        image[..head].copy_from_slice(self.take(head)?);
        image[page_bytes - tail..].copy_from_slice(self.take(tail)?);
        Ok(PageOp::Image(Cow::Owned(image)))
    }

    fn locator(&mut self) -> Result<PageOp<'a>, CodeError> {
        let slot = self.u16()?;
        let at = self.at;
        let locator = match (self.u32()?, self.u16()?) {
            (0, 0) => Locator::Free,
            (0, 1) => Locator::Stub,
            (0, line) => {
                return Err(CodeError { at, what: format!("line {line} without a page") });
            }
            (page, line) => Locator::Real { page: PageNumber(page), line: Line(line) },
        };
        Ok(PageOp::SetLocator { slot, locator })
    }

    fn content(&mut self) -> Result<Content<'a>, CodeError> {
        let at = self.at;
        match self.u8()? {
            0 => {
                let bytes = self.u32()? as usize;
                Ok(Content { bytes: Cow::Borrowed(self.take(bytes)?), source: None })
            }
            1 => {
                let source =
                    Source { lsn: Lsn(self.u64()?), from: self.u32()?, bytes: self.u32()? };
                Ok(Content { bytes: Cow::Borrowed(&[]), source: Some(source) })
            }
            tag => Err(CodeError { at, what: format!("{tag} is no content") }),
        }
    }

    fn key(&mut self) -> Result<Cow<'a, [u8]>, CodeError> {
        let length = self.u16()?;
        Ok(Cow::Borrowed(self.take(length.into())?))
    }

    fn page(&mut self) -> Result<Option<PageNumber>, CodeError> {
        let is_page = |page: &PageNumber| page.0 != 0 || planted!("page_zero_redone");
        Ok(Some(PageNumber(self.u32()?)).filter(is_page))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CodeError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, CodeError> {
        Ok(u16::from_le_bytes(*self.take(2)?.first_chunk().expect("two bytes were taken")))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CodeError> {
        Ok(u32::from_le_bytes(*self.take(4)?.first_chunk().expect("four bytes were taken")))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CodeError> {
        Ok(u64::from_le_bytes(*self.take(8)?.first_chunk().expect("eight bytes were taken")))
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], CodeError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or_else(|| CodeError {
            at: self.at,
            what: format!("{count} bytes are needed, and {} are left", rest.len()),
        })?;
        self.at += count;
        Ok(taken)
    }
}
