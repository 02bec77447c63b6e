//! The log alone tells what the pages hold.
//!
//! # Method
//!
//! A tree is worked on by several threads. Then every record of the log is decoded and its operations are
//! applied, in the order of the log, to the pages as the file was made with, all others blank.
//!
//! # Invariant
//!
//! The pages come out as they are in the cache, byte for byte but for the seal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use falcon::page::clear_seal;
use falcon::store::op::PageOp;
use falcon::store::{Store, code, record};
use falcon::{PageId, PageNumber};
use falconry_seam::disk::{Disk, OpenOptions};
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::machine::choose;

use super::{PAGE, TABLESPACE, delete, draw_entry, fresh, insert, make_file};

/// Redoes the whole log, and counts what kinds of operation there were.
fn redo(store: &Store, pages: &mut BTreeMap<PageId, Vec<u8>>) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    let log = store.log();
    for found in log.records(log.retained_from()) {
        let found = found.expect("the log is whole");
        assert_eq!(found.kind(), record::PAGE_CHANGE);
        let changes = code::decode(found.bytes(), PAGE.bytes()).expect("it is a record of ours");
        assert!(!changes.is_empty(), "a record of nothing");
        for change in changes {
            let bytes = pages.entry(change.page).or_insert_with(|| vec![0; PAGE.bytes()]);
            for op in change.ops {
                let name = match op {
                    PageOp::Image(_) => "image",
                    PageOp::FormatLeaf { .. } => "format",
                    PageOp::InsertEntry { child: Some(_), .. } => "child",
                    PageOp::InsertEntry { child: None, .. } => "insert",
                    PageOp::DeleteEntry { .. } => "delete",
                    _ => "other",
                };
                *counts.entry(name).or_default() += 1;
                op.apply(change.page, bytes).expect("it fits to what came before");
            }
        }
    }
    counts
}

#[test]
fn redo_gives_the_pages_byte_for_byte() {
    let kinds = AtomicU64::new(u64::MAX);
    Sim::new("redo_gives_the_pages").seeds(0..8).run(|machine| {
        machine.run(|ctx| {
            let (store, tree) = fresh(&*ctx.disk(), 10);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..200 {
                            let entry = draw_entry(32);
                            let is_insert = choose("tree/insert", 5) > 0;
                            let call = if is_insert { insert } else { delete };
                            call(&tree, &entry).expect("no fault is on");
                        }
                    });
                }
            });
            let mut pages = BTreeMap::new();
            let id = |number| PageId { tablespace: TABLESPACE, number: PageNumber(number) };
            let mut made = fixed_pages(&*ctx.disk());
            for (number, bytes) in made.drain(..).enumerate() {
                pages.insert(id(number as u32), bytes);
            }
            let counts = redo(&store, &mut pages);
            kinds.fetch_min(counts.len() as u64, Relaxed);
            assert!(pages.len() > 10, "{} pages", pages.len());
            for (page, mut bytes) in pages {
                let guard = store.cache().read(page).expect("no fault is on");
                let mut found = guard.bytes().to_vec();
                clear_seal(&mut found);
                clear_seal(&mut bytes);
                assert!(found == bytes, "{page} is not what the log says");
            }
        });
    });
    assert_eq!(kinds.into_inner(), 6, "some kind of operation never came");
}

/// The fixed pages as a new file has them.
fn fixed_pages(disk: &dyn Disk) -> Vec<Vec<u8>> {
    let file = disk.open(Path::new("blank"), &OpenOptions::CREATE);
    let file = file.expect("no fault is on");
    make_file(&*file);
    (0..4)
        .map(|number| {
            let mut bytes = vec![0; PAGE.bytes()];
            file.read_exact_at(&mut bytes, number * PAGE.bytes() as u64).expect("it is there");
            bytes
        })
        .collect()
}
