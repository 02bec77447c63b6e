//! Group commit (`engine-under-test/falcon/src/lockfree/hand_over.rs`): the writer's role goes from one
//! thread to the next, nobody sleeps for ever, and an error reaches all whose place is not durable.

#![expect(clippy::duplicate_mod, reason = "a file is checked as it is, and with weaker orders")]

mod loomed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::thread;
use loomed::falcon::hand_over::{HandOver, Turn};
use loomed::{executions, executions_within};

/// What the threads share. None of it is the protocol's, so loom need not look at it: the log as far as it was appended to, and what was written of it.
struct Log {
    turns: HandOver<&'static str>,
    appended: AtomicU64,
    written: AtomicU64,
    writes: AtomicU64,
    writers: AtomicU64,
    /// The write that fails, from 1; 0 for none.
    fails: u64,
    /// Whether its writer leaves without a word, as one that panics does.
    leaves: bool,
}

impl Log {
    fn new(fails: u64, leaves: bool) -> Arc<Log> {
        let zero = || AtomicU64::new(0);
        let turns = HandOver::new(0);
        let (appended, written, writes, writers) = (zero(), zero(), zero(), zero());
        Arc::new(Log { turns, appended, written, writes, writers, fails, leaves })
    }

    /// Appends one byte and waits until it is durable, as a commit does.
    fn commit(&self) -> Result<(), &'static str> {
        let place = self.appended.fetch_add(1, Ordering::AcqRel) + 1;
        match self.turns.wait(place, "abandoned") {
            Turn::Durable => {
                assert!(self.written.load(Ordering::Acquire) >= place, "acknowledged, not written");
                Ok(())
            }
            Turn::Stopped(why) => Err(why),
            Turn::Writer(writer) => {
                assert_eq!(self.writers.fetch_add(1, Ordering::AcqRel), 0, "two writers at a time");
                let upto = self.appended.load(Ordering::Acquire);
                let fails = self.writes.fetch_add(1, Ordering::AcqRel) + 1 == self.fails;
                if !fails {
                    self.written.store(upto, Ordering::Release);
                }
                self.writers.fetch_sub(1, Ordering::AcqRel);
                match (fails, self.leaves) {
                    (false, _) => writer.finish(Ok(upto)),
                    (true, false) => writer.finish(Err("no space")),
                    (true, true) => drop(writer),
                }
                if fails { Err("its own") } else { Ok(()) }
            }
        }
    }
}

/// So many commit at a time while the write of that number fails: what is run in each execution.
fn commits(count: usize, fails: u64, leaves: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        let log = Log::new(fails, leaves);
        let others: Vec<_> = (1..count)
            .map(|_| {
                let log = Arc::clone(&log);
                thread::spawn(move || log.commit())
            })
            .collect();
        let mut results = vec![log.commit()];
        results.extend(others.into_iter().map(|other| other.join().expect("no commit panics")));
        let failed = results.iter().filter(|result| result.is_err()).count() as u64;
        let durable = log.turns.durable();
        assert_eq!(durable, log.written.load(Ordering::Acquire), "durable is what was written");
        assert!(count as u64 - failed <= durable, "{failed} failed, and {durable} are durable");
        assert_eq!(failed > 0, log.turns.stopped().is_some(), "an error stops the log");
        let why = if leaves { "abandoned" } else { "no space" };
        assert!(
            results.iter().filter_map(|result| result.err()).all(|e| ["its own", why].contains(&e))
        );
    }
}

#[test]
fn two_commits_share_writes() {
    assert_eq!(executions(commits(2, 0, false)), 44);
    assert_eq!(executions(commits(2, 1, false)), 44);
    assert_eq!(executions(commits(2, 2, false)), 44);
}

#[test]
fn three_commits_share_writes() {
    assert_eq!(executions(commits(3, 0, false)), 24_703);
}

#[test]
fn an_error_in_the_middle_reaches_all_who_are_not_durable() {
    assert_eq!(executions(commits(3, 2, false)), 24_703);
}

#[test]
fn an_error_of_the_first_write_reaches_all() {
    assert_eq!(executions_within(3, commits(3, 1, false)), 500);
}

#[test]
fn a_writer_that_leaves_stops_the_log() {
    assert_eq!(executions_within(3, commits(3, 1, true)), 500);
}
