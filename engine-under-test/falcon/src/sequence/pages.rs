//! Where the values of sequences are.
//!
//! # Method
//!
//! Section 2 of tablespace 0 is a node whose slots lead to sequence pages, each with the values of as many
//! sequences as it has room for. Pages are made when the first sequence that needs them is, and stay.
//!
//! # Invariant
//!
//! The slot of a sequence that was dropped may be used again: the next one begins there at 0.

use falconry_seam::planted;

use crate::page::{PageKind, PageSize, SectionGeometry, SectionId, SectionPage, SequencePage};
use crate::store::format::SECTION_ROOTS;
use crate::store::op::PageOp;
use crate::store::{Change, Store};
use crate::{PageId, PageNumber, Result, TablespaceId, section};

/// The section that leads to the sequence pages.
pub(crate) const SECTION: SectionId = SectionId(2);
const TABLESPACE: TablespaceId = TablespaceId::CATALOGUE;

/// How many sequences there can be.
pub(crate) fn limit(size: PageSize) -> u32 {
    u32::from(SectionGeometry::new(size).slots_per_node()) * u32::from(SequencePage::slots(size))
}

/// The page of a sequence by its place among the pages, and the slot there.
fn place(store: &Store, number: u32) -> (u16, u16) {
    let slots = u32::from(SequencePage::slots(store.page_size()));
    let ordinal = u16::try_from(number / slots).expect("a sequence within the limit");
    (ordinal, (number % slots) as u16)
}

/// Begins a sequence at 0; if it is the first one there, makes what leads to it.
///
/// # Errors
///
/// Those of the store; if anything was changed, the engine has stopped.
pub(crate) fn start(store: &Store, number: u32) -> Result<()> {
    let (ordinal, slot) = place(store, number);
    section::create(store, TABLESPACE, SECTION)?;
    let mut change = store.change();
    let node = node(store, &mut change)?;
    let found = SectionPage::of_checked(change.bytes(node)).child(ordinal);
    let page = match found {
        Some(page) => change.page(id(page), PageKind::Sequence)?,
        None => {
            let page = change.allocate(TABLESPACE)?;
            change.apply(node, &PageOp::SetChild { slot: ordinal, child: Some(page) })?;
            change.create(id(page), &PageOp::FormatSequences { ordinal: ordinal.into() })?
        }
    };
    change.apply(page, &PageOp::StartSequence { slot })?;
    change.commit().map(drop)
}

/// Raises the value of a sequence that was started, if it is lower.
///
/// # Errors
///
/// As [`start`].
pub(crate) fn raise(store: &Store, number: u32, value: i64) -> Result<()> {
    let (ordinal, slot) = place(store, number);
    let mut change = store.change();
    let page = change.page(page_of(store, ordinal)?, PageKind::Sequence)?;
    let op = PageOp::RaiseSequence { slot, value };
    // Of two raises that two gophers apply the later one may come first.
    if SequencePage::of_checked(change.bytes(page)).value(slot) >= value {
        if !planted!("sequence_lowered") {
            return Ok(());
        }
        change.apply(page, &PageOp::StartSequence { slot })?;
    }
    change.apply(page, &op)?;
    change.commit().map(drop)
}

/// The value of a sequence.
///
/// # Errors
///
/// Those of the cache, and [`Error::Damaged`](crate::Error::Damaged) where no page is.
pub(super) fn value(store: &Store, number: u32) -> Result<i64> {
    let (ordinal, slot) = place(store, number);
    let page = store.read(page_of(store, ordinal)?, PageKind::Sequence)?;
    Ok(SequencePage::of_checked(page.bytes()).value(slot))
}

/// The pages that are there for sequences, with the node that leads to them, and what is wrong with them.
///
/// # Errors
///
/// Those of the cache.
pub(crate) fn pages(store: &Store) -> Result<(Vec<PageNumber>, Vec<String>)> {
    let Some(root) = section::root_of(store, TABLESPACE, SECTION)? else {
        return Ok(Default::default());
    };
    let (mut pages, mut problems) = (vec![root], Vec::new());
    let children: Vec<(u16, PageNumber)> = {
        let node = store.read(id(root), PageKind::Section)?;
        SectionPage::of_checked(node.bytes()).children().collect()
    };
    for (ordinal, number) in children {
        pages.push(number);
        let page = store.read(id(number), PageKind::Sequence)?;
        let found = SequencePage::of_checked(page.bytes()).ordinal();
        if found != u32::from(ordinal) {
            problems.push(format!("{} has sequence page {found}, not {ordinal}", id(number)));
        }
    }
    Ok((pages, problems))
}

fn id(number: PageNumber) -> PageId {
    PageId { tablespace: TABLESPACE, number }
}

/// Latches the node that leads to the pages.
fn node(store: &Store, change: &mut Change<'_>) -> Result<usize> {
    let root = section::root_of(store, TABLESPACE, SECTION)?;
    let root = root.expect("it was made before, and stays");
    change.page(id(root), PageKind::Section)
}

fn page_of(store: &Store, ordinal: u16) -> Result<PageId> {
    let missing = |what: &str| store.damaged(id(SECTION_ROOTS), what);
    let root = section::root_of(store, TABLESPACE, SECTION)?;
    let root = root.ok_or_else(|| missing("it does not lead to the sequences"))?;
    let node = store.read(id(root), PageKind::Section)?;
    let page = SectionPage::of_checked(node.bytes()).child(ordinal);
    let page = page.ok_or_else(|| missing(&format!("there is no sequence page {ordinal}")))?;
    Ok(id(page))
}
