//! The lock manager without the rest, on the simulated machine.
//!
//! # Method
//!
//! Scenes of a few transactions, each of which waits in a thread of its own while the main one gives
//! locks back; and random transactions against a model.
//!
//! # Invariant
//!
//! A scene goes on when the locks themselves say that all who should wait do, never after a guess of how
//! long that takes.

mod deadlocks;
mod order;
mod random;
mod stopped;
mod time_outs;

use std::sync::Arc;
use std::time::Duration;

use falcon::lock::{LockManager, LockMode, LockName};
use falcon::page::RecordNumber;
use falcon::page::index::IndexId;
use falcon::{Result, TableId, TxnId};
use falconry_seam::sync::Mutex;
use falconry_seam::thread::{self, JoinHandle};

/// Nobody is refused for having waited too long.
const FOR_EVER: Duration = Duration::MAX;

fn table() -> LockName {
    LockName::Table(TableId(1))
}

fn record(number: u64) -> LockName {
    LockName::Record(TableId(1), RecordNumber(number))
}

fn key(number: u8) -> LockName {
    LockName::Key(TableId(1), IndexId(1), [number].into())
}

/// Transactions in threads of their own.
struct Scene {
    locks: Arc<LockManager>,
    /// Those whose wait has ended well, in that order.
    got: Arc<Mutex<Vec<u64>>>,
}

impl Scene {
    fn new(lock_wait_timeout: Duration) -> Scene {
        let locks = Arc::new(LockManager::new(lock_wait_timeout));
        Scene { locks, got: Arc::default() }
    }

    /// Locks what is free.
    fn holds(&self, txn: u64, name: &LockName, mode: LockMode) {
        let before = self.locks.counters().waited;
        self.locks.lock(TxnId(txn), name, mode).expect("it is free");
        assert_eq!(self.locks.counters().waited, before, "it was free");
    }

    /// Locks what is not free, in a thread that ends when its wait is over. Returns when it waits.
    fn waits(&self, txn: u64, name: &LockName, mode: LockMode) -> JoinHandle<Result<()>> {
        let before = self.locks.counters().waited;
        let (locks, got, name) = (Arc::clone(&self.locks), Arc::clone(&self.got), name.clone());
        let thread = thread::spawn(move || {
            locks.lock(TxnId(txn), &name, mode)?;
            got.lock().expect("nobody panics").push(txn);
            Ok(())
        });
        while self.locks.counters().waited == before {
            assert!(!thread.is_finished(), "transaction {txn} did not wait for {mode:?}");
            thread::sleep(Duration::from_millis(1));
        }
        thread
    }

    /// Ends `txn`, and waits until so many waits have ended well since the scene began.
    fn ends(&self, txn: u64, got_count: usize) -> Vec<u64> {
        self.locks.release_all(TxnId(txn));
        while self.got().len() < got_count {
            thread::sleep(Duration::from_millis(1));
        }
        self.got()
    }

    fn got(&self) -> Vec<u64> {
        self.got.lock().expect("nobody panics").clone()
    }

    /// Nothing more comes, however long one waits.
    fn stays(&self, got: &[u64]) {
        thread::sleep(Duration::from_secs(1));
        assert_eq!(self.got(), got);
    }
}
