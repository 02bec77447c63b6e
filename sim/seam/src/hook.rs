//! The contract between the seam and a simulated machine: what each call becomes when one is current.
//!
//! # Method
//!
//! A machine lives on one OS thread. While it runs it is *current* there, kept in one thread-local.
//! Every type of the seam asks [`with_current`] first; with no machine it does the real thing. A simulated
//! primitive holds an [`ObjectId`] and nothing else: who holds it and who waits is the machine's.
//!
//! # Invariant
//!
//! Only the machine switches tasks, and only inside a call of [`Machine`].

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::assert::Site;
pub use crate::thread::job::Body;

/// Where in the engine's source a call of the seam stands.
pub type Place = &'static Location<'static>;

/// A task of a machine: the simulated counterpart of a thread. 0 is the machine's main task.
pub type TaskId = u32;

/// The payload with which a task is unwound when the power has gone and it would wait for ever.
///
/// Code that catches panics raises it again; `falconry_seam::catch_unwind` does so by itself.
#[derive(Debug)]
pub struct PowerOff;

/// What kind of call a scheduling point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// `yield_now`: the task offers its turn.
    Yield,
    /// `spin_loop`: the task waits actively, so another one should run.
    Spin,
    /// A lock is about to be taken.
    Lock,
    /// A condition variable, channel or barrier is about to be used.
    Notify,
    /// An atomic access or fence.
    Atomic,
    /// An access to an `UnsafeCell`.
    Cell,
    /// A call of the disk.
    Disk,
    /// A thread is about to be spawned, joined or unparked.
    Thread,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// One of many readers.
    Shared,
    /// The only holder.
    Exclusive,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Somebody notified this waiter.
    Notified,
    /// The deadline passed in virtual time.
    TimedOut,
    /// For no reason: condition variables and `park` are allowed to do that.
    Spurious,
}

/// How a task's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// It returned.
    Returned,
    /// It panicked.
    Panicked,
    /// It was unwound by [`PowerOff`].
    PowerOff,
}

/// A clock that third-party code may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Never goes back.
    Monotonic,
    /// Nanoseconds since 1970; may step, drift, or stand still.
    Wall,
}

/// Identity of a simulated lock or queue: the machine's epoch in the upper half, a number within it
/// in the lower; 0 until the first use on a machine. Epochs stay below 2^31.
///
/// Two halves, not one word, so that it adds 8 bytes to a lock and no padding. The top bit is the
/// seam's: a lock that was poisoned on a machine. (std's own mark cannot serve, for it is set by
/// `std::thread::panicking`, which counts all tasks of the OS thread.)
#[derive(Debug, Default)]
pub struct ObjectId {
    epoch: AtomicU32,
    number: AtomicU32,
}

const POISONED: u32 = 1 << 31;

impl ObjectId {
    /// An object that no machine has seen.
    pub const fn new() -> Self {
        ObjectId { epoch: AtomicU32::new(0), number: AtomicU32::new(0) }
    }

    /// The packed value. Only a [`Machine`] gives it meaning.
    #[inline]
    pub fn get(&self) -> u64 {
        let epoch = self.epoch.load(Ordering::Relaxed) & !POISONED;
        u64::from(epoch) << 32 | u64::from(self.number.load(Ordering::Relaxed))
    }

    /// Stores the packed value that a machine assigned. An earlier machine's poison ends with this.
    #[inline]
    pub fn set(&self, id: u64) {
        let epoch = (id >> 32) as u32;
        assert!(epoch & POISONED == 0, "epoch {epoch} of a machine is above 2^31");
        self.epoch.store(epoch, Ordering::Relaxed);
        self.number.store(id as u32, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.epoch.load(Ordering::Relaxed) & POISONED != 0
    }

    pub(crate) fn set_poisoned(&self, poisoned: bool) {
        let epoch = self.epoch.load(Ordering::Relaxed) & !POISONED;
        self.epoch.store(if poisoned { epoch | POISONED } else { epoch }, Ordering::Relaxed);
    }
}

impl Drop for ObjectId {
    #[inline]
    fn drop(&mut self) {
        if self.get() != 0
            && let Some(machine) = current()
        {
            machine.forget_object(self);
        }
    }
}

/// What a simulated machine does for the seam. Implemented by `falconry-sim` alone.
///
/// Unless a method says otherwise it may switch to other tasks before it returns, and it may unwind
/// with [`PowerOff`] where it would wait for ever after the power has gone.
pub trait Machine {
    /// A scheduling point: another task may run here. `place` is for the reader of a trace.
    fn point(&self, point: Point, place: Place);

    /// Takes a lock, waiting for it. Is itself a scheduling point.
    fn lock(&self, object: &ObjectId, mode: LockMode, place: Place);
    /// Takes a lock if it is free. Is itself a scheduling point.
    fn try_lock(&self, object: &ObjectId, mode: LockMode, place: Place) -> bool;
    /// Gives a lock back. Never switches, never unwinds.
    fn unlock(&self, object: &ObjectId, mode: LockMode);
    /// Releases `lock` (held exclusively), waits in the object's queue until notified or until
    /// `deadline_ns` of the monotonic clock, and takes the lock again. If it unwinds, the lock is not
    /// held.
    fn wait(
        &self,
        object: &ObjectId,
        lock: &ObjectId,
        deadline_ns: Option<u64>,
        place: Place,
    ) -> Wake;
    /// Wakes up to `count` waiters. Which of several a count of 1 wakes is the machine's to choose.
    fn notify(&self, object: &ObjectId, count: usize);
    /// An object is dropped: its number may be used again. Never switches, never unwinds.
    fn forget_object(&self, object: &ObjectId);

    /// Starts a task. `stack_bytes` 0 means the machine's default. An error is a spawn that failed,
    /// and drops `body`. Other tasks may run before the new one exists, not between that and the
    /// return: if this unwinds, `body` has been dropped and there is no task.
    fn spawn(
        &self,
        name: Option<&str>,
        stack_bytes: usize,
        body: Body,
        place: Place,
    ) -> io::Result<TaskId>;
    /// Waits until a task has ended. A task that is unwinding already waits here too, and is not
    /// thrown into: a scope must not end before its threads.
    fn join(&self, task: TaskId, place: Place);
    /// Whether a task has ended. Never switches.
    fn is_finished(&self, task: TaskId) -> bool;
    /// The running task. Never switches.
    fn task(&self) -> TaskId;
    /// The name a task was spawned with. Never switches.
    fn task_name(&self, task: TaskId) -> Option<String>;
    /// Waits for an `unpark` of this task, or until the deadline; a token left earlier ends it at once.
    fn park(&self, deadline_ns: Option<u64>, place: Place) -> Wake;
    /// Leaves a token for `task` and wakes it if it is parked.
    fn unpark(&self, task: TaskId);
    /// Waits in virtual time.
    fn sleep(&self, ns: u64, place: Place);
    /// Whether the running task is unwinding. Never switches.
    fn panicking(&self) -> bool;
    /// The running task's value for a thread-local, made by `init` at its first use there; `key` is
    /// unique for each declaration. `None` once the task's thread-locals are being destroyed. The
    /// value lives until the task ends, and does not move. Never switches by itself.
    fn local(
        &self,
        key: &'static LocalKeyId,
        init: &mut dyn FnMut() -> Box<dyn Any>,
    ) -> Option<*const dyn Any>;
    /// Processors of the machine, at least 1. Never switches.
    fn processors(&self) -> usize;

    /// Nanoseconds of a clock. Never switches.
    fn clock_ns(&self, clock: Clock) -> u64;
    /// The engine computes for `ns` of virtual time.
    fn work(&self, ns: u64);

    /// An assertion of the engine was evaluated. With `Site::kind` `Always` or `Unreachable` and
    /// `holds` false it is a finding, and the call does not return: the task is stopped and the run
    /// ends. For the other kinds it counts `holds`. Never switches.
    fn assertion(&self, site: &'static Site, holds: bool, detail: fmt::Arguments<'_>);
    /// Whether the engine should take the rare path of `site`, at `ppm` millionths. Never switches.
    fn buggify(&self, site: &'static Site, ppm: u32) -> bool;
    /// Whether the named historical bug is planted in this run. Never switches.
    fn planted(&self, bug: &'static str) -> bool;
    /// Whether a weak compare-exchange fails here for no reason. Never switches.
    fn weak_exchange_fails(&self) -> bool;

    /// The running task enters a foreign frame, which no panic may cross. Never switches.
    fn enter_foreign(&self);
    /// The running task leaves a foreign frame. Never switches.
    fn leave_foreign(&self);
    /// Whether the power has gone (or the process was killed) and tasks are being ended. Never switches.
    fn is_off(&self) -> bool;

    /// A third-party lock waits until the word at `address` is woken, or until the deadline of the
    /// monotonic clock. The caller has compared the word already; nothing can run in between.
    /// Never unwinds.
    fn futex_wait(&self, address: usize, deadline_ns: Option<u64>) -> Wake;
    /// Wakes up to `count` waiters of `address`, the longest waiting first, and says how many.
    /// Never switches, never unwinds.
    fn futex_wake(&self, address: usize, count: usize) -> usize;
    /// Fills `bytes` from the machine's choices, for third-party code that asks the OS for randomness.
    /// Never switches, never unwinds.
    fn fill_random(&self, bytes: &mut [u8]);
}

/// Identity of one `thread_local!` declaration: its address is never looked at, its number is given
/// by the machine at the first use, in the order of first uses of the run.
#[derive(Debug)]
pub struct LocalKeyId {
    object: AtomicU64,
}

impl LocalKeyId {
    /// A declaration that no machine has seen.
    #[expect(clippy::new_without_default, reason = "declared by the macro alone, in a static")]
    pub const fn new() -> Self {
        LocalKeyId { object: AtomicU64::new(0) }
    }

    /// The packed value (machine's epoch, number). Only a [`Machine`] gives it meaning.
    pub fn get(&self) -> u64 {
        self.object.load(Ordering::Relaxed)
    }

    /// Stores the packed value that a machine assigned.
    pub fn set(&self, id: u64) {
        self.object.store(id, Ordering::Relaxed);
    }
}

thread_local! {
    static CURRENT: Cell<Option<&'static dyn Machine>> = const { Cell::new(None) };
}

/// The machine that this OS thread simulates, if any.
///
/// The reference is good until the call of the machine that made it current returns; it is not to be
/// kept across calls of the seam.
#[inline]
pub(crate) fn current() -> Option<&'static dyn Machine> {
    CURRENT.get()
}

/// Hands the machine that this OS thread simulates to `f`; `None` when it simulates none.
#[inline]
pub fn with_current<R>(f: impl FnOnce(&dyn Machine) -> R) -> Option<R> {
    current().map(f)
}

/// Whether this OS thread simulates a machine.
#[inline]
pub fn is_simulated() -> bool {
    current().is_some()
}

/// Makes a machine current on this OS thread, or none, and returns what was current before.
///
/// # Safety
///
/// The machine must stay alive, and on this OS thread, until it is no longer current.
pub unsafe fn set_current(machine: Option<&'static dyn Machine>) -> Option<&'static dyn Machine> {
    CURRENT.replace(machine)
}

/// Runs `f` with no machine current: for the simulator's own work on the host (allocation pools,
/// logs), whose locks and clocks must be the real ones. `f` must not switch tasks.
pub fn outside<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(Option<&'static dyn Machine>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(None));
    f()
}
