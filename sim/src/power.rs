//! How a boot ends: the power's plan.
//!
//! # Method
//!
//! A plan is fixed ([`At`]) or drawn ([`PowerDraw`]). A drawn plan has two parts: one for the time
//! until the engine says that it has opened, one from there on, so that recovery of any length
//! neither hides the work nor is hidden by it. Most of the drawn points lie in a sync, between two of its
//! writes, or near one.

use crate::choice::{Choices, Label};
use crate::env::PowerPlan;
use crate::fault::{Fault, FaultSet};

/// Where the end comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At a scheduling decision, counted from the boot's start.
    Step(u64),
    /// At a call of the disk, counted from 1.
    DiskOp(u64),
    /// In a sync (counted from 0), when so many of its pending writes are on the platter; at its end
    /// if it has fewer.
    InSync {
        /// Which sync of the boot.
        sync: u64,
        /// After how many writes.
        writes: u64,
    },
    /// At a virtual time in nanoseconds, counted from the boot's start.
    Time(u64),
}

/// Bounds between which the end of a boot is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerDraw {
    /// Calls of the disk that a boot makes, at most.
    pub disk_ops_max: u64,
    /// Syncs that a boot makes, at most.
    pub syncs_max: u64,
    /// Scheduling decisions that a boot makes, at most.
    pub steps_max: u64,
    /// How likely it is, in millionths, that the boot ends before the engine has opened.
    pub recovery_ppm: u32,
    /// How likely it is, in millionths, that the process is killed and the power stays.
    pub process_crash_ppm: u32,
    /// Ends that are switched off, among `power_loss`, `process_crash` and `crash_in_recovery`: they
    /// are drawn as always, and a boot that would end so goes on until its main task returns.
    pub off: FaultSet,
}

impl Default for PowerDraw {
    fn default() -> Self {
        PowerDraw {
            disk_ops_max: 512,
            syncs_max: 64,
            steps_max: 4_096,
            recovery_ppm: 0,
            process_crash_ppm: 250_000,
            off: FaultSet::NONE,
        }
    }
}

/// How a boot is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// When its main task returns.
    #[default]
    Never,
    /// The power goes.
    PowerLoss(At),
    /// The process is killed.
    ProcessCrash(At),
    /// As the machine's choices say; also when its main task returns first.
    Drawn(PowerDraw),
}

/// What ends a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    PowerLoss,
    ProcessCrash,
    /// A task ended the process.
    Exit,
    /// The main task returned, or a verdict stopped the run.
    Over,
}

/// The counters that a boot's plan is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) death: Option<Death>,
    pub(crate) at_step: Option<u64>,
    pub(crate) at_op: Option<u64>,
    pub(crate) at_time_ns: Option<u64>,
    /// When so many syncs have begun, the end comes after `near_ops` more calls.
    near_sync: Option<u64>,
    near_ops: u64,
    /// Calls of the disk in this boot.
    pub(crate) ops: u64,
    draws_at_open: bool,
    pub(crate) opened: bool,
}

/// The plan of a boot that starts now.
pub(crate) fn plan(
    ending: Ending,
    choices: &mut Choices,
    power: &mut PowerPlan,
    step: u64,
    time_ns: u64,
) -> Plan {
    *power = PowerPlan::default();
    let mut plan = Plan::default();
    match ending {
        Ending::Never => {}
        Ending::PowerLoss(at) => plan.fix(Death::PowerLoss, at, power, step, time_ns),
        Ending::ProcessCrash(at) => plan.fix(Death::ProcessCrash, at, power, step, time_ns),
        Ending::Drawn(draw) => {
            plan.death = Some(kind(draw, choices));
            if choices.chance("power/recovery", draw.recovery_ppm) {
                plan.draw_recovery(choices, power);
                if draw.off.contains(Fault::CrashInRecovery) || plan.is_off(draw) {
                    plan.disarm(power);
                }
            }
            plan.draws_at_open = draw.recovery_ppm > 0;
            if !plan.draws_at_open {
                plan.draw(draw, choices, power, step);
            }
        }
    }
    plan
}

fn kind(draw: PowerDraw, choices: &mut Choices) -> Death {
    match choices.chance("power/kind", draw.process_crash_ppm) {
        true => Death::ProcessCrash,
        false => Death::PowerLoss,
    }
}

impl Plan {
    fn fix(&mut self, death: Death, at: At, power: &mut PowerPlan, step: u64, time_ns: u64) {
        self.death = Some(death);
        match at {
            At::Step(steps) => self.at_step = Some(step + steps),
            At::DiskOp(op) => self.at_op = Some(op),
            At::Time(ns) => self.at_time_ns = Some(time_ns + ns),
            At::InSync { sync, writes } => {
                power.in_sync = Some(sync);
                power.after_writes = writes;
            }
        }
    }

    /// Draws where the end comes while the engine opens: at a call, or between two writes of a sync.
    fn draw_recovery(&mut self, choices: &mut Choices, power: &mut PowerPlan) {
        let at = choices.log_uniform("power/recovery_at", 0, 63);
        match choices.choose("power/recovery_in_sync", 8) {
            0 => self.at_op = Some(1 + at),
            _ => *power = PowerPlan { in_sync: Some(0), after_writes: at, fits: true, ..*power },
        }
    }

    /// Whether the end that was drawn is switched off.
    fn is_off(&self, draw: PowerDraw) -> bool {
        match self.death {
            Some(Death::PowerLoss) => draw.off.contains(Fault::PowerLoss),
            Some(Death::ProcessCrash) => draw.off.contains(Fault::ProcessCrash),
            Some(Death::Exit | Death::Over) | None => false,
        }
    }

    /// Forgets where the end comes.
    fn disarm(&mut self, power: &mut PowerPlan) {
        (self.at_op, self.at_step, self.near_sync) = (None, None, None);
        (power.in_sync, power.fits) = (None, false);
    }

    /// Draws where the end comes, counted from here. 0 stands for "when the main task returns".
    fn draw(&mut self, draw: PowerDraw, choices: &mut Choices, power: &mut PowerPlan, step: u64) {
        self.at_op = None;
        power.in_sync = None;
        match choices.weighted(Label::POWER_PLAN, &[1, 56, 2, 2, 1]) {
            0 => {}
            1 => {
                // Early ones are the cheapest, late ones find the most.
                let early = choices.log_uniform(Label::POWER_AT, 0, draw.syncs_max);
                let any = choices.range("power/any_sync", 0, draw.syncs_max);
                let is_early = choices.choose("power/early", 2) == 0;
                power.in_sync = Some(power.syncs + if is_early { early } else { any });
                power.after_writes = choices.log_uniform("power/after_writes", 0, 15);
                power.fits = choices.choose("power/fits", 16) > 0;
            }
            2 => {
                let syncs = choices.log_uniform(Label::POWER_AT, 0, draw.syncs_max);
                self.near_sync = Some(power.syncs + syncs);
                self.near_ops = choices.range("power/near", 0, 6);
            }
            3 => {
                let ops = choices.log_uniform(Label::POWER_AT, 1, draw.disk_ops_max);
                self.at_op = Some(self.ops + ops);
            }
            _ => {
                let steps = choices.log_uniform(Label::POWER_AT, 1, draw.steps_max);
                self.at_step = Some(step + steps);
            }
        }
        if self.is_off(draw) {
            self.disarm(power);
        }
    }

    /// Whether the time before the engine has opened is told apart in this boot.
    pub(crate) fn may_recover(&self) -> bool {
        self.draws_at_open
    }

    /// The engine has opened: what was drawn for recovery is over, the rest is drawn now.
    pub(crate) fn open(
        &mut self,
        ending: Ending,
        choices: &mut Choices,
        power: &mut PowerPlan,
        step: u64,
    ) {
        let first = !std::mem::replace(&mut self.opened, true);
        if let Ending::Drawn(draw) = ending
            && self.draws_at_open
            && first
        {
            self.draw(draw, choices, power, step);
        }
    }

    /// A call of the disk begins; `true` when the boot ends at it.
    pub(crate) fn op_begins(&mut self, power: &PowerPlan) -> bool {
        self.ops += 1;
        if self.near_sync.is_some_and(|syncs| power.syncs >= syncs) {
            self.near_sync = None;
            self.at_op = Some(self.ops + self.near_ops);
        }
        self.at_op.is_some_and(|op| self.ops >= op)
    }
}
