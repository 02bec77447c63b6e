//! Falcon's page cache without the rest, as a store of pairs.
//!
//! # Method
//!
//! The pairs of a lane lie on one page, in one of two tablespaces that have the same page numbers. A commit
//! changes the page in the cache and makes a checkpoint, which must make it durable. It also touches pages
//! that hold nothing, so that frames are given up, and pages written, all the time. The log that pages wait
//! for is nothing but how far it goes.
//!
//! # Invariant
//!
//! A page holds a whole number of transactions: it is durable as a whole, for a torn one is repaired from its
//! second copy.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falcon::cache::{
    Cache, CacheConfig, DoubleWrite, DoubleWriteConfig, Files, IoThreads, Versions, WriteAhead,
};
use falcon::page::{DataPage, DataPageMut, PageSize, Record, SectionId, seal};
use falcon::{Error, Lsn, Options, PageId, PageNumber, TablespaceId};
use falconry_seam::disk::{Disk, OpenOptions};
use falconry_seam::sync::atomic::{AtomicU64, Ordering};

use super::part::{self, Alone, Part, Writes};
use super::{failure, pick};
use crate::engine::{Database, EngineError, Pair};

const FILES: [&str; 2] = ["pages.0", "pages.1"];
const DOUBLE_WRITE: &str = "double";
const VERSIONS: &str = "versions";
const IDENTITY: u64 = 0xCAC4E;
/// Pages of lanes in each tablespace: half of the most clients that there are.
const LANE_PAGES: u32 = 32;
/// Pages that hold nothing.
const EMPTY_PAGES: u32 = 16;
const SECTION: SectionId = SectionId(1);

/// A log that is nothing but how far it goes: whatever a page waits for is durable.
#[derive(Default)]
struct Numbers(AtomicU64);

impl WriteAhead for Numbers {
    fn make_durable(&self, upto: Lsn) -> falcon::Result<()> {
        assert!(upto.0 <= self.0.load(Ordering::SeqCst), "a change that no record tells of");
        Ok(())
    }
}

struct CacheAlone {
    cache: Arc<Cache>,
    log: Arc<Numbers>,
    io_threads: IoThreads,
}

fn page_of(lane: u8) -> PageId {
    let (tablespace, number) = (TablespaceId(u32::from(lane) % 2), u32::from(lane) / 2);
    PageId { tablespace, number: PageNumber(number) }
}

fn lane_of(key: &[u8]) -> Result<u8, EngineError> {
    match key {
        [.., 0, lane] if u32::from(*lane) < 2 * LANE_PAGES => Ok(*lane),
        _ => Err(EngineError::Refused { what: "the page cache alone keeps pairs by lanes".into() }),
    }
}

/// Opens the cache over its files, or creates them.
pub(super) fn open(disk: &dyn Disk, options: &Options) -> Result<Box<dyn Database>, EngineError> {
    let size = PageSize::new(options.page_bytes.into()).map_err(failure)?;
    if !part::is_complete(disk)? {
        let names: Vec<&Path> =
            FILES.iter().chain([&DOUBLE_WRITE, &VERSIONS]).map(Path::new).collect();
        part::remove(disk, &names)?;
        create(disk, size)?;
        part::complete(disk)?;
    }
    let files = Files::new(size);
    for (tablespace, name) in (0..).zip(FILES) {
        let file = disk.open(Path::new(name), &OpenOptions::READ_WRITE)?;
        files.add(TablespaceId(tablespace), Path::new(name), file);
    }
    let log = Arc::new(Numbers::default());
    if pick("falcon/wrong_cache", 8) == 7 {
        refuse_settings(disk, size, &log)?;
    }
    let config = DoubleWriteConfig {
        capacity_pages: options.double_write_pages,
        align_bytes: disk.sector_size().max(512),
    };
    let file = disk.open(Path::new(DOUBLE_WRITE), &OpenOptions::READ_WRITE)?;
    let double_write = DoubleWrite::open(file, Path::new(DOUBLE_WRITE), size, IDENTITY, config);
    let double_write = double_write.map_err(failure)?;
    double_write.repair(&files).map_err(failure)?;
    let config = CacheConfig {
        // Fewer than there are pages, and enough for each thread.
        frame_count: options.io_threads + 20,
        run_pages_max: options.run_pages_max,
    };
    let file = disk.open(Path::new(VERSIONS), &OpenOptions::CREATE)?;
    let spaces = FILES.len() as u32;
    let versions = Versions::open(file, Path::new(VERSIONS), IDENTITY, spaces).map_err(failure)?;
    let cache = Cache::new(config, files, Arc::clone(&log) as _).map_err(failure)?;
    let cache = cache.with_versions(versions);
    let cache = Arc::new(cache.with_double_write(double_write).map_err(failure)?);
    let newest = all_pages().map(|page| Ok(cache.read(page)?.lsn().0));
    let newest = newest.collect::<Result<Vec<u64>, Error>>().map_err(failure)?;
    log.0.store(newest.into_iter().max().unwrap_or(0), Ordering::SeqCst);
    let io_threads = IoThreads::start(&cache, options.io_threads).map_err(failure)?;
    Ok(Box::new(Alone(Box::new(CacheAlone { cache, log, io_threads }))))
}

fn all_pages() -> impl Iterator<Item = PageId> {
    let numbers = 0..LANE_PAGES + EMPTY_PAGES;
    numbers.flat_map(|number| {
        (0..2).map(move |space| PageId {
            tablespace: TablespaceId(space),
            number: PageNumber(number),
        })
    })
}

/// Makes all files, with every page empty.
fn create(disk: &dyn Disk, size: PageSize) -> io::Result<()> {
    for (tablespace, name) in (0..).zip(FILES) {
        let file = disk.open(Path::new(name), &OpenOptions::CREATE)?;
        for page in all_pages().filter(|page| page.tablespace == TablespaceId(tablespace)) {
            let mut bytes = vec![0; size.bytes()];
            DataPageMut::format(&mut bytes, page, SECTION);
            seal(&mut bytes, page);
            file.write_all_at(&bytes, u64::from(page.number.0) * size.bytes() as u64)?;
        }
        file.sync_all()?;
    }
    disk.open(Path::new(DOUBLE_WRITE), &OpenOptions::CREATE)?.sync_all()
}

/// The pairs of a page.
fn pairs_of(bytes: &[u8]) -> Result<Vec<Pair>, EngineError> {
    let records = DataPage::of_checked(bytes).records();
    records.map(|(_, record)| pair_of(record.head)).collect()
}

fn pair_of(record: &[u8]) -> Result<Pair, EngineError> {
    let wrong = || EngineError::Corrupt { what: format!("a record is no pair: {record:02x?}") };
    let (length, rest) = record.split_first().ok_or_else(wrong)?;
    let (key, value) = rest.split_at_checked((*length).into()).ok_or_else(wrong)?;
    Ok((key.to_vec(), value.to_vec()))
}

fn record_of(key: &[u8], value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(key.len()).expect("keys of workloads are short");
    [&[length], key, value].concat()
}

impl CacheAlone {
    fn next(&self) -> Lsn {
        Lsn(self.log.0.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Writes the pairs of a lane over its page.
    fn change(&self, lane: u8, writes: Writes) -> Result<(), EngineError> {
        let id = page_of(lane);
        let mut guard = self.cache.write(id).map_err(failure)?;
        let before = pairs_of(guard.bytes())?.into_iter().map(|(key, value)| (key, Some(value)));
        let after: Writes = before.chain(writes).collect();
        let bytes = guard.change(self.next());
        bytes.fill(0);
        let mut page = DataPageMut::format(bytes, id, SECTION);
        for (key, value) in after.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            let record = record_of(key, value);
            let put = page.insert(Record::whole(&record));
            put.map_err(|no_room| EngineError::Refused { what: no_room.to_string() })?;
        }
        Ok(())
    }

    /// Changes a page that holds nothing into itself.
    fn touch(&self) -> Result<(), EngineError> {
        let number = LANE_PAGES + pick("falcon/touched", EMPTY_PAGES.into()) as u32;
        let tablespace = TablespaceId(pick("falcon/tablespace", 2) as u32);
        let page = PageId { tablespace, number: PageNumber(number) };
        let mut guard = self.cache.write(page).map_err(failure)?;
        if guard.page() != page {
            let what = format!("{page} was asked for, and {} came", guard.page());
            return Err(EngineError::Corrupt { what });
        }
        let lsn = self.next();
        guard.change(lsn);
        Ok(())
    }
}

impl CacheAlone {
    /// Pages that there are not, and settings that there cannot be, are refused as such.
    fn refuse(&self) -> Result<(), EngineError> {
        let tablespace = TablespaceId(FILES.len() as u32);
        let nowhere = PageId { tablespace, number: PageNumber(0) };
        let beyond = PageId { tablespace: TablespaceId(0), number: PageNumber(1 << 20) };
        let size = self.cache.files().page_size();
        let set = |frame_count, run_pages_max| {
            let config = CacheConfig { frame_count, run_pages_max };
            Cache::new(config, Files::new(size), Arc::clone(&self.log) as _).map(drop)
        };
        let outcomes = [
            (self.cache.read(nowhere).map(drop), "tablespace 2 is not open"),
            (self.cache.write(nowhere).map(drop), "tablespace 2 is not open"),
            (self.cache.read(beyond).map(drop), "the file ends before it"),
            (set(3, 1), "frame_count is 3"),
            (set(8, 0), "run_pages_max is 0"),
        ];
        outcomes.into_iter().try_for_each(|(outcome, expected)| judged(outcome, expected))
    }
}

/// Settings of the double-write file that there cannot be, or that do not fit to the cache, are refused.
fn refuse_settings(disk: &dyn Disk, size: PageSize, log: &Arc<Numbers>) -> Result<(), EngineError> {
    let open = |capacity_pages, align_bytes, identity| {
        let file = disk.open(Path::new(DOUBLE_WRITE), &OpenOptions::READ_WRITE)?;
        let config = DoubleWriteConfig { capacity_pages, align_bytes };
        Ok::<_, EngineError>(DoubleWrite::open(
            file,
            Path::new(DOUBLE_WRITE),
            size,
            identity,
            config,
        ))
    };
    let usual = DoubleWriteConfig::default();
    let fitted = |double_write: DoubleWrite, size| {
        // Refused before anything is read: it needs no frames to speak of.
        let config = CacheConfig { run_pages_max: usual.capacity_pages, frame_count: 4 };
        let cache = Cache::new(config, Files::new(size), Arc::clone(log) as _);
        cache.and_then(|cache| cache.with_double_write(double_write)).map(drop)
    };
    let other = if size == PageSize::MIN { PageSize::MAX } else { PageSize::MIN };
    let opened = |capacity, align_bytes| open(capacity, align_bytes, IDENTITY);
    let align = usual.align_bytes;
    let outcomes = [
        (opened(0, 512)?.map(drop), "capacity_pages is 0"),
        (opened(8, 1_000)?.map(drop), "align_bytes is 1000"),
        (opened(8, align)?.and_then(|opened| fitted(opened, size)), "capacity_pages is 8"),
        (
            opened(usual.capacity_pages, align)?.and_then(|opened| fitted(opened, other)),
            "page_bytes is",
        ),
    ];
    for (outcome, expected) in outcomes {
        judged(outcome, expected)?;
    }
    // Only where there are entries is it known whose the file is.
    match open(usual.capacity_pages, align, IDENTITY + 1)? {
        Ok(_) => Ok(()),
        foreign => judged(foreign.map(drop), "it belongs to database"),
    }
}

/// Passes on what the disk has refused, and tells of an answer that is not as expected.
fn judged(outcome: falcon::Result<()>, expected: &str) -> Result<(), EngineError> {
    match outcome {
        Err(error) if error.to_string().contains(expected) => Ok(()),
        Err(error @ (Error::Io { .. } | Error::Stopped(_) | Error::CacheFull { .. })) => {
            Err(failure(error))
        }
        other => {
            let what = format!("a wrong call came to {other:?}, expected {expected}");
            Err(EngineError::Corrupt { what })
        }
    }
}

impl Part for CacheAlone {
    fn range(&self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let lanes = match lane_of(from) {
            Ok(lane) => lane..=lane,
            Err(_) => 0..=(2 * LANE_PAGES - 1) as u8,
        };
        let mut pairs = Vec::new();
        for lane in lanes {
            let guard = self.cache.read(page_of(lane)).map_err(failure)?;
            pairs.extend(pairs_of(guard.bytes())?);
        }
        pairs.retain(|(key, _)| from <= key.as_slice() && to.is_none_or(|to| key.as_slice() < to));
        pairs.sort();
        Ok(pairs)
    }

    fn commit(&self, writes: Writes) -> Result<(), EngineError> {
        let lane = writes.keys().next().map(|key| lane_of(key)).transpose()?;
        self.touch()?;
        if let Some(lane) = lane {
            self.change(lane, writes)?;
        }
        self.cache.checkpoint().map_err(failure)?;
        Ok(())
    }

    fn upkeep(&self) -> Result<(), EngineError> {
        match pick("falcon/cache_upkeep", 8) {
            7 => self.refuse(),
            _ => self.touch(),
        }
    }

    fn check(&self) -> Result<(), EngineError> {
        for page in all_pages() {
            let found = self.cache.read(page).map_err(failure)?.page();
            if found != page {
                let what = format!("{page} was asked for, and {found} came");
                return Err(EngineError::Corrupt { what });
            }
        }
        self.cache.checkpoint().map_err(failure)?;
        match (self.cache.pinned_count(), self.cache.dirty_count()) {
            (0, 0) => Ok(()),
            (pinned, dirty) => {
                let what = format!("nobody has a page: {pinned} frames are pinned, {dirty} dirty");
                Err(EngineError::Corrupt { what })
            }
        }
    }

    fn close(self: Box<Self>) -> Result<(), EngineError> {
        self.cache.checkpoint().map_err(failure)?;
        drop(self.io_threads);
        Ok(())
    }
}
