//! One thread against a sorted set.
//!
//! # Method
//!
//! Entries come and go; keys are looked for and ranges scanned both ways, with all kinds of bounds.
//!
//! # Invariant
//!
//! What the tree says is what the set says.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use falcon::page::index::IndexKeyBuf;
use falcon::page::{InventoryPage, PageKind};
use falcon::tree::{self, Direction, Tree};
use falcon::{Error, PageId, PageNumber};
use falconry_sim::check::Sim;
use falconry_sim::machine::choose;

use super::{
    INDEX, TABLESPACE, all, assert_good, collect, delete, draw_entry, draw_key, fresh, insert, key,
    key_of,
};

fn draw_bound(key: &[u8]) -> Bound<&[u8]> {
    match choose("tree/bound", 3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

fn is_within(key: &[u8], from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    let is_from = match from {
        Bound::Included(from) => key >= from,
        Bound::Excluded(from) => key > from,
        Bound::Unbounded => true,
    };
    is_from
        && match to {
            Bound::Included(to) => key <= to,
            Bound::Excluded(to) => key < to,
            Bound::Unbounded => true,
        }
}

fn scan(tree: &Tree, sorted: &BTreeSet<IndexKeyBuf>, groups: u64) {
    let (one, other) = (draw_key(groups), draw_key(groups));
    let (from, to) = (draw_bound(&one), draw_bound(&other));
    let mut expected: Vec<_> =
        sorted.iter().filter(|entry| is_within(&entry.key, from, to)).cloned().collect();
    let found = collect(tree, from, to, Direction::Forward).expect("no fault is on");
    assert_eq!(found, expected, "from {from:?} to {to:?}");
    expected.reverse();
    let found = collect(tree, from, to, Direction::Backward).expect("no fault is on");
    assert_eq!(found, expected, "backwards, from {from:?} to {to:?}");
}

fn work(tree: &Tree, sorted: &mut BTreeSet<IndexKeyBuf>, turns: u64, groups: u64) {
    for turn in 0..turns {
        let entry = draw_entry(groups);
        // Now and then more goes than comes, so that leaves become empty.
        let insert_of_32 = if turn / 200 % 3 == 2 { 12 } else { 26 };
        match choose("tree/what", 32) {
            what if what < insert_of_32 => {
                let is_new = insert(tree, &entry).expect("no fault is on");
                assert_eq!(is_new, sorted.insert(entry), "turn {turn}");
            }
            28 | 29 => {
                let first = sorted.range(key(&entry.key, 0)..).next();
                let expected = first.filter(|first| first.key == entry.key);
                let found = tree.find(&entry.key).expect("no fault is on");
                assert_eq!(found, expected.map(|first| first.record), "{entry:?}");
            }
            30 => scan(tree, sorted, groups),
            _ => {
                let victim = sorted.range(&entry..).next().cloned().unwrap_or(entry);
                let was_there = delete(tree, &victim).expect("no fault is on");
                assert_eq!(was_there, sorted.remove(&victim), "turn {turn}");
                assert!(!delete(tree, &victim).expect("no fault is on"), "{victim:?} is gone");
            }
        }
    }
}

#[test]
fn a_tree_is_a_sorted_set_whatever_its_height() {
    let heights = [const { AtomicU64::new(0) }; 6];
    Sim::new("a_tree_is_a_sorted_set").seeds(0..14).run(|machine| {
        machine.run(|ctx| {
            let (store, tree) = fresh(&*ctx.disk(), 8);
            let mut sorted = BTreeSet::new();
            let turns = 20 + choose("tree/turns", 1_800);
            work(&tree, &mut sorted, turns, 2 + choose("tree/groups", 46));
            let report = assert_good(&tree);
            assert_eq!(report.entry_count, sorted.len() as u64);
            assert_eq!(report.untold_count, 0, "every parent was told");
            heights[report.height as usize].fetch_add(1, Relaxed);
            assert_eq!(store.cache().pinned_count(), 0, "no latch is left");

            let inventory = PageId { tablespace: TABLESPACE, number: PageNumber(1) };
            let guard = store.read(inventory, PageKind::Inventory).expect("no fault is on");
            let inventory = InventoryPage::of_checked(guard.bytes());
            let used = (4..2_000).map(PageNumber).filter(|page| !inventory.is_free(*page));
            assert_eq!(used.collect::<Vec<_>>(), report.pages, "what is in use is in the tree");
        });
    });
    let heights = heights.map(AtomicU64::into_inner);
    assert!(heights[2] > 0 && heights[3] > 0, "no tree of some height: {heights:?}");
}

#[test]
fn a_high_tree_is_scanned_from_both_ends() {
    Sim::new("a_high_tree").seeds(0..1).run(|machine| {
        machine.run(|ctx| {
            let (_, tree) = fresh(&*ctx.disk(), 8);
            let mut sorted = BTreeSet::new();
            for number in 0..3_000 {
                // Every number below 4,096 once: 1,001 has no factor in common with it.
                let mixed = number * 1_001 % 4_096;
                let entry = key(&key_of(mixed / 64, mixed % 64), number);
                assert!(insert(&tree, &entry).expect("no fault is on"));
                sorted.insert(entry);
            }
            assert!(assert_good(&tree).height >= 3);
            let mut found = all(&tree, Direction::Backward).expect("no fault is on");
            found.reverse();
            assert!(found.iter().eq(&sorted), "a backward scan lost some");
            let found = all(&tree, Direction::Forward).expect("no fault is on");
            assert!(found.iter().eq(&sorted), "a forward scan lost some");
        });
    });
}

#[test]
fn keys_that_ascend_fill_their_leaves() {
    Sim::new("keys_that_ascend").seeds(0..1).run(|machine| {
        machine.run(|ctx| {
            let (_, tree) = fresh(&*ctx.disk(), 8);
            for number in 0..2_000_u32 {
                assert!(
                    tree.insert(&number.to_be_bytes(), super::RecordNumber(7)).expect("no fault")
                );
            }
            let report = assert_good(&tree);
            let found = all(&tree, Direction::Backward).expect("no fault is on");
            assert!(found.windows(2).all(|pair| pair[0] > pair[1]) && found.len() == 2_000);
            let leaf_entries = report.entry_count / report.pages.len() as u64;
            assert!(leaf_entries > 100, "{leaf_entries} entries a node");
        });
    });
}

#[test]
fn entries_of_one_key_are_divided_by_their_records_and_found_together() {
    Sim::new("entries_of_one_key").seeds(0..1).run(|machine| {
        machine.run(|ctx| {
            let (_, tree) = fresh(&*ctx.disk(), 8);
            let bytes = [7; 104];
            for record in (0..600).rev() {
                assert!(insert(&tree, &key(&bytes, record * 3)).expect("no fault is on"));
            }
            insert(&tree, &key(&[7; 103], 1)).expect("no fault is on");
            insert(&tree, &key(&[8], 1)).expect("no fault is on");
            let bound = Bound::Included(&bytes[..]);
            let found = collect(&tree, bound, bound, Direction::Forward).expect("no fault is on");
            assert_eq!(found, (0..600).map(|at| key(&bytes, at * 3)).collect::<Vec<_>>());
            let behind =
                collect(&tree, Bound::Excluded(&bytes), Bound::Unbounded, Direction::Backward);
            assert_eq!(behind.expect("no fault is on"), [key(&[8], 1)]);
            // The first records go, and with them whole leaves: the search has to go on to the right.
            for record in 0..500 {
                assert_eq!(
                    tree.find(&bytes).expect("no fault").map(|found| found.0),
                    Some(record * 3)
                );
                assert!(delete(&tree, &key(&bytes, record * 3)).expect("no fault is on"));
            }
            assert_eq!(tree.find(&[7; 102]).expect("no fault is on"), None);
            assert!(assert_good(&tree).height > 1);
        });
    });
}

#[test]
fn an_index_is_created_once_and_what_cannot_be_is_refused() {
    Sim::new("an_index_is_created_once").seeds(0..1).run(|machine| {
        machine.run(|ctx| {
            let (store, tree) = fresh(&*ctx.disk(), 8);
            let open = |index| Tree::open(Arc::clone(&store), TABLESPACE, index).map(drop);
            insert(&tree, &key(b"a", 1)).expect("no fault is on");
            tree::create(&store, TABLESPACE, INDEX).expect("it is there already");
            assert_eq!(all(&tree, Direction::Forward).expect("no fault is on"), [key(b"a", 1)]);
            assert_eq!((tree.tablespace(), tree.index()), (TABLESPACE, INDEX));

            let last = falcon::page::index::IndexId(246);
            match open(last) {
                Err(Error::NoIndex { tablespace: TABLESPACE, index: 246 }) => {}
                other => panic!("{other:?}"),
            }
            tree::create(&store, TABLESPACE, last).expect("the last slot");
            open(last).expect("it was created");
            for index in [247, 65_541, u32::MAX] {
                let index = falcon::page::index::IndexId(index);
                for result in [tree::create(&store, TABLESPACE, index), open(index)] {
                    match result {
                        Err(Error::TooManyIndexes { index: found, index_max: 247, .. }) => {
                            assert_eq!(found, index.0);
                        }
                        other => panic!("{index:?}: {other:?}"),
                    }
                }
            }
            match tree.insert(&[1; 105], super::RecordNumber(1)) {
                Err(Error::KeyTooLong { bytes: 105, bytes_max: 104 }) => {}
                other => panic!("{other:?}"),
            }
            assert!(!delete(&tree, &key(&[1; 105], 1)).expect("it cannot be there"));
            assert_eq!(assert_good(&tree).entry_count, 1);
        });
    });
}
