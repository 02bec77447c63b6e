//! Clients make, fill and drop tables and sequences while the power goes, also within recovery: what was
//! acknowledged is there and nothing else, and no page is lost or has two owners.
//!
//! # Method
//!
//! Each thread has tables and a sequence of its own, does one thing after the other with them, and writes
//! down what. So when a boot ends one thing of each thread is in doubt: the next boot must find its tables as
//! they were before that or after it. All rows tell which life of their table they are of. Threads also visit the
//! tables of others, by handles old and new, and all share one sequence: no number may come twice.
//!
//! # Invariant
//!
//! What is in doubt is written down before it begins, and done after it has returned.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the model stands outside of the run"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falcon::page::RecordNumber;
use falcon::page::key::KeyValue;
use falcon::txn::Table;
use falcon::{Database, Error, Options, Result, Transaction};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::disk::{DiskConfig, FsPreset};
use falconry_sim::fault::{Fault, When};
use falconry_sim::machine::{choose, is_off, opened};
use falconry_sim::{At, End, Ending, Machine, MachineConfig, PowerDraw};

use crate::{small, spec};

const BOOTS: u32 = 6;
const THREADS: usize = 3;
const ACTIONS: u64 = 7;
/// Calls of the disk within which most boots end.
const DISK_OPS: u64 = 160;
/// Calls of the disk within which recovery is.
const RECOVERY_OPS: u64 = 40;
const ROW_BYTES: [u64; 5] = [10, 100, 700, 1_500, 4_000];

/// The rows of a table by their ids: which life of the table, how many bytes.
type Rows = BTreeMap<u64, (u64, u64)>;

/// A table, and which life of it that is.
type Handle = (Table, u64);

/// What one thread has.
#[derive(Clone, Debug, Default, PartialEq)]
struct Own {
    tables: BTreeMap<String, Rows>,
    sequences: BTreeSet<String>,
}

/// What one thread is about to do.
#[derive(Clone, Debug)]
enum Action {
    Create(String),
    Drop(String),
    Insert(String, Rows),
    Delete(String, u64),
    CreateSequence(String),
    DropSequence(String),
}

impl Known {
    /// Whether this life of a table has rows, some of which stay until its end.
    fn is_filled(&self, table: &Table, life: u64) -> bool {
        let mut rows = self.own.iter().filter_map(|own| own.tables.get(table.name()));
        rows.any(|rows| rows.values().any(|(of, _)| *of == life))
    }
}

impl Own {
    fn after(&self, action: &Action) -> Own {
        let mut own = self.clone();
        match action.clone() {
            Action::Create(name) => drop(own.tables.insert(name, Rows::new())),
            Action::Drop(name) => drop(own.tables.remove(&name)),
            Action::Insert(name, rows) => {
                own.tables.get_mut(&name).expect("it is there").extend(rows);
            }
            Action::Delete(name, id) => {
                own.tables.get_mut(&name).expect("it is there").remove(&id);
            }
            Action::CreateSequence(name) => drop(own.sequences.insert(name)),
            Action::DropSequence(name) => drop(own.sequences.remove(&name)),
        }
        own
    }
}

/// What is known of all.
#[derive(Default)]
struct Known {
    own: [Own; THREADS],
    doubt: [Option<Action>; THREADS],
    /// Numbers that each sequence has given out in this life of it.
    numbers: BTreeMap<String, BTreeSet<i64>>,
    /// Which life of a table is the last.
    lives: BTreeMap<String, u64>,
    /// Lives of tables whose drop was acknowledged.
    ended: BTreeSet<(String, u64)>,
    /// Ids of rows so far.
    ids: u64,
}

/// What the runs met.
#[derive(Default)]
pub(crate) struct Met {
    opened: AtomicU64,
    cut_in_recovery: AtomicU64,
    created: AtomicU64,
    dropped: AtomicU64,
    drops_in_doubt: AtomicU64,
    left_to_reclaim: AtomicU64,
    reclaimed: AtomicU64,
    numbers: AtomicU64,
    raises: AtomicU64,
    told_dropped: AtomicU64,
    stopped: AtomicU64,
}

struct Run<'a> {
    known: Mutex<Known>,
    met: &'a Met,
    options: Options,
    /// Whether the disk fails calls.
    has_errors: bool,
}

/// Whether the engine may answer so while the machine is there.
fn is_expected(error: &Error, has_errors: bool) -> bool {
    let is_disk =
        matches!(error, Error::Io { .. } | Error::Stopped(_) | Error::OutcomeUnknown { .. });
    is_off() || is_disk && has_errors
}

impl Run<'_> {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boot(&self, disk: &Arc<dyn Disk>) {
        let database = match self.open(disk) {
            Ok(database) => database,
            Err(error) => {
                assert!(is_expected(&error, self.has_errors), "{error}");
                return;
            }
        };
        self.met.opened.fetch_add(1, Relaxed);
        opened();
        let handles = Mutex::new(self.handles(&database));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (database, handles) = (&database, &handles);
                scope.spawn(move || self.client(database, number, handles));
            }
        });
        let looked = match choose("ddl/verify", 3) {
            0 => database.verify().map(|report| {
                assert!(is_off() || report.problems.is_empty(), "{:?}", report.problems);
            }),
            _ => Ok(()),
        };
        let told = database.statistics();
        let count = |name: &str| told.get(name).expect("it is counted");
        self.met.reclaimed.fetch_add(count("pages_reclaimed"), Relaxed);
        self.met.raises.fetch_add(count("sequence_raises"), Relaxed);
        let is_over = looked.and_then(|()| database.close());
        if let Err(error) = is_over {
            assert!(is_expected(&error, self.has_errors), "{error}");
            self.met.stopped.fetch_add(u64::from(!is_off()), Relaxed);
        }
    }

    /// What there is when a boot begins. Nobody has looked for free numbers there yet.
    fn handles(&self, database: &Database) -> Vec<Handle> {
        let known = self.known();
        let names = known.own.iter().flat_map(|own| own.tables.keys());
        let handle = |name: &String| Some((database.table(name)?, known.lives[name]));
        names.filter_map(handle).collect()
    }

    /// Opens the database and compares what it has with what is known.
    fn open(&self, disk: &Arc<dyn Disk>) -> Result<Database> {
        let database = match Database::exists(&**disk)? {
            true => Database::open(disk, &self.options)?,
            false => Database::create(disk, &self.options)?,
        };
        if database.sequence("shared").is_none() {
            assert!(is_off() || !self.known().numbers.contains_key("shared"), "it was there");
            database.create_sequence("shared")?;
        }
        let mut found = BTreeMap::new();
        for name in database.table_names() {
            let table = database.table(&name).expect("it was named");
            found.insert(name, rows_of(&database.begin(), &table)?);
        }
        let sequences: BTreeSet<String> = database.sequence_names().into_iter().collect();
        if !is_off() {
            self.compare(found, sequences);
        }
        Ok(database)
    }

    fn compare(&self, mut tables: BTreeMap<String, Rows>, mut sequences: BTreeSet<String>) {
        let mut known = self.known();
        let Known { own, doubt, numbers, .. } = &mut *known;
        for number in 0..THREADS {
            let suffix = number.to_string();
            let is_own = |name: &String| name.ends_with(&suffix);
            let mut found = Own::default();
            found.tables.extend(tables.extract_if(.., |name, _| is_own(name)));
            found.sequences.extend(sequences.extract_if(.., |name| is_own(name)));
            let before = &own[number];
            let after = doubt[number].as_ref().map(|action| before.after(action));
            if found != *before && Some(&found) != after.as_ref() {
                let doubt = &doubt[number];
                panic!("thread {number} has {before:?}, {doubt:?} is in doubt, found {found:?}");
            }
            if matches!(doubt[number], Some(Action::Drop(_))) {
                self.met.drops_in_doubt.fetch_add(1, Relaxed);
            }
            if let Some(Action::CreateSequence(name) | Action::DropSequence(name)) = &doubt[number]
                && found != *before
            {
                numbers.remove(name);
            }
            (own[number], doubt[number]) = (found, None);
        }
        let rest: Vec<&String> = tables.keys().collect();
        assert!(rest.is_empty(), "{rest:?} were never made");
        assert_eq!(sequences, BTreeSet::from(["shared".to_string()]));
    }

    fn client(&self, database: &Database, number: usize, handles: &Mutex<Vec<Handle>>) {
        for _ in 0..ACTIONS {
            let done = match choose("ddl/what", 12) {
                0 | 1 => self.visit(database, handles),
                2 | 3 => self.number(database, "shared"),
                4 => self.number(database, &format!("s{number}")),
                _ => self.act(database, number, handles),
            };
            match done {
                Ok(()) => {}
                Err(Error::Deadlock { .. } | Error::LockTimeout { .. }) => {}
                Err(error) => {
                    assert!(is_expected(&error, self.has_errors), "{error}");
                    return;
                }
            }
        }
    }

    /// Does something with what the thread has.
    fn act(&self, database: &Database, number: usize, handles: &Mutex<Vec<Handle>>) -> Result<()> {
        let action = self.draw(number);
        if is_off() {
            return Ok(());
        }
        self.known().doubt[number] = Some(action.clone());
        let done = self.take(database, &action, handles);
        if is_off() {
            return done;
        }
        let mut known = self.known();
        match &done {
            Ok(()) => {
                known.own[number] = known.own[number].after(&action);
                if let Action::CreateSequence(name) | Action::DropSequence(name) = &action {
                    known.numbers.remove(name);
                }
                if let Action::Drop(name) = &action {
                    let life = known.lives[name];
                    known.ended.insert((name.clone(), life));
                }
                let count = match &action {
                    Action::Create(_) => &self.met.created,
                    Action::Drop(_) => &self.met.dropped,
                    _ => return Ok(()),
                };
                count.fetch_add(1, Relaxed);
            }
            Err(Error::OutcomeUnknown { .. } | Error::Stopped(_)) => return done,
            Err(_) => {}
        }
        known.doubt[number] = None;
        done
    }

    fn draw(&self, number: usize) -> Action {
        let mut known = self.known();
        let name = format!("{}{number}", ["t", "u"][choose("ddl/table", 2) as usize]);
        let sequence = format!("s{number}");
        if choose("ddl/kind", 7) == 0 {
            return match known.own[number].sequences.contains(&sequence) {
                true => Action::DropSequence(sequence),
                false => Action::CreateSequence(sequence),
            };
        }
        let Some(rows) = known.own[number].tables.get(&name).cloned() else {
            *known.lives.entry(name.clone()).or_default() += 1;
            return Action::Create(name);
        };
        match choose("ddl/action", 6) {
            0 | 1 => Action::Drop(name),
            // The first row stays as long as the table does.
            2 if rows.len() > 1 => {
                let at = 1 + choose("ddl/row", rows.len() as u64 - 1) as usize;
                Action::Delete(name, *rows.keys().nth(at).expect("it is one of them"))
            }
            _ => {
                let bytes = ROW_BYTES[choose("ddl/bytes", ROW_BYTES.len() as u64) as usize];
                let count = 1 + choose("ddl/count", 6);
                let first = known.ids;
                known.ids += count;
                let life = known.lives[&name];
                Action::Insert(name, (first..first + count).map(|id| (id, (life, bytes))).collect())
            }
        }
    }

    fn take(
        &self,
        database: &Database,
        action: &Action,
        handles: &Mutex<Vec<Handle>>,
    ) -> Result<()> {
        let table = |name: &String| database.table(name).expect("it was made, and is not dropped");
        match action {
            Action::Create(name) => {
                let table = database.create_table(&spec(name))?;
                let life = self.known().lives[name];
                handles.lock().unwrap_or_else(PoisonError::into_inner).push((table, life));
                Ok(())
            }
            Action::Drop(name) => database.drop_table(name),
            Action::Insert(name, rows) => {
                let mut txn = database.begin();
                for (id, (life, bytes)) in rows {
                    txn.insert(&table(name), &row(*id, *life, *bytes))?;
                }
                txn.commit()
            }
            Action::Delete(name, id) => {
                let (table, mut txn) = (table(name), database.begin());
                let index = table.index("id").expect("it has one");
                let found = txn.get_for_update(&index, &[KeyValue::U64(*id)])?;
                let (record, _) = found.expect("the row is there");
                assert!(txn.delete(&table, record)?, "{id} is there and not");
                txn.commit()
            }
            Action::CreateSequence(name) => database.create_sequence(name).map(drop),
            Action::DropSequence(name) => database.drop_sequence(name),
        }
    }

    /// Takes some numbers of a sequence, if it is there.
    fn number(&self, database: &Database, name: &str) -> Result<()> {
        let Some(sequence) = database.sequence(name) else { return Ok(()) };
        for _ in 0..=choose("ddl/numbers", 20) {
            let number = sequence.next()?;
            if is_off() {
                return Ok(());
            }
            let mut known = self.known();
            let numbers = known.numbers.entry(name.into()).or_default();
            assert!(
                number > 0 && numbers.insert(number),
                "{name} gave {number} again: {numbers:?}"
            );
            self.met.numbers.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Uses a table of anybody, which may be gone.
    fn visit(&self, database: &Database, handles: &Mutex<Vec<Handle>>) -> Result<()> {
        let (table, life) = {
            let handles = handles.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(last) = handles.len().checked_sub(1) else { return Ok(()) };
            let back = choose("ddl/handle", 4).min(last as u64) as usize;
            handles[last - back].clone()
        };
        let is_filled = self.known().is_filled(&table, life);
        let mut txn = database.begin();
        let visited = match choose("ddl/visit", 3) {
            0 => rows_of(&txn, &table).map(|rows| {
                let are_there = !is_filled || !rows.is_empty();
                assert!(is_off() || are_there, "{table:?} has no rows, and was not dropped");
            }),
            1 => txn.read(&table, RecordNumber(choose("ddl/record", 6))).map(drop),
            // Nobody else has such ids, and the transaction is not committed.
            _ => txn.insert(&table, &row(u64::MAX, 0, 900)).map(drop),
        };
        for _ in 0..choose("ddl/stay", 4) {
            thread::yield_now();
        }
        let is_over = self.known().ended.contains(&(table.name().to_string(), life));
        assert!(
            visited.is_err() || is_off() || !is_over,
            "{table:?} was dropped while it was used"
        );
        drop(txn);
        match visited {
            Err(Error::Dropped { .. }) => {
                self.met.told_dropped.fetch_add(1, Relaxed);
                Ok(())
            }
            other => other,
        }
    }
}

fn row(id: u64, life: u64, bytes: u64) -> Vec<KeyValue<'static>> {
    let text = format!("{:0>60}{life}", id % 101 * 79 % 101);
    let content = vec![id as u8; bytes as usize];
    vec![KeyValue::U64(id), KeyValue::Text(text.into()), KeyValue::Bytes(content.into())]
}

/// All rows of a table, which must be such as [`row`] makes, with both indexes.
fn rows_of(txn: &Transaction<'_>, table: &Table) -> Result<Rows> {
    let mut rows = Rows::new();
    for found in txn.scan(table)? {
        let (_, found) = found?;
        let [KeyValue::U64(id), KeyValue::Text(text), KeyValue::Bytes(content)] = &found[..] else {
            panic!("{found:?} is no row of ours");
        };
        let life = text[60..].parse().expect("it ends with a life");
        assert_eq!(found, row(*id, life, content.len() as u64));
        rows.insert(*id, (life, content.len() as u64));
    }
    Ok(rows)
}

/// A life of several boots with a database.
pub(crate) fn live(machine: &mut Machine, met: &Met, has_errors: bool) {
    let batch = [1, 4, 64][machine.run(|ctx| ctx.choose("ddl/batch", 3) as usize)];
    let options = Options { sequence_batch: batch, ..small() };
    let run = Run { known: Mutex::default(), met, options, has_errors };
    for _ in 0..BOOTS {
        let ending = machine.run(|ctx| {
            let at = At::DiskOp(1 + ctx.choose("crash/at", DISK_OPS));
            let soon = At::DiskOp(1 + ctx.choose("crash/soon", RECOVERY_OPS));
            match ctx.choose("crash/ending", 8) {
                0 => Ending::Drawn(PowerDraw { recovery_ppm: 500_000, ..PowerDraw::default() }),
                1 | 2 => Ending::ProcessCrash(at),
                3 | 4 => Ending::PowerLoss(soon),
                5 => Ending::Never,
                _ => Ending::PowerLoss(at),
            }
        });
        let before = met.opened.load(Relaxed);
        let end = machine.boot(ending, |ctx| run.boot(&ctx.disk())).end;
        assert!(!matches!(end, End::Verdict(_)), "{end:?}");
        met.cut_in_recovery.fetch_add(u64::from(met.opened.load(Relaxed) == before), Relaxed);
    }
    machine.faults().hold_back(true);
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        let database = run.open(&disk).expect("no fault");
        let report = database.verify().expect("no fault");
        assert_eq!(report.problems, Vec::<String>::new());
        for name in database.sequence_names() {
            run.number(&database, &name).expect("no fault");
        }
        let reclaimed = database.statistics().get("pages_reclaimed").expect("it is counted");
        met.left_to_reclaim.fetch_add(u64::from(reclaimed > 0), Relaxed);
        met.reclaimed.fetch_add(reclaimed, Relaxed);
        database.close().expect("no fault");
    });
}

/// Machines with such a file system that lose power in every way, and fail calls if asked to.
pub(crate) fn sim(fs: FsPreset, has_errors: bool, planted: &[&str]) -> Sim {
    let disk = DiskConfig { fs, latency: false, ..DiskConfig::default() };
    let planted = planted.iter().map(|bug| (*bug).to_string()).collect();
    let mut sim = Sim::new("what_was_made_is_there_and_what_was_dropped_is_not")
        .config(MachineConfig { disk, planted, ..MachineConfig::default() });
    for fault in Fault::ALL.iter().filter(|fault| fault.when() == When::PowerLoss) {
        sim = sim.fault(*fault, 1_000_000);
    }
    if !has_errors {
        return sim.fault(Fault::SpuriousWake, 10_000);
    }
    let errors = [
        (Fault::EioRead, 500),
        (Fault::EioWrite, 500),
        (Fault::SyncFailClean, 1_000),
        (Fault::SyncFailDropped, 1_000),
        (Fault::ShortWrite, 10_000),
        (Fault::ShortRead, 10_000),
    ];
    errors.into_iter().fold(sim, |sim, (fault, ppm)| sim.fault(fault, ppm))
}

#[test]
fn what_was_made_is_there_and_what_was_dropped_is_not() {
    let met = Met::default();
    for fs in FsPreset::ALL {
        sim(fs, false, &[]).seeds(0..60).run(|machine| live(machine, &met, false));
        sim(fs, true, &[]).seeds(0..20).run(|machine| live(machine, &met, true));
    }
    let counts = [
        ("opened", &met.opened, 500),
        ("cut in recovery", &met.cut_in_recovery, 200),
        ("created", &met.created, 2_000),
        ("dropped", &met.dropped, 1_000),
        ("drops in doubt", &met.drops_in_doubt, 20),
        ("left to reclaim", &met.left_to_reclaim, 10),
        ("pages reclaimed", &met.reclaimed, 5_000),
        ("numbers", &met.numbers, 10_000),
        ("raises", &met.raises, 500),
        ("told that it was dropped", &met.told_dropped, 200),
        ("stopped", &met.stopped, 2),
    ];
    for (what, count, least) in counts {
        let count = count.load(Relaxed);
        println!("{what}: {count}");
        assert!(count >= least, "{what}: {count}, at least {least} expected");
    }
}
