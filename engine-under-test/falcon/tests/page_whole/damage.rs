//! What a disk can do to a page, and what is noticed of it.
//!
//! # Method
//!
//! Bytes are flipped under the seal, images are mixed and pages are moved: all that is noticed by the checksum.
//! What has no valid checksum at all is changed at random, as if it had one, for a bug may have sealed it.
//!
//! # Invariant
//!
//! A page that is accepted can be read and changed without a panic.

use falcon::page::index::IndexPage;
use falcon::page::{
    DataPageMut, PageError, PageKind, PageSize, Record, check, check_content, seal, set_lsn,
};
use falcon::{Lsn, PageId, PageNumber, TablespaceId};
use proptest::prelude::*;

use super::samples::{id_of, sample, use_page};

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
    assert_eq!(refused, Err(PageError::NeverWritten { page: id, expected: None }));
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

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

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
