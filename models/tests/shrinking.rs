//! Failures become small, provably so, whatever the number of threads; a budget ends it honestly.

#![allow(clippy::disallowed_methods, reason = "a test stands outside of the run")]

use std::time::Duration;

use falconry::cli::small_report_of;
use falconry::run::{Case, Wishes, properties, run_case};
use falconry::score::{case_of, first_find};
use falconry::shrink::{Alignment, Budget, Shrunk, fit, run_by, shrink, shrinkage};
use falconry::specimen;
use falconry_sim::choice::Capsule;

/// More than any of these needs.
const LONG: Duration = Duration::from_secs(300);

/// The first failure of a specimen.
fn failing(specimen: &specimen::Specimen) -> Case {
    let effort = first_find(specimen, 0, LONG, &|| false).unwrap().unwrap();
    case_of(specimen, effort.seeds - 1, true)
}

fn small(case: &Case, jobs: usize) -> Shrunk {
    shrink(case, "3f9c1d2", None, Budget::for_time(LONG, jobs)).unwrap().expect("it fails")
}

fn snapshot(folder: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../snapshots/");
    settings.set_snapshot_path(format!("{path}{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_report_and_the_capsule_of_every_specimen() {
    for specimen in specimen::all() {
        let case = failing(specimen);
        let shrunk = small(&case, 2);
        assert!(shrunk.is_minimal && shrunk.control.passes, "{}: {shrunk:?}", specimen.name);
        assert!(shrunk.capsule.len() <= 4096, "{}: {}", specimen.name, shrunk.capsule);
        let capsule = Capsule::from_text(&shrunk.capsule).unwrap();
        let (fitted, _) = fit(&capsule, |exceptions| run_by(&case, exceptions)).unwrap();
        assert_eq!(fitted.alignment, Alignment::Exact, "{}", specimen.name);
        let report = small_report_of(&case, &shrunk).unwrap().expect("it fails");
        assert!(report.is_ascii(), "{report}");
        snapshot("specimen", specimen.name, &report);
        snapshot("capsule", specimen.name, &shrunk.capsule);
    }
}

#[test]
fn the_recording_of_a_failure() {
    for name in ["lost_update", "torn_header"] {
        let case = failing(specimen::of_scenario(&format!("specimen/{name}")).unwrap());
        let outcome = run_case(&case, &Wishes { recording: true, ..Wishes::default() }).unwrap();
        snapshot("recording", name, &outcome.recording.expect("it was wished").to_text());
    }
}

#[test]
fn nothing_more_can_be_left_out() {
    for specimen in specimen::all() {
        let shrinkage = shrinkage(specimen, 1, LONG, true, &|| false).unwrap().expect("it fails");
        assert_eq!(
            (shrinkage.is_minimal, shrinkage.is_proven),
            (true, Some(true)),
            "{}",
            specimen.name
        );
        assert!(shrinkage.after.choices <= shrinkage.before.choices);
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    for name in ["torn_header", "lost_update", "page_freed_twice"] {
        let case = failing(specimen::of_scenario(&format!("specimen/{name}")).unwrap());
        let one = small(&case, 1);
        let three = small(&case, 3);
        assert_eq!(one.capsule, three.capsule);
    }
}

#[test]
fn engines_shrink_as_specimens_do() {
    let seeds =
        [("canary", "kv/bank", false), ("sqlite", "kv/bank", true), ("redb", "kv/bank", true)];
    for (engine, scenario, break_sync) in seeds {
        let case = |seed| Case { break_sync, ..properties::plain(engine, scenario, seed) };
        let fails = |case: &Case| {
            let outcome = run_case(case, &Wishes::default()).unwrap();
            !outcome.findings.is_empty()
        };
        let case = (0..200).map(case).find(fails).expect("it is convicted");
        let shrunk = small(&case, 2);
        assert!(shrunk.is_minimal && shrunk.control.passes, "{shrunk:?}");
        let size = shrunk.after;
        assert!(size.operations <= 3 && size.faults <= 8, "{engine}: {}", shrunk.capsule);
        assert!(shrunk.capsule.len() <= 4096, "{engine}: {}", shrunk.capsule);
    }
}

#[test]
fn a_budget_that_is_used_up_is_told() {
    let case = failing(specimen::of_scenario("specimen/torn_header").unwrap());
    let shrunk = shrink(&case, "", None, Budget::for_time(Duration::ZERO, 1)).unwrap().unwrap();
    assert!(!shrunk.is_minimal);
    assert!(shrunk.sentence().ends_with("time was up"), "{}", shrunk.sentence());
    // It is a failure all the same.
    let capsule = Capsule::from_text(&shrunk.capsule).unwrap();
    let outcome = run_by(&case, &capsule.exceptions).unwrap();
    let signature = outcome.findings[0].signature();
    assert_eq!(Some(signature.as_str()), capsule.property("signature"));
}

#[test]
fn a_case_that_passes_has_nothing_to_shrink() {
    let specimen = specimen::of_scenario("specimen/torn_header").unwrap();
    let case = case_of(specimen, 0, false);
    assert!(shrink(&case, "", None, Budget::for_time(LONG, 1)).unwrap().is_none());
}
