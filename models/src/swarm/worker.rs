//! The child of a swarm: takes seeds from stdin, runs them, reports on stdout.
//!
//! # Method
//!
//! One thread reads stdin and ends the process when the pipe closes, whatever the others do, so that
//! no worker outlives its parent. A watchdog ends it when the machine stands still. The first thread
//! runs the seeds; it announces each before it starts it.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use falconry_sim::choice::{Capsule, Exception, Recording};

use super::compare::difference;
use super::protocol::{Batch, Broken, Done, Examine, Examined, Found, FromWorker, Mode, ToWorker};
use super::spread::Spread;
use super::watchdog::Watchdog;
use crate::fuzz;
use crate::run::{Case, CaseError, Control, Counters, Outcome, Wishes, control, run_case};
use crate::shrink::{self, Budget, Fit, Shrunk};

/// A worker that has leaked this many tasks is replaced.
const ABANDONED_MAX: u64 = 100;

/// One seed in this many is run twice.
const TWICE_ONE_IN: u64 = 20;

/// Runs until stdin closes.
pub fn main() {
    let voice = Voice::take_stdout();
    let watchdog = Watchdog::start(voice.clone());
    let mut worker = Worker { voice, watchdog, parts: Vec::new(), abandoned: 0 };
    for order in orders() {
        match order {
            ToWorker::Parts(parts) => worker.parts = parts,
            ToWorker::Batch(batch) => worker.batch(&batch),
            ToWorker::Examine(examine) => worker.examine(*examine),
        }
    }
}

/// The only way to the parent: whole lines, from any thread.
#[derive(Clone)]
pub struct Voice {
    pipe: Arc<Mutex<File>>,
}

impl Voice {
    /// Takes stdout for itself. What an engine prints goes to stderr from now on: on the pipe it would
    /// spoil a line.
    fn take_stdout() -> Voice {
        let pipe = io::stdout().as_fd().try_clone_to_owned().expect("the pipe to the parent");
        // SAFETY: both descriptors are open, and replacing the one of stdout closes only the old one,
        // which nothing has written to yet.
        let result = unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) };
        assert_eq!(result, libc::STDOUT_FILENO, "stdout cannot be sent to stderr");
        Voice { pipe: Arc::new(Mutex::new(File::from(pipe))) }
    }

    /// Says one line. When nobody listens any more, the worker ends.
    pub fn say(&self, message: &FromWorker) {
        let mut text = serde_json::to_string(message).expect("messages are plain data");
        text.push('\n');
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if pipe.write_all(text.as_bytes()).is_err() {
            end_at_once(0);
        }
    }
}

/// Ends the process without running anything of the engine's, such as its exit handlers; but where coverage is
/// measured, which is told by the variable that names its file, they run: one of them writes that file.
pub fn end_at_once(code: i32) -> ! {
    if std::env::var_os("LLVM_PROFILE_FILE").is_some() {
        std::process::exit(code);
    }
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

fn orders() -> Receiver<ToWorker> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        for line in io::stdin().lock().lines() {
            let order = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            let Some(order) = order else { break };
            if sender.send(order).is_err() {
                break;
            }
        }
        end_at_once(0)
    };
    thread::Builder::new().name("orders".into()).spawn(read).expect("a thread for stdin");
    receiver
}

struct Worker {
    voice: Voice,
    watchdog: Watchdog,
    parts: Vec<Case>,
    abandoned: u64,
}

impl Worker {
    fn batch(&mut self, batch: &Batch) {
        let mut done = Done {
            digests: Vec::with_capacity(batch.count as usize),
            counters: Counters::default(),
            commits: Spread::default(),
            power_losses: Spread::default(),
            found: Vec::new(),
            reached: Vec::new(),
            twice: 0,
            retires: false,
        };
        for index in 0..batch.count {
            let seed = batch.from + index * batch.stride;
            let case = Case { seed, ..self.parts[batch.part].clone() };
            let wishes = Wishes { trace: batch.mode == Mode::Check, ..Wishes::default() };
            let Some(mut outcome) = self.run(&case, &wishes) else { return };
            if batch.mode == Mode::Check {
                // Only one question is asked there; what else a seed shows is not its answer.
                outcome.findings.clear();
            }
            if batch.mode == Mode::Check || is_run_twice(seed) {
                let Some(second) = self.run(&case, &wishes) else { return };
                done.twice += 1;
                if second.digest != outcome.digest {
                    let Some(finding) = self.explain(&case, outcome.clone(), second) else {
                        return;
                    };
                    outcome.findings.insert(0, finding);
                }
            }
            self.abandoned += outcome.counters.abandoned;
            take_in(&mut done, seed, outcome);
        }
        done.retires = self.abandoned >= ABANDONED_MAX;
        self.voice.say(&FromWorker::Done(Box::new(done)));
        if self.abandoned >= ABANDONED_MAX {
            end_at_once(0);
        }
    }

    /// How two runs of a case differ; runs it twice more when their traces were not kept.
    fn explain(&self, case: &Case, first: Outcome, second: Outcome) -> Option<crate::run::Finding> {
        if !first.trace.is_empty() {
            return Some(difference(&first, &second));
        }
        let wishes = Wishes { trace: true, ..Wishes::default() };
        let (first_again, second_again) = (self.run(case, &wishes)?, self.run(case, &wishes)?);
        // A difference that does not come again is one all the same.
        let again = first_again.digest != second_again.digest;
        Some(if again {
            difference(&first_again, &second_again)
        } else {
            difference(&first, &second)
        })
    }

    fn examine(&self, examine: Examine) {
        let Some(case) = examine.case.clone() else {
            return self.voice.say(&FromWorker::Refused("no case was given".into()));
        };
        let Some(driven) = self.driven(&case, &examine) else { return };
        let stops = examine.stop_at_step.is_some();
        let wishes = Wishes {
            trace: true,
            recording: true,
            stop_at_step: examine.stop_at_step,
            export: examine.export,
            replay: driven.recording,
            exceptions: driven.exceptions,
            steps_more: driven.steps_more,
            ..Wishes::default()
        };
        let Some(mut outcome) = self.run(&case, &wishes) else { return };
        // A recording knows its own case alone.
        let is_free = wishes.replay.is_none() && !stops;
        let control = match &driven.shrunk {
            Some(shrunk) => Some(shrunk.control.clone()),
            None if is_free && !outcome.findings.is_empty() => {
                let (control, without) = control::of(&case);
                let plain = Wishes { exceptions: wishes.exceptions.clone(), ..Wishes::default() };
                let Some(controlled) = self.run(&control, &plain) else { return };
                Some(Control::new(without, &controlled))
            }
            None => None,
        };
        let mut second_digest = None;
        let mut found_difference = None;
        if !stops {
            let wishes = Wishes { recording: false, export: None, ..wishes };
            let Some(second) = self.run(&case, &wishes) else { return };
            second_digest = Some(second.digest);
            found_difference =
                (second.digest != outcome.digest).then(|| difference(&outcome, &second));
        }
        let events = std::mem::take(&mut outcome.trace);
        let recording = outcome.recording.take().map(|recording| recording.to_text());
        self.voice.say(&FromWorker::Examined(Box::new(Examined {
            divergence: outcome.divergence.take(),
            not_exported: outcome.not_exported.take(),
            events,
            recording,
            fit: driven.fit,
            shrunk: driven.shrunk,
            second_digest,
            control,
            difference: found_difference,
            outcome,
        })));
    }

    /// What drives an examination in place of the seed; `None` when it cannot be, which was then said.
    fn driven(&self, case: &Case, examine: &Examine) -> Option<Driven> {
        let refused = |what: String| {
            self.voice.say(&FromWorker::Refused(what));
            None
        };
        let mut driven = Driven::default();
        match examine.recording.as_deref().map(Recording::from_text).transpose() {
            Ok(recording) => driven.recording = recording,
            Err(error) => return refused(error.to_string()),
        }
        match examine.capsule.as_deref().map(Capsule::from_text).transpose() {
            Ok(None) => {}
            Ok(Some(capsule)) => {
                let fitted = self.guarded(case.seed, || {
                    shrink::fit(&capsule, |exceptions| shrink::run_by(case, exceptions))
                })?;
                (driven.fit, driven.exceptions) = (Some(fitted.0), Some(fitted.1));
            }
            Err(error) => return refused(error.to_string()),
        }
        if let Some(bytes) = &examine.bytes {
            // From here on its exceptions drive it, which can be left out one by one.
            let wishes = Wishes { anchors: true, ..fuzz::wishes_of(bytes) };
            let outcome = self.run(case, &wishes)?;
            driven.exceptions = Some(outcome.anchored.unwrap_or_default().exceptions);
            if outcome.findings.is_empty() {
                // There is nothing to make small, and what passed may need all its steps to do so again.
                driven.steps_more = wishes.steps_more;
                return Some(driven);
            }
        }
        if let Some(order) = &examine.shrink {
            let budget = Budget::for_time(Duration::from_millis(order.for_ms), order.jobs);
            let from = driven.exceptions.as_deref();
            let shrunk =
                self.guarded(case.seed, || shrink::shrink(case, &order.revision, from, budget))?;
            if let Some(shrunk) = &shrunk {
                driven.exceptions = Some(shrunk.exceptions());
            }
            driven.shrunk = shrunk;
        }
        Some(driven)
    }

    /// Runs one case; `None` when it could not be run, which has then been said.
    fn run(&self, case: &Case, wishes: &Wishes) -> Option<Outcome> {
        self.guarded(case.seed, || run_case(case, wishes))
    }

    /// Runs under the watchdog; `None` when it could not be run, which has then been said.
    fn guarded<R>(&self, seed: u64, run: impl FnOnce() -> Result<R, CaseError>) -> Option<R> {
        self.voice.say(&FromWorker::At(seed));
        let watched = self.watchdog.watch();
        let result = catch_unwind(AssertUnwindSafe(run));
        drop(watched);
        match result {
            Ok(Ok(outcome)) => Some(outcome),
            Ok(Err(error)) => {
                self.voice.say(&FromWorker::Refused(error.to_string()));
                None
            }
            Err(payload) => {
                let message = panic_text(payload.as_ref());
                self.voice.say(&FromWorker::Broken(Broken { seed, message }));
                None
            }
        }
    }
}

/// What drives an examination in place of the seed.
#[derive(Default)]
struct Driven {
    recording: Option<Recording>,
    exceptions: Option<Vec<Exception>>,
    /// Steps that it may take beyond those of its scenario.
    steps_more: u64,
    fit: Option<Fit>,
    shrunk: Option<Shrunk>,
}

/// Whether a seed is one of those that every swarm runs twice.
fn is_run_twice(seed: u64) -> bool {
    // A multiplier with its bits well spread, so that no stride of seeds misses the chosen ones.
    let spread = (seed ^ 0x5EED).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (spread >> 32).is_multiple_of(TWICE_ONE_IN)
}

fn take_in(done: &mut Done, seed: u64, outcome: Outcome) {
    done.digests.push(outcome.digest);
    done.counters.add(&outcome.counters);
    done.commits.count(outcome.counters.commits_acked);
    done.power_losses.count(outcome.counters.power_losses);
    for name in outcome.reached {
        if !done.reached.contains(&name) {
            done.reached.push(name);
        }
    }
    // The first finding is the verdict; what follows from it is not counted again.
    if let Some(finding) = outcome.findings.into_iter().next() {
        let signature = finding.signature();
        match done.found.iter_mut().find(|found| found.finding.signature() == signature) {
            Some(found) => found.count += 1,
            None => done.found.push(Found { seed, count: 1, finding }),
        }
    }
}

/// What a panic said.
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests {
    use super::is_run_twice;

    #[test]
    fn one_seed_in_twenty_is_run_twice_whatever_the_stride() {
        for stride in [1, 2, 4, 5, 20, 1_000] {
            let twice = (0..20_000).filter(|index| is_run_twice(index * stride)).count();
            assert!((800..1_200).contains(&twice), "{twice} of 20000 with stride {stride}");
        }
    }
}
