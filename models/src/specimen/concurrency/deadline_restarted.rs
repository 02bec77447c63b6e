//! A reader waits for a reply and gives up after a time-out, which begins anew whenever something
//! else wakes it.

use std::time::Duration;

use falconry_seam::sync::{Condvar, Mutex, PoisonError};
use falconry_seam::time::Instant;
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "deadline_restarted",
    family: Family::Concurrency,
    source: "a time-out for each wait in place of a deadline for all; a class",
    bug: "each wake-up gives the wait its whole time again",
    faults: &[],
    body: Body::Program(program),
};

const TIMEOUT: Duration = Duration::from_millis(25);
const BETWEEN_NEWS: Duration = Duration::from_millis(10);
const NEWS: u32 = 6;
/// What comes within the time-out, and what a machine that slept over its end finds due with it.
const NEWS_MAX: u32 = 4;

#[derive(Default)]
struct Board {
    news: Mutex<u32>,
    changed: Condvar,
}

impl Board {
    fn post(&self) {
        *lock(&self.news) += 1;
        self.changed.notify_one();
    }

    /// Waits for a reply, which never comes. Returns how much other news there was.
    fn wait_for_reply(&self) -> u32 {
        let mut news = lock(&self.news);
        let deadline = Instant::now() + TIMEOUT;
        let before = *news;
        let mut left = TIMEOUT;
        while !left.is_zero() {
            let result;
            (news, result) =
                self.changed.wait_timeout(news, left).unwrap_or_else(PoisonError::into_inner);
            left = if planted!("deadline_restarted") && !result.timed_out() {
                TIMEOUT
            } else {
                deadline.saturating_duration_since(Instant::now())
            };
        }
        *news - before
    }
}

fn program() {
    let board = Board::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let news = board.wait_for_reply();
            always!(news <= NEWS_MAX, "a wait ends at its deadline", "{news} news later");
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..NEWS / 2 {
                    thread::sleep(BETWEEN_NEWS * 2);
                    board.post();
                }
            });
        }
    });
}
