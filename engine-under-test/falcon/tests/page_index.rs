//! Index pages against a sorted vector, their splits, and a tree of them.
//!
//! # Method
//!
//! Random entries come and go in a page and in a vector. When a page is full it is split, and the halves
//! must hold what the vector holds on either side of the bound. A small tree, with a map of buffers as its disk,
//! shows that pages, siblings and bounds fit together.
//!
//! # Invariant
//!
//! After every operation the page passes its own check.

use std::collections::{BTreeMap, BTreeSet};

use falcon::page::index::{
    INDEX_LEVEL_MAX, IndexId, IndexKey, IndexKeyBuf, IndexPage, IndexPageMut, InsertError,
};
use falcon::page::{PageSize, RecordNumber};
use falcon::{PageId, PageNumber, TablespaceId};
use proptest::prelude::*;

const INDEX: IndexId = IndexId(6);

fn id(number: u32) -> PageId {
    PageId { tablespace: TablespaceId(3), number: PageNumber(number) }
}

fn key(bytes: &[u8], record: u64) -> IndexKeyBuf {
    IndexKeyBuf { key: bytes.to_vec(), record: RecordNumber(record) }
}

/// Keys that share much, of all lengths up to the greatest of the smallest page.
fn keys() -> impl Strategy<Value = IndexKeyBuf> {
    let max = IndexPage::key_bytes_max(PageSize::MIN);
    let bytes = prop_oneof![
        prop::collection::vec(prop::sample::select(vec![0u8, 7, 255]), 0..6),
        (0..=max, any::<u8>()).prop_map(|(length, last)| {
            let mut bytes = vec![7; length];
            bytes.extend((length < 104).then_some(last));
            bytes
        }),
        prop::collection::vec(any::<u8>(), 0..=max),
    ];
    let record = prop_oneof![0u64..4, any::<u64>()];
    (bytes, record).prop_map(|(bytes, record)| key(&bytes, record))
}

fn collect(bytes: &[u8]) -> Vec<(IndexKeyBuf, Option<PageNumber>)> {
    let page = IndexPage::view(bytes).unwrap();
    let mut cursor = page.entries();
    let mut entries = Vec::new();
    while let Some(entry) = cursor.advance() {
        entries.push((entry.key.to_buf(), entry.child));
    }
    assert_eq!(entries.len(), usize::from(page.entry_count()));
    entries
}

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
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

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

    #[test]
    fn a_tree_finds_what_was_put_into_it(
        mut entries in prop::collection::vec(keys(), 1..600),
        is_ascending in any::<bool>(),
    ) {
        if is_ascending {
            entries.sort();
        }
        let mut tree = Tree::new(PageSize::MIN);
        let mut sorted = BTreeSet::new();
        for (at, entry) in entries.iter().enumerate() {
            prop_assert_eq!(tree.insert(entry, at % 3 == 0), sorted.insert(entry.clone()));
        }
        for entry in &entries {
            let leaf = tree.descend(entry.borrow(), 0);
            prop_assert!(IndexPage::view(&tree.pages[&leaf]).unwrap().contains(entry.borrow()));
        }
        prop_assert_eq!(tree.walk(), sorted.into_iter().collect::<Vec<_>>());
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

/// A B-link tree over a map of pages, without latches: root 3, new pages from 100 on.
struct Tree {
    size: PageSize,
    pages: BTreeMap<PageNumber, Vec<u8>>,
    next: u32,
}

impl Tree {
    const ROOT: PageNumber = PageNumber(3);

    fn new(size: PageSize) -> Tree {
        let mut root = vec![0; size.bytes()];
        IndexPageMut::format_leaf(&mut root, id(3), INDEX);
        Tree { size, pages: BTreeMap::from([(Tree::ROOT, root)]), next: 100 }
    }

    /// The node of `level` that keeps `target`.
    fn descend(&self, target: IndexKey<'_>, level: u8) -> PageNumber {
        let mut at = Tree::ROOT;
        loop {
            let page = IndexPage::view(&self.pages[&at]).unwrap();
            at = match page.right_for(target) {
                Some(right) => right,
                None if page.level() == level => return at,
                None => page.child_for(target),
            };
        }
    }

    /// Inserts unless it is there. With `is_forgetful` the parent never learns of a split: the tree must do
    /// with its links.
    fn insert(&mut self, entry: &IndexKeyBuf, is_forgetful: bool) -> bool {
        let (mut entry, mut child, mut level) = (entry.clone(), None, 0);
        loop {
            let at = self.descend(entry.borrow(), level);
            let mut bytes = self.pages.remove(&at).unwrap();
            let mut page = IndexPageMut::of_checked(&mut bytes);
            let inserted = page.insert(entry.borrow(), child);
            if let Err(InsertError::NoRoom(_)) = inserted {
                let new = id(self.next);
                let mut new_bytes = vec![0; self.size.bytes()];
                self.next += 1;
                if at == Tree::ROOT {
                    page.grow_root(&mut new_bytes, new);
                    self.pages.extend([(at, bytes), (new.number, new_bytes)]);
                    continue;
                }
                let bound = page.split_insert(&mut new_bytes, new, entry.borrow(), child).unwrap();
                self.pages.extend([(at, bytes), (new.number, new_bytes)]);
                if is_forgetful {
                    return true;
                }
                (entry, child, level) = (bound, Some(new.number), level + 1);
                continue;
            }
            self.pages.insert(at, bytes);
            assert!(inserted.is_ok() || level == 0, "a bound was in the parent already");
            return inserted.is_ok();
        }
    }

    fn walk(&self) -> Vec<IndexKeyBuf> {
        let mut at = Some(self.descend(IndexKey::MIN, 0));
        let mut found = Vec::new();
        while let Some(number) = at {
            found.extend(collect(&self.pages[&number]).into_iter().map(|(key, _)| key));
            at = IndexPage::of_checked(&self.pages[&number]).right();
        }
        found
    }
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

/// Keys that ascend, as those of new rows do, must not leave every page half empty.
#[test]
fn keys_that_ascend_leave_full_pages_behind() {
    let mut tree = Tree::new(PageSize::DEFAULT);
    for number in 0..20_000u64 {
        assert!(tree.insert(&key(&number.to_be_bytes(), number), false));
    }
    let leaves = tree.pages.values().map(|bytes| IndexPage::view(bytes).unwrap());
    let leaves: Vec<_> =
        leaves.filter(|page| page.level() == 0 && page.right().is_some()).collect();
    let free: usize = leaves.iter().map(|page| page.free_bytes()).sum();
    let free_percent = free * 100 / (leaves.len() * 4096);
    assert!(leaves.len() > 20 && free_percent < 5, "{free_percent} % of {} leaves", leaves.len());
    assert_eq!(tree.walk().len(), 20_000);
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

#[test]
fn a_branch_leads_to_the_child_that_keeps_a_key() {
    let mut bytes = vec![0; 1024];
    let mut page = IndexPageMut::format_branch(&mut bytes, id(17), INDEX, 1, PageNumber(30));
    for number in 1..60u8 {
        let child = Some(PageNumber(30 + u32::from(number)));
        page.insert(key(&[number, 0], 5).borrow(), child).unwrap();
    }
    let page = IndexPage::view(&bytes).unwrap();
    assert_eq!(page.child_for(IndexKey::MIN), PageNumber(30));
    for number in 1..60u8 {
        let here = PageNumber(30 + u32::from(number));
        assert_eq!(page.child_for(key(&[number, 0], 5).borrow()), here);
        assert_eq!(page.child_for(key(&[number, 9], 0).borrow()), here);
        assert_eq!(page.child_for(key(&[number, 0], 4).borrow()), PageNumber(here.0 - 1));
    }
    let mut page = IndexPageMut::of_checked(&mut bytes);
    assert!(page.delete(IndexKey::MIN));
    // What is before the first entry can only be in the first child.
    assert_eq!(IndexPage::view(&bytes).unwrap().child_for(IndexKey::MIN), PageNumber(31));
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
