//! What the flags of a case mean: which engines and scenarios, with what.

use std::collections::BTreeSet;

use super::config::Config;
use super::exit::Stop;
use super::typed::CaseFlags;
use super::values::did_you_mean;
use crate::run::properties::plain;
use crate::run::{Case, CaseError, check_case};
use crate::{engine, scenario};

/// The engine with the known bug.
pub const CANARY: &str = "canary";

/// The scenario in which every swarm convicts the canary.
const CANARY_SCENARIO: &str = "kv/ledger";

/// The choice that flags, environment and config file make together.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The engine, if one was named.
    pub engine: Option<String>,
    /// What names the scenarios, if anything does.
    pub scenario: Option<String>,
    /// The rest of the case; its engine, scenario and seed say nothing.
    template: Case,
}

impl Choice {
    /// What was typed goes before what the config file says.
    pub fn new(flags: &CaseFlags, config: &Config) -> Choice {
        let template = Case {
            faults: flags.faults.or(config.faults).unwrap_or_default(),
            fault_ppm: flags.fault.iter().map(|rate| (rate.fault, rate.ppm)).collect(),
            beyond_budget: flags.beyond_budget,
            break_sync: flags.break_sync,
            planted: flags.plant.clone(),
            settings: flags.set.iter().map(|set| (set.name.clone(), set.value.clone())).collect(),
            ..plain("", "", 0)
        };
        Choice {
            engine: flags.engine.clone().or_else(|| config.engine.clone()),
            scenario: flags.scenario.clone().or_else(|| config.scenario.clone()),
            template,
        }
    }

    /// The cases that are meant: all engines, unless one was named, in each of the scenarios that take
    /// it.
    ///
    /// # Errors
    ///
    /// Names what does not exist, and what there is.
    pub fn cases(&self) -> Result<Vec<Case>, Stop> {
        let engines = match &self.engine {
            Some(name) => vec![known_engine(name)?],
            None => engine::names().into_iter().map(String::from).collect(),
        };
        let scenarios = self.scenarios()?;
        let mut cases = Vec::new();
        for engine in &engines {
            for name in &scenarios {
                let admits = scenario::find(name).map_err(unusable)?.admits(engine);
                if admits {
                    let (engine, scenario) = (engine.clone(), name.clone());
                    cases.push(Case { engine, scenario, ..self.template.clone() });
                }
            }
        }
        if cases.is_empty() {
            return Err(Stop::Usage(format!(
                "scenario '{}' is not meant for engine '{}'; `scenario list` shows what is",
                self.scenario.as_deref().unwrap_or("all"),
                self.engine.as_deref().unwrap_or("all"),
            )));
        }
        // What only engines have leaves the machine out, unless it was asked for.
        let is_of_engines = cases.iter().any(|case| case.engine != engine::MACHINE);
        if self.engine.is_none() && is_of_engines {
            cases.retain(|case| case.engine != engine::MACHINE || check_case(case).is_ok());
        }
        for case in &cases {
            check_case(case).map_err(unusable)?;
        }
        Ok(cases)
    }

    /// The one case that is meant, with this seed.
    ///
    /// # Errors
    ///
    /// As [`Choice::cases`], and when several are meant.
    pub fn only_case(&self, seed: u64) -> Result<Case, Stop> {
        let cases = self.cases()?;
        match &cases[..] {
            [case] => Ok(Case { seed, ..case.clone() }),
            several => {
                let engines: BTreeSet<&str> = several.iter().map(|case| &*case.engine).collect();
                let scenarios: BTreeSet<&str> =
                    several.iter().map(|case| &*case.scenario).collect();
                let mut wanted = Vec::new();
                if engines.len() > 1 {
                    wanted.push(format!("--engine, one of {}", joined(engines)));
                }
                if scenarios.len() > 1 {
                    wanted.push(format!("--scenario, one of {}", joined(scenarios)));
                }
                Err(Stop::Usage(format!("say which is meant with {}", wanted.join(", and "))))
            }
        }
    }

    fn scenarios(&self) -> Result<Vec<String>, Stop> {
        let names = || scenario::list().iter().map(|scenario| scenario.name);
        let Some(word) = &self.scenario else { return Ok(names().map(String::from).collect()) };
        let group = format!("{word}/");
        let of_group: Vec<String> =
            names().filter(|name| name.starts_with(&group)).map(String::from).collect();
        if !of_group.is_empty() {
            return Ok(of_group);
        }
        match scenario::find(word) {
            Ok(_) => Ok(vec![word.clone()]),
            Err(error @ CaseError::UnknownScenario { .. }) => {
                let guess = did_you_mean(word, names());
                Err(Stop::Usage(format!("{error}{guess}")))
            }
            Err(error) => Err(unusable(error)),
        }
    }
}

/// The flags of a case that were typed or are in the environment.
pub fn told(flags: &CaseFlags) -> Vec<&'static str> {
    let told = [
        ("--engine", flags.engine.is_some()),
        ("--scenario", flags.scenario.is_some()),
        ("--faults", flags.faults.is_some()),
        ("--fault", !flags.fault.is_empty()),
        ("--beyond-budget", flags.beyond_budget),
        ("--break-sync", flags.break_sync),
        ("--plant", !flags.plant.is_empty()),
        ("--set", !flags.set.is_empty()),
    ];
    told.into_iter().filter(|(_, is_told)| *is_told).map(|(flag, _)| flag).collect()
}

/// A case that is known, with what the flags say in place of what it had.
pub fn laid_over(flags: &CaseFlags, mut case: Case) -> Case {
    case.faults = flags.faults.unwrap_or(case.faults);
    for rate in &flags.fault {
        case.fault_ppm.retain(|(fault, _)| *fault != rate.fault);
        case.fault_ppm.push((rate.fault, rate.ppm));
    }
    for set in &flags.set {
        case.settings.retain(|(name, _)| *name != set.name);
        case.settings.push((set.name.clone(), set.value.clone()));
    }
    for bug in &flags.plant {
        case.planted.retain(|planted| planted != bug);
        case.planted.push(bug.clone());
    }
    case.beyond_budget |= flags.beyond_budget;
    case.break_sync |= flags.break_sync;
    case
}

fn known_engine(name: &str) -> Result<String, Stop> {
    engine::check_name(name).map_err(unusable)?;
    Ok(name.into())
}

fn joined(names: BTreeSet<&str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// A case that cannot be run.
pub fn unusable(error: CaseError) -> Stop {
    Stop::Usage(error.to_string())
}

/// The canary's case, as every swarm runs it.
pub fn canary() -> Case {
    let mut case = plain(CANARY, CANARY_SCENARIO, 0);
    // For the test of what a swarm does that cannot convict it: it syncs each commit then.
    if std::env::var_os("FALCONRY_TEST_ENGINES").is_some_and(|word| word == "tame-canary") {
        case.settings.push(("sync_every".into(), "1".into()));
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engines(flags: &CaseFlags) -> Result<BTreeSet<String>, String> {
        let cases = Choice::new(flags, &Config::default()).cases();
        let cases = cases.map_err(|stop| stop.to_string())?;
        Ok(cases.into_iter().map(|case| case.engine).collect())
    }

    #[test]
    fn what_only_engines_have_leaves_the_machine_out_unless_it_was_asked_for() {
        let all = engines(&CaseFlags::default());
        assert!(all.is_ok_and(|engines| engines.contains(engine::MACHINE)));
        let broken = CaseFlags { break_sync: true, ..CaseFlags::default() };
        let engines_alone: BTreeSet<String> =
            ["falcon", "redb", "sqlite", "canary"].map(String::from).into();
        assert_eq!(engines(&broken), Ok(engines_alone));
        let asked = CaseFlags { engine: Some(engine::MACHINE.into()), ..broken };
        assert!(engines(&asked).is_err_and(|what| what.contains("break-sync")));
    }

    #[test]
    fn flags_go_over_a_stored_case() {
        let mut stored = plain("redb", "kv/bank", 7);
        stored.fault_ppm = "torn_write=5,eintr=9"
            .split(',')
            .map(|word| word.parse::<super::super::values::FaultRate>().expect("a rate"))
            .map(|rate| (rate.fault, rate.ppm))
            .collect();
        assert_eq!(laid_over(&CaseFlags::default(), stored.clone()), stored);
        let flags = CaseFlags {
            fault: vec!["torn_write=0".parse().expect("a rate")],
            beyond_budget: true,
            ..CaseFlags::default()
        };
        assert_eq!(told(&flags), ["--fault", "--beyond-budget"]);
        let over = laid_over(&flags, stored.clone());
        let (eintr, torn_write) = (stored.fault_ppm[1], (stored.fault_ppm[0].0, 0));
        assert_eq!(
            over,
            Case { fault_ppm: vec![eintr, torn_write], beyond_budget: true, ..stored }
        );
    }
}
