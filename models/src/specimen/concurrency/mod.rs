//! Concurrent programs, each with one bug of the known small benchmark families.

mod aba;
mod check_then_act;
mod deadline_restarted;
mod deadlock_by_order;
mod double_free_by_losers;
mod empty_spin_loop;
mod four_millisecond_window;
mod half_published_value;
mod livelock_of_polite_retries;
mod lock_of_one_process;
mod lost_update;
mod lost_wakeup;
mod missed_signal_on_error;
mod notify_one_of_two_kinds;
mod queue_drops_one;
mod read_within_read;
mod sleep_as_synchronisation;
mod timeout_hides_answer;
mod unfair_lock_starves;
mod upgrade_deadlock;

use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Specimen;

/// All of them.
pub(super) static ALL: &[&Specimen] = &[
    &aba::SPECIMEN,
    &check_then_act::SPECIMEN,
    &deadline_restarted::SPECIMEN,
    &deadlock_by_order::SPECIMEN,
    &double_free_by_losers::SPECIMEN,
    &empty_spin_loop::SPECIMEN,
    &four_millisecond_window::SPECIMEN,
    &half_published_value::SPECIMEN,
    &livelock_of_polite_retries::SPECIMEN,
    &lock_of_one_process::SPECIMEN,
    &lost_update::SPECIMEN,
    &lost_wakeup::SPECIMEN,
    &missed_signal_on_error::SPECIMEN,
    &notify_one_of_two_kinds::SPECIMEN,
    &queue_drops_one::SPECIMEN,
    &read_within_read::SPECIMEN,
    &sleep_as_synchronisation::SPECIMEN,
    &timeout_hides_answer::SPECIMEN,
    &unfair_lock_starves::SPECIMEN,
    &upgrade_deadlock::SPECIMEN,
];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
