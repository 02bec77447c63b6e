//! What must be found is found, in few seeds: the canary, swallowed syncs, and an engine that is held
//! to a stricter contract than the one it documents.

use falconry::run::{Case, Finding, Property, Wishes, properties, run_case};

/// The first seed of `seeds` with a finding.
fn convicted(case: &Case, seeds: std::ops::Range<u64>) -> Option<(u64, Finding)> {
    seeds.into_iter().find_map(|seed| {
        let case = Case { seed, ..case.clone() };
        let outcome = run_case(&case, &Wishes::default()).unwrap_or_else(|e| panic!("{e}"));
        outcome.findings.into_iter().next().map(|finding| (seed, finding))
    })
}

const SCENARIOS: [&str; 5] = ["kv/bank", "kv/ledger", "kv/cycle", "kv/counter", "kv/range"];

#[test]
fn the_canary_is_convicted_by_every_workload() {
    for scenario in SCENARIOS {
        let case = properties::plain("canary", scenario, 0);
        let (seed, finding) = convicted(&case, 0..200)
            .unwrap_or_else(|| panic!("{scenario}: nothing found in 200 seeds"));
        assert!(finding.expected_finding, "{scenario}, seed {seed}");
        assert_eq!(finding.property, Property::Durability, "{scenario}, seed {seed}");
    }
}

#[test]
fn the_canary_without_its_bug_is_not() {
    let mut case = properties::plain("canary", "kv/ledger", 0);
    case.settings = vec![("sync_every".into(), "1".into())];
    assert_eq!(convicted(&case, 0..200), None);
}

#[test]
fn swallowed_syncs_convict_every_engine() {
    for engine in ["redb", "sqlite"] {
        let mut case = properties::plain(engine, "kv/ledger", 0);
        case.break_sync = true;
        let (seed, finding) =
            convicted(&case, 0..100).unwrap_or_else(|| panic!("{engine}: nothing in 100 seeds"));
        assert!(!finding.expected_finding, "{engine}, seed {seed}");
    }
}

#[test]
fn sqlite_does_not_hold_a_contract_that_it_does_not_give() {
    for (journal, synchronous) in [("delete", "full"), ("wal", "normal")] {
        let mut case = properties::plain("sqlite", "kv/ledger", 0);
        case.settings =
            [("journal_mode", journal), ("synchronous", synchronous), ("contract", "durable")]
                .map(|(name, value)| (name.into(), value.into()))
                .into();
        let (seed, finding) = convicted(&case, 0..1_000)
            .unwrap_or_else(|| panic!("{journal} {synchronous}: nothing in 1,000 seeds"));
        assert_eq!(finding.property, Property::Durability, "{journal}, seed {seed}");
        case.settings.pop();
        assert_eq!(convicted(&case, 0..seed + 1), None, "{journal}: by its own contract");
    }
}
