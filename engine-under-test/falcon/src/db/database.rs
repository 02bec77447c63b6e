//! Opening and closing a database, and the threads in between.
//!
//! # Method
//!
//! An opening takes the lock, reads the log, compares the file of versions with it, repairs torn pages, recovers,
//! makes a checkpoint, and starts the threads: gophers, I/O threads, the ticker, and the reclaimer, which goes on
//! freeing what dropped tables have left. Closing waits until all that was committed is on pages, makes a last
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
use falconry_seam::sync::atomic::{AtomicU32, AtomicU64};
use falconry_seam::sync::{Mutex, PoisonError, RwLock};
use falconry_seam::thread::{self, JoinHandle};
use falconry_seam::{always, planted};

use super::engine::Engine;
use super::files::{self, DOUBLE_WRITE, LOG, TABLESPACES};
use super::pending::Pending;
use super::reclaim::{self, Reclaims};
use super::schema::TableSpec;
use super::statistics::{Counters, Statistics};
use super::ticker::Ticker;
use super::verify::{self, VerifyReport};
use super::{Options, catalogue, ddl, gopher, versions};
use crate::admission::Admission;
use crate::cache::{Cache, DoubleWrite, DoubleWriteConfig, Files, IoThreads, Versions};
use crate::lock::LockManager;
use crate::log::{Log, LogTail};
use crate::page::{Creation, DatabaseId, FileIdentity, InventoryMap, PageSize};
use crate::recovery::{self, Inventory, RecoveryReport};
use crate::store::Store;
use crate::txn::{Shortcuts, Table, Transaction};
use crate::{Error, PageNumber, Result, Sequence, TableId, TablespaceId, section};

/// The operating system writes its page cache back page by page: a write of more reaches the device in parts,
/// whatever that promises of a single write.
const OS_PAGE_BYTES: u32 = 4_096;

/// An open database. Threads share it; dropping it without [`Database::close`] is as a crash of the process.
pub struct Database {
    pub(super) engine: Arc<Engine>,
    ticker: Arc<Ticker>,
    threads: Vec<JoinHandle<()>>,
    reclaimer: Option<JoinHandle<()>>,
    io_threads: Option<IoThreads>,
    report: RecoveryReport,
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
        let mut log = None;
        files::create(&**disk, page_size, |database| {
            log = Some(Log::create(&**disk, names, options.log, log_identity(database))?);
            Ok(())
        })?;
        Database::start(disk, options, lock, log)
    }

    /// Opens a database, and recovers what a crash has left.
    ///
    /// A file that was damaged since is told, in whatever byte, now or when what it holds is asked for, unless
    /// nothing needs that byte. One place cannot be told from the torn end of a crash: the log's last block, as
    /// long as no page was written after it (see [`log`](crate::log)). A page that is whole and older than the
    /// last checkpoint has made it is told like one that is damaged; the file `versions` knows that, and is refused
    /// when it has lost a write itself, or is not there: then [`Options::make_versions_anew`] is the way out for
    /// who has no backup. Where all files are as they were at an earlier time, nothing can tell.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`], [`Error::InUse`], [`Error::Missing`], [`Error::Foreign`], [`Error::Newer`],
    /// [`Error::Damaged`], [`Error::Io`], each with the file. Nothing that was acknowledged is lost by it: when
    /// what was wrong is mended, the database opens. An error of the files' headers, of the log or of the
    /// copies of pages comes before anything is written. When it is of the file `versions` the log may have its last
    /// block once more behind its end; when a page turns out to be damaged later, torn pages may besides have got
    /// their copies, and pages the changes that the log has for them.
    pub fn open(disk: &Arc<dyn Disk>, options: &Options) -> Result<Database> {
        options.check(disk.sector_size())?;
        if !files::exists(&**disk)? {
            return Err(Error::Missing { file: files::CATALOGUE.into() });
        }
        let lock = files::lock(&**disk)?;
        files::end_creation(&**disk)?;
        Database::start(disk, options, lock, None)
    }

    /// Opens what is there: any database, or one that was created just now, whose names are all durable, with its
    /// log.
    fn start(
        disk: &Arc<dyn Disk>,
        options: &Options,
        lock: Arc<dyn File>,
        made: Option<Log>,
    ) -> Result<Database> {
        let (identity, page_size) = identity(&**disk)?;
        options.check_pages(page_size.bytes())?;
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
        let found = versions::find(&**disk, database)?;
        let known = found.as_ref().and_then(Versions::latest);
        let written = double_write.latest_copy().into_iter().chain(known);
        let (names, written) = (LOG.map(Path::new), written.max_by_key(|(_, lsn)| *lsn));
        let is_new = made.is_some();
        let (log, tail) = match made {
            Some(log) => (log, LogTail::NEW),
            None => Log::open_beyond(&**disk, names, options.log, database, written)?,
        };
        let log = Arc::new(log);
        let mut inventory = Inventory::take(&log, page_size, tail.recovery_start)?;
        let is_anew = options.make_versions_anew;
        let versions = versions::bound(&**disk, database, found, inventory.seal, is_anew)?;
        if !is_new {
            versions::name(&**disk, inventory.seal, is_anew)?;
        }
        let repaired = double_write.repair(&page_files)?;
        let cache = Cache::new(options.cache(), page_files, Arc::clone(&log) as _)?;
        let mut cache = cache.with_versions(versions);
        let whole_bytes = disk.atomic_unit().min(OS_PAGE_BYTES) as usize;
        let may_tear = whole_bytes < page_size.bytes() && !planted!("torn_page_given_up");
        if may_tear || options.double_write {
            cache = cache.with_double_write(double_write)?;
        }
        let cache = Arc::new(cache);
        let mut store = Store::new(Arc::clone(&cache), Arc::clone(&log), &[1; TABLESPACES.len()]);
        let mut report = recovery::redo(&store, tail, &mut inventory)?;
        report.repaired = repaired;
        set_inventories(&mut store, &spaces, &inventory)?;
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
            reclaimer: None,
            report,
            _lock: lock,
        };
        database.start_threads(options)?;
        Ok(database)
    }

    fn start_threads(&mut self, options: &Options) -> Result<()> {
        for number in 0..options.gopher_threads {
            let engine = Arc::clone(&self.engine);
            let body = move || gopher::run(&engine);
            self.threads.push(start_thread(format!("falcon-gopher-{number}"), body)?);
        }
        let (ticker, engine) = (Arc::clone(&self.ticker), Arc::clone(&self.engine));
        let interval = options.checkpoint_interval;
        let body = move || ticker.run(&engine, interval);
        self.threads.push(start_thread("falcon-ticker".into(), body)?);
        let engine = Arc::clone(&self.engine);
        let body = move || reclaim::run(&engine);
        self.reclaimer = Some(start_thread("falcon-reclaimer".into(), body)?);
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
    /// [`Error::Schema`], also for a name that is taken; [`Error::TooMany`], where tables that were dropped
    /// count until their pages are free; [`Error::RowTooLong`] for a description that the catalogue cannot
    /// keep: nothing was done. [`Error::OutcomeUnknown`] and [`Error::Stopped`]: whether the table is there is
    /// told by the next opening.
    pub fn create_table(&self, spec: &TableSpec) -> Result<Table> {
        ddl::create_table(&self.engine, spec).map(Table::new)
    }

    /// Drops a table, durably: its rows and indexes are gone, and all handles of it get [`Error::Dropped`]. This
    /// waits for the transactions that use the table. Its pages are freed behind the caller's back, and by
    /// the next opening if this one ends before.
    ///
    /// A transaction of the same thread that has used the table must be over.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`]; [`Error::Dropped`] when somebody else was faster; [`Error::LockTimeout`] and
    /// [`Error::Deadlock`]: nothing was done, and nothing has to be rolled back. [`Error::OutcomeUnknown`]
    /// and [`Error::Stopped`]: whether the table is there is told by the next opening.
    pub fn drop_table(&self, name: &str) -> Result<()> {
        ddl::drop_table(&self.engine, name)
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<Table> {
        ddl::table(&self.engine, name).map(Table::new)
    }

    /// The names of all tables, sorted.
    pub fn table_names(&self) -> Vec<String> {
        let tables = self.engine.open_tables();
        let tables = tables.iter().filter(|table| table.id != TableId::CATALOGUE);
        let mut names: Vec<String> = tables.map(|table| table.spec.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Makes a sequence, durably; its first number is 1. Its name may be that of a table.
    ///
    /// # Errors
    ///
    /// As [`Database::create_table`].
    pub fn create_sequence(&self, name: &str) -> Result<Sequence<'_>> {
        ddl::create_sequence(&self.engine, name).map(|info| Sequence::new(&self.engine, info))
    }

    /// Drops a sequence, durably: all handles of it get [`Error::Dropped`]. One that is made anew under the name
    /// begins with 1.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`]; [`Error::Dropped`] when somebody else was faster: nothing was done.
    /// [`Error::OutcomeUnknown`] and [`Error::Stopped`]: whether it is there is told by the next opening.
    pub fn drop_sequence(&self, name: &str) -> Result<()> {
        ddl::drop_sequence(&self.engine, name)
    }

    /// The sequence of that name.
    pub fn sequence(&self, name: &str) -> Option<Sequence<'_>> {
        ddl::sequence(&self.engine, name).map(|info| Sequence::new(&self.engine, info))
    }

    /// The names of all sequences, sorted.
    pub fn sequence_names(&self) -> Vec<String> {
        let sequences = self.engine.sequences.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> =
            sequences.values().map(|sequence| sequence.name.clone()).collect();
        names.sort_unstable();
        names
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
    /// was committed is on its pages and the pages of dropped tables are free; no transaction may be active
    /// that has written, and nothing be made or dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] and [`Error::Io`] for what cannot be read, [`Error::Stopped`].
    pub fn verify(&self) -> Result<VerifyReport> {
        self.engine.reclaims.wait_for_all();
        self.engine.pending.wait_for_all();
        self.engine.check_running()?;
        verify::verify(&self.engine)
    }

    /// Closes the database: everything that was committed is on its pages, and durable. Pages of dropped tables
    /// that are not free yet are left to the next opening.
    ///
    /// # Errors
    ///
    /// What stopped the engine, now or before. Nothing that was acknowledged is lost: the next opening
    /// recovers it.
    ///
    /// # Panics
    ///
    /// When all is durable, if a transaction was forgotten ([`std::mem::forget`]) and not ended: nobody may
    /// hold a lock, a frame or room in the log then.
    pub fn close(mut self) -> Result<()> {
        // The reclaimer may wait for gophers and for checkpoints.
        self.engine.reclaims.end();
        let reclaimer = self.reclaimer.take();
        self.join(reclaimer);
        self.engine.pending.end();
        self.ticker.end();
        let threads = std::mem::take(&mut self.threads);
        self.join(threads);
        self.engine.check_running()?;
        self.checkpoint()?;
        drop(self.io_threads.take());
        let held = self.engine.held_at_rest();
        always!(held.is_empty(), "db/nothing is held after a close", "there are still {held}");
        Ok(())
    }

    fn join(&self, threads: impl IntoIterator<Item = JoinHandle<()>>) {
        for thread in threads {
            // One that panicked has stopped nothing: say so here.
            if thread.join().is_err() {
                self.engine.stop(&Error::Stopped("one of its threads panicked".into()));
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.threads.is_empty() && self.reclaimer.is_none() {
            return;
        }
        self.engine.stop(&Error::Stopped("the database was dropped".into()));
        self.ticker.end();
        for thread in self.threads.drain(..).chain(self.reclaimer.take()) {
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
        capacity_pages: options.double_write_pages,
        align_bytes: disk.sector_size().max(512),
    };
    DoubleWrite::open(file, Path::new(DOUBLE_WRITE), page_size, database, config)
}

/// Says of each tablespace how many inventory pages it has, by its file and by the log.
fn set_inventories(
    store: &mut Store,
    spaces: &[(&'static str, Arc<dyn File>)],
    inventory: &Inventory,
) -> Result<()> {
    let page_size = store.page_size();
    for (number, (name, file)) in spaces.iter().enumerate() {
        let length = file.len().map_err(|error| Error::io("measure", *name, error))?;
        let tablespace = TablespaceId(number as u32);
        let in_log = inventory.pages.all().filter(|page| page.tablespace == tablespace);
        let last = in_log.map(|page| page.number).max().unwrap_or(PageNumber(0));
        store.set_inventories(tablespace, inventories(page_size, length, last));
    }
    Ok(())
}

/// How many inventory pages a tablespace has, whose file is so long and whose last page in the log is that one.
/// A range of pages has one as soon as any of them is in use.
fn inventories(page_size: PageSize, file_bytes: u64, last_in_log: PageNumber) -> u32 {
    let map = InventoryMap::new(page_size);
    let pages = file_bytes / page_size.bytes() as u64;
    let last_in_file = u32::try_from(pages.saturating_sub(1)).unwrap_or(u32::MAX);
    map.ordinal_of(PageNumber(last_in_file).max(last_in_log)) + 1
}

fn start_thread(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.clone()).spawn(body);
    thread.map_err(|error: io::Error| Error::Thread { name, source: Arc::new(error) })
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
        sequences: RwLock::new(BTreeMap::new()),
        reclaims: Reclaims::default(),
        next_number: AtomicU32::new(0),
        making: Mutex::new(()),
        one_checkpoint: Mutex::new(()),
        next_txn: AtomicU64::new(next_txn),
        row_bytes_max,
        sequence_batch: options.sequence_batch,
        counters: Counters::default(),
        shortcuts: Shortcuts::new(options.cache_frames),
        store: Arc::new(store),
    })
}

#[cfg(test)]
mod tests;
