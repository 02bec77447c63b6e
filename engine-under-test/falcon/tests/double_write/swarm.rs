//! Threads change pages under tiny caches while the disk fails and the power goes, several times over.
//!
//! # Method
//!
//! After each end of a life an opening repairs. Then every page must be whole and not older than the last
//! good checkpoint; and what is found then counts as durable itself. The same lives without copies must
//! leave torn pages: otherwise all this would show nothing.
//!
//! # Invariant
//!
//! The model is told of a change under the page's latch, and of a checkpoint after it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the model stands outside of the run"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use falcon::Error;
use falcon::cache::IoThreads;
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::disk::{DevicePreset, DiskConfig, FsPreset};
use falconry_sim::fault::{Fault, When};
use falconry_sim::machine::{choose, is_off, opened};
use falconry_sim::{End, Ending, Machine, MachineConfig, PowerDraw};

use super::*;

const PAGES: u32 = 12;
const BOOTS: u32 = 5;

/// A log that only tells how far it is.
#[derive(Default)]
struct Numbers(AtomicU64);

impl WriteAhead for Numbers {
    fn make_durable(&self, upto: Lsn) -> falcon::Result<()> {
        assert!(upto.0 <= self.0.load(Relaxed), "a change that no record tells of");
        thread::yield_now();
        Ok(())
    }
}

type Values = BTreeMap<PageId, u64>;

#[derive(Default)]
struct Model {
    latest: Values,
    /// What the disk has at least.
    durable: Values,
    built: u32,
}

/// What the runs met.
#[derive(Default)]
struct Met {
    repaired: AtomicU64,
    torn: AtomicU64,
    lives: AtomicU64,
    refused: AtomicU64,
    stopped: AtomicU64,
    full: AtomicU64,
    checkpoints: AtomicU64,
    entries: AtomicU64,
    syncs: AtomicU64,
}

/// One machine's part.
struct Run<'a> {
    size: PageSize,
    align_bytes: u32,
    has_copies: bool,
    log: Arc<Numbers>,
    model: Arc<Mutex<Model>>,
    met: &'a Met,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run<'_> {
    fn lay_out(&self, disk: &dyn Disk) {
        let file = disk.open(Path::new("user"), &OpenOptions::CREATE).expect("no fault is on");
        let pages = (0..PAGES).flat_map(|number| image(page(number), self.size, 0));
        file.write_all_at(&pages.collect::<Vec<u8>>(), 0).expect("no fault is on");
        file.sync_data().expect("no fault is on");
        disk.open(Path::new(COPIES), &OpenOptions::CREATE).expect("no fault is on");
        disk.sync_dir(Path::new("")).expect("no fault is on");
    }

    fn open(&self, disk: &dyn Disk) -> falcon::Result<Arc<Cache>> {
        let files = Files::new(self.size);
        files.add(TablespaceId(0), Path::new("user"), file(disk, "user")?);
        let config = CacheConfig { frame_count: 6, run_pages_max: 4 };
        let log: Arc<dyn WriteAhead> = Arc::clone(&self.log) as _;
        if !self.has_copies {
            return Ok(Arc::new(Cache::new(config, files, log)?));
        }
        let (path, align_bytes) = (Path::new(COPIES), self.align_bytes);
        let own = DoubleWriteConfig { capacity_pages: 6, align_bytes };
        let copies = DoubleWrite::open(file(disk, COPIES)?, path, self.size, DATABASE, own)?;
        let repaired = copies.repair(&files)?;
        if !is_off() {
            self.met.repaired.fetch_add(repaired.len() as u64, Relaxed);
        }
        Ok(Arc::new(Cache::new(config, files, log)?.with_double_write(copies)?))
    }

    /// Reads every page that there may be. All that is found is durable: a repair has written it again.
    fn judge(&self, disk: &dyn Disk) -> falcon::Result<()> {
        let user = file(disk, "user")?;
        let (latest, durable) = {
            let model = lock(&self.model);
            (model.latest.clone(), model.durable.clone())
        };
        let mut found = Values::new();
        for page in (0..PAGES).map(page).chain(latest.keys().chain(durable.keys()).copied()) {
            let mut bytes = vec![0; self.size.bytes()];
            let offset = u64::from(page.number.0) * self.size.bytes() as u64;
            let read = user.read_exact_at(&mut bytes, offset);
            if let Some(error) =
                read.err().filter(|of| of.kind() != std::io::ErrorKind::UnexpectedEof)
            {
                let (op, file, source) = ("read", "user".into(), Arc::new(error));
                return Err(Error::Io { op, file, source });
            }
            let least = durable.get(&page).copied();
            match value_of(&bytes, page) {
                Some(value) => {
                    assert!(value >= least.unwrap_or(0), "{page} has {value}, not {least:?}");
                    found.insert(page, value);
                }
                None if page.number.0 >= PAGES && least.is_none() => {}
                None if !self.has_copies => {
                    self.met.torn.fetch_add(u64::from(!is_off()), Relaxed);
                }
                None => panic!("{page} is not whole, and had {least:?}"),
            }
        }
        if !is_off() {
            let mut model = lock(&self.model);
            model.durable = found.clone();
            model.latest = found;
        }
        Ok(())
    }

    fn boot(&self, disk: &dyn Disk, io_threads: usize) {
        let cache = match self.open(disk).and_then(|cache| self.judge(disk).map(|()| cache)) {
            Ok(cache) => cache,
            Err(Error::Io { .. } | Error::Stopped(_)) => {
                self.met.refused.fetch_add(u64::from(!is_off()), Relaxed);
                return;
            }
            Err(other) => panic!("{other}"),
        };
        opened();
        self.met.lives.fetch_add(1, Relaxed);
        let threads = IoThreads::start(&cache, io_threads).expect("threads can be had");
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let (cache, log) = (Arc::clone(&cache), Arc::clone(&self.log));
                let model = Arc::clone(&self.model);
                thread::spawn(move || (0..14).for_each(|_| turn(&cache, &log, &model)))
            })
            .collect();
        (0..2).for_each(|_| self.checkpoint(&cache));
        for client in clients {
            client.join().expect("a client's assertion is told by the machine");
        }
        self.checkpoint(&cache);
        drop(threads);
        self.count(&cache);
    }

    fn checkpoint(&self, cache: &Cache) {
        let before = lock(&self.model).latest.clone();
        let result = cache.checkpoint();
        if is_off() {
            return;
        }
        match result {
            Ok(_) => lock(&self.model).durable.extend(before),
            Err(Error::Io { .. }) => {}
            Err(Error::Stopped(_)) => {
                self.met.stopped.fetch_add(1, Relaxed);
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn count(&self, cache: &Cache) {
        let Some(copies) = cache.double_write() else { return };
        let counters = copies.counters();
        self.met.full.fetch_add(counters.full, Relaxed);
        self.met.checkpoints.fetch_add(counters.checkpoints, Relaxed);
        self.met.entries.fetch_add(counters.entries, Relaxed);
        self.met.syncs.fetch_add(counters.syncs, Relaxed);
    }
}

/// Changes a page, builds one, or looks at one.
fn turn(cache: &Cache, log: &Numbers, model: &Mutex<Model>) {
    let known = page(choose("test/page", PAGES.into()) as u32);
    let next = || Lsn(log.0.fetch_add(1, Relaxed) + 1);
    let (page, guard) = match choose("test/what", 6) {
        0 => {
            if let Ok(guard) = cache.read(known) {
                let latest = lock(model).latest.get(&known).copied();
                let found = SequencePage::of_checked(guard.bytes()).value(0) as u64;
                assert!(is_off() || Some(found) == latest, "{known} has {found}, not {latest:?}");
            }
            return;
        }
        1 => {
            let number = {
                let mut model = lock(model);
                model.built += 1;
                PAGES + model.built
            };
            (page(number), cache.create(page(number), next()))
        }
        _ => (known, cache.write(known)),
    };
    let Ok(mut guard) = guard else { return };
    let lsn = next();
    let bytes = guard.change(lsn);
    let sequences = match Header::read(bytes) {
        Ok(_) => SequencePageMut::of_checked(bytes),
        Err(_) => SequencePageMut::format(bytes, page, 0),
    };
    // As large as its place in the log, so that values only grow.
    set_value(sequences, lsn.0);
    if !is_off() {
        lock(model).latest.insert(page, lsn.0);
    }
}

fn live(machine: &mut Machine, met: &Met, size: PageSize, align_bytes: u32, has_copies: bool) {
    let (log, model) = (Arc::default(), Arc::default());
    let run = Run { size, align_bytes, has_copies, log, model, met };
    machine.faults().hold_back(true);
    machine.run(|ctx| run.lay_out(&*ctx.disk()));
    machine.faults().hold_back(false);
    for boot in 0..BOOTS {
        let draw = PowerDraw {
            disk_ops_max: 200,
            syncs_max: 50,
            recovery_ppm: 200_000,
            process_crash_ppm: 300_000,
            ..PowerDraw::default()
        };
        let io_threads = (boot % 3) as usize;
        let end = machine.boot(Ending::Drawn(draw), |ctx| run.boot(&*ctx.disk(), io_threads)).end;
        assert!(!matches!(end, End::Verdict(_)), "{end:?}");
        if matches!(end, End::Returned(())) && boot % 2 == 0 {
            machine.cut_power();
        }
    }
    machine.faults().hold_back(true);
    machine.run(|ctx| {
        let opened = run.open(&*ctx.disk()).map(drop);
        opened.and_then(|()| run.judge(&*ctx.disk())).expect("no fault comes any more");
    });
}

fn sim(name: &str, fs: FsPreset, device: DevicePreset) -> Sim {
    let disk = DiskConfig { fs, device, latency: false, ..DiskConfig::default() };
    let mut sim = Sim::new(name).config(MachineConfig { disk, ..MachineConfig::default() });
    for fault in Fault::ALL.iter().filter(|of| of.when() == When::PowerLoss) {
        sim = sim.fault(*fault, 1_000_000);
    }
    let errors = [
        (Fault::ShortWrite, 30_000),
        (Fault::ShortRead, 30_000),
        (Fault::Eintr, 30_000),
        (Fault::EioRead, 500),
        (Fault::EioWrite, 4_000),
        (Fault::Enospc, 2_000),
        (Fault::SyncFailDirty, 2_000),
        (Fault::SyncFailClean, 4_000),
        (Fault::SyncFailDropped, 4_000),
        (Fault::SpuriousWake, 10_000),
    ];
    errors.into_iter().fold(sim, |sim, (fault, ppm)| sim.fault(fault, ppm))
}

/// File systems and devices that tear pages of this size, with what entries are aligned to.
fn disks() -> impl Iterator<Item = (FsPreset, DevicePreset, PageSize, u32)> {
    let size = |bytes| PageSize::new(bytes).expect("it is one");
    let rows = [
        (FsPreset::Ext4Ordered, DevicePreset::Hdd512n, size(2048), 512),
        (FsPreset::WorstCase, DevicePreset::Hdd512n, size(4096), 512),
        (FsPreset::WorstCase, DevicePreset::Nvme4kn, size(8192), 4096),
        (FsPreset::Ext4Writeback, DevicePreset::RaidBbu, size(8192), 4096),
        (FsPreset::Xfs, DevicePreset::SsdSata512e, size(16384), 4096),
        (FsPreset::Btrfs, DevicePreset::Hdd512n, size(1024), 512),
    ];
    rows.into_iter()
}

#[test]
fn every_page_is_whole_after_a_repair_and_as_new_as_the_last_checkpoint() {
    let met = Met::default();
    for (fs, device, size, align_bytes) in disks() {
        sim("every_page_is_whole_after_a_repair_and_as_new_as_the_last_checkpoint", fs, device)
            .seeds(0..80)
            .run(|machine| live(machine, &met, size, align_bytes, true));
    }
    let counts = [
        ("repaired", &met.repaired, 100),
        ("lives", &met.lives, 1_000),
        ("refused", &met.refused, 20),
        ("stopped", &met.stopped, 50),
        ("full", &met.full, 500),
        ("checkpoints", &met.checkpoints, 500),
    ];
    for (what, count, least) in counts {
        let count = count.load(Relaxed);
        println!("{what}: {count}");
        assert!(count >= least, "{what}: {count}, at least {least} expected");
    }
    let (entries, syncs) = (met.entries.load(Relaxed), met.syncs.load(Relaxed));
    println!("{entries} entries, {syncs} syncs");
    assert!(syncs < entries, "no sync was shared: {entries} entries, {syncs} syncs");
}

#[test]
fn without_copies_pages_are_torn() {
    let met = Met::default();
    for (fs, device, size, align_bytes) in disks().take(2) {
        sim("without_copies_pages_are_torn", fs, device)
            .seeds(0..60)
            .run(|machine| live_without(machine, &met, size, align_bytes));
    }
    let torn = met.torn.load(Relaxed);
    assert!(torn > 20, "{torn} torn pages");
}

/// One life and a look: nothing goes on from torn pages.
fn live_without(machine: &mut Machine, met: &Met, size: PageSize, align_bytes: u32) {
    let (log, model) = (Arc::default(), Arc::default());
    let run = Run { size, align_bytes, has_copies: false, log, model, met };
    machine.faults().hold_back(true);
    machine.run(|ctx| run.lay_out(&*ctx.disk()));
    let draw = PowerDraw { disk_ops_max: 60, process_crash_ppm: 0, ..PowerDraw::default() };
    machine.faults().hold_back(false);
    let end = machine.boot(Ending::Drawn(draw), |ctx| run.boot(&*ctx.disk(), 1)).end;
    assert!(!matches!(end, End::Verdict(_)), "{end:?}");
    machine.faults().hold_back(true);
    machine.run(|ctx| run.judge(&*ctx.disk()).expect("no fault comes any more"));
}
