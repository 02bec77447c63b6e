//! A case as the properties of a recording, and back.

use crate::run::{Case, Profile};

/// The properties that make a recording a whole: what `replay` needs besides the choices.
pub fn of(case: &Case) -> Vec<(String, String)> {
    // Written by serde, so that a field that is added is not forgotten here.
    let text = serde_json::to_string(case).unwrap_or_default();
    vec![("case".into(), text)]
}

/// The case in a recording's properties; `None` when it holds none that this revision reads.
pub fn case_of(recording: &falconry_sim::choice::Recording) -> Option<Case> {
    serde_json::from_str(recording.property("case")?).ok()
}

/// A case with nothing but its three names, at the default profile.
pub fn plain(engine: &str, scenario: &str, seed: u64) -> Case {
    Case {
        engine: engine.into(),
        scenario: scenario.into(),
        seed,
        faults: Profile::default(),
        fault_ppm: Vec::new(),
        beyond_budget: false,
        break_sync: false,
        planted: Vec::new(),
        settings: Vec::new(),
    }
}
