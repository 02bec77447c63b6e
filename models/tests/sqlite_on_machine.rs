//! SQLite on the simulated machine: what it promises, and what it must not be believed to promise.

use falconry::run::{Case, Counters, Outcome, Profile, Property, Wishes, run_case};

const SCENARIOS: [&str; 5] = ["kv/bank", "kv/ledger", "kv/cycle", "kv/counter", "kv/range"];

fn case(scenario: &str, seed: u64) -> Case {
    Case {
        engine: "sqlite".into(),
        scenario: scenario.into(),
        seed,
        faults: Profile::Accelerated,
        fault_ppm: Vec::new(),
        beyond_budget: false,
        break_sync: false,
        planted: Vec::new(),
        settings: Vec::new(),
    }
}

fn with(case: Case, settings: &[(&str, &str)]) -> Case {
    let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Case { settings: settings.collect(), ..case }
}

fn run(case: &Case) -> Outcome {
    run_case(case, &Wishes::default()).unwrap_or_else(|error| panic!("{case:?}: {error}"))
}

/// Runs cases that must hold, and sums up what they met.
fn hold(cases: impl Iterator<Item = Case>) -> Counters {
    let mut sum = Counters::default();
    for case in cases {
        let outcome = run(&case);
        assert!(outcome.findings.is_empty(), "{case:?}: {:?}", outcome.findings);
        assert_eq!(outcome.counters.abandoned, 0, "{case:?}");
        sum.add(&outcome.counters);
    }
    sum
}

/// The first of `seeds` seeds in which a promise is found broken.
fn convicted_by(seeds: u64, case: impl Fn(u64) -> Case) -> Option<Property> {
    (0..seeds).find_map(|seed| run(&case(seed)).findings.first().map(|finding| finding.property))
}

#[test]
fn sqlite_keeps_what_it_claims_and_leaves_nobody_behind() {
    let cases = (0..25).flat_map(|seed| SCENARIOS.map(|scenario| case(scenario, seed)));
    let sum = hold(cases);
    assert!(sum.power_losses > 250, "{sum:?}");
    assert!(sum.partial_power_losses > 50, "{sum:?}");
    assert!(sum.process_crashes > 50, "{sum:?}");
    assert!(sum.commits_acked > 1_000, "{sum:?}");
}

#[test]
fn each_mode_keeps_what_is_documented_for_it() {
    for journal_mode in ["delete", "truncate", "persist", "wal"] {
        for synchronous in ["extra", "full", "normal", "off"] {
            for locking_mode in ["normal", "exclusive"] {
                let settings = [
                    ("journal_mode", journal_mode),
                    ("synchronous", synchronous),
                    ("locking_mode", locking_mode),
                ];
                let sum = hold((0..4).map(|seed| with(case("kv/ledger", seed), &settings)));
                assert!(sum.commits_acked > 0, "{settings:?}");
            }
        }
    }
}

#[test]
fn a_harder_contract_than_the_documented_one_convicts() {
    for (journal_mode, synchronous) in [("delete", "full"), ("wal", "normal")] {
        let settings =
            [("journal_mode", journal_mode), ("synchronous", synchronous), ("contract", "durable")];
        let found = convicted_by(1_000, |seed| with(case("kv/ledger", seed), &settings));
        let lost = [Property::Durability, Property::CleanShutdown].map(Some);
        assert!(lost.contains(&found), "{journal_mode} + {synchronous}: {found:?}");
    }
}

#[test]
fn without_its_syncs_it_is_convicted() {
    let found = convicted_by(100, |seed| Case { break_sync: true, ..case("kv/ledger", seed) });
    assert!(found.is_some());
}

#[test]
fn a_seed_runs_the_same_whatever_ran_before() {
    let first: Vec<u128> = (0..10).map(|seed| run(&case("kv/range", seed)).digest).collect();
    let again: Vec<u128> = (0..10).rev().map(|seed| run(&case("kv/range", seed)).digest).collect();
    assert!(first.iter().eq(again.iter().rev()), "{first:?} and backwards {again:?}");
}
