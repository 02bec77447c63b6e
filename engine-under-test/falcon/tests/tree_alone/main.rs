//! The trees of indexes on the simulated machine, with the store below them and nothing above.
//!
//! # Method
//!
//! Pages are small and the cache has few frames, so that trees are high and pages come and go. One thread is
//! compared with a sorted set ([`model`]); several work at once, beside scans that must find what is there
//! throughout ([`threads`]); the log is redone on blank pages ([`redo`]); reads and writes fail
//! ([`faults`]); and files are forged ([`damage`]).
//!
//! # Invariant
//!
//! After every run the whole tree is gone through, and nothing is wrong with it.

#[macro_use]
#[path = "../pass_on/mod.rs"]
mod pass_on;

mod damage;
mod faults;
mod model;
mod reclaim;
mod redo;
mod threads;

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use falcon::cache::{Cache, CacheConfig, Files, WriteAhead};
use falcon::log::{Log, LogConfig};
use falcon::page::index::{IndexId, IndexKeyBuf};
use falcon::page::{DatabaseId, FileIdentity, PageSize, RecordNumber};
use falcon::store::{Store, format};
use falcon::tree::{self, Direction, Tree, TreeReport};
use falcon::{Result, TablespaceId};
use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_sim::machine::choose;

const PAGE: PageSize = PageSize::MIN;
/// Not the first one, which a zero would be taken for.
const TABLESPACE: TablespaceId = TablespaceId(1);
const INDEX: IndexId = IndexId(5);
const DATABASE: u64 = 0xfa1c;

const LOG: LogConfig = LogConfig {
    file_bytes: 128 << 10,
    file_bytes_max: 16 << 20,
    window_bytes: 64 << 10,
    window_count: 2,
    block_bytes: 4096,
};

fn path() -> &'static Path {
    Path::new("user")
}

fn names() -> [&'static Path; 2] {
    [Path::new("log1"), Path::new("log2")]
}

/// A file with its fixed pages, and a log.
fn lay_out(disk: &dyn Disk) {
    make_file(&*disk.open(path(), &OpenOptions::CREATE).expect("no fault is on"));
    Log::create(disk, names(), LOG, DATABASE).expect("no fault is on");
}

fn make_file(file: &dyn File) {
    let database = DatabaseId(DATABASE.into());
    let identity = FileIdentity { database, tablespace: TABLESPACE, created_ns: 0 };
    format::format_file(file, path(), identity, PAGE).expect("no fault is on");
    file.sync_data().expect("no fault is on");
    format::complete(file, path(), identity, PAGE).expect("no fault is on");
    file.sync_data().expect("no fault is on");
}

/// A store of what [`lay_out`] made.
fn open(disk: &dyn Disk, frame_count: usize) -> Arc<Store> {
    let file = disk.open(path(), &OpenOptions::READ_WRITE).expect("it is there");
    open_file(disk, file, frame_count)
}

fn open_file(disk: &dyn Disk, file: Arc<dyn File>, frame_count: usize) -> Arc<Store> {
    let (log, _) = Log::open(disk, names(), LOG, DATABASE).expect("the log is whole");
    let log = Arc::new(log);
    let files = Files::new(PAGE);
    files.add(TABLESPACE, path(), file);
    let config = CacheConfig { frame_count, run_pages_max: 4 };
    let ahead: Arc<dyn WriteAhead> = Arc::clone(&log) as _;
    let cache = Arc::new(Cache::new(config, files, ahead).expect("it is in range"));
    Arc::new(Store::new(cache, log, &[1, 1]))
}

/// A store with one index, in a new file.
fn fresh(disk: &dyn Disk, frame_count: usize) -> (Arc<Store>, Tree) {
    lay_out(disk);
    let store = open(disk, frame_count);
    tree::create(&store, TABLESPACE, INDEX).expect("no fault is on");
    let tree = Tree::open(Arc::clone(&store), TABLESPACE, INDEX).expect("it was created");
    (store, tree)
}

fn key(bytes: &[u8], record: u64) -> IndexKeyBuf {
    IndexKeyBuf { key: bytes.to_vec(), record: RecordNumber(record) }
}

fn insert(tree: &Tree, entry: &IndexKeyBuf) -> Result<bool> {
    tree.insert(&entry.key, entry.record)
}

fn delete(tree: &Tree, entry: &IndexKeyBuf) -> Result<bool> {
    tree.delete(&entry.key, entry.record)
}

/// Keys of groups, each of about a leaf. Those of one group share much, so that what divides leaves is long;
/// those of two share nothing, so that it is not compressed: trees are high. Some keys are short or empty,
/// some the longest that there may be.
fn draw_key(group_count: u64) -> Vec<u8> {
    key_of(choose("tree/group", group_count), choose("tree/member", 64))
}

fn key_of(group: u64, member: u64) -> Vec<u8> {
    if group % 8 == 7 {
        return vec![(member as u8).wrapping_mul(85); member as usize % 3];
    }
    let mixed = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let (shared, own) = (mixed(group), mixed(group << 8 | member));
    let length = if group.is_multiple_of(2) { 104 } else { 90 };
    (0..length).map(|at| if at < 88 { shared[at % 8] } else { own[at % 8] }).collect()
}

fn draw_entry(group_count: u64) -> IndexKeyBuf {
    let bytes = draw_key(group_count);
    let record = [1, 2, 300, u64::MAX][choose("tree/record", 4) as usize];
    key(&bytes, record)
}

/// All that a scan gives.
fn collect(
    tree: &Tree,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    direction: Direction,
) -> Result<Vec<IndexKeyBuf>> {
    let mut scan = tree.scan(from, to, direction);
    let mut entries = Vec::new();
    while let Some(entry) = scan.next()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn all(tree: &Tree, direction: Direction) -> Result<Vec<IndexKeyBuf>> {
    collect(tree, Bound::Unbounded, Bound::Unbounded, direction)
}

/// The report of a tree that must be good.
fn assert_good(tree: &Tree) -> TreeReport {
    let report = tree.verify().expect("no fault comes");
    assert_eq!(report.problems, [""; 0], "the tree is not good");
    report
}
