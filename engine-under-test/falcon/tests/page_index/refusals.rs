//! What an index page does not take, and how a damaged one is refused.
//!
//! # Method
//!
//! Entries are damaged at places that are asserted first.
//!
//! # Invariant
//!
//! What is refused changes nothing.

use falcon::PageNumber;
use falcon::page::PageSize;
use falcon::page::index::{INDEX_LEVEL_MAX, IndexKey, IndexPage, IndexPageMut, InsertError};

use super::{INDEX, collect, id, key};

#[test]
fn a_key_that_is_too_long_and_one_that_is_there_are_refused() {
    for size in PageSize::all() {
        let mut bytes = vec![0; size.bytes()];
        let mut page = IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
        let max_bytes = IndexPage::key_bytes_max(size);
        let too_long = key(&vec![1; max_bytes + 1], 0);
        let refused = InsertError::KeyTooLong { found_bytes: max_bytes + 1, max_bytes };
        assert_eq!(page.insert(too_long.borrow(), None), Err(refused));
        let longest = key(&vec![1; max_bytes], u64::MAX);
        assert_eq!(page.insert(longest.borrow(), None), Ok(()));
        assert_eq!(page.insert(longest.borrow(), None), Err(InsertError::Duplicate));
        let mut right = vec![0; size.bytes()];
        let split = page.split_insert(&mut right, id(18), longest.borrow(), None);
        assert_eq!(split, Err(InsertError::Duplicate));
        let split = page.split_insert(&mut right, id(18), too_long.borrow(), None);
        assert_eq!(split, Err(refused));
        assert_eq!(collect(&bytes), [(longest, None)]);
    }
}

/// What a damaged entry, child or order is called; the places are those of a page made here.
#[test]
fn each_way_an_entry_can_be_damaged_is_told() {
    let mut bytes = vec![0; 1024];
    let mut page = IndexPageMut::format_branch(&mut bytes, id(17), INDEX, 1, PageNumber(30));
    page.insert(key(b"ab", 1).borrow(), Some(PageNumber(31))).unwrap();
    page.insert(key(b"ac", 1).borrow(), Some(PageNumber(32))).unwrap();
    // prefix, length, record, child | 0 2 a b 1 child | 1 1 c 1 child
    assert_eq!(bytes[44..51], [0, 0, 0, 30, 0, 0, 0]);
    assert_eq!(bytes[51..56], [0, 2, b'a', b'b', 1]);
    assert_eq!(bytes[60..64], [1, 1, b'c', 1]);
    for (at, value, expected) in [
        (44, 1, "shorter prefix"),
        (60, 3, "shorter prefix"),
        (61, 200, "as a whole"),
        (63, 0xFF, "as a whole"),
        (62, b'a', "behind the entry before it"),
        (47, 0, "another child"),
        (47, 17, "another child"),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] = value;
        let refused = IndexPage::view(&damaged).unwrap_err().to_string();
        assert!(refused.contains(expected), "byte {at}: {refused}");
    }
    let mut right = vec![0; 1024];
    let mut page = IndexPageMut::of_checked(&mut bytes);
    let target = key(b"ad", 1);
    page.split_insert(&mut right, id(18), target.borrow(), Some(PageNumber(33))).unwrap();
    assert_eq!(IndexPage::view(&bytes).unwrap().high(), Some(target.borrow()));
    bytes[52] = b'A';
    let refused = IndexPage::view(&bytes).unwrap_err().to_string();
    assert!(refused.contains("below the high key"), "{refused}");
}

#[test]
#[should_panic(expected = "is not below")]
fn what_belongs_to_the_right_is_not_inserted() {
    let (mut bytes, mut right) = (vec![0; 1024], vec![0; 1024]);
    let mut page = IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
    page.insert(key(b"a", 1).borrow(), None).unwrap();
    page.split_insert(&mut right, id(18), key(b"m", 1).borrow(), None).unwrap();
    let _ = page.insert(key(b"z", 1).borrow(), None);
}

#[test]
#[should_panic(expected = "the last of 1 entries of a branch was deleted")]
fn a_branch_keeps_a_child() {
    let mut bytes = vec![0; 1024];
    let mut page = IndexPageMut::format_branch(&mut bytes, id(17), INDEX, 1, PageNumber(30));
    page.delete(IndexKey::MIN);
}

#[test]
#[should_panic(expected = "a root of level 31 cannot grow")]
fn a_root_does_not_grow_without_end() {
    let (mut bytes, child) = (vec![0; 1024], PageNumber(30));
    IndexPageMut::format_branch(&mut bytes, id(17), INDEX, INDEX_LEVEL_MAX, child)
        .grow_root(&mut [0; 1024], id(18));
}

#[test]
#[should_panic(expected = "was given as the child of an entry of level 0")]
fn a_leaf_takes_no_children() {
    let mut bytes = vec![0; 1024];
    let mut page = IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
    let _ = page.insert(key(b"a", 1).borrow(), Some(PageNumber(30)));
}
