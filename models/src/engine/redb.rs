//! redb: an embedded B-tree of one file, copy-on-write, one writer and many readers.
//!
//! # Method
//!
//! Run as `futex`, its own locks are the scheduling points. Run as `gated`, two locks of the seam stand
//! before it: one is held over each call, for a page is read with a part of the cache locked, the
//! other from the beginning to the end of a write transaction, for the next one waits for it.
//!
//! A transaction that was asked to be less than durable says so in its promise: it is in memory until
//! the next durable commit or a clean shutdown.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use falconry_redb::promise::{CLAIMS, RUNS, Run};
use falconry_redb::{Failure, begin_write, open};
use falconry_seam::disk::Disk;
use falconry_seam::sync::{Mutex, MutexGuard, PoisonError};
use falconry_sim::choice::PPM;
use falconry_sim::enter_call;
use falconry_sim::fault::FaultSet;
use redb::{
    Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};

use super::{
    Access, Concurrency, Contract, Database, Engine, EngineError, Order, Pair, Promise, Settings,
    SettingsDraw, Transaction,
};
use crate::run::CaseError;

const FILE: &str = "falconry.redb";
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("pairs");

/// redb, run on the simulated machine through `falconry-redb`.
pub struct Redb;

impl Engine for Redb {
    fn name(&self) -> &str {
        "redb"
    }

    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError> {
        falconry_ambient::install();
        falconry_ambient::leave_futexes_to_kernel(settings.text("locks") == "real");
        let redb_settings = falconry_redb::Settings {
            cache_bytes: settings.number("cache_bytes") as usize,
            two_phase_commit: settings.flag("two_phase_commit"),
            quick_repair: settings.flag("quick_repair"),
            check_on_open: settings.flag("check_on_open"),
        };
        enter_call(&"open");
        let mut database = open(&disk, Path::new(FILE), &redb_settings)?;
        if settings.flag("compact_on_open") {
            database.compact().map_err(Failure::from)?;
        }
        let durable_every = match settings.text("durability") {
            "immediate" => Some(1),
            "mixed" => Some(settings.number("durable_every")),
            _ => None,
        };
        let gates = (settings.concurrency == Concurrency::Gated).then(Gates::default);
        let begun = AtomicU64::new(0);
        Ok(Box::new(Store { database, settings: redb_settings, durable_every, begun, gates }))
    }

    fn claims(&self) -> FaultSet {
        static SET: LazyLock<FaultSet> = LazyLock::new(|| {
            let parse = |name: &&str| name.parse().expect("a name of the table of faults");
            CLAIMS.iter().map(parse).collect()
        });
        *SET
    }

    fn concurrency(&self) -> &[Concurrency] {
        static WAYS: LazyLock<Vec<Concurrency>> = LazyLock::new(|| {
            // Where futexes cannot be interposed, a contended lock would block the OS thread.
            let can_be = |run: &&Run| **run != Run::Futex || falconry_ambient::is_interposed();
            let way = |run: &Run| match run {
                Run::Futex => Concurrency::Futex,
                Run::Gated => Concurrency::Gated,
            };
            RUNS.iter().filter(can_be).map(way).collect()
        });
        &WAYS
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        let durability = draw.word("durability", &[("immediate", 6), ("mixed", 3), ("none", 1)])?;
        draw.number("durable_every", 2, 16)?;
        // A small cache writes pages before their commit; it is rare, for redb then looks for a page
        // to evict at every access.
        let caches = [("1048576", 32), ("262144", 16), ("65536", 15), ("4096", 1)];
        draw.word("cache_bytes", &caches)?;
        draw.flag("two_phase_commit", PPM / 4)?;
        draw.flag("quick_repair", PPM / 8)?;
        draw.flag("check_on_open", PPM / 8)?;
        draw.flag("compact_on_open", PPM / 8)?;
        // Real locks are for whoever asks for them: two clients soon block the OS thread.
        draw.word("locks", &[("simulated", 1), ("real", 0)])?;
        Ok(if durability == "immediate" { Contract::Durable } else { Contract::Prefix })
    }

    fn syncs(&self, settings: &Settings, commits: u64) -> u64 {
        let durable = match settings.text("durability") {
            "immediate" => commits,
            "mixed" => commits / settings.number("durable_every"),
            _ => 0,
        };
        // Those of the set-up and the shutdown are there in any case.
        2 + durable * (1 + u64::from(settings.flag("two_phase_commit")))
    }

    fn needs_fresh_thread(&self) -> bool {
        true
    }
}

/// An open redb.
struct Store {
    database: redb::Database,
    settings: falconry_redb::Settings,
    /// Each so many-th write transaction is durable; none of them without it.
    durable_every: Option<u64>,
    /// Write transactions so far.
    begun: AtomicU64,
    gates: Option<Gates>,
}

/// What keeps redb from ever waiting in a lock of its own.
#[derive(Default)]
struct Gates {
    /// Held from the beginning to the end of a write transaction.
    writer: Mutex<()>,
    /// Held over each call.
    call: Mutex<()>,
}

impl Store {
    /// Announces a call to the watchdog and passes the gate for it, if there is one.
    fn pass(&self, call: &'static &'static str) -> Result<Option<MutexGuard<'_, ()>>, EngineError> {
        enter_call(call);
        self.gates.as_ref().map(|gates| gates.call.lock()).transpose().map_err(poisoned)
    }

    fn begin_write(&self) -> Result<StoreTransaction<'_>, EngineError> {
        let gates = self.gates.as_ref();
        let writer = gates.map(|gates| gates.writer.lock()).transpose().map_err(poisoned)?;
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let is_durable = self.durable_every.is_some_and(|every| number.is_multiple_of(every));
        let (durability, promise) = if is_durable {
            (Durability::Immediate, Promise::Durable)
        } else {
            (Durability::None, Promise::Memory)
        };
        let _passed = self.pass(&"begin_write")?;
        let transaction = begin_write(&self.database, durability, &self.settings)?;
        let inner = Some(Inner::Write(Box::new(transaction)));
        Ok(StoreTransaction { store: self, inner, promise, _writer: writer })
    }

    fn begin_read(&self) -> Result<StoreTransaction<'_>, EngineError> {
        let _passed = self.pass(&"begin_read")?;
        let transaction = self.database.begin_read().map_err(Failure::from)?;
        let inner = Some(Inner::Read(transaction));
        // A reader saw what was committed before it, which may be in memory alone.
        let all_durable = self.durable_every == Some(1);
        let promise = if all_durable { Promise::Durable } else { Promise::Memory };
        Ok(StoreTransaction { store: self, inner, promise, _writer: None })
    }
}

impl Database for Store {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        Ok(Box::new(match access {
            Access::Read => self.begin_read()?,
            Access::Write => self.begin_write()?,
        }))
    }

    fn check(&mut self) -> Result<(), EngineError> {
        enter_call(&"check_integrity");
        let is_whole = self.database.check_integrity().map_err(Failure::from)?;
        if is_whole {
            return Ok(());
        }
        Err(EngineError::Corrupt { what: "check_integrity had to repair the file".into() })
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        enter_call(&"close");
        self.database.close().map_err(Failure::from)?;
        Ok(Promise::Durable)
    }
}

/// A transaction of redb. It ends inside the gates.
struct StoreTransaction<'a> {
    store: &'a Store,
    /// There until the transaction ends.
    inner: Option<Inner>,
    promise: Promise,
    _writer: Option<MutexGuard<'a, ()>>,
}

enum Inner {
    Read(ReadTransaction),
    Write(Box<WriteTransaction>),
}

impl StoreTransaction<'_> {
    /// Looks at the table inside the gate; it need not exist for a reader.
    fn look<R>(
        &self,
        call: &'static &'static str,
        absent: R,
        look: impl FnOnce(&dyn Look) -> Result<R, Failure>,
    ) -> Result<R, EngineError> {
        let _passed = self.store.pass(call)?;
        Ok(match self.inner.as_ref().expect("the transaction has not ended") {
            Inner::Write(transaction) => {
                look(&transaction.open_table(TABLE).map_err(Failure::from)?)?
            }
            Inner::Read(transaction) => match transaction.open_table(TABLE) {
                Err(TableError::TableDoesNotExist(_)) => absent,
                opened => look(&opened.map_err(Failure::from)?)?,
            },
        })
    }

    fn write(&self) -> Result<&WriteTransaction, EngineError> {
        match self.inner.as_ref().expect("the transaction has not ended") {
            Inner::Write(transaction) => Ok(transaction),
            Inner::Read(_) => {
                Err(EngineError::Refused { what: "a write in a read transaction".into() })
            }
        }
    }
}

impl Transaction for StoreTransaction<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.look(&"get", None, |table| table.value(key))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let _passed = self.store.pass(&"insert")?;
        let mut table = self.write()?.open_table(TABLE).map_err(Failure::from)?;
        table.insert(key, value).map_err(Failure::from)?;
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        let _passed = self.store.pass(&"remove")?;
        let mut table = self.write()?.open_table(TABLE).map_err(Failure::from)?;
        table.remove(key).map_err(Failure::from)?;
        Ok(())
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        self.look(&"range", Vec::new(), |table| table.pairs(from, to))
    }

    fn some(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, EngineError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        self.look(&"some", Vec::new(), |table| table.some(from, to, order, limit))
    }

    fn commit(mut self: Box<Self>) -> Result<Promise, EngineError> {
        let _passed = self.store.pass(&"commit")?;
        match self.inner.take().expect("the transaction has not ended") {
            Inner::Write(transaction) => transaction.commit().map_err(Failure::from)?,
            Inner::Read(transaction) => transaction.close().map_err(Failure::from)?,
        }
        Ok(self.promise)
    }

    fn rollback(mut self: Box<Self>) -> Result<(), EngineError> {
        let _passed = self.store.pass(&"abort")?;
        match self.inner.take().expect("the transaction has not ended") {
            Inner::Write(transaction) => transaction.abort().map_err(Failure::from)?,
            Inner::Read(transaction) => transaction.close().map_err(Failure::from)?,
        }
        Ok(())
    }
}

impl Drop for StoreTransaction<'_> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            let gates = self.store.gates.as_ref();
            let _passed =
                gates.map(|gates| gates.call.lock().unwrap_or_else(PoisonError::into_inner));
            drop(inner);
        }
    }
}

/// What tables of readers and of writers have in common.
trait Look {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure>;
    fn pairs(&self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, Failure>;
    fn some(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, Failure>;
}

impl<T: ReadableTable<&'static [u8], &'static [u8]>> Look for T {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.get(key)?.map(|value| value.value().to_vec()))
    }

    fn pairs(&self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, Failure> {
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        let pairs = self.range::<&[u8]>((Bound::Included(from), to))?.map(|entry| {
            let (key, value) = entry?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        });
        pairs.collect()
    }

    fn some(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, Failure> {
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        let mut range = self.range::<&[u8]>((Bound::Included(from), to))?;
        let next = std::iter::from_fn(|| match order {
            Order::Ascending => range.next(),
            Order::Descending => range.next_back(),
        });
        let pairs = next.take(limit).map(|entry| {
            let (key, value) = entry?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        });
        pairs.collect()
    }
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Disk(error) => error.into(),
            Failure::Corrupt(what) => EngineError::Corrupt { what },
            Failure::Stopped(what) => EngineError::Stopped { what },
            failure => EngineError::Refused { what: failure.to_string() },
        }
    }
}

/// A client panicked inside the gate.
fn poisoned<T>(_: PoisonError<T>) -> EngineError {
    EngineError::Stopped { what: "a client panicked in a call of redb".into() }
}
