//! Two tasks announce that they want a room; each that sees the other's announcement takes its own
//! back and tries again. In step they do so for ever.

use std::time::Duration;

use falconry_seam::sync::Mutex;
use falconry_seam::{planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "livelock_of_polite_retries",
    family: Family::Concurrency,
    source: "'after you'-'after you' blocking (Dijkstra, Cooperating sequential processes, 1965)",
    bug: "both give way, where one of the two would be enough",
    faults: &[],
    body: Body::Program(program),
};

/// How long each is patient, and how long an announcement stands before its effect is looked at.
const PAUSE: Duration = Duration::from_millis(1);

/// Whether each of the two wants the room.
type Wants = [Mutex<bool>; 2];

fn enter(wants: &Wants, me: usize) {
    let other = 1 - me;
    announce(wants, me);
    while *lock(&wants[other]) {
        if planted!("livelock_of_polite_retries") {
            thread::sleep(PAUSE);
            leave(wants, me);
            thread::sleep(PAUSE);
            announce(wants, me);
        } else if me == 0 {
            thread::sleep(PAUSE);
        } else {
            leave(wants, me);
            while *lock(&wants[other]) {
                thread::sleep(PAUSE);
            }
            announce(wants, me);
        }
    }
}

fn announce(wants: &Wants, me: usize) {
    *lock(&wants[me]) = true;
    thread::sleep(PAUSE);
}

fn leave(wants: &Wants, me: usize) {
    *lock(&wants[me]) = false;
}

fn program() {
    let wants = Wants::default();
    thread::scope(|scope| {
        for me in 0..2 {
            let wants = &wants;
            scope.spawn(move || {
                enter(wants, me);
                leave(wants, me);
            });
        }
    });
}
