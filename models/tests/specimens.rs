//! Each specimen is convicted, and its mended twin is not.

use std::time::Duration;

use falconry::run::{Wishes, run_case};
use falconry::score::{case_of, false_alarm, first_find};
use falconry::specimen::{self, Family};

/// More than any bug needs: the score says how long each takes. This only ends a test that would fail.
const LIMIT: Duration = Duration::from_secs(100);
/// Runs in which no mended twin is convicted.
const TWIN_RUNS: u64 = 400;

#[test]
fn each_bug_is_found() {
    for specimen in specimen::all() {
        let effort = first_find(specimen, 0, LIMIT, &|| false).unwrap().unwrap();
        assert!(effort.found, "{}: not found in {} seeds", specimen.name, effort.seeds);
        // The bug is there because it was planted, and it comes again.
        let case = case_of(specimen, effort.seeds - 1, true);
        let signature = || {
            let outcome = run_case(&case, &Wishes::default()).unwrap();
            outcome.findings.first().map(|finding| finding.signature())
        };
        assert_eq!(signature(), signature());
        assert!(signature().is_some(), "{}", specimen.name);
        println!("{}: {effort:?} {}", specimen.name, signature().unwrap_or_default());
    }
}

#[test]
fn no_mended_twin_is_convicted() {
    for specimen in specimen::all() {
        let (alarm, runs) = false_alarm(specimen, TWIN_RUNS, &|| false).unwrap();
        assert_eq!((alarm, runs), (None, TWIN_RUNS), "{}", specimen.name);
    }
}

#[test]
fn nothing_is_left_behind_by_the_loss_of_power() {
    for specimen in specimen::all().into_iter().filter(|it| it.family == Family::Storage) {
        let mut losses = 0;
        for seed in 0..50 {
            let outcome = run_case(&case_of(specimen, seed, false), &Wishes::default()).unwrap();
            assert_eq!(outcome.counters.abandoned, 0, "{} seed {seed}", specimen.name);
            losses += outcome.counters.power_losses;
        }
        assert!(losses > 10, "{}: {losses}", specimen.name);
    }
}
