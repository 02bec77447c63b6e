//! The settings of a case that the run itself understands; the rest is the engine's.

use crate::engine::Contract;
use crate::run::{Case, CaseError};
use crate::scenario::{Scenario, Span};
use falconry_sim::fault::{Fault, When};

const KNOWN: &[&str] = &[
    "contract",
    "concurrency",
    "workload.clients",
    "workload.transactions",
    "workload.keys",
    "workload.value_bytes",
    "bounds.boots",
];

/// What was fixed by hand.
#[derive(Clone, Debug)]
pub(crate) struct Knobs {
    /// By which contract the engine is judged, in place of its own.
    pub(crate) contract: Option<Contract>,
    /// How clients are interleaved.
    pub(crate) concurrency: Option<String>,
    /// The scenario with sizes fixed.
    pub(crate) scenario: Scenario,
    /// Settings of the engine.
    pub(crate) engine: Vec<(String, String)>,
}

impl Knobs {
    /// Sorts the settings of a case.
    pub(crate) fn of(case: &Case, mut scenario: Scenario) -> Result<Knobs, CaseError> {
        // What the user fixes wins over the scenario.
        let fixed = scenario.settings.clone().into_iter().chain(case.settings.iter().cloned());
        let (own, engine): (Vec<_>, Vec<_>) =
            fixed.partition(|(name, _)| KNOWN.contains(&name.as_str()));
        let mut contract = None;
        let mut concurrency = None;
        for (name, value) in own {
            let refuse = |what: &str| CaseError::BadSetting {
                engine: case.engine.clone(),
                name: name.clone(),
                value: value.clone(),
                what: what.into(),
            };
            let fixed = || match value.parse() {
                Ok(number) if number > 0 => Ok(Span(number, number)),
                _ => Err(refuse("it takes a number from 1")),
            };
            match name.as_str() {
                "contract" => {
                    let contracts =
                        [Contract::Durable, Contract::AllButLast, Contract::Prefix, Contract::Weak];
                    let found = contracts.into_iter().find(|c| c.name() == value);
                    let what = "it takes durable, all_but_last, prefix, weak";
                    contract = Some(found.ok_or_else(|| refuse(what))?);
                }
                "concurrency" => concurrency = Some(value.clone()),
                "workload.clients" => scenario.workload.clients = fixed()?,
                "workload.transactions" => scenario.workload.transactions = fixed()?,
                "workload.keys" => scenario.workload.keys = fixed()?,
                "workload.value_bytes" => scenario.workload.value_bytes = fixed()?,
                _ => scenario.bounds.boots = fixed()?,
            }
        }
        scenario
            .check()
            .map_err(|what| CaseError::BadScenario { file: case.scenario.clone(), what })?;
        let knobs = Knobs { contract, concurrency, scenario, engine };
        let is_rate_of_an_end =
            |(fault, ppm): &&(Fault, u32)| fault.when() == When::Life && *ppm > 0;
        match knobs.fixed_rates(case).iter().find(is_rate_of_an_end) {
            Some((fault, ppm)) => Err(CaseError::RateOfAnEnd { fault: *fault, ppm: *ppm }),
            None => Ok(knobs),
        }
    }

    /// Refuses what only an engine has: settings, for the reason that `settings` tells, and syncs to
    /// swallow, for that of `syncs`.
    ///
    /// # Errors
    ///
    /// Names the setting or the flag.
    pub(crate) fn refuse_what_engines_have(
        &self,
        case: &Case,
        settings: &str,
        syncs: &str,
    ) -> Result<(), CaseError> {
        let refuse = |name: &str, value: &str, what: String| CaseError::BadSetting {
            engine: case.engine.clone(),
            name: name.into(),
            value: value.into(),
            what,
        };
        let of_an_engine = self.engine.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let contract = self.contract.map(|contract| ("contract", contract.name()));
        let concurrency = self.concurrency.as_deref().map(|way| ("concurrency", way));
        match of_an_engine.chain(contract).chain(concurrency).next() {
            Some((name, value)) => {
                Err(refuse(name, value, format!("{settings}; it takes bounds.* and workload.*")))
            }
            None if case.break_sync => Err(refuse("break-sync", "true", syncs.into())),
            None => Ok(()),
        }
    }

    /// Rates that are not drawn: those of the scenario, then those set by hand, which win.
    pub(crate) fn fixed_rates(&self, case: &Case) -> Vec<(Fault, u32)> {
        let scenario = self.scenario.faults.iter().map(|(fault, ppm)| (*fault, *ppm));
        scenario.chain(case.fault_ppm.iter().copied()).collect()
    }
}
