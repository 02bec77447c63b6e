//! The machine's core: switches tasks, and runs them from the OS thread's own stack.

#![expect(
    clippy::disallowed_methods,
    reason = "the scheduler tells the tasks of an OS thread apart by itself"
)]

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use corosensei::stack::Stack as _;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use falconry_seam::hook::{self, LockMode, Place, Point, PowerOff, TaskEnd, TaskId, Wake};

use super::cell::{Lent, StateCell};
use super::stack::PooledStack;
use super::state::{Phase, State};
use super::task::{Named, PanicNote, Task, Wait};
use super::{VerdictKind, overflow, panics};
use crate::choice::{Choices, Label};
use crate::fault::Fault;
use crate::power::{Death, Plan};
use crate::trace::What;

/// How a coroutine came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Body(TaskEnd),
    /// Its stack overflowed; its frames are still on it.
    Overflow,
}

/// What the OS thread's own stack tells a task that it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    GoOn,
    /// Unwind with `PowerOff`.
    Throw,
}

pub(super) type Fiber = Coroutine<(), (), Ended, PooledStack>;

/// A coroutine with the low end of its stack's guard.
pub(super) struct Slot {
    pub(super) fiber: Fiber,
    pub(super) guard_low: usize,
}

/// Tells the boots of this process apart, so that an object of one is unknown to the next. It decides
/// nothing.
static EPOCHS: AtomicU32 = AtomicU32::new(1);

/// A machine's core.
pub(crate) struct Kernel {
    pub(super) state: StateCell<State>,
    pub(super) fibers: StateCell<Vec<Option<Box<Slot>>>>,
    yielder: Cell<*const Yielder<(), ()>>,
    /// Whom a task that gives way named.
    next: Cell<Option<TaskId>>,
    pub(super) command: Cell<Command>,
    pub(crate) plan: Cell<Plan>,
    /// Whether any task panicked since the boot, so that `thread::panicking` is worth asking.
    panic_seen: Cell<bool>,
    /// A panic inside the machine's own code, while its state was lent.
    panic_aside: Cell<Option<PanicNote>>,
    /// Set when a stack overflowed: no task may run again.
    pub(super) broken: Cell<bool>,
    pub(super) stack_bytes: Cell<usize>,
    pub(super) processors: Cell<usize>,
    measure_stacks: Cell<bool>,
    pub(crate) stack_bytes_max: Cell<usize>,
}

thread_local! {
    /// A kernel of an earlier machine, with the memory of its tables.
    static SPARE: Cell<Option<Box<Kernel>>> = const { Cell::new(None) };
}

impl Kernel {
    /// A kernel, with the memory of one that this OS thread needs no longer, if there is one.
    pub(crate) fn take(choices: Choices, keep_trace: bool) -> Box<Self> {
        match SPARE.try_with(Cell::take).ok().flatten() {
            Some(mut kernel) => {
                kernel.state.get_mut().reset(choices, keep_trace);
                kernel
            }
            None => Box::new(Kernel::new(choices, keep_trace)),
        }
    }

    /// Keeps the memory for the next machine on this OS thread.
    pub(crate) fn give_back(mut self: Box<Self>) {
        let lost = self.broken.get() || self.fibers.get_mut().iter().any(Option::is_some);
        if !lost {
            self.stack_bytes_max.set(0);
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
    }

    fn new(choices: Choices, keep_trace: bool) -> Self {
        panics::install();
        overflow::install();
        Kernel {
            state: StateCell::new(State::new(choices, keep_trace)),
            fibers: StateCell::new(Vec::new()),
            yielder: Cell::new(ptr::null()),
            next: Cell::new(None),
            command: Cell::new(Command::GoOn),
            plan: Cell::new(Plan::default()),
            panic_seen: Cell::new(false),
            panic_aside: Cell::new(None),
            broken: Cell::new(false),
            stack_bytes: Cell::new(256 * 1024),
            processors: Cell::new(4),
            measure_stacks: Cell::new(false),
            stack_bytes_max: Cell::new(0),
        }
    }

    pub(crate) fn set_stacks(&self, bytes: usize, measure: bool) {
        self.stack_bytes.set(bytes);
        self.measure_stacks.set(measure);
    }

    pub(crate) fn set_processors(&self, count: usize) {
        self.processors.set(count.max(1));
    }

    #[track_caller]
    pub(crate) fn borrow(&self) -> Lent<'_, State> {
        self.state.borrow()
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.state.get_mut()
    }

    /// Runs `main` as task 0, with whatever it spawns, until the boot is over. `None` when it did not
    /// return.
    pub(crate) fn run<R>(&self, main: impl FnOnce() -> R) -> Option<R> {
        assert!(!self.broken.get(), "a machine whose task overflowed its stack cannot boot again");
        self.borrow().begin(EPOCHS.fetch_add(1, Ordering::Relaxed));
        self.panic_seen.set(false);
        let mut result = None;
        let returned = &mut result;
        let body = move || {
            let end = catch_unwind(AssertUnwindSafe(main));
            let how = how_ended(&end);
            *returned = end.ok();
            how
        };
        self.next.set(None);
        let _current = Current::enter(self);
        let spawned = self.start_task(Some("main"), self.stack_bytes.get(), body);
        let main_task =
            spawned.unwrap_or_else(|error| panic!("no stack for the main task: {error}"));
        assert_eq!(main_task, 0, "the main task is the first one");
        self.run_tasks();
        drop(_current);
        result
    }

    fn run_tasks(&self) {
        let mut next = {
            let mut state = self.borrow();
            state.ready.clear();
            state.turn_to(0);
            Some(0)
        };
        while let Some(task) = next {
            self.resume(task);
            next = self.next.take();
            if next.is_none() {
                next = self.next_after_end();
            }
        }
        self.end_tasks();
        overflow::unwatch();
    }

    /// Who comes next when a task gave way without naming another: it ended, or the power went.
    fn next_after_end(&self) -> Option<TaskId> {
        if self.broken.get() {
            return None;
        }
        let mut state = self.borrow();
        if state.phase != Phase::On {
            return None;
        }
        if state.tasks[0].has_ended() {
            state.phase = Phase::Drain;
            state.death = Some(Death::Exit);
            return None;
        }
        self.pick_waiting(&mut state)
    }

    /// Who runs although the running task cannot: chosen among those who can, or whoever a timer
    /// wakes. `None` is a deadlock, which ends the run.
    fn pick_waiting(&self, state: &mut State) -> Option<TaskId> {
        if state.ready.is_empty() && !state.advance_to_timer() {
            let message = "every task waits for another";
            state.convict(VerdictKind::Deadlock, message.into(), String::new());
            self.die(state, Death::Exit);
            return None;
        }
        let index = state.choose_next(Point::Thread, false).expect("somebody must run");
        let next = state.ready.swap_remove(index);
        state.turn_to(next);
        Some(next)
    }

    /// Resumes the task whose turn it is from the OS thread's own stack, until it gives way or ends.
    pub(super) fn resume(&self, task: TaskId) {
        crate::progress::runs(task);
        let slot: *mut Slot = match &mut self.fibers.borrow()[task as usize] {
            Some(slot) => &raw mut **slot,
            None => panic!("task {task} has no coroutine to resume"),
        };
        overflow::watch(slot);
        // SAFETY: the slot is in a box of its own, which nobody takes out of the table, or looks into,
        // while its coroutine runs; tasks that are spawned meanwhile only move the box's pointer.
        let result = unsafe { (*slot).fiber.resume(()) };
        if let CoroutineResult::Return(ended) = result {
            overflow::unwatch();
            let slot = self.fibers.borrow()[task as usize].take();
            let fiber = slot.expect("it was there when it was resumed").fiber;
            match ended {
                Ended::Body(end) => self.task_ended(task, end, fiber),
                Ended::Overflow => self.task_overflowed(task, fiber),
            }
        }
    }

    fn task_ended(&self, task: TaskId, end: TaskEnd, fiber: Fiber) {
        let stack = fiber.into_stack();
        if self.measure_stacks.get() {
            self.stack_bytes_max.set(self.stack_bytes_max.get().max(stack.used()));
        }
        stack.give_back();
        let mut state = self.borrow();
        let how = match end {
            TaskEnd::Returned => "returned",
            TaskEnd::Panicked => "panicked",
            TaskEnd::PowerOff => "power_off",
        };
        state.trace.event(None, What::Exit { how: how.into() });
        state.tasks[task as usize].wait = Wait::Ended;
        for joiner in std::mem::take(&mut state.tasks[task as usize].joiners) {
            state.wake(joiner, Wake::Notified);
        }
        if end == TaskEnd::Panicked && state.phase == Phase::On {
            let note = state.tasks[task as usize].panic.take().map(|note| *note);
            let note = note.or_else(|| self.panic_aside.take()).unwrap_or_default();
            let ours = note.place.starts_with("sim/src/") || note.place.contains("falconry-sim-");
            let kind = if ours { VerdictKind::Harness } else { VerdictKind::Panic };
            state.convict(kind, note.message, note.place);
            self.die(&mut state, Death::Exit);
        }
    }

    /// The task's frames are lost, with whatever they held: nobody may run on this machine again.
    fn task_overflowed(&self, task: TaskId, fiber: Fiber) {
        std::mem::forget(fiber);
        self.broken.set(true);
        // SAFETY: the borrower, if there was one, is the coroutine that overflowed, which was
        // forgotten just now.
        unsafe { self.state.take_back() };
        let mut state = self.borrow();
        state.tasks[task as usize].wait = Wait::Ended;
        let named = Named(task, &state.tasks[task as usize]).to_string();
        let message =
            format!("{named} ran out of its stack of {} KiB", self.stack_bytes.get() / 1024);
        state.current = task;
        state.convict(VerdictKind::StackOverflow, message, String::new());
        self.die(&mut state, Death::Exit);
    }

    /// Makes a coroutine for `body` and lets it be chosen.
    pub(super) fn start_task<'a>(
        &self,
        name: Option<&str>,
        stack_bytes: usize,
        body: impl FnOnce() -> TaskEnd + 'a,
    ) -> io::Result<TaskId> {
        let mut stack = PooledStack::take(stack_bytes)?;
        let guard_low = stack.limit().get();
        if self.measure_stacks.get() {
            stack.paint();
        }
        let kernel = ptr::from_ref(self);
        let coroutine = move |yielder: &Yielder<(), ()>, ()| {
            // SAFETY: the kernel resumes this coroutine, so it is alive whenever this runs.
            let kernel = unsafe { &*kernel };
            kernel.yielder.set(yielder);
            let end = body();
            kernel.drop_locals();
            Ended::Body(end)
        };
        // SAFETY: `run` returns only when every coroutine has ended or was forgotten for good, in
        // which case none of its borrows is used again.
        let fiber = unsafe { Fiber::with_stack_unchecked(stack, coroutine) };
        let mut fibers = self.fibers.borrow();
        let mut state = self.borrow();
        let id = state.tasks.len() as TaskId;
        fibers.truncate(id as usize);
        fibers.push(Some(Box::new(Slot { fiber, guard_low })));
        state.tasks.push(Task::new(name));
        state.ready.push(id);
        let name = name.unwrap_or("").to_string();
        state.trace.event(None, What::Spawn { child: id, name });
        Ok(id)
    }

    /// Gives the OS thread's stack the word; returns when this task is resumed.
    pub(super) fn suspend(&self) {
        let yielder = self.yielder.get();
        // SAFETY: it is the running coroutine's, which cannot end before this returns.
        unsafe { (*yielder).suspend(()) };
        self.yielder.set(yielder);
        if self.command.get() == Command::Throw {
            self.command.set(Command::GoOn);
            self.throw();
        }
    }

    /// Unwinds the running task.
    pub(super) fn throw(&self) -> ! {
        self.panic_seen.set(true);
        self.borrow().me().thrown += 1;
        resume_unwind(Box::new(PowerOff))
    }

    /// A scheduling point.
    #[inline]
    pub(crate) fn point_at(&self, point: Point) {
        let mut state = self.borrow();
        if state.phase != Phase::On {
            drop(state);
            return self.point_off();
        }
        if matches!(point, Point::Atomic | Point::Cell) && state.passes() {
            return;
        }
        if state.begin_step() {
            drop(state);
            return self.alarm();
        }
        if state.ready.is_empty() || self.must_not_preempt() {
            return;
        }
        if let Some(index) = state.choose_next(point, true) {
            let current = state.current;
            let next = std::mem::replace(&mut state.ready[index], current);
            state.trace.event(None, What::Preempt { to: next });
            state.turn_to(next);
            drop(state);
            self.next.set(Some(next));
            self.suspend();
        }
    }

    /// A task that panics goes on until its panic is caught, unless it must wait for a lock.
    #[inline]
    fn must_not_preempt(&self) -> bool {
        self.panic_seen.get() && std::thread::panicking()
    }

    /// The running task waits. Returns why it was woken.
    pub(super) fn wait_in(
        &self,
        mut state: Lent<'_, State>,
        wait: Wait,
        place: Option<Place>,
        deadline_ns: Option<u64>,
    ) -> Wake {
        state.begin_wait(wait, place, deadline_ns);
        if state.phase == Phase::On {
            let current = state.current;
            match self.pick_waiting(&mut state) {
                Some(next) if next == current => return state.me().wake,
                next => self.next.set(next),
            }
        }
        drop(state);
        let unwinding = self.panic_seen.get() && self.is_unwinding();
        if unwinding {
            self.borrow().me().unwinding = true;
        }
        self.suspend();
        let mut state = self.borrow();
        state.me().unwinding = false;
        state.me().wake
    }

    /// Takes a lock, waiting for it as long as it takes.
    pub(super) fn take_lock(&self, object: &hook::ObjectId, mode: LockMode, place: Place) {
        loop {
            let mut state = self.borrow();
            let number = self.number(&mut state, object);
            let current = state.current;
            if state.objects.get(number).take(mode, current, place) {
                return;
            }
            state.objects.get(number).waiters.push(current);
            self.wait_in(state, Wait::Lock { object: number, mode }, Some(place), None);
        }
    }

    #[inline]
    pub(super) fn number(&self, state: &mut State, object: &hook::ObjectId) -> u32 {
        state.objects.known(object.get()).unwrap_or_else(|| {
            let (number, packed) = state.objects.add();
            object.set(packed);
            number
        })
    }

    /// Something other than a switch is due at this step.
    #[cold]
    pub(super) fn alarm(&self) {
        let plan = self.plan.get();
        let mut state = self.borrow();
        let (step, time_ns) = (state.trace.step, state.trace.time_ns);
        state.consider_starving();
        state.alarm_step = step + 1;
        let due = plan.at_step.is_some_and(|at| step >= at)
            || plan.at_time_ns.is_some_and(|at_ns| time_ns >= at_ns);
        if due {
            let death = plan.death.unwrap_or(Death::PowerLoss);
            self.die(&mut state, death);
            return;
        }
        if step >= state.step_max {
            let message = format!("{step} steps were not enough");
            state.convict(VerdictKind::StepBudget, message, String::new());
            self.die(&mut state, Death::Exit);
            return;
        }
        state.alarm_step = next_alarm(step, state.step_max, &plan);
    }

    /// The power goes, the process is killed, or the run is stopped: from here on tasks are ended.
    pub(crate) fn die(&self, state: &mut State, death: Death) {
        if state.phase == Phase::On {
            state.phase = Phase::Drain;
            state.death = Some(death);
            self.next.set(None);
        }
    }

    /// Keeps a panic for the running task. Says whether it will abort the process: it is about to
    /// cross a foreign frame, or comes from a destructor of a task that unwinds already.
    pub(super) fn note_panic(&self, note: PanicNote) -> bool {
        self.panic_seen.set(true);
        match self.state.try_borrow() {
            Some(mut state) if !state.tasks.is_empty() => {
                let me = state.me();
                let aborts = me.foreign > 0 || me.thrown > 0;
                me.panic.get_or_insert_with(|| Box::new(note));
                aborts
            }
            _ => {
                self.panic_aside.set(Some(note));
                false
            }
        }
    }

    pub(super) fn weak_fails(&self) -> bool {
        let mut state = self.borrow();
        let State { choices, faults, phase, .. } = &mut *state;
        let fails =
            *phase == Phase::On && faults.comes(choices, Label::SCHED_WEAK, Fault::WeakCasFail);
        if fails {
            faults.deliver(Fault::WeakCasFail);
        }
        fails
    }
}

/// The next step at which `alarm` has something to look at.
fn next_alarm(step: u64, step_max: u64, plan: &Plan) -> u64 {
    if plan.at_time_ns.is_some() {
        return step + 1;
    }
    let starve = (step / 64 + 1) * 64;
    let power = plan.at_step.unwrap_or(u64::MAX);
    starve.min(power).min(step_max)
}

pub(super) fn how_ended<R>(end: &std::thread::Result<R>) -> TaskEnd {
    match end {
        Ok(_) => TaskEnd::Returned,
        Err(payload) if payload.is::<PowerOff>() => TaskEnd::PowerOff,
        Err(_) => TaskEnd::Panicked,
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // Only after a panic of the machine itself are there any: unwinding them could abort.
        self.fibers.get_mut().drain(..).flatten().for_each(std::mem::forget);
    }
}

/// The kernel that runs on this OS thread, if any. Good until its `run` returns.
pub(crate) fn current() -> Option<&'static Kernel> {
    hook::current()?;
    let kernel = panics::watched();
    // SAFETY: `Current` keeps the pointer as long as the kernel runs, on this OS thread alone.
    unsafe { kernel.as_ref() }
}

/// Makes a kernel current on this OS thread as long as it lives.
struct Current {
    machine: Option<&'static dyn hook::Machine>,
    kernel: *const Kernel,
}

impl Current {
    fn enter(kernel: &Kernel) -> Self {
        let machine: &dyn hook::Machine = kernel;
        // SAFETY: only the lifetime changes; the reference is taken back in `drop`, before the
        // borrow of the kernel that `run` holds is over.
        let machine = unsafe {
            std::mem::transmute::<&dyn hook::Machine, &'static dyn hook::Machine>(machine)
        };
        // SAFETY: as above, on this OS thread, which the kernel never leaves.
        let before = unsafe { hook::set_current(Some(machine)) };
        Current { machine: before, kernel: panics::watch(kernel) }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        panics::watch(self.kernel);
        // SAFETY: what was current before outlives this call, as it did when it was entered.
        unsafe { hook::set_current(self.machine) };
    }
}
