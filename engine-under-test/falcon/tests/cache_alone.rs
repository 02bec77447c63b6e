//! The page cache without the rest, on the simulated machine, against a small model.
//!
//! Two tablespaces have the same page numbers. Clients change pages and look at them, each change under a
//! record of a log that is only numbers; checkpoints run beside them; now and then the disk refuses, and
//! at last the power goes. The file refuses to be written before the log.

#[macro_use]
mod pass_on;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use falcon::cache::{Cache, CacheConfig, CacheCounters, Files, IoThreads, WriteAhead};
use falcon::page::{Header, PageSize, SequencePage, SequencePageMut, check, seal};
use falcon::{Error, Lsn, PageId, PageNumber, TablespaceId};
use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::sync::Mutex;
use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::thread;
use falconry_sim::choice::Choices;
use falconry_sim::disk::{DevicePreset, DiskConfig};
use falconry_sim::fault::Fault;
use falconry_sim::{End, Ending, Machine, MachineConfig, PowerDraw, choose, exit};

/// Pages are smaller than the device's sectors, so that no page is torn: the cache repairs nothing.
const PAGE: PageSize = PageSize::MIN;
const PAGES: u32 = 12;
const TABLESPACES: u32 = 2;
const PATHS: [&str; 2] = ["catalogue", "user"];

/// The value of a page: that of its first sequence.
fn value_of(bytes: &[u8]) -> u64 {
    SequencePage::of_checked(bytes).value(0) as u64
}

/// A log that is nothing but how far it goes.
#[derive(Default)]
struct Numbers {
    appended: AtomicU64,
    durable: AtomicU64,
    /// From here on nothing becomes durable any more; 0 for never.
    fails_from: AtomicU64,
    /// The next caller waits until this is [`LET_GO`].
    holds: AtomicU64,
}

const HOLD_NEXT: u64 = 1;
const HELD: u64 = 2;
const LET_GO: u64 = 0;

impl WriteAhead for Numbers {
    fn make_durable(&self, upto: Lsn) -> falcon::Result<()> {
        assert!(upto.0 <= self.appended.load(Ordering::SeqCst), "a change that no record tells of");
        let fails_from = self.fails_from.load(Ordering::SeqCst);
        if fails_from > 0 && upto.0 >= fails_from {
            return Err(Error::Stopped("the log is full".into()));
        }
        let next = self.holds.compare_exchange(HOLD_NEXT, HELD, Ordering::SeqCst, Ordering::SeqCst);
        while next.is_ok() && self.holds.load(Ordering::SeqCst) != LET_GO {
            thread::sleep(Duration::from_millis(1));
        }
        thread::yield_now();
        self.durable.fetch_max(upto.0, Ordering::SeqCst);
        Ok(())
    }
}

/// A file that notices a page which comes before the log.
struct AfterTheLog {
    inner: Arc<dyn File>,
    log: Arc<Numbers>,
}

impl File for AfterTheLog {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        // A write that goes on after a short one begins within a page.
        if offset.is_multiple_of(PAGE.bytes() as u64) {
            for page in bytes.chunks_exact(PAGE.bytes()) {
                let durable = self.log.durable.load(Ordering::SeqCst);
                let lsn = Header::read(page).expect("it is a page of ours").lsn;
                assert!(lsn.0 <= durable, "a page is written before the log");
            }
        }
        self.inner.write_at(bytes, offset)
    }

    pass_on!(read_at, sync_data, sync_all, len, set_len, allocate, try_lock, unlock);
}

type Values = BTreeMap<PageId, u64>;

/// What must hold, whoever looks.
#[derive(Default)]
struct Model {
    /// The last value of each page that somebody put there.
    latest: Mutex<Values>,
    /// What the disk has at least: what was there when the last good checkpoint began.
    durable: Mutex<Values>,
    /// Pages that were built anew.
    built: AtomicU64,
}

fn page(number: u64) -> PageId {
    let tablespace = TablespaceId((number % u64::from(TABLESPACES)) as u32);
    PageId { tablespace, number: PageNumber((number / u64::from(TABLESPACES)) as u32) }
}

fn all_pages() -> impl Iterator<Item = PageId> {
    (0..u64::from(PAGES * TABLESPACES)).map(page)
}

/// Files with every page, each with value 0.
fn lay_out(disk: &dyn Disk) -> io::Result<()> {
    for (tablespace, path) in PATHS.iter().enumerate() {
        let file = disk.open(Path::new(path), &OpenOptions::CREATE)?;
        for number in 0..PAGES {
            let tablespace = TablespaceId(tablespace as u32);
            let page = PageId { tablespace, number: PageNumber(number) };
            let mut bytes = vec![0; PAGE.bytes()];
            SequencePageMut::format(&mut bytes, page, number);
            seal(&mut bytes, page);
            file.write_all_at(&bytes, u64::from(number) * PAGE.bytes() as u64)?;
        }
        file.sync_data()?;
    }
    disk.sync_dir(Path::new(""))
}

fn open(disk: &dyn Disk, log: &Arc<Numbers>, frame_count: usize) -> Arc<Cache> {
    let files = Files::new(PAGE);
    for (tablespace, path) in PATHS.iter().enumerate() {
        let inner = disk.open(Path::new(path), &OpenOptions::READ_WRITE).expect("no such fault");
        let file = Arc::new(AfterTheLog { inner, log: Arc::clone(log) });
        files.add(TablespaceId(tablespace as u32), Path::new(path), file);
    }
    let config = CacheConfig { frame_count, run_pages_max: 4 };
    let log: Arc<dyn WriteAhead> = Arc::clone(log) as _;
    Arc::new(Cache::new(config, files, log).expect("the configuration is in range"))
}

/// Changes pages, or looks at them, or goes through all of them.
fn client(cache: &Cache, log: &Numbers, model: &Model, turns: u64) {
    for _ in 0..turns {
        let page = page(choose("test/page", u64::from(PAGES * TABLESPACES)));
        match choose("test/what", 4) {
            0 | 1 => change(cache, log, model, page),
            2 => look(cache, model, page),
            _ => all_pages().for_each(|page| look(cache, model, page)),
        }
    }
}

fn change(cache: &Cache, log: &Numbers, model: &Model, page: PageId) {
    let next = || Lsn(log.appended.fetch_add(1, Ordering::SeqCst) + 1);
    let (page, guard) = if choose("test/anew", 4) == 0 {
        // Nobody else knows of the page yet.
        let number = PAGES + model.built.fetch_add(1, Ordering::SeqCst) as u32;
        let page =
            PageId { tablespace: TablespaceId(number % TABLESPACES), number: PageNumber(number) };
        (page, cache.create(page, next()))
    } else {
        (page, cache.write(page))
    };
    let Ok(mut guard) = guard else { return };
    let lsn = next();
    let bytes = guard.change(lsn);
    let mut sequences = match Header::read(bytes) {
        Ok(_) => SequencePageMut::of_checked(bytes),
        Err(_) => SequencePageMut::format(bytes, page, 0),
    };
    // As large as its place in the log, so that values only grow.
    sequences.set(0, lsn.0 as i64);
    model.latest.lock().expect("nobody panics").insert(page, lsn.0);
}

fn look(cache: &Cache, model: &Model, page: PageId) {
    if let Ok(guard) = cache.read(page) {
        let latest = model.latest.lock().expect("nobody panics").get(&page).copied().unwrap_or(0);
        assert_eq!(value_of(guard.bytes()), latest, "{page} is not as it was left");
    }
}

fn checkpoint(cache: &Cache, model: &Model) {
    let before = model.latest.lock().expect("nobody panics").clone();
    if cache.checkpoint().is_ok() {
        *model.durable.lock().expect("nobody panics") = before;
        // Whatever it has not waited for is lost, if it is lost now.
        if choose("test/leave", 2) == 0 {
            exit();
        }
    }
}

/// What a run came to.
#[derive(Default)]
struct Met {
    counters: Vec<CacheCounters>,
    cuts: u64,
    left: u64,
    checkpoints_failed: u64,
    log_stopped: u64,
}

fn run(seed: u64, met: &mut Met) {
    let disk = DiskConfig { device: DevicePreset::Nvme4kn, ..DiskConfig::default() };
    let config = MachineConfig { disk, ..MachineConfig::default() };
    let mut machine = Machine::new(config, Choices::from_seed(seed));
    machine.run(|ctx| lay_out(&*ctx.disk())).expect("no fault is on yet");
    for fault in [Fault::ShortWrite, Fault::ShortRead, Fault::Eintr, Fault::SpuriousWake] {
        machine.faults().set_rate(fault, 20_000);
    }
    // A write that takes long is overtaken by a whole checkpoint.
    machine.faults().set_rate(Fault::StallOp, 100_000);
    if seed.is_multiple_of(3) {
        for fault in [Fault::EioWrite, Fault::EioRead, Fault::Enospc, Fault::SyncFailDirty] {
            machine.faults().set_rate(fault, 10_000);
        }
    }
    let log = Arc::new(Numbers::default());
    if seed % 5 == 4 {
        log.fails_from.store(12, Ordering::SeqCst);
    }
    let model = Arc::new(Model::default());
    let draw = PowerDraw { disk_ops_max: 256, process_crash_ppm: 0, ..PowerDraw::default() };
    let boot = machine.boot(Ending::Drawn(draw), |ctx| live(&*ctx.disk(), seed, &log, &model));
    match boot.end {
        End::PowerLoss => met.cuts += 1,
        End::Exited => {
            met.left += 1;
            machine.cut_power();
        }
        End::Returned((counters, failed)) => {
            met.counters.push(counters);
            met.checkpoints_failed += u64::from(failed);
            met.log_stopped += u64::from(seed % 5 == 4 && failed);
            machine.cut_power();
        }
        End::Verdict(verdict) => panic!("seed {seed}: {verdict}"),
        end => panic!("seed {seed}: {end:?}"),
    }
    machine.faults().hold_back(true);
    machine.run(|ctx| judge(&*ctx.disk(), seed, &model));
}

fn live(
    disk: &dyn Disk,
    seed: u64,
    log: &Arc<Numbers>,
    model: &Arc<Model>,
) -> (CacheCounters, bool) {
    let cache = open(disk, log, 6);
    let threads = IoThreads::start(&cache, (seed % 3) as usize).expect("threads can be had");
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (cache, log, model) = (Arc::clone(&cache), Arc::clone(log), Arc::clone(model));
            thread::spawn(move || client(&cache, &log, &model, 12))
        })
        .collect();
    for _ in 0..3 {
        checkpoint(&cache, model);
    }
    for client in clients {
        client.join().expect("a client's assertion is told by the machine");
    }
    let last = model.latest.lock().expect("nobody panics").clone();
    let result = cache.checkpoint();
    if result.is_ok() {
        *model.durable.lock().expect("nobody panics") = last;
        assert_eq!(cache.dirty_count(), 0, "all is written, and nobody changes anything");
    }
    drop(threads);
    assert_eq!(cache.pinned_count(), 0, "every guard is gone");
    (cache.counters(), result.is_err())
}

/// Every page is a page, at least as new as the last good checkpoint; those built anew are there if it
/// covers them.
fn judge(disk: &dyn Disk, seed: u64, model: &Model) {
    let durable = model.durable.lock().expect("nobody panics").clone();
    let file = |page: PageId| {
        let path = Path::new(PATHS[page.tablespace.0 as usize]);
        disk.open(path, &OpenOptions::READ).expect("no fault comes")
    };
    for page in all_pages().chain(durable.keys().copied()) {
        let mut bytes = vec![0; PAGE.bytes()];
        let offset = u64::from(page.number.0) * PAGE.bytes() as u64;
        let read = file(page).read_exact_at(&mut bytes, offset);
        read.unwrap_or_else(|error| panic!("seed {seed}: {page}: {error}"));
        check(&bytes, page).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        let (found, least) = (value_of(&bytes), durable.get(&page).copied().unwrap_or(0));
        assert!(found >= least, "seed {seed}: {page} has {found}, not {least}");
    }
}

#[test]
fn what_a_checkpoint_covers_survives_and_no_page_comes_before_the_log() {
    let mut met = Met::default();
    for seed in 0..2_000 {
        run(seed, &mut met);
    }
    let sum = |of: fn(&CacheCounters) -> u64| met.counters.iter().map(of).sum::<u64>();
    let (hits, misses, evictions) = (sum(|c| c.hits), sum(|c| c.misses), sum(|c| c.evictions));
    let (pages, runs) = (sum(|c| c.pages_written), sum(|c| c.runs_written));
    let eviction_writes = sum(|c| c.eviction_writes);
    assert!(hits > 1_000 && misses > 1_000, "{hits} hits, {misses} misses");
    assert!(evictions > 1_000, "{evictions} evictions");
    assert!(pages > runs, "no run has two pages: {pages}, {runs}");
    assert!(eviction_writes > 100, "{eviction_writes} pages written to make room");
    assert!(met.cuts > 100, "the power went {} times", met.cuts);
    assert!(met.left > 100, "{} left after a checkpoint", met.left);
    assert!(met.checkpoints_failed > 10, "{} failed", met.checkpoints_failed);
    assert!(met.log_stopped > 5, "the log stopped {} times", met.log_stopped);
}

#[test]
fn a_checkpoint_waits_for_an_eviction_that_has_begun_to_write() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    machine.run(|ctx| lay_out(&*ctx.disk())).expect("no fault is on");
    machine.run(|ctx| {
        let (log, model) = (Arc::new(Numbers::default()), Model::default());
        let cache = open(&*ctx.disk(), &log, 4);
        (0..4).for_each(|number| change(&cache, &log, &model, page(number)));
        log.holds.store(HOLD_NEXT, Ordering::SeqCst);
        let evicts = Arc::clone(&cache);
        let evictor = thread::spawn(move || drop(evicts.read(page(5)).expect("no fault is on")));
        thread::sleep(Duration::from_secs(1));
        assert_eq!(log.holds.load(Ordering::SeqCst), HELD, "a page is written to make room");

        let checkpoints = Arc::clone(&cache);
        let checkpoint = thread::spawn(move || checkpoints.checkpoint().expect("no fault is on"));
        thread::sleep(Duration::from_secs(1));
        assert!(!checkpoint.is_finished(), "it has not waited for that page");
        log.holds.store(LET_GO, Ordering::SeqCst);
        let report = checkpoint.join().expect("it does not panic");
        evictor.join().expect("it does not panic");
        assert_eq!((report.pages, cache.dirty_count()), (4, 0));
    });
}
