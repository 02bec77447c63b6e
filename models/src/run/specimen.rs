//! Runs a specimen: its boots, and what is found in each.

use std::cell::RefCell;

use falconry_sim::choice::Choices;
use falconry_sim::disk::DiskConfig;
use falconry_sim::fault::{FAULT_COUNT, Fault, FaultSet, When};
use falconry_sim::io::with_env;
use falconry_sim::{At, Ctx, End, Ending, Machine, MachineConfig};

use crate::oracle::Breach;
use crate::run::knobs::Knobs;
use crate::run::outcome::unless_stopped;
use crate::run::{Case, CaseError, Outcome, Property, Wishes, check_bugs, rates, verdict, wished};
use crate::scenario::Scenario;
use crate::specimen::{self, Body, Family, KEYS, Model, Open, Specimen, Store};
use crate::workload::is_made;

/// How many of a million ends of a boot leave the power on.
const PROCESS_CRASH_PPM: u32 = 300_000;

/// What is drawn before the first boot.
struct Plan {
    rates: [u32; FAULT_COUNT],
    /// Ends of a boot that are switched off.
    off: FaultSet,
    boots: u64,
    puts: u64,
}

/// Runs the specimen that the scenario names.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub(super) fn run(scenario: Scenario, case: &Case, wishes: &Wishes) -> Result<Outcome, CaseError> {
    let (specimen, knobs) = check(scenario, case)?;
    let mut choices = wished::choices(case, wishes);
    let disk = DiskConfig::draw(&mut choices);
    let plan = Plan::draw(specimen, &knobs, case, &mut choices);
    let config = MachineConfig {
        disk: disk.clone(),
        steps_max: wishes.steps_max(knobs.scenario.bounds.steps),
        keep_trace: wishes.trace,
        planted: case.planted.clone(),
        ..MachineConfig::default()
    };
    let mut machine = Machine::new(config, choices);
    rates::set(&mut machine, &plan.rates);
    let (breach, acked) = match specimen.body {
        Body::Program(program) => (once(&mut machine, program), 0),
        Body::Store(open) => lives(&mut machine, &plan, open),
    };
    let drawn = plan.words(specimen, &disk, machine.strategy().name());
    let breaches = unless_stopped(breach, wishes).into_iter().collect();
    let mut outcome = Outcome::of(&mut machine, breaches, drawn);
    outcome.counters.commits_acked = acked;
    outcome.findings.retain(|finding| knobs.scenario.judges(finding.property));
    wished::fulfil(&machine, case, wishes, &mut outcome);
    Ok(outcome)
}

/// Refuses what a specimen, which is no engine, would pass over.
///
/// # Errors
///
/// Names the scenario, the setting, the bug or the flag.
pub(super) fn check(
    scenario: Scenario,
    case: &Case,
) -> Result<(&'static Specimen, Knobs), CaseError> {
    let Some(specimen) = specimen::of_scenario(&case.scenario) else {
        return Err(CaseError::UnknownScenario { name: case.scenario.clone() });
    };
    let knobs = Knobs::of(case, scenario)?;
    knobs.refuse_what_engines_have(
        case,
        "a specimen has no settings of an engine",
        "a specimen has a bug of its own; switch it on with --plant",
    )?;
    check_bugs(specimen::ENGINE, &[specimen.name], case)?;
    Ok((specimen, knobs))
}

impl Plan {
    fn draw(specimen: &Specimen, knobs: &Knobs, case: &Case, choices: &mut Choices) -> Plan {
        let fixed = knobs.fixed_rates(case);
        let admission = rates::Admission {
            profile: case.faults,
            claims: specimen.claims(),
            beyond_budget: case.beyond_budget,
            is_bounded: false,
            fixed: &fixed,
        };
        Plan {
            rates: rates::draw(choices, admission),
            off: rates::ends_off(&fixed),
            boots: knobs.scenario.bounds.boots.draw(choices, "size/boots"),
            puts: knobs.scenario.workload.transactions.draw(choices, "size/transactions"),
        }
    }

    fn words(
        &self,
        specimen: &Specimen,
        disk: &DiskConfig,
        strategy: &str,
    ) -> Vec<(String, String)> {
        let (boots, puts) = (self.boots.to_string(), self.puts.to_string());
        let words: &[(&str, &str)] = match specimen.family {
            Family::Concurrency => &[("strategy", strategy)],
            Family::Storage => &[
                ("fs", disk.fs.name()),
                ("device", disk.device.name()),
                ("strategy", strategy),
                ("boots", &boots),
                ("puts", &puts),
            ],
        };
        words.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    /// How and where the next boot ends: at a call of the disk, in a sync, or at any step, of the
    /// recovery as well as of the work. A store this small writes little in each sync, so its ends are
    /// drawn more evenly than an engine's.
    fn ending(&self, choices: &mut Choices) -> Ending {
        let death = match choices.chance("specimen/process_crash", PROCESS_CRASH_PPM) {
            true => Fault::ProcessCrash,
            false => Fault::PowerLoss,
        };
        let at = match choices.choose("specimen/end", 4) {
            0 => At::DiskOp(choices.log_uniform("specimen/op", 1, 12 + self.puts * 6)),
            1 => At::DiskOp(choices.range("specimen/op", 1, 12 + self.puts * 6)),
            2 => At::InSync {
                sync: choices.range("specimen/sync", 0, 2 + self.puts * 2),
                writes: choices.log_uniform("specimen/writes", 0, 3),
            },
            _ => At::Step(choices.range("specimen/step", 1, 16 + self.puts * 8)),
        };
        match death {
            end if self.off.contains(end) => Ending::Never,
            Fault::ProcessCrash => Ending::ProcessCrash(at),
            _ => Ending::PowerLoss(at),
        }
    }
}

type Verdict = (Breach, u32, u64);

/// One boot of a program.
fn once(machine: &mut Machine, program: fn()) -> Option<Verdict> {
    let boot = machine.boot(Ending::Never, |_| program());
    match boot.end {
        End::Verdict(verdict) => Some((verdict::breach_of(&verdict), boot.number, verdict.step)),
        End::Returned(()) | End::Exited | End::PowerLoss | End::ProcessCrash => None,
    }
}

/// The boots of a store; the last one is let be. Also how many calls were acknowledged.
fn lives(machine: &mut Machine, plan: &Plan, open: Open) -> (Option<Verdict>, u64) {
    let model = RefCell::new(Model::default());
    for boot in 1..=plan.boots {
        let is_last = boot == plan.boots;
        machine.faults().hold_back(is_last);
        let ending = if is_last { Ending::Never } else { plan.ending(machine.choices()) };
        let booted = machine.boot(ending, |ctx| life(ctx, &model, plan, open));
        let step = machine.counters().steps;
        let verdict = match booted.end {
            End::Returned(Ok(())) | End::Exited | End::PowerLoss | End::ProcessCrash => None,
            End::Returned(Err(breach)) => Some((breach, booted.number, step)),
            End::Verdict(verdict) => {
                Some((verdict::breach_of(&verdict), booted.number, verdict.step))
            }
        };
        if verdict.is_some() {
            return (verdict, model.borrow().acked());
        }
    }
    let acked = model.borrow().acked();
    (None, acked)
}

/// One boot: all records are read, then some are written.
fn life(ctx: &Ctx, model: &RefCell<Model>, plan: &Plan, open: Open) -> Result<(), Breach> {
    let mut store = match open(ctx.disk()) {
        Ok(store) => store,
        Err(error) => return refused("the store does not open", None, &error),
    };
    for key in 0..KEYS {
        look(&mut *store, model, key, "after the recovery")?;
    }
    falconry_sim::opened();
    for number in 0..plan.puts {
        let _span = falconry_sim::span("put", number);
        if !is_made("workload/op") {
            continue;
        }
        let key = falconry_sim::choose("specimen/key", u64::from(KEYS)) as u8;
        let value = model.borrow_mut().begin(key);
        falconry_sim::note("store", &format!("record {key}: put {value}"));
        let put = store.put(key, value);
        if falconry_sim::is_off() {
            return Ok(());
        }
        match put {
            Ok(()) => {
                falconry_sim::note("store", &format!("record {key}: {value} acknowledged"));
                model.borrow_mut().acknowledge(key, value);
                look(&mut *store, model, key, "after a put")?;
            }
            Err(error) => {
                falconry_sim::note("store", &format!("record {key}: {value} refused: {error}"));
                refused("a record cannot be written", Some(key), &error)?;
            }
        }
    }
    Ok(())
}

/// Reads a record and judges it.
fn look(store: &mut dyn Store, model: &RefCell<Model>, key: u8, when: &str) -> Result<(), Breach> {
    let found = store.get(key);
    if falconry_sim::is_off() {
        return Ok(());
    }
    match found {
        Ok(found) => {
            let mut model = model.borrow_mut();
            if let (true, Some(value)) = (model.settles(key, found), found) {
                let text = format!("record {key}: {value} found, which stays from now on");
                falconry_sim::note("store", &text);
            }
            model.see(key, found, when)
        }
        Err(error) => refused("a record cannot be read", Some(key), &error),
    }
}

/// An error is right where a fault came that makes one, and nowhere else.
fn refused(sentence: &'static str, key: Option<u8>, error: &std::io::Error) -> Result<(), Breach> {
    let makes_errors = |fault: &&Fault| matches!(fault.when(), When::Error | When::Silent);
    let came: u64 = Fault::ALL
        .iter()
        .filter(makes_errors)
        .map(|fault| with_env(|env| env.faults.delivered(*fault)).unwrap_or(0))
        .sum();
    if came > 0 || falconry_sim::is_off() {
        return Ok(());
    }
    let breach = Breach::new(Property::ErrorPath, sentence, "store");
    let breach = match key.map(|key| format!("record {key}")) {
        Some(record) => breach.row("what", record.clone()).path(record),
        None => breach,
    };
    Err(breach.row("found", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_may_refuse_where_a_fault_came_that_makes_errors_and_nowhere_else() {
        let error = std::io::Error::from_raw_os_error(libc::EIO);
        for (fault, excuses) in [(Fault::LostWrite, false), (Fault::EioWrite, true)] {
            let mut machine = Machine::new(MachineConfig::default(), Choices::zeros());
            let boot = machine.boot(Ending::Never, |_| {
                with_env(|env| env.faults.deliver(fault));
                refused("a record cannot be written", Some(0), &error)
            });
            let End::Returned(judged) = boot.end else { panic!("{:?}", boot.end) };
            let property = judged.map_err(|breach| breach.property);
            let expected = if excuses { Ok(()) } else { Err(Property::ErrorPath) };
            assert_eq!(property, expected, "{fault}");
        }
    }
}
