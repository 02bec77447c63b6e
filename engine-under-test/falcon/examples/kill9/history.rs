//! What killed processes have promised, and whether the database keeps it.
//!
//! # Method
//!
//! A process writes a line before each commit, `kill9 try THREAD ID=VERSION …` with `ID=-` for a row that goes,
//! and `kill9 done THREAD` when the commit has returned. What is done has to be there. What was tried and not
//! done may be there, or not: the process died on the way.
//!
//! # Invariant
//!
//! A transaction is there as a whole or not at all, also one that nobody was told of.

use std::collections::BTreeMap;

/// The rows of the table: the version of each, by its id.
pub type Rows = BTreeMap<u64, u64>;
/// What a transaction leaves: a version, or none.
pub type Changes = BTreeMap<u64, Option<u64>>;

/// What comes before each line that is ours.
const PREFIX: &str = "kill9 ";
/// How many lost or foreign rows are told one by one.
const TOLD_MAX: usize = 10;

/// All that processes have told so far.
#[derive(Default)]
pub struct History {
    /// What has to be there.
    rows: Rows,
    /// What may be there, by the thread of the last process that tried it.
    in_flight: BTreeMap<u64, Changes>,
    /// Commits that were acknowledged.
    pub acknowledged: u64,
    /// Commits that nobody was told of, and that are there.
    pub kept_unasked: u64,
    /// Such that are not there.
    pub gone: u64,
    /// The last process has opened the database.
    pub has_opened: bool,
    /// Ids from here on were never used.
    pub next_id: u64,
}

/// The line before a commit.
pub fn try_line(thread: u64, changes: &Changes) -> String {
    let mut line = format!("{PREFIX}try {thread}");
    for (id, version) in changes {
        match version {
            Some(version) => line.push_str(&format!(" {id}={version}")),
            None => line.push_str(&format!(" {id}=-")),
        }
    }
    line
}

/// The line behind a commit.
pub fn done_line(thread: u64) -> String {
    format!("{PREFIX}done {thread}")
}

/// The line of a process that has opened the database.
pub fn open_line() -> String {
    format!("{PREFIX}open")
}

impl History {
    /// A history that begins with rows that are there.
    pub fn of(rows: Rows) -> History {
        let next_id = rows.last_key_value().map_or(0, |(id, _)| id + 1);
        History { rows, next_id, ..History::default() }
    }

    /// Takes a line of a process. What is not ours is passed over.
    ///
    /// # Errors
    ///
    /// What is wrong with the line.
    pub fn take(&mut self, line: &str) -> Result<(), String> {
        let Some(line) = line.strip_prefix(PREFIX) else { return Ok(()) };
        self.take_words(line).ok_or_else(|| format!("the process wrote {line:?}"))
    }

    fn take_words(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        match words.next()? {
            "open" => self.has_opened = true,
            "try" => {
                let thread = words.next()?.parse().ok()?;
                let changes = words.map(change).collect::<Option<Changes>>()?;
                let last_id = *changes.last_key_value()?.0;
                self.next_id = self.next_id.max(last_id + 1);
                // A thread that tries anew has rolled back what it tried before, or it is done.
                self.in_flight.insert(thread, changes);
            }
            "done" => {
                let changes = self.in_flight.remove(&words.next()?.parse().ok()?)?;
                apply(&mut self.rows, &changes);
                self.acknowledged += 1;
            }
            _ => return None,
        }
        Some(())
    }

    /// Compares with what the database has, which is what has to be there from now on. Returns all that is
    /// wrong.
    pub fn settle(&mut self, found: &Rows) -> Vec<String> {
        for changes in std::mem::take(&mut self.in_flight).into_values() {
            let is_there = changes.iter().all(|(id, version)| found.get(id) == version.as_ref());
            if is_there {
                apply(&mut self.rows, &changes);
                self.kept_unasked += 1;
            } else {
                self.gone += 1;
            }
        }
        let complaints = differences(&self.rows, found);
        self.rows.clone_from(found);
        complaints
    }
}

fn change(word: &str) -> Option<(u64, Option<u64>)> {
    let (id, version) = word.split_once('=')?;
    let version = match version {
        "-" => None,
        version => Some(version.parse().ok()?),
    };
    Some((id.parse().ok()?, version))
}

fn apply(rows: &mut Rows, changes: &Changes) {
    for (id, version) in changes {
        match version {
            Some(version) => rows.insert(*id, *version),
            None => rows.remove(id),
        };
    }
}

fn differences(expected: &Rows, found: &Rows) -> Vec<String> {
    let mut complaints = Vec::new();
    for (id, version) in expected {
        match found.get(id) {
            Some(other) if other == version => {}
            Some(other) => {
                complaints.push(format!("row {id} has version {other}, not {version}"));
            }
            None => complaints.push(format!("row {id} of version {version} is lost")),
        }
    }
    let ghosts = found.iter().filter(|(id, _)| !expected.contains_key(id));
    complaints.extend(ghosts.map(|(id, version)| {
        format!("row {id} of version {version} is there, and was deleted or never committed")
    }));
    let more = complaints.len().saturating_sub(TOLD_MAX);
    if more > 0 {
        complaints.truncate(TOLD_MAX);
        complaints.push(format!("and {more} more"));
    }
    complaints
}
