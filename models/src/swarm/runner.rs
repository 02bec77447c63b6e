//! The swarm's loop: hand out batches, take in answers, replace lost workers, stop in time.

use std::io;
use std::time::{Duration, Instant};

use super::interrupt;
use super::plan::{Job, Plan, Seeds};
use super::pool::{Happening, Lost, Pool};
use super::progress::Progress;
use super::protocol::{Batch, Broken, Done, FromWorker, Mode, ToWorker};
use super::tally::Tally;
use crate::cli::exit::Stop;
use crate::run::{Case, Finding, Property};

/// How often the loop looks at clock, interrupts and progress.
const TICK: Duration = Duration::from_millis(100);

/// The canary must be convicted within this time …
const CANARY_TIME: Duration = Duration::from_secs(1);

/// … or these seeds, on a machine that is so busy that it runs few in that time.
const CANARY_SEEDS: u64 = 64;

/// Seeds of one batch of the canary.
const CANARY_BATCH: u64 = 8;

/// Workers that end one after the other before they announce a seed: then none ever will.
const STILLBORN_MAX: u32 = 3;

/// What a swarm is to do.
pub struct Goal {
    /// Its parts: one case for each engine and scenario; their seeds say nothing.
    pub parts: Vec<Case>,
    /// The seeds of each.
    pub seeds: Seeds,
    /// How each is run.
    pub mode: Mode,
    /// How many workers.
    pub jobs: usize,
    /// No batch is handed out after this time.
    pub duration: Option<Duration>,
    /// Ends after this many different findings.
    pub fail_fast: Option<u32>,
    /// How long a busy worker may be silent before it is ended.
    pub silence: Duration,
    /// Ends when every part has a finding.
    pub until_each_found: bool,
    /// The canary, unless it is among the parts itself.
    pub canary: Option<Case>,
    /// Where an earlier swarm of the same plan stopped; empty for a new one.
    pub resumed: Vec<Tally>,
}

/// Why a swarm ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All seeds were run.
    Complete,
    /// Its time was over, or it had found what it was asked for.
    Satisfied,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// The testbed itself broke.
    Broken,
}

/// What became of the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// It was convicted after so many seeds.
    Convicted(u64),
    /// It was not.
    NotConvicted,
}

/// What a swarm came to.
pub struct Results {
    /// A tally for each part.
    pub tallies: Vec<Tally>,
    /// The canary's own, when it ran beside the parts.
    pub canary: Option<(Canary, Tally)>,
    /// Why it ended.
    pub ending: Ending,
    /// A panic inside the testbed.
    pub broken: Option<String>,
    /// Real time.
    pub wall: Duration,
}

struct Runner<'a> {
    goal: &'a Goal,
    pool: Pool,
    plan: Plan,
    /// What each worker does, and since when.
    jobs: Vec<Option<(Job, Instant)>>,
    tallies: Vec<Tally>,
    stillborn: u32,
    broken: Option<String>,
    started: Instant,
}

/// Runs a swarm to its end.
///
/// # Errors
///
/// [`Stop::OurBug`] when workers cannot be started, [`Stop::Usage`] when a case cannot be run.
pub fn run(goal: &Goal, progress: &mut Progress) -> Result<Results, Stop> {
    let started = Instant::now();
    let parts = goal.parts.iter().chain(&goal.canary).cloned().collect();
    let mut pool = Pool::start(goal.jobs, parts, goal.silence).map_err(no_worker)?;
    let canary = match &goal.canary {
        Some(_) => Some(convict_canary(&mut pool, goal.parts.len())?),
        None => None,
    };
    if let Some((canary, _)) = &canary {
        progress.canary(*canary);
    }
    let mut tallies = goal.resumed.clone();
    tallies.resize(goal.parts.len(), Tally::default());
    let done: Vec<u64> = tallies.iter().map(Tally::contiguous).collect();
    let plan = Plan::new(goal.seeds, goal.mode, &done);
    let jobs = vec![None; pool.worker_count()];
    let mut runner =
        Runner { goal, pool, plan, jobs, tallies, stillborn: 0, broken: None, started };
    let ending = runner.work(progress)?;
    progress.finish();
    let Runner { tallies, broken, .. } = runner;
    Ok(Results { tallies, canary, ending, broken, wall: started.elapsed() })
}

fn no_worker(error: io::Error) -> Stop {
    Stop::OurBug(format!("a worker cannot be started: {error}"))
}

impl Runner<'_> {
    fn work(&mut self, progress: &mut Progress) -> Result<Ending, Stop> {
        loop {
            let stop = self.reason_to_stop();
            if stop.is_none() {
                self.hand_out();
            }
            if self.pool.is_idle() {
                return Ok(stop.unwrap_or(Ending::Complete));
            }
            if let Some((worker, happening)) = self.pool.next(TICK).map_err(no_worker)? {
                self.happened(worker, happening, progress)?;
            }
            progress.tick(self.started.elapsed(), &self.tallies);
        }
    }

    fn reason_to_stop(&self) -> Option<Ending> {
        if self.broken.is_some() {
            return Some(Ending::Broken);
        }
        if interrupt::requested() {
            return Some(Ending::Interrupted);
        }
        let is_late = self.goal.duration.is_some_and(|time| self.started.elapsed() >= time);
        let signatures: usize = self.tallies.iter().map(|tally| tally.found.len()).sum();
        let has_failed = self.goal.fail_fast.is_some_and(|count| signatures >= count as usize);
        let has_each =
            self.goal.until_each_found && self.tallies.iter().all(|tally| !tally.found.is_empty());
        (is_late || has_failed || has_each).then_some(Ending::Satisfied)
    }

    fn hand_out(&mut self) {
        while let Some(worker) = self.pool.idle() {
            let Some(job) = self.plan.next() else { return };
            self.pool.give(worker, &ToWorker::Batch(self.plan.batch(job)));
            self.jobs[worker] = Some((job, Instant::now()));
        }
    }

    fn happened(
        &mut self,
        worker: usize,
        happening: Happening,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let Some((job, since)) = self.jobs[worker].take() else {
            return Ok(());
        };
        let took = since.elapsed();
        match happening {
            Happening::Answer(FromWorker::Done(done)) => {
                self.stillborn = 0;
                self.done(job, *done, took, progress);
            }
            Happening::Answer(FromWorker::Broken(broken)) => {
                let case = &self.goal.parts[job.part];
                self.broken = Some(format!(
                    "a panic inside the testbed, at seed {} of {} {}: {}",
                    broken.seed, case.engine, case.scenario, broken.message
                ));
            }
            Happening::Answer(FromWorker::Refused(what)) => return Err(Stop::Usage(what)),
            Happening::Answer(other) => {
                return Err(Stop::OurBug(format!("a worker answered a batch by {other:?}")));
            }
            Happening::Lost(lost) => self.lost(job, &lost, took, progress)?,
        }
        Ok(())
    }

    fn done(&mut self, job: Job, done: Done, took: Duration, progress: &mut Progress) {
        for found in &done.found {
            if !self.tallies[job.part].found.contains_key(&found.finding.signature()) {
                progress.found(&self.goal.parts[job.part], found.seed, &found.finding);
            }
        }
        self.plan.done(job, took);
        self.tallies[job.part].done(job.first, done, took);
    }

    fn lost(
        &mut self,
        job: Job,
        lost: &Lost,
        took: Duration,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let number = lost.seed.map(|seed| self.goal.seeds.index(seed));
        self.plan.lost(job, number, took);
        let (Some(seed), Some(number)) = (lost.seed, number) else {
            self.stillborn += 1;
            return if self.stillborn < STILLBORN_MAX {
                Ok(())
            } else {
                Err(Stop::OurBug(format!("workers end before their first seed: {}", lost.cause)))
            };
        };
        self.stillborn = 0;
        let case = &self.goal.parts[job.part];
        let finding = loss(&case.engine, seed, lost);
        if !self.tallies[job.part].found.contains_key(&finding.signature()) {
            progress.found(case, seed, &finding);
        }
        self.tallies[job.part].lost(number, seed, finding, took);
        Ok(())
    }
}

/// The finding that a lost worker is.
pub fn loss(engine: &str, seed: u64, lost: &Lost) -> Finding {
    let mut what = vec![
        ("what".to_string(), format!("the worker that ran seed {seed} was lost: {}", lost.cause)),
        ("process".to_string(), lost.pid.to_string()),
    ];
    if !lost.call.is_empty() {
        what.push(("call".into(), lost.call.clone()));
    }
    what.extend(lost.stderr.iter().map(|line| ("stderr".to_string(), line.clone())));
    Finding {
        property: Property::Worker,
        sentence: lost.cause.clone(),
        place: format!("engine {engine}"),
        what,
        expected: None,
        found: None,
        path_of: Vec::new(),
        boot: 0,
        step: 0,
        beyond: Vec::new(),
        expected_finding: false,
    }
}

/// Runs the canary, the part of that index, on one worker until it is convicted or its time is over.
fn convict_canary(pool: &mut Pool, part: usize) -> Result<(Canary, Tally), Stop> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let is_over = |run| run >= CANARY_SEEDS && started.elapsed() >= CANARY_TIME;
    while tally.found.is_empty() && !is_over(tally.run) && !interrupt::requested() {
        let first = tally.run;
        let batch = Batch { part, from: first, stride: 1, count: CANARY_BATCH, mode: Mode::Swarm };
        pool.give(0, &ToWorker::Batch(batch));
        let since = Instant::now();
        let happening = loop {
            if let Some((_, happening)) = pool.next(TICK).map_err(no_worker)? {
                break happening;
            }
        };
        match happening {
            Happening::Answer(FromWorker::Done(done)) => {
                tally.done(first, *done, since.elapsed());
            }
            Happening::Answer(FromWorker::Broken(broken)) => {
                let Broken { seed, message } = broken;
                let what = format!("a panic inside the testbed, at seed {seed} of the canary");
                return Err(Stop::OurBug(format!("{what}: {message}")));
            }
            Happening::Answer(FromWorker::Refused(what)) => return Err(Stop::OurBug(what)),
            Happening::Answer(other) => {
                return Err(Stop::OurBug(format!("a worker answered a batch by {other:?}")));
            }
            Happening::Lost(lost) => {
                return Err(Stop::OurBug(format!("the canary lost its worker: {}", lost.cause)));
            }
        }
    }
    // What it was convicted of is the first finding; the count up to there tells how soon.
    let soonest = tally.found.values().map(|found| found.seed + 1).min();
    Ok((soonest.map_or(Canary::NotConvicted, Canary::Convicted), tally))
}
