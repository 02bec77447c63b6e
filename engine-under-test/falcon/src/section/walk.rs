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
    /// Nodes that are not all seen, the next one last.
    nodes: Vec<Node>,
    /// The next locator that is wanted: those before it are passed by.
    from: u64,
    /// Pages that were met so far, section pages and locator pages.
    pub(crate) pages: Vec<PageNumber>,
}

/// A section page, and where the walk is in it.
struct Node {
    number: PageNumber,
    level: u8,
    /// The first locator below it.
    first: u64,
    /// Its slots before this one are seen.
    slot: u16,
}

/// What stands at the next slot of a section page.
enum Below {
    /// A node: its level, the first locator below it, its page.
    Node(u8, u64, PageNumber),
    /// A locator page: which of the section's it is, and its page.
    Locator(u64, PageNumber),
    /// No slot is left.
    Nothing,
    /// The page itself has a higher level by now.
    Grown(u8),
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
        if let Some(number) = root_of(store, tablespace, section)? {
            let level = {
                let page = store.read(PageId { tablespace, number }, PageKind::Section)?;
                SectionPage::of_checked(page.bytes()).level()
            };
            walk.pages.push(number);
            walk.enter(store, number, level, 0);
        }
        Ok(walk)
    }

    /// The next locator page, and which of the section's it is.
    pub(crate) fn next_locator(&mut self, store: &Store) -> Result<Option<(u64, PageId)>> {
        while let Some(mut node) = self.nodes.pop() {
            match self.next_below(store, &mut node)? {
                Below::Nothing => {}
                // The walk goes on where it was.
                Below::Grown(level) => self.enter(store, node.number, level, 0),
                Below::Node(level, first, number) => {
                    self.nodes.push(node);
                    self.pages.push(number);
                    self.enter(store, number, level, first);
                }
                Below::Locator(first, number) => {
                    let id = PageId { tablespace: self.tablespace, number };
                    self.nodes.push(node);
                    self.pages.push(number);
                    self.from = first + 1;
                    self.check_locator(store, id, first)?;
                    return Ok(Some((first, id)));
                }
            }
        }
        Ok(None)
    }

    /// Goes into a node, at the first slot that leads to where the walk is.
    fn enter(&mut self, store: &Store, number: PageNumber, level: u8, first: u64) {
        let skipped = self.from.saturating_sub(first) / locators_below(store, level);
        let slot = u16::try_from(skipped).unwrap_or(u16::MAX);
        self.nodes.push(Node { number, level, first, slot });
    }

    /// What stands at the next used slot of a node, which moves behind it.
    fn next_below(&self, store: &Store, node: &mut Node) -> Result<Below> {
        let id = PageId { tablespace: self.tablespace, number: node.number };
        let page = store.read(id, PageKind::Section)?;
        let section = SectionPage::of_checked(page.bytes());
        check_section(store, id, section.section(), self.section)?;
        let level = section.level();
        if level != node.level {
            // A section grows at its root, which stays where it is.
            if self.nodes.is_empty() && level > node.level {
                return Ok(Below::Grown(level));
            }
            let what = format!("a section page of level {level}, expected {}", node.level);
            return Err(store.damaged(id, what));
        }
        let Some((slot, number)) = section.children_from(node.slot).next() else {
            return Ok(Below::Nothing);
        };
        node.slot = slot + 1;
        let below = locators_below(store, level);
        let first = node.first.saturating_add(u64::from(slot).saturating_mul(below));
        Ok(match level.checked_sub(1) {
            Some(level) => Below::Node(level, first, number),
            None => Below::Locator(first, number),
        })
    }

    fn check_locator(&self, store: &Store, id: PageId, first: u64) -> Result<()> {
        let page = store.read(id, PageKind::Locator)?;
        let locator = LocatorPage::of_checked(page.bytes());
        check_section(store, id, locator.section(), self.section)?;
        if u64::from(locator.sequence()) == first {
            return Ok(());
        }
        Err(store.damaged(id, format!("locator {}, expected {first}", locator.sequence())))
    }
}

/// Locators below one slot of a node of this level.
fn locators_below(store: &Store, level: u8) -> u64 {
    u64::from(SectionGeometry::new(store.page_size()).slots_per_node()).saturating_pow(level.into())
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
