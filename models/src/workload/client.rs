//! One client: a task that makes transactions until it has made its share, or the engine stops.

use std::time::Duration;

use falconry_seam::thread;

use super::attempt::checked;
use super::{Attempt, Stop, Witness, Workload, is_made, pick};
use crate::engine::{Access, Database, EngineError};
use crate::oracle::history::VersionId;

/// Attempts of one transaction while the engine is busy.
const ATTEMPTS_MAX: u32 = 40;
/// The longest pause between two of them.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// Errors of the disk after which a client gives the engine up.
const ERRORS_MAX: u32 = 3;

/// One client.
pub struct Client<'a> {
    /// The database of this boot.
    pub database: &'a dyn Database,
    /// What it does.
    pub workload: &'a dyn Workload,
    /// Who keeps what was seen.
    pub witness: &'a Witness,
    /// Its number, from 0.
    pub number: u32,
    /// Whether it also asks the engine for upkeep.
    pub upkeep: bool,
}

impl Client<'_> {
    /// Makes up to `transactions` transactions.
    pub fn run(&self, transactions: u64) {
        let mut errors = 0;
        for number in 0..transactions {
            if self.witness.is_over() {
                return;
            }
            let _span = falconry_sim::span("txn", number);
            if !is_made("workload/op") {
                continue;
            }
            match self.one() {
                Ok(()) => {}
                Err(Stop::Engine(_, EngineError::Conflict | EngineError::Busy)) => {
                    self.witness.give_up();
                }
                Err(Stop::Engine(_, EngineError::Disk { .. })) if errors < ERRORS_MAX => {
                    errors += 1;
                }
                Err(_) => return,
            }
        }
    }

    /// One write transaction that must commit.
    ///
    /// # Errors
    ///
    /// When the engine failed or was caught.
    pub fn write(&self) -> Result<(), Stop> {
        self.retried(|client| {
            let mut attempt = client.begin(Access::Write)?;
            client.workload.write(&mut attempt)?;
            attempt.commit()
        })
    }

    fn one(&self) -> Result<(), Stop> {
        if self.upkeep && pick("workload/upkeep", 5) == 4 {
            return self
                .retried(|client| checked(client.witness, "upkeep", client.database.upkeep()));
        }
        match pick("workload/kind", 8) {
            0..=5 => self.write(),
            6 => self.retried(|client| {
                let mut attempt = client.begin(Access::Read)?;
                client.workload.read(&mut attempt)?;
                attempt.commit()
            }),
            _ => self.retried(|client| {
                let mut attempt = client.begin(Access::Write)?;
                client.workload.write(&mut attempt)?;
                attempt.roll_back()
            }),
        }
    }

    fn begin(&self, access: Access) -> Result<Attempt<'_>, Stop> {
        Attempt::begin(self.database, self.witness, access, self.number)
    }

    /// Tries again while the engine is busy, after a pause that grows.
    fn retried(&self, attempt: impl Fn(&Self) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut pause = Duration::from_micros(50);
        for _ in 1..ATTEMPTS_MAX {
            match attempt(self) {
                Err(Stop::Engine(_, error)) if error.is_transient() => {
                    // Clients that met once must not meet again at each attempt.
                    let more = pick("workload/pause", 8) as u32;
                    thread::sleep(pause + pause * more / 8);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                done => return done,
            }
        }
        attempt(self)
    }
}

/// Writes what there is at the beginning, if the database is empty.
///
/// # Errors
///
/// When the engine failed or was caught.
pub fn set_up(
    database: &dyn Database,
    workload: &dyn Workload,
    witness: &Witness,
) -> Result<(), Stop> {
    let mut attempt = Attempt::begin(database, witness, Access::Write, 0)?;
    if attempt.head() != VersionId::ROOT {
        return attempt.roll_back();
    }
    workload.set_up(&mut attempt)?;
    // A first version marks the set-up even where it writes nothing else.
    attempt.put(b"setup", b"done")?;
    attempt.commit()
}
