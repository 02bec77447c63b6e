//! Parts of a database that are damaged by themselves: a page, a row, a key, a record of the log.
//!
//! # Method
//!
//! Each part is taken from a picture or made here, a byte of it is changed, and it is given to the reader that it
//! has. What is not whole must be refused by an error that names the place; what can be read as another one must
//! be written back byte for byte.
//!
//! # Invariant
//!
//! Nothing here opens a database: a turn is over within microseconds.

use falcon::page::index::IndexPageMut;
use falcon::page::key::{self, KeyValue};
use falcon::page::{
    self, DataPageMut, FileHeaderMut, HEADER_BYTES, InventoryPageMut, Line, Locator,
    LocatorPageMut, PageError, PageKind, PageSize, RecordNumber, SectionGeometry, SectionPageMut,
    SequencePageMut,
};
use falcon::store::op::{Content, PageOp};
use falcon::store::{code, record};
use falcon::{Error, PageId, PageNumber, TablespaceId, log, row};

use super::damaged::corrupt;
use super::picture::{self, CLOSED, CRASHED, PAGE_BYTES, Picture, PictureDisk};
use super::{blocks, kinds, pick};
use crate::engine::EngineError;

/// Where a page says of which kind it is.
const KIND: usize = 4;
/// Damages that a turn makes of one part.
const TURN: u64 = 8;

/// A turn with one kind of part.
pub(super) fn upkeep() -> Result<(), EngineError> {
    let picture = picked();
    match pick("falcon/part", 8) {
        0..=2 => of_page(picture),
        3 if pick("falcon/way", 4) == 0 => of_ways(),
        3 => of_values(),
        4 => of_record(picture),
        5 | 6 => of_operation(picture),
        _ => of_log(picture),
    }
}

pub(super) fn picked() -> &'static Picture {
    [&CLOSED, &CRASHED][pick("falcon/picture", 2) as usize]
}

/// A byte that is another one than `byte`, and often one that means something.
pub(super) fn another(byte: u8) -> u8 {
    let drawn = match pick("falcon/byte", 4) {
        0 => 0,
        1 => u8::MAX,
        2 => 1 + pick("falcon/small", 32) as u8,
        _ => byte ^ 1 << pick("falcon/bit", 8),
    };
    if drawn == byte { !byte } else { drawn }
}

/// A place below `length`, often in what a header takes of it.
pub(super) fn place(length: usize) -> usize {
    let near = length.min([HEADER_BYTES, 64, length][pick("falcon/near", 3) as usize]);
    pick("falcon/place", near as u64) as usize
}

/// A page of a picture: which one, its file and its bytes.
pub(super) fn page_of(picture: &Picture) -> (PageId, &'static str, Vec<u8>) {
    let tablespace = pick("falcon/tablespace", 2) as usize;
    let name = picture::PAGES[tablespace];
    let bytes = picture.bytes(name);
    let number = pick("falcon/page", (bytes.len() / PAGE_BYTES) as u64) as usize;
    let id =
        PageId { tablespace: TablespaceId(tablespace as u32), number: PageNumber(number as u32) };
    (id, name, bytes[number * PAGE_BYTES..][..PAGE_BYTES].to_vec())
}

/// The seal tells each change of a page; with a new seal the page is refused at a place, or shown.
fn of_page(picture: &Picture) -> Result<(), EngineError> {
    let (id, name, whole) = page_of(picture);
    if page::check(&whole, id).is_err() {
        // It was never written.
        return Ok(());
    }
    for _ in 0..TURN {
        let mut bytes = whole.clone();
        let at = place(bytes.len());
        bytes[at] = another(bytes[at]);
        match page::check(&bytes, id) {
            Ok(_) => return corrupt(format!("byte {at} of {id} is another, and its seal is good")),
            Err(error) => named(error, id, name)?,
        }
        if !(16..HEADER_BYTES).contains(&at) {
            page::seal(&mut bytes, id);
        }
        let shown = page::dump(&bytes);
        match page::check_content(&bytes) {
            checked if viewed(&mut bytes.clone()) != checked.as_ref().err().cloned() => {
                return corrupt(format!("byte {at} of {id}: {checked:?}, but not for changing"));
            }
            Ok(_) if shown.is_ok() => {}
            Ok(_) => return corrupt(format!("byte {at} of {id}: it is whole and cannot be shown")),
            Err(error) if shown.as_ref().err() == Some(&error) => named(error, id, name)?,
            Err(error) => return corrupt(format!("byte {at} of {id}: {error}, and {shown:?}")),
        }
    }
    Ok(())
}

/// What whoever will change a page objects to; nothing of a page that is never changed in place.
fn viewed(bytes: &mut [u8]) -> Option<PageError> {
    let kind = match page::check_content(bytes) {
        // What it is not is told as well, and before anything else.
        Err(PageError::Field { field: "kind", .. }) => return FileHeaderMut::view(bytes).err(),
        _ => PageKind::ALL.into_iter().find(|kind| *kind as u8 == bytes[KIND]),
    };
    match kind {
        Some(PageKind::FileHeader) => FileHeaderMut::view(bytes).err(),
        Some(PageKind::Inventory) => InventoryPageMut::view(bytes).err(),
        Some(PageKind::Section) => SectionPageMut::view(bytes).err(),
        Some(PageKind::Locator) => LocatorPageMut::view(bytes).err(),
        Some(PageKind::Data) => DataPageMut::view(bytes).err(),
        Some(PageKind::Index) => IndexPageMut::view(bytes).err(),
        Some(PageKind::Sequence) => SequencePageMut::view(bytes).err(),
        Some(PageKind::Overflow) | None => page::check_content(bytes).err(),
    }
}

/// An error of a page names it and, where it is of a field, a place in it; that of a file names the file.
fn named(error: PageError, id: PageId, name: &str) -> Result<(), EngineError> {
    let is_placed = match &error {
        PageError::Field { at, .. } => *at < PAGE_BYTES,
        // What a page says of itself may be damaged.
        PageError::Misplaced { .. } | PageError::Newer { .. } | PageError::Magic { .. } => true,
        error => error.to_string().contains(&id.to_string()),
    };
    let text = error.clone().in_file(name).to_string();
    match is_placed && text.starts_with(name) {
        true => Ok(()),
        false => corrupt(format!("{error:?} of {id} is told as {text:?}")),
    }
}

/// The way to a record leads to that record, in a tree that is just high enough and in higher ones.
fn of_ways() -> Result<(), EngineError> {
    for size in PageSize::all() {
        let geometry = SectionGeometry::new(size);
        let record = RecordNumber(pick("falcon/far_record", 1 << 40));
        let level = geometry.level_for(record);
        for level in level.unwrap_or(u8::MAX)..=page::NODE_LEVEL_MAX {
            let path = geometry.path(record, level);
            if path.as_ref().map(|path| geometry.record(path)) != Some(record) {
                let what = format!("{record:?} with pages of {} bytes", size.bytes());
                return corrupt(format!("{what}, at level {level}: {path:?}"));
            }
        }
    }
    Ok(())
}

/// Rows and keys are read as what they were made of; damaged ones are refused, or are others.
fn of_values() -> Result<(), EngineError> {
    let columns = kinds::row(kinds::pick_rank(), pick("falcon/beside", 3));
    let row = row::encode(&columns);
    // By their text, for no number is as NaN is.
    let is_same = |read: &[KeyValue<'_>]| format!("{read:?}") == format!("{columns:?}");
    if !row::decode(&row).is_ok_and(|read| is_same(&read)) {
        return corrupt(format!("{columns:?} is not read as it was written, as a row"));
    }
    let key = key::encode(&columns);
    // A key has one zero.
    let is_read = key::decode(&key).is_ok_and(|read| key::encode(&read) == key);
    if !is_read {
        return corrupt(format!("{columns:?} is not read as it was written, as a key"));
    }
    for _ in 0..TURN {
        let row = damaged(&row);
        match row::decode(&row) {
            Ok(read) if row::encode(&read) == row => {}
            Err(error) if told_within(&error.to_string(), row.len()) => {}
            other => return corrupt(format!("the row {row:02x?} is read as {other:?}")),
        }
        let key = damaged(&key);
        match key::decode(&key) {
            Ok(read) if key::encode(&read) == key => {}
            Err(error) if told_within(&error.to_string(), key.len()) => {}
            other => return corrupt(format!("the key {key:02x?} is read as {other:?}")),
        }
    }
    Ok(())
}

/// Bytes of which one is another, or of which the end is cut off.
fn damaged(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = pick("falcon/place", bytes.len() as u64) as usize;
    match pick("falcon/cut", 3) {
        0 => bytes.truncate(at),
        _ => bytes[at] = another(bytes[at]),
    }
    bytes
}

/// Whether a text names a byte up to `length`.
fn told_within(text: &str, length: usize) -> bool {
    let (_, behind) = text.split_once("byte ").unwrap_or_default();
    let digits = behind.split(|letter: char| !letter.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).is_some_and(|at: usize| at <= length)
}

/// A record of page changes that is cut or changed is refused at a place in it, or is another one.
fn of_record(picture: &Picture) -> Result<(), EngineError> {
    let records = page_changes(picture);
    let record = &records[pick("falcon/record", records.len() as u64) as usize];
    if let Err(error) = code::decode(record, PAGE_BYTES) {
        return corrupt(format!("a record of the log is none: {error}"));
    }
    for _ in 0..TURN {
        let record = damaged(record);
        match code::decode(&record, PAGE_BYTES) {
            Err(error) if !told_within(&error.to_string(), record.len()) => {
                return corrupt(format!("a damaged record of {} bytes: {error}", record.len()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// All records of page changes that a picture's log has.
fn page_changes(picture: &Picture) -> Vec<Vec<u8>> {
    let files = picture.files();
    let mut found = Vec::new();
    for block in blocks::all(&files) {
        let bytes = &files[picture::LOG[block.file]];
        let records = block.records(&files).into_iter();
        let changes = records.filter(|(kind, _)| *kind == record::PAGE_CHANGE);
        found.extend(changes.map(|(_, range)| bytes[range].to_vec()));
    }
    found
}

/// An operation either fits a page or leaves it as it was.
fn of_operation(picture: &Picture) -> Result<(), EngineError> {
    let (id, _, whole) = page_of(picture);
    for _ in 0..TURN {
        let mut bytes = whole.clone();
        let op = operation();
        match op.apply(id, &mut bytes) {
            Err(_) if bytes != whole => {
                return corrupt(format!("{op:?} was refused by {id} and has changed it"));
            }
            Ok(()) if page::check_content(&bytes).is_err() => {
                return corrupt(format!("{op:?} was taken by {id}, which holds together no more"));
            }
            Ok(()) if op.kind() != kind_of(&bytes) && op.kind().is_some() => {
                return corrupt(format!("{op:?} was taken by {id}, which is of another kind"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn kind_of(bytes: &[u8]) -> Option<PageKind> {
    page::check_content(bytes).ok().map(|header| header.kind)
}

/// An operation that few pages take.
fn operation() -> PageOp<'static> {
    // In no page of a picture, so that no page is its own child.
    let far = PageNumber(100 + pick("falcon/far", 100) as u32);
    let slot = [0, 5, 90, 400][pick("falcon/slot", 4) as usize];
    let key = || key::encode(&[KeyValue::U64(pick("falcon/key", 12))]).into();
    let record = RecordNumber(pick("falcon/number", 12));
    match pick("falcon/operation", 11) {
        0 => PageOp::MarkUsed(PageNumber(pick("falcon/marked", 20_000) as u32)),
        1 => PageOp::MarkFree(PageNumber(4 + pick("falcon/marked", 7_000) as u32)),
        2 => PageOp::SetChild { slot, child: Some(far) },
        3 => PageOp::SetLocator { slot, locator: Locator::Real { page: far, line: Line(0) } },
        4 => PageOp::SetSpace { page: far, bytes: 100 },
        5 => {
            let bytes = vec![7; [1, 300, 990][pick("falcon/length", 3) as usize]].into();
            let content = Content { bytes, source: None };
            PageOp::PutRecord { line: Line(slot % 16), tail: None, content }
        }
        6 => PageOp::DeleteRecord { line: Line(slot) },
        7 => PageOp::InsertEntry { key: key(), record, child: None },
        8 => PageOp::DeleteEntry { key: key(), record },
        9 => PageOp::RaiseSequence { slot, value: 7 },
        _ => PageOp::Image(vec![0; 512].into()),
    }
}

/// A log of which a byte is another is shown, or refused by a file's name.
fn of_log(picture: &Picture) -> Result<(), EngineError> {
    let mut files = picture.files();
    let name = picture::LOG[pick("falcon/log", 2) as usize];
    let bytes = files.get_mut(name).expect("every picture has a log");
    let at = place(bytes.len());
    bytes[at] = another(bytes[at]);
    let disk = PictureDisk::of(files);
    match log::dump(&*disk, picture::LOG.map(std::path::Path::new)) {
        Ok(text) if text.contains(picture::LOG[1]) => Ok(()),
        Err(
            Error::Damaged { file, .. } | Error::Foreign { file, .. } | Error::Newer { file, .. },
        ) if picture::LOG.iter().any(|name| file == std::path::Path::new(name)) => Ok(()),
        other => corrupt(format!("byte {at} of {name} is another, and it is shown as {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::on_machines;
    use super::*;

    #[test]
    fn what_holds_of_damaged_parts() {
        on_machines("what_holds_of_damaged_parts", 200, || (0..8).try_for_each(|_| upkeep()));
    }

    #[test]
    fn an_error_that_names_nothing_is_told() {
        let id = PageId { tablespace: TablespaceId(1), number: PageNumber(5) };
        let good = PageError::Checksum { page: id, stored: 1, computed: 2 };
        assert!(named(good.clone(), id, "user.pages").is_ok());
        let other = PageId { number: PageNumber(6), ..id };
        assert!(named(good, other, "user.pages").is_err());
        assert!(told_within("byte 4: it ends", 4) && !told_within("byte 5: it ends", 4));
        assert!(!told_within("it ends", 4));
    }
}
