//! A reader whose wait timed out goes away empty-handed, although the reply came before it had the
//! lock again.

use std::time::Duration;

use falconry_seam::sync::{Condvar, Mutex, PoisonError};
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "timeout_hides_answer",
    family: Family::Concurrency,
    source: "a time-out that is taken for the absence of what was waited for; a class",
    bug: "the result of the wait is looked at and the condition is not",
    faults: &[],
    body: Body::Program(program),
};

const TIMEOUT: Duration = Duration::from_micros(10);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    Waiting,
    Answered,
    GivenUp,
}

#[derive(Default)]
struct Line {
    call: Mutex<Call>,
    changed: Condvar,
}

impl Line {
    /// Whether anybody was there to take it.
    fn answer(&self) -> bool {
        let mut call = lock(&self.call);
        if *call == Call::Waiting {
            *call = Call::Answered;
            self.changed.notify_one();
        }
        *call == Call::Answered
    }

    /// Whether there was an answer in time.
    fn ask(&self) -> bool {
        let mut call = lock(&self.call);
        while *call == Call::Waiting {
            let result;
            (call, result) =
                self.changed.wait_timeout(call, TIMEOUT).unwrap_or_else(PoisonError::into_inner);
            let is_open = planted!("timeout_hides_answer") || *call == Call::Waiting;
            if result.timed_out() && is_open {
                *call = Call::GivenUp;
            }
        }
        *call == Call::Answered
    }
}

fn program() {
    let line = Line::default();
    let (given, got) = thread::scope(|scope| {
        let given = scope.spawn(|| {
            thread::sleep(TIMEOUT);
            line.answer()
        });
        let got = line.ask();
        (given.join().unwrap_or(false), got)
    });
    always!(given == got, "an answer that was given was got", "{given}, {got}");
}
