//! Data pages against a map of lines, and overflow pages.
//!
//! # Method
//!
//! What a page must have free is computed from the map alone.
//!
//! # Invariant
//!
//! A record is refused if and only if the map says that it cannot fit.

use std::collections::BTreeMap;

use falcon::PageNumber;
use falcon::page::{
    DataPage, DataPageMut, Line, Locator, LocatorPage, LocatorPageMut, NoRoom, OverflowPage,
    PageSize, Record,
};
use proptest::prelude::*;

use super::{ID, SECTION};

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
    #![proptest_config(super::config())]

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

#[test]
#[should_panic(expected = "0 bytes in an overflow page for 1 to 988")]
fn an_overflow_page_is_not_empty() {
    OverflowPage::format(&mut [0; 1024], ID, SECTION, None, &[]);
}
