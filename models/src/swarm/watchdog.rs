//! Ends a worker whose machine stands still: the engine waits in a real lock, or loops.
//!
//! # Method
//!
//! A thread without a machine looks at the process's count of steps every half second. It counts its
//! own looks and no clock, so a process that was stopped for a while is not taken for a hanging one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use falconry_sim::{last_call, progress};

use super::protocol::{Blocked, FromWorker};
use super::worker::{Voice, end_at_once};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks without a step after which the machine is taken to be blocked: 5 s.
const LOOKS_MAX: u32 = 10;

/// Looks between two signs of life to the parent.
const LOOKS_PER_SIGN: u32 = 2;

/// Watches the runs of this process.
pub struct Watchdog {
    /// Odd while a run is under way; goes on by one at its start and at its end.
    runs: Arc<AtomicU64>,
}

/// A run under way; dropping it ends the watch.
pub struct Watched<'a>(&'a Watchdog);

impl Watchdog {
    /// Starts the thread.
    pub fn start(voice: Voice) -> Watchdog {
        let runs = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&runs);
        let watch = move || watch(&seen, &voice);
        thread::Builder::new().name("watchdog".into()).spawn(watch).expect("a thread to watch");
        Watchdog { runs }
    }

    /// A run begins.
    pub fn watch(&self) -> Watched<'_> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        Watched(self)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.runs.fetch_add(1, Ordering::Relaxed);
    }
}

fn watch(runs: &AtomicU64, voice: &Voice) {
    let mut before = (0, 0);
    let mut cpu_before = cpu_time();
    let mut looks = 0;
    for look in 1u32.. {
        thread::sleep(LOOK_EVERY);
        let now = (runs.load(Ordering::Relaxed), progress());
        let is_running = now.0 % 2 == 1;
        if is_running && look % LOOKS_PER_SIGN == 0 {
            voice.say(&FromWorker::Alive);
        }
        if !is_running || now != before {
            (before, looks, cpu_before) = (now, 0, cpu_time());
            continue;
        }
        looks += 1;
        if looks >= LOOKS_MAX {
            let used = cpu_time().saturating_sub(cpu_before);
            // One who waits uses no processor; one who loops uses about all of it.
            let is_waiting = used < LOOK_EVERY * LOOKS_MAX / 4;
            let verdict =
                if is_waiting { "blocked in a real lock" } else { "loops without a step" };
            let blocked = Blocked { verdict: verdict.into(), call: call_text() };
            voice.say(&FromWorker::Blocked(blocked));
            end_at_once(1);
        }
    }
}

/// Processor time of this process.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local that lives through the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "the clock of the process cannot be read");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Which task ran last, and in which call of the engine, as far as its adapter announces them.
fn call_text() -> String {
    let (task, call) = last_call();
    match call {
        Some(call) => format!("task {task} in {call}"),
        None => format!("task {task}"),
    }
}
