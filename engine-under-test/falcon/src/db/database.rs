//! Opening and closing a database, and the threads in between.
//!
//! # Method
//!
//! An opening takes the lock, repairs torn pages, recovers, makes a checkpoint, and starts the threads: gophers,
//! I/O threads and the ticker. Closing waits until all that was committed is on pages, makes a last
//! checkpoint, and ends them.
//!
//! # Invariant
//!
//! When an opening returns, everything that was ever acknowledged is on pages, and these are durable.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::planted;
use falconry_seam::sync::atomic::AtomicU64;
use falconry_seam::sync::{Mutex, PoisonError, RwLock};
use falconry_seam::thread::{self, JoinHandle};

use super::engine::Engine;
use super::files::{self, DOUBLE_WRITE, LOG, TABLESPACES};
use super::pending::Pending;
use super::rows::{RowChange, What};
use super::schema::{self, TableSpec};
use super::statistics::{Counters, Statistics};
use super::ticker::Ticker;
use super::verify::{self, VerifyReport};
use super::{Options, catalogue, gopher};
use crate::admission::Admission;
use crate::cache::{Cache, DoubleWrite, DoubleWriteConfig, Files, IoThreads};
use crate::lock::{LockManager, LockMode, LockName};
use crate::log::Log;
use crate::page::{Creation, DatabaseId, FileIdentity, InventoryMap, PageSize, RecordNumber};
use crate::recovery::{self, RecoveryReport};
use crate::store::Store;
use crate::txn::{self, Table, Transaction};
use crate::{Error, PageNumber, Result, TableId, TablespaceId, TxnId, row, section};

/// The operating system writes its page cache back page by page: a write of more reaches the device in parts,
/// whatever that promises of a single write.
const OS_PAGE_BYTES: u32 = 4_096;

/// An open database. Threads share it; dropping it without [`Database::close`] is as a crash of the process.
pub struct Database {
    engine: Arc<Engine>,
    ticker: Arc<Ticker>,
    threads: Vec<JoinHandle<()>>,
    io_threads: Option<IoThreads>,
    report: RecoveryReport,
    /// Held by whoever makes a table.
    making: Mutex<()>,
    _lock: Arc<dyn File>,
}

impl Database {
    /// Whether the folder has a database, whole or damaged. What a creation that was cut off has left is none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn exists(disk: &dyn Disk) -> Result<bool> {
        files::exists(disk)
    }

    /// Creates a database in a folder without one, and opens it.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`]; [`Error::Exists`]; [`Error::InUse`]: nothing was done. [`Error::Io`]: what was
    /// made so far is no database, and may be made anew.
    pub fn create(disk: &Arc<dyn Disk>, options: &Options) -> Result<Database> {
        options.check(disk.sector_size())?;
        let lock = files::lock(&**disk)?;
        if files::exists(&**disk)? {
            return Err(Error::Exists);
        }
        let page_size = PageSize::new(options.page_bytes.into())?;
        let names = LOG.map(Path::new);
        files::create(&**disk, page_size, |database| {
            Log::create(&**disk, names, options.log, log_identity(database)).map(drop)
        })?;
        Database::start(disk, options, lock)
    }

    /// Opens a database, and recovers what a crash has left.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`], [`Error::InUse`], [`Error::Missing`], [`Error::Foreign`], [`Error::Newer`],
    /// [`Error::Damaged`], [`Error::Io`], each with the file. Nothing that was acknowledged is lost by it.
    pub fn open(disk: &Arc<dyn Disk>, options: &Options) -> Result<Database> {
        options.check(disk.sector_size())?;
        if !files::exists(&**disk)? {
            return Err(Error::Missing { file: files::CATALOGUE.into() });
        }
        let lock = files::lock(&**disk)?;
        files::end_creation(&**disk)?;
        Database::start(disk, options, lock)
    }

    fn start(disk: &Arc<dyn Disk>, options: &Options, lock: Arc<dyn File>) -> Result<Database> {
        let (identity, page_size) = identity(&**disk)?;
        let mut spaces = Vec::new();
        let page_files = Files::new(page_size);
        for (number, name) in TABLESPACES.into_iter().enumerate() {
            let file = files::open(&**disk, name, &OpenOptions::READ_WRITE)?;
            page_files.add(TablespaceId(number as u32), Path::new(name), Arc::clone(&file));
            spaces.push((name, file));
        }
        let database = log_identity(identity.database);
        // Nothing is written before all files were looked at.
        let double_write = double_write(&**disk, options, page_size, database)?;
        let (log, tail) = Log::open(&**disk, LOG.map(Path::new), options.log, database)?;
        let repaired = double_write.repair(&page_files)?;
        let log = Arc::new(log);
        let mut cache = Cache::new(options.cache(), page_files, Arc::clone(&log) as _)?;
        let whole_bytes = disk.atomic_unit().min(OS_PAGE_BYTES) as usize;
        let may_tear = whole_bytes < page_size.bytes();
        let may_tear = may_tear && !planted!("torn_page_given_up");
        if may_tear || options.double_write {
            cache = cache.with_double_write(double_write)?;
        }
        let cache = Arc::new(cache);
        let mut store = Store::new(Arc::clone(&cache), Arc::clone(&log), &[1; TABLESPACES.len()]);
        let (mut report, inventory) = recovery::redo(&store, tail)?;
        report.repaired = repaired;
        for (number, (name, file)) in spaces.iter().enumerate() {
            let length = file.len().map_err(|error| Error::io("measure", *name, error))?;
            let tablespace = TablespaceId(number as u32);
            let in_log = inventory.pages.all().filter(|page| page.tablespace == tablespace);
            let last = in_log.map(|page| page.number).max().unwrap_or(PageNumber(0));
            store.set_inventories(tablespace, inventories(page_size, length, last));
        }
        let ticker = Arc::new(Ticker::default());
        let engine = engine(options, store, inventory.next_txn, &ticker);
        catalogue::add(&engine, catalogue::catalogue());
        section::create(&engine.store, TablespaceId::CATALOGUE, catalogue::SECTION)?;
        catalogue::load(&engine)?;
        recovery::apply(&engine, &inventory, &mut report)?;
        if planted!("recovery_ends_before_its_flush") {
            engine.store.log().set_recovery_start(engine.store.log().end());
        } else {
            engine.checkpoint()?;
        }
        let mut database = Database {
            io_threads: Some(IoThreads::start(&cache, options.io_threads)?),
            engine,
            ticker,
            threads: Vec::new(),
            report,
            making: Mutex::new(()),
            _lock: lock,
        };
        database.start_threads(options)?;
        Ok(database)
    }

    fn start_threads(&mut self, options: &Options) -> Result<()> {
        for number in 0..options.gopher_threads {
            let engine = Arc::clone(&self.engine);
            self.start_thread(format!("falcon-gopher-{number}"), move || gopher::run(&engine))?;
        }
        let (ticker, engine) = (Arc::clone(&self.ticker), Arc::clone(&self.engine));
        let interval = options.checkpoint_interval;
        self.start_thread("falcon-ticker".into(), move || ticker.run(&engine, interval))
    }

    fn start_thread(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name.clone()).spawn(body);
        let refused = |error: io::Error| Error::Thread { name, source: Arc::new(error) };
        self.threads.push(thread.map_err(refused)?);
        Ok(())
    }

    /// What the recovery at the opening found and did.
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }

    /// What was counted since the database was opened: bytes of the log, pages, locks, transactions and more,
    /// each by its name.
    ///
    /// ```text
    /// log_bytes          bytes written to the log, with headers and padding
    /// pages_written      pages written in place, by checkpoints and evictions
    /// lock_waits         requests for locks that had to wait
    /// rows_applied       rows that came from the log to pages
    /// ```
    ///
    /// The whole list is with [`Statistics`].
    pub fn statistics(&self) -> Statistics {
        Statistics::of(&self.engine)
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Transaction<'_> {
        Transaction::begin(&self.engine)
    }

    /// Makes a table, durably. Nobody can use it before this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`], also for a name that is taken; [`Error::TooMany`]; [`Error::RowTooLong`] for a
    /// description that the catalogue cannot keep: nothing was done. [`Error::Stopped`]: whether the table is
    /// there is told by the next opening.
    pub fn create_table(&self, spec: &TableSpec) -> Result<Table> {
        spec.check()?;
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.table(&spec.name).is_some() {
            let what = "there is one of this name".into();
            return Err(Error::Schema { name: spec.name.clone(), what });
        }
        let engine = &self.engine;
        let master = engine.table(TableId::CATALOGUE).expect("the catalogue is always open");
        let record = txn::new_number(engine, &master)?;
        let committed = self.commit_table(spec, record).inspect_err(|_| {
            master.numbers.lock().unwrap_or_else(PoisonError::into_inner).give_back(record);
        });
        let (txn, row) = committed?;
        engine.pending.wait_for(txn);
        engine.check_running()?;
        let table = catalogue::add(engine, catalogue::open(&engine.store, &row)?);
        Ok(Table::new(table))
    }

    /// Commits the row of the catalogue that tells of a new table, and returns it.
    fn commit_table(&self, spec: &TableSpec, record: RecordNumber) -> Result<(TxnId, Vec<u8>)> {
        let engine = &self.engine;
        let id = catalogue::table_of(record)?;
        let first_index = {
            let tables = engine.tables.read().unwrap_or_else(PoisonError::into_inner);
            catalogue::next_index(&tables)
        };
        self.check_limits(spec, id, first_index.0)?;
        let row = row::encode(&schema::to_row(id, first_index, spec));
        let (bytes, bytes_max) = (row.len(), engine.row_bytes_max);
        if bytes > bytes_max {
            return Err(Error::RowTooLong { table: "catalogue".into(), bytes, bytes_max });
        }
        let change = RowChange {
            table: TableId::CATALOGUE,
            record,
            what: What::Insert,
            row: row.clone(),
            old_keys: Vec::new(),
        };
        let txn = engine.new_txn();
        engine.locks.lock(txn, &LockName::Table(TableId::CATALOGUE), LockMode::Exclusive)?;
        let committed = txn::commit_changes(engine, txn, vec![change]);
        committed.inspect_err(|_| engine.locks.release_all(txn))?;
        Ok((txn, row))
    }

    /// Numbers of sections and of indexes are slots of one page each.
    fn check_limits(&self, spec: &TableSpec, id: TableId, first_index: u32) -> Result<()> {
        let geometry = crate::page::SectionGeometry::new(self.engine.store.page_size());
        let limit = u64::from(geometry.slots_per_node());
        if u64::from(id.0) >= limit {
            return Err(Error::TooMany { what: "tables", limit });
        }
        if u64::from(first_index) + spec.indexes.len() as u64 > limit {
            return Err(Error::TooMany { what: "indexes", limit });
        }
        Ok(())
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<Table> {
        let tables = self.engine.tables.read().unwrap_or_else(PoisonError::into_inner);
        let found = tables.values().find(|table| table.spec.name == name);
        found
            .filter(|table| table.id != TableId::CATALOGUE)
            .map(|table| Table::new(Arc::clone(table)))
    }

    /// Makes everything that was committed so far durable on its pages, so that a recovery has little to do.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`], or what stops the engine now.
    pub fn checkpoint(&self) -> Result<()> {
        self.engine.checkpoint()
    }

    /// Compares everything that pages say of each other. It reads the whole database, and waits until what
    /// was committed is on its pages; no transaction may be active that has written.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] and [`Error::Io`] for what cannot be read, [`Error::Stopped`].
    pub fn verify(&self) -> Result<VerifyReport> {
        self.engine.pending.wait_for_all();
        self.engine.check_running()?;
        verify::verify(&self.engine)
    }

    /// Closes the database: everything that was committed is on its pages, and durable.
    ///
    /// # Errors
    ///
    /// What stopped the engine, now or before. Nothing that was acknowledged is lost: the next opening
    /// recovers it.
    pub fn close(mut self) -> Result<()> {
        self.engine.pending.end();
        self.ticker.end();
        for thread in self.threads.drain(..) {
            // One that panicked has stopped nothing: say so here.
            if thread.join().is_err() {
                self.engine.stop(&Error::Stopped("one of its threads panicked".into()));
            }
        }
        self.engine.check_running()?;
        self.checkpoint()?;
        drop(self.io_threads.take());
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.engine.stop(&Error::Stopped("the database was dropped".into()));
        self.ticker.end();
        for thread in self.threads.drain(..) {
            // One that panicked has said so already, and a destructor says nothing.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("report", &self.report).finish_non_exhaustive()
    }
}

/// By what the log and the double-write file know whose they are.
fn log_identity(database: DatabaseId) -> u64 {
    (database.0 ^ (database.0 >> 64)) as u64
}

/// What all tablespaces' headers must agree on.
fn identity(disk: &dyn Disk) -> Result<(FileIdentity, PageSize)> {
    let (first, size, creation) = files::read_header(disk, TablespaceId::CATALOGUE)?;
    let foreign =
        |name: &str, what: &str| Err(Error::Foreign { file: name.into(), what: what.into() });
    if creation != Creation::Complete {
        return foreign(files::CATALOGUE, "its creation was not completed");
    }
    for (number, name) in TABLESPACES.into_iter().enumerate().skip(1) {
        let (other, other_size, creation) = files::read_header(disk, TablespaceId(number as u32))?;
        if other.database != first.database {
            return foreign(name, "it is of another database");
        }
        if other_size != size || creation != Creation::Complete {
            return foreign(name, "it is not as the catalogue is");
        }
    }
    Ok((first, size))
}

/// The double-write file: second copies of pages that may be torn.
fn double_write(
    disk: &dyn Disk,
    options: &Options,
    page_size: PageSize,
    database: u64,
) -> Result<DoubleWrite> {
    let file = files::open(disk, DOUBLE_WRITE, &OpenOptions::READ_WRITE)?;
    let config = DoubleWriteConfig {
        capacity_pages: options.run_pages_max.max(DoubleWriteConfig::default().capacity_pages),
        align_bytes: disk.sector_size().max(512),
    };
    DoubleWrite::open(file, Path::new(DOUBLE_WRITE), page_size, database, config)
}

/// How many inventory pages a tablespace has, whose file is so long and whose last page in the log is that one.
/// A range of pages has one as soon as any of them is in use.
fn inventories(page_size: PageSize, file_bytes: u64, last_in_log: PageNumber) -> u32 {
    let map = InventoryMap::new(page_size);
    let pages = file_bytes / page_size.bytes() as u64;
    let last_in_file = u32::try_from(pages.saturating_sub(1)).unwrap_or(u32::MAX);
    map.ordinal_of(PageNumber(last_in_file).max(last_in_log)) + 1
}

fn engine(options: &Options, store: Store, next_txn: u64, ticker: &Arc<Ticker>) -> Arc<Engine> {
    let wanted = Arc::clone(ticker);
    let capacity = store.log().capacity_bytes();
    let row_bytes_max = options.row_bytes_max(store.page_size().bytes());
    Arc::new(Engine {
        locks: LockManager::new(options.lock_wait_timeout),
        admission: Arc::new(Admission::new(capacity, move || wanted.want())),
        pending: Pending::default(),
        tables: RwLock::new(BTreeMap::new()),
        next_txn: AtomicU64::new(next_txn),
        row_bytes_max,
        counters: Counters::default(),
        store: Arc::new(store),
    })
}

#[cfg(test)]
mod tests;
