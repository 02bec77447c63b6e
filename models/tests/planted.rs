//! Bugs that can be planted into Falcon: each has its switch, its line in the documents, and is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use falcon::Bug;
use falconry::cli::report_of_capsule;
use falconry::engine;
use falconry::score::{Find, cases_of, first_find_in, in_parallel};

/// Those that take some core seconds each, so that `falconry planted score` alone finds them.
const SLOW: [Bug; 6] = [
    Bug::OldOverflowNotFreed,
    Bug::SequenceLowered,
    Bug::DropWaitsForNobody,
    Bug::LockGrantedWithoutLook,
    Bug::TornPageGivenUp,
    Bug::OverflowPageNotLogged,
];
/// More than any bug needs: the score says how long each takes. This only ends a test that would fail.
const LIMIT: Duration = Duration::from_secs(600);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the engine") {
        let path = entry.expect("a file of the engine").path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn every_switch_is_of_a_bug_and_every_bug_has_one() {
    let mut files = Vec::new();
    sources(&root().join("engine-under-test/falcon/src"), &mut files);
    let mut switches = BTreeSet::new();
    for file in files.iter().filter(|file| !file.ends_with("bug.rs")) {
        let text = fs::read_to_string(file).expect("a source");
        for rest in text.split("planted!(\"").skip(1) {
            let (name, _) = rest.split_once('"').expect("a name in quotes");
            switches.insert(name.to_string());
        }
    }
    let bugs: BTreeSet<String> = Bug::ALL.iter().map(Bug::to_string).collect();
    assert_eq!(switches, bugs);
    assert!(bugs.len() >= 24, "{}", bugs.len());
}

#[test]
fn the_engine_offers_them_all() {
    let falcon = engine::find("falcon").expect("it is built in");
    assert_eq!(falcon.bugs(), Bug::NAMES);
}

#[test]
fn the_tables_in_the_documents_have_them_all() {
    let text = fs::read_to_string(root().join("docs/planted.md")).expect("docs/planted.md");
    for bug in Bug::ALL {
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with(&format!("| {bug} "))).collect();
        assert_eq!(lines.len(), 2, "{bug}: one line of what it is, and one of its score");
        assert!(lines[0].contains(bug.story()) && lines[0].contains(bug.source()), "{bug}");
    }
}

/// The capsule of a bug, among the regressions; none for one that is not found.
fn capsule(bug: Bug) -> Option<String> {
    let file = format!("snapshots/regressions/planted-{bug}.capsule");
    fs::read_to_string(root().join(file)).ok()
}

#[test]
fn the_small_report_of_each_that_is_found() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../snapshots/planted"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for bug in Bug::ALL.iter().copied() {
        let text = capsule(bug).unwrap_or_else(|| panic!("{bug} has no capsule"));
        let report = report_of_capsule(&text).unwrap_or_else(|what| panic!("{bug}: {what}"));
        let report = report.unwrap_or_else(|| panic!("the capsule of {bug} finds nothing"));
        assert!(report.is_ascii(), "{report}");
        settings.bind(|| insta::assert_snapshot!(bug.name(), report));
    }
}

#[test]
fn each_that_is_found_soon_is_found_and_comes_again() {
    let stop = || false;
    let bugs: Vec<Bug> = Bug::ALL.iter().copied().filter(|bug| !SLOW.contains(bug)).collect();
    let finds = in_parallel(2, bugs.len(), |index| {
        first_find_in(&cases_of("falcon", bugs[index].name(), 0)?, LIMIT, &stop)
    });
    assert_eq!(bugs.len(), 34, "of {}", Bug::ALL.len());
    for (bug, find) in bugs.iter().zip(finds.expect("all can be run")) {
        let Find { effort, case } = find.expect("nobody stops it");
        let case = case.unwrap_or_else(|| panic!("{bug} is not found: {effort:?}"));
        assert_eq!(case.planted, [bug.name()]);
        let again = first_find_in(&[case], Duration::MAX, &stop).expect("it can be run");
        assert_eq!(again.map(|find| find.effort.seeds), Some(1), "{bug}");
    }
}
