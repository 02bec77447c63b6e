//! A machine: boot, run, lose power, boot again. The only way to build a world.
//!
//! # Method
//!
//! A [`Machine`] owns the choices of one run, a disk and a clock. [`Machine::boot`] runs a main task,
//! with whatever it spawns, until it returns, the power goes or the process is killed. What the disk
//! holds then is what the next boot finds.
//!
//! # Invariant
//!
//! Everything that happens is a function of the choices and of what the tasks do.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use falconry_seam::disk::Disk;

use crate::choice::{Anchored, Choices, IntoLabel, Recording};
use crate::disk::{DiskConfig, SimDisk};
use crate::fault::{Fault, Faults};
use crate::power::{self, Death};
pub use crate::power::{At, Ending, PowerDraw};
use crate::sched::kernel::{Kernel, current};
pub use crate::sched::{StrategyKind, Verdict, VerdictKind};
use crate::trace::{Digest, Event, Trace, What};

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    /// Its disk.
    pub disk: DiskConfig,
    /// The scheduling strategy; drawn from the choices when absent.
    pub strategy: Option<StrategyKind>,
    /// Scheduling decisions of the whole run; one more is a verdict.
    pub steps_max: u64,
    /// Bytes of a task's stack, unless it asks for more: 256 KiB for Rust, 512 KiB for C engines.
    pub stack_bytes: usize,
    /// Whether events are kept, not only their digest.
    pub keep_trace: bool,
    /// Whether the depth of stacks is measured ([`MachineCounters::stack_bytes_max`]): slow.
    pub measure_stacks: bool,
    /// Historical bugs that are switched on, by name.
    pub planted: Vec<String>,
    /// Processors that the engine is told of.
    pub processors: usize,
}

impl Default for MachineConfig {
    fn default() -> Self {
        MachineConfig {
            disk: DiskConfig::default(),
            strategy: None,
            steps_max: 20_000_000,
            stack_bytes: 256 * 1024,
            keep_trace: false,
            measure_stacks: false,
            planted: Vec::new(),
            processors: 4,
        }
    }
}

/// What a machine counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineCounters {
    /// Boots.
    pub boots: u64,
    /// How often the power went, at rest as well.
    pub power_losses: u64,
    /// Those of them after which at least one unsynced write was there and one was not.
    pub partial_power_losses: u64,
    /// How often the process was killed.
    pub process_crashes: u64,
    /// Scheduling decisions.
    pub steps: u64,
    /// Virtual nanoseconds.
    pub time_ns: u64,
    /// Tasks that could not be ended when the power went.
    pub abandoned: u64,
    /// The deepest stack of a task that ended, if stacks are measured.
    pub stack_bytes_max: usize,
}

/// How a boot ended.
#[derive(Debug)]
pub enum End<R> {
    /// The main task returned. Tasks that were still running were ended, as when a process exits.
    Returned(R),
    /// A task ended the process ([`exit`]); what it wrote is in the page cache.
    Exited,
    /// The power went.
    PowerLoss,
    /// The process was killed; what it wrote is in the page cache.
    ProcessCrash,
    /// The run was stopped: it violates a property by itself.
    Verdict(Verdict),
}

/// A boot that is over.
#[derive(Debug)]
pub struct Boot<R> {
    /// How it ended.
    pub end: End<R>,
    /// Its number, from 1.
    pub number: u32,
    /// Whether the engine said that it had opened ([`opened`]).
    pub opened: bool,
}

/// What a main task is handed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ctx {}

impl Ctx {
    /// The machine's disk, for the engine to open. It is made when it is first asked for.
    #[track_caller]
    pub fn disk(&self) -> Arc<dyn Disk> {
        running().disk()
    }

    /// Chooses one of `bound` alternatives.
    pub fn choose(&self, label: impl IntoLabel, bound: u64) -> u64 {
        choose(label, bound)
    }
}

/// A simulated machine. It lives on the OS thread that made it.
pub struct Machine {
    kernel: ManuallyDrop<Box<Kernel>>,
    counters: MachineCounters,
    verdict: Option<Verdict>,
}

impl Machine {
    /// A machine that was never booted, with an empty disk.
    pub fn new(config: MachineConfig, choices: Choices) -> Machine {
        let mut kernel = ManuallyDrop::new(Kernel::take(choices, config.keep_trace));
        kernel.set_stacks(config.stack_bytes, config.measure_stacks);
        kernel.set_processors(config.processors);
        let state = kernel.state_mut();
        state.step_max = config.steps_max;
        state.planted = config.planted;
        state.set_strategy(config.strategy);
        kernel.set_disk(config.disk);
        Machine { kernel, counters: MachineCounters::default(), verdict: None }
    }

    /// Boots: runs `main` as task 0 until the boot is over, and settles what the disk holds.
    ///
    /// Panics if a task of an earlier boot overflowed its stack: such a machine is lost.
    pub fn boot<R>(&mut self, ending: Ending, main: impl FnOnce(&Ctx) -> R) -> Boot<R> {
        let number = self.begin(ending);
        let result = self.kernel.run(|| main(&Ctx {}));
        self.finish(result, number)
    }

    /// Boots without power loss, and returns what `main` returned.
    ///
    /// Panics with the verdict if the run was stopped, and if a task called [`exit`].
    #[track_caller]
    pub fn run<R>(&mut self, main: impl FnOnce(&Ctx) -> R) -> R {
        match self.boot(Ending::Never, main).end {
            End::Returned(result) => result,
            End::Verdict(verdict) => panic!("{verdict}"),
            End::Exited => panic!("the process exited before its main task returned"),
            End::PowerLoss | End::ProcessCrash => {
                unreachable!("nothing cuts the power of this boot")
            }
        }
    }

    /// The first verdict that ended a boot, if nobody took it yet.
    pub fn take_verdict(&mut self) -> Option<Verdict> {
        self.verdict.take()
    }

    fn begin(&mut self, ending: Ending) -> u32 {
        self.counters.boots += 1;
        let number = self.counters.boots as u32;
        let state = self.kernel.state_mut();
        state.choices.boot_begins(number);
        state.trace.task = 0;
        state.trace.event(None, What::Boot { number });
        state.ending = ending;
        let (step, time_ns) = (state.trace.step, state.trace.time_ns);
        let plan = power::plan(ending, &mut state.choices, &mut state.power, step, time_ns);
        if let Some(disk) = self.kernel.made_disk() {
            disk.boot(&mut self.kernel.borrow().env());
        }
        self.kernel.plan.set(plan);
        number
    }

    fn finish<R>(&mut self, result: Option<R>, number: u32) -> Boot<R> {
        let plan = self.kernel.plan.get();
        let state = self.kernel.state_mut();
        state.choices.boot_ends();
        let death = state.death.take();
        let verdict = state.verdict.take();
        if !plan.opened
            && matches!(death, Some(Death::PowerLoss | Death::ProcessCrash))
            && plan.may_recover()
        {
            state.faults.deliver_in(&mut state.trace, Fault::CrashInRecovery, 0);
        }
        let end = match (verdict, death, result) {
            (Some(verdict), ..) => {
                self.verdict.get_or_insert_with(|| verdict.clone());
                self.process_ends();
                End::Verdict(verdict)
            }
            (None, Some(Death::PowerLoss), _) => {
                self.lose_power();
                End::PowerLoss
            }
            (None, Some(Death::ProcessCrash), _) => {
                let state = self.kernel.state_mut();
                state.faults.deliver_in(&mut state.trace, Fault::ProcessCrash, 0);
                self.counters.process_crashes += 1;
                self.process_ends();
                End::ProcessCrash
            }
            (None, Some(Death::Exit), _) => {
                self.process_ends();
                End::Exited
            }
            (None, _, Some(result)) => {
                self.process_ends();
                End::Returned(result)
            }
            (None, _, None) => unreachable!("a boot ended without result, death or verdict"),
        };
        let how = match &end {
            End::Returned(_) => "returned",
            End::Exited => "exit",
            End::PowerLoss => "power_loss",
            End::ProcessCrash => "process_crash",
            End::Verdict(_) => "verdict",
        };
        let trace = &mut self.kernel.state_mut().trace;
        trace.event(None, What::Down { how: how.into() });
        Boot { end, number, opened: plan.opened }
    }

    fn process_ends(&mut self) {
        if let Some(disk) = self.kernel.made_disk() {
            disk.process_crash(&mut self.kernel.borrow().env());
        }
    }

    fn lose_power(&mut self) {
        let state = self.kernel.state_mut();
        state.faults.deliver_in(&mut state.trace, Fault::PowerLoss, 0);
        self.counters.power_losses += 1;
        if let Some(disk) = self.kernel.made_disk() {
            let loss = disk.power_loss(&mut self.kernel.borrow().env());
            self.counters.partial_power_losses += u64::from(loss.is_partial());
        }
    }

    /// The power goes while nothing runs.
    pub fn cut_power(&mut self) {
        self.kernel.state_mut().trace.event(None, What::Down { how: "power_loss".into() });
        self.lose_power();
    }

    /// The machine's disk. Its calls work inside a boot only.
    pub fn disk(&self) -> Arc<SimDisk> {
        self.kernel.disk()
    }

    /// The choices, between boots.
    pub fn choices(&mut self) -> &mut Choices {
        &mut self.kernel.state_mut().choices
    }

    /// Takes the choices out: an enumerator goes on with them.
    pub fn into_choices(mut self) -> Choices {
        std::mem::replace(self.choices(), Choices::zeros())
    }

    /// Rates and counters of faults, between boots.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.kernel.state_mut().faults
    }

    /// The trace, between boots.
    pub fn trace(&mut self) -> &mut Trace {
        &mut self.kernel.state_mut().trace
    }

    /// Adds what an oracle or a runner has to say to the trace.
    pub fn note(&mut self, lane: &str, text: String) {
        self.trace().event(None, What::Note { lane: lane.into(), text });
    }

    /// Takes the kept events out.
    pub fn take_trace(&mut self) -> Vec<Event> {
        self.trace().take()
    }

    /// Digest of all choices and events so far.
    pub fn digest(&self) -> Digest {
        let state = self.kernel.borrow();
        let mut digest = state.trace.digest();
        let choices = state.choices.digest().value();
        digest.fold(choices as u64, (choices >> 64) as u64);
        digest
    }

    /// What was chosen so far.
    pub fn recording(&self) -> Recording {
        self.kernel.borrow().choices.recording()
    }

    /// What became of the anchors of a run that has them ([`Choices::from_seed_anchored`],
    /// [`Choices::from_exceptions`]).
    pub fn anchored(&self) -> Option<Anchored> {
        self.kernel.borrow().choices.anchored()
    }

    /// What was counted so far.
    pub fn counters(&self) -> MachineCounters {
        let state = self.kernel.borrow();
        MachineCounters {
            steps: state.trace.step(),
            time_ns: state.trace.time_ns(),
            abandoned: state.abandoned(),
            stack_bytes_max: self.kernel.stack_bytes_max.get(),
            ..self.counters
        }
    }

    /// The strategy that schedules this run.
    pub fn strategy(&self) -> StrategyKind {
        self.kernel.borrow().strategy()
    }

    /// Names of the assertion sites that were reached, sorted.
    pub fn reached(&self) -> Vec<String> {
        self.kernel.borrow().sites.names()
    }

    /// Virtual time in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.kernel.borrow().trace.time_ns()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: the field is not used again.
        let mut kernel = unsafe { ManuallyDrop::take(&mut self.kernel) };
        kernel.state_mut().choices.give_back();
        kernel.give_back();
    }
}

#[track_caller]
fn running() -> &'static Kernel {
    current().expect("no machine runs on this OS thread")
}

/// Chooses one of `bound` alternatives on the running machine. Panics when none runs.
#[track_caller]
pub fn choose(label: impl IntoLabel, bound: u64) -> u64 {
    running().borrow().choices.choose(label, bound)
}

/// Uses the running machine's choices. `f` must not call the seam. Panics when none runs.
#[track_caller]
pub fn with_choices<R>(f: impl FnOnce(&mut Choices) -> R) -> R {
    f(&mut running().borrow().choices)
}

/// A part of a task's work by a name that outlives changes of the code, as long as this lives: choices
/// within it are anchored in it. Spans of one task nest.
#[derive(Debug)]
pub struct Span {
    /// It ends on the task that began it.
    _on_its_task: std::marker::PhantomData<*const ()>,
}

/// Begins a span of the running task; nothing when no machine runs. The name has no `/`, blank or comma.
pub fn span(name: &str, number: u64) -> Span {
    if let Some(kernel) = current() {
        kernel.borrow().choices.span_begins(|| format!("{name}.{number}"));
    }
    Span { _on_its_task: std::marker::PhantomData }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(kernel) = current() {
            kernel.borrow().choices.span_ends();
        }
    }
}

/// Adds a remark to the running machine's trace; nothing when none runs.
pub fn note(lane: &str, text: &str) {
    if let Some(kernel) = current() {
        kernel.borrow().trace.event(None, What::Note { lane: lane.into(), text: text.into() });
    }
}

/// The engine has opened: a boot that ends before counts as `crash_in_recovery`, and a drawn end of
/// the boot is counted from here.
pub fn opened() {
    if let Some(kernel) = current() {
        let mut state = kernel.borrow();
        let state = &mut *state;
        let mut plan = kernel.plan.get();
        plan.open(state.ending, &mut state.choices, &mut state.power, state.trace.step);
        kernel.plan.set(plan);
        state.look_soon();
    }
}

/// Ends the process of the running machine, as `std::process::exit` does: no destructor has any effect
/// on the disk, every task is ended, and what was written is in the page cache. The boot ends with
/// [`End::Exited`]. Panics when no machine runs.
#[track_caller]
pub fn exit() -> ! {
    running().exit()
}

/// Virtual time of the running machine in nanoseconds; 0 when none runs.
pub fn now_ns() -> u64 {
    current().map_or(0, |kernel| kernel.borrow().trace.time_ns())
}

/// Whether the running machine's power has gone, so that whatever is learned now counts for nothing.
pub fn is_off() -> bool {
    use falconry_seam::hook::Machine as _;
    current().is_some_and(|kernel| kernel.is_off())
}
