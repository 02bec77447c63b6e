//! Record numbers, and the way from a number to the slot that tells where the record is.
//!
//! # Method
//!
//! The records of a section are numbered from 0. A locator page tells of as many as it has slots, so that
//! number n is in locator n / slots. A locator is found by its own number, whose digits in base "slots of a
//! section page" are the slots to follow, from the root down to level 0. A tree whose root is of level l has
//! l + 1 digits.
//!
//! # Invariant
//!
//! Within a tree of a given level, paths and numbers map one to one.

use super::locator;
use super::section::{self, NODE_LEVEL_MAX};
use super::size::PageSize;

/// A record within its section, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordNumber(pub u64);

/// The way to a record through the tree of its section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPath {
    /// The slots to follow in the section pages, from the root to level 0.
    pub nodes: Vec<u16>,
    /// The slot in the locator page.
    pub slot: u16,
}

/// What a section looks like for one size of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionGeometry {
    size: PageSize,
}

impl SectionGeometry {
    /// The geometry for pages of `size`.
    pub fn new(size: PageSize) -> SectionGeometry {
        SectionGeometry { size }
    }

    /// How many records a locator page tells of.
    pub fn slots_per_locator(&self) -> u16 {
        locator::slots(self.size)
    }

    /// How many children a section page has.
    pub fn slots_per_node(&self) -> u16 {
        section::slots(self.size)
    }

    /// How many records a tree takes whose root is of `level`.
    pub fn capacity(&self, level: u8) -> u64 {
        assert!(level <= NODE_LEVEL_MAX, "level {level}, at most {NODE_LEVEL_MAX}");
        let locators = u64::from(self.slots_per_node()).saturating_pow(u32::from(level) + 1);
        locators.saturating_mul(self.slots_per_locator().into())
    }

    /// The lowest level of a root whose tree takes `record`, or none if no tree does.
    pub fn level_for(&self, record: RecordNumber) -> Option<u8> {
        (0..=NODE_LEVEL_MAX).find(|level| record.0 < self.capacity(*level))
    }

    /// The way to `record` in a tree whose root is of `level`, or none if the tree is too low.
    pub fn path(&self, record: RecordNumber, level: u8) -> Option<RecordPath> {
        if record.0 >= self.capacity(level) {
            return None;
        }
        let slots = u64::from(self.slots_per_locator());
        let base = u64::from(self.slots_per_node());
        let mut locator = record.0 / slots;
        let mut nodes = vec![0; usize::from(level) + 1];
        for node in nodes.iter_mut().rev() {
            *node = (locator % base) as u16;
            locator /= base;
        }
        Some(RecordPath { nodes, slot: (record.0 % slots) as u16 })
    }

    /// The record that `path` leads to.
    pub fn record(&self, path: &RecordPath) -> RecordNumber {
        let (base, slots) = (self.slots_per_node(), self.slots_per_locator());
        assert!(path.slot < slots, "slot {} of a locator page, of {slots}", path.slot);
        let locator = path.nodes.iter().try_fold(0u64, |sum, node| {
            assert!(*node < base, "slot {node} of a section page, of {base}");
            sum.checked_mul(base.into())?.checked_add((*node).into())
        });
        let record = locator
            .and_then(|locator| locator.checked_mul(slots.into()))
            .and_then(|first| first.checked_add(path.slot.into()));
        RecordNumber(record.unwrap_or_else(|| panic!("{path:?} leads beyond the last number")))
    }
}
