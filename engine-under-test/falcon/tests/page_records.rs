//! Inventory, section, locator, data and sequence pages against plain models.
//!
//! # Method
//!
//! Random operations are done on a page and on a collection that means the same; after each one both must
//! tell the same, and the page must pass its own check.
//!
//! # Invariant
//!
//! The model knows no offsets, bits or bytes.

use std::collections::BTreeMap;

use falcon::page::{
    DataPage, DataPageMut, InventoryMap, InventoryPage, InventoryPageMut, Line, Locator,
    LocatorPage, LocatorPageMut, NoRoom, OverflowPage, PageSize, RESERVED_PAGES, Record,
    RecordNumber, RecordPath, SectionGeometry, SectionId, SectionPage, SectionPageMut,
    SequencePage, SequencePageMut,
};
use falcon::{PageId, PageNumber, TablespaceId};
use proptest::prelude::*;

const SPACE: TablespaceId = TablespaceId(3);
const ID: PageId = PageId { tablespace: SPACE, number: PageNumber(17) };
const SECTION: SectionId = SectionId(5);

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}

fn sizes() -> impl Strategy<Value = PageSize> {
    prop::sample::select(PageSize::all().collect::<Vec<_>>())
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Vec<u8>, bool),
    Put(u16, Vec<u8>, bool),
    Delete(u16),
    Compact,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let bytes = || {
        prop_oneof![
            3 => prop::collection::vec(any::<u8>(), 0..60),
            1 => prop::collection::vec(any::<u8>(), 60..400),
            1 => (any::<u8>(), 0usize..1024).prop_map(|(byte, length)| vec![byte; length]),
        ]
    };
    let change = prop_oneof![
        4 => (bytes(), any::<bool>()).prop_map(|(bytes, tail)| Change::Insert(bytes, tail)),
        4 => (0u16..12, bytes(), any::<bool>()).prop_map(|(line, bytes, tail)| Change::Put(line, bytes, tail)),
        3 => (0u16..12).prop_map(Change::Delete),
        1 => Just(Change::Compact),
    ];
    prop::collection::vec(change, 0..60)
}

type Lines = BTreeMap<u16, (Vec<u8>, Option<PageNumber>)>;

/// What a page of these lines must have free.
fn free_bytes(size: PageSize, lines: &Lines) -> usize {
    let index = lines.keys().next_back().map_or(0, |last| (usize::from(*last) + 1) * 4);
    let stored =
        |(head, tail): &(Vec<u8>, Option<_>)| head.len() + if tail.is_some() { 4 } else { 0 };
    size.bytes() - 36 - index - lines.values().map(stored).sum::<usize>()
}

/// Puts a record into page and model, and asks that it is refused only if there is no room.
fn put(
    page: &mut DataPageMut<'_>,
    lines: &mut Lines,
    size: PageSize,
    line: u16,
    bytes: &[u8],
    has_tail: bool,
) {
    let tail = has_tail.then_some(PageNumber(u32::from(line) + 70));
    let mut wanted = lines.clone();
    wanted.remove(&line);
    let without = free_bytes(size, &wanted);
    let index_more = (usize::from(line) + 1)
        .saturating_sub(wanted.keys().next_back().map_or(0, |last| usize::from(*last) + 1))
        * 4;
    let fits = index_more + bytes.len() + if has_tail { 4 } else { 0 } <= without;
    match page.put(Line(line), Record { head: bytes, tail }) {
        Ok(()) => {
            assert!(fits, "a record was taken that cannot fit");
            lines.insert(line, (bytes.to_vec(), tail));
        }
        Err(NoRoom { needed_bytes, free_bytes }) => {
            assert!(
                !fits && needed_bytes > free_bytes,
                "{needed_bytes} of {free_bytes} were refused"
            );
        }
    }
}

fn assert_same(bytes: &[u8], lines: &Lines) {
    let page = DataPage::view(bytes).unwrap();
    let found: Lines = page
        .records()
        .map(|(line, record)| (line.0, (record.head.to_vec(), record.tail)))
        .collect();
    assert_eq!(&found, lines);
    assert_eq!(page.free_bytes(), free_bytes(PageSize::of_length(bytes.len()).unwrap(), lines));
    assert_eq!(page.is_empty(), lines.is_empty());
    assert_eq!(page.section(), SECTION);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_data_page_is_a_map_of_lines(
        size in prop::sample::select(PageSize::all().take(3).collect::<Vec<_>>()),
        changes in changes(),
    ) {
        let mut bytes = vec![0xAA; size.bytes()];
        DataPageMut::format(&mut bytes, ID, SECTION);
        let mut lines = Lines::new();
        for change in changes {
            let mut page = DataPageMut::of_checked(&mut bytes);
            match change {
                Change::Insert(head, has_tail) => {
                    let room = page.read().insert_bytes_max();
                    let tail = has_tail.then_some(PageNumber(9));
                    let record = Record { head: &head, tail };
                    let fits = room.is_some_and(|room| record.stored_bytes() <= room);
                    let inserted = page.insert(record);
                    prop_assert_eq!(inserted.is_ok(), fits);
                    if let Ok(line) = inserted {
                        let first_free = (0..).find(|line| !lines.contains_key(line)).unwrap();
                        prop_assert_eq!(line.0, first_free);
                        lines.insert(line.0, (head, tail));
                    }
                }
                Change::Put(line, head, tail) => put(&mut page, &mut lines, size, line, &head, tail),
                Change::Delete(line) => {
                    prop_assert_eq!(page.delete(Line(line)), lines.remove(&line).is_some());
                }
                Change::Compact => page.compact(),
            }
            assert_same(&bytes, &lines);
        }
    }

    #[test]
    fn an_inventory_page_is_a_vector_of_bits(
        size in sizes(),
        ordinal in 0u32..4,
        changes in prop::collection::vec((any::<bool>(), 0u32..300, any::<bool>()), 0..60),
    ) {
        let map = InventoryMap::new(size);
        let (first, last) = map.range_of(ordinal);
        let mut bytes = vec![0xAA; size.bytes()];
        let mut page = InventoryPageMut::format(&mut bytes, SPACE, ordinal);
        let mut free: Vec<bool> =
            (first.0..=last.0).map(|page| !map.is_reserved(PageNumber(page))).collect();
        for (is_at_end, near, is_free) in changes {
            let number = PageNumber(if is_at_end { last.0 - near } else { first.0 + near });
            if map.is_reserved(number) {
                continue;
            }
            let bit = &mut free[(number.0 - first.0) as usize];
            let changed = if is_free { page.mark_free(number) } else { page.mark_used(number) };
            prop_assert_eq!(changed, *bit != is_free);
            *bit = is_free;
        }
        let page = InventoryPage::view(&bytes).unwrap();
        prop_assert_eq!(page.free_count() as usize, free.iter().filter(|bit| **bit).count());
        for from in (0..300).chain(last.0 - first.0 - 300..=last.0 - first.0 + 1) {
            let found = free.iter().enumerate().skip(from as usize).find(|(_, bit)| **bit);
            let found = found.map(|(at, _)| PageNumber(first.0 + at as u32));
            prop_assert_eq!(page.first_free(PageNumber(first.0 + from)), found);
        }
        prop_assert_eq!(page.ordinal(), ordinal);
    }

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
            let is_of = |locator: &Locator, number: u32| matches!(locator, Locator::Real { page, .. } if page.0 == number);
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
    fn record_numbers_and_paths_map_one_to_one(size in sizes(), record in any::<u64>(), shift in 0u32..64) {
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

/// 32,768 is the size of the largest page and no `i16`: at both ends of its range nothing may turn negative.
#[test]
fn the_largest_page_is_filled_and_emptied() {
    let mut bytes = vec![0; PageSize::MAX.bytes()];
    let mut page = DataPageMut::format(&mut bytes, ID, SECTION);
    assert_eq!(page.read().free_bytes(), 32_768 - 36);
    let max = DataPage::record_bytes_max(PageSize::MAX);
    assert_eq!(page.read().insert_bytes_max(), Some(max));
    let refused = page.insert(Record::whole(&vec![1; max + 1])).unwrap_err();
    assert_eq!(refused, NoRoom { needed_bytes: max + 5, free_bytes: max + 4 });
    let line = page.insert(Record::whole(&vec![1; max])).unwrap();
    assert_eq!((page.read().free_bytes(), page.read().insert_bytes_max()), (0, None));
    assert!(page.delete(line));
    assert_eq!(page.read().free_bytes(), 32_768 - 36);

    let tail = Some(PageNumber(u32::MAX));
    let line = page.insert(Record { head: &vec![2; max - 4], tail }).unwrap();
    assert_eq!(DataPage::view(&bytes).unwrap().record(line).unwrap().tail, tail);
    DataPageMut::view(&mut bytes).unwrap().delete(line);

    let mut page = DataPageMut::view(&mut bytes).unwrap();
    while page.insert(Record::whole(&[])).is_ok() {}
    assert_eq!(page.read().line_count(), 8183);
    let page = DataPage::view(&bytes).unwrap();
    assert_eq!((page.records().count(), page.free_bytes()), (8183, 0));

    let mut locator = vec![0; PageSize::MAX.bytes()];
    let mut page = LocatorPageMut::format(&mut locator, ID, SECTION, 0);
    page.set(4091, Locator::Real { page: PageNumber(8), line: Line(u16::MAX) });
    page.set_space(PageNumber(8), 32_768);
    assert_eq!(LocatorPage::view(&locator).unwrap().space(PageNumber(8)), 32_768);

    let mut overflow = vec![0; PageSize::MAX.bytes()];
    let content = vec![3; OverflowPage::capacity(PageSize::MAX)];
    OverflowPage::format(&mut overflow, ID, SECTION, None, &content);
    let page = OverflowPage::view(&overflow).unwrap();
    assert_eq!((page.content(), page.next(), page.section()), (&content[..], None, SECTION));
}

/// What fits only without garbage fits, and no other record changes.
#[test]
fn a_page_is_compacted_when_its_garbage_is_needed() {
    let mut bytes = vec![0; PageSize::MIN.bytes()];
    let mut page = DataPageMut::format(&mut bytes, ID, SECTION);
    for byte in 0..9 {
        page.insert(Record::whole(&[byte; 100])).unwrap();
    }
    for line in [1, 3, 5, 7] {
        page.delete(Line(line));
    }
    page.put(Line(0), Record::whole(&[0xFF; 400])).unwrap();
    let page = DataPage::view(&bytes).unwrap();
    assert_eq!(page.record(Line(0)), Some(Record::whole(&[0xFF; 400])));
    for line in [2u8, 4, 6, 8] {
        assert_eq!(page.record(Line(line.into())), Some(Record::whole(&[line; 100])));
    }
    assert_eq!(page.record(Line(1)), None);
    assert_eq!(page.record(Line(9)), None);
}

/// The reserved pages came up for allocation once: they are never free, wherever the inventory page lies.
#[test]
fn inventory_pages_keep_all_pages_and_their_own_place() {
    for size in PageSize::all() {
        let map = InventoryMap::new(size);
        let per = map.pages_per_inventory();
        assert_eq!(per as usize, (size.bytes() - 32) * 8);
        assert_eq!(map.page_of(0), PageNumber(1));
        assert_eq!(map.page_of(1), PageNumber(per));
        assert_eq!(map.ordinal_of(PageNumber(per - 1)), 0);
        assert_eq!(map.ordinal_of(PageNumber(u32::MAX)), map.inventories_max() - 1);
        assert!((0..RESERVED_PAGES).all(|page| map.is_reserved(PageNumber(page))));
        assert!(!map.is_reserved(PageNumber(4)) && map.is_reserved(PageNumber(per)));

        let last = map.inventories_max() - 1;
        let mut bytes = vec![0; size.bytes()];
        let page = InventoryPageMut::format(&mut bytes, SPACE, last);
        let (first, end) = page.read().range();
        assert_eq!(end, PageNumber(u32::MAX));
        assert_eq!(page.read().free_count(), end.0 - first.0);
        assert_eq!(page.read().first_free(end), Some(end));
        assert_eq!(page.read().first_free(PageNumber(0)), Some(PageNumber(first.0 + 1)));
        InventoryPage::view(&bytes).unwrap();

        // A bit beyond the last page number would be a page that does not exist.
        let kept = (end.0 - first.0 + 1) as usize;
        if kept < per as usize {
            bytes[32 + kept / 8] |= 1 << (kept % 8);
            bytes[28..32].copy_from_slice(&(end.0 - first.0 + 1).to_le_bytes());
            let refused = InventoryPage::view(&bytes).unwrap_err().to_string();
            assert!(refused.contains("free bit"), "{refused}");
        }
    }
}

#[test]
#[should_panic(expected = "page 1 is reserved and cannot be freed")]
fn a_reserved_page_is_not_freed() {
    InventoryPageMut::format(&mut [0; 1024], SPACE, 0).mark_free(PageNumber(1));
}

#[test]
#[should_panic(expected = "page 9000 is none of page 0 to page 7935")]
fn a_page_is_not_looked_for_in_another_ones_inventory() {
    InventoryPageMut::format(&mut [0; 1024], SPACE, 0).mark_used(PageNumber(9000));
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
#[should_panic(expected = "0 bytes in an overflow page for 1 to 988")]
fn an_overflow_page_is_not_empty() {
    OverflowPage::format(&mut [0; 1024], ID, SECTION, None, &[]);
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
