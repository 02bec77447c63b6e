//! Results: what was run and what was found, in one SQLite file; artefacts of a run beside it.
//!
//! # Method
//!
//! A run is written once, when it is over, in one transaction. The file carries the version of its
//! schema; a newer one is refused, nothing is ever guessed.
//!
//! # Invariant
//!
//! A failure here never costs a finding: whoever calls prints what was found all the same.

mod artefacts;
mod schema;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;

pub use artefacts::Artefacts;

use crate::run::{Case, Finding};
use crate::swarm::Tally;

/// Why results cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("results in {}: {what}", path.display())]
pub struct StoreError {
    /// The results file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// An open results file.
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

/// A run to be written.
pub struct NewRun<'a> {
    /// The arguments.
    pub command: &'a str,
    /// The revision that was run.
    pub revision: &'a str,
    /// What identifies the plan, for `--resume`.
    pub plan: &'a str,
    /// The first seed.
    pub first_seed: u64,
    /// A tally for each part of the plan.
    pub parts: &'a [(Case, Tally)],
    /// What was found, one for each signature of each part.
    pub sightings: &'a [Sighting],
}

/// One signature in one part of one run.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The case, with the lowest seed.
    pub case: Case,
    /// What it was there.
    pub finding: Finding,
    /// In how many seeds.
    pub count: u64,
}

/// A signature over all runs.
#[derive(Clone, Debug, Serialize)]
pub struct Known {
    /// The signature.
    pub signature: String,
    /// The engine.
    pub engine: String,
    /// What it is, in a few words.
    pub sentence: String,
    /// In how many seeds of all runs it was seen.
    pub count: u64,
    /// Whether it is expected.
    pub expected: bool,
    /// The revision in which it was seen first.
    pub first_revision: String,
    /// When it was seen first, in seconds since 1970.
    pub first_seen_s: u64,
    /// When it was seen last.
    pub last_seen_s: u64,
    /// How many runs had it.
    pub runs: u64,
    /// Whether the newest run had it.
    pub in_newest_run: bool,
}

impl Store {
    /// Opens the results file, making it if it is not there.
    ///
    /// # Errors
    ///
    /// Says why it cannot be used.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let error = |what: String| StoreError { path: path.into(), what };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| error(e.to_string()))?;
        }
        schema::check_place(path).map_err(error)?;
        let mut connection = Connection::open(path).map_err(|e| error(e.to_string()))?;
        schema::prepare(&mut connection).map_err(error)?;
        Ok(Store { path: path.into(), connection })
    }

    /// Opens the results file if it is there.
    ///
    /// # Errors
    ///
    /// Says why it cannot be used.
    pub fn open_existing(path: &Path) -> Result<Option<Store>, StoreError> {
        if path.symlink_metadata().is_ok() { Store::open(path).map(Some) } else { Ok(None) }
    }

    fn error(&self, error: rusqlite::Error) -> StoreError {
        StoreError { path: self.path.clone(), what: error.to_string() }
    }

    fn damaged(&self, error: &serde_json::Error) -> StoreError {
        StoreError { path: self.path.clone(), what: format!("a row is damaged: {error}") }
    }

    /// Writes a run; returns its number.
    ///
    /// # Errors
    ///
    /// Nothing of the run was written.
    pub fn add(&mut self, run: &NewRun<'_>) -> Result<u64, StoreError> {
        let path = self.path.clone();
        let number = self.add_in_transaction(run);
        number.map_err(|error| StoreError { path, what: error.to_string() })
    }

    fn add_in_transaction(&mut self, run: &NewRun<'_>) -> rusqlite::Result<u64> {
        let now = now_s();
        // Whoever reads first and writes later may find that another has written meanwhile.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO runs (ended_s, command, revision, plan, first_seed) VALUES (?, ?, ?, ?, ?)",
            params![now, run.command, run.revision, run.plan, run.first_seed.to_string()],
        )?;
        let number = transaction.last_insert_rowid();
        for (position, (case, tally)) in run.parts.iter().enumerate() {
            transaction.execute(
                "INSERT INTO parts (run, position, engine, scenario, seeds, tally) \
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    number,
                    position as i64,
                    case.engine,
                    case.scenario,
                    tally.run as i64,
                    json(tally)
                ],
            )?;
        }
        for Sighting { case, finding, count } in run.sightings {
            let signature = finding.signature();
            transaction.execute(
                "INSERT INTO sightings (run, signature, engine, seed, count, kase, finding) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![
                    number,
                    signature,
                    case.engine,
                    case.seed.to_string(),
                    *count as i64,
                    json(case),
                    json(finding)
                ],
            )?;
            transaction.execute(
                "INSERT INTO signatures (signature, engine, sentence, expected, count, \
                 first_revision, first_s, last_s, last_run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8) \
                 ON CONFLICT (signature, engine) DO UPDATE \
                 SET count = count + ?5, last_s = ?7, last_run = ?8",
                params![
                    signature,
                    case.engine,
                    sentence(finding),
                    finding.expected_finding,
                    *count as i64,
                    run.revision,
                    now,
                    number
                ],
            )?;
        }
        transaction.commit()?;
        Ok(number as u64)
    }

    /// All signatures, the one seen last first.
    ///
    /// # Errors
    ///
    /// As the file cannot be read.
    pub fn signatures(&self) -> Result<Vec<Known>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Known>> {
            let mut statement = self.connection.prepare(
                "SELECT signature, engine, sentence, count, expected, first_revision, first_s, \
                 last_s, last_run = (SELECT max(run) FROM runs), \
                 (SELECT count(DISTINCT run) FROM sightings AS seen \
                 WHERE seen.signature = signatures.signature AND seen.engine = signatures.engine) \
                 FROM signatures ORDER BY last_run DESC, signature, engine",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Known {
                    signature: row.get(0)?,
                    engine: row.get(1)?,
                    sentence: row.get(2)?,
                    count: row.get::<_, i64>(3)? as u64,
                    expected: row.get(4)?,
                    first_revision: row.get(5)?,
                    first_seen_s: row.get::<_, i64>(6)? as u64,
                    last_seen_s: row.get::<_, i64>(7)? as u64,
                    in_newest_run: row.get(8)?,
                    runs: row.get::<_, i64>(9)? as u64,
                })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.error(e))
    }

    /// The newest sighting of a signature.
    ///
    /// # Errors
    ///
    /// As the file cannot be read.
    pub fn of_signature(&self, signature: &str) -> Result<Option<Sighting>, StoreError> {
        self.sighting("signature = ?", signature)
    }

    /// The newest sighting at a seed.
    ///
    /// # Errors
    ///
    /// As the file cannot be read.
    pub fn of_seed(&self, seed: u64) -> Result<Option<Sighting>, StoreError> {
        self.sighting("seed = ?", &seed.to_string())
    }

    /// The newest sighting of all; one that was not expected, if there is one in the same run.
    ///
    /// # Errors
    ///
    /// As the file cannot be read.
    pub fn latest(&self) -> Result<Option<Sighting>, StoreError> {
        self.sighting("'' = ?", "")
    }

    fn sighting(&self, condition: &str, value: &str) -> Result<Option<Sighting>, StoreError> {
        let query = format!(
            "SELECT kase, finding, count FROM sightings WHERE {condition} \
             ORDER BY run DESC, json_extract(finding, '$.expected_finding'), rowid LIMIT 1"
        );
        let row = self
            .connection
            .query_row(&query, [value], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()
            .map_err(|e| self.error(e))?;
        let Some((case, finding, count)) = row else { return Ok(None) };
        Ok(Some(Sighting {
            case: serde_json::from_str(&case).map_err(|e| self.damaged(&e))?,
            finding: serde_json::from_str(&finding).map_err(|e| self.damaged(&e))?,
            count: count as u64,
        }))
    }

    /// Where the newest run of a plan stopped: its first seed and the tally of each part.
    ///
    /// # Errors
    ///
    /// As the file cannot be read.
    pub fn newest_of_plan(&self, plan: &str) -> Result<Option<(u64, Vec<Tally>)>, StoreError> {
        let read = || -> rusqlite::Result<Option<(i64, String, Vec<String>)>> {
            let run = self
                .connection
                .query_row(
                    "SELECT run, first_seed FROM runs WHERE plan = ? ORDER BY run DESC LIMIT 1",
                    [plan],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((run, first_seed)) = run else { return Ok(None) };
            let mut statement = self
                .connection
                .prepare("SELECT tally FROM parts WHERE run = ? ORDER BY position")?;
            let tallies = statement.query_map([run], |row| row.get(0))?;
            Ok(Some((run, first_seed, tallies.collect::<rusqlite::Result<_>>()?)))
        };
        let Some((run, first_seed, tallies)) = read().map_err(|e| self.error(e))? else {
            return Ok(None);
        };
        let first_seed = first_seed.parse().map_err(|_| StoreError {
            path: self.path.clone(),
            what: format!("run {run} has the first seed '{first_seed}'"),
        })?;
        let tallies: Result<Vec<Tally>, _> =
            tallies.iter().map(|tally| serde_json::from_str(tally)).collect();
        Ok(Some((first_seed, tallies.map_err(|e| self.damaged(&e))?)))
    }

    /// The folder of a run's artefacts.
    pub fn artefacts(&self, run: u64) -> Artefacts {
        Artefacts::new(&self.path, run)
    }
}

/// What a finding is, in one line of a list.
fn sentence(finding: &Finding) -> String {
    let text = format!("{}: {}", finding.property.name(), finding.sentence);
    match finding.beyond().as_str() {
        "" => text,
        faults => format!("{text} (beyond the budget: {faults})"),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// Seconds since 1970, by the real clock: results say when they came.
fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}
