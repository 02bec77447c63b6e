//! The machine's core: switches tasks, and runs them from the OS thread's own stack.

#![expect(
    clippy::disallowed_methods,
    reason = "the scheduler tells the tasks of an OS thread apart by itself"
)]

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use falconry_seam::hook::{self, LockMode, Place, Point, PowerOff, TaskEnd, TaskId, Wake};

use super::cell::{Lent, StateCell};
use super::fiber::{Fiber, Never};
use super::stack::{GUARD_BYTES, PooledStack};
use super::state::{Phase, State};
use super::switch::{Context, switch};
use super::task::{Named, PanicNote, Wait};
use super::{VerdictKind, overflow, panics};
use crate::choice::{Choices, Label};
use crate::disk::{DiskConfig, SimDisk};
use crate::fault::Fault;
use crate::power::{Death, Plan};
use crate::trace::{TaskExit, What};

/// Why the OS thread's own stack got the word back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Back {
    /// The running task ended or was suspended, and nobody else is to run.
    #[default]
    Nobody,
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

/// The switch that a task with an overflowed stack is made to call: from the high end of its stack.
pub(super) struct Rescue {
    pub(super) top: usize,
    pub(super) save: *mut Context,
    pub(super) to: Context,
}

/// Tells the boots of this process apart, so that an object of one is unknown to the next. It decides
/// nothing.
static EPOCHS: AtomicU32 = AtomicU32::new(1);

/// A machine's core.
pub(crate) struct Kernel {
    pub(super) state: StateCell<State>,
    disk_config: RefCell<DiskConfig>,
    /// Made when it is first asked for.
    disk: OnceCell<Arc<SimDisk>>,
    /// The OS thread's own stack, while a task runs.
    root: Cell<Context>,
    back: Cell<Back>,
    /// Low end of the running task's guard, and the high end of its stack; 0 while none runs.
    stack_of_running: Cell<(usize, usize)>,
    /// The context of a task whose stack overflowed: never gone on with.
    lost: Cell<Context>,
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
        self.disk.take();
        if !self.broken.get() {
            self.stack_bytes_max.set(0);
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
    }

    fn new(choices: Choices, keep_trace: bool) -> Self {
        panics::install();
        overflow::install();
        Kernel {
            state: StateCell::new(State::new(choices, keep_trace)),
            disk_config: RefCell::default(),
            disk: OnceCell::new(),
            root: Cell::new(0),
            back: Cell::new(Back::Nobody),
            stack_of_running: Cell::new((0, 0)),
            lost: Cell::new(0),
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

    pub(crate) fn set_disk(&self, config: DiskConfig) {
        *self.disk_config.borrow_mut() = config;
    }

    /// The disk, which is made now if it was not asked for before. Made in a boot it starts with it.
    pub(crate) fn disk(&self) -> Arc<SimDisk> {
        let disk = self.disk.get_or_init(|| {
            let disk = SimDisk::new(self.disk_config.borrow().clone());
            let mut state = self.borrow();
            if state.phase == Phase::On {
                disk.boot(&mut state.env());
            }
            disk
        });
        disk.clone()
    }

    /// The disk, if it was asked for.
    pub(crate) fn made_disk(&self) -> Option<&SimDisk> {
        self.disk.get().map(|disk| &**disk)
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
        let _current = Current::enter(self);
        let spawned = self.start_task(Some("main".into()), self.stack_bytes.get(), body);
        let main_task =
            spawned.unwrap_or_else(|error| panic!("no stack for the main task: {error}"));
        assert_eq!(main_task, 0, "the main task is the first one");
        self.run_tasks();
        drop(_current);
        result
    }

    fn run_tasks(&self) {
        self.borrow().ready.clear();
        self.resume(0);
        self.end_tasks();
    }

    /// Who comes next when a task ended; `None` when the boot is over.
    fn next_after_end(&self, state: &mut State) -> Option<TaskId> {
        if state.phase != Phase::On {
            return None;
        }
        if state.tasks.at(0).has_ended() {
            state.phase = Phase::Drain;
            state.death = Some(Death::Over);
            return None;
        }
        self.pick_waiting(state)
    }

    /// Who runs although the running task cannot: chosen among those who can, or whoever a timer
    /// wakes. `None` is a deadlock, which ends the run.
    fn pick_waiting(&self, state: &mut State) -> Option<TaskId> {
        if state.ready.is_empty() && !state.advance_to_timer() {
            let message = "every task waits for another";
            state.convict(VerdictKind::Deadlock, message.into(), String::new());
            self.die(state, Death::Over);
            return None;
        }
        let index = state.choose_next(Point::Thread, false).expect("somebody must run");
        Some(state.ready.swap_remove(index))
    }

    /// From the OS thread's own stack: lets `task` run, and whoever gets the turn from it, until nobody
    /// is to run.
    pub(super) fn resume(&self, task: TaskId) {
        let to = {
            let mut state = self.borrow();
            state.turn_to(task);
            self.enter(&mut state)
        };
        // SAFETY: the task is suspended: whoever can be resumed is. `root` lies in the kernel, which
        // outlives this call.
        unsafe { switch(self.root.as_ptr(), to) };
        self.stack_of_running.set((0, 0));
        if self.back.take() == Back::Overflow {
            self.task_overflowed();
        }
    }

    /// The turn has come to a task: where it goes on.
    #[inline]
    fn enter(&self, state: &mut State) -> Context {
        crate::progress::runs(state.current);
        let fiber = state.me().fiber.as_ref().expect("only a task that has not ended is resumed");
        self.stack_of_running.set((fiber.guard_low(), fiber.top()));
        fiber.context
    }

    /// How the running task leaves its stack, if `address` lies in its guard; the OS thread's own
    /// stack is told that it overflowed.
    pub(super) fn rescue(&self, address: usize) -> Option<Rescue> {
        let (low, top) = self.stack_of_running.get();
        if low == 0 || !(low..low + GUARD_BYTES).contains(&address) {
            return None;
        }
        self.back.set(Back::Overflow);
        Some(Rescue { top, save: self.lost.as_ptr(), to: self.root.get() })
    }

    /// The running task has ended: its joiners can go on, its panic ends the run.
    fn note_end(&self, state: &mut State, end: TaskEnd) {
        let how = match end {
            TaskEnd::Returned => TaskExit::Returned,
            TaskEnd::Panicked => TaskExit::Panicked,
            TaskEnd::PowerOff => TaskExit::PowerOff,
        };
        state.trace.event(None, What::Exit { how });
        let me = state.me();
        me.wait = Wait::Ended;
        let (joiner, more_joiners) = (me.joiner.take(), std::mem::take(&mut me.more_joiners));
        if let Some(joiner) = joiner {
            state.wake(joiner, Wake::Notified);
        }
        for joiner in more_joiners {
            state.wake(joiner, Wake::Notified);
        }
        if end == TaskEnd::Panicked && state.phase == Phase::On {
            let note = state.me().panic.take().map(|note| *note);
            let note = note.or_else(|| self.panic_aside.take()).unwrap_or_default();
            let ours = note.place.starts_with("sim/src/") || note.place.contains("falconry-sim-");
            let kind = if ours { VerdictKind::Harness } else { VerdictKind::Panic };
            state.convict(kind, note.message, note.place);
            self.die(state, Death::Over);
        }
    }

    /// The task's frames are lost, with whatever they held: nobody may run on this machine again.
    fn task_overflowed(&self) {
        self.broken.set(true);
        // SAFETY: the borrower, if there was one, is the task that overflowed, which never runs again.
        unsafe { self.state.take_back() };
        let mut state = self.borrow();
        let task = state.current;
        // Dropping a fiber frees nothing of it.
        state.me().fiber = None;
        state.tasks[task as usize].wait = Wait::Ended;
        let named = Named(task, &state.tasks[task as usize]).to_string();
        let message =
            format!("{named} ran out of its stack of {} KiB", self.stack_bytes.get() / 1024);
        state.convict(VerdictKind::StackOverflow, message, String::new());
        self.die(&mut state, Death::Over);
    }

    /// Makes a task for `body` and lets it be chosen.
    pub(super) fn start_task<'a>(
        &self,
        name: Option<Cow<'static, str>>,
        stack_bytes: usize,
        body: impl FnOnce() -> TaskEnd + 'a,
    ) -> io::Result<TaskId> {
        let mut stack = PooledStack::take(stack_bytes)?;
        if self.measure_stacks.get() {
            stack.paint();
        }
        let kernel = ptr::from_ref(self);
        // SAFETY: the kernel lets this run, so it is alive whenever it does. `run` returns only when
        // every task has ended or never goes on again, so none of its borrows is used later.
        let fiber = unsafe { Fiber::new(stack, move || (*kernel).live(body)) };
        let mut state = self.borrow();
        let id = state.tasks.len() as TaskId;
        let called = name.as_deref().unwrap_or("");
        state.trace.spawn(id, called);
        state.choices.task_begins(id, called);
        state.tasks.add(name, fiber);
        state.ready.push(id);
        Ok(id)
    }

    /// A task's whole life, on its own stack.
    fn live(&self, body: impl FnOnce() -> TaskEnd) -> Never {
        let end = body();
        self.drop_locals();
        let mut state = self.borrow();
        self.note_end(&mut state, end);
        let fiber = state.me().fiber.take().expect("it runs until now");
        let to = match self.next_after_end(&mut state) {
            Some(next) => {
                state.turn_to(next);
                self.enter(&mut state)
            }
            None => self.root.get(),
        };
        drop(state);
        let stack = fiber.into_stack();
        if self.measure_stacks.get() {
            self.stack_bytes_max.set(self.stack_bytes_max.get().max(stack.used()));
        }
        // This still runs on it; but nobody takes a stack from the pool before the switch.
        stack.give_back();
        // SAFETY: as in `switch_to` and `give_back_the_word`; nobody goes on with what is saved here.
        unsafe { switch(self.lost.as_ptr(), to) };
        unreachable!("a task that has ended was resumed");
    }

    /// Suspends the running task in favour of the OS thread's own stack; returns when it is resumed.
    pub(super) fn suspend(&self) {
        self.give_back_the_word();
        self.obey();
    }

    fn give_back_the_word(&self) {
        let save = self.save(&mut self.borrow());
        // SAFETY: the OS thread's own stack waits in `resume`. The task's entry in the table is written
        // before anything else can run that moves it.
        unsafe { switch(save, self.root.get()) };
    }

    /// Gives the turn to `next`, straight to its stack; returns when the running task has the turn
    /// again.
    #[inline]
    fn switch_to(&self, mut state: Lent<'_, State>, next: TaskId) {
        let save = self.save(&mut state);
        state.turn_to(next);
        let to = self.enter(&mut state);
        drop(state);
        // SAFETY: whoever is ready, or woken, is suspended. The task's entry in the table is written
        // before anything else can run that moves it.
        unsafe { switch(save, to) };
        self.obey();
    }

    /// Where the running task's context goes.
    #[inline]
    fn save(&self, state: &mut State) -> *mut Context {
        let fiber = state.me().fiber.as_mut().expect("a task that runs has not ended");
        &raw mut fiber.context
    }

    /// What a task does first when it goes on.
    #[inline]
    fn obey(&self) {
        if self.command.get() == Command::Throw {
            self.command.set(Command::GoOn);
            self.throw();
        }
    }

    /// The running task ends the process: it is unwound, every other one is ended after it.
    pub(crate) fn exit(&self) -> ! {
        self.die(&mut self.borrow(), Death::Exit);
        self.throw()
    }

    /// Unwinds the running task.
    pub(super) fn throw(&self) -> ! {
        self.panic_seen.set(true);
        self.borrow().me().thrown += 1;
        resume_unwind(Box::new(PowerOff))
    }

    /// A scheduling point, before the call of the seam that stands at `place`.
    #[inline]
    pub(crate) fn point_at(&self, point: Point, place: Option<Place>) {
        self.point_in(self.borrow(), point, place);
    }

    /// A scheduling point, and the state behind it.
    #[inline]
    pub(super) fn past_point(&self, point: Point, place: Option<Place>) -> Lent<'_, State> {
        self.point_in(self.borrow(), point, place).unwrap_or_else(|| self.borrow())
    }

    /// A scheduling point. Gives the state back if the task went straight on.
    #[inline]
    fn point_in<'a>(
        &'a self,
        mut state: Lent<'a, State>,
        point: Point,
        place: Option<Place>,
    ) -> Option<Lent<'a, State>> {
        if state.phase != Phase::On {
            drop(state);
            self.point_off();
            return None;
        }
        if matches!(point, Point::Atomic | Point::Cell) && state.passes() {
            return Some(state);
        }
        if state.begin_step() {
            drop(state);
            self.alarm();
            return None;
        }
        if state.ready.is_empty() || self.must_not_preempt(&mut state) {
            return Some(state);
        }
        let Some(index) = state.choose_next(point, true) else { return Some(state) };
        let current = state.current;
        let next = std::mem::replace(&mut state.ready[index], current);
        state.trace.preempt(next, place);
        self.switch_to(state, next);
        None
    }

    /// A task that panics goes on until its panic is caught, unless it must wait for a lock.
    #[inline]
    fn must_not_preempt(&self, state: &mut State) -> bool {
        self.panic_seen.get() && {
            let panicking = std::thread::panicking();
            state.me().panic_is_over |= !panicking;
            panicking
        }
    }

    /// The running task waits. Returns why it was woken.
    pub(super) fn wait_in<'a>(
        &'a self,
        mut state: Lent<'a, State>,
        wait: Wait,
        place: Option<Place>,
        deadline_ns: Option<u64>,
    ) -> Wake {
        let unwinding = self.panic_seen.get() && state.is_unwinding();
        state.begin_wait(wait, place, deadline_ns);
        state.me().unwinding = unwinding;
        let next = if state.phase == Phase::On { self.pick_waiting(&mut state) } else { None };
        match next {
            Some(next) if next == state.current => {}
            Some(next) => {
                self.switch_to(state, next);
                state = self.borrow();
            }
            None => {
                drop(state);
                self.suspend();
                state = self.borrow();
            }
        }
        state.me().unwinding = false;
        state.me().wake
    }

    /// Takes a lock, waiting for it as long as it takes.
    pub(super) fn take_lock<'a>(
        &'a self,
        mut state: Lent<'a, State>,
        object: &hook::ObjectId,
        mode: LockMode,
        place: Place,
    ) {
        loop {
            let number = self.number(&mut state, object);
            let current = state.current;
            let passes = mode == LockMode::Exclusive || !state.lets_writer_pass(number);
            if passes && state.objects.get(number).take(mode, current, place) {
                return;
            }
            state.objects.get(number).waiters.push(current);
            self.wait_in(state, Wait::Lock { object: number, mode }, Some(place), None);
            state = self.borrow();
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
            self.die(&mut state, Death::Over);
            return;
        }
        state.alarm_step = next_alarm(step, state.step_max, &plan);
    }

    /// The power goes, the process is killed, or the run is stopped: from here on tasks are ended.
    pub(crate) fn die(&self, state: &mut State, death: Death) {
        if state.phase == Phase::On {
            state.phase = Phase::Drain;
            state.death = Some(death);
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
                if me.panic.is_none() || me.panic_is_over {
                    me.panic = Some(Box::new(note));
                    me.panic_is_over = false;
                }
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
        let State { choices, faults, trace, phase, .. } = &mut *state;
        let fails =
            *phase == Phase::On && faults.comes(choices, Label::SCHED_WEAK, Fault::WeakCasFail);
        if fails {
            faults.deliver_in(trace, Fault::WeakCasFail, 0);
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

/// The kernel that runs on this OS thread, if any. Good until its `run` returns.
pub(crate) fn current() -> Option<&'static Kernel> {
    if !hook::is_simulated() {
        return None;
    }
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
