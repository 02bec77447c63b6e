//! One boot: open, look at what is there, work, check, close.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use falconry_seam::disk::Disk;
use falconry_seam::thread;

use crate::engine::{Access, Contract, Database, Engine, EngineError, Pair, Promise, Settings};
use crate::oracle::history::{History, VersionId};
use crate::oracle::liveness::LastBoot;
use crate::oracle::recovered::{self, After};
use crate::run::aside::Aside;
use crate::run::break_sync::BreakSync;
use crate::scenario::Ends;
use crate::workload::{
    Client, Lane, Sizes, Stop, Witness, Workload, of_lane, remark, set_up, strangers,
};

/// Transactions that the last boot must commit.
const LAST_COMMITS: u64 = 2;

/// What all boots of a run have in common.
pub(crate) struct Session<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) settings: &'a Settings,
    pub(crate) workload: &'a dyn Workload,
    /// One for each lane; one alone where all clients stand in one.
    pub(crate) witnesses: &'a [Witness],
    pub(crate) sizes: Sizes,
    /// How boots end.
    pub(crate) ends: Ends,
    /// Whether clients also ask for upkeep.
    pub(crate) upkeep: bool,
    /// What an undisturbed recovery came to.
    pub(crate) aside: Aside,
    pub(crate) break_sync: bool,
    pub(crate) live_within_ns: u64,
    /// A state was seen in this boot.
    pub(crate) looked: AtomicBool,
}

/// What a boot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Clients work.
    Work,
    /// Faults have stopped: a few transactions must commit, in time.
    Live,
    /// Only looking at what is there.
    Look,
    /// A recovery beside the run, which goes on as if it had not been.
    Aside,
}

/// How a boot came to its end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The engine was closed, and said what this is worth.
    Closed(Promise),
    /// It stopped after an error, or because the power had gone.
    Left,
}

impl Session<'_> {
    /// Runs one boot on the machine. `after` is how the lives ended since a state was last seen.
    pub(crate) fn run(&self, disk: Arc<dyn Disk>, number: u32, task: Task, after: After) -> Done {
        self.looked.store(false, Ordering::Relaxed);
        self.witnesses.iter().for_each(|witness| witness.boot(number));
        if self.engine.needs_fresh_thread() && number == 1 {
            falconry_ambient::prime();
        }
        let disk: Arc<dyn Disk> = if self.break_sync { Arc::new(BreakSync(disk)) } else { disk };
        let started_ns = falconry_sim::now_ns();
        let done = self.life(disk, task, after);
        if task == Task::Live && !falconry_sim::is_off() && !self.whole().is_beyond() {
            let (commits, failed) = match &done {
                Ok(_) => (LAST_COMMITS, None),
                Err(Stop::Engine(call, error)) => (0, Some((*call, error.clone()))),
                Err(Stop::Breach | Stop::Off) => return Done::Left,
            };
            let time_ns = falconry_sim::now_ns() - started_ns;
            let limit_ns = self.live_within_ns;
            let asked = LAST_COMMITS;
            self.whole().last_boot(&LastBoot { failed, commits, asked, time_ns, limit_ns });
        }
        done.unwrap_or(Done::Left)
    }

    /// The witness of what concerns the whole database.
    fn whole(&self) -> &Witness {
        &self.witnesses[0]
    }

    /// Whether a promise was broken, so that the run need not go on.
    pub(crate) fn is_over(&self) -> bool {
        self.witnesses.iter().any(Witness::is_over)
    }

    fn has_lanes(&self) -> bool {
        self.witnesses.len() > 1
    }

    fn life(&self, disk: Arc<dyn Disk>, task: Task, after: After) -> Result<Done, Stop> {
        let weak = self.whole().history(History::contract) == Contract::Weak;
        if weak && after > After::ProcessCrash {
            self.judged("open", wipe(&*disk, Path::new("")).map_err(EngineError::from))?;
            self.witnesses.iter().for_each(Witness::forget);
        }
        let mut database = self.judged("open", self.engine.open(disk, self.settings))?;
        falconry_sim::opened();
        if task == Task::Aside {
            self.aside.keep(self.state(&*database)?);
            falconry_sim::exit();
        }
        self.look(&*database, after)?;
        if task != Task::Look {
            self.set_up(&*database)?;
        }
        match task {
            Task::Work => self.work(&*database),
            Task::Live => {
                let lane = Lane { database: &*database, number: 0 };
                let one: &dyn Database = if self.has_lanes() { &lane } else { &*database };
                let client = self.client(one, 0);
                for _ in 0..LAST_COMMITS {
                    client.write()?;
                }
            }
            Task::Look | Task::Aside => {}
        }
        // A check reads everything: the last look has one, of the other boots every fourth.
        if task == Task::Look || falconry_sim::choose("session/check", 4) == 0 {
            self.judged("check", database.check())?;
        }
        // Whoever only looked leaves; of the others half. The engine is not asked.
        let leaves = task == Task::Work && falconry_sim::choose("session/leave", 2) == 1;
        let leaves = leaves || task == Task::Work && self.ends.at_rest;
        if leaves || task == Task::Look {
            falconry_sim::exit();
        }
        let promise = self.judged("close", database.close())?;
        self.witnesses.iter().for_each(|witness| witness.shut_down(promise));
        Ok(Done::Closed(promise))
    }

    fn set_up(&self, database: &dyn Database) -> Result<(), Stop> {
        if !self.has_lanes() {
            return set_up(database, self.workload, self.whole());
        }
        self.witnesses.iter().zip(0..).try_for_each(|(witness, number)| {
            set_up(&Lane { database, number }, self.workload, witness)
        })
    }

    /// The whole state.
    fn state(&self, database: &dyn Database) -> Result<Vec<Pair>, Stop> {
        let mut transaction = self.judged("begin", database.begin(Access::Read))?;
        let state = self.judged("range", transaction.range(&[], None))?;
        self.judged("commit", transaction.commit())?;
        Ok(state)
    }

    /// Looks at the whole state, and judges it.
    fn look(&self, database: &dyn Database, after: After) -> Result<(), Stop> {
        let state = self.state(database)?;
        let beyond = self.whole().is_beyond();
        let as_aside = self.aside.judge(&state).filter(|_| !beyond);
        if let Some(breach) = as_aside.or_else(|| strangers(&state, self.witnesses.len())) {
            self.whole().breach(breach);
            return Err(Stop::Breach);
        }
        if !self.has_lanes() {
            return self.look_at(self.whole(), &state, after, beyond);
        }
        self.witnesses.iter().zip(0..).try_for_each(|(witness, number)| {
            self.look_at(witness, &of_lane(&state, number), after, beyond)
        })
    }

    /// Judges the state of one history.
    fn look_at(
        &self,
        witness: &Witness,
        state: &[Pair],
        after: After,
        beyond: bool,
    ) -> Result<(), Stop> {
        let judged = witness
            .history(|history| recovered::judge(history, state, after, beyond))
            .and_then(|id| {
                let tally = witness.tally(after, id);
                if id != VersionId::ROOT {
                    self.workload.invariant(state, tally)?;
                }
                Ok(id)
            });
        match judged {
            Ok(id) => {
                let count = witness.history(|h| h.get(id).map_or(0, |v| u64::from(v.depth)));
                witness.observe(id, after == After::PowerLoss, count.saturating_sub(1));
                self.looked.store(true, Ordering::Relaxed);
                remark("oracle", || format!("found txn {}", id.0));
                Ok(())
            }
            Err(breach) => {
                witness.breach(breach);
                Err(Stop::Breach)
            }
        }
    }

    fn work(&self, database: &dyn Database) {
        let transactions = self.sizes.transactions;
        let lanes: Vec<Lane<'_>> = (0..self.witnesses.len())
            .map(|number| Lane { database, number: number as u8 })
            .collect();
        let of_client = |number: u32| -> &dyn Database {
            if self.has_lanes() { &lanes[number as usize] } else { database }
        };
        thread::scope(|scope| {
            for number in 1..self.sizes.clients {
                let client = self.client(of_client(number), number);
                let builder = thread::Builder::new().name(format!("client {number}"));
                // A thread that cannot be spawned is a client less.
                let _ = builder.spawn_scoped(scope, move || client.run(transactions));
            }
            self.client(of_client(0), 0).run(transactions);
        });
    }

    fn client<'b>(&'b self, database: &'b dyn Database, number: u32) -> Client<'b> {
        let lane = if self.has_lanes() { number as usize } else { 0 };
        let (workload, witness) = (self.workload, &self.witnesses[lane]);
        Client { database, workload, witness, number, upkeep: self.upkeep }
    }

    fn judged<T>(&self, call: &'static str, result: Result<T, EngineError>) -> Result<T, Stop> {
        if falconry_sim::is_off() {
            return Err(Stop::Off);
        }
        result.map_err(|error| {
            self.whole().error(call, &error);
            Stop::Engine(call, error)
        })
    }
}

/// Removes everything below a directory: what a user does with a database that is beyond use.
fn wipe(disk: &dyn Disk, dir: &Path) -> std::io::Result<()> {
    for name in disk.list(dir)? {
        let path: PathBuf = dir.join(name);
        if disk.metadata(&path)?.is_dir {
            wipe(disk, &path)?;
            disk.remove_dir(&path)?;
        } else {
            disk.remove(&path)?;
        }
    }
    disk.sync_dir(dir)
}

#[cfg(test)]
mod tests;
