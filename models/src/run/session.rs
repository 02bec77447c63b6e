//! One boot: open, look at what is there, work, check, close.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use falconry_seam::disk::Disk;
use falconry_seam::thread;

use crate::engine::{Access, Contract, Database, Engine, EngineError, Promise, Settings};
use crate::oracle::history::{History, VersionId};
use crate::oracle::liveness::LastBoot;
use crate::oracle::recovered::{self, After};
use crate::run::break_sync::BreakSync;
use crate::workload::{Client, Sizes, Stop, Witness, Workload, remark, set_up};

/// Transactions that the last boot must commit.
const LAST_COMMITS: u64 = 2;

/// What all boots of a run have in common.
pub(crate) struct Session<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) settings: &'a Settings,
    pub(crate) workload: &'a dyn Workload,
    pub(crate) witness: &'a Witness,
    pub(crate) sizes: Sizes,
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
        self.witness.boot(number);
        if self.engine.needs_fresh_thread() && number == 1 {
            falconry_ambient::prime();
        }
        let disk: Arc<dyn Disk> = if self.break_sync { Arc::new(BreakSync(disk)) } else { disk };
        let started_ns = falconry_sim::now_ns();
        let done = self.life(disk, task, after);
        if task == Task::Live && !falconry_sim::is_off() && !self.witness.is_beyond() {
            let (commits, failed) = match &done {
                Ok(_) => (LAST_COMMITS, None),
                Err(Stop::Engine(call, error)) => (0, Some((*call, error.clone()))),
                Err(Stop::Breach | Stop::Off) => return Done::Left,
            };
            let time_ns = falconry_sim::now_ns() - started_ns;
            let limit_ns = self.live_within_ns;
            let asked = LAST_COMMITS;
            self.witness.last_boot(&LastBoot { failed, commits, asked, time_ns, limit_ns });
        }
        done.unwrap_or(Done::Left)
    }

    fn life(&self, disk: Arc<dyn Disk>, task: Task, after: After) -> Result<Done, Stop> {
        let weak = self.witness.history(History::contract) == Contract::Weak;
        if weak && after > After::ProcessCrash {
            self.judged("open", wipe(&*disk, Path::new("")).map_err(EngineError::from))?;
            self.witness.forget();
        }
        let mut database = self.judged("open", self.engine.open(disk, self.settings))?;
        falconry_sim::opened();
        self.look(&*database, after)?;
        if task != Task::Look {
            set_up(&*database, self.workload, self.witness)?;
        }
        match task {
            Task::Work => self.work(&*database),
            Task::Live => {
                let client = self.client(&*database, 0);
                for _ in 0..LAST_COMMITS {
                    client.write()?;
                }
            }
            Task::Look => {}
        }
        // A check reads everything: the last look has one, of the other boots every fourth.
        if task == Task::Look || falconry_sim::choose("session/check", 4) == 0 {
            self.judged("check", database.check())?;
        }
        // Whoever only looked leaves; of the others half. The engine is not asked.
        let leaves = task == Task::Work && falconry_sim::choose("session/leave", 2) == 1;
        if leaves || task == Task::Look {
            falconry_sim::exit();
        }
        let promise = self.judged("close", database.close())?;
        self.witness.shut_down(promise);
        Ok(Done::Closed(promise))
    }

    /// Looks at the whole state, and judges it.
    fn look(&self, database: &dyn Database, after: After) -> Result<(), Stop> {
        let begun = self.judged("begin", database.begin(Access::Read));
        let mut transaction = begun?;
        let state = self.judged("range", transaction.range(&[], None))?;
        self.judged("commit", transaction.commit())?;
        let beyond = self.witness.is_beyond();
        let judged = self
            .witness
            .history(|history| recovered::judge(history, &state, after, beyond))
            .and_then(|id| {
                let tally = self.witness.tally(after, id);
                if id != VersionId::ROOT {
                    self.workload.invariant(&state, tally)?;
                }
                Ok(id)
            });
        match judged {
            Ok(id) => {
                let count = self.witness.history(|h| h.get(id).map_or(0, |v| u64::from(v.depth)));
                self.witness.observe(id, after == After::PowerLoss, count.saturating_sub(1));
                self.looked.store(true, Ordering::Relaxed);
                remark("oracle", || format!("found txn {}", id.0));
                Ok(())
            }
            Err(breach) => {
                self.witness.breach(breach);
                Err(Stop::Breach)
            }
        }
    }

    fn work(&self, database: &dyn Database) {
        let transactions = self.sizes.transactions;
        thread::scope(|scope| {
            for number in 1..self.sizes.clients {
                let client = self.client(database, number);
                let builder = thread::Builder::new().name(format!("client {number}"));
                // A thread that cannot be spawned is a client less.
                let _ = builder.spawn_scoped(scope, move || client.run(transactions));
            }
            self.client(database, 0).run(transactions);
        });
    }

    fn client<'b>(&'b self, database: &'b dyn Database, number: u32) -> Client<'b> {
        Client { database, workload: self.workload, witness: self.witness, number }
    }

    fn judged<T>(&self, call: &'static str, result: Result<T, EngineError>) -> Result<T, Stop> {
        if falconry_sim::is_off() {
            return Err(Stop::Off);
        }
        result.map_err(|error| {
            self.witness.error(call, &error);
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
