//! The double-write file: pages that a crash tears get their copies, and nothing else does.
//!
//! # Method
//!
//! On simulated machines pages are changed, evicted and checkpointed until the power goes ([`swarm`]). On a
//! disk in memory single pages are damaged, calls fail one by one, and files are given that are not what
//! they should be ([`repair`], [`failures`], [`refusals`]).
//!
//! # Invariant
//!
//! The value of a page is the place in the log of its last change, so that an older copy is noticed.

#[path = "../../../canary/tests/support/mod.rs"]
mod support;

#[macro_use]
#[path = "../pass_on/mod.rs"]
mod pass_on;

mod failures;
mod refusals;
mod repair;
mod swarm;

use std::path::Path;
use std::sync::Arc;

use falcon::cache::{Cache, CacheConfig, DoubleWrite, DoubleWriteConfig, Files, WriteAhead};
use falcon::page::{Header, PageSize, SequencePage, SequencePageMut, check, seal, set_lsn};
use falcon::{Lsn, PageId, PageNumber, TablespaceId};
use falconry_seam::disk::{Disk, File, OpenOptions};
use support::MemoryDisk;

const DATABASE: u64 = 7;
const COPIES: &str = "double_write";
const PAGE: PageSize = PageSize::MIN;
const CONFIG: DoubleWriteConfig = DoubleWriteConfig { capacity_pages: 4, align_bytes: 512 };
/// Bytes of an entry with one page.
const ENTRY: usize = 1536;

/// A log that is durable as soon as it is asked.
struct Durable;

impl WriteAhead for Durable {
    fn make_durable(&self, _: Lsn) -> falcon::Result<()> {
        Ok(())
    }
}

fn page(number: u32) -> PageId {
    PageId { tablespace: TablespaceId(0), number: PageNumber(number) }
}

/// Gives a page this value, in each of its sectors.
fn set_value(mut sequences: SequencePageMut<'_>, value: u64) {
    let count = sequences.read().slot_count();
    (0..count).step_by(32).for_each(|slot| sequences.set(slot, value as i64));
    sequences.set(count - 1, value as i64);
}

/// A sealed page with this value.
fn image(page: PageId, size: PageSize, value: u64) -> Vec<u8> {
    let mut bytes = vec![0; size.bytes()];
    set_value(SequencePageMut::format(&mut bytes, page, 0), value);
    set_lsn(&mut bytes, Lsn(value));
    seal(&mut bytes, page);
    bytes
}

/// The value of a page that is whole.
fn value_of(bytes: &[u8], page: PageId) -> Option<u64> {
    check(bytes, page).ok().map(|_| SequencePage::of_checked(bytes).value(0) as u64)
}

/// A disk with the tablespace `user` of so many pages of value 0, and an empty double-write file.
fn lay_out(pages: u32) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let file = disk.open(Path::new("user"), &OpenOptions::CREATE_NEW).expect("the disk works");
    let images: Vec<u8> = (0..pages).flat_map(|number| image(page(number), PAGE, 0)).collect();
    file.write_all_at(&images, 0).expect("the disk works");
    file.sync_data().expect("the disk works");
    disk.open(Path::new(COPIES), &OpenOptions::CREATE_NEW).expect("the disk works");
    disk.sync_dir(Path::new("")).expect("the disk works");
    disk
}

fn file(disk: &dyn Disk, name: &str) -> falcon::Result<Arc<dyn File>> {
    disk.open(Path::new(name), &OpenOptions::READ_WRITE).map_err(|error| falcon::Error::Io {
        op: "open",
        file: name.into(),
        source: Arc::new(error),
    })
}

fn files(disk: &dyn Disk) -> falcon::Result<Files> {
    let files = Files::new(PAGE);
    files.add(TablespaceId(0), Path::new("user"), file(disk, "user")?);
    Ok(files)
}

fn copies(disk: &dyn Disk) -> falcon::Result<DoubleWrite> {
    DoubleWrite::open(file(disk, COPIES)?, Path::new(COPIES), PAGE, DATABASE, CONFIG)
}

/// A repaired disk's cache, of four frames, which writes a page at a time.
fn open(disk: &dyn Disk) -> falcon::Result<Cache> {
    let (files, copies) = (files(disk)?, copies(disk)?);
    copies.repair(&files)?;
    let config = CacheConfig { frame_count: 4, run_pages_max: 1 };
    Cache::new(config, files, Arc::new(Durable))?.with_double_write(copies)
}

fn change(cache: &Cache, page: PageId, value: u64) -> falcon::Result<()> {
    let mut guard = cache.write(page)?;
    set_value(SequencePageMut::of_checked(guard.change(Lsn(value))), value);
    Ok(())
}

/// Changes pages and writes them, in this order.
fn put(cache: &Cache, changes: &[(u32, u64)]) {
    for (number, value) in changes {
        change(cache, page(*number), *value).expect("the disk works");
    }
    cache.checkpoint().expect("the disk works");
}

fn edit_page(disk: &MemoryDisk, number: u32, edit: impl FnOnce(&mut [u8])) {
    let from = number as usize * PAGE.bytes();
    disk.edit("user", |bytes| edit(&mut bytes[from..from + PAGE.bytes()]));
}

/// What a page in place holds, if it is whole.
fn in_place(disk: &MemoryDisk, number: u32) -> Option<u64> {
    let mut found = None;
    edit_page(disk, number, |bytes| found = value_of(bytes, page(number)));
    found
}

fn bytes_of(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    disk.edit(name, |bytes| found = bytes.clone());
    found
}

/// The place in the log that a page in place holds.
fn lsn_of(bytes: &[u8]) -> Lsn {
    Header::read(bytes).expect("it is a page").lsn
}
