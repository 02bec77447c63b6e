//! The testbed looks at itself: a program whose outcome is known, and one fault a run.
//!
//! # Method
//!
//! With a single fault switched on, whatever goes wrong is that fault's doing, so that the machine's
//! counters can be held to what the program met: as many interrupted calls as `eintr` was counted, no
//! wrong byte unless a fault that makes one was delivered, exact sums from any schedule. The judges
//! are shown a history and a state with a known flaw, or none, and must say so.
//!
//! # Invariant
//!
//! A breach here is of class `harness`: the testbed is at fault, no engine.

mod disk;
mod judges;
mod tasks;

use falconry_sim::choice::{Choices, PPM};
use falconry_sim::disk::DiskConfig;
use falconry_sim::fault::{FAULT_COUNT, Fault, FaultSet, When};
use falconry_sim::io::with_env;
use falconry_sim::{End, Ending, Machine, MachineConfig, PowerDraw};

use crate::engine;
use crate::oracle::Breach;
use crate::run::knobs::Knobs;
use crate::run::outcome::unless_stopped;
use crate::run::{
    Case, CaseError, Outcome, Profile, Property, Wishes, check_bugs, rates, verdict, wished,
};
use disk::Shelf;

/// Outcomes that need others of their kind to come about.
const ALL_AT_POWER_LOSS: u32 = PPM;

/// Faults that are decided once a boot: at the rates of those of a call they would hardly come.
const ONCE_A_BOOT: &[Fault] = &[
    Fault::OldImage,
    Fault::BitRot,
    Fault::BadSectorRun,
    Fault::ZeroedSector,
    Fault::FalseDeviceClaim,
    Fault::SlowDevice,
];

/// What is drawn before the first boot.
struct Plan {
    /// The one fault of this run.
    theme: Option<Fault>,
    rates: [u32; FAULT_COUNT],
    /// Ends of a boot that are switched off.
    off: FaultSet,
    tasks: u32,
    rounds: u64,
    boots: u64,
}

/// What the runner counted by itself, to hold the machine's counters to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lives {
    boots: u64,
    power_losses: u64,
    process_crashes: u64,
}

/// Runs the self-check.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub(super) fn run(knobs: &Knobs, case: &Case, wishes: &Wishes) -> Result<Outcome, CaseError> {
    check(knobs, case)?;
    let mut choices = wished::choices(case, wishes);
    let disk = DiskConfig::draw(&mut choices);
    let plan = Plan::draw(knobs, case, &mut choices);
    let config = MachineConfig {
        disk: disk.clone(),
        steps_max: wishes.steps_max(knobs.scenario.bounds.steps),
        keep_trace: wishes.trace,
        ..MachineConfig::default()
    };
    let mut machine = Machine::new(config, choices);
    rates::set(&mut machine, &plan.rates);
    let (breach, lives) = live(&mut machine, &plan);
    let mut outcome = outcome(&mut machine, &plan, &disk, breach, lives, wishes);
    outcome.findings.retain(|finding| knobs.scenario.judges(finding.property));
    wished::fulfil(&machine, case, wishes, &mut outcome);
    Ok(outcome)
}

/// Refuses what the self-check, which has no engine, would pass over.
///
/// # Errors
///
/// Names the setting, the bug or the flag.
pub(super) fn check(knobs: &Knobs, case: &Case) -> Result<(), CaseError> {
    knobs.refuse_what_engines_have(
        case,
        "the machine has no engine whose settings these are",
        "the machine's self-check has no engine to convict; name one with --engine",
    )?;
    check_bugs(engine::MACHINE, &[], case)
}

impl Plan {
    fn draw(knobs: &Knobs, case: &Case, choices: &mut Choices) -> Plan {
        let drawn = Fault::ALL[choices.choose("self/theme", FAULT_COUNT as u64) as usize];
        let ppm = choices.log_uniform("self/rate", 10_000, 400_000) as u32;
        let by_hand = case.faults == Profile::None || !case.fault_ppm.is_empty();
        let theme = (!by_hand && drawn.when() != When::Life).then_some(drawn);
        let mut rates = [0; FAULT_COUNT];
        match theme.map(|theme| (theme, theme.when())) {
            Some((_, When::PowerLoss)) => {
                let at_power_loss = Fault::ALL.iter().filter(|f| f.when() == When::PowerLoss);
                at_power_loss.for_each(|fault| rates[*fault as usize] = ALL_AT_POWER_LOSS);
            }
            Some((theme, _)) if ONCE_A_BOOT.contains(&theme) => rates[theme as usize] = PPM / 2,
            Some((theme, _)) => rates[theme as usize] = ppm,
            None => {}
        }
        let fixed = knobs.fixed_rates(case);
        for (fault, ppm) in &fixed {
            rates[*fault as usize] = *ppm;
        }
        let sizes = &knobs.scenario.workload;
        Plan {
            theme,
            rates,
            off: rates::ends_off(&fixed),
            tasks: sizes.clients.draw(choices, "size/clients") as u32,
            rounds: sizes.transactions.draw(choices, "size/transactions"),
            boots: knobs.scenario.bounds.boots.draw(choices, "size/boots"),
        }
    }

    fn words(&self, disk: &DiskConfig, strategy: &str) -> Vec<(String, String)> {
        let theme = self.theme.map_or("none", Fault::name);
        [
            ("fs", disk.fs.name()),
            ("device", disk.device.name()),
            ("strategy", strategy),
            ("theme", theme),
            ("tasks", &self.tasks.to_string()),
            ("rounds", &self.rounds.to_string()),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
    }

    /// Which faults may come at all.
    fn admitted(&self) -> FaultSet {
        Fault::ALL.iter().copied().filter(|fault| self.rates[*fault as usize] > 0).collect()
    }
}

fn live(machine: &mut Machine, plan: &Plan) -> (Option<(Breach, u32, u64)>, Lives) {
    let shelf = Shelf::new(plan.admitted());
    let mut lives = Lives::default();
    for boot in 1..=plan.boots {
        lives.boots += 1;
        let draw = PowerDraw {
            disk_ops_max: plan.rounds * 4,
            syncs_max: plan.rounds / 4 + 1,
            steps_max: plan.rounds * u64::from(plan.tasks) * 8 + 16,
            recovery_ppm: 200_000,
            process_crash_ppm: 300_000,
            off: plan.off,
        };
        let ending = if boot < plan.boots { Ending::Drawn(draw) } else { Ending::Never };
        let booted = machine.boot(ending, |ctx| {
            shelf.recover(&*ctx.disk())?;
            if falconry_sim::is_off() {
                return Ok(());
            }
            falconry_sim::opened();
            judges::check()?;
            tasks::check(plan.tasks, plan.rounds, plan.admitted())?;
            shelf.check(&*ctx.disk(), plan.rounds)?;
            if falconry_sim::choose("life/exit", 4) == 3 {
                falconry_sim::exit();
            }
            Ok(())
        });
        match booted.end {
            End::Returned(Ok(())) | End::Exited => {
                let cut = machine.choices().choose("life/cut_at_rest", 2) == 1
                    && !plan.off.contains(Fault::PowerLoss);
                if cut {
                    machine.cut_power();
                    lives.power_losses += 1;
                }
                shelf.life_ends(cut);
            }
            End::Returned(Err(breach)) => {
                let step = machine.counters().steps;
                return (Some((breach, booted.number, step)), lives);
            }
            End::PowerLoss => {
                lives.power_losses += 1;
                shelf.life_ends(true);
            }
            End::ProcessCrash => {
                lives.process_crashes += 1;
                shelf.life_ends(false);
            }
            End::Verdict(verdict) => {
                let breach = verdict::breach_of(&verdict);
                return (Some((breach, booted.number, verdict.step)), lives);
            }
        }
    }
    (None, lives)
}

/// The machine's counters against the runner's own.
fn judge_counters(machine: &mut Machine, lives: Lives) -> Result<(), Breach> {
    let counted = machine.counters();
    let told = Lives {
        boots: counted.boots,
        power_losses: counted.power_losses,
        process_crashes: counted.process_crashes,
    };
    let faults = machine.faults();
    let delivered = (faults.delivered(Fault::PowerLoss), faults.delivered(Fault::ProcessCrash));
    if told == lives && delivered == (lives.power_losses, lives.process_crashes) {
        return Ok(());
    }
    Err(harness("a counter of the machine is wrong", "lives")
        .row("expected", format!("{lives:?}"))
        .row("found", format!("{told:?}, delivered {delivered:?}")))
}

fn outcome(
    machine: &mut Machine,
    plan: &Plan,
    disk: &DiskConfig,
    breach: Option<(Breach, u32, u64)>,
    lives: Lives,
    wishes: &Wishes,
) -> Outcome {
    let mut breaches: Vec<(Breach, u32, u64)> =
        unless_stopped(breach, wishes).into_iter().collect();
    if breaches.is_empty()
        && let Err(breach) = judge_counters(machine, lives)
    {
        breaches.push((breach, lives.boots as u32, machine.counters().steps));
    }
    let drawn = plan.words(disk, machine.strategy().name());
    Outcome::of(machine, breaches, drawn)
}

/// A breach of the testbed by itself.
fn harness(sentence: &'static str, place: &str) -> Breach {
    Breach::new(Property::Harness, sentence, place)
}

/// How often a fault was delivered so far, on the running machine.
fn delivered(fault: Fault) -> u64 {
    with_env(|env| env.faults.delivered(fault)).unwrap_or(0)
}
