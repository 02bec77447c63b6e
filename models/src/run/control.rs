//! The control of a finding: the same seed without what is held to be the cause.

use falconry_sim::fault::Fault;
use serde::{Deserialize, Serialize};

use super::{Case, Outcome, Profile};

/// What the control run of a finding came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// What was left out, as words behind "without".
    pub without: String,
    /// Whether every promise was kept then.
    pub passes: bool,
}

/// The control of a case, and what it leaves out: the bugs that were planted or the syncs that were
/// swallowed, where there are such; else every fault and every end of a boot but the last.
pub fn of(case: &Case) -> (Case, String) {
    let mut control = case.clone();
    if !case.planted.is_empty() {
        control.planted.clear();
        return (control, format!("{} planted", case.planted.join(", ")));
    }
    if case.break_sync {
        control.break_sync = false;
        return (control, "syncs being swallowed".into());
    }
    control.faults = Profile::None;
    control.beyond_budget = false;
    control.fault_ppm = Fault::ALL.iter().map(|fault| (*fault, 0)).collect();
    (control, "any fault, crash or loss of power".into())
}

impl Control {
    /// What its run tells.
    pub fn new(without: String, outcome: &Outcome) -> Control {
        Control { without, passes: outcome.findings.is_empty() }
    }

    /// As a report says it.
    pub fn sentence(&self) -> String {
        let verdict =
            if self.passes { "the same seed passes" } else { "the same seed FAILS as well" };
        format!("{verdict} without {}", self.without)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Wishes, properties, run_case};
    use crate::specimen::{self, Specimen};

    fn convicted(specimen: &Specimen) -> Case {
        let case = |seed| crate::score::case_of(specimen, seed, true);
        let fails = |seed: &u64| {
            let outcome = run_case(&case(*seed), &Wishes::default()).unwrap();
            !outcome.findings.is_empty()
        };
        case((0..).find(fails).unwrap())
    }

    #[test]
    fn what_was_planted_is_left_out_first_then_syncs_then_faults() {
        let mut case = properties::plain("canary", "kv/ledger", 3);
        let (control, without) = of(&case);
        assert_eq!((control.faults, control.fault_ppm.len()), (Profile::None, Fault::ALL.len()));
        assert_eq!(without, "any fault, crash or loss of power");
        case.break_sync = true;
        assert!(!of(&case).0.break_sync && of(&case).0.fault_ppm.is_empty());
        case.planted = vec!["a".into(), "b".into()];
        let (control, without) = of(&case);
        assert!(control.planted.is_empty() && control.break_sync);
        assert_eq!(without, "a, b planted");
    }

    #[test]
    fn a_control_tells_the_cause_from_what_is_not() {
        let store = specimen::of_scenario("specimen/no_sync_before_ack").unwrap();
        let failed = convicted(store);
        let run = |case: &Case| run_case(case, &Wishes::default()).unwrap();
        let (control, without) = of(&failed);
        assert!(Control::new(without, &run(&control)).passes);
        // Its program fails with the bug whatever the disk does.
        let program = convicted(specimen::of_scenario("specimen/lost_update").unwrap());
        let (mut faultless, _) = of(&Case { planted: Vec::new(), ..program.clone() });
        faultless.planted.clone_from(&program.planted);
        let control = Control::new("any fault".into(), &run(&faultless));
        assert_eq!(control.sentence(), "the same seed FAILS as well without any fault");
    }
}
