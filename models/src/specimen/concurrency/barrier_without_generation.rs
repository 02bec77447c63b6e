//! A barrier opens when all have come, and counts down as they go. A fast task is at it again before
//! a slow one has gone through.

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::{always, planted, thread};

use super::{lock, wait};
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "barrier_without_generation",
    family: Family::Concurrency,
    source: "a barrier that is used again too soon; a class",
    bug: "who waits asks whether the barrier is open and not whether its own generation is over",
    faults: &[],
    body: Body::Program(program),
};

const TASKS: u64 = 2;
const PHASES: u64 = 3;

#[derive(Default)]
struct Barrier {
    /// How many have come, and the generation.
    arrived: Mutex<(u64, u64)>,
    opened: Condvar,
}

impl Barrier {
    fn pass(&self) {
        let mut state = lock(&self.arrived);
        let generation = state.1;
        state.0 += 1;
        if state.0 == TASKS {
            *state = (0, generation + 1);
            self.opened.notify_all();
        }
        while self.is_shut(*state, generation) {
            state = wait(&self.opened, state);
        }
    }

    fn is_shut(&self, (arrived, now): (u64, u64), generation: u64) -> bool {
        if planted!("barrier_without_generation") { arrived > 0 } else { now == generation }
    }
}

fn program() {
    let barrier = Barrier::default();
    let reached = Mutex::new([0; TASKS as usize]);
    thread::scope(|scope| {
        for me in 0..TASKS as usize {
            let (barrier, reached) = (&barrier, &reached);
            scope.spawn(move || {
                for phase in 1..=PHASES {
                    lock(reached)[me] = phase;
                    barrier.pass();
                    let least = lock(reached).iter().copied().min();
                    always!(least >= Some(phase), "nobody is a phase behind", "{least:?}");
                }
            });
        }
    });
}
