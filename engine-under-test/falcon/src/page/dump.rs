//! Writes a page out, field by field, for people and for snapshots.
//!
//! # Method
//!
//! A line a field, `name: value`, and a line an entry, in the order of the page.
//!
//! # Invariant
//!
//! Only a page that holds together is written out; the checksum is written as it is, and not checked.

use std::fmt::{self, Write};

use super::bytes::u32_at;
use super::index::IndexPage;
use super::key;
use super::{
    DataPage, FileHeader, InventoryPage, Line, Locator, LocatorPage, OverflowPage, PageError,
    PageKind, SectionPage, SequencePage, check_content,
};
use crate::ids::PageNumber;

/// Bytes of a record or key that are written out; of longer ones the length is told.
const SHOWN_BYTES_MAX: usize = 32;

/// All that a page holds, as text.
pub fn dump(bytes: &[u8]) -> Result<String, PageError> {
    let header = check_content(bytes)?;
    let mut out = String::new();
    let head = format!(
        "{}: {}, {} bytes\nlsn: {}\nchecksum: {:#010x}\n",
        header.id,
        header.kind,
        header.size.bytes(),
        header.lsn,
        u32_at(bytes, 0)
    );
    out.push_str(&head);
    let content = match header.kind {
        PageKind::FileHeader => file_header(&mut out, FileHeader::of_checked(bytes)),
        PageKind::Inventory => inventory(&mut out, InventoryPage::of_checked(bytes)),
        PageKind::Section => section(&mut out, SectionPage::of_checked(bytes)),
        PageKind::Locator => locator(&mut out, LocatorPage::of_checked(bytes)),
        PageKind::Data => data(&mut out, DataPage::of_checked(bytes)),
        PageKind::Overflow => overflow(&mut out, OverflowPage::of_checked(bytes)),
        PageKind::Index => index(&mut out, IndexPage::of_checked(bytes)),
        PageKind::Sequence => sequence(&mut out, SequencePage::of_checked(bytes)),
    };
    content.expect("writing to a string does not fail");
    Ok(out)
}

fn file_header(out: &mut String, page: FileHeader<'_>) -> fmt::Result {
    let identity = page.identity();
    writeln!(out, "format: {}", page.format_version())?;
    writeln!(out, "creation: {:?}", page.creation())?;
    writeln!(out, "database: {:#034x}", identity.database.0)?;
    writeln!(out, "created: {} ns", identity.created_ns)
}

fn inventory(out: &mut String, page: InventoryPage<'_>) -> fmt::Result {
    let (first, last) = page.range();
    writeln!(out, "ordinal: {}", page.ordinal())?;
    writeln!(out, "keeps: {first} to {last}")?;
    writeln!(out, "free count: {}", page.free_count())?;
    let mut from = first;
    // Runs of free pages: there are fewer of them than of pages.
    while let Some(start) = page.first_free(from) {
        let used = (start.0..=last.0).map(PageNumber).find(|number| !page.is_free(*number));
        let end = PageNumber(used.map_or(last.0, |used| used.0 - 1));
        writeln!(out, "free: {start} to {end}")?;
        let Some(next) = end.0.checked_add(1) else { break };
        from = PageNumber(next);
    }
    Ok(())
}

fn section(out: &mut String, page: SectionPage<'_>) -> fmt::Result {
    writeln!(out, "section: {}", page.section().0)?;
    writeln!(out, "sequence: {}", page.sequence())?;
    writeln!(out, "level: {}", page.level())?;
    page.children().try_for_each(|(slot, child)| writeln!(out, "slot {slot}: {child}"))
}

fn locator(out: &mut String, page: LocatorPage<'_>) -> fmt::Result {
    writeln!(out, "section: {}", page.section().0)?;
    writeln!(out, "sequence: {}", page.sequence())?;
    let mut told = Vec::new();
    for slot in 0..page.slot_count() {
        match page.locator(slot) {
            Locator::Free => {}
            Locator::Stub => writeln!(out, "slot {slot}: stub")?,
            Locator::Real { page: data, line } => {
                writeln!(out, "slot {slot}: {data}, line {}", line.0)?;
                told.push(data);
            }
        }
    }
    told.sort_unstable();
    told.dedup();
    told.into_iter().try_for_each(|data| writeln!(out, "room of {data}: {}", page.space(data)))
}

fn data(out: &mut String, page: DataPage<'_>) -> fmt::Result {
    writeln!(out, "section: {}", page.section().0)?;
    writeln!(out, "lines: {}", page.line_count())?;
    writeln!(out, "free: {} bytes", page.free_bytes())?;
    for line in (0..page.line_count()).map(Line) {
        let Some(record) = page.record(line) else {
            writeln!(out, "line {}: free", line.0)?;
            continue;
        };
        write!(out, "line {}: {}", line.0, shown(record.head))?;
        match record.tail {
            Some(tail) => writeln!(out, ", goes on in {tail}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn overflow(out: &mut String, page: OverflowPage<'_>) -> fmt::Result {
    writeln!(out, "section: {}", page.section().0)?;
    match page.next() {
        Some(next) => writeln!(out, "next: {next}")?,
        None => writeln!(out, "next: none")?,
    }
    writeln!(out, "bytes: {}", shown(page.content()))
}

fn index(out: &mut String, page: IndexPage<'_>) -> fmt::Result {
    writeln!(out, "index: {}", page.index().0)?;
    writeln!(out, "level: {}", page.level())?;
    if let (Some(right), Some(high)) = (page.right(), page.high()) {
        writeln!(out, "right: {right}")?;
        writeln!(out, "high: {}, record {}", shown_key(high.key), high.record.0)?;
    }
    writeln!(out, "free: {} bytes", page.free_bytes())?;
    let mut cursor = page.entries();
    while let Some(entry) = cursor.advance() {
        write!(out, "{}, record {}", shown_key(entry.key.key), entry.key.record.0)?;
        match entry.child {
            Some(child) => writeln!(out, ": {child}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn sequence(out: &mut String, page: SequencePage<'_>) -> fmt::Result {
    writeln!(out, "ordinal: {}", page.ordinal())?;
    (0..page.slot_count())
        .map(|slot| (slot, page.value(slot)))
        .filter(|(_, value)| *value != 0)
        .try_for_each(|(slot, value)| writeln!(out, "slot {slot}: {value}"))
}

/// The columns of a key, or its bytes if it is the start of one: a bound between two nodes need be no more.
fn shown_key(key: &[u8]) -> String {
    match key::decode(key) {
        Ok(columns) if key.len() <= SHOWN_BYTES_MAX => format!("{columns:?}"),
        _ => shown(key),
    }
}

fn shown(bytes: &[u8]) -> String {
    let start = bytes[..bytes.len().min(SHOWN_BYTES_MAX)].escape_ascii();
    if bytes.len() > SHOWN_BYTES_MAX {
        format!("\"{start}\" … {} bytes", bytes.len())
    } else {
        format!("\"{start}\"")
    }
}
