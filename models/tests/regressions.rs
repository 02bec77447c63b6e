//! Cases that once failed, and any case that the environment names.
//!
//! A report's line `as a test` runs this file with `FALCONRY_SEED` and the other variables of the
//! program: the test then fails with the same report. Without them the fixed set runs.

use falconry::cli::{case_of_environment, report_of};
use falconry::run::properties::plain;

/// Engine, scenario and seed of cases that must pass.
const FIXED: [(&str, &str, u64); 4] = [
    ("redb", "kv/bank", 0),
    ("redb", "kv/ledger", 1),
    ("sqlite", "kv/bank", 0),
    ("sqlite", "kv/ledger", 1),
];

#[test]
fn the_case_of_the_environment_or_the_fixed_set_passes() {
    // A scenario's file is named from where the program was called, as a rule the clone's root.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("the clone");
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
