//! One leaf against a sorted set, and its splits.
//!
//! # Method
//!
//! Keys share much, differ in length and reach the greatest one, where a split has the least room.
//!
//! # Invariant
//!
//! Both halves of a split hold something, and together what there was and the new entry.

use std::collections::BTreeSet;

use falcon::page::PageSize;
use falcon::page::index::{IndexKey, IndexKeyBuf, IndexPage, IndexPageMut, InsertError};
use proptest::prelude::*;

use super::{INDEX, collect, id, key, keys};

/// All that a page can be asked about `target`.
fn assert_search(bytes: &[u8], sorted: &BTreeSet<IndexKeyBuf>, target: &IndexKeyBuf) {
    let page = IndexPage::of_checked(bytes);
    assert_eq!(page.contains(target.borrow()), sorted.contains(target));
    let mut cursor = page.lower_bound(target.borrow());
    for expected in sorted.range(target..).take(20) {
        assert_eq!(cursor.advance().map(|entry| entry.key), Some(expected.borrow()));
    }
    if sorted.range(target..).count() <= 20 {
        assert_eq!(cursor.advance(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_leaf_is_a_sorted_set_and_splits_into_two(
        size in prop::sample::select(vec![PageSize::MIN, PageSize::DEFAULT]),
        changes in prop::collection::vec((keys(), prop::bool::weighted(0.8)), 0..250),
    ) {
        let mut bytes = vec![0xAA; size.bytes()];
        IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
        let mut sorted = BTreeSet::new();
        for (target, is_insert) in changes {
            let mut page = IndexPageMut::of_checked(&mut bytes);
            if !is_insert {
                let victim = sorted.range(&target..).next().cloned().unwrap_or(target);
                prop_assert_eq!(page.delete(victim.borrow()), sorted.remove(&victim));
                prop_assert!(!IndexPageMut::of_checked(&mut bytes).delete(victim.borrow()));
                assert_search(&bytes, &sorted, &victim);
                continue;
            }
            if page.read().right_for(target.borrow()).is_some() {
                prop_assert!(sorted.range(&target..).next().is_none());
                continue;
            }
            match page.insert(target.borrow(), None) {
                Ok(()) => prop_assert!(sorted.insert(target.clone())),
                Err(InsertError::Duplicate) => prop_assert!(sorted.contains(&target)),
                Err(InsertError::NoRoom(no_room)) => {
                    prop_assert!(no_room.needed_bytes > no_room.free_bytes);
                    prop_assert_eq!(collect(&bytes).len(), sorted.len());
                    sorted.insert(target.clone());
                    split(&mut bytes, &mut sorted, &target);
                }
                Err(error) => panic!("{error}"),
            }
            assert_search(&bytes, &sorted, &target);
            let found: Vec<_> = collect(&bytes).into_iter().map(|(key, _)| key).collect();
            prop_assert_eq!(found, sorted.iter().cloned().collect::<Vec<_>>());
        }
    }
}

/// Splits a full leaf, checks both halves and keeps the left one: it has a high key from now on.
fn split(bytes: &mut [u8], sorted: &mut BTreeSet<IndexKeyBuf>, target: &IndexKeyBuf) {
    let old_high = IndexPage::of_checked(bytes).high().map(IndexKey::to_buf);
    let old_right = IndexPage::of_checked(bytes).right();
    let mut right = vec![0xAA; bytes.len()];
    let right_id = id(old_right.map_or(100, |right| right.0 + 1));
    let mut page = IndexPageMut::of_checked(bytes);
    let bound = page.split_insert(&mut right, right_id, target.borrow(), None).unwrap();

    let (left_view, right_view) =
        (IndexPage::view(bytes).unwrap(), IndexPage::view(&right).unwrap());
    assert_eq!(
        (left_view.right(), left_view.high()),
        (Some(right_id.number), Some(bound.borrow()))
    );
    assert_eq!(
        (right_view.right(), right_view.high().map(IndexKey::to_buf)),
        (old_right, old_high)
    );
    assert_eq!((right_view.index(), right_view.level()), (INDEX, 0));
    assert_eq!(left_view.right_for(bound.borrow()), Some(right_id.number));
    let right_sorted = sorted.split_off(&bound);
    assert!(
        !sorted.is_empty() && !right_sorted.is_empty(),
        "a split moved all entries to one side"
    );
    let found: Vec<_> = collect(&right).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, right_sorted.into_iter().collect::<Vec<_>>());
}

/// The longest keys, sharing nothing or all but a byte, at every place: both halves always fit.
#[test]
fn the_longest_keys_are_split_at_all_page_sizes() {
    for size in PageSize::all() {
        let max = IndexPage::key_bytes_max(size);
        for shares in [false, true] {
            for place in 0..12 {
                let make = |number: u64| {
                    let mut bytes = vec![9; max];
                    bytes[if shares { max - 1 } else { 0 }] = number as u8;
                    key(&bytes, u64::MAX)
                };
                let mut bytes = vec![0; size.bytes()];
                let mut page = IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
                let mut number = 1;
                while page.insert(make(number * 2).borrow(), None).is_ok() && number < 100 {
                    number += 1;
                }
                let before = usize::from(page.read().entry_count());
                assert!(before >= 7, "only {before} keys in {size:?}");
                let target = make(place * 2 + 1);
                let mut right = vec![0; size.bytes()];
                page.split_insert(&mut right, id(18), target.borrow(), None).unwrap();
                assert_eq!(collect(&bytes).len() + collect(&right).len(), before + 1);
            }
        }
    }
}

#[test]
fn the_bound_of_a_leaf_is_as_short_as_it_can_be() {
    let mut bytes = vec![0; 1024];
    let mut right = vec![0; 1024];
    let mut page = IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
    for last in b"abc" {
        let mut long = vec![*last; 90];
        long[0] = b'k';
        page.insert(key(&long, 1).borrow(), None).unwrap();
    }
    let target = key(&[b'k'; 100], 1);
    let bound = page.split_insert(&mut right, id(18), target.borrow(), None).unwrap();
    assert_eq!(bound, key(b"kk", 0));
    let refused = page.split_insert(&mut right, id(19), key(b"kb", 1).borrow(), None);
    assert!(refused.is_ok());

    // Equal keys are told apart by their records alone.
    let mut page = IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
    for record in 0..4 {
        page.insert(key(b"same", record).borrow(), None).unwrap();
    }
    let bound = page.split_insert(&mut right, id(18), key(b"same", 4).borrow(), None).unwrap();
    assert_eq!(bound, key(b"same", 4));
}

/// At 32 KiB the last offsets are no `i16`: a leaf is filled to the last entry that fits, and emptied.
#[test]
fn a_leaf_of_any_size_is_filled_and_emptied() {
    for size in PageSize::all() {
        let mut bytes = vec![0; size.bytes()];
        let mut page = IndexPageMut::format_leaf(&mut bytes, id(17), INDEX);
        let free_bytes = page.read().free_bytes();
        assert_eq!(free_bytes, size.bytes() - 44);
        let make = |number: u64| key(&(number * 1_000_003).to_be_bytes(), number);
        let mut count = 0;
        // The keys of even numbers come first, so that those of odd ones go between them.
        while page.insert(make(count * 2).borrow(), None).is_ok()
            && count * 8 < free_bytes as u64 / 3
        {
            count += 1;
        }
        let mut odd = 0;
        while page.insert(make(odd * 2 + 1).borrow(), None).is_ok() {
            odd += 1;
        }
        assert!(odd > 10 && page.read().free_bytes() < 100, "{odd} odd ones in {size:?}");
        let entries = collect(&bytes);
        let mut page = IndexPageMut::of_checked(&mut bytes);
        for (key, _) in entries.iter().step_by(2).chain(entries.iter().skip(1).step_by(2)) {
            assert!(page.delete(key.borrow()));
        }
        assert_eq!((page.read().free_bytes(), page.read().entry_count()), (free_bytes, 0));
        assert!(collect(&bytes).is_empty());
    }
}
