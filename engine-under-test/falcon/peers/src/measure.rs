//! One work, done by a process of its own, so that no engine's figures hold another's.
//!
//! # Method
//!
//! What must be there first, an open database say, is not in the time that is measured; nor is its end. The process
//! prints each figure as `NAME VALUE`, and what else a reader should know as `note …`.
//!
//! # Invariant
//!
//! Threads that are measured together begin together. What reads from memory is measured in processor time, so
//! that other processes take nothing from it; all else in real time.

use std::io::Write;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::{Engine, Kind, Put, Setup};
use crate::rows::{Numbers, ROW_BYTES, value};
use crate::work::{Figure, Size, Work};
use crate::{Result, device};

/// Rows a transaction of a load.
const LOAD_ROWS: u64 = 5_000;
/// Rows of each thread that commits, before the clock starts.
const OWN_ROWS: u64 = 200;
/// How long an engine has for what it does in the background, before the clock starts.
const SETTLE: Duration = Duration::from_millis(300);
/// Rows a transaction while a log is made that is to be recovered.
const LOG_ROWS: u64 = 100;
/// Rows of a scan.
const SCAN_ROWS: u64 = 1_000;
/// A cache that holds everything, and one that holds next to nothing.
const LARGE_BYTES: usize = 1 << 30;
const SMALL_BYTES: usize = 2 << 20;

const WARM: Setup = Setup { cache_bytes: LARGE_BYTES, keeps_log: false };
const COLD: Setup = Setup { cache_bytes: SMALL_BYTES, keeps_log: false };
const KEPT: Setup = Setup { cache_bytes: LARGE_BYTES, keeps_log: true };

/// What a work has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Its figures.
    pub figures: Vec<(Figure, f64)>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

impl Answer {
    fn of(work: Work, value: f64) -> Answer {
        Answer { figures: vec![(Figure::Of(work), value)], notes: Vec::new() }
    }

    /// The lines that tell it.
    pub fn lines(&self) -> String {
        let figures = self.figures.iter().map(|(figure, value)| format!("{figure} {value}\n"));
        let notes = self.notes.iter().map(|note| format!("note {note}\n"));
        figures.chain(notes).collect()
    }

    /// The answer that these lines tell.
    ///
    /// # Errors
    ///
    /// With the first line that is none.
    pub fn read(lines: &str) -> Result<Answer> {
        let mut answer = Answer::default();
        for line in lines.lines() {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            if name == "note" {
                answer.notes.push(rest.into());
                continue;
            }
            let figure = Figure::named(name).ok_or_else(|| format!("no figure: {line}"))?;
            let value: f64 = rest.parse()?;
            if !value.is_finite() || value <= 0.0 {
                return Err(format!("no measure: {line}").into());
            }
            answer.figures.push((figure, value));
        }
        Ok(answer)
    }
}

/// Does a work on an engine in a folder.
///
/// # Errors
///
/// The engine's, or the system's.
pub fn measure(kind: Kind, work: Work, dir: &Path, size: &Size) -> Result<Answer> {
    match work {
        Work::Commit(threads) => commit(kind, threads, dir, size),
        Work::Load => load(kind, dir, size),
        Work::Read => read(kind, work, dir, size, 1),
        Work::ReadMany => read(kind, work, dir, size, 100),
        Work::Scan => scan(kind, dir, size),
        Work::ColdRead => cold_read(kind, dir, size),
        Work::ColdScan => cold_scan(kind, dir, size),
        Work::Reopen => reopen(kind, dir),
    }
}

fn commit(kind: Kind, threads: u64, dir: &Path, size: &Size) -> Result<Answer> {
    let engine = kind.open(dir, WARM)?;
    for thread in 0..threads {
        let rows: Vec<Put> = (0..OWN_ROWS).map(|row| new_row(thread << 32 | row)).collect();
        engine.commit(&rows)?;
    }
    // What follows these rows in the background is done, and in the log with another commit.
    thread::sleep(SETTLE);
    engine.commit(&[Put { key: 0, value: value(0, 1), is_new: false }])?;
    let written = device::written_bytes()?;
    let log = engine.log_counts();
    let (commits, elapsed) = commit_for(&*engine, threads, size.look)?;
    let log = log.zip(engine.log_counts());
    let told = engine.told();
    engine.close()?;
    let written = device::written_bytes()? - written;

    let asked = (commits * ROW_BYTES) as f64;
    let work = Work::Commit(threads);
    let mut answer = Answer::of(work, commits as f64 / elapsed.as_secs_f64());
    if written > 0 {
        answer.figures.push((Figure::Written(threads), written as f64 / asked));
    }
    if let Some((before, after)) = log {
        let bytes = (after.bytes - before.bytes) as f64;
        answer.figures.push((Figure::Log(threads), bytes / asked));
        if threads == 1 {
            answer.figures.push((Figure::LogCommit, bytes / commits as f64));
        }
        let blocks = after.blocks - before.blocks;
        answer.notes.push(format!("{work}: {commits} commits in {blocks} blocks of the log"));
    }
    tell(&told);
    Ok(answer)
}

/// Commits from so many threads for a while; returns how often, and how long it took.
fn commit_for(engine: &dyn Engine, threads: u64, look: Duration) -> Result<(u64, Duration)> {
    let start = Barrier::new(threads as usize + 1);
    let commits = AtomicU64::new(0);
    let work = |thread: u64| -> Result<()> {
        let mut numbers = Numbers::new(thread);
        start.wait();
        let begin = Instant::now();
        let mut count = 0;
        while begin.elapsed() < look {
            let row = match count % 2 {
                0 => new_row(thread << 32 | (OWN_ROWS + count)),
                _ => {
                    let key = thread << 32 | numbers.below(OWN_ROWS);
                    Put { key, value: value(key, count), is_new: false }
                }
            };
            engine.commit(&[row])?;
            count += 1;
        }
        commits.fetch_add(count, Ordering::Relaxed);
        Ok(())
    };
    thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        start.wait();
        let begin = Instant::now();
        for handle in handles {
            handle.join().map_err(|_| "a thread panicked")??;
        }
        Ok((commits.load(Ordering::Relaxed), begin.elapsed()))
    })
}

fn new_row(key: u64) -> Put {
    Put { key, value: value(key, 0), is_new: true }
}

fn load(kind: Kind, dir: &Path, size: &Size) -> Result<Answer> {
    let engine = kind.open(dir, WARM)?;
    let mut elapsed = Duration::ZERO;
    for first in (0..size.rows).step_by(LOAD_ROWS as usize) {
        let end = (first + LOAD_ROWS).min(size.rows);
        let rows: Vec<Put> = (first..end).map(new_row).collect();
        let begin = Instant::now();
        engine.commit(&rows)?;
        elapsed += begin.elapsed();
    }
    let told = engine.told();
    engine.close()?;
    tell(&told);
    Ok(Answer::of(Work::Load, size.rows as f64 / elapsed.as_secs_f64()))
}

fn read(kind: Kind, work: Work, dir: &Path, size: &Size, batch: usize) -> Result<Answer> {
    let engine = warm(kind, dir, size)?;
    // Once by their keys too, for what an engine remembers of these.
    for first in (0..size.rows).step_by(100) {
        engine.read(&(first..first + 100).collect::<Vec<u64>>())?;
    }
    let mut numbers = Numbers::new(1);
    let mut keys = vec![0; batch];
    let (mut count, begin) = (0, device::processor_time()?);
    while device::processor_time()? - begin < size.look {
        // The clock is not asked for every row.
        for _ in 0..100 / batch {
            keys.iter_mut().for_each(|key| *key = numbers.below(size.rows));
            engine.read(&keys)?;
            count += batch;
        }
    }
    let rate = count as f64 / (device::processor_time()? - begin).as_secs_f64();
    let told = engine.told();
    engine.close()?;
    tell(&told);
    Ok(Answer::of(work, rate))
}

fn scan(kind: Kind, dir: &Path, size: &Size) -> Result<Answer> {
    let engine = warm(kind, dir, size)?;
    let mut numbers = Numbers::new(2);
    let (mut count, begin) = (0, device::processor_time()?);
    while device::processor_time()? - begin < size.look {
        count += engine.scan(numbers.below(size.rows - SCAN_ROWS), SCAN_ROWS)?;
    }
    let rate = count as f64 / (device::processor_time()? - begin).as_secs_f64();
    engine.close()?;
    Ok(Answer::of(Work::Scan, rate))
}

/// Opens a database and reads it all, so that the cache has it.
fn warm(kind: Kind, dir: &Path, size: &Size) -> Result<Box<dyn Engine>> {
    let engine = kind.open(dir, WARM)?;
    let seen = engine.scan(0, size.rows)?;
    if seen != size.rows {
        return Err(format!("{seen} rows of {}", size.rows).into());
    }
    Ok(engine)
}

fn cold_read(kind: Kind, dir: &Path, size: &Size) -> Result<Answer> {
    device::make_cold(dir)?;
    let engine = kind.open(dir, COLD)?;
    let mut numbers = Numbers::new(3);
    let begin = Instant::now();
    for _ in 0..size.cold_rows {
        engine.read(&[numbers.below(size.rows)])?;
    }
    let rate = size.cold_rows as f64 / begin.elapsed().as_secs_f64();
    engine.close()?;
    Ok(Answer::of(Work::ColdRead, rate))
}

fn cold_scan(kind: Kind, dir: &Path, size: &Size) -> Result<Answer> {
    device::make_cold(dir)?;
    let engine = kind.open(dir, COLD)?;
    let mut numbers = Numbers::new(4);
    let (mut count, begin) = (0, Instant::now());
    while count < 4 * size.cold_rows {
        count += engine.scan(numbers.below(size.rows - SCAN_ROWS), SCAN_ROWS)?;
    }
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    engine.close()?;
    Ok(Answer::of(Work::ColdScan, rate))
}

/// Writes until the log has so many bytes, says so, and waits to be killed.
///
/// # Errors
///
/// The engine's. Without an error it does not return.
pub fn fill_log(kind: Kind, dir: &Path, size: &Size) -> Result<()> {
    let engine = kind.open(dir, KEPT)?;
    let mut key = 0;
    // Where a log's bytes are not told, as many bytes of rows are written: a log that has them all, if there is one.
    while engine.log_bytes()?.unwrap_or(key * ROW_BYTES) < size.log_bytes {
        let rows: Vec<Put> = (key..key + LOG_ROWS).map(new_row).collect();
        engine.commit(&rows)?;
        key += LOG_ROWS;
    }
    tell(&engine.told());
    let mut out = std::io::stdout();
    let (log, asked) = (engine.log_bytes()?, key * ROW_BYTES);
    let log = log.map_or("no log is told".into(), |bytes| format!("{:.1} MB of log", mega(bytes)));
    writeln!(out, "{log}, {:.1} MB of rows", mega(asked))?;
    out.flush()?;
    loop {
        thread::park();
    }
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn reopen(kind: Kind, dir: &Path) -> Result<Answer> {
    let begin = Instant::now();
    let engine = kind.open(dir, KEPT)?;
    engine.read(&[0])?;
    let elapsed = begin.elapsed();
    engine.close()?;
    Ok(Answer::of(Work::Reopen, elapsed.as_secs_f64()))
}

/// Tells what an engine has counted, if somebody wants to know.
fn tell(counts: &str) {
    if std::env::var_os("FALCON_PEERS_COUNTS").is_some() {
        eprint!("{counts}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_told() {
        let answer = Answer {
            figures: vec![(Figure::Of(Work::Commit(8)), 1234.5), (Figure::Log(8), 1.5)],
            notes: vec!["two words".into()],
        };
        assert_eq!(Answer::read(&answer.lines()).expect("its own lines"), answer);
        for line in ["commit@9 1", "commit@8 x", "commit@8 0", "commit@8 NaN", "commit@8"] {
            Answer::read(line).expect_err(line);
        }
    }

    #[test]
    fn threads_that_commit_are_counted() {
        let dir = crate::test_folder("commits");
        let size = Size { look: Duration::from_millis(50), ..Size::QUICK };
        let answer = measure(Kind::Falcon, Work::Commit(8), &dir, &size).expect("no fault");
        let log = answer.figures.iter().find(|(figure, _)| *figure == Figure::Log(8));
        let amplification = log.expect("Falcon counts its log").1;
        assert!(amplification > 1.0, "a log holds the rows: {amplification}");
        assert!(answer.notes[0].starts_with("commit@8: "), "{answer:?}");
        std::fs::remove_dir_all(&dir).expect("it is ours");
    }
}
