//! A dropped section is freed, step by step.
//!
//! # Method
//!
//! Each step goes down by the first child of each node. A node without children is freed and taken out of its
//! parent, by one change. A locator page is freed with all data pages and overflow pages of its records, if
//! these are not too many for one change; if they are, some of its records are deleted first, as gophers delete
//! them. The root of the section is the last.
//!
//! # Invariant
//!
//! After a step all pages of the section that are in use can be reached from its root.

use std::collections::BTreeSet;

use falconry_seam::{buggify, planted, reachable};

use super::find::{chain, check_section};
use super::{Known, delete, root_of, slot_of};
use crate::db::RecordPlace;
use crate::page::{
    DataPage, InventoryMap, Locator, LocatorPage, PageKind, RecordNumber, SectionGeometry,
    SectionId, SectionPage,
};
use crate::store::Store;
use crate::store::format::SECTION_ROOTS;
use crate::store::op::PageOp;
use crate::{PageId, PageNumber, Result, TablespaceId};

/// Pages that one step frees at most, records aside: these are as long as a change takes.
const PAGES_MAX: usize = 256;
/// Inventory pages that one step changes at most, for each needs a frame of the cache.
const INVENTORIES_MAX: usize = 8;
/// Records that one step deletes.
const RECORDS_MAX: usize = 16;

/// Where a step has come to.
struct Place {
    /// The page to be freed.
    id: PageId,
    /// The page that leads to it,
    parent: PageId,
    /// and its slot there.
    slot: u16,
    /// If the page is a locator page, which one of the section.
    ordinal: Option<u64>,
}

/// Takes a step, which nobody else does who knows the section. Returns how many pages are free now; none when
/// the section is gone.
///
/// # Errors
///
/// Those of the store. If anything was changed by a step that failed, the engine has stopped.
pub(crate) fn reclaim(store: &Store, tablespace: TablespaceId, section: SectionId) -> Result<u64> {
    let Some(place) = first(store, tablespace, section)? else { return Ok(0) };
    let mut pages = vec![place.id.number];
    if let Some(ordinal) = place.ordinal {
        let locators = locators(store, place.id, section)?;
        match pages_of(store, place.id, section, &locators)? {
            Some(more) => pages.extend(more),
            None => return delete_some(store, tablespace, section, ordinal, &locators),
        }
    }
    free(store, &place, &pages)
}

/// Unlinks a page and frees it with all that only it leads to.
fn free(store: &Store, place: &Place, pages: &[PageNumber]) -> Result<u64> {
    let mut change = store.change();
    let parent = change.page(place.parent, PageKind::Section)?;
    change.apply(parent, &PageOp::SetChild { slot: place.slot, child: None })?;
    if planted!("unlinked_before_freed") {
        let unlinked = change.commit()?;
        store.log().flush(unlinked)?;
        change = store.change();
    }
    for number in pages {
        change.free(PageId { number: *number, ..place.id })?;
    }
    change.commit()?;
    Ok(pages.len() as u64)
}

/// The first page that has no node below it.
fn first(store: &Store, tablespace: TablespaceId, section: SectionId) -> Result<Option<Place>> {
    let parent = PageId { tablespace, number: SECTION_ROOTS };
    let Some(root) = root_of(store, tablespace, section)? else { return Ok(None) };
    let slots =
        SectionPage::of_checked(store.read(parent, PageKind::Section)?.bytes()).slot_count();
    let slot = slot_of(section, slots)?;
    let mut place = Place { id: PageId { number: root, ..parent }, parent, slot, ordinal: None };
    loop {
        let page = store.read(place.id, PageKind::Section)?;
        let node = SectionPage::of_checked(page.bytes());
        check_section(store, place.id, node.section(), section)?;
        let Some((slot, child)) = node.children().next() else { return Ok(Some(place)) };
        let first = u64::from(node.sequence()) * u64::from(node.slot_count());
        let is_last = node.level() == 0;
        let below = PageId { number: child, ..place.id };
        place = Place {
            parent: place.id,
            id: below,
            slot,
            ordinal: is_last.then_some(first + u64::from(slot)),
        };
        if is_last {
            return Ok(Some(place));
        }
    }
}

fn locators(store: &Store, id: PageId, section: SectionId) -> Result<Vec<Locator>> {
    let page = store.read(id, PageKind::Locator)?;
    let page = LocatorPage::of_checked(page.bytes());
    check_section(store, id, page.section(), section)?;
    Ok((0..page.slot_count()).map(|slot| page.locator(slot)).collect())
}

/// The data pages of a locator page and the overflow pages of its records; none when these are too many.
fn pages_of(
    store: &Store,
    locator: PageId,
    section: SectionId,
    locators: &[Locator],
) -> Result<Option<BTreeSet<PageNumber>>> {
    let map = InventoryMap::new(store.page_size());
    let pages_max = if buggify!("reclaim/few pages a step", 500_000) { 1 } else { PAGES_MAX };
    let mut pages = BTreeSet::new();
    let data = locators.iter().filter_map(|locator| match locator {
        Locator::Real { page, .. } => Some(*page),
        Locator::Free | Locator::Stub => None,
    });
    for number in data.collect::<BTreeSet<_>>() {
        let id = PageId { number, ..locator };
        let tails: Vec<PageNumber> = {
            let page = store.read(id, PageKind::Data)?;
            let page = DataPage::of_checked(page.bytes());
            check_section(store, id, page.section(), section)?;
            page.records().filter_map(|(_, record)| record.tail).collect()
        };
        pages.insert(number);
        for tail in tails {
            pages.extend(chain(store, id.tablespace, section, Some(tail))?);
        }
        let inventories: BTreeSet<u32> = pages.iter().map(|page| map.ordinal_of(*page)).collect();
        if pages.len() > pages_max || inventories.len() > INVENTORIES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(pages))
}

/// Deletes some records, those with overflow pages among them. A record counts as one page, whatever it had.
fn delete_some(
    store: &Store,
    tablespace: TablespaceId,
    section: SectionId,
    ordinal: u64,
    locators: &[Locator],
) -> Result<u64> {
    reachable!("reclaim/records are deleted one by one");
    let slots = u64::from(SectionGeometry::new(store.page_size()).slots_per_locator());
    let is_real = |locator: &Locator| matches!(locator, Locator::Real { .. });
    let real = (0..).zip(locators).filter(|(_, locator)| is_real(locator)).take(RECORDS_MAX);
    let mut count = 0;
    for (slot, _) in real {
        let record = RecordNumber(ordinal * slots + slot);
        // Locators go too, one after the other: none is kept in mind.
        delete(store, &Known::default(), RecordPlace { tablespace, section, record })?;
        count += 1;
    }
    Ok(count)
}
