//! Section, locator and sequence pages, and the way from a record number to its slot.
//!
//! # Method
//!
//! Locator pages are compared with a map of slots and a map of room; numbers go to paths and back.
//!
//! # Invariant
//!
//! What is known of the room of a data page is known as long as a slot leads there.

use std::collections::BTreeMap;

use falcon::page::{
    Line, Locator, LocatorPage, LocatorPageMut, PageSize, RecordNumber, RecordPath,
    SectionGeometry, SectionPage, SectionPageMut, SequencePage, SequencePageMut,
};
use falcon::{PageId, PageNumber};
use proptest::prelude::*;

use super::{ID, SECTION};

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn a_locator_page_is_a_map_of_slots(
        size in prop::sample::select(PageSize::all().take(2).collect::<Vec<_>>()),
        changes in prop::collection::vec((0u16..40, 0u32..6, 0u16..9, prop::option::of(0u16..900)), 0..60),
    ) {
        let mut bytes = vec![0xAA; size.bytes()];
        LocatorPageMut::format(&mut bytes, ID, SECTION, 7);
        let mut slots: BTreeMap<u16, Locator> = BTreeMap::new();
        let mut rooms: BTreeMap<u32, u16> = BTreeMap::new();
        for (slot, number, line, room) in changes {
            let mut page = LocatorPageMut::of_checked(&mut bytes);
            let locator = match number {
                0 => Locator::Free,
                1 => Locator::Stub,
                _ => Locator::Real { page: PageNumber(number + 100), line: Line(line) },
            };
            page.set(slot, locator);
            slots.insert(slot, locator);
            let is_of = |locator: &Locator, number: u32| {
                matches!(locator, Locator::Real { page, .. } if page.0 == number)
            };
            rooms.retain(|number, _| slots.values().any(|locator| is_of(locator, *number)));
            if let (Locator::Real { page: data, .. }, Some(room)) = (locator, room) {
                page.set_space(data, room);
                rooms.insert(data.0, room);
            }
            let page = LocatorPage::view(&bytes).unwrap();
            for slot in 0..page.slot_count() {
                prop_assert_eq!(page.locator(slot), slots.get(&slot).copied().unwrap_or(Locator::Free));
            }
            for number in 100..110 {
                let records = slots.values().filter(|locator| is_of(locator, number)).count();
                prop_assert_eq!(usize::from(page.record_count(PageNumber(number))), records);
                prop_assert_eq!(page.space(PageNumber(number)), rooms.get(&number).copied().unwrap_or(0));
            }
            for wanted in [0, 1, 300, 899] {
                let found = page.page_with_space(wanted);
                prop_assert_eq!(found.is_some(), rooms.values().any(|room| *room >= wanted.max(1)));
                prop_assert!(found.is_none_or(|found| rooms[&found.0] >= wanted));
            }
            let first_free = (0..).find(|slot| *slots.get(slot).unwrap_or(&Locator::Free) == Locator::Free);
            prop_assert_eq!(page.first_free(0), first_free);
        }
    }

    #[test]
    fn record_numbers_and_paths_map_one_to_one(size in prop::sample::select(PageSize::all().collect::<Vec<_>>()), record in any::<u64>(), shift in 0u32..64) {
        let geometry = SectionGeometry::new(size);
        let record = RecordNumber(record >> shift);
        match geometry.level_for(record) {
            None => prop_assert!(record.0 >= geometry.capacity(4)),
            Some(level) => {
                let path = geometry.path(record, level).unwrap();
                prop_assert_eq!(path.nodes.len(), usize::from(level) + 1);
                prop_assert_eq!(geometry.record(&path), record);
                prop_assert!(level == 0 || geometry.path(record, level - 1).is_none());
                prop_assert!(level == 4 || geometry.path(record, level + 1).unwrap().nodes[0] == 0);
            }
        }
    }
}

#[test]
fn a_root_that_is_full_moves_its_children_down() {
    let mut bytes = vec![0; 1024];
    let mut child = vec![0xAA; 1024];
    let mut root = SectionPageMut::format(&mut bytes, ID, SECTION, 0, 0);
    let slots = root.read().slot_count();
    for slot in 0..slots {
        root.set_child(slot, Some(PageNumber(100 + u32::from(slot))));
    }
    root.promote(&mut child, PageId { number: PageNumber(50), ..ID });
    let root = SectionPage::view(&bytes).unwrap();
    assert_eq!((root.level(), root.section(), root.sequence()), (1, SECTION, 0));
    assert_eq!(root.children().collect::<Vec<_>>(), [(0, PageNumber(50))]);
    let child = SectionPage::view(&child).unwrap();
    assert_eq!((child.level(), child.section(), child.sequence()), (0, SECTION, 0));
    assert_eq!(child.children().count(), usize::from(slots));
    assert_eq!(child.child(3), Some(PageNumber(103)));
    let mut root = SectionPageMut::view(&mut bytes).unwrap();
    root.set_child(0, None);
    assert_eq!(root.read().child(0), None);
}

#[test]
#[should_panic(expected = "page 17 cannot be its own child")]
fn a_section_page_is_not_its_own_child() {
    SectionPageMut::format(&mut [0; 1024], ID, SECTION, 0, 0).set_child(0, Some(ID.number));
}

#[test]
#[should_panic(expected = "no slot leads to page 8, of room 5")]
fn room_is_not_told_of_a_page_that_no_slot_leads_to() {
    LocatorPageMut::format(&mut [0; 1024], ID, SECTION, 0).set_space(PageNumber(8), 5);
}

#[test]
fn the_first_and_last_records_of_a_tree_are_where_they_should_be() {
    let geometry = SectionGeometry::new(PageSize::MIN);
    assert_eq!((geometry.slots_per_locator(), geometry.slots_per_node()), (124, 247));
    let path = |record, level| geometry.path(RecordNumber(record), level);
    assert_eq!(path(0, 0), Some(RecordPath { nodes: vec![0], slot: 0 }));
    assert_eq!(path(124, 0), Some(RecordPath { nodes: vec![1], slot: 0 }));
    let last = 247 * 124 - 1;
    assert_eq!(path(last, 0), Some(RecordPath { nodes: vec![246], slot: 123 }));
    assert_eq!(path(last + 1, 0), None);
    assert_eq!(path(last + 1, 1), Some(RecordPath { nodes: vec![1, 0], slot: 0 }));
    assert_eq!(geometry.level_for(RecordNumber(u64::MAX)), None);
    // More locator pages than there are page numbers, for every size.
    for size in PageSize::all() {
        let geometry = SectionGeometry::new(size);
        let locators = geometry.capacity(4) / u64::from(geometry.slots_per_locator());
        assert!(locators > u64::from(u32::MAX));
    }
}

#[test]
fn a_sequence_is_set_and_raised_but_never_lowered_by_a_raise() {
    for size in PageSize::all() {
        let mut bytes = vec![0xAA; size.bytes()];
        let mut page = SequencePageMut::format(&mut bytes, ID, 2);
        let last = SequencePage::slots(size) - 1;
        assert_eq!(page.read().slot_count(), last + 1);
        page.set(last, 10);
        assert!(page.raise(last, 11) && !page.raise(last, 11) && !page.raise(last, -5));
        page.set(0, i64::MIN);
        let page = SequencePage::view(&bytes).unwrap();
        assert_eq!((page.value(last), page.value(0), page.value(1)), (11, i64::MIN, 0));
        assert_eq!(page.ordinal(), 2);
    }
}
