//! Each specimen is convicted, and its mended twin is not.

use falconry::run::{Case, Outcome, Wishes, properties, run_case};
use falconry::specimen::{self, Specimen};

/// Seeds within which each bug is found. The score has no such bound; this keeps the test short.
const FOUND_WITHIN: u64 = 20_000;
/// Seeds in which no mended twin is convicted.
const TWIN_SEEDS: u64 = 400;

fn run(specimen: &Specimen, seed: u64, planted: bool) -> Outcome {
    let bug = planted.then(|| specimen.name.to_string());
    let case = Case {
        planted: bug.into_iter().collect(),
        ..properties::plain(specimen::ENGINE, &specimen.scenario_name(), seed)
    };
    run_case(&case, &Wishes::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_bug_is_found() {
    for specimen in specimen::all() {
        let found = (0..FOUND_WITHIN)
            .find_map(|seed| Some((seed, run(specimen, seed, true).findings.first()?.clone())));
        let (seed, finding) =
            found.unwrap_or_else(|| panic!("{}: not found in {FOUND_WITHIN} seeds", specimen.name));
        println!("{}: seed {seed}, {}: {}", specimen.name, finding.signature(), finding.sentence);
    }
}

#[test]
fn no_mended_twin_is_convicted() {
    for specimen in specimen::all() {
        for seed in 0..TWIN_SEEDS {
            let outcome = run(specimen, seed, false);
            let finding = outcome.findings.first();
            assert!(finding.is_none(), "{} seed {seed}: {finding:#?}", specimen.name);
            assert_eq!(outcome.counters.abandoned, 0, "{} seed {seed}", specimen.name);
        }
    }
}
