//! A machine that answers what `falconry-ambient` asks, and notes it.

#![allow(clippy::disallowed_methods, reason = "a test stands outside of the run")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;

use falconry_seam::assert::Site;
use falconry_seam::hook::{
    self, Body, Clock, LocalKeyId, LockMode, Machine, ObjectId, Place, Point, TaskId, Wake,
};

/// What a futex wait was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The word.
    pub address: usize,
    /// The deadline of the monotonic clock.
    pub deadline_ns: Option<u64>,
}

/// What happens instead of a wait.
type OnWait = Box<dyn FnMut(Wait) -> Wake>;

/// The machine. All else of the contract is not for third-party code, and panics.
pub struct FakeMachine {
    /// Source of its randomness: a counter that is mixed.
    seed: Cell<u64>,
    /// What the monotonic clock shows.
    pub monotonic_ns: Cell<u64>,
    /// What the wall clock shows.
    pub wall_ns: Cell<u64>,
    /// Bytes of randomness that were drawn.
    pub random_bytes: Cell<usize>,
    /// Every wait.
    pub waits: RefCell<Vec<Wait>>,
    /// Every wake: the word and how many.
    pub wakes: RefCell<Vec<(usize, usize)>>,
    on_wait: RefCell<OnWait>,
}

/// Runs `body` with a machine current on this OS thread. Its clocks show different times, and a wait
/// ends as `on_wait` says.
pub fn on_machine<R>(
    seed: u64,
    on_wait: impl FnMut(Wait) -> Wake + 'static,
    body: impl FnOnce(&'static FakeMachine) -> R,
) -> R {
    let machine: &'static FakeMachine = Box::leak(Box::new(FakeMachine {
        seed: Cell::new(seed),
        monotonic_ns: Cell::new(5_000_000_007),
        wall_ns: Cell::new(1_700_000_000_123_456_789),
        random_bytes: Cell::new(0),
        waits: RefCell::new(Vec::new()),
        wakes: RefCell::new(Vec::new()),
        on_wait: RefCell::new(Box::new(on_wait)),
    }));
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            // SAFETY: no machine is always allowed.
            unsafe { hook::set_current(None) };
        }
    }
    let _leave = Leave;
    // SAFETY: the machine is leaked, so it outlives its being current.
    unsafe { hook::set_current(Some(machine)) };
    body(machine)
}

/// A wait that no test expects.
pub fn no_wait(wait: Wait) -> Wake {
    panic!("{wait:?} was not expected")
}

impl Machine for FakeMachine {
    fn clock_ns(&self, clock: Clock) -> u64 {
        match clock {
            Clock::Monotonic => self.monotonic_ns.get(),
            Clock::Wall => self.wall_ns.get(),
        }
    }

    fn futex_wait(&self, address: usize, deadline_ns: Option<u64>) -> Wake {
        let wait = Wait { address, deadline_ns };
        self.waits.borrow_mut().push(wait);
        let wake = (self.on_wait.borrow_mut())(wait);
        if let (Wake::TimedOut, Some(deadline_ns)) = (wake, deadline_ns) {
            self.monotonic_ns.set(deadline_ns);
        }
        wake
    }

    fn futex_wake(&self, address: usize, count: usize) -> usize {
        self.wakes.borrow_mut().push((address, count));
        count.min(3)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.random_bytes.set(self.random_bytes.get() + bytes.len());
        for byte in bytes {
            let next = self.seed.get().wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405);
            self.seed.set(next);
            *byte = (next >> 56) as u8;
        }
    }

    fn point(&self, _: Point, _: Place) {
        unreachable!("a point");
    }
    fn lock(&self, _: &ObjectId, _: LockMode, _: Place) {
        unreachable!("a lock");
    }
    fn try_lock(&self, _: &ObjectId, _: LockMode, _: Place) -> bool {
        unreachable!("a lock");
    }
    fn unlock(&self, _: &ObjectId, _: LockMode) {
        unreachable!("an unlock");
    }
    fn wait(&self, _: &ObjectId, _: &ObjectId, _: Option<u64>, _: Place) -> Wake {
        unreachable!("a wait");
    }
    fn notify(&self, _: &ObjectId, _: usize) {
        unreachable!("a notification");
    }
    fn forget_object(&self, _: &ObjectId) {
        unreachable!("an object");
    }
    fn spawn(&self, _: Option<&str>, _: usize, _: Body, _: Place) -> io::Result<TaskId> {
        unreachable!("a task");
    }
    fn join(&self, _: TaskId, _: Place) {
        unreachable!("a join");
    }
    fn is_finished(&self, _: TaskId) -> bool {
        unreachable!("a task");
    }
    fn task(&self) -> TaskId {
        0
    }
    fn task_name(&self, _: TaskId) -> Option<String> {
        None
    }
    fn park(&self, _: Option<u64>, _: Place) -> Wake {
        unreachable!("a park");
    }
    fn unpark(&self, _: TaskId) {
        unreachable!("an unpark");
    }
    fn sleep(&self, _: u64, _: Place) {
        unreachable!("a sleep");
    }
    fn panicking(&self) -> bool {
        std::thread::panicking()
    }
    fn local(
        &self,
        _: &'static LocalKeyId,
        _: &mut dyn FnMut() -> Box<dyn Any>,
    ) -> Option<*const dyn Any> {
        unreachable!("a thread-local");
    }
    fn processors(&self) -> usize {
        1
    }
    fn work(&self, _: u64) {
        unreachable!("work");
    }
    fn assertion(&self, site: &'static Site, _: bool, _: fmt::Arguments<'_>) {
        unreachable!("{site:?}");
    }
    fn buggify(&self, site: &'static Site, _: u32) -> bool {
        unreachable!("{site:?}");
    }
    fn planted(&self, bug: &'static str) -> bool {
        unreachable!("{bug}");
    }
    fn weak_exchange_fails(&self) -> bool {
        unreachable!("an exchange");
    }
    fn enter_foreign(&self) {
        unreachable!("a foreign frame");
    }
    fn leave_foreign(&self) {
        unreachable!("a foreign frame");
    }
    fn is_off(&self) -> bool {
        false
    }
}
