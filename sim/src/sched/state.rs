//! What all tasks of a machine share: run queue, objects, timers, choices, faults, trace.
//!
//! Nothing here switches tasks; the kernel does that, holding no borrow.

use std::fmt::Write as _;

use falconry_seam::hook::{LockMode, Place, Point, TaskId, Wake};

use super::object::Objects;
use super::strategy::{Strategy, StrategyKind, Turn};
use super::task::{Named, Task, Tasks, Wait};
use super::timer::Timers;
use super::{Verdict, VerdictKind};
use crate::choice::{Choices, Draws, Label};
use crate::clock::WallClock;
use crate::env::{Env, PowerPlan};
use crate::fault::{Fault, Faults};
use crate::power::{Death, Ending};
use crate::trace::{Trace, What};

/// Virtual time that one scheduling decision takes. Without it a loop that waits for a deadline
/// without sleeping would never end.
pub(super) const STEP_NS: u64 = 50;

/// Accesses of atomics and cells after which a point comes even where the strategy wants none: a loop
/// over them must not hang.
const GAP_MAX: u64 = 10_000;

/// Steps between two looks at whether a task starves.
const STARVE_EVERY_STEPS: u64 = 64;

/// Whether tasks run, or are being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Power is on.
    On,
    /// Tasks return by themselves.
    Drain,
    /// Those that cannot are unwound.
    Unwind,
    /// No task runs.
    Over,
}

pub(crate) struct State {
    pub(crate) choices: Choices,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    pub(crate) power: PowerPlan,
    pub(crate) ending: Ending,
    pub(crate) wall: WallClock,
    pub(crate) phase: Phase,
    pub(crate) death: Option<Death>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) step_max: u64,
    pub(crate) planted: Vec<String>,
    pub(crate) sites: super::sites::Sites,
    pub(super) epoch: u32,
    pub(super) tasks: Tasks,
    pub(super) ready: Vec<TaskId>,
    pub(super) current: TaskId,
    pub(super) objects: Objects,
    pub(super) timers: Timers,
    pub(super) futexes: Vec<(usize, TaskId)>,
    pub(super) local_count: u32,
    pub(super) strategy: Strategy,
    pub(super) strategy_kind: StrategyKind,
    /// Mean accesses of atomics and cells from one scheduling point to the next: 1, 64, or 0 for
    /// never.
    pub(super) atomic_gap: u64,
    pub(super) gap_left: u64,
    /// A task that gets no turn until this step.
    pub(super) starved: Option<(TaskId, u64)>,
    /// Whether it was passed over since.
    starves: bool,
    /// The next step at which something other than a switch is due.
    pub(super) alarm_step: u64,
    pub(super) abandoned: u64,
}

impl State {
    pub(super) fn new(choices: Choices, keep_trace: bool) -> Self {
        State {
            choices,
            faults: Faults::none(),
            trace: Trace::new(keep_trace),
            power: PowerPlan::default(),
            ending: Ending::default(),
            wall: WallClock::new(),
            phase: Phase::Over,
            death: None,
            verdict: None,
            step_max: u64::MAX,
            planted: Vec::new(),
            sites: super::sites::Sites::default(),
            epoch: 0,
            tasks: Tasks::default(),
            ready: Vec::new(),
            current: 0,
            objects: Objects::default(),
            timers: Timers::default(),
            futexes: Vec::new(),
            local_count: 0,
            strategy: StrategyKind::Replay.start(),
            strategy_kind: StrategyKind::Replay,
            atomic_gap: 0,
            gap_left: GAP_MAX,
            starved: None,
            starves: false,
            alarm_step: 0,
            abandoned: 0,
        }
    }

    /// As new, with the memory of its tables kept; what [`State::begin`] sets anew is left.
    pub(super) fn reset(&mut self, choices: Choices, keep_trace: bool) {
        self.choices = choices;
        self.faults.reset();
        self.trace = Trace::new(keep_trace);
        self.power = PowerPlan::default();
        self.ending = Ending::default();
        self.wall = WallClock::new();
        self.phase = Phase::Over;
        (self.death, self.verdict) = (None, None);
        self.step_max = u64::MAX;
        self.planted.clear();
        self.sites = super::sites::Sites::default();
        self.tasks.clear();
        self.strategy_kind = StrategyKind::Replay;
        self.strategy = self.strategy_kind.start();
        (self.atomic_gap, self.gap_left) = (0, GAP_MAX);
        self.abandoned = 0;
    }

    /// Forgets the tasks and objects of the boot before.
    pub(super) fn begin(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.phase = Phase::On;
        self.death = None;
        self.verdict = None;
        self.tasks.clear();
        self.ready.clear();
        self.current = 0;
        self.objects.begin(epoch);
        self.timers.clear();
        self.futexes.clear();
        self.local_count = 0;
        self.starved = None;
        self.alarm_step = self.trace.step;
        self.refill_gap();
    }

    /// Fixes the strategy, or draws one, and with it how often atomics and cells are points.
    pub(crate) fn set_strategy(&mut self, kind: Option<StrategyKind>) {
        self.strategy_kind = kind.unwrap_or_else(|| StrategyKind::draw(&mut self.choices));
        self.strategy = self.strategy_kind.start();
        let is_exhaustive = matches!(self.strategy_kind, StrategyKind::Exhaustive { .. });
        self.atomic_gap = match self.choices.weighted(Label::SCHED_ATOMICS, &[1, 1, 30]) {
            _ if is_exhaustive => 1,
            0 => 0,
            1 => 64,
            _ => 1,
        };
    }

    pub(crate) fn strategy(&self) -> StrategyKind {
        self.strategy_kind
    }

    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// The plan of the power has changed.
    pub(crate) fn look_soon(&mut self) {
        self.alarm_step = self.trace.step;
    }

    pub(crate) fn env(&mut self) -> Env<'_> {
        Env {
            choices: &mut self.choices,
            faults: &mut self.faults,
            trace: &mut self.trace,
            power: &mut self.power,
        }
    }

    /// From here on what happens is done by `task`.
    #[inline]
    pub(super) fn turn_to(&mut self, task: TaskId) {
        self.current = task;
        self.choices.set_task(task);
        self.trace.task = task;
    }

    #[inline]
    pub(super) fn me(&mut self) -> &mut Task {
        self.tasks.at(self.current)
    }

    /// One more scheduling decision; `true` when something else is due at it.
    #[inline]
    pub(super) fn begin_step(&mut self) -> bool {
        crate::progress::step();
        self.trace.step += 1;
        self.trace.time_ns += STEP_NS;
        if self.trace.time_ns >= self.timers.next_ns {
            self.fire_timers();
        }
        self.trace.step >= self.alarm_step
    }

    /// Whether an access of an atomic or a cell passes without a point.
    #[inline]
    pub(super) fn passes(&mut self) -> bool {
        let passes = self.gap_left > 0;
        if passes {
            self.gap_left -= 1;
        } else {
            self.refill_gap();
        }
        passes
    }

    fn refill_gap(&mut self) {
        self.gap_left = match self.atomic_gap {
            0 => GAP_MAX,
            1 => 0,
            mean => self.choices.choose(Label::SCHED_GAP, 2 * mean - 1),
        };
    }

    /// Whom the turn goes to: an index into `ready`, or `None` for the running task.
    #[inline]
    pub(super) fn choose_next(&mut self, point: Point, can_stay: bool) -> Option<usize> {
        let held = self.hold_starved(can_stay);
        let ready = &self.ready[..self.ready.len() - held];
        let turn = Turn {
            current: self.current,
            can_stay,
            ready,
            step: self.trace.step,
            time_ns: self.trace.time_ns,
            point,
        };
        let count = self.strategy.alternatives(&turn);
        if count == 1 && turn.alternatives() == 1 {
            return (!can_stay).then_some(0);
        }
        let (strategy, choices) = (&mut self.strategy, &mut self.choices);
        let chosen = if choices.is_plain() {
            let propose = |draws: &mut Draws<'_>| strategy.next(&turn, draws) as u64;
            choices.decide(Label::SCHED_NEXT, count as u64, propose)
        } else {
            choose_in_order(choices, strategy, &turn, count)
        } as usize;
        self.strategy.taken(&turn, chosen);
        if can_stay { chosen.checked_sub(1) } else { Some(chosen) }
    }

    /// Puts a starved task last in `ready` and says how many are held back (0 or 1).
    #[inline]
    fn hold_starved(&mut self, can_stay: bool) -> usize {
        let Some((victim, until)) = self.starved else { return 0 };
        if self.trace.step >= until {
            self.starved = None;
            return 0;
        }
        if self.faults.rate_ppm(Fault::Starve) == 0 || self.ready.len() + usize::from(can_stay) < 2
        {
            return 0;
        }
        let Some(index) = self.ready.iter().position(|task| *task == victim) else { return 0 };
        let last = self.ready.len() - 1;
        self.ready.swap(index, last);
        if !std::mem::replace(&mut self.starves, true) {
            self.faults.deliver_in(&mut self.trace, Fault::Starve, u64::from(victim));
        }
        1
    }

    /// Every so often, decides whether a task starves from here on.
    pub(super) fn consider_starving(&mut self) {
        if !self.trace.step.is_multiple_of(STARVE_EVERY_STEPS) || self.ready.is_empty() {
            return;
        }
        if self.faults.comes(&mut self.choices, Label::SCHED_STARVE, Fault::Starve) {
            let victim = self.choices.choose("sched/starved", self.ready.len() as u64) as usize;
            let steps = self.choices.log_uniform("sched/starved_for", 8, 2_048);
            self.starved = Some((self.ready[victim], self.trace.step + steps));
            self.starves = false;
        }
    }

    /// The running task waits; a deadline is in virtual time.
    pub(super) fn begin_wait(
        &mut self,
        wait: Wait,
        place: Option<Place>,
        deadline_ns: Option<u64>,
    ) {
        let current = self.current;
        self.trace.event(None, What::Wait { on: wait.word().into(), object: wait.object() });
        let task = self.me();
        task.wait = wait;
        task.place = place;
        task.has_deadline = deadline_ns.is_some();
        task.generation += 1;
        let generation = task.generation;
        if let Some(at_ns) = deadline_ns {
            self.timers.set(at_ns, current, generation);
        }
    }

    /// A waiting task can run again.
    pub(super) fn wake(&mut self, id: TaskId, wake: Wake) {
        let task = self.tasks.at(id);
        let wait = std::mem::replace(&mut task.wait, Wait::Nothing);
        assert!(!matches!(wait, Wait::Nothing | Wait::Ended), "task {id} does not wait");
        task.wake = wake;
        task.generation += 1;
        match wait {
            Wait::Lock { object, .. } | Wait::Queue { object } => {
                self.objects.get(object).waiters.retain(|waiter| *waiter != id);
            }
            Wait::Futex { .. } => self.futexes.retain(|(_, waiter)| *waiter != id),
            Wait::Join { task } => self.tasks[task as usize].remove_joiner(id),
            Wait::Park | Wait::Sleep | Wait::Budget | Wait::Nothing | Wait::Ended => {}
        }
        self.ready.push(id);
    }

    /// Whether a reader waits although the lock is not held exclusively, because a writer waits too:
    /// std leaves open who goes first.
    pub(super) fn lets_writer_pass(&mut self, object: u32) -> bool {
        if self.phase != Phase::On {
            return false;
        }
        let waiters = &self.objects.get(object).waiters;
        let writer = waiters.iter().any(|waiter| {
            let wait = self.tasks[*waiter as usize].wait;
            matches!(wait, Wait::Lock { mode: LockMode::Exclusive, .. })
        });
        writer && self.choices.choose(Label::SCHED_READER, 2) == 1
    }

    /// One of those who wait in a queue; the one that waits longest is the boring one.
    pub(super) fn choose_waiter(&mut self, object: u32) -> Option<TaskId> {
        let count = self.objects.get(object).waiters.len();
        let index = match count {
            0 => return None,
            1 => 0,
            _ => self.choices.choose(Label::SCHED_NOTIFY, count as u64) as usize,
        };
        Some(self.objects.get(object).waiters[index])
    }

    /// Wakes everybody who waits for a lock that is free now.
    pub(super) fn wake_lock_waiters(&mut self, object: u32) {
        while let Some(waiter) = self.objects.get(object).waiters.first().copied() {
            self.wake(waiter, Wake::Notified);
        }
    }

    pub(super) fn fire_timers(&mut self) {
        while let Some((task, generation)) = self.timers.due(self.trace.time_ns) {
            let waits = &self.tasks[task as usize];
            if waits.generation == generation && waits.has_deadline {
                self.wake(task, Wake::TimedOut);
            }
        }
    }

    /// Nobody can run: lets time pass to the next timer. `false` when there is none.
    pub(super) fn advance_to_timer(&mut self) -> bool {
        while self.ready.is_empty() {
            if self.timers.next_ns == u64::MAX {
                return false;
            }
            self.consider_suspend();
            self.trace.time_ns = self.trace.time_ns.max(self.timers.next_ns);
            self.fire_timers();
        }
        true
    }

    /// The machine may fall asleep while nothing runs.
    fn consider_suspend(&mut self) {
        if self.faults.comes(&mut self.choices, "clock/suspend", Fault::Suspend) {
            let ns = self.choices.log_uniform("clock/suspend_for", 1, 3_600_000) * 1_000_000;
            self.trace.time_ns += ns;
            self.wall.stand_still(ns);
            self.faults.deliver_in(&mut self.trace, Fault::Suspend, ns);
        }
    }

    /// Ends the run with a verdict about the running task. Returns it; `None` when another one came
    /// before, which stands.
    pub(super) fn convict(
        &mut self,
        kind: VerdictKind,
        message: String,
        place: String,
    ) -> Option<&mut Verdict> {
        if self.verdict.is_some() {
            return None;
        }
        let task = Named(self.current, &self.tasks[self.current as usize]).to_string();
        let details = self.waits();
        let step = self.trace.step;
        let assertion = String::new();
        let verdict = Verdict { kind, task, message, assertion, place, details, step };
        Some(self.verdict.insert(verdict))
    }

    /// What every living task waits for, with the holders of locks.
    pub(super) fn waits(&self) -> Vec<(String, String)> {
        let living = self.tasks.iter().enumerate().filter(|(_, task)| !task.has_ended());
        living
            .map(|(id, task)| (Named(id as u32, task).to_string(), self.wait_text(task)))
            .collect()
    }

    fn wait_text(&self, task: &Task) -> String {
        if task.wait == Wait::Nothing {
            return "can run".into();
        }
        let mut text = format!("waits for {}", task.wait.word());
        match task.wait {
            Wait::Lock { object, .. } => {
                let lock = self.objects.look(object);
                let _ = write!(text, " #{object}");
                if let Some(holder) = lock.holder {
                    let _ =
                        write!(text, ", held by {}", Named(holder, &self.tasks[holder as usize]));
                } else if lock.shared_count > 0 {
                    let _ = write!(text, ", held by {} readers", lock.shared_count);
                }
                if let Some(place) = lock.taken_at {
                    let _ = write!(text, " since {}:{}", place.file(), place.line());
                }
            }
            Wait::Queue { object } => {
                let _ = write!(text, " #{object}");
            }
            Wait::Join { task } => {
                let _ = write!(text, " {}", Named(task, &self.tasks[task as usize]));
            }
            _ => {}
        }
        if let Some(place) = task.place {
            let _ = write!(text, ", at {}:{}", place.file(), place.line());
        }
        text
    }
}

/// Whom the turn goes to, where the choices have an order: they are not a seed's.
#[cold]
fn choose_in_order(
    choices: &mut Choices,
    strategy: &mut Strategy,
    turn: &Turn<'_>,
    count: usize,
) -> u64 {
    let call = choices.call();
    choices.set_kind(turn.kind(call));
    let propose = |draws: &mut Draws<'_>| strategy.next(turn, draws) as u64;
    choices.decide_in_order(Label::SCHED_NEXT, &turn.order(count), propose)
}
