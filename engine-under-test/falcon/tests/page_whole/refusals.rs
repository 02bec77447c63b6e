//! Each error that a view can return is made to come.
//!
//! # Method
//!
//! A table of single changes to good pages, each with the field that must be named.
//!
//! # Invariant
//!
//! The named place lies in the page.

use std::path::Path;

use falcon::Error;
use falcon::page::index::IndexPageMut;
use falcon::page::{
    DataPageMut, FileHeader, FileHeaderMut, InventoryPageMut, LocatorPage, LocatorPageMut,
    OverflowPage, PageError, PageKind, PageSize, SectionPage, SectionPageMut, SequencePage,
    SequencePageMut, check, check_content, seal,
};

use super::samples::{id_of, sample};

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
        text(PageError::NeverWritten { page, expected: None }),
        @"sales.fts is damaged at page 17 of tablespace 3: page 17 of tablespace 3 was never written"
    );
    insta::assert_snapshot!(
        text(PageError::NeverWritten { page, expected: Some(PageKind::Data) }),
        @"sales.fts is damaged at page 17 of tablespace 3: page 17 of tablespace 3: wrong page type, expected data, got none, for it was never written"
    );
    insta::assert_snapshot!(
        text(PageError::Kind { page, found: PageKind::Section, expected: PageKind::Data }),
        @"sales.fts is damaged at page 17 of tablespace 3: page 17 of tablespace 3: wrong page type, expected data, got section"
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
