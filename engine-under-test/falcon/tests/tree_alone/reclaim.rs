//! A dropped index is freed step by step, whatever crashes have left of it.
//!
//! # Method
//!
//! A tree of several levels is filled, and branches forget some of their children, as if a crash had come before
//! they learned of them. After each step the pages that links lead to must be those that the inventory calls
//! used.
//!
//! # Invariant
//!
//! A step frees at least one page, and in the end none is left.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use falcon::page::index::{IndexKeyBuf, IndexPage};
use falcon::page::{InventoryPage, PageKind, RESERVED_PAGES};
use falcon::store::Store;
use falcon::store::op::PageOp;
use falcon::tree::{self, Tree};
use falcon::{PageId, PageNumber};
use falconry_sim::check::Sim;
use falconry_sim::machine::choose;

use super::{INDEX, TABLESPACE, fresh, insert, key};

/// What the inventory calls used, up to a page that never was.
const PAGES: RangeInclusive<u32> = RESERVED_PAGES..=3_000;

fn used(store: &Store) -> BTreeSet<PageNumber> {
    let inventory = PageId { tablespace: TABLESPACE, number: PageNumber(1) };
    let page = store.read(inventory, PageKind::Inventory).expect("no fault is on");
    let page = InventoryPage::of_checked(page.bytes());
    PAGES.map(PageNumber).filter(|number| !page.is_free(*number)).collect()
}

/// The entries of a branch but the first.
fn later_entries(store: &Store, id: PageId) -> Vec<IndexKeyBuf> {
    let page = store.read(id, PageKind::Index).expect("no fault is on");
    let page = IndexPage::of_checked(page.bytes());
    let mut cursor = page.entries();
    let mut entries = Vec::new();
    while page.level() > 0
        && let Some(entry) = cursor.advance()
    {
        entries.push(entry.key.to_buf());
    }
    entries.split_off(entries.len().min(1))
}

/// Lets branches forget about every n-th child. Returns how many are forgotten.
fn forget(store: &Store, tree: &Tree, every: u64) -> u64 {
    let mut forgotten = 0;
    for number in tree.verify().expect("no fault is on").pages {
        let id = PageId { tablespace: TABLESPACE, number };
        for entry in later_entries(store, id) {
            if choose("reclaim/forget", every) == 0 {
                let mut change = store.change();
                let page = change.page(id, PageKind::Index).expect("no fault is on");
                let (key, record) = (entry.key.into(), entry.record);
                change.apply(page, &PageOp::DeleteEntry { key, record }).expect("it is there");
                change.commit().expect("no fault is on");
                forgotten += 1;
            }
        }
    }
    forgotten
}

#[test]
fn after_each_step_what_is_used_is_what_can_be_reached() {
    Sim::new("after_each_step_what_is_used_is_what_can_be_reached").seeds(0..60).run(|machine| {
        machine.run(|ctx| {
            let (store, tree) = fresh(&*ctx.disk(), 12);
            let bytes = 1 + choose("reclaim/bytes", 90) as usize;
            for number in 0..choose("reclaim/entries", 700) {
                let mut bytes = vec![7; bytes];
                bytes.extend_from_slice(&(number * 37 % 701).to_be_bytes());
                insert(&tree, &key(&bytes, number)).expect("no fault is on");
            }
            let every = 1 + choose("reclaim/every", 6);
            let forgotten = forget(&store, &tree, every);
            let report = tree.verify().expect("no fault is on");
            assert_eq!((report.untold_count > 0, report.problems), (forgotten > 0, Vec::new()));
            let mut before = used(&store);
            assert!(before.iter().eq(&report.pages), "nothing else is there");
            loop {
                let freed = tree::reclaim(&store, TABLESPACE, INDEX).expect("no fault is on");
                let now = used(&store);
                assert_eq!(before.len() - now.len(), freed as usize);
                if now.is_empty() {
                    break;
                }
                let reached: BTreeSet<PageNumber> =
                    tree.verify().expect("no fault is on").pages.into_iter().collect();
                assert_eq!(reached, now);
                assert!(freed > 0, "{now:?} are left");
                before = now;
            }
            let over = tree::reclaim(&store, TABLESPACE, INDEX).expect("no fault is on");
            assert_eq!(over, 0, "there is nothing left");
            assert!(Tree::open(store, TABLESPACE, INDEX).is_err(), "and no index");
        });
    });
}
