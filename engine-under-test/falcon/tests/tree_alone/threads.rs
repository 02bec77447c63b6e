//! Several threads at once.
//!
//! # Method
//!
//! Some entries are there throughout. Writers insert and delete others among them, each those of its own
//! records, so that each knows what it has left; scans go both ways beside them.
//!
//! # Invariant
//!
//! A scan gives entries in order, and each that is there throughout once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use falcon::page::index::IndexKeyBuf;
use falcon::tree::{Direction, Tree};
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::machine::choose;

use super::{all, assert_good, delete, draw_entry, draw_key, fresh, insert, key};

const WRITERS: u64 = 3;

/// Inserts and deletes, and returns what it has left.
fn write(tree: &Tree, record: u64, turns: u64, groups: u64) -> BTreeSet<IndexKeyBuf> {
    let mut own = BTreeSet::new();
    for _ in 0..turns {
        let entry = key(&draw_key(groups), record);
        if choose("tree/delete", 5) > 0 {
            assert_eq!(insert(tree, &entry).expect("no fault is on"), own.insert(entry));
        } else {
            let victim = own.range(&entry..).next().cloned().unwrap_or(entry);
            assert_eq!(delete(tree, &victim).expect("no fault is on"), own.remove(&victim));
        }
    }
    own
}

fn scan(tree: &Tree, fixed: &BTreeSet<IndexKeyBuf>, direction: Direction) {
    let mut found = all(tree, direction).expect("no fault is on");
    if direction == Direction::Backward {
        found.reverse();
    }
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {found:?}");
    found.retain(|entry| fixed.contains(entry));
    assert_eq!(found.len(), fixed.len(), "a {direction:?} scan lost some");
}

#[test]
fn scans_find_what_is_there_throughout_and_writers_lose_nothing() {
    let pages = AtomicU64::new(0);
    Sim::new("scans_find_what_is_there_throughout").seeds(0..20).run(|machine| {
        machine.run(|ctx| {
            let (store, tree) = fresh(&*ctx.disk(), 10);
            let groups = 4 + choose("tree/groups", 28);
            let fixed: BTreeSet<_> = (0..150).map(|_| draw_entry(groups)).collect();
            for entry in &fixed {
                assert!(insert(&tree, entry).expect("no fault is on"));
            }
            let mut expected = fixed.clone();
            thread::scope(|scope| {
                let writers: Vec<_> = (0..WRITERS)
                    .map(|writer| {
                        let tree = &tree;
                        scope.spawn(move || write(tree, 1_000 + writer, 90, groups))
                    })
                    .collect();
                for direction in [Direction::Forward, Direction::Backward] {
                    let (tree, fixed) = (&tree, &fixed);
                    scope.spawn(move || (0..6).for_each(|_| scan(tree, fixed, direction)));
                }
                for writer in writers {
                    expected.append(&mut writer.join().expect("its assertion is told"));
                }
                // While the scans go on.
                assert_good(&tree);
            });
            let found = all(&tree, Direction::Forward).expect("no fault is on");
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            // In some runs parents are left untold, as by a crash: whoever passes by tells them.
            let has_told = || {
                for entry in &found {
                    assert!(!insert(&tree, entry).expect("no fault is on"), "it is there");
                }
                assert_good(&tree).untold_count == 0
            };
            assert!((0..20).any(|_| has_told()), "every parent was told");
            let report = assert_good(&tree);
            assert_eq!(store.cache().pinned_count(), 0, "no latch is left");
            pages.fetch_max(report.pages.len() as u64, Relaxed);
        });
    });
    assert!(pages.into_inner() > 12, "no tree was larger than the cache");
}

#[test]
fn a_tree_that_grows_is_verified_and_the_same_entry_is_new_once() {
    let news = AtomicU64::new(0);
    Sim::new("the_same_entry_is_new_once").seeds(0..20).run(|machine| {
        machine.run(|ctx| {
            let (_, tree) = fresh(&*ctx.disk(), 10);
            let entries: Vec<_> = (0..60).map(|_| draw_entry(24)).collect();
            let distinct: BTreeSet<_> = entries.iter().cloned().collect();
            let insert_all = || {
                let is_new = |entry| u64::from(insert(&tree, entry).expect("no fault is on"));
                entries.iter().map(is_new).sum::<u64>()
            };
            let count: u64 = thread::scope(|scope| {
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(insert_all)).collect();
                (0..4).for_each(|_| drop(assert_good(&tree)));
                threads.into_iter().map(|thread| thread.join().expect("it is told")).sum()
            });
            assert_eq!(count, distinct.len() as u64, "an entry was new twice, or never");
            let found = all(&tree, Direction::Forward).expect("no fault is on");
            assert_eq!(found, distinct.into_iter().collect::<Vec<_>>());
            news.fetch_add(count, Relaxed);
        });
    });
    assert!(news.into_inner() > 100);
}
