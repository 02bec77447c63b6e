//! Cases that once failed, and any case that the environment names.
//!
//! Capsules in `snapshots/regressions/` run first. One whose bug is switched on by itself (planted, of
//! the canary, or by swallowed syncs) must fail as it did, and fit exactly or by moving its choices; any
//! other one is a bug that was mended, and must pass.
//!
//! A report's line `as a test` runs this file with `FALCONRY_SEED` and the other variables of the
//! program: the test then fails with the same report. Without them the fixed set runs.

use std::path::Path;

use falconry::cli::{case_of_environment, report_of};
use falconry::run::properties::plain;
use falconry::shrink::{self, Alignment};
use falconry_sim::choice::Capsule;

/// Capsules that are there at least.
const CAPSULES_MIN: usize = 4;

/// Engine, scenario and seed of cases that must pass.
const FIXED: [(&str, &str, u64); 4] = [
    ("redb", "kv/bank", 0),
    ("redb", "kv/ledger", 1),
    ("sqlite", "kv/bank", 0),
    ("sqlite", "kv/ledger", 1),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The texts of all capsules that are kept, with their names, sorted.
fn capsules() -> Vec<(String, String)> {
    let folder = root().join("snapshots/regressions");
    let mut all: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("a folder of capsules")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "capsule"))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("it can be read"))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn capsules_are_judged() {
    let all = capsules();
    assert!(all.len() >= CAPSULES_MIN, "{} capsules", all.len());
    for (name, text) in all {
        let capsule = Capsule::from_text(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let case = shrink::case_of(&capsule).unwrap_or_else(|what| panic!("{name}: {what}"));
        let fitted = shrink::fit(&capsule, |exceptions| shrink::run_by(&case, exceptions));
        let (fit, exceptions) = fitted.unwrap_or_else(|error| panic!("{name}: {error}"));
        let outcome = shrink::run_by(&case, &exceptions).unwrap();
        let found = outcome.findings.first().map(|finding| finding.signature());
        let switched = !case.planted.is_empty() || case.break_sync || case.engine == "canary";
        if switched {
            let lost = matches!(fit.alignment, Alignment::Lost { .. });
            assert!(!lost, "{name}: {fit}");
            assert_eq!(found.as_deref(), capsule.property("signature"), "{name}: {fit}");
        } else {
            assert_eq!(found, None, "{name}: what was mended is back; replay it with {name}");
        }
    }
}

#[test]
fn the_case_of_the_environment_or_the_fixed_set_passes() {
    // A scenario's file is named from where the program was called, as a rule the clone's root.
    std::env::set_current_dir(root()).expect("the clone");
    let told = case_of_environment().unwrap_or_else(|error| panic!("{error}"));
    let cases = match told {
        Some(case) => vec![case],
        None => FIXED.map(|(engine, scenario, seed)| plain(engine, scenario, seed)).to_vec(),
    };
    for case in cases {
        let report = report_of(&case).unwrap_or_else(|error| panic!("{error}"));
        assert!(report.is_none(), "\n{}", report.unwrap_or_default());
    }
}
