//! All locator pages of a section, in the order of the records.

use super::find::check_section;
use super::root_of;
use crate::page::{
    Locator, LocatorPage, PageKind, RecordNumber, SectionGeometry, SectionId, SectionPage,
};
use crate::store::Store;
use crate::{PageId, PageNumber, Result, TablespaceId};

/// Free numbers that are looked for when a table is first written to. More are found at the next opening.
const FREE_MAX: usize = 10_000;

/// A walk over the locator pages of a section.
pub(crate) struct SectionWalk {
    tablespace: TablespaceId,
    section: SectionId,
    /// Nodes that are still to be looked at, the next one last: page, level, its first locator.
    nodes: Vec<(PageNumber, u8, u64)>,
    /// Locators before this one are passed by.
    from: u64,
    /// Pages that were met so far, section pages and locator pages.
    pub(crate) pages: Vec<PageNumber>,
}

impl SectionWalk {
    /// A walk from the locator with the ordinal `from` on.
    pub(crate) fn new(
        store: &Store,
        tablespace: TablespaceId,
        section: SectionId,
        from: u64,
    ) -> Result<SectionWalk> {
        let mut walk =
            SectionWalk { tablespace, section, nodes: Vec::new(), from, pages: Vec::new() };
        if let Some(root) = root_of(store, tablespace, section)? {
            let id = PageId { tablespace, number: root };
            let level = {
                let page = store.read(id, PageKind::Section)?;
                SectionPage::of_checked(page.bytes()).level()
            };
            walk.nodes.push((root, level, 0));
        }
        Ok(walk)
    }

    /// The next locator page, and which of the section's it is.
    pub(crate) fn next_locator(&mut self, store: &Store) -> Result<Option<(u64, PageId)>> {
        let base = u64::from(SectionGeometry::new(store.page_size()).slots_per_node());
        while let Some((number, level, first)) = self.nodes.pop() {
            let id = PageId { tablespace: self.tablespace, number };
            self.pages.push(number);
            // A locator page is entered as one of level 255.
            if level == u8::MAX {
                let page = store.read(id, PageKind::Locator)?;
                let locator = LocatorPage::of_checked(page.bytes());
                check_section(store, id, locator.section(), self.section)?;
                if u64::from(locator.sequence()) != first {
                    let what = format!("locator {}, expected {first}", locator.sequence());
                    return Err(store.damaged(id, what));
                }
                return Ok(Some((first, id)));
            }
            let page = store.read(id, PageKind::Section)?;
            let node = SectionPage::of_checked(page.bytes());
            check_section(store, id, node.section(), self.section)?;
            if node.level() != level {
                let what = format!("a section page of level {}, expected {level}", node.level());
                return Err(store.damaged(id, what));
            }
            let below = base.saturating_pow(level.into());
            let children: Vec<_> = node.children().collect();
            for (slot, child) in children.into_iter().rev() {
                let child_first = first.saturating_add(u64::from(slot).saturating_mul(below));
                if child_first.saturating_add(below - 1) >= self.from {
                    self.nodes.push((child, level.checked_sub(1).unwrap_or(u8::MAX), child_first));
                }
            }
        }
        Ok(None)
    }
}

/// The number behind the last record of a section, and free ones before it.
///
/// # Errors
///
/// As [`read`](super::read).
pub(crate) fn numbers(
    store: &Store,
    tablespace: TablespaceId,
    section: SectionId,
) -> Result<(RecordNumber, Vec<RecordNumber>)> {
    let slots = u64::from(SectionGeometry::new(store.page_size()).slots_per_locator());
    let (mut next, mut free) = (0, Vec::new());
    let mut walk = SectionWalk::new(store, tablespace, section, 0)?;
    while let Some((ordinal, id)) = walk.next_locator(store)? {
        let page = store.read(id, PageKind::Locator)?;
        let locator = LocatorPage::of_checked(page.bytes());
        for slot in 0..slots {
            let number = ordinal * slots + slot;
            if locator.locator(slot as u16) == Locator::Free {
                continue;
            }
            let room = FREE_MAX - free.len();
            free.extend((next..number).take(room).map(RecordNumber));
            next = number + 1;
        }
    }
    Ok((RecordNumber(next), free))
}
