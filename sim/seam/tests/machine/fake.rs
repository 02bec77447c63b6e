//! A machine for tests: it writes each call down, grants every free lock, runs a task to its end when
//! it is spawned, and answers the rest as the test has set it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::resume_unwind;

use falconry_seam::PowerOff;
use falconry_seam::assert::Site;
use falconry_seam::hook::{
    self, Body, Clock, LocalKeyId, LockMode, Machine, ObjectId, Place, Point, TaskId, Wake,
};

/// A machine for tests.
#[derive(Default)]
pub struct Fake {
    log: RefCell<Vec<String>>,
    object_count: Cell<u64>,
    held: RefCell<BTreeMap<u64, u32>>,
    task_count: Cell<TaskId>,
    task: Cell<TaskId>,
    locals: RefCell<BTreeMap<(TaskId, u64), Box<dyn Any>>>,
    key_count: Cell<u64>,
    /// What the machine answers.
    pub panicking: Cell<bool>,
    pub off: Cell<bool>,
    pub weak_fails: Cell<bool>,
    pub spawn_errno: Cell<Option<i32>>,
    pub now_ns: Cell<u64>,
    pub wake: Cell<Option<Wake>>,
    /// Where the last lock was taken.
    pub place: Cell<Option<Place>>,
    /// How many joins are cut short by power-off.
    pub joins_thrown: Cell<u32>,
    /// Run once, inside the next wait, while the lock is free.
    pub during_wait: RefCell<Option<Box<dyn FnOnce()>>>,
}

/// Runs `f` on a fake machine.
pub fn on_fake<R>(f: impl FnOnce(&Fake) -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            // SAFETY: no machine at all needs nothing to stay alive.
            unsafe { hook::set_current(None) };
        }
    }
    let fake = Fake::default();
    let machine: &dyn Machine = &fake;
    // SAFETY: only the lifetime changes; `Leave` takes the reference back before `fake` is dropped.
    let machine = unsafe { std::mem::transmute::<&dyn Machine, &'static dyn Machine>(machine) };
    // SAFETY: the machine stays on this thread, and alive until `Leave` is dropped.
    unsafe { hook::set_current(Some(machine)) };
    let _leave = Leave;
    f(&fake)
}

impl Fake {
    /// What was called since the last time, in order.
    pub fn calls(&self) -> Vec<String> {
        self.log.take()
    }

    fn note(&self, call: impl fmt::Display) {
        self.log.borrow_mut().push(call.to_string());
    }

    fn id(&self, object: &ObjectId) -> u64 {
        if object.get() == 0 {
            self.object_count.set(self.object_count.get() + 1);
            object.set(1 << 32 | self.object_count.get());
        }
        object.get() & 0xffff_ffff
    }

    fn take(&self, id: u64, mode: LockMode) -> bool {
        let mut held = self.held.borrow_mut();
        let count = held.entry(id).or_default();
        let free = *count == 0 || (mode == LockMode::Shared && *count != u32::MAX);
        if free {
            *count = if mode == LockMode::Shared { *count + 1 } else { u32::MAX };
        }
        free
    }

    fn give(&self, id: u64, mode: LockMode) {
        let mut held = self.held.borrow_mut();
        let count = held.get_mut(&id).unwrap();
        *count = if mode == LockMode::Shared { *count - 1 } else { 0 };
    }
}

impl Machine for Fake {
    fn point(&self, point: Point, _: Place) {
        self.note(format_args!("point {point:?}"));
    }

    fn lock(&self, object: &ObjectId, mode: LockMode, place: Place) {
        self.place.set(Some(place));
        let id = self.id(object);
        self.note(format_args!("lock {id} {mode:?}"));
        assert!(self.take(id, mode), "the fake machine cannot wait");
    }

    fn try_lock(&self, object: &ObjectId, mode: LockMode, _place: Place) -> bool {
        let id = self.id(object);
        self.note(format_args!("try_lock {id} {mode:?}"));
        self.take(id, mode)
    }

    fn unlock(&self, object: &ObjectId, mode: LockMode) {
        let id = self.id(object);
        self.note(format_args!("unlock {id} {mode:?}"));
        self.give(id, mode);
    }

    fn wait(
        &self,
        object: &ObjectId,
        lock: &ObjectId,
        deadline_ns: Option<u64>,
        _place: Place,
    ) -> Wake {
        let (id, lock) = (self.id(object), self.id(lock));
        self.note(format_args!("wait {id} with {lock} until {deadline_ns:?}"));
        self.give(lock, LockMode::Exclusive);
        if let Some(f) = self.during_wait.take() {
            f();
        }
        assert!(self.take(lock, LockMode::Exclusive));
        self.wake.get().unwrap_or(Wake::Notified)
    }

    fn notify(&self, object: &ObjectId, count: usize) {
        let id = self.id(object);
        self.note(format_args!("notify {id} {}", if count == 1 { "one" } else { "all" }));
    }

    fn forget_object(&self, object: &ObjectId) {
        self.note(format_args!("forget {}", self.id(object)));
    }

    fn spawn(
        &self,
        name: Option<&str>,
        stack_bytes: usize,
        body: Body,
        _place: Place,
    ) -> io::Result<TaskId> {
        if let Some(errno) = self.spawn_errno.get() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.task_count.set(self.task_count.get() + 1);
        let spawner = self.task.replace(self.task_count.get());
        let id = self.task.get();
        self.note(format_args!("spawn {id} {name:?} {stack_bytes}"));
        let end = body.run();
        self.note(format_args!("end {id} {end:?}"));
        self.task.set(spawner);
        Ok(id)
    }

    fn join(&self, task: TaskId, _place: Place) {
        self.note(format_args!("join {task}"));
        if self.joins_thrown.get() > 0 {
            self.joins_thrown.set(self.joins_thrown.get() - 1);
            resume_unwind(Box::new(PowerOff));
        }
    }

    fn is_finished(&self, task: TaskId) -> bool {
        task != 0
    }

    fn task(&self) -> TaskId {
        self.task.get()
    }

    fn task_name(&self, task: TaskId) -> Option<String> {
        Some(format!("task {task}"))
    }

    fn park(&self, deadline_ns: Option<u64>, _place: Place) -> Wake {
        self.note(format_args!("park until {deadline_ns:?}"));
        Wake::Spurious
    }

    fn unpark(&self, task: TaskId) {
        self.note(format_args!("unpark {task}"));
    }

    fn sleep(&self, ns: u64, _place: Place) {
        self.note(format_args!("sleep {ns}"));
        self.now_ns.set(self.now_ns.get() + ns);
    }

    fn panicking(&self) -> bool {
        self.panicking.get()
    }

    fn local(
        &self,
        key: &'static LocalKeyId,
        init: &mut dyn FnMut() -> Box<dyn Any>,
    ) -> Option<*const dyn Any> {
        if self.off.get() {
            return None;
        }
        if key.get() == 0 {
            self.key_count.set(self.key_count.get() + 1);
            key.set(self.key_count.get());
        }
        let place = (self.task.get(), key.get());
        if !self.locals.borrow().contains_key(&place) {
            let value = init();
            self.locals.borrow_mut().insert(place, value);
        }
        Some(std::ptr::from_ref(&*self.locals.borrow()[&place]))
    }

    fn processors(&self) -> usize {
        3
    }

    fn clock_ns(&self, clock: Clock) -> u64 {
        self.now_ns.get() + if clock == Clock::Wall { 1_000_000_000 } else { 0 }
    }

    fn work(&self, ns: u64) {
        self.note(format_args!("work {ns}"));
    }

    fn assertion(&self, site: &'static Site, holds: bool, detail: fmt::Arguments<'_>) {
        self.note(format_args!("{:?} {} {holds} [{detail}]", site.kind, site.name));
    }

    fn buggify(&self, site: &'static Site, ppm: u32) -> bool {
        self.note(format_args!("buggify {} {ppm}", site.name));
        ppm > 500
    }

    fn planted(&self, bug: &'static str) -> bool {
        bug == "planted"
    }

    fn weak_exchange_fails(&self) -> bool {
        self.weak_fails.get()
    }

    fn enter_foreign(&self) {
        self.note("enter_foreign");
    }

    fn leave_foreign(&self) {
        self.note("leave_foreign");
    }

    fn is_off(&self) -> bool {
        self.off.get()
    }

    fn futex_wait(&self, _address: usize, _deadline_ns: Option<u64>) -> Wake {
        unreachable!("the seam itself waits for no futex")
    }

    fn futex_wake(&self, _address: usize, _count: usize) -> usize {
        unreachable!("the seam itself wakes no futex")
    }

    fn fill_random(&self, _bytes: &mut [u8]) {
        unreachable!("the seam itself takes no randomness")
    }
}
