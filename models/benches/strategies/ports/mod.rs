//! The concurrency specimens, with their bugs in, on shuttle's primitives.
//!
//! # Method
//!
//! A port has its specimen's structure, tasks and rounds; what a specimen asserts by `always!` a port
//! asserts by `assert!`. A port names the words of the failure that its bug makes, so that a find of
//! anything else is told as what it is: a mistake in the port. On shuttle a pause is a point where
//! another task may run, however long it is, and a shared lock taken twice by one task fails at once.
//!
//! # Invariant
//!
//! Each concurrency specimen is in [`ALL`] or in [`NOT_PORTED`].

mod atomics;
mod conditions;
mod locks;

use falconry::specimen::{self, Family, Specimen};
use shuttle::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;

/// A program on shuttle's primitives.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// The name of its specimen.
    pub name: &'static str,
    /// The program, with the bug.
    pub program: fn(),
    /// Words of the failure that the bug makes.
    pub failure: &'static str,
}

const fn port(name: &'static str, program: fn(), failure: &'static str) -> Port {
    Port { name, program, failure }
}

const DEADLOCK: &str = "deadlock!";
const ENDLESS: &str = "exceeded max_steps";

/// All of them, in the order of their names.
pub const ALL: &[Port] = &[
    port("aba", atomics::aba, "a slot has one owner"),
    port("barrier_without_generation", conditions::barrier_without_generation, DEADLOCK),
    port("check_then_act", locks::check_then_act, "a handle is opened once"),
    port("child_before_parent", locks::child_before_parent, "a writer that runs is registered"),
    port("deadlock_by_order", locks::deadlock_by_order, DEADLOCK),
    port("double_free_by_losers", atomics::double_free_by_losers, "a page is freed once"),
    port("empty_spin_loop", locks::empty_spin_loop, ENDLESS),
    port("half_published_value", atomics::half_published_value, "a published root is whole"),
    port("if_not_while", conditions::if_not_while, "whoever waited has an item"),
    port("livelock_of_polite_retries", locks::livelock_of_polite_retries, ENDLESS),
    port("lock_of_one_process", locks::lock_of_one_process, "all records are in the file"),
    port("lost_cancel", atomics::lost_cancel, "a job runs or is cancelled"),
    port("lost_update", atomics::lost_update, "all increments are in the counter"),
    port("lost_wakeup", conditions::lost_wakeup, DEADLOCK),
    port("missed_signal_on_error", conditions::missed_signal_on_error, DEADLOCK),
    port("notify_one_of_two_kinds", conditions::notify_one_of_two_kinds, DEADLOCK),
    port("permit_released_twice", conditions::permit_released_twice, "one task at a time"),
    port("queue_drops_one", atomics::queue_drops_one, "items come in order"),
    port("read_within_read", locks::read_within_read, DEADLOCK),
    port("sleep_as_synchronisation", locks::sleep_as_synchronisation, "all pages are written"),
    port("split_critical_section", locks::split_critical_section, "each page is in one list"),
    port("torn_optimistic_read", atomics::torn_optimistic_read, "both words are of one version"),
    port("unfair_lock_starves", atomics::unfair_lock_starves, "nobody is passed over twice"),
    port("upgrade_deadlock", conditions::upgrade_deadlock, DEADLOCK),
];

/// Specimens that shuttle cannot express, and why.
pub const NOT_PORTED: &[(&str, &str)] = &[
    ("deadline_restarted", "shuttle's waits never time out, and its clock is the real one"),
    ("four_millisecond_window", "shuttle has no time that passes with the run"),
    ("timeout_hides_answer", "shuttle's waits never time out"),
];

/// The specimen of a port.
pub fn specimen_of(port: &Port) -> Option<&'static Specimen> {
    programs().find(|specimen| specimen.name == port.name)
}

fn programs() -> impl Iterator<Item = &'static Specimen> {
    specimen::all().into_iter().filter(|specimen| specimen.family == Family::Concurrency)
}

/// Specimens without a port or a reason, and ports or reasons without a specimen.
pub fn gaps() -> Vec<&'static str> {
    let ports = ALL.iter().map(|port| port.name);
    let listed: Vec<_> = ports.chain(NOT_PORTED.iter().map(|(name, _)| *name)).collect();
    let names: Vec<_> = programs().map(|specimen| specimen.name).collect();
    let unlisted = names.iter().filter(|name| !listed.contains(name));
    let unknown = listed.iter().filter(|name| !names.contains(name));
    unlisted.chain(unknown).copied().collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
