//! The clock of the measurements: processor time of the calling OS thread.
//!
//! Every system here runs its tasks on one OS thread and waits for nothing real, so the time that its
//! thread spent is the time that the work took, and what else runs on the host is left out.

use std::time::Duration;

/// A stretch of processor time that began when this was made.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Stopwatch {
        Stopwatch(thread_time())
    }

    /// What the calling OS thread, the one that started it, has spent since.
    pub fn elapsed(&self) -> Duration {
        thread_time() - self.0
    }
}

fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a structure of the right type that lives through the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "every Linux has a clock for the time of a thread");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn work_takes_time_and_sleep_takes_none_to_speak_of() {
        let work = Stopwatch::start();
        let mut sum = 0_u64;
        while work.elapsed() < Duration::from_millis(20) {
            sum = black_box(sum + 1);
        }
        let sleep = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(20));
        assert!(sleep.elapsed() < work.elapsed());
    }
}
