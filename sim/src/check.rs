//! The builder that tests use: seeds in, verdicts out.
//!
//! # Method
//!
//! Each seed gets a machine of its own, on an OS thread of its own, so that nothing of one run can
//! reach the next. The first seed whose run panics, or is stopped by the machine, fails the test with
//! what happened, the last events, and one line that runs that seed again. One seed in twenty runs
//! twice, and its two digests must be equal.
//!
//! The environment steers it: `FALCONRY_SEED` runs one seed, `FALCONRY_SEEDS` a range `A..B`,
//! `FALCONRY_PARTITION` slice `m/n` of a range, `FALCONRY_JOBS` that many seeds at once, `FALCONRY_FOR`
//! stops after so many seconds (`20s`, `5m`, `2h`). `FALCONRY_FAULTS=none` runs a test without its
//! faults, `FALCONRY_FAULT=NAME=PPM` sets the rates of single ones.
//!
//! ```
//! use falconry_seam::sync::atomic::{AtomicU32, Ordering};
//! use falconry_sim::check::Sim;
//!
//! Sim::new("two_increments").seeds(0..20).run(|machine| {
//!     let count = machine.run(|_| {
//!         let count = AtomicU32::new(0);
//!         falconry_seam::thread::scope(|scope| {
//!             scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
//!             scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
//!         });
//!         count.into_inner()
//!     });
//!     assert_eq!(count, 2);
//! });
//! ```

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the runner works on the host, around the runs and never inside one"
)]

mod regressions;

use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::choice::{Anchored, Choices, PPM};
use crate::fault::{Fault, Faults, When};
use crate::machine::{Machine, MachineConfig};
use crate::trace::{Digest, Event};

/// One seed in so many runs twice.
const TWICE_EVERY: u64 = 20;

/// Events shown of a failed run, counted from its end.
const EVENTS_SHOWN: usize = 24;

/// A test on simulated machines.
pub struct Sim {
    name: String,
    seeds: Range<u64>,
    config: MachineConfig,
    faults: Faults,
    /// What the environment said of faults, as it must be said again.
    told: String,
    /// Where failures are kept.
    regressions: Option<PathBuf>,
}

impl Sim {
    /// A test by the name that `cargo test` knows it by, on the seeds 0 to 99, without faults.
    pub fn new(name: &str) -> Self {
        Sim {
            name: name.into(),
            seeds: 0..100,
            config: MachineConfig::default(),
            faults: Faults::none(),
            told: String::new(),
            regressions: None,
        }
    }

    /// Keeps failures in `folder`: the first one of this test is made small and written there as a capsule,
    /// and every capsule of this test that is there is run before its seeds. The test fails until it
    /// passes, and again when it fails once more. With `FALCONRY_SEED` or `FALCONRY_SEEDS` set only
    /// those seeds are run, and nothing is written.
    pub fn regressions(mut self, folder: impl Into<PathBuf>) -> Self {
        self.regressions = Some(folder.into());
        self
    }

    /// The seeds to run; `FALCONRY_SEED` and `FALCONRY_SEEDS` go before.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// What the machines are made of.
    pub fn config(mut self, config: MachineConfig) -> Self {
        self.config = config;
        self
    }

    /// Lets a fault come, at so many millionths of its decision points.
    ///
    /// # Panics
    ///
    /// When it is an end of a life: those have no rate, the test says them by its `Ending`.
    #[track_caller]
    pub fn fault(mut self, fault: Fault, ppm: u32) -> Self {
        assert!(fault.when() != When::Life, "{}: {NO_RATE}", fault.name());
        self.faults.set_rate(fault, ppm);
        self
    }

    /// Runs `body` once a seed on a new machine, and panics with a report of the first failure.
    ///
    /// A run fails when `body` panics, or when a boot ended by a verdict that `body` did not ask for
    /// with `Machine::take_verdict`.
    pub fn run(mut self, body: impl Fn(&mut Machine) + Sync) {
        let plan = Plan::new(self.seeds.clone(), &mut self.faults, |name| std::env::var(name).ok())
            .unwrap_or_else(|what| panic!("{what}"));
        self.told = plan.told.clone();
        if plan.names_seeds {
            self.regressions = None;
        }
        if let Some(folder) = &self.regressions {
            regressions::judge(&self, folder, &body).unwrap_or_else(|report| panic!("{report}"));
        }
        let next = AtomicU64::new(0);
        let failure: Mutex<Option<(u64, String)>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..plan.jobs {
                scope.spawn(|| {
                    while plan.goes_on() {
                        let Some(seed) = plan.seed(next.fetch_add(1, Ordering::Relaxed)) else {
                            return;
                        };
                        if lock(&failure).is_some() {
                            return;
                        }
                        if let Err(what) = self.judge(seed, &body) {
                            let mut failure = lock(&failure);
                            if failure.as_ref().is_none_or(|(other, _)| seed < *other) {
                                *failure = Some((seed, what));
                            }
                        }
                    }
                });
            }
        });
        let failure = lock(&failure).take();
        if let Some((seed, what)) = failure {
            panic!("{}", self.report(seed, &what, &body));
        }
    }

    /// Runs one seed, some of them twice.
    fn judge(&self, seed: u64, body: &(impl Fn(&mut Machine) + Sync)) -> Result<(), String> {
        let first = self.once(|| Choices::from_seed(seed), false, body);
        first.result?;
        if seed.is_multiple_of(TWICE_EVERY) {
            let second = self.once(|| Choices::from_seed(seed), false, body);
            if first.digest != second.digest {
                return Err(format!(
                    "the same seed gave two digests, {} and {}: something decides that is not a \
                     choice of the machine",
                    first.digest, second.digest
                ));
            }
        }
        Ok(())
    }

    fn once(
        &self,
        choices: impl FnOnce() -> Choices + Send,
        keep_trace: bool,
        body: &(impl Fn(&mut Machine) + Sync),
    ) -> Once {
        let config = MachineConfig { keep_trace, ..self.config.clone() };
        let run = || {
            let mut machine = Machine::new(config, choices());
            *machine.faults() = self.faults.clone();
            let end = catch_unwind(AssertUnwindSafe(|| body(&mut machine)));
            let result = match (end, machine.take_verdict()) {
                (Err(payload), _) => Err(text_of(payload.as_ref())),
                (Ok(()), Some(verdict)) => Err(verdict.to_string()),
                (Ok(()), None) => Ok(()),
            };
            let anchored = machine.anchored();
            Once { result, digest: machine.digest(), events: machine.take_trace(), anchored }
        };
        let thread = std::thread::scope(|scope| scope.spawn(run).join());
        thread.unwrap_or_else(|payload| Once {
            result: Err(text_of(payload.as_ref())),
            digest: Digest::new(),
            events: Vec::new(),
            anchored: None,
        })
    }

    fn report(&self, seed: u64, what: &str, body: &(impl Fn(&mut Machine) + Sync)) -> String {
        let events = self.once(|| Choices::from_seed(seed), true, body).events;
        let mut report = self.told_of(what, &format!("seed {seed}"), &events);
        if let Some(folder) = &self.regressions {
            let _ =
                writeln!(report, "  kept        {}", regressions::keep(self, folder, seed, body));
        }
        let told = &self.told;
        let _ = write!(report, "  reproduce   FALCONRY_SEED={seed} {told}cargo test {}", self.name);
        report
    }
}

impl Sim {
    /// A failure and the last events before it.
    fn told_of(&self, what: &str, which: &str, events: &[Event]) -> String {
        let mut report = format!("FAIL  {}: {what}  {which}\n", self.name);
        for event in &events[events.len().saturating_sub(EVENTS_SHOWN)..] {
            let json = serde_json::to_string(event).unwrap_or_default();
            let _ = writeln!(report, "  {json}");
        }
        report
    }
}

struct Once {
    result: Result<(), String>,
    digest: Digest,
    events: Vec<Event>,
    /// Of a run that has anchors.
    anchored: Option<Anchored>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text").into()
}

/// What the environment makes of a test.
#[derive(Debug)]
struct Plan {
    seeds: Range<u64>,
    /// Which slice, from 1, of how many.
    slice: (u64, u64),
    /// The variables that change a run.
    told: String,
    jobs: usize,
    until: Option<Instant>,
    /// Whether the environment says which seeds.
    names_seeds: bool,
}

impl Plan {
    fn new(
        seeds: Range<u64>,
        faults: &mut Faults,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Plan, String> {
        let mut plan = Plan {
            seeds,
            slice: (1, 1),
            told: String::new(),
            jobs: 1,
            until: None,
            names_seeds: false,
        };
        if let Some(text) = variable("FALCONRY_PARTITION") {
            plan.slice = slice_of(&text).ok_or(format!(
                "FALCONRY_PARTITION={text}: not a slice m/n with m from 1 to n, as 2/4"
            ))?;
        }
        if let Some(text) = variable("FALCONRY_SEEDS") {
            plan.names_seeds = true;
            plan.seeds =
                seeds_of(&text).ok_or(format!("FALCONRY_SEEDS={text}: not a range A..B"))?;
        }
        if let Some(text) = variable("FALCONRY_SEED") {
            let seed = seed_of(&text).ok_or(format!("FALCONRY_SEED={text}: not a seed"))?;
            plan.names_seeds = true;
            // One seed that is named is run whatever the slice.
            (plan.seeds, plan.slice) = (seed..seed.saturating_add(1), (1, 1));
        }
        if let Some(text) = variable("FALCONRY_JOBS") {
            let jobs = text.parse().ok().filter(|jobs| (1..=1024).contains(jobs));
            plan.jobs = jobs.ok_or(format!("FALCONRY_JOBS={text}: not a number from 1 to 1024"))?;
        }
        if let Some(text) = variable("FALCONRY_FOR") {
            let time =
                duration_of(&text).ok_or(format!("FALCONRY_FOR={text}: not a time as 20s"))?;
            plan.until = Some(Instant::now() + time);
        }
        if let Some(text) = variable("FALCONRY_FAULTS") {
            if text != "none" {
                return Err(format!(
                    "FALCONRY_FAULTS={text}: a test says its rates itself; `none` switches them off, \
                     and without the variable they are as written"
                ));
            }
            *faults = Faults::none();
            plan.told += "FALCONRY_FAULTS=none ";
        }
        if let Some(text) = variable("FALCONRY_FAULT") {
            for word in text.split(',') {
                let (fault, ppm) =
                    rate_of(word).map_err(|what| format!("FALCONRY_FAULT={what}"))?;
                faults.set_rate(fault, ppm);
            }
            plan.told += &format!("FALCONRY_FAULT={text} ");
        }
        Ok(plan)
    }

    /// The seed of number `index`, or none when all were run.
    fn seed(&self, index: u64) -> Option<u64> {
        let (slice, slices) = self.slice;
        let offset = index.checked_mul(slices)?.checked_add(slice - 1)?;
        let seed = self.seeds.start.checked_add(offset)?;
        (seed < self.seeds.end).then_some(seed)
    }

    fn goes_on(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// `m/n` with `m` from 1 to `n`.
fn slice_of(text: &str) -> Option<(u64, u64)> {
    let (slice, slices) = text.split_once('/')?;
    let (slice, slices) = (slice.parse().ok()?, slices.parse().ok()?);
    (1..=slices).contains(&slice).then_some((slice, slices))
}

/// What is said of a rate for an end of a life.
const NO_RATE: &str = "how a boot ends is said by the test itself, by its `Ending`";

/// `NAME=PPM`.
fn rate_of(word: &str) -> Result<(Fault, u32), String> {
    let wanted = "write NAME=PPM, as torn_write=200";
    let (name, ppm) = word.split_once('=').ok_or(format!("{word}: {wanted}"))?;
    let fault: Fault = name.parse().map_err(|unknown| format!("{word}: {unknown}"))?;
    if fault.when() == When::Life {
        return Err(format!("{word}: {NO_RATE}"));
    }
    let ppm = ppm.parse().ok().filter(|ppm| *ppm <= PPM);
    ppm.map(|ppm| (fault, ppm)).ok_or(format!("{word}: {wanted}, with at most {PPM} millionths"))
}

/// A seed in decimal, with `k`, `M` or `G` behind for its powers of a thousand, or in hexadecimal after
/// `0x`; `_` may stand anywhere.
pub fn seed_of(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'));
    }
    let (digits, factor) = match digits.char_indices().last()? {
        (at, 'k' | 'K') => (&digits[..at], 1_000),
        (at, 'M') => (&digits[..at], 1_000_000),
        (at, 'G') => (&digits[..at], 1_000_000_000),
        _ => (&digits[..], 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(factor)
}

/// A range of seeds, `A..B`.
pub fn seeds_of(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(seed_of(from)?..seed_of(to)?)
}

/// A time as `20s`, `5m` or `8h`.
pub fn duration_of(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "power_loss: how a boot ends is said by the test itself")]
    fn the_end_of_a_life_has_no_rate() {
        let _ = Sim::new("power").fault(Fault::PowerLoss, 1);
    }

    #[test]
    fn numbers_are_read_as_they_are_typed() {
        assert_eq!(seed_of("51_733"), Some(51_733));
        assert_eq!(seed_of("0xff"), Some(255));
        assert_eq!(seed_of("-1"), None);
        assert_eq!(seed_of("18446744073709551616"), None);
        assert_eq!(seeds_of("0..1M"), Some(0..1_000_000));
        assert_eq!(seeds_of("5"), None);
        assert_eq!(duration_of("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(duration_of("2"), None);
    }

    fn plan(variables: &[(&str, &str)], faults: &mut Faults) -> Result<Plan, String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_string())
        };
        Plan::new(0..10, faults, value)
    }

    fn seeds(plan: &Plan) -> Vec<u64> {
        (0..).map_while(|index| plan.seed(index)).collect()
    }

    /// Both variables were once passed over in silence: each of n machines ran all seeds.
    #[test]
    fn slices_and_faults_of_the_environment_are_honoured() {
        let mut faults = Faults::none();
        faults.set_rate(Fault::Eintr, 9);
        let mut all = Vec::new();
        for slice in ["1/3", "2/3", "3/3"] {
            let plan = plan(&[("FALCONRY_PARTITION", slice)], &mut faults).unwrap();
            all.extend(seeds(&plan));
        }
        assert_eq!(all, [0, 3, 6, 9, 1, 4, 7, 2, 5, 8]);
        let one = [("FALCONRY_PARTITION", "2/3"), ("FALCONRY_SEED", "5")];
        assert_eq!(seeds(&plan(&one, &mut faults).unwrap()), [5]);
        assert_eq!(faults.rate_ppm(Fault::Eintr), 9);
        let told = [("FALCONRY_FAULTS", "none"), ("FALCONRY_FAULT", "enospc=7,eio_read=0")];
        let plan = plan(&told, &mut faults).unwrap();
        assert_eq!(plan.told, "FALCONRY_FAULTS=none FALCONRY_FAULT=enospc=7,eio_read=0 ");
        assert_eq!((faults.rate_ppm(Fault::Eintr), faults.rate_ppm(Fault::Enospc)), (0, 7));
    }

    #[test]
    fn what_a_test_cannot_honour_is_refused() {
        let rows = [
            ("FALCONRY_PARTITION", "3/2", "not a slice m/n"),
            ("FALCONRY_FAULTS", "hostile", "a test says its rates itself"),
            ("FALCONRY_FAULT", "flood=1", "there is no fault 'flood'"),
            ("FALCONRY_FAULT", "enospc", "write NAME=PPM"),
            ("FALCONRY_FAULT", "enospc=1000001", "at most 1000000 millionths"),
            ("FALCONRY_FAULT", "power_loss=0", "how a boot ends is said by the test itself"),
        ];
        for (name, value, expected) in rows {
            let refusal = plan(&[(name, value)], &mut Faults::none()).unwrap_err();
            assert!(refusal.starts_with(&format!("{name}={value}: ")), "{refusal}");
            assert!(refusal.contains(expected), "{refusal}");
        }
    }

    #[test]
    fn a_failure_names_its_seed_and_how_to_run_it_again() {
        let failed = catch_unwind(|| {
            Sim::new("sometimes_seven").seeds(0..100).run(|machine| {
                let drawn = machine.run(|ctx| ctx.choose("test/seven", 10));
                assert_ne!(drawn, 7, "drew it");
            });
        });
        let text = text_of(failed.unwrap_err().as_ref());
        assert!(text.starts_with("FAIL  sometimes_seven: assertion"), "{text}");
        let seed: u64 = text
            .rsplit_once("FALCONRY_SEED=")
            .unwrap()
            .1
            .split_once(' ')
            .unwrap()
            .0
            .parse()
            .unwrap();
        assert!(text.contains(&format!("  seed {seed}\n")), "{text}");
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        assert_eq!(machine.run(|ctx| ctx.choose("test/seven", 10)), 7);
    }

    #[test]
    fn a_body_that_is_no_function_of_its_seed_is_found_out() {
        let calls = AtomicU64::new(0);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            Sim::new("leaky").seeds(0..1).run(|machine| {
                let noise = calls.fetch_add(1, Ordering::Relaxed);
                machine.note("test", noise.to_string());
            });
        }));
        assert!(text_of(failed.unwrap_err().as_ref()).contains("two digests"));
    }
}
