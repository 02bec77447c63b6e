//! Records come to their places, move and go.

use std::borrow::Cow;

use falconry_seam::planted;

use super::find::{chain, check_section, locator_of, no_record};
use super::{Known, root_of, slot_of};
use crate::db::RecordPlace;
use crate::page::{
    DataPage, Line, Locator, LocatorPage, OverflowPage, PageKind, SectionGeometry, SectionId,
    SectionPage, SectionPageMut,
};
use crate::store::format::SECTION_ROOTS;
use crate::store::op::{Content, PageOp, Source};
use crate::store::{Change, Store};
use crate::{Error, PageId, PageNumber, Result, TablespaceId};

/// Bytes of a line in the index of a data page.
const LINE_BYTES: usize = 4;
/// Bytes of the reference to an overflow page.
const TAIL_BYTES: usize = 4;

/// Makes a section, unless it is there.
///
/// # Errors
///
/// Those of the store, after which the engine has stopped; [`Error::TooMany`].
pub(crate) fn create(store: &Store, tablespace: TablespaceId, section: SectionId) -> Result<()> {
    let mut change = store.change();
    let roots = change.page(PageId { tablespace, number: SECTION_ROOTS }, PageKind::Section)?;
    let page = SectionPage::of_checked(change.bytes(roots));
    let slot = slot_of(section, page.slot_count())?;
    if page.child(slot).is_some() {
        return Ok(());
    }
    let root = change.allocate(tablespace)?;
    let id = PageId { tablespace, number: root };
    change.create(id, &PageOp::FormatSection { section, sequence: 0, level: 0 })?;
    change.apply(roots, &PageOp::SetChild { slot, child: Some(root) })?;
    change.commit().map(drop)
}

/// Puts a record into its place, new or instead of the one that is there. The log has its bytes at `source`.
///
/// # Errors
///
/// Those of the store. If anything was changed, the engine has stopped.
pub(crate) fn put(
    store: &Store,
    known: &Known,
    place: RecordPlace,
    bytes: &[u8],
    source: Source,
) -> Result<()> {
    let (id, slot) = loop {
        match locator_of(store, known, place)? {
            Some(found) => break found,
            None => make_way(store, place)?,
        }
    };
    let mut put = Put::new(store, place, bytes, source);
    let outcome = put.put(id, slot);
    put.end(outcome)
}

/// Takes a record away, if it is there.
///
/// # Errors
///
/// As [`put`].
pub(crate) fn delete(store: &Store, known: &Known, place: RecordPlace) -> Result<()> {
    let Some((id, slot)) = locator_of(store, known, place)? else { return Ok(()) };
    let source = Source { lsn: crate::Lsn(0), from: 0, bytes: 0 };
    let mut put = Put::new(store, place, &[], source);
    let outcome = put.delete(id, slot);
    put.end(outcome)
}

/// Adds one node that is missing on the way to a record.
fn make_way(store: &Store, place: RecordPlace) -> Result<()> {
    let RecordPlace { tablespace, section, record } = place;
    let geometry = SectionGeometry::new(store.page_size());
    let root = root_of(store, tablespace, section)?;
    let Some(root) = root else {
        let roots = PageId { tablespace, number: SECTION_ROOTS };
        return Err(store.damaged(roots, format!("it does not lead to section {}", section.0)));
    };
    let mut change = store.change();
    let mut node = change.page(PageId { tablespace, number: root }, PageKind::Section)?;
    let level = SectionPage::of_checked(change.bytes(node)).level();
    let Some(path) = geometry.path(record, level) else {
        if geometry.level_for(record).is_none() {
            return Err(Error::TooMany { what: "records", limit: geometry.capacity(level) });
        }
        return promote(change, node, tablespace, section);
    };
    let mut ordinal = 0u64;
    for (depth, slot) in path.nodes.iter().enumerate() {
        ordinal = ordinal * u64::from(geometry.slots_per_node()) + u64::from(*slot);
        let page = SectionPage::of_checked(change.bytes(node));
        let id = change.id(node);
        check_section(store, id, page.section(), section)?;
        let child_level = (path.nodes.len() - 1 - depth).checked_sub(1);
        match (page.child(*slot), child_level) {
            (Some(child), Some(_)) => {
                node = change.page(PageId { tablespace, number: child }, PageKind::Section)?;
            }
            (Some(_), None) => return Ok(()),
            (None, child_level) => {
                let sequence = u32::try_from(ordinal).expect("a section has that many locators");
                let op = match child_level {
                    Some(level) => PageOp::FormatSection { section, sequence, level: level as u8 },
                    None => PageOp::FormatLocator { section, sequence },
                };
                let child = change.allocate(tablespace)?;
                change.create(PageId { tablespace, number: child }, &op)?;
                change.apply(node, &PageOp::SetChild { slot: *slot, child: Some(child) })?;
                return change.commit().map(drop);
            }
        }
    }
    Ok(())
}

/// Makes the tree one level higher.
fn promote(
    mut change: Change<'_>,
    root: usize,
    tablespace: TablespaceId,
    section: SectionId,
) -> Result<()> {
    let child = PageId { tablespace, number: change.allocate(tablespace)? };
    let slot = change.create(child, &PageOp::FormatSection { section, sequence: 0, level: 0 })?;
    let promoted: Result<()> = change.rewrite((root, slot), |root, page| {
        SectionPageMut::of_checked(root).promote(page, child);
        Ok(())
    });
    promoted?;
    change.commit().map(drop)
}

/// One record on its way.
struct Put<'a, 'b> {
    store: &'a Store,
    change: Change<'a>,
    place: RecordPlace,
    bytes: &'b [u8],
    source: Source,
}

impl<'a, 'b> Put<'a, 'b> {
    fn new(store: &'a Store, place: RecordPlace, bytes: &'b [u8], source: Source) -> Self {
        Put { store, change: store.change(), place, bytes, source }
    }

    /// Ends the change, or says why it cannot.
    fn end(mut self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => self.change.commit().map(drop),
            Err(error) => Err(self.change.told(error)),
        }
    }

    /// Puts the record into its place, of which the locator page and the slot there are known.
    fn put(&mut self, id: PageId, slot: u16) -> Result<()> {
        let (locator, before) = self.locator(id, slot)?;
        let (head_bytes, tail) = self.tail()?;
        let stored_bytes = head_bytes + if tail.is_some() { TAIL_BYTES } else { 0 };
        let head = self.content(0..head_bytes);
        if let Locator::Real { page, line } = before {
            let data = self.change.page(self.page(page), PageKind::Data)?;
            let old_bytes = self.free_tail(data, line)?;
            let free_bytes = DataPage::of_checked(self.change.bytes(data)).free_bytes() + old_bytes;
            if stored_bytes <= free_bytes {
                return self.change.apply(data, &PageOp::PutRecord { line, tail, content: head });
            }
        }
        let (data, line, is_new) = self.room(locator, stored_bytes)?;
        self.change.apply(data, &PageOp::PutRecord { line, tail, content: head })?;
        let page = self.change.id(data).number;
        let found = Locator::Real { page, line };
        self.change.apply(locator, &PageOp::SetLocator { slot, locator: found })?;
        if is_new {
            let left = DataPage::of_checked(self.change.bytes(data)).insert_bytes_max();
            let bytes = left.unwrap_or(0) as u16;
            self.change.apply(locator, &PageOp::SetSpace { page, bytes })?;
        }
        if let Locator::Real { page, line } = before {
            self.clear(locator, page, line)?;
        }
        Ok(())
    }

    /// Takes the record away, as [`Put::put`] puts it.
    fn delete(&mut self, id: PageId, slot: u16) -> Result<()> {
        let (locator, before) = self.locator(id, slot)?;
        let Locator::Real { page, line } = before else { return Ok(()) };
        let data = self.change.page(self.page(page), PageKind::Data)?;
        self.free_tail(data, line)?;
        self.change.apply(locator, &PageOp::SetLocator { slot, locator: Locator::Free })?;
        self.clear(locator, page, line)
    }

    /// Latches the record's locator page, and says where the record is.
    fn locator(&mut self, id: PageId, slot: u16) -> Result<(usize, Locator)> {
        let locator = self.change.page(id, PageKind::Locator)?;
        let page = LocatorPage::of_checked(self.change.bytes(locator));
        check_section(self.store, id, page.section(), self.place.section)?;
        Ok((locator, page.locator(slot)))
    }

    fn page(&self, number: PageNumber) -> PageId {
        PageId { tablespace: self.place.tablespace, number }
    }

    fn content(&self, range: std::ops::Range<usize>) -> Content<'b> {
        let source = Source {
            from: self.source.from + range.start as u32,
            bytes: range.len() as u32,
            ..self.source
        };
        Content { bytes: Cow::Borrowed(&self.bytes[range]), source: Some(source) }
    }

    /// Writes what does not fit into a data page to overflow pages, from the end; how much stays, and where
    /// it goes on.
    fn tail(&mut self) -> Result<(usize, Option<PageNumber>)> {
        let size = self.store.page_size();
        let in_page_max = DataPage::record_bytes_max(size);
        if self.bytes.len() <= in_page_max {
            return Ok((self.bytes.len(), None));
        }
        let head_bytes = in_page_max / 2;
        let capacity = OverflowPage::capacity(size);
        let (tablespace, section) = (self.place.tablespace, self.place.section);
        let mut next = None;
        let starts: Vec<usize> = (head_bytes..self.bytes.len()).step_by(capacity).collect();
        for start in starts.into_iter().rev() {
            let content = self.content(start..self.bytes.len().min(start + capacity));
            let page = self.change.allocate(tablespace)?;
            let op = PageOp::FormatOverflow { section, next, content };
            self.change.create(self.page(page), &op)?;
            next = Some(page);
        }
        Ok((head_bytes, next))
    }

    /// Frees the overflow pages of the record that is in that line now, and says how many bytes it has there.
    fn free_tail(&mut self, data: usize, line: Line) -> Result<usize> {
        let RecordPlace { tablespace, section, record } = self.place;
        let id = self.change.id(data);
        let page = DataPage::of_checked(self.change.bytes(data));
        check_section(self.store, id, page.section(), section)?;
        let stored = page.record(line).ok_or_else(|| no_record(self.store, id, line, record))?;
        let (stored_bytes, tail) = (stored.stored_bytes(), stored.tail);
        let tail = if planted!("old_overflow_not_freed") { None } else { tail };
        for page in chain(self.store, tablespace, section, tail)? {
            self.change.free(self.page(page))?;
        }
        Ok(stored_bytes)
    }

    /// A data page of this locator page with room for so many bytes, a line there, and whether it is new.
    fn room(&mut self, locator: usize, stored_bytes: usize) -> Result<(usize, Line, bool)> {
        let RecordPlace { tablespace, section, .. } = self.place;
        let wanted = u16::try_from(stored_bytes).expect("what is in a page is shorter than it");
        loop {
            let page = LocatorPage::of_checked(self.change.bytes(locator));
            let Some(found) = page.page_with_space(wanted) else { break };
            let known = page.space(found);
            let id = self.page(found);
            let data = self.change.page(id, PageKind::Data)?;
            let page = DataPage::of_checked(self.change.bytes(data));
            check_section(self.store, id, page.section(), section)?;
            let room = page.insert_bytes_max().unwrap_or(0);
            if room >= stored_bytes {
                return Ok((data, page.first_free_line(), false));
            }
            // It has less than was known; what it really has is less than what is wanted, so the next look
            // does not find it again.
            let room = (room as u16).min(known - 1);
            self.change.apply(locator, &PageOp::SetSpace { page: found, bytes: room })?;
        }
        let page = self.change.allocate(tablespace)?;
        let id = self.page(page);
        let data = self.change.create(id, &PageOp::FormatData { section })?;
        Ok((data, Line(0), true))
    }

    /// The record is elsewhere now, or gone: its old line is free, and its page too if it was the last.
    fn clear(&mut self, locator: usize, page: PageNumber, line: Line) -> Result<()> {
        let id = self.page(page);
        let data = self.change.page(id, PageKind::Data)?;
        self.change.apply(data, &PageOp::DeleteRecord { line })?;
        let left = DataPage::of_checked(self.change.bytes(data));
        let (is_empty, room) = (left.is_empty(), left.insert_bytes_max().unwrap_or(0));
        if is_empty {
            return self.change.free(id);
        }
        // A page that is nearly full is not worth another look.
        let room = if room < LINE_BYTES { 0 } else { room as u16 };
        self.change.apply(locator, &PageOp::SetSpace { page, bytes: room })
    }
}
