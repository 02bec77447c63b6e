//! Branches, and a B-link tree made of index pages.
//!
//! # Method
//!
//! Of some splits the parent is never told: whoever looks for what moved must find it by the links.
//!
//! # Invariant
//!
//! The leaves, from left to right, hold what was inserted, in order.

use std::collections::{BTreeMap, BTreeSet};

use falcon::PageNumber;
use falcon::page::PageSize;
use falcon::page::index::{IndexKey, IndexKeyBuf, IndexPage, IndexPageMut, InsertError};
use proptest::prelude::*;

use super::{INDEX, collect, id, key, keys};

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

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

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
