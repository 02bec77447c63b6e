//! What a workload needs of any engine: open on a disk, transactions on byte strings, close, check.
//!
//! # Method
//!
//! An engine is described by [`Engine`], once a process; [`Engine::open`] makes a [`Database`] on the
//! disk of one boot, and [`Database::begin`] a [`Transaction`] for one client. Whoever brings an engine
//! writes these three; everything with a default may be left out. The engine says what it promises:
//! [`Engine::claims`] which faults it survives, [`Contract`] and [`Promise`] what an acknowledged
//! commit is worth. It is judged by exactly that.
//!
//! # Invariant
//!
//! All I/O goes through the disk that was handed in, all waiting through the seam (or as
//! [`Concurrency`] says), and nothing of a database outlives its boot.

use std::fmt;
use std::io;
use std::sync::Arc;

use falconry_seam::disk::Disk;
use falconry_sim::fault::{Fault, FaultSet};

use crate::run::CaseError;

mod beside;
mod canary;
mod draw;
mod falcon;
mod redb;
mod registry;
mod sqlite;

pub use beside::Beside;
pub use draw::{Room, Settings, SettingsDraw};
pub use registry::{MACHINE, built_in, check_name, find, names};

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An engine under test.
pub trait Engine: Send + Sync {
    /// The name by which it is asked for.
    fn name(&self) -> &str;

    /// Opens the database, creating it when the disk has none, and recovers what an earlier boot left.
    ///
    /// # Errors
    ///
    /// Where the disk failed or what is on it cannot be used. Nothing acknowledged may be lost by it.
    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError>;

    /// The faults that it promises to survive. An error of the disk may make calls fail, and the
    /// engine need another boot; nothing acknowledged is lost, nothing wrong is read.
    fn claims(&self) -> FaultSet {
        POWER_CLAIMS
    }

    /// Those of them that it survives under these settings, where some take a fault out.
    fn claims_under(&self, settings: &Settings) -> FaultSet {
        let _ = settings;
        self.claims()
    }

    /// How its clients may be interleaved; one way is drawn for each run. Never empty.
    fn concurrency(&self) -> &[Concurrency] {
        &[Concurrency::Seam]
    }

    /// Whether, under these settings, a transaction that was in flight when a life ended, and was not
    /// there afterwards, may be there after a later crash, wholly and on the state on which it was
    /// begun. No promise to a client is broken by that, but most engines exclude it.
    fn in_flight_may_return(&self, settings: &Settings) -> bool {
        let _ = settings;
        false
    }

    /// Whether, under these settings, the newest transaction that a crash has left, if it was never
    /// acknowledged to its writer, may be gone after a later power loss, although it was seen in between.
    /// No promise to its writer is broken by that, but most engines exclude it.
    fn seen_may_be_lost(&self, settings: &Settings) -> bool {
        let _ = settings;
        false
    }

    /// The historical bugs that can be switched on in it (`--plant`), by the names that its code asks
    /// for with `planted!`.
    fn bugs(&self) -> &[&str] {
        &[]
    }

    /// Draws the settings of one run, and what the engine promises under them. Every setting is drawn
    /// through [`SettingsDraw`], which also honours those that the user fixed.
    ///
    /// # Errors
    ///
    /// [`CaseError::BadSetting`] for a fixed value that does not exist or does not fit the others.
    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        let _ = draw;
        Ok(Contract::Durable)
    }

    /// How many syncs so many commits make under these settings, about: mostly the power goes in one
    /// of them.
    fn syncs(&self, settings: &Settings, commits: u64) -> u64 {
        let _ = settings;
        commits
    }

    /// Whether each run needs an OS thread of its own: third-party code that keeps thread-locals.
    fn needs_fresh_thread(&self) -> bool {
        false
    }

    /// Whether only one run may be under way in a process: third-party code that keeps globals.
    fn needs_process(&self) -> bool {
        false
    }

    /// Bytes of stack for each task.
    fn stack_bytes(&self) -> usize {
        256 << 10
    }

    /// Whether it has a known bug that every swarm must find: its findings are expected ones.
    fn is_canary(&self) -> bool {
        false
    }
}

/// An open database; shared by all clients of a boot.
pub trait Database: Send + Sync {
    /// Begins a transaction. A client has at most one at a time. It may wait for other clients to end
    /// theirs.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`] when waiting did not help, or as the disk failed.
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError>;

    /// Does what changes nothing that a transaction sees, by a choice of the running machine: a checkpoint,
    /// a table that comes and goes. Clients are active. An engine without any keeps the default.
    ///
    /// # Errors
    ///
    /// As for a transaction.
    fn upkeep(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Checks the structure of everything on the disk, however long it takes. No client is active.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`] names what is wrong. An engine without a check of its own keeps the
    /// default, which finds nothing.
    fn check(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Shuts down, and says what the shutdown is worth: [`Promise::Durable`] when all that was
    /// committed now survives a power loss.
    ///
    /// # Errors
    ///
    /// As the disk failed. The database is gone from memory all the same.
    fn close(self: Box<Self>) -> Result<Promise, EngineError>;
}

/// One transaction of one client; dropping it rolls it back.
pub trait Transaction {
    /// The value of `key`, the transaction's own writes included.
    ///
    /// # Errors
    ///
    /// As for all calls here: what the caller can do next is in the [`EngineError`].
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// After an error the transaction can only be rolled back.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError>;

    /// Removes `key`, if it is there.
    ///
    /// # Errors
    ///
    /// After an error the transaction can only be rolled back.
    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError>;

    /// All pairs with `from <= key`, and `key < to` unless that is `None`, in the order of their keys'
    /// bytes.
    ///
    /// # Errors
    ///
    /// After an error the transaction can only be rolled back.
    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError>;

    /// The first `limit` of the pairs that [`Transaction::range`] has, in this order.
    ///
    /// # Errors
    ///
    /// After an error the transaction can only be rolled back.
    fn some(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, EngineError> {
        let mut pairs = self.range(from, to)?;
        if order == Order::Descending {
            pairs.reverse();
        }
        pairs.truncate(limit);
        Ok(pairs)
    }

    /// Commits, and says what that is worth.
    ///
    /// # Errors
    ///
    /// [`EngineError::Conflict`] and [`EngineError::Busy`]: nothing of it happened. After any other
    /// error it is unknown whether the transaction happened, but it did wholly or not at all.
    fn commit(self: Box<Self>) -> Result<Promise, EngineError>;

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// As the disk failed. Nothing of the transaction happened all the same.
    fn rollback(self: Box<Self>) -> Result<(), EngineError>;
}

/// In which order pairs come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least key first.
    Ascending,
    /// The greatest key first.
    Descending,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reading, from one state that does not change meanwhile.
    Read,
    /// Reading and writing.
    Write,
}

/// What one acknowledgement is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// This commit and all before it survive a power loss.
    Durable,
    /// It survives a crash of the process; a power loss may take it, with all that came after it.
    Later,
    /// It is in the memory of the process: a crash of the process may take it too, with all that came
    /// after it.
    Memory,
}

/// What an engine documents about power loss under its settings.
///
/// A crash of the process loses nothing that was acknowledged, under any of them, but for commits
/// acknowledged with [`Promise::Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// What was acknowledged with [`Promise::Durable`] is there.
    Durable,
    /// The same, but for the last commit.
    AllButLast,
    /// Commits acknowledged with [`Promise::Later`] or [`Promise::Memory`] may be lost from the end
    /// backwards, never one from between; one acknowledged with [`Promise::Durable`] keeps itself and
    /// all before it.
    Prefix,
    /// The database may be unusable.
    Weak,
}

impl Contract {
    /// The word in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Contract::Durable => "durable",
            Contract::AllButLast => "all_but_last",
            Contract::Prefix => "prefix",
            Contract::Weak => "weak",
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How an engine waits, and so how its clients may be interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// It waits through the seam: preempted at every seam call.
    Seam,
    /// It waits in locks of the standard library, whose futex calls are interposed.
    Futex,
    /// The adapter lets one client at a time into each span in which the engine may wait.
    Gated,
    /// It takes one client.
    Single,
}

impl Concurrency {
    /// The word in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Concurrency::Seam => "seam",
            Concurrency::Futex => "futex",
            Concurrency::Gated => "gated",
            Concurrency::Single => "single",
        }
    }
}

/// Why the engine refused or could not finish a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Another transaction was first. Nothing happened; roll back and try again.
    #[error("another transaction was first")]
    Conflict,
    /// The engine would have to wait longer than it does. Nothing happened; try again later.
    #[error("busy")]
    Busy,
    /// The disk failed. What reached it is unknown.
    #[error("the disk failed in {what}{}", errno.map(|e| format!(" (errno {e})")).unwrap_or_default())]
    Disk {
        /// What the engine was doing, in its own words.
        what: String,
        /// The error of the call, where the engine tells it.
        errno: Option<i32>,
    },
    /// What is on the disk is not what the engine wrote.
    #[error("corrupt: {what}")]
    Corrupt {
        /// What it found, in its own words. The first part between colons, commas and semicolons that is of
        /// words alone is what the finding is known by: it must have no name or key of one run.
        what: String,
    },
    /// The engine stopped after an earlier error. Open it again.
    #[error("stopped: {what}")]
    Stopped {
        /// Why, in its own words.
        what: String,
    },
    /// The disk takes no more writes; reads go on.
    #[error("read-only")]
    ReadOnly,
    /// The engine does not do this: a limit, a lock that somebody holds, a wrong call.
    #[error("refused: {what}")]
    Refused {
        /// Why, in its own words.
        what: String,
    },
}

impl EngineError {
    /// Whether the same call may succeed if it is made again.
    pub fn is_transient(&self) -> bool {
        matches!(self, EngineError::Conflict | EngineError::Busy)
    }
}

impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                EngineError::Corrupt { what: error.to_string() }
            }
            io::ErrorKind::ReadOnlyFilesystem => EngineError::ReadOnly,
            _ => EngineError::Disk { what: error.to_string(), errno: error.raw_os_error() },
        }
    }
}

/// What any engine must claim that calls itself durable: the ends of a life, what a power loss does to
/// unsynced writes, calls that are slow or fall short, and what clocks and schedulers may do.
pub const POWER_CLAIMS: FaultSet = FaultSet::of(&[
    Fault::PowerLoss,
    Fault::ProcessCrash,
    Fault::CrashInRecovery,
    Fault::LostWrite,
    Fault::TornWrite,
    Fault::ReorderedWrites,
    Fault::AllButOne,
    Fault::SizeWithoutData,
    Fault::DataWithoutSize,
    Fault::FileExtremes,
    Fault::DirentLost,
    Fault::RenameUndone,
    Fault::ShortRead,
    Fault::ShortWrite,
    Fault::Eintr,
    Fault::StallOp,
    Fault::StallFile,
    Fault::StallDevice,
    Fault::SlowDevice,
    Fault::WallForward,
    Fault::WallBack,
    Fault::WallCoarse,
    Fault::WallDrift,
    Fault::Suspend,
    Fault::SpuriousWake,
    Fault::WeakCasFail,
    Fault::Starve,
]);
