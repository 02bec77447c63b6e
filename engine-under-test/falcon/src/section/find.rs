//! From a record's number to its bytes.

use std::collections::BTreeSet;

use super::{Known, root_of};
use crate::db::RecordPlace;
use crate::page::{
    DataPage, Line, Locator, LocatorPage, OverflowPage, PageKind, RecordNumber, SectionGeometry,
    SectionId, SectionPage,
};
use crate::store::Store;
use crate::{PageId, PageNumber, Result, TablespaceId};

/// A committed record's bytes; none when there is no such record.
///
/// # Errors
///
/// Those of the cache, and [`Error::Damaged`](crate::Error::Damaged) where a link leads astray.
pub(crate) fn read(store: &Store, known: &Known, place: RecordPlace) -> Result<Option<Vec<u8>>> {
    look(store, known, place, <[u8]>::to_vec)
}

/// Says that a record is asked for soon: the processor fetches its locator meanwhile.
pub(crate) fn prefetch(store: &Store, known: &Known, place: RecordPlace) {
    let slots = u64::from(SectionGeometry::new(store.page_size()).slots_per_locator());
    let (ordinal, slot) = (place.record.0 / slots, (place.record.0 % slots) as u16);
    if store.cache().is_large()
        && let Some(number) = known.get(ordinal)
    {
        let id = PageId { tablespace: place.tablespace, number };
        store.cache().prefetch(id, 0);
        store.cache().prefetch(id, LocatorPage::place_of(slot));
    }
}

/// What `of` makes of a committed record's bytes; none when there is no such record. Bytes that lie in one page
/// are not copied: `of` looks at them under the page's latch, so it asks for no page.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn look<T>(
    store: &Store,
    known: &Known,
    place: RecordPlace,
    of: impl FnOnce(&[u8]) -> T,
) -> Result<Option<T>> {
    let RecordPlace { tablespace, section, record } = place;
    let Some((id, slot)) = locator_of(store, known, place)? else { return Ok(None) };
    let found = {
        let page = store.read(id, PageKind::Locator)?;
        let locator = LocatorPage::of_checked(page.bytes());
        check_section(store, id, locator.section(), section)?;
        locator.locator(slot)
    };
    let Locator::Real { page, line } = found else { return Ok(None) };
    let id = PageId { tablespace, number: page };
    store.cache().prefetch(id, 0);
    store.cache().prefetch(id, DataPage::place_of(line));
    let (mut bytes, tail) = {
        let page = store.read(id, PageKind::Data)?;
        let data = DataPage::of_checked(page.bytes());
        check_section(store, id, data.section(), section)?;
        let stored = data.record(line).ok_or_else(|| no_record(store, id, line, record))?;
        if stored.tail.is_none() {
            return Ok(Some(of(stored.head)));
        }
        (stored.head.to_vec(), stored.tail)
    };
    for page in chain(store, tablespace, section, tail)? {
        let page = store.read(PageId { tablespace, number: page }, PageKind::Overflow)?;
        bytes.extend_from_slice(OverflowPage::of_checked(page.bytes()).content());
    }
    Ok(Some(of(&bytes)))
}

/// The pages of an overflow chain, in their order.
pub(crate) fn chain(
    store: &Store,
    tablespace: TablespaceId,
    section: SectionId,
    first: Option<PageNumber>,
) -> Result<Vec<PageNumber>> {
    let (mut pages, mut seen) = (Vec::new(), BTreeSet::new());
    let mut next = first;
    while let Some(number) = next {
        let id = PageId { tablespace, number };
        if !seen.insert(number) {
            return Err(store.damaged(id, "its overflow chain leads back to it"));
        }
        let page = store.read(id, PageKind::Overflow)?;
        let overflow = OverflowPage::of_checked(page.bytes());
        check_section(store, id, overflow.section(), section)?;
        pages.push(number);
        next = overflow.next();
    }
    Ok(pages)
}

/// The locator page and the slot of a record; none where the section does not reach so far.
pub(super) fn locator_of(
    store: &Store,
    known: &Known,
    place: RecordPlace,
) -> Result<Option<(PageId, u16)>> {
    let slots = u64::from(SectionGeometry::new(store.page_size()).slots_per_locator());
    let (ordinal, slot) = (place.record.0 / slots, (place.record.0 % slots) as u16);
    if let Some(number) = known.get(ordinal) {
        return Ok(Some((PageId { tablespace: place.tablespace, number }, slot)));
    }
    let found = way_to_locator(store, place)?;
    if let Some((id, _)) = found {
        known.put(ordinal, id.number);
    }
    Ok(found)
}

/// The same, by the section's tree.
fn way_to_locator(store: &Store, place: RecordPlace) -> Result<Option<(PageId, u16)>> {
    let RecordPlace { tablespace, section, record } = place;
    let geometry = SectionGeometry::new(store.page_size());
    let Some(root) = root_of(store, tablespace, section)? else { return Ok(None) };
    let mut id = PageId { tablespace, number: root };
    let mut path = None;
    let mut depth = 0;
    loop {
        let page = store.read(id, PageKind::Section)?;
        let node = SectionPage::of_checked(page.bytes());
        check_section(store, id, node.section(), section)?;
        let whole = match path.take() {
            Some(path) => path,
            None => match geometry.path(record, node.level()) {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        let level = whole.nodes.len() - 1 - depth;
        if usize::from(node.level()) != level {
            let what = format!("a section page of level {}, expected {level}", node.level());
            return Err(store.damaged(id, what));
        }
        let Some(child) = node.child(whole.nodes[depth]) else { return Ok(None) };
        id.number = child;
        if level == 0 {
            drop(page);
            check_locator(store, id, section)?;
            return Ok(Some((id, whole.slot)));
        }
        depth += 1;
        path = Some(whole);
    }
}

fn check_locator(store: &Store, id: PageId, section: SectionId) -> Result<()> {
    let page = store.read(id, PageKind::Locator)?;
    check_section(store, id, LocatorPage::of_checked(page.bytes()).section(), section)
}

/// The first record at or behind `from`.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn next_record(
    store: &Store,
    known: &Known,
    from: RecordPlace,
) -> Result<Option<RecordNumber>> {
    let RecordPlace { tablespace, section, record } = from;
    let slots = u64::from(SectionGeometry::new(store.page_size()).slots_per_locator());
    let ordinal = record.0 / slots;
    // Most records have the next one in the same locator page.
    if let Some((id, slot)) = locator_of(store, known, from)?
        && let Some(slot) = used_slot(store, id, section, slot)?
    {
        return Ok(Some(RecordNumber(ordinal * slots + u64::from(slot))));
    }
    let Some(behind) = ordinal.checked_add(1) else { return Ok(None) };
    let mut walk = super::SectionWalk::new(store, tablespace, section, behind)?;
    while let Some((ordinal, id)) = walk.next_locator(store)? {
        if let Some(slot) = used_slot(store, id, section, 0)? {
            known.put(ordinal, id.number);
            return Ok(Some(RecordNumber(ordinal * slots + u64::from(slot))));
        }
    }
    Ok(None)
}

/// The first slot of a locator page at or behind `from` that has a record.
fn used_slot(store: &Store, id: PageId, section: SectionId, from: u16) -> Result<Option<u16>> {
    let page = store.read(id, PageKind::Locator)?;
    let locator = LocatorPage::of_checked(page.bytes());
    check_section(store, id, locator.section(), section)?;
    let slots = SectionGeometry::new(store.page_size()).slots_per_locator();
    Ok((from..slots).find(|slot| matches!(locator.locator(*slot), Locator::Real { .. })))
}

pub(super) fn check_section(
    store: &Store,
    id: PageId,
    found: SectionId,
    expected: SectionId,
) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(store.damaged(id, format!("of section {}, expected {}", found.0, expected.0)))
}

pub(super) fn no_record(
    store: &Store,
    id: PageId,
    line: Line,
    record: RecordNumber,
) -> crate::Error {
    store.damaged(id, format!("line {} has no record, and should have {}", line.0, record.0))
}
