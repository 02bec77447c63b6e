//! The database of a process that is to be killed, and what it does to it.
//!
//! # Method
//!
//! Each thread has rows of its own, whose ids are its number modulo the number of threads: so it knows what
//! it may find, without asking. A transaction inserts, updates and deletes one to three rows; some are rolled
//! back. What a row holds beside its id and version follows from these two. Log, cache and checkpoints are
//! small, so that a second sees many switches, evictions and checkpoints.
//!
//! # Invariant
//!
//! A commit is announced before it is asked for, and acknowledged after it has returned.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use falcon::log::LogConfig;
use falcon::page::key::KeyValue;
use falcon::tree::Direction;
use falcon::txn::{Index, Table, Transaction};
use falcon::{Database, Options, TableSpec};
use falconry_seam::disk::{Disk, StdDisk};

use super::history::{self, Changes, Rows};

/// What goes wrong here is for a person to read.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const TABLE: &str = "rows";
const BY_ID: &str = "by_id";
/// Rows that a thread keeps at most.
const LIVE_MAX: usize = 256;
/// The version of a row that is rolled back.
const NEVER: u64 = 1 << 40;

/// Opens the database of a folder, which is created where there is none.
pub fn open(dir: &Path) -> Result<Database> {
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::open(dir)?);
    let log = LogConfig {
        file_bytes: 1 << 20,
        file_bytes_max: 16 << 20,
        window_bytes: 256 << 10,
        ..LogConfig::default()
    };
    let options = Options {
        cache_frames: 400,
        gopher_threads: 3,
        checkpoint_interval: Duration::from_millis(50),
        log,
        ..Options::default()
    };
    let is_there = Database::exists(&*disk)?;
    let open = if is_there { Database::open } else { Database::create };
    Ok(open(&disk, &options)?)
}

/// The table and its index by id; they are made where there are none.
pub fn table(database: &Database) -> Result<(Table, Index)> {
    let spec =
        TableSpec::new(TABLE, 3).index(BY_ID, &[0], true).index("by_version", &[1, 0], false);
    let table = match database.table(TABLE) {
        Some(table) => table,
        None => database.create_table(&spec)?,
    };
    let index = table.index(BY_ID).ok_or("the table has no index by id")?;
    Ok((table, index))
}

/// All rows, by the index, each looked at as a whole.
pub fn rows(database: &Database) -> Result<Rows> {
    let (_, by_id) = table(database)?;
    let txn = database.begin();
    let mut rows = Rows::new();
    for found in txn.range(&by_id, Bound::Unbounded, Bound::Unbounded, Direction::Forward)? {
        let (_, row) = found?;
        let [KeyValue::U64(id), KeyValue::U64(version), ..] = row[..] else {
            return Err(format!("a row of {row:?}").into());
        };
        if row != columns(id, version) {
            return Err(format!("row {id} of version {version} holds what it never held").into());
        }
        if rows.insert(id, version).is_some() {
            return Err(format!("row {id} is there twice").into());
        }
    }
    txn.commit()?;
    Ok(rows)
}

/// A row of this id and version.
fn columns(id: u64, version: u64) -> [KeyValue<'static>; 3] {
    let mut random = Random(id.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ version);
    let bytes = match random.below(16) {
        0 => 4_000 + random.below(16_000),
        _ => random.below(200),
    };
    let body: Vec<u8> = (0..bytes).map(|_| random.below(256) as u8).collect();
    [KeyValue::U64(id), KeyValue::U64(version), KeyValue::Bytes(body.into())]
}

/// Works until `is_over`, and tells `tell` of it; new rows have ids from `first_id` on.
pub fn run(
    database: &Database,
    threads: u64,
    first_id: u64,
    is_over: &(dyn Fn() -> bool + Sync),
    tell: &(dyn Fn(&str) -> io::Result<()> + Sync),
) -> Result<()> {
    let (table, by_id) = table(database)?;
    let rows = rows(database)?;
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for thread in 0..threads {
            let mut worker = Worker {
                database,
                table: &table,
                by_id: &by_id,
                thread,
                threads,
                next_id: first_id.next_multiple_of(threads) + thread,
                live: rows.clone().into_iter().filter(|(id, _)| id % threads == thread).collect(),
                random: Random(first_id ^ thread << 48),
            };
            workers.push(scope.spawn(move || -> Result<()> {
                while !is_over() {
                    worker.step(tell)?;
                }
                Ok(())
            }));
        }
        for worker in workers {
            worker.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}

/// One thread of the load.
struct Worker<'a> {
    database: &'a Database,
    table: &'a Table,
    by_id: &'a Index,
    thread: u64,
    threads: u64,
    next_id: u64,
    /// Its rows.
    live: Rows,
    random: Random,
}

impl Worker<'_> {
    fn step(&mut self, tell: &dyn Fn(&str) -> io::Result<()>) -> Result<()> {
        if self.random.below(8) == 0 {
            return self.change_nothing();
        }
        let mut txn = self.database.begin();
        let (mut live, mut changes) = (self.live.clone(), Changes::new());
        for _ in 0..=self.random.below(3) {
            let (id, version) = self.choose(&live);
            self.apply(&mut txn, id, live.contains_key(&id), version)?;
            changes.insert(id, version);
            match version {
                Some(version) => live.insert(id, version),
                None => live.remove(&id),
            };
        }
        tell(&history::try_line(self.thread, &changes))?;
        txn.commit()?;
        tell(&history::done_line(self.thread))?;
        self.live = live;
        Ok(())
    }

    /// A row, and the version that it is to have, or none.
    fn choose(&mut self, live: &BTreeMap<u64, u64>) -> (u64, Option<u64>) {
        let dice = self.random.below(10);
        if live.is_empty() || dice < 5 && live.len() < LIVE_MAX {
            let id = self.next_id;
            self.next_id += self.threads;
            return (id, Some(1));
        }
        let place = self.random.below(live.len() as u64) as usize;
        let (id, version) = live.iter().nth(place).expect("it is within");
        (*id, (dice < 8).then_some(version + 1))
    }

    fn apply(
        &self,
        txn: &mut Transaction<'_>,
        id: u64,
        is_there: bool,
        version: Option<u64>,
    ) -> Result<()> {
        let key = [KeyValue::U64(id)];
        match txn.get_for_update(self.by_id, &key)? {
            found if found.is_some() != is_there => {
                return Err(format!("row {id}: {found:?}, and is it there: {is_there}").into());
            }
            Some((record, _)) => match version {
                Some(version) => {
                    txn.update(self.table, record, &columns(id, version))?;
                }
                None => {
                    txn.delete(self.table, record)?;
                }
            },
            None => {
                let version = version.ok_or("a row that is not there cannot go")?;
                txn.insert(self.table, &columns(id, version))?;
            }
        }
        Ok(())
    }

    /// A transaction that is rolled back, which nobody may ever see anything of.
    fn change_nothing(&mut self) -> Result<()> {
        let mut txn = self.database.begin();
        self.apply(&mut txn, self.next_id, false, Some(NEVER))?;
        if let Some((id, _)) = self.live.first_key_value() {
            self.apply(&mut txn, *id, true, None)?;
        }
        txn.rollback();
        Ok(())
    }
}

/// Tells the parent, at once.
pub fn tell(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
