//! One page of each kind with something in it, and what can be done with any page that was accepted.
//!
//! # Method
//!
//! The buffer is full of other bytes before a page is made in it, so that nothing is taken from there.
//!
//! # Invariant
//!
//! A sample is sealed and the same every time.

use falcon::page::index::{IndexId, IndexKey, IndexPage, IndexPageMut};
use falcon::page::key::{self, KeyValue};
use falcon::page::{
    DataPage, DataPageMut, DatabaseId, FileHeaderMut, FileIdentity, InventoryPage,
    InventoryPageMut, Line, Locator, LocatorPageMut, OverflowPage, PageKind, PageSize, Record,
    RecordNumber, SectionId, SectionPageMut, SequencePageMut, check_content, dump, seal, set_lsn,
};
use falcon::{Lsn, PageId, PageNumber, TablespaceId};

/// The tablespace of all samples.
pub const SPACE: TablespaceId = TablespaceId(3);

/// The page that the sample of `kind` is.
pub fn id_of(kind: PageKind) -> PageId {
    let number = match kind {
        PageKind::FileHeader => 0,
        PageKind::Inventory => 1,
        _ => 17,
    };
    PageId { tablespace: SPACE, number: PageNumber(number) }
}

/// A page of `kind` with something in it.
pub fn sample(kind: PageKind, size: PageSize) -> Vec<u8> {
    let mut bytes = vec![0xAA; size.bytes()];
    let id = id_of(kind);
    match kind {
        PageKind::FileHeader => {
            let database = DatabaseId(0x0123_4567_89AB_CDEF_0011_2233_4455_6677);
            let identity = FileIdentity { database, tablespace: SPACE, created_ns: 1_234_567_890 };
            FileHeaderMut::format(&mut bytes, identity).complete();
        }
        PageKind::Inventory => {
            let mut page = InventoryPageMut::format(&mut bytes, SPACE, 0);
            for number in [4, 5, 6, 9, 700] {
                page.mark_used(PageNumber(number));
            }
        }
        PageKind::Section => {
            let mut page = SectionPageMut::format(&mut bytes, id, SectionId(5), 2, 1);
            page.set_child(0, Some(PageNumber(18)));
            page.set_child(200, Some(PageNumber(u32::MAX)));
        }
        PageKind::Locator => {
            let mut page = LocatorPageMut::format(&mut bytes, id, SectionId(5), 7);
            page.set(0, Locator::Real { page: PageNumber(21), line: Line(0) });
            page.set(1, Locator::Real { page: PageNumber(21), line: Line(1) });
            page.set(2, Locator::Stub);
            page.set(9, Locator::Real { page: PageNumber(22), line: Line(4) });
            page.set_space(PageNumber(21), 300);
        }
        PageKind::Data => {
            let mut page = DataPageMut::format(&mut bytes, id, SectionId(5));
            for record in [&b"first"[..], b"second", b"", &[0xF5; 40]] {
                page.insert(Record::whole(record)).unwrap();
            }
            let tail = Some(PageNumber(33));
            page.insert(Record { head: b"the head of a long one", tail }).unwrap();
            page.delete(Line(1));
        }
        PageKind::Overflow => {
            let next = Some(PageNumber(34));
            OverflowPage::format(&mut bytes, id, SectionId(5), next, b"the tail of a long one");
        }
        PageKind::Index => index_sample(&mut bytes, id),
        PageKind::Sequence => {
            let mut page = SequencePageMut::format(&mut bytes, id, 1);
            page.set(0, i64::MIN);
            page.set(123, i64::MAX);
        }
    }
    set_lsn(&mut bytes, Lsn(4711));
    seal(&mut bytes, id);
    bytes
}

/// The left half of a split: it has a high key, several blocks and shared prefixes.
fn index_sample(bytes: &mut [u8], id: PageId) {
    let mut right = vec![0; bytes.len()];
    let right_id = PageId { number: PageNumber(18), ..id };
    let mut page = IndexPageMut::format_leaf(bytes, id, IndexId(6));
    for number in 0..40 {
        let column = KeyValue::Text(format!("customer {:02}", number / 2).into());
        let (key, record) = (key::encode(&[column]), RecordNumber(1000 - number));
        let target = IndexKey { key: &key, record };
        match number {
            39 => drop(page.split_insert(&mut right, right_id, target, None).unwrap()),
            _ => page.insert(target, None).unwrap(),
        }
    }
}

/// Reads all that an accepted page holds and changes it, and asks that it still holds together.
pub fn use_page(bytes: &mut [u8]) {
    let header = check_content(bytes).unwrap();
    assert!(dump(bytes).unwrap().lines().count() > 3);
    match header.kind {
        PageKind::Inventory => {
            let from = InventoryPage::of_checked(bytes).range().0;
            if let Some(free) = InventoryPage::of_checked(bytes).first_free(from) {
                assert!(InventoryPageMut::of_checked(bytes).mark_used(free));
            }
        }
        PageKind::Locator => {
            for slot in 0..12 {
                LocatorPageMut::of_checked(bytes).set(slot, Locator::Free);
            }
        }
        PageKind::Data => {
            let mut page = DataPageMut::of_checked(bytes);
            let lines: Vec<Line> = page.read().records().map(|(line, _)| line).collect();
            if let Some(room) = page.read().insert_bytes_max() {
                page.insert(Record::whole(&vec![
                    1;
                    room.min(DataPage::record_bytes_max(header.size))
                ]))
                .unwrap();
                assert_eq!(check_content(bytes), Ok(header));
            }
            for line in lines {
                assert!(DataPageMut::of_checked(bytes).delete(line));
            }
        }
        PageKind::Index => {
            let page = IndexPage::of_checked(bytes);
            let mut keys = Vec::new();
            let mut cursor = page.entries();
            while let Some(entry) = cursor.advance() {
                assert!(
                    page.contains(entry.key),
                    "{:?} is in the page and is not found",
                    entry.key
                );
                keys.push(entry.key.to_buf());
            }
            let kept = usize::from(page.level() > 0);
            for key in keys.iter().skip(kept) {
                assert!(IndexPageMut::of_checked(bytes).delete(key.borrow()));
            }
        }
        _ => {}
    }
    assert_eq!(check_content(bytes), Ok(header));
}
