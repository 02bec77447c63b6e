//! Ctrl-C: the first asks for an end, the second ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use super::worker::end_at_once;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Exit status of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// From now on the first Ctrl-C only asks.
pub fn install() {
    let result = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            // Workers end by themselves when their pipes close.
            end_at_once(INTERRUPTED);
        }
    });
    // Without a handler Ctrl-C ends the program at once, which loses only the summary.
    drop(result);
}

/// Whether somebody asked for an end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
