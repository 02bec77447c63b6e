//! Pages of all kinds: what is sealed is recognised, what is damaged is refused, what is accepted holds.
//!
//! # Method
//!
//! One page of each kind and size, with something in it, is made and then damaged: byte by byte under its
//! seal, at random without one, and field by field for the errors that each view can return.
//!
//! # Invariant
//!
//! Whatever the bytes are, a view returns an error or a page that can be read and changed.

use std::path::Path;

use falcon::page::index::{IndexId, IndexKey, IndexPage, IndexPageMut};
use falcon::page::key::{self, KeyValue};
use falcon::page::{
    Creation, DataPage, DataPageMut, DatabaseId, FileHeader, FileHeaderMut, FileIdentity, Header,
    InventoryPage, InventoryPageMut, Line, Locator, LocatorPage, LocatorPageMut, OverflowPage,
    PageError, PageKind, PageSize, Record, RecordNumber, SectionId, SectionPage, SectionPageMut,
    SequencePage, SequencePageMut, check, check_content, dump, seal, set_lsn,
};
use falcon::{Error, Lsn, PageId, PageNumber, TablespaceId};
use proptest::prelude::*;

const SPACE: TablespaceId = TablespaceId(3);

fn id_of(kind: PageKind) -> PageId {
    let number = match kind {
        PageKind::FileHeader => 0,
        PageKind::Inventory => 1,
        _ => 17,
    };
    PageId { tablespace: SPACE, number: PageNumber(number) }
}

fn sample(kind: PageKind, size: PageSize) -> Vec<u8> {
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
fn use_page(bytes: &mut [u8]) {
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

#[test]
fn every_kind_of_every_size_is_read_as_it_was_sealed() {
    for size in PageSize::all() {
        for kind in PageKind::ALL {
            let mut bytes = sample(kind, size);
            let header = Header { id: id_of(kind), kind, lsn: Lsn(4711), size };
            assert_eq!(check(&bytes, id_of(kind)), Ok(header));
            assert_eq!(check_content(&bytes), Ok(header));
            use_page(&mut bytes);
        }
    }
}

/// A flipped bit that goes unnoticed is a row that changes by itself.
#[test]
fn each_damaged_byte_is_noticed() {
    for kind in PageKind::ALL {
        for (size, step) in [(PageSize::MIN, 1), (PageSize::DEFAULT, 1), (PageSize::MAX, 97)] {
            let mut bytes = sample(kind, size);
            let id = id_of(kind);
            for at in (0..bytes.len()).step_by(step) {
                for flip in [0x01, 0x80, 0xFF] {
                    bytes[at] ^= flip;
                    let refused = check(&bytes, id).expect_err("a damaged page was accepted");
                    assert!(matches!(refused, PageError::Checksum { .. }), "byte {at}: {refused}");
                    bytes[at] ^= flip;
                }
            }
            check(&bytes, id).expect("the page is as it was");
        }
    }
}

/// Sectors reach the disk one by one: any mixture of two images of a page must be told from both.
#[test]
fn a_torn_page_is_noticed() {
    let old = sample(PageKind::Data, PageSize::DEFAULT);
    let id = id_of(PageKind::Data);
    let mut new = old.clone();
    let mut page = DataPageMut::view(&mut new).unwrap();
    while page.insert(Record::whole(&[7; 100])).is_ok() {}
    set_lsn(&mut new, Lsn(4712));
    seal(&mut new, id);
    for torn_at in (512..old.len()).step_by(512) {
        let torn = [&new[..torn_at], &old[torn_at..]].concat();
        assert!(matches!(check(&torn, id), Err(PageError::Checksum { .. })), "torn at {torn_at}");
    }
}

#[test]
fn a_page_in_a_wrong_place_or_tablespace_is_named() {
    for kind in PageKind::ALL {
        let bytes = sample(kind, PageSize::MIN);
        let found = id_of(kind);
        let elsewhere = PageId { number: PageNumber(99), ..found };
        let other_space = PageId { tablespace: TablespaceId(4), ..found };
        for page in [elsewhere, other_space] {
            assert_eq!(check(&bytes, page), Err(PageError::Misplaced { page, found }));
        }
    }
    let id = id_of(PageKind::Data);
    let refused = check(&[0; 4096], id);
    assert_eq!(refused, Err(PageError::NeverWritten { page: id }));
    assert_eq!(check(&[0; 100], id), Err(PageError::Size { bytes: 100 }));
    assert_eq!(check_content(&[0; 3000]), Err(PageError::Size { bytes: 3000 }));
}

#[test]
#[should_panic(
    expected = "page 17 of tablespace 3 was about to be written as page 18 of tablespace 3"
)]
fn a_page_is_not_sealed_for_another_place() {
    let id = id_of(PageKind::Data);
    seal(&mut sample(PageKind::Data, PageSize::MIN), PageId { number: PageNumber(18), ..id });
}

#[test]
#[should_panic(expected = "goes back from 4711 to 4710 in the log")]
fn a_page_does_not_go_back_in_the_log() {
    set_lsn(&mut sample(PageKind::Data, PageSize::MIN), Lsn(4710));
}

#[test]
#[should_panic(expected = "is of kind 5, and was taken for a page of kind index")]
fn a_checked_page_is_not_taken_for_one_of_another_kind() {
    IndexPage::of_checked(&sample(PageKind::Data, PageSize::MIN));
}

#[test]
fn every_view_refuses_the_other_kinds() {
    for found in PageKind::ALL {
        let mut bytes = sample(found, PageSize::MIN);
        let views = [
            (PageKind::FileHeader, FileHeaderMut::view(&mut bytes).err()),
            (PageKind::Inventory, InventoryPageMut::view(&mut bytes).err()),
            (PageKind::Section, SectionPageMut::view(&mut bytes).err()),
            (PageKind::Locator, LocatorPageMut::view(&mut bytes).err()),
            (PageKind::Data, DataPageMut::view(&mut bytes).err()),
            (PageKind::Overflow, OverflowPage::view(&bytes).err()),
            (PageKind::Index, IndexPageMut::view(&mut bytes).err()),
            (PageKind::Sequence, SequencePageMut::view(&mut bytes).err()),
        ];
        for (expected, refused) in views {
            let wrong = PageError::Kind { page: id_of(found), found, expected };
            assert_eq!(refused, (found != expected).then_some(wrong));
        }
    }
    assert!(FileHeader::view(&sample(PageKind::FileHeader, PageSize::MIN)).is_ok());
    assert!(SectionPage::view(&sample(PageKind::Section, PageSize::MIN)).is_ok());
    assert!(LocatorPage::view(&sample(PageKind::Locator, PageSize::MIN)).is_ok());
    assert!(SequencePage::view(&sample(PageKind::Sequence, PageSize::MIN)).is_ok());
}

/// What each view can object to: where a page of 1 KiB is changed, to what, and the field that the error
/// names.
const REFUSALS: &[(PageKind, usize, &[u8], &str)] = &[
    (PageKind::Data, 4, &[0], "kind"),
    (PageKind::Data, 4, &[9], "kind"),
    (PageKind::Data, 5, &[0], "form"),
    (PageKind::Data, 7, &[1], "unused byte"),
    (PageKind::FileHeader, 16, &[1], "page number"),
    (PageKind::FileHeader, 32, &[0], "format"),
    (PageKind::FileHeader, 34, &[2], "state"),
    (PageKind::FileHeader, 35, &[1], "unused byte"),
    (PageKind::FileHeader, 36, &[1], "page size"),
    (PageKind::FileHeader, 36, &[0, 8], "page size"),
    (PageKind::FileHeader, 1023, &[1], "unused byte"),
    (PageKind::Inventory, 24, &[1], "ordinal"),
    (PageKind::Inventory, 24, &[255; 4], "ordinal"),
    (PageKind::Inventory, 28, &[0], "free count"),
    (PageKind::Inventory, 32, &[0], "free count"),
    (PageKind::Inventory, 32, &[0x08], "free page"),
    (PageKind::Section, 32, &[5], "level"),
    (PageKind::Section, 33, &[1], "unused byte"),
    (PageKind::Section, 40, &[17], "child"),
    (PageKind::Locator, 32, &[17], "data page"),
    (PageKind::Locator, 52, &[2], "line"),
    (PageKind::Locator, 54, &[1], "free bytes"),
    (PageKind::Locator, 38, &[0, 5], "free bytes"),
    (PageKind::Locator, 46, &[1], "data page"),
    (PageKind::Data, 28, &[0, 1], "line count"),
    (PageKind::Data, 28, &[6], "line count"),
    (PageKind::Data, 30, &[20, 0], "start of the records"),
    (PageKind::Data, 30, &[1, 4], "start of the records"),
    (PageKind::Data, 32, &[7], "garbage"),
    (PageKind::Data, 34, &[1], "unused byte"),
    (PageKind::Data, 36, &[200, 0], "offset"),
    (PageKind::Data, 36, &[0xE8, 3], "offset"),
    (PageKind::Data, 38, &[255, 0], "length"),
    (PageKind::Data, 38, &[3, 0x80], "length"),
    (PageKind::Data, 42, &[1], "length"),
    (PageKind::Overflow, 28, &[17], "next page"),
    (PageKind::Overflow, 32, &[0, 0], "length"),
    (PageKind::Overflow, 32, &[221, 3], "length"),
    (PageKind::Overflow, 34, &[1], "unused byte"),
    (PageKind::Overflow, 1023, &[1], "unused byte"),
    (PageKind::Index, 28, &[17], "right sibling"),
    (PageKind::Index, 28, &[0], "high key length"),
    (PageKind::Index, 32, &[32], "level"),
    (PageKind::Index, 33, &[1], "unused byte"),
    (PageKind::Index, 34, &[1], "entry count"),
    (PageKind::Index, 36, &[1, 0], "end of the entries"),
    (PageKind::Index, 36, &[255, 3], "end of the entries"),
    (PageKind::Index, 38, &[255, 1], "block count"),
    (PageKind::Index, 38, &[1], "end of the entries"),
    (PageKind::Index, 40, &[105], "high key length"),
    (PageKind::Index, 42, &[1], "unused byte"),
    (PageKind::Index, 1020, &[1], "block"),
    (PageKind::Index, 1022, &[0], "block"),
    (PageKind::Index, 1022, &[17], "block"),
    (PageKind::Sequence, 28, &[1], "unused byte"),
];

#[test]
fn each_field_that_holds_what_it_may_not_is_named_with_its_place() {
    for (kind, at, change, name) in REFUSALS {
        let mut bytes = sample(*kind, PageSize::MIN);
        bytes[*at..at + change.len()].copy_from_slice(change);
        match check_content(&bytes) {
            Err(PageError::Field { field, at: place, .. }) => {
                assert_eq!(field, *name, "{kind} with {change:?} at {at}");
                assert!(place < bytes.len(), "{kind} with {change:?} at {at}: {place}");
            }
            other => panic!("{kind} with {change:?} at {at}: {other:?}"),
        }
    }
}

#[test]
fn a_page_or_file_of_a_newer_form_is_told_from_a_damaged_one() {
    let mut bytes = sample(PageKind::Data, PageSize::MIN);
    bytes[5] = 2;
    seal(&mut bytes, id_of(PageKind::Data));
    let page = id_of(PageKind::Data);
    let refused = check(&bytes, page).unwrap_err();
    assert_eq!(refused, PageError::Newer { page, found: 2, known: 1 });
    let error = refused.in_file("sales.fts");
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");

    let mut bytes = sample(PageKind::FileHeader, PageSize::MIN);
    bytes[32] = 2;
    let page = id_of(PageKind::FileHeader);
    let refused = FileHeader::view(&bytes).unwrap_err();
    assert_eq!(refused, PageError::Newer { page, found: 2, known: 1 });
    bytes[24] = b'f';
    let refused = FileHeader::view(&bytes).unwrap_err();
    assert_eq!(refused, PageError::Magic { page });
    let error = refused.in_file("sales.fts");
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
}

#[test]
fn errors_of_a_file_name_it_and_the_place() {
    let page = id_of(PageKind::Data);
    let text = |error: PageError| error.in_file(Path::new("sales.fts")).to_string();
    insta::assert_snapshot!(
        text(PageError::NeverWritten { page }),
        @"sales.fts is damaged at page 17 of tablespace 3: page 17 of tablespace 3 was never written"
    );
    insta::assert_snapshot!(
        text(PageError::Size { bytes: 100 }),
        @"sales.fts is damaged at its end: a page of 100 bytes"
    );
    for error in [
        PageError::Checksum { page, stored: 1, computed: 2 },
        PageError::Misplaced { page, found: page },
        PageError::Kind { page, found: PageKind::Data, expected: PageKind::Index },
        check_content(&[1; 1024]).unwrap_err(),
    ] {
        assert!(text(error).starts_with("sales.fts "));
    }
}

#[test]
fn the_header_of_a_file_says_whose_it_is_before_its_page_size_is_known() {
    for size in PageSize::all() {
        let mut bytes = vec![0; size.bytes()];
        let database = DatabaseId(u128::MAX - 5);
        let identity = FileIdentity { database, tablespace: SPACE, created_ns: u64::MAX };
        let mut header = FileHeaderMut::format(&mut bytes, identity);
        assert_eq!(header.read().creation(), Creation::Begun);
        header.complete();
        assert_eq!(header.read().creation(), Creation::Complete);
        assert_eq!(FileHeader::page_size(&bytes[..1024]), Ok(size));
        let header = FileHeader::view(&bytes).unwrap();
        assert_eq!((header.identity(), header.format_version()), (identity, 1));
    }
    assert_eq!(FileHeader::page_size(&[0; 1023]), Err(PageError::Size { bytes: 1023 }));
}

#[test]
fn page_sizes_are_powers_of_two_from_1_to_32_kib() {
    let sizes: Vec<u64> = (0..100_000).filter(|bytes| PageSize::new(*bytes).is_ok()).collect();
    assert_eq!(sizes, [1024, 2048, 4096, 8192, 16384, 32768]);
    let refused = PageSize::new(u64::MAX).unwrap_err();
    assert!(matches!(refused, Error::Setting { name: "page_bytes", value: u64::MAX, .. }));
}

#[test]
fn pages_of_each_kind_are_written_out_by_field() {
    for kind in PageKind::ALL {
        let name = format!("dump_{}", kind.to_string().replace(' ', "_"));
        insta::assert_snapshot!(name, dump(&sample(kind, PageSize::MIN)).unwrap());
    }
    assert_eq!(dump(&[0; 7]), Err(PageError::Size { bytes: 7 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_page_changed_at_random_is_refused_or_holds(
        kind in prop::sample::select(&PageKind::ALL[..]),
        size in prop::sample::select(PageSize::all().take(3).collect::<Vec<_>>()),
        changes in prop::collection::vec((0usize..120, any::<u8>(), any::<bool>()), 1..4),
    ) {
        let mut bytes = sample(kind, size);
        let length = bytes.len();
        for (at, value, is_at_end) in changes {
            bytes[if is_at_end { length - 1 - at } else { at }] = value;
        }
        if check_content(&bytes).is_ok() {
            use_page(&mut bytes);
        }
    }

    #[test]
    fn random_content_is_refused_or_holds(
        kind in 0u8..10,
        content in prop::collection::vec(any::<u8>(), 1000),
        fields in prop::collection::vec(0u8..60, 24),
    ) {
        let mut bytes = vec![0; 1024];
        bytes[4] = kind;
        bytes[5] = 1;
        bytes[16] = 17;
        // Small numbers where the fields lie: else hardly a page comes past its first field.
        bytes[24..].copy_from_slice(&content);
        bytes[24..48].copy_from_slice(&fields);
        if check_content(&bytes).is_ok() {
            use_page(&mut bytes);
        }
    }
}
