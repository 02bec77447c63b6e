//! Reads and writes fail.
//!
//! # Method
//!
//! With a cache that is too small, most calls read pages and write others to make room. Now and then the disk
//! refuses. A call that is refused before it changes anything is repeated; one that was cut off stops the log.
//!
//! # Invariant
//!
//! A refused insertion or deletion has happened as a whole or not at all, and a refused scan goes on where it
//! was.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use falcon::page::RecordNumber;
use falcon::page::index::IndexKeyBuf;
use falcon::tree::{self, Direction, Tree};
use falcon::{Error, Result};
use falconry_seam::disk::{File, OpenOptions};
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::machine::choose;

use super::{INDEX, TABLESPACE, delete, draw_entry, fresh, insert, lay_out, open_file, path};

/// A file that now and then cannot be read, nor written.
struct Failing {
    inner: Arc<dyn File>,
    fails: AtomicBool,
}

impl Failing {
    fn ask(&self, one_in: u64) -> io::Result<()> {
        match self.fails.load(Relaxed) && choose("tree/fails", one_in) == 0 {
            true => Err(io::Error::other("the disk refuses")),
            false => Ok(()),
        }
    }
}

impl File for Failing {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.ask(25)?;
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.ask(150)?;
        self.inner.write_at(bytes, offset)
    }

    pass_on!(sync_data, sync_all, len, set_len, allocate, try_lock, unlock);
}

/// Calls until one is not refused by the disk.
fn repeat<T>(refused: &AtomicU64, mut call: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..100 {
        match call() {
            Err(Error::Io { .. }) => drop(refused.fetch_add(1, Relaxed)),
            other => return other,
        }
    }
    panic!("a rate of faults never lets a call be refused a hundred times");
}

fn all_of(tree: &Tree, refused: &AtomicU64, direction: Direction) -> Result<Vec<IndexKeyBuf>> {
    let mut scan = tree.scan(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded, direction);
    let mut entries = Vec::new();
    while let Some(entry) = repeat(refused, || scan.next())? {
        entries.push(entry);
    }
    Ok(entries)
}

/// Works until the log has stopped; what it was told is right.
fn work(tree: &Tree, refused: &AtomicU64) -> Result<()> {
    let mut sorted = BTreeSet::new();
    for _ in 0..300 {
        let entry = draw_entry(16);
        let is_insert = choose("tree/insert", 5) > 0;
        let call = if is_insert { insert } else { delete };
        let before = refused.load(Relaxed);
        let has_changed = repeat(refused, || call(tree, &entry))?;
        let expected = if is_insert { sorted.insert(entry.clone()) } else { sorted.remove(&entry) };
        // One that was refused may have happened: its repetition finds nothing to do then.
        let is_sure = refused.load(Relaxed) == before;
        assert!(has_changed == expected || (!is_sure && expected), "{entry:?}");
    }
    let mut found = all_of(tree, refused, Direction::Forward)?;
    assert!(found.iter().eq(&sorted), "{found:?}, expected {sorted:?}");
    found.reverse();
    assert_eq!(all_of(tree, refused, Direction::Backward)?, found);
    let report = repeat(refused, || tree.verify())?;
    assert_eq!((report.problems.len(), report.entry_count), (0, sorted.len() as u64));
    Ok(())
}

#[test]
fn what_the_disk_refuses_is_done_as_a_whole_or_not_at_all() {
    let (refused, stopped, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    Sim::new("what_the_disk_refuses").seeds(0..30).run(|machine| {
        machine.run(|ctx| {
            let disk = ctx.disk();
            lay_out(&*disk);
            let inner = disk.open(path(), &OpenOptions::READ_WRITE).expect("it is there");
            let file = Arc::new(Failing { inner, fails: AtomicBool::new(false) });
            let store = open_file(&*disk, Arc::clone(&file) as _, 6);
            tree::create(&store, TABLESPACE, INDEX).expect("no fault is on");
            let tree = Tree::open(store, TABLESPACE, INDEX).expect("it was created");
            file.fails.store(true, Relaxed);
            match work(&tree, &refused) {
                Ok(()) => drop(done.fetch_add(1, Relaxed)),
                Err(Error::Stopped(_)) => {
                    stopped.fetch_add(1, Relaxed);
                    match tree.insert(b"later", RecordNumber(1)) {
                        Err(Error::Stopped(_) | Error::Io { .. }) => {}
                        other => panic!("the engine has stopped, and {other:?}"),
                    }
                }
                Err(other) => panic!("{other}"),
            }
        });
    });
    let (refused, stopped, done) = (refused.into_inner(), stopped.into_inner(), done.into_inner());
    assert!(refused > 50, "{refused} calls were refused");
    assert!(stopped > 0 && done > 0, "{stopped} were stopped, {done} were done");
}

#[test]
fn threads_of_a_stopped_engine_are_told_and_none_waits() {
    Sim::new("threads_of_a_stopped_engine").seeds(0..10).run(|machine| {
        machine.run(|ctx| {
            let (store, tree) = fresh(&*ctx.disk(), 10);
            let told = thread::scope(|scope| {
                let threads: Vec<_> = (0..3)
                    .map(|_| {
                        scope.spawn(|| (0..400).find_map(|_| insert(&tree, &draw_entry(16)).err()))
                    })
                    .collect();
                thread::yield_now();
                store.log().stop("it is told to");
                threads
                    .into_iter()
                    .map(|thread| thread.join().expect("no panic"))
                    .collect::<Vec<_>>()
            });
            assert!(told.iter().all(|told| matches!(told, Some(Error::Stopped(_)))), "{told:?}");
            assert_eq!(store.cache().pinned_count(), 0, "no latch is left");
        });
    });
}
