//! What an open database has counted, by name.
//!
//! # Method
//!
//! Each part counts for itself since the opening, recovery included. Asking collects all of it.
//! What each name means is with [`Statistics`], where whoever asks sees it.
//!
//! # Invariant
//!
//! Names are unique and sorted, and always the same; a count never falls while the database is open. Counts
//! of different parts are not of one moment.

use std::fmt;

use falconry_seam::sync::atomic::{AtomicU64, Ordering};

use super::engine::Engine;

/// What the database itself counts, where no part of it does.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) begun: Counter,
    pub(crate) committed: Counter,
    pub(crate) rolled_back: Counter,
    pub(crate) applied: Counter,
    pub(crate) rows_applied: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) tables_created: Counter,
    pub(crate) tables_dropped: Counter,
    pub(crate) pages_reclaimed: Counter,
    pub(crate) reclaim_steps: Counter,
    pub(crate) sequence_numbers: Counter,
    pub(crate) sequence_raises: Counter,
}

/// A count that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts `by` more.
    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an open database has counted since it was opened, by name:
///
/// | name                        | what                                                               |
/// |-----------------------------|--------------------------------------------------------------------|
/// | `admission_stalls`          | commits that waited until the log had room                         |
/// | `admissions`                | commits that were let in                                           |
/// | `cache_hits`                | pages that were asked for and in the cache                         |
/// | `cache_misses`              | pages that were asked for and not there                            |
/// | `cache_stalls`              | times that all frames were in use, so that a thread had to wait    |
/// | `checkpoints`               | checkpoints that were made, that of the opening among them         |
/// | `double_write_checkpoints`  | times that the double-write file began anew with a checkpoint      |
/// | `double_write_full`         | times that it began anew because it was full                       |
/// | `double_write_pages`        | pages that were copied there                                       |
/// | `double_write_runs`         | writes that these copies took                                      |
/// | `double_write_syncs`        | syncs of the double-write file                                     |
/// | `eviction_writes`           | pages that were written because their frame was needed             |
/// | `evictions`                 | pages that gave their frame to another one                         |
/// | `lock_deadlocks`            | requests for locks that would have waited for ever                 |
/// | `lock_time_outs`            | requests for locks that had waited for too long                    |
/// | `lock_waits`                | requests for locks that had to wait                                |
/// | `locks_granted`             | locks that a transaction got, or got in a stronger mode            |
/// | `log_appends`               | records that were appended to the log                              |
/// | `log_blocks`                | blocks of the log that were written and synced                     |
/// | `log_bytes`                 | bytes of these blocks, with header and padding                     |
/// | `log_flushes`               | flushes of the log that had to wait                                |
/// | `log_overruns`              | urgent appends beyond the bound of the log's files                 |
/// | `log_padding_bytes`         | bytes of padding among `log_bytes`                                 |
/// | `log_stalls`                | appends that waited until recovery needed less of the log          |
/// | `log_switches`              | times that the log went on in its other file                       |
/// | `page_runs_written`         | writes that `pages_written` took                                   |
/// | `pages_read`                | pages that were read from their file                               |
/// | `pages_reclaimed`           | pages of dropped tables that were freed                            |
/// | `pages_written`             | pages that were written to it                                      |
/// | `reclaim_steps`             | changes that freed these                                           |
/// | `rows_applied`              | rows brought to pages, those of the catalogue and raises among them |
/// | `sequence_numbers`          | numbers that sequences gave out                                    |
/// | `sequence_raises`           | transactions that raised a sequence for them                       |
/// | `tables_created`            | tables that were made                                              |
/// | `tables_dropped`            | tables that were dropped                                           |
/// | `transactions_applied`      | transactions whose rows these were                                 |
/// | `transactions_begun`        | transactions that a client began                                   |
/// | `transactions_committed`    | of these, the ones that were committed                             |
/// | `transactions_rolled_back`  | of these, the ones that were rolled back, dropped or refused       |
///
/// A file that is written without the double-write file has its counts at zero. Tables and sequences are made,
/// dropped and raised without a client's transaction. One whose commit was cut off by an error, so that only the next opening can tell,
/// is neither committed nor rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    counts: Vec<(&'static str, u64)>,
}

impl Statistics {
    /// Asks all parts of an engine.
    pub(super) fn of(engine: &Engine) -> Statistics {
        let mut counts = Vec::new();
        add_log(engine, &mut counts);
        add_pages(engine, &mut counts);
        add_transactions(engine, &mut counts);
        add_objects(engine, &mut counts);
        counts.sort_unstable();
        Statistics { counts }
    }

    /// All counts with their names, sorted by these.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().copied()
    }

    /// The count of that name.
    pub fn get(&self, name: &str) -> Option<u64> {
        let place = self.counts.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(self.counts[place].1)
    }
}

/// One count a line, `name value`.
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(name, count)| writeln!(f, "{name} {count}"))
    }
}

fn add_log(engine: &Engine, counts: &mut Vec<(&'static str, u64)>) {
    let log = engine.store.log().counters();
    let admission = engine.admission.counters();
    counts.extend([
        ("admission_stalls", admission.stalls),
        ("admissions", admission.admitted),
        ("log_appends", log.appends),
        ("log_blocks", log.blocks),
        ("log_bytes", log.bytes),
        ("log_flushes", log.flushes_waited),
        ("log_overruns", log.overruns),
        ("log_padding_bytes", log.padding_bytes),
        ("log_stalls", log.stalls),
        ("log_switches", log.switches),
    ]);
}

fn add_pages(engine: &Engine, counts: &mut Vec<(&'static str, u64)>) {
    let cache = engine.store.cache();
    let double_write = cache.double_write().map(|file| file.counters()).unwrap_or_default();
    let cache = cache.counters();
    counts.extend([
        ("cache_hits", cache.hits),
        ("cache_misses", cache.misses),
        ("cache_stalls", cache.stalls),
        ("double_write_checkpoints", double_write.checkpoints),
        ("double_write_full", double_write.full),
        ("double_write_pages", double_write.pages),
        ("double_write_runs", double_write.entries),
        ("double_write_syncs", double_write.syncs),
        ("eviction_writes", cache.eviction_writes),
        ("evictions", cache.evictions),
        ("page_runs_written", cache.runs_written),
        ("pages_read", cache.pages_read),
        ("pages_written", cache.pages_written),
    ]);
}

fn add_objects(engine: &Engine, counts: &mut Vec<(&'static str, u64)>) {
    let Counters { tables_created, tables_dropped, pages_reclaimed, reclaim_steps, .. } =
        &engine.counters;
    counts.extend([
        ("pages_reclaimed", pages_reclaimed.get()),
        ("reclaim_steps", reclaim_steps.get()),
        ("sequence_numbers", engine.counters.sequence_numbers.get()),
        ("sequence_raises", engine.counters.sequence_raises.get()),
        ("tables_created", tables_created.get()),
        ("tables_dropped", tables_dropped.get()),
    ]);
}

fn add_transactions(engine: &Engine, counts: &mut Vec<(&'static str, u64)>) {
    let Counters { begun, committed, rolled_back, applied, rows_applied, checkpoints, .. } =
        &engine.counters;
    let locks = engine.locks.counters();
    counts.extend([
        ("checkpoints", checkpoints.get()),
        ("lock_deadlocks", locks.deadlocks),
        ("lock_time_outs", locks.time_outs),
        ("lock_waits", locks.waited),
        ("locks_granted", locks.granted),
        ("rows_applied", rows_applied.get()),
        ("transactions_applied", applied.get()),
        ("transactions_begun", begun.get()),
        ("transactions_committed", committed.get()),
        ("transactions_rolled_back", rolled_back.get()),
    ]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use falconry_seam::disk::Disk;
    use falconry_seam::time::Duration;
    use falconry_sim::choice::Choices;
    use falconry_sim::{Machine, MachineConfig};

    use super::*;
    use crate::page::key::KeyValue;
    use crate::{Database, Error, Options, TableSpec};

    /// What a database has counted before and after a commit, a refused lock and a checkpoint.
    fn before_and_after() -> (Statistics, Statistics) {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(|ctx| {
            let disk: Arc<dyn Disk> = ctx.disk();
            let options = Options { lock_wait_timeout: Duration::ZERO, ..Options::default() };
            let database = Database::create(&disk, &options).expect("no fault");
            let table = database.create_table(&TableSpec::new("rows", 1)).expect("no fault");
            let before = database.statistics();
            let mut txn = database.begin();
            let record = txn.insert(&table, &[KeyValue::U64(1)]).expect("no fault");
            let refused = database.begin().read(&table, record).expect_err("it is locked");
            assert!(matches!(refused, Error::LockTimeout { .. }), "{refused}");
            txn.commit().expect("no fault");
            database.begin().commit().expect("no fault");
            database.verify().expect("no fault");
            database.checkpoint().expect("no fault");
            let after = database.statistics();
            database.close().expect("no fault");
            (before, after)
        })
    }

    #[test]
    fn names_are_unique_and_sorted_and_each_has_its_meaning() {
        let (before, after) = before_and_after();
        let names: Vec<&str> = after.iter().map(|(name, _)| name).collect();
        assert_eq!(names, Vec::from_iter(before.iter().map(|(name, _)| name)));
        let sorted: Vec<&str> =
            names.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(names, sorted);
        let told = include_str!("statistics.rs").lines();
        let told = told.filter_map(|line| line.strip_prefix("/// | `")?.split_once('`'));
        assert_eq!(names, Vec::from_iter(told.map(|(name, _)| name)));
    }

    #[test]
    fn counts_move() {
        let (before, after) = before_and_after();
        let grown = |name| after.get(name).expect("it is counted") - before.get(name).expect("so");
        let exact = [
            ("admission_stalls", 0),
            ("admissions", 1),
            ("checkpoints", 1),
            ("lock_deadlocks", 0),
            ("lock_time_outs", 1),
            ("rows_applied", 1),
            ("transactions_applied", 1),
            ("transactions_begun", 3),
            ("transactions_committed", 2),
            ("transactions_rolled_back", 1),
        ];
        for (name, expected) in exact {
            assert_eq!(grown(name), expected, "{name}");
        }
        let some = ["cache_hits", "locks_granted", "log_appends", "log_blocks", "log_bytes"];
        let more = ["log_flushes", "log_padding_bytes", "page_runs_written", "pages_written"];
        let double = ["double_write_pages", "double_write_runs", "double_write_syncs"];
        for name in some.into_iter().chain(more).chain(double) {
            assert!(grown(name) > 0, "{name}: {after}");
        }
        assert_eq!(after.get("nothing"), None);
        let bytes = after.get("log_bytes").expect("it is counted");
        assert!(after.to_string().contains(&format!("\nlog_bytes {bytes}\n")), "{after}");
    }
}
