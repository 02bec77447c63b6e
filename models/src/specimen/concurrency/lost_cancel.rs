//! A job is cancelled while a worker takes it; the worker notes that it runs, over the note that it
//! is cancelled.

use falconry_seam::sync::atomic::{AtomicU8, Ordering};
use falconry_seam::{always, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lost_cancel",
    family: Family::Concurrency,
    source: "a state machine whose step is a blind store; a class",
    bug: "the step to the next state does not make sure of the state that it leaves",
    faults: &[],
    body: Body::Program(program),
};

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;

#[derive(Default)]
struct Job {
    state: AtomicU8,
}

impl Job {
    fn step(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether it is the caller's to run.
    fn start(&self) -> bool {
        if planted!("lost_cancel") {
            let is_queued = self.state.load(Ordering::SeqCst) == QUEUED;
            if is_queued {
                self.state.store(RUNNING, Ordering::SeqCst);
            }
            is_queued
        } else {
            self.step(QUEUED, RUNNING)
        }
    }

    /// Whether it will not run.
    fn cancel(&self) -> bool {
        self.step(QUEUED, CANCELLED)
    }
}

fn program() {
    let job = Job::default();
    let (ran, cancelled) = thread::scope(|scope| {
        let worker = scope.spawn(|| job.start());
        let cancelled = job.cancel();
        (worker.join().unwrap_or(false), cancelled)
    });
    always!(ran != cancelled, "a job runs or is cancelled", "{ran}, {cancelled}");
}
