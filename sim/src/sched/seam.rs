//! The machine as the seam sees it.

use std::any::Any;
use std::fmt;
use std::io;

use falconry_seam::assert::{Site, SiteKind};
use falconry_seam::hook::{
    Body, Clock, LocalKeyId, LockMode, Machine, ObjectId, Place, Point, TaskId, Wake,
};

use super::VerdictKind;
use super::kernel::Kernel;
use super::state::{Phase, State};
use super::task::Wait;
use crate::choice::Label;
use crate::fault::Fault;
use crate::power::Death;
use crate::trace::What;

impl Machine for Kernel {
    #[inline]
    fn point(&self, point: Point, place: Place) {
        self.point_at(point, Some(place));
    }

    #[inline]
    fn lock(&self, object: &ObjectId, mode: LockMode, place: Place) {
        let state = self.past_point(Point::Lock, Some(place));
        self.take_lock(state, object, mode, place);
    }

    fn try_lock(&self, object: &ObjectId, mode: LockMode, place: Place) -> bool {
        let mut state = self.past_point(Point::Lock, Some(place));
        let number = self.number(&mut state, object);
        let current = state.current;
        state.objects.get(number).take(mode, current, place)
    }

    #[inline]
    fn unlock(&self, object: &ObjectId, mode: LockMode) {
        let mut state = self.borrow();
        if let Some(number) = state.objects.known(object.get())
            && state.objects.get(number).give_back(mode)
        {
            state.wake_lock_waiters(number);
        }
    }

    fn wait(
        &self,
        object: &ObjectId,
        lock: &ObjectId,
        deadline: Option<u64>,
        place: Place,
    ) -> Wake {
        let mut state = self.borrow();
        let spurious = self.wakes_spuriously(&mut state);
        if let Some(number) = state.objects.known(lock.get())
            && state.objects.get(number).give_back(LockMode::Exclusive)
        {
            state.wake_lock_waiters(number);
        }
        // This may throw, and the guard that would give the lock back then is gone already.
        drop(state);
        self.count_call();
        let mut state = self.borrow();
        let wake = if spurious {
            drop(state);
            self.point_at(Point::Yield, None);
            Wake::Spurious
        } else if state.phase != Phase::On && deadline.is_some() {
            drop(state);
            Wake::TimedOut
        } else {
            let number = self.number(&mut state, object);
            let current = state.current;
            state.objects.get(number).waiters.push(current);
            self.wait_in(state, Wait::Queue { object: number }, Some(place), deadline)
        };
        self.take_lock(self.borrow(), lock, LockMode::Exclusive, place);
        wake
    }

    fn notify(&self, object: &ObjectId, count: usize) {
        let mut state = self.past_point(Point::Notify, None);
        let Some(number) = state.objects.known(object.get()) else { return };
        for _ in 0..count {
            let chosen = match count {
                1 => state.choose_waiter(number),
                _ => state.objects.get(number).waiters.first().copied(),
            };
            let Some(waiter) = chosen else { return };
            state.wake(waiter, Wake::Notified);
        }
    }

    fn forget_object(&self, object: &ObjectId) {
        // A destructor may run while the state is lent, when the machine drops something itself.
        if let Some(mut state) = self.state.try_borrow()
            && let Some(number) = state.objects.known(object.get())
        {
            state.objects.forget(number);
        }
    }

    fn spawn(
        &self,
        name: Option<&str>,
        stack_bytes: usize,
        body: Body,
        place: Place,
    ) -> io::Result<TaskId> {
        self.point_at(Point::Thread, Some(place));
        {
            let mut state = self.borrow();
            let State { choices, faults, trace, phase, .. } = &mut *state;
            if *phase != Phase::On {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            if faults.comes(choices, Label::SCHED_SPAWN, Fault::SpawnFail) {
                faults.deliver_in(trace, Fault::SpawnFail, 0);
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
        }
        let stack_bytes = stack_bytes.max(self.stack_bytes.get());
        let name = name.map(|name| name.to_string().into());
        self.start_task(name, stack_bytes, move || body.run())
    }

    fn join(&self, task: TaskId, place: Place) {
        self.point_at(Point::Thread, Some(place));
        loop {
            let mut state = self.borrow();
            let Some(other) = state.tasks.get_mut(task as usize) else { return };
            if other.has_ended() {
                return;
            }
            let current = state.current;
            state.tasks[task as usize].add_joiner(current);
            self.wait_in(state, Wait::Join { task }, Some(place), None);
        }
    }

    fn is_finished(&self, task: TaskId) -> bool {
        self.borrow().tasks.get(task as usize).is_none_or(super::task::Task::has_ended)
    }

    fn task(&self) -> TaskId {
        self.borrow().current
    }

    fn task_name(&self, task: TaskId) -> Option<String> {
        let state = self.borrow();
        state.tasks.get(task as usize).and_then(|task| task.name.as_deref().map(Into::into))
    }

    fn park(&self, deadline: Option<u64>, place: Place) -> Wake {
        self.point_at(Point::Thread, Some(place));
        let mut state = self.borrow();
        if std::mem::take(&mut state.me().token) {
            return Wake::Notified;
        }
        if self.wakes_spuriously(&mut state) {
            return Wake::Spurious;
        }
        if state.phase != Phase::On && deadline.is_some() {
            return Wake::TimedOut;
        }
        let wake = self.wait_in(state, Wait::Park, Some(place), deadline);
        self.borrow().me().token = false;
        wake
    }

    fn unpark(&self, task: TaskId) {
        self.point_at(Point::Thread, None);
        let mut state = self.borrow();
        let Some(parked) = state.tasks.get_mut(task as usize) else { return };
        parked.token = true;
        if parked.wait == Wait::Park {
            state.wake(task, Wake::Notified);
        }
    }

    fn sleep(&self, ns: u64, place: Place) {
        self.sleep_at(ns, Some(place));
    }

    fn panicking(&self) -> bool {
        self.is_unwinding()
    }

    fn local(
        &self,
        key: &'static LocalKeyId,
        init: &mut dyn FnMut() -> Box<dyn Any>,
    ) -> Option<*const dyn Any> {
        let index = self.local_index(key);
        if let Some(found) = self.find_local(index) {
            return found;
        }
        let value = init();
        let mut state = self.borrow();
        let locals = &mut state.me().locals;
        if locals.len() <= index {
            locals.resize_with(index + 1, || None);
        }
        Some(std::ptr::from_ref(locals[index].insert(value).as_ref()))
    }

    fn processors(&self) -> usize {
        self.processors.get()
    }

    fn clock_ns(&self, clock: Clock) -> u64 {
        let mut state = self.borrow();
        let State { choices, faults, trace, wall, phase, .. } = &mut *state;
        match clock {
            Clock::Monotonic => trace.time_ns(),
            Clock::Wall if *phase == Phase::On => wall.read_ns(choices, faults, trace),
            Clock::Wall => wall.now_ns(trace.time_ns()),
        }
    }

    fn work(&self, _ns: u64) {
        // Virtual time moves only with the processors' cost model, which is off: its costs are 0.
    }

    fn assertion(&self, site: &'static Site, holds: bool, detail: fmt::Arguments<'_>) {
        let breaks = match site.kind {
            SiteKind::Always => !holds,
            SiteKind::Unreachable => true,
            SiteKind::Sometimes | SiteKind::Reachable | SiteKind::Buggify => false,
        };
        if holds && !breaks {
            let mut state = self.borrow();
            if state.sites.reach(site) {
                state.trace.event(None, What::Site { name: site.name.into() });
            }
        }
        if breaks {
            self.assertion_failed(site, detail);
        }
    }

    fn buggify(&self, site: &'static Site, ppm: u32) -> bool {
        let mut state = self.borrow();
        let State { choices, sites, phase, .. } = &mut *state;
        *phase == Phase::On && sites.buggify(choices, site, ppm)
    }

    fn planted(&self, bug: &'static str) -> bool {
        self.borrow().planted.iter().any(|planted| planted == bug)
    }

    fn weak_exchange_fails(&self) -> bool {
        self.weak_fails()
    }

    fn enter_foreign(&self) {
        self.borrow().me().foreign += 1;
    }

    fn leave_foreign(&self) {
        self.borrow().me().foreign -= 1;
    }

    fn is_off(&self) -> bool {
        self.borrow().phase != Phase::On
    }

    fn futex_wait(&self, address: usize, deadline: Option<u64>) -> Wake {
        self.enter_foreign();
        self.count_call();
        let mut state = self.borrow();
        let wake = if state.phase != Phase::On && deadline.is_some() {
            drop(state);
            Wake::TimedOut
        } else {
            let current = state.current;
            state.futexes.push((address, current));
            self.wait_in(state, Wait::Futex { address }, None, deadline)
        };
        self.leave_foreign();
        wake
    }

    fn futex_wake(&self, address: usize, count: usize) -> usize {
        let mut state = self.borrow();
        let mut woken = 0;
        while woken < count {
            let here = |(word, waiter): &(usize, u32)| (*word == address).then_some(*waiter);
            let waiters = state.futexes.iter().filter_map(here).count() as u64;
            let index = match waiters {
                0 => break,
                _ if count == 1 && waiters > 1 => {
                    state.choices.choose(Label::SCHED_NOTIFY, waiters)
                }
                _ => 0,
            };
            let chosen = state.futexes.iter().filter_map(here).nth(index as usize);
            state.wake(chosen.expect("it was counted"), Wake::Notified);
            woken += 1;
        }
        woken
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.borrow().choices.fill(Label::RANDOM, bytes);
    }
}

impl Kernel {
    /// Counts a call that is no scheduling point, when the power has gone.
    fn count_call(&self) {
        let is_off = self.borrow().phase != Phase::On;
        if is_off {
            self.point_off();
        }
    }

    fn wakes_spuriously(&self, state: &mut State) -> bool {
        let State { choices, faults, trace, phase, .. } = state;
        let spurious = *phase == Phase::On
            && faults.comes(choices, Label::SCHED_SPURIOUS, Fault::SpuriousWake);
        if spurious {
            faults.deliver_in(trace, Fault::SpuriousWake, 0);
        }
        spurious
    }

    /// Waits in virtual time; at once when the power has gone.
    pub(crate) fn sleep_at(&self, ns: u64, place: Option<Place>) {
        self.count_call();
        let mut state = self.borrow();
        if state.phase != Phase::On {
            return;
        }
        let until_ns = state.trace.time_ns.saturating_add(ns);
        let alone = state.ready.is_empty() && until_ns < state.timers.next_ns;
        if alone && ns > 0 {
            state.trace.time_ns = until_ns;
        }
        if alone || ns == 0 {
            drop(state);
            return self.point_at(Point::Yield, None);
        }
        self.wait_in(state, Wait::Sleep, place, Some(until_ns));
        // The turn came back by a timer, which is a step as well.
        let alarm = { self.borrow().begin_step() };
        if alarm {
            self.alarm();
        }
    }

    fn local_index(&self, key: &'static LocalKeyId) -> usize {
        let mut state = self.borrow();
        let packed = key.get();
        if (packed >> 32) as u32 == state.epoch {
            return packed as u32 as usize;
        }
        let index = state.local_count;
        state.local_count += 1;
        key.set(u64::from(state.epoch) << 32 | u64::from(index));
        index as usize
    }

    /// The running task's value; `Some(None)` when it is gone already, `None` when it is to be made.
    fn find_local(&self, index: usize) -> Option<Option<*const dyn Any>> {
        let mut state = self.borrow();
        let me = state.me();
        match me.locals.get(index) {
            Some(Some(value)) => Some(Some(std::ptr::from_ref(value.as_ref()))),
            _ if me.locals_over => Some(None),
            _ => None,
        }
    }

    /// The running task's body has ended: its thread-locals are dropped, the first one made first.
    #[inline]
    pub(super) fn drop_locals(&self) {
        let count = {
            let mut state = self.borrow();
            let me = state.me();
            me.locals_over = true;
            me.locals.len()
        };
        if count > 0 {
            self.drop_all_locals(count);
        }
    }

    #[cold]
    fn drop_all_locals(&self, count: usize) {
        for index in 0..count {
            let value = { self.borrow().me().locals[index].take() };
            // A destructor that panics must not leave the task.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(value)));
        }
    }

    #[cold]
    fn assertion_failed(&self, site: &'static Site, detail: fmt::Arguments<'_>) {
        let may_throw = {
            let mut state = self.borrow();
            let message = match detail.as_str() {
                Some("") => site.name.to_string(),
                _ => format!("{}: {detail}", site.name),
            };
            let place = format!("{}:{}", site.file, site.line);
            if let Some(verdict) = state.convict(VerdictKind::Assertion, message, place) {
                let is_reached = site.kind == SiteKind::Unreachable;
                let how = if is_reached { "is reached" } else { "does not hold" };
                verdict.assertion = format!("{}: {how}", site.name);
            }
            self.die(&mut state, Death::Over);
            state.me().foreign == 0
        };
        if may_throw && !self.is_unwinding() {
            self.throw();
        }
        self.give_up();
    }
}
