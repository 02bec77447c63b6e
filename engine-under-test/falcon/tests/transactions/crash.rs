//! Many transactions at once, and the power goes, or the disk fails: what was acknowledged is there, and
//! every transaction is there as a whole or not at all.
//!
//! # Method
//!
//! Threads commit random transactions until the boot ends, or the engine stops. The next boot reads the
//! whole table. Transactions that were acknowledged must be in it; of those whose commit was cut off each may be
//! or not: they had their locks to the end, so nobody has seen either. So the rows must be those of the
//! acknowledged ones and of some of the others, done one after the other in the order in which they came to
//! their commits.
//!
//! # Invariant
//!
//! A transaction is in the history before its commit begins, and is acknowledged after it has returned.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the model stands outside of the run"
)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falcon::page::RecordNumber;
use falcon::txn::Row;
use falcon::{Database, Error, Result};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_seam::time::Duration;
use falconry_sim::check::Sim;
use falconry_sim::disk::{DiskConfig, FsPreset};
use falconry_sim::fault::{Fault, When};
use falconry_sim::machine::{choose, is_off, opened};
use falconry_sim::{At, End, Ending, Machine, MachineConfig, PowerDraw};

use crate::model::{self, Answer, Model, Statement};
use crate::{people, small};

const BOOTS: u32 = 5;
const THREADS: u64 = 3;
const TRANSACTIONS: u64 = 8;
/// Calls of the disk within which most boots end.
const DISK_OPS: u64 = 160;

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody knows.
    InDoubt,
    Acknowledged,
    Undone,
}

struct Committed {
    history: Vec<(Statement, Answer)>,
    fate: Fate,
}

/// What is known of the table.
#[derive(Default)]
struct Known {
    /// What the last opening has found.
    found: Model,
    since: Vec<Committed>,
}

/// What the runs met.
#[derive(Default)]
struct Met {
    opened: AtomicU64,
    reapplied: AtomicU64,
    acknowledged: AtomicU64,
    in_doubt: AtomicU64,
    in_doubt_there: AtomicU64,
    stopped: AtomicU64,
}

struct Run<'a> {
    known: Mutex<Known>,
    met: &'a Met,
}

impl Known {
    /// Finds out which transactions in doubt are there, and says how many were and are.
    fn compare(&mut self, found: &[(RecordNumber, Row)]) -> (u64, u64) {
        let since = std::mem::take(&mut self.since);
        let doubts: Vec<usize> =
            (0..since.len()).filter(|number| since[*number].fate == Fate::InDoubt).collect();
        assert!(doubts.len() <= THREADS as usize, "{} commits at once", doubts.len());
        let found_ones = (0..1u64 << doubts.len()).find_map(|chosen| {
            let mut model = self.found.clone();
            for (number, committed) in since.iter().enumerate() {
                let is_there = match doubts.iter().position(|doubt| *doubt == number) {
                    Some(doubt) => chosen >> doubt & 1 == 1,
                    None => committed.fate == Fate::Acknowledged,
                };
                for (statement, answer) in committed.history.iter().filter(|_| is_there) {
                    model.expect(statement, answer);
                }
            }
            model.is(found).then_some((model, chosen))
        });
        let (model, chosen) = found_ones.unwrap_or_else(|| {
            panic!("{found:?} are the rows of no choice among {} in doubt", doubts.len())
        });
        self.found = model;
        (doubts.len() as u64, chosen.count_ones().into())
    }
}

impl Run<'_> {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boot(&self, disk: &Arc<dyn Disk>) {
        let database = match self.open(disk) {
            Ok(database) => database,
            Err(Error::Io { .. } | Error::Stopped(_)) => return,
            Err(other) => {
                assert!(is_off(), "{other}");
                return;
            }
        };
        self.met.opened.fetch_add(1, Relaxed);
        opened();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| self.client(&database));
            }
        });
        let is_over = database.close();
        self.met.stopped.fetch_add(u64::from(is_over.is_err() && !is_off()), Relaxed);
    }

    /// Opens the database and compares its rows with what is known.
    fn open(&self, disk: &Arc<dyn Disk>) -> Result<Database> {
        let database = match Database::exists(&**disk)? {
            true => Database::open(disk, &small())?,
            false => Database::create(disk, &small())?,
        };
        let table = match database.table("people") {
            Some(table) => table,
            None => database.create_table(&people())?,
        };
        let reapplied = database.recovery_report().reapplied;
        let txn = database.begin();
        let rows: Vec<_> = txn.scan(&table)?.collect::<Result<_>>()?;
        txn.commit()?;
        if !is_off() {
            let (in_doubt, there) = self.known().compare(&rows);
            self.met.reapplied.fetch_add(reapplied, Relaxed);
            self.met.in_doubt.fetch_add(in_doubt, Relaxed);
            self.met.in_doubt_there.fetch_add(there, Relaxed);
        }
        Ok(database)
    }

    fn client(&self, database: &Database) {
        for _ in 0..TRANSACTIONS {
            match self.transaction(database) {
                Ok(()) => {}
                Err(Error::Deadlock { .. } | Error::LockTimeout { .. }) => {
                    thread::sleep(Duration::from_micros(choose("crash/pause", 1_000)));
                }
                // A page could not be read: the transaction was rolled back.
                Err(Error::Io { .. }) => {}
                Err(Error::Stopped(_) | Error::OutcomeUnknown { .. }) => return,
                Err(other) => assert!(is_off(), "{other}"),
            }
        }
    }

    fn transaction(&self, database: &Database) -> Result<()> {
        let table = database.table("people").expect("it is there");
        let mut txn = database.begin();
        let mut history = Vec::new();
        for _ in 0..=choose("crash/statements", 4) {
            let statement = model::draw();
            let answer = model::ask(&mut txn, &table, &statement)?;
            history.push((statement, answer));
        }
        if is_off() {
            return Ok(());
        }
        let number = {
            let mut known = self.known();
            known.since.push(Committed { history, fate: Fate::InDoubt });
            known.since.len() - 1
        };
        let end = txn.commit();
        if !is_off() {
            self.known().since[number].fate = match &end {
                Ok(()) => Fate::Acknowledged,
                Err(Error::OutcomeUnknown { .. }) => Fate::InDoubt,
                Err(_) => Fate::Undone,
            };
            self.met.acknowledged.fetch_add(end.is_ok().into(), Relaxed);
        }
        end
    }
}

fn live(machine: &mut Machine, met: &Met) {
    let run = Run { known: Mutex::default(), met };
    for _ in 0..BOOTS {
        let ending = machine.run(|ctx| {
            let at = At::DiskOp(1 + ctx.choose("crash/at", DISK_OPS));
            match ctx.choose("crash/ending", 8) {
                0 => Ending::Drawn(PowerDraw { recovery_ppm: 500_000, ..PowerDraw::default() }),
                1 | 2 => Ending::ProcessCrash(at),
                _ => Ending::PowerLoss(at),
            }
        });
        let end = machine.boot(ending, |ctx| run.boot(&ctx.disk())).end;
        assert!(!matches!(end, End::Verdict(_)), "{end:?}");
    }
    machine.faults().hold_back(true);
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = run.open(&disk).expect("no fault");
        let report = database.verify().expect("no fault");
        assert_eq!(report.problems, Vec::<String>::new());
        database.close().expect("no fault");
    });
}

fn sim(fs: FsPreset) -> Sim {
    let disk = DiskConfig { fs, latency: false, ..DiskConfig::default() };
    let mut sim = Sim::new("the_acknowledged_are_there_and_all_are_whole")
        .config(MachineConfig { disk, ..MachineConfig::default() });
    for fault in Fault::ALL.iter().filter(|fault| fault.when() == When::PowerLoss) {
        sim = sim.fault(*fault, 1_000_000);
    }
    let errors = [
        (Fault::EioRead, 500),
        (Fault::EioWrite, 500),
        (Fault::SyncFailClean, 1_000),
        (Fault::SyncFailDropped, 1_000),
        (Fault::ShortWrite, 10_000),
        (Fault::ShortRead, 10_000),
        (Fault::SpuriousWake, 10_000),
    ];
    errors.into_iter().fold(sim, |sim, (fault, ppm)| sim.fault(fault, ppm))
}

#[test]
fn the_acknowledged_are_there_and_all_are_whole() {
    let met = Met::default();
    for fs in FsPreset::ALL {
        sim(fs).seeds(0..25).run(|machine| live(machine, &met));
    }
    let counts = [
        ("opened", &met.opened, 200),
        ("reapplied", &met.reapplied, 50),
        ("acknowledged", &met.acknowledged, 2_000),
        ("in doubt", &met.in_doubt, 40),
        ("in doubt and there", &met.in_doubt_there, 10),
        ("stopped", &met.stopped, 2),
    ];
    for (what, count, least) in counts {
        let count = count.load(Relaxed);
        println!("{what}: {count}");
        assert!(count >= least, "{what}: {count}, at least {least} expected");
    }
}
