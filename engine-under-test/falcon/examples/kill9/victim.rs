//! A process that works on a database until it is killed, and a look at what it leaves.
//!
//! # Method
//!
//! The parent starts a process with its [`Job`] in the environment and reads what it writes. A process whose
//! parent is gone ends by itself: its standard input is a pipe that then ends, whatever ended the parent.
//!
//! # Invariant
//!
//! Nobody opens the database before the process that had it is dead and all that it wrote is read.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use falcon::{Database, RecoveryReport, VerifyReport};

use super::history::{self, History};
use super::load::{self, Result};

/// Where a process finds its job.
const VARIABLE: &str = "FALCON_KILL9";

/// What a process is to do until it is killed.
pub struct Job {
    /// The folder of the database.
    pub dir: PathBuf,
    /// How many threads change rows. If none does, the process opens the database and waits.
    pub threads: u64,
    /// Ids from here on were never used.
    pub first_id: u64,
}

impl Job {
    /// The job of this process, if it is one that is to be killed.
    pub fn of_this_process() -> Option<Job> {
        let text = std::env::var(VARIABLE).ok()?;
        let mut words = text.splitn(3, ' ');
        let threads = words.next()?.parse().ok()?;
        let first_id = words.next()?.parse().ok()?;
        Some(Job { dir: words.next()?.into(), threads, first_id })
    }

    /// Does it. Returns only on an error; where the parent is gone the process ends.
    pub fn run(&self) -> Result<()> {
        std::thread::spawn(|| {
            // Nobody writes there: the read returns when the parent is gone.
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(3);
        });
        // Whoever runs this process may have begun a line.
        load::tell("")?;
        let database = load::open(&self.dir)?;
        load::tell(&history::open_line())?;
        if self.threads == 0 {
            loop {
                std::thread::park();
            }
        }
        load::run(&database, self.threads, self.first_id, &|| false, &load::tell)
    }

    /// Lets a process of `command` do it, kills the process after that time, and adds what it told to the
    /// history.
    ///
    /// # Errors
    ///
    /// What became of the process, if it ended by itself.
    pub fn kill_after(
        &self,
        mut command: Command,
        time: Duration,
        history: &mut History,
    ) -> Result<()> {
        let text = format!("{} {} {}", self.threads, self.first_id, self.dir.display());
        command.env(VARIABLE, text).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or("the process has no output")?;
        let reader = std::thread::spawn(move || lines(out));
        std::thread::sleep(time);
        let ended = kill(&mut child);
        let lines = reader.join().map_err(|_| "the reader panicked")??;
        history.has_opened = false;
        lines.iter().try_for_each(|line| history.take(line))?;
        ended
    }
}

/// Kills a process, which must not have ended before.
fn kill(child: &mut Child) -> Result<()> {
    let ended = child.try_wait()?;
    child.kill()?;
    child.wait()?;
    ended.map_or(Ok(()), |status| Err(format!("the process ended by itself, {status}").into()))
}

/// All whole lines; what is behind the last of them was cut off.
fn lines(out: impl Read) -> std::io::Result<Vec<String>> {
    let mut out = BufReader::new(out);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        out.read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some(line) => lines.push(line.to_string()),
            None => return Ok(lines),
        }
    }
}

/// What a look at the database found.
pub struct Look {
    /// What the opening had to do.
    pub recovery: RecoveryReport,
    /// What the structure check found.
    pub verify: VerifyReport,
    /// All that is wrong: lost rows, foreign ones, pages that do not fit.
    pub complaints: Vec<String>,
    database: Database,
}

impl Look {
    /// Opens the database, and compares it with what was told.
    pub fn at(dir: &Path, history: &mut History) -> Result<Look> {
        let database = load::open(dir)?;
        let mut complaints = history.settle(&load::rows(&database)?);
        let verify = database.verify()?;
        complaints.extend(verify.problems.iter().cloned());
        Ok(Look { recovery: database.recovery_report().clone(), verify, complaints, database })
    }

    /// Closes the database, so that the next opening has nothing to recover.
    pub fn close(self) -> Result<()> {
        Ok(self.database.close()?)
    }
}
