//! The life of a run: boots that lose their power, then one without faults, then a last look.
//!
//! # Method
//!
//! Everything about a run is drawn first: disk, settings, sizes, rates. Then come boots of work; each
//! may lose its power, or its process, while it opens or works, or ends by itself and then loses its
//! power or not. At last faults are held back: the engine must open and commit, is closed, loses its
//! power at rest, and is looked at once more.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use falconry_sim::choice::Choices;
use falconry_sim::disk::DiskConfig;
use falconry_sim::fault::Fault;
use falconry_sim::{End, Ending, Machine, MachineConfig, PowerDraw};

use crate::engine::{Concurrency, Contract, Engine, Promise, Settings, SettingsDraw};
use crate::oracle::Breach;
use crate::oracle::history::History;
use crate::oracle::recovered::After;
use crate::run::aside::Aside;
use crate::run::knobs::Knobs;
use crate::run::outcome::unless_stopped;
use crate::run::rates::{self, Admission};
use crate::run::session::{Done, Session, Task};
use crate::run::{Case, CaseError, Outcome, Wishes, verdict, wished};
use crate::scenario::Scenario;
use crate::workload::{self, Sizes, Witness};

/// Engines whose state belongs to the process take turns.
static PROCESS: Mutex<()> = Mutex::new(());

/// What is drawn before the first boot.
struct Plan {
    settings: Settings,
    sizes: Sizes,
    boots: u64,
    disk: DiskConfig,
    rates: [u32; falconry_sim::fault::FAULT_COUNT],
    claims: falconry_sim::fault::FaultSet,
    /// Ends of a boot that are switched off.
    off: falconry_sim::fault::FaultSet,
    /// Syncs that a boot makes, about.
    syncs: u64,
}

/// Draws the settings of an engine.
///
/// # Errors
///
/// For a setting fixed by hand that the engine does not take.
pub(crate) fn settings(
    engine: &dyn Engine,
    knobs: &Knobs,
    choices: &mut Choices,
) -> Result<Settings, CaseError> {
    let room = workload::room(&knobs.scenario.workload);
    let mut draw = SettingsDraw::new(choices, engine.name(), &knobs.engine).with_room(room);
    let own = engine.draw(&mut draw)?;
    let values = draw.finish()?;
    let ways = engine.concurrency();
    let drawn = choices.choose("settings/concurrency", ways.len() as u64) as usize;
    let way = match &knobs.concurrency {
        None => Some(ways[drawn]),
        Some(word) => ways.iter().copied().find(|way| way.name() == word),
    };
    let Some(concurrency) = way else {
        let known: Vec<&str> = ways.iter().map(|way| way.name()).collect();
        return Err(CaseError::BadSetting {
            engine: engine.name().into(),
            name: "concurrency".into(),
            value: knobs.concurrency.clone().unwrap_or_default(),
            what: format!("it takes {}", known.join(", ")),
        });
    };
    // Judged by another contract, an engine answers for that one: else its weaker acknowledgements
    // would excuse it.
    Ok(Settings::new(values, knobs.contract.unwrap_or(own), concurrency))
}

/// Runs an engine through a case, on a fresh OS thread where it needs one.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub(crate) fn run(
    engine: &dyn Engine,
    scenario: &Scenario,
    case: &Case,
    wishes: &Wishes,
) -> Result<Outcome, CaseError> {
    let knobs = Knobs::of(case, scenario.clone())?;
    let _turn =
        engine.needs_process().then(|| PROCESS.lock().unwrap_or_else(PoisonError::into_inner));
    if !engine.needs_fresh_thread() {
        return on_this_thread(engine, &knobs, case, wishes);
    }
    falconry_ambient::install();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| on_this_thread(engine, &knobs, case, wishes));
        thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}

fn on_this_thread(
    engine: &dyn Engine,
    knobs: &Knobs,
    case: &Case,
    wishes: &Wishes,
) -> Result<Outcome, CaseError> {
    let mut choices = wished::choices(case, wishes);
    let plan = Plan::draw(engine, knobs, case, &mut choices)?;
    let bounds = knobs.scenario.bounds;
    let config = MachineConfig {
        disk: plan.disk.clone(),
        steps_max: wishes.steps_max(bounds.steps),
        stack_bytes: engine.stack_bytes(),
        keep_trace: wishes.trace,
        planted: case.planted.clone(),
        ..MachineConfig::default()
    };
    let mut machine = Machine::new(config, choices);
    rates::set(&mut machine, &plan.rates);
    let contract = knobs.contract.unwrap_or(plan.settings.contract);
    let lanes = if knobs.scenario.workload.lanes { plan.sizes.clients } else { 1 };
    let witnesses: Vec<Witness> = (0..lanes).map(|_| witness(engine, &plan, contract)).collect();
    let Some(workload) = workload::of_kind(knobs.scenario.workload.kind, plan.sizes) else {
        return Err(CaseError::BadScenario {
            file: case.scenario.clone(),
            what: format!("its workload is not for engine '{}'", engine.name()),
        });
    };
    let session = Session {
        engine,
        settings: &plan.settings,
        workload: &*workload,
        witnesses: &witnesses,
        sizes: plan.sizes,
        ends: knobs.scenario.ends,
        upkeep: knobs.scenario.workload.upkeep,
        aside: Aside::default(),
        break_sync: case.break_sync,
        live_within_ns: bounds.live_within_ms.saturating_mul(1_000_000),
        looked: AtomicBool::new(false),
    };
    let cuts = !plan.off.contains(Fault::PowerLoss);
    let after = Cell::new(After::ProcessCrash);
    let life = Life { machine: &mut machine, session: &session, cuts, after };
    let verdict = life.live(&plan);
    let mut outcome = outcome(&mut machine, &witnesses, verdict, wishes, contract, &plan);
    let canary = engine.is_canary();
    outcome.findings.retain(|finding| knobs.scenario.judges(finding.property));
    let beyond: Vec<Fault> = Fault::ALL
        .iter()
        .copied()
        .filter(|fault| !plan.claims.contains(*fault) && machine.faults().delivered(*fault) > 0)
        .collect();
    for finding in &mut outcome.findings {
        finding.expected_finding = canary;
        finding.beyond.clone_from(&beyond);
    }
    wished::fulfil(&machine, case, wishes, &mut outcome);
    Ok(outcome)
}

/// Who keeps what is seen of one history.
fn witness(engine: &dyn Engine, plan: &Plan, contract: Contract) -> Witness {
    let witness = Witness::new(contract, plan.claims);
    if engine.in_flight_may_return(&plan.settings) {
        witness.let_in_flight_return();
    }
    if engine.seen_may_be_lost(&plan.settings) {
        witness.let_seen_be_lost();
    }
    witness
}

impl Plan {
    fn draw(
        engine: &dyn Engine,
        knobs: &Knobs,
        case: &Case,
        choices: &mut Choices,
    ) -> Result<Plan, CaseError> {
        let mut disk = DiskConfig::draw(choices);
        disk.device = knobs.scenario.device().unwrap_or(disk.device);
        let settings = settings(engine, knobs, choices)?;
        let mut sizes = Sizes::draw(choices, &knobs.scenario.workload);
        if settings.concurrency == Concurrency::Single {
            sizes.clients = 1;
        }
        let boots = knobs.scenario.bounds.boots.draw(choices, "size/boots");
        let fixed = knobs.fixed_rates(case);
        let claims = engine.claims_under(&settings);
        let admission = Admission {
            profile: case.faults,
            claims,
            // What another engine makes of a damage is no finding of the first.
            beyond_budget: case.beyond_budget && knobs.scenario.beside.is_empty(),
            is_bounded: disk.capacity_bytes.is_some(),
            fixed: &fixed,
        };
        let rates = rates::draw(choices, admission);
        let off = rates::ends_off(&fixed);
        let syncs = engine.syncs(&settings, sizes.commits());
        Ok(Plan { settings, sizes, boots, disk, rates, claims, off, syncs })
    }

    fn words(&self, contract: Contract, strategy: &str) -> Vec<(String, String)> {
        let mut words: Vec<(String, String)> = vec![
            ("fs".into(), self.disk.fs.name().into()),
            ("device".into(), self.disk.device.name().into()),
            ("strategy".into(), strategy.into()),
            ("contract".into(), contract.name().into()),
            ("concurrency".into(), self.settings.concurrency.name().into()),
        ];
        words.extend(self.settings.iter().map(|(name, value)| (name.into(), value.into())));
        let sizes = [
            ("clients", u64::from(self.sizes.clients)),
            ("transactions", self.sizes.transactions),
            ("keys", self.sizes.keys),
            ("value_bytes", self.sizes.value_bytes),
            ("boots", self.boots),
        ];
        words.extend(sizes.map(|(name, size)| (name.into(), size.to_string())));
        if let Some(bytes) =
            self.disk.capacity_bytes.filter(|_| self.rates[Fault::Enospc as usize] > 0)
        {
            words.push(("capacity_bytes".into(), bytes.to_string()));
        }
        let rates = Fault::ALL.iter().filter(|fault| self.rates[**fault as usize] > 0);
        words
            .extend(rates.map(|fault| {
                (fault.name().into(), format!("{} ppm", self.rates[*fault as usize]))
            }));
        words
    }

    /// Where a boot may end: somewhere in the work that it is going to do.
    fn power(&self, recovery_ppm: u32, process_crash_ppm: u32) -> PowerDraw {
        let commits = self.sizes.commits();
        PowerDraw {
            disk_ops_max: 8 + commits * 12,
            syncs_max: 1 + self.syncs,
            steps_max: 100 + commits * 100,
            recovery_ppm,
            process_crash_ppm,
            off: self.off,
        }
    }
}

struct Life<'a> {
    machine: &'a mut Machine,
    session: &'a Session<'a>,
    /// Whether the power may go at rest.
    cuts: bool,
    /// How the lives ended since a state was last seen, the worst of them.
    after: Cell<After>,
}

impl Life<'_> {
    /// Runs all boots; a verdict of the machine ends them.
    fn live(mut self, plan: &Plan) -> Option<(Breach, u32, u64)> {
        let ends = self.session.ends;
        let mut recovery_crashes = 0;
        let mut boots = 0;
        while boots < plan.boots && !self.session.is_over() {
            // A recovery that was cut often enough is let through.
            let is_cut = recovery_crashes < ends.recovery_depth;
            let recovery_ppm = if is_cut { ends.recovery_ppm } else { 1 };
            let ending = match ends.at_rest {
                true => Ending::Never,
                false => Ending::Drawn(plan.power(recovery_ppm, ends.process_crash_ppm)),
            };
            let opened = match self.boot(ending, Task::Work) {
                Ok(opened) => opened,
                Err(verdict) => return Some(verdict),
            };
            recovery_crashes = if opened { 0 } else { recovery_crashes + 1 };
            boots += u64::from(opened || recovery_crashes > ends.recovery_depth);
        }
        self.machine.faults().hold_back(true);
        for task in [Task::Live, Task::Look] {
            if self.session.is_over() {
                return None;
            }
            if let Err(verdict) = self.boot(Ending::Never, task) {
                return Some(verdict);
            }
        }
        None
    }

    /// One boot, and what becomes of the power after it. Says whether the engine had opened.
    fn boot(&mut self, ending: Ending, task: Task) -> Result<bool, (Breach, u32, u64)> {
        let number = self.machine.counters().boots as u32 + 1;
        let (session, after) = (self.session, self.after.get());
        let boot = self.machine.boot(ending, |ctx| session.run(ctx.disk(), number, task, after));
        let (end, clean) = match boot.end {
            End::Verdict(verdict) => {
                return Err((verdict::breach_of(&verdict), number, verdict.step));
            }
            End::PowerLoss => (After::PowerLoss, false),
            End::ProcessCrash => (After::ProcessCrash, false),
            End::Exited => (self.rest(), false),
            End::Returned(done) => (self.rest(), done == Done::Closed(Promise::Durable)),
        };
        let end = match end {
            After::PowerLoss if clean => After::CleanShutdown,
            end => end,
        };
        let looked = session.looked.load(Ordering::Relaxed);
        self.after.set(judged_after(after, end, looked));
        if session.ends.repeat_recovery && boot.opened && task == Task::Work {
            session.aside.forget();
            if end == After::PowerLoss && !session.is_over() {
                self.recover_aside()?;
            }
        }
        Ok(boot.opened)
    }

    /// Recovers once without a disturbance, on a copy of the disk.
    fn recover_aside(&mut self) -> Result<(), (Breach, u32, u64)> {
        let before = self.machine.disk().with_model(|model| model.clone());
        self.machine.faults().hold_back(true);
        let number = self.machine.counters().boots as u32 + 1;
        let (session, after) = (self.session, self.after.get());
        let boot = self
            .machine
            .boot(Ending::Never, |ctx| session.run(ctx.disk(), number, Task::Aside, after));
        self.machine.faults().hold_back(false);
        self.machine.disk().with_model(|model| *model = before);
        match boot.end {
            End::Verdict(verdict) => Err((verdict::breach_of(&verdict), number, verdict.step)),
            _ => Ok(()),
        }
    }

    /// The boot ended by itself: the power goes now, or the process is started again.
    fn rest(&mut self) -> After {
        let cut = self.machine.choices().choose("life/cut_at_rest", 16);
        // At rest there is rarely anything to lose, but shutdowns are to be judged.
        let cut_from = if self.session.ends.at_rest { 8 } else { 15 };
        if cut >= cut_from && self.cuts {
            self.machine.cut_power();
            return After::PowerLoss;
        }
        After::ProcessCrash
    }
}

/// What the next boot is judged after: how this one ended, and, where nobody has looked at the engine since,
/// no less than what came `before`.
fn judged_after(before: After, end: After, looked: bool) -> After {
    if looked { end } else { end.max(before) }
}

fn outcome(
    machine: &mut Machine,
    witnesses: &[Witness],
    verdict: Option<(Breach, u32, u64)>,
    wishes: &Wishes,
    contract: Contract,
    plan: &Plan,
) -> Outcome {
    let mut breaches: Vec<_> = witnesses.iter().flat_map(Witness::take_breaches).collect();
    breaches.sort_by_key(|(_, _, step)| *step);
    breaches.extend(unless_stopped(verdict, wishes));
    let drawn = plan.words(contract, machine.strategy().name());
    let mut outcome = Outcome::of(machine, breaches, drawn);
    let sum = |count: fn(&History) -> u64| witnesses.iter().map(|w| w.history(count)).sum();
    outcome.counters.commits_acked = sum(History::acked_count);
    outcome.counters.resurrected = sum(History::resurrected_count);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_loss_counts_until_the_engine_was_looked_at() {
        let (crash, loss) = (After::ProcessCrash, After::PowerLoss);
        assert_eq!(judged_after(loss, crash, false), loss);
        assert_eq!(judged_after(loss, crash, true), crash);
        assert_eq!(judged_after(crash, loss, false), loss);
        assert_eq!(judged_after(crash, crash, false), crash);
    }
}
