//! Concurrent programs, each with one bug of the known small benchmark families.

mod aba;
mod barrier_without_generation;
mod check_then_act;
mod child_before_parent;
mod deadline_restarted;
mod deadlock_by_order;
mod double_free_by_losers;
mod empty_spin_loop;
mod four_millisecond_window;
mod half_published_value;
mod if_not_while;
mod livelock_of_polite_retries;
mod lock_of_one_process;
mod lost_cancel;
mod lost_update;
mod lost_wakeup;
mod missed_signal_on_error;
mod notify_one_of_two_kinds;
mod permit_released_twice;
mod queue_drops_one;
mod read_within_read;
mod sleep_as_synchronisation;
mod split_critical_section;
mod timeout_hides_answer;
mod torn_optimistic_read;
mod unfair_lock_starves;
mod upgrade_deadlock;

use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Specimen;

/// All of them.
pub(super) static ALL: &[&Specimen] = &[
    &aba::SPECIMEN,
    &barrier_without_generation::SPECIMEN,
    &check_then_act::SPECIMEN,
    &child_before_parent::SPECIMEN,
    &deadline_restarted::SPECIMEN,
    &deadlock_by_order::SPECIMEN,
    &double_free_by_losers::SPECIMEN,
    &empty_spin_loop::SPECIMEN,
    &four_millisecond_window::SPECIMEN,
    &half_published_value::SPECIMEN,
    &if_not_while::SPECIMEN,
    &livelock_of_polite_retries::SPECIMEN,
    &lock_of_one_process::SPECIMEN,
    &lost_cancel::SPECIMEN,
    &lost_update::SPECIMEN,
    &lost_wakeup::SPECIMEN,
    &missed_signal_on_error::SPECIMEN,
    &notify_one_of_two_kinds::SPECIMEN,
    &permit_released_twice::SPECIMEN,
    &queue_drops_one::SPECIMEN,
    &read_within_read::SPECIMEN,
    &sleep_as_synchronisation::SPECIMEN,
    &split_critical_section::SPECIMEN,
    &timeout_hides_answer::SPECIMEN,
    &torn_optimistic_read::SPECIMEN,
    &unfair_lock_starves::SPECIMEN,
    &upgrade_deadlock::SPECIMEN,
];

#[track_caller]
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[track_caller]
fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
