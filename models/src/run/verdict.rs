//! A verdict of the machine as a finding.

use std::collections::BTreeSet;

use falconry_sim::{Verdict, VerdictKind};

use crate::oracle::Breach;
use crate::run::Property;

/// The breach that a verdict of the machine stands for.
pub(crate) fn breach_of(verdict: &Verdict) -> Breach {
    let (property, sentence) = match verdict.kind {
        VerdictKind::Deadlock => (Property::Deadlock, "every task waits for another"),
        VerdictKind::StepBudget => (Property::Liveness, "no end within the budget of steps"),
        VerdictKind::Panic => (Property::Panic, "the engine panicked"),
        VerdictKind::StackOverflow => (Property::StackOverflow, "a task ran out of stack"),
        VerdictKind::Assertion => (Property::Assertion, "an assertion of the engine failed"),
        VerdictKind::Harness => (Property::Harness, "a rule of the testbed is broken"),
    };
    // An assertion is named, to be told apart from any other wherever it stands.
    let mut breach = match &*verdict.assertion {
        "" if verdict.kind == VerdictKind::Deadlock => {
            Breach::new(property, sentence, places_of(&verdict.details))
        }
        "" => Breach::new(property, sentence, normalise(&verdict.place)),
        assertion => Breach::new(property, assertion.to_string(), assertion),
    };
    breach = breach.row("task", verdict.task.clone()).row("found", verdict.message.clone());
    if !verdict.place.is_empty() {
        breach = breach.row("at", verdict.place.clone());
    }
    for (task, wait) in &verdict.details {
        breach = breach.row(task, wait.clone());
    }
    breach
}

/// Where the tasks of a deadlock wait, each source file once.
fn places_of(waits: &[(String, String)]) -> String {
    let places = waits.iter().filter_map(|(_, wait)| wait.rsplit_once(", at "));
    let files: BTreeSet<String> = places.map(|(_, place)| normalise(place)).collect();
    files.into_iter().collect::<Vec<_>>().join(" + ")
}

/// A place in the source without its line, and without the folders of one machine.
fn normalise(place: &str) -> String {
    let file = place.split(':').next().unwrap_or_default();
    let parts: Vec<&str> = file.split(['/', '\\']).collect();
    // `registry/src/INDEX/CRATE-VERSION/src/file.rs`, or a path within the workspace.
    let start = parts.iter().rposition(|part| *part == "src").unwrap_or(0).saturating_sub(1);
    parts[start..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadlock_is_known_by_where_its_tasks_wait() {
        let wait = |text: &str| ("task 1".to_string(), text.to_string());
        let waits = [
            wait("waits for a lock #2, held by task 2 since src/b.rs:4, at a/src/b.rs:9"),
            wait("waits for a lock #1, at a/src/b.rs:7"),
            wait("waits for task 1, at a/src/a.rs:7"),
            wait("can run"),
        ];
        assert_eq!(places_of(&waits), "a/src/a.rs + a/src/b.rs");
        assert_eq!(places_of(&[]), "");
    }

    #[test]
    fn a_place_loses_its_line_and_its_folders() {
        assert_eq!(
            normalise("/u/.cargo/registry/src/x/redb-4.5.0/src/db.rs:10"),
            "redb-4.5.0/src/db.rs"
        );
        assert_eq!(normalise("sim/seam/src/sync/mutex.rs:7:3"), "seam/src/sync/mutex.rs");
        assert_eq!(normalise(""), "");
    }
}
