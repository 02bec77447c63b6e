//! The log on the simulated machine: threads append, flush and move the start of recovery while the disk
//! fails and the power goes; after each opening the log is compared with a model.
//!
//! # Method
//!
//! A record says in itself which append it is of, and its bytes follow from that. The model knows which
//! appends were begun, at which place each of them ended, and how far a flush was acknowledged. An
//! opening must find all that was acknowledged at its place, and nothing that was never begun, twice
//! there, or missed by an opening before.
//!
//! # Invariant
//!
//! The model is told of an append before the log is, and of a flush after it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the model stands outside of the run"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use falcon::log::{Log, LogConfig, LogTail, Record, RecordKind};
use falcon::{Error, Lsn};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::disk::{DiskConfig, FsPreset};
use falconry_sim::fault::Fault;
use falconry_sim::machine::{choose, is_off, opened};
use falconry_sim::{At, Ctx, End, Ending, Machine, MachineConfig, PowerDraw};

const DATABASE: u64 = 0xfa1c;
const BOOTS: u32 = 4;
/// Openings within one boot, after the log has stopped.
const LIVES: u32 = 3;
const APPENDERS: u64 = 3;
const APPENDS: u64 = 14;

const CONFIG: LogConfig = LogConfig {
    file_bytes: 4096,
    file_bytes_max: 6144,
    window_bytes: 1536,
    window_count: 2,
    block_bytes: 512,
};

fn names() -> [&'static Path; 2] {
    [Path::new("falcon.log1"), Path::new("falcon.log2")]
}

/// Number of an append, over all boots.
type Id = u64;

/// What the bytes of an append are: its number, and a length and content that follow from it.
fn content(id: Id) -> Vec<u8> {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let long = if mixed >> 62 == 0 { 900 } else { 120 };
    let bytes = (mixed >> 20) % long;
    let rest = (0..bytes).map(|at| (mixed >> (at % 8 * 8)) as u8 ^ at as u8);
    id.to_le_bytes().into_iter().chain(rest).collect()
}

fn id_of(record: &Record) -> Id {
    let bytes = record.bytes().first_chunk().expect("a record begins with its number");
    Id::from_le_bytes(*bytes)
}

/// A record that is known to be at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    id: Id,
    end: Lsn,
}

#[derive(Default)]
struct Model {
    is_created: bool,
    next_id: Id,
    /// Begun, and not missed by an opening.
    begun: BTreeSet<Id>,
    /// By the places where they begin.
    known: BTreeMap<Lsn, Known>,
    acknowledged: Lsn,
    /// Starts of recovery that the log was told of, from the one that was found last.
    start_min: Lsn,
    start_max: Lsn,
}

impl Model {
    fn begin(&mut self) -> Id {
        self.next_id += 1;
        self.begun.insert(self.next_id);
        self.next_id
    }

    fn appended(&mut self, id: Id, end: Lsn) {
        let lsn = Lsn(end.0 - 5 - content(id).len() as u64);
        let before = self.known.insert(lsn, Known { id, end });
        assert_eq!(before, None, "two appends at {lsn}");
    }

    /// Compares what an opening has found, and goes on from there.
    fn compare(&mut self, tail: &LogTail, records: &[Record]) {
        assert!(tail.end >= self.acknowledged, "{tail:?}, acknowledged to {}", self.acknowledged);
        let starts = self.start_min..=self.start_max;
        assert!(starts.contains(&tail.recovery_start), "{tail:?}, not in {starts:?}");
        let mut next = tail.recovery_start;
        let mut found = BTreeMap::new();
        for record in records {
            let id = id_of(record);
            assert_eq!(record.lsn(), next, "{record:?} is not behind the one before");
            assert_eq!(record.kind(), RecordKind(id as u8), "{record:?}");
            assert_eq!(record.bytes(), content(id), "{record:?}");
            assert!(self.begun.contains(&id), "{record:?} of {id} was never begun, or was lost");
            found.insert(record.lsn(), Known { id, end: record.end() });
            next = record.end();
        }
        assert_eq!(next, tail.end, "the records do not reach the end");
        for (lsn, known) in self.known.range(tail.recovery_start..tail.end) {
            assert_eq!(found.get(lsn), Some(known), "at {lsn}");
        }
        let ids: BTreeSet<Id> = found.values().map(|known| known.id).collect();
        assert_eq!(ids.len(), found.len(), "a record is there twice");
        // Records before the start are not looked at: who is known to be there stays.
        self.known.retain(|lsn, _| *lsn < tail.recovery_start);
        self.begun = self.known.values().map(|known| known.id).chain(ids).collect();
        self.known.append(&mut found);
        self.acknowledged = tail.end;
        (self.start_min, self.start_max) = (tail.recovery_start, self.start_max.min(tail.end));
        // A start beyond the end that was found is one that no block named.
        self.start_max = self.start_max.max(self.start_min);
    }
}

/// What the runs met.
#[derive(Default)]
struct Met {
    lives: AtomicU64,
    records: AtomicU64,
    switches: AtomicU64,
    stalls: AtomicU64,
    torn: AtomicU64,
    stopped: AtomicU64,
    refused: AtomicU64,
}

struct Run<'a> {
    model: Mutex<Model>,
    met: &'a Met,
}

impl Run<'_> {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One boot: lives of the log until one ends well.
    fn boot(&self, disk: &dyn Disk) {
        for _ in 0..LIVES {
            let log = match self.open(disk) {
                Ok(log) => log,
                // The disk refused: nothing was changed, and the next opening is as this one.
                Err(Error::Io { .. }) => {
                    self.met.refused.fetch_add(u64::from(!is_off()), Relaxed);
                    continue;
                }
                Err(other) => panic!("{other}"),
            };
            self.met.lives.fetch_add(1, Relaxed);
            opened();
            let is_over = self.work(&log);
            let counters = log.counters();
            self.met.switches.fetch_add(counters.switches, Relaxed);
            self.met.stalls.fetch_add(counters.stalls, Relaxed);
            if is_over {
                return;
            }
            self.met.stopped.fetch_add(u64::from(!is_off()), Relaxed);
        }
    }

    fn open(&self, disk: &dyn Disk) -> Result<Log, Error> {
        if !self.model().is_created {
            // What an unfinished creation has left is the caller's to remove.
            for name in names() {
                match disk.remove(name) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::Io {
                            op: "remove",
                            file: name.into(),
                            source: error.into(),
                        });
                    }
                    _ => {}
                }
            }
            let log = Log::create(disk, names(), CONFIG, DATABASE)?;
            self.model().is_created = !is_off();
            return Ok(log);
        }
        let (log, tail) = Log::open(disk, names(), CONFIG, DATABASE)?;
        let records: Vec<Record> = log.records(tail.recovery_start).collect::<Result<_, _>>()?;
        self.met.torn.fetch_add(tail.is_torn.into(), Relaxed);
        self.met.records.fetch_add(records.len() as u64, Relaxed);
        self.model().compare(&tail, &records);
        Ok(log)
    }

    /// Threads work on the log until all are done or it stops. Says whether they were done.
    fn work(&self, log: &Log) -> bool {
        let at_work = AtomicU64::new(APPENDERS);
        thread::scope(|scope| {
            let appenders: Vec<_> = (0..APPENDERS)
                .map(|_| {
                    scope.spawn(|| {
                        let end = self.append(log);
                        at_work.fetch_sub(1, Relaxed);
                        end
                    })
                })
                .collect();
            let checkpoints = scope.spawn(|| self.checkpoints(log, &at_work));
            let mut is_over = true;
            for appender in appenders {
                is_over &= stopped_or(appender.join().expect("no thread panics"));
            }
            checkpoints.join().expect("no thread panics");
            is_over
        })
    }

    fn append(&self, log: &Log) -> Result<(), Error> {
        for _ in 0..APPENDS {
            let id = self.model().begin();
            let bytes = content(id);
            let (head, rest) = bytes.split_at(8);
            let end = log.append(RecordKind(id as u8), &[head, rest])?;
            self.model().appended(id, end);
            if choose("log_alone/flush", 3) == 0 {
                log.flush(end)?;
                assert!(log.durable() >= end, "{} after a flush to {end}", log.durable());
                let mut model = self.model();
                model.acknowledged = model.acknowledged.max(end);
            }
        }
        let end = log.end();
        log.flush(end)?;
        let mut model = self.model();
        model.acknowledged = model.acknowledged.max(end);
        Ok(())
    }

    /// Moves the start of recovery on, and reads what is there.
    fn checkpoints(&self, log: &Log, at_work: &AtomicU64) {
        while at_work.load(Relaxed) > 0 {
            for _ in 0..choose("log_alone/pause", 24) {
                thread::yield_now();
            }
            // The model's lock is none of the machine's: nothing that may switch is called under it.
            let from = log.retained_from();
            let places: Vec<Lsn> = self.model().known.range(from..).map(|of| *of.0).collect();
            let Some(last) = places.len().checked_sub(1) else { continue };
            self.read(log, places[choose("log_alone/read", places.len() as u64) as usize]);
            let start = places[last - choose("log_alone/start", places.len() as u64) as usize / 2];
            {
                let mut model = self.model();
                model.start_max = model.start_max.max(start);
            }
            log.set_recovery_start(start);
        }
    }

    fn read(&self, log: &Log, lsn: Lsn) {
        match log.read(lsn) {
            Ok(record) => {
                let id = id_of(&record);
                assert_eq!(record.bytes(), content(id), "{record:?}");
                assert!(self.model().begun.contains(&id), "{record:?} of {id}");
            }
            Err(Error::Io { .. }) => {}
            Err(Error::NotInLog { from, .. }) => {
                assert!(lsn < from, "there is no record at {lsn}, and the log begins at {from}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Whether a thread was done; the only other end is that the log stopped.
fn stopped_or(end: Result<(), Error>) -> bool {
    match end {
        Ok(()) => true,
        Err(Error::Stopped(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

/// Boots a machine until the log is compared for the last time, with no fault any more.
fn live(machine: &mut Machine, met: &Met, ending: impl Fn(u32) -> Ending) {
    let run = Run { model: Mutex::default(), met };
    for boot in 0..BOOTS {
        let end = machine.boot(ending(boot), |ctx: &Ctx| run.boot(&*ctx.disk())).end;
        assert!(!matches!(end, End::Verdict(_)), "{end:?}");
    }
    machine.faults().hold_back(true);
    machine.run(|ctx| run.boot(&*ctx.disk()));
    let model = run.model();
    assert!(model.is_created, "the last boot had no fault");
}

fn sim(name: &str, fs: FsPreset) -> Sim {
    let disk = DiskConfig { fs, latency: false, ..DiskConfig::default() };
    let mut sim = Sim::new(name).config(MachineConfig { disk, ..MachineConfig::default() });
    for fault in Fault::ALL.iter().filter(|of| of.when() == falconry_sim::fault::When::PowerLoss) {
        sim = sim.fault(*fault, 1_000_000);
    }
    let errors = [
        (Fault::ShortWrite, 30_000),
        (Fault::ShortRead, 30_000),
        (Fault::Eintr, 30_000),
        (Fault::EioRead, 500),
        (Fault::EioWrite, 2_000),
        (Fault::Enospc, 1_000),
        (Fault::SyncFailDirty, 2_000),
        (Fault::SyncFailClean, 4_000),
        (Fault::SyncFailDropped, 4_000),
        (Fault::SpuriousWake, 10_000),
    ];
    errors.into_iter().fold(sim, |sim, (fault, ppm)| sim.fault(fault, ppm))
}

/// The power goes and the process is killed at drawn moments.
fn drawn(_: u32) -> Ending {
    Ending::Drawn(PowerDraw {
        disk_ops_max: 120,
        syncs_max: 40,
        steps_max: 1_500,
        recovery_ppm: 200_000,
        process_crash_ppm: 250_000,
        ..PowerDraw::default()
    })
}

#[test]
fn what_was_acknowledged_is_there_and_nothing_else() {
    let met = Met::default();
    for fs in FsPreset::ALL {
        sim("what_was_acknowledged_is_there_and_nothing_else", fs)
            .seeds(0..200)
            .run(|machine| live(machine, &met, drawn));
    }
    let counts = [
        ("lives", &met.lives, 6_000),
        ("records", &met.records, 40_000),
        ("switches", &met.switches, 10_000),
        ("stalls", &met.stalls, 8_000),
        ("torn", &met.torn, 100),
        ("stopped", &met.stopped, 200),
        ("refused", &met.refused, 20),
    ];
    for (what, count, least) in counts {
        let count = count.load(Relaxed);
        println!("{what}: {count}");
        assert!(count >= least, "{what}: {count}, at least {least} expected");
    }
}

/// The power goes at each call of the disk in turn, of a boot that opens a log and works on it.
#[test]
fn the_power_may_go_at_any_call() {
    let met = Met::default();
    for seed in 0..3 * 120 {
        let call = 1 + seed / 3;
        let disk = DiskConfig { fs: FsPreset::WorstCase, latency: false, ..DiskConfig::default() };
        let config = MachineConfig { disk, ..MachineConfig::default() };
        let choices = falconry_sim::choice::Choices::from_seed(seed);
        let mut machine = Machine::new(config, choices);
        for fault in Fault::ALL {
            if fault.when() == falconry_sim::fault::When::PowerLoss {
                machine.faults().set_rate(*fault, 1_000_000);
            }
        }
        live(&mut machine, &met, |boot| match boot {
            0 => Ending::PowerLoss(At::DiskOp(40)),
            _ => Ending::PowerLoss(At::DiskOp(call)),
        });
    }
    assert!(met.torn.load(Relaxed) >= 10, "{} torn", met.torn.load(Relaxed));
    assert_eq!(met.stopped.load(Relaxed), 0, "no call fails");
}
