//! What all files of an environment share: the disk, and who holds which database file.
//!
//! # Method
//!
//! Bookkeeping is plain data under one mutex, by the file's name. A callback takes the mutex, looks or
//! changes, and gives it back before it calls the disk: on a simulated machine a call of the disk may
//! switch to another task on the same OS thread, which must find the mutex free.
//!
//! The process as a whole holds the disk's advisory lock on a database file from its first connection
//! that reads to its last one that closes, so that two processes never mix. While one connection is
//! taking that lock the others are told `SQLITE_BUSY`: no callback ever waits.
//!
//! # Invariant
//!
//! The mutex is never held across a call of the disk.

#![expect(
    clippy::disallowed_types,
    reason = "the mutex is never held across a call of the seam, so no task ever waits for it on a \
              simulated machine; a callback of SQLite's must neither wait nor be unwound"
)]

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use falconry_seam::disk::{Disk, File, LockKind};
use libsqlite3_sys as ffi;

use crate::code::{Failure, Outcome};
use crate::lock::{FileLocks, Level, Seat};
use crate::shm::{Shm, ShmSeat};

/// One disk and the database files on it that are open.
pub(crate) struct World {
    disk: Arc<dyn Disk>,
    powersafe_overwrite: bool,
    databases: Mutex<BTreeMap<String, Database>>,
    last_errno: AtomicI32,
    failures: AtomicU64,
}

/// What the connections to one database file share.
#[derive(Default)]
pub(crate) struct Database {
    /// Open handles; the entry goes with the last one.
    handles: usize,
    process: ProcessLock,
    /// The five locks of the file.
    pub locks: FileLocks,
    /// The shared memory, while any connection uses it.
    pub shm: Option<Shm>,
}

/// Whether this process holds the disk's advisory lock on a database file.
#[derive(Default)]
enum ProcessLock {
    #[default]
    Free,
    /// A connection is asking the disk for it.
    Taking,
    /// By this handle, which outlives the connection that brought it.
    Held(Arc<dyn File>),
}

impl World {
    /// A world without open files.
    pub(crate) fn new(disk: Arc<dyn Disk>, powersafe_overwrite: bool) -> World {
        World {
            disk,
            powersafe_overwrite,
            databases: Mutex::default(),
            last_errno: AtomicI32::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// The disk.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Whether bytes beside an overwritten range are safe when the power goes.
    pub(crate) fn powersafe_overwrite(&self) -> bool {
        self.powersafe_overwrite
    }

    /// The errno of the failure that came last, for a person to read.
    pub(crate) fn last_errno(&self) -> c_int {
        self.last_errno.load(Ordering::Relaxed)
    }

    /// How many calls of the disk have failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The code of an outcome; counts a failure of the disk and keeps its errno.
    pub(crate) fn code(&self, outcome: Outcome) -> c_int {
        match outcome {
            Ok(()) => ffi::SQLITE_OK,
            Err(failure) => {
                if failure.errno != 0 {
                    self.last_errno.store(failure.errno, Ordering::Relaxed);
                    self.failures.fetch_add(1, Ordering::Relaxed);
                }
                failure.code
            }
        }
    }

    /// A handle of a database file was opened.
    pub(crate) fn enter(&self, name: &str) {
        self.with(name, |database| database.handles += 1);
    }

    /// A handle of a database file is closed; what it holds goes back.
    pub(crate) fn leave(&self, name: &str, mut seat: Seat, shm: Option<ShmSeat>) {
        let lock = self.with_databases(|databases| {
            let database = databases.get_mut(name)?;
            database.locks.lower(&mut seat, Level::None);
            if let Some(shm) = shm {
                database.leave_shm(shm);
            }
            database.handles -= 1;
            if database.handles > 0 {
                return None;
            }
            match databases.remove(name)?.process {
                ProcessLock::Held(file) => Some(file),
                ProcessLock::Free | ProcessLock::Taking => None,
            }
        });
        if let Some(file) = lock {
            // The lock goes with the handle anyway, so nothing is lost when this fails.
            let _ = file.unlock();
        }
    }

    /// Runs `f` on the shared state of a database file. `f` must not call the disk.
    pub(crate) fn with<R>(&self, name: &str, f: impl FnOnce(&mut Database) -> R) -> R {
        self.with_databases(|databases| match databases.get_mut(name) {
            Some(database) => f(database),
            None => f(databases.entry(name.to_owned()).or_default()),
        })
    }

    /// Takes the disk's advisory lock for this process unless it has it: `SQLITE_BUSY` when another
    /// process holds it, or another connection is just asking for it.
    pub(crate) fn hold_process_lock(&self, name: &str, file: &Arc<dyn File>) -> Outcome {
        let take = self.with(name, |database| match database.process {
            ProcessLock::Held(_) => Ok(false),
            ProcessLock::Taking => Err(Failure::of(ffi::SQLITE_BUSY)),
            ProcessLock::Free => {
                database.process = ProcessLock::Taking;
                Ok(true)
            }
        })?;
        if !take {
            return Ok(());
        }
        let taken = file.try_lock(LockKind::Exclusive);
        let held = matches!(taken, Ok(true));
        self.with(name, |database| {
            database.process =
                if held { ProcessLock::Held(Arc::clone(file)) } else { ProcessLock::Free };
        });
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::of(ffi::SQLITE_BUSY)),
            Err(error) => Err(Failure::disk(ffi::SQLITE_IOERR_LOCK, &error)),
        }
    }

    fn with_databases<R>(&self, f: impl FnOnce(&mut BTreeMap<String, Database>) -> R) -> R {
        // Nothing panics while the mutex is held, so a poisoned one is sound all the same.
        f(&mut self.databases.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Database {
    /// A connection leaves the shared memory, which goes with the last one.
    pub(crate) fn leave_shm(&mut self, seat: ShmSeat) {
        if self.shm.as_mut().is_some_and(|shm| shm.detach(seat)) {
            self.shm = None;
        }
    }
}
