//! The works on shuttle, its random scheduler without a bound on steps.
//!
//! It has threads and locks but no time that passes and no files.

use falconry_peers::clock::Stopwatch;
use falconry_peers::frames::{FRAMES, below_frames};
use falconry_peers::server::Round;
use falconry_peers::work::{TASKS, Work};
use shuttle::scheduler::RandomScheduler;
use shuttle::sync::{Arc, Mutex, mpsc};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner, thread};

const YIELDS: u64 = 10_000;
const LOCKS: u64 = 3_000;
const MESSAGES: u64 = 2_000;
const STARTS: usize = 200;

/// One round.
pub fn measure(work: Work) -> Option<Round> {
    match work {
        Work::Yield => Some(once(TASKS * YIELDS, || each(repeat_yield))),
        Work::YieldFrames => Some(once(TASKS * YIELDS, || each(repeat_yield_below_frames))),
        Work::Mutex => Some(once(TASKS * LOCKS, || {
            let mutex = Arc::new(Mutex::new(0_u64));
            each(move || lock(&mutex));
        })),
        Work::Channel => Some(once(TASKS / 2 * MESSAGES * 2, channel)),
        Work::Start => Some(run(STARTS as u64, STARTS, || each(|| ()))),
        Work::Sleep | Work::Disk(_) | Work::DirtyFile(_) => None,
    }
}

fn once(operations: u64, program: impl Fn() + Send + Sync + 'static) -> Round {
    run(operations, 1, program)
}

fn run(operations: u64, times: usize, program: impl Fn() + Send + Sync + 'static) -> Round {
    let mut config = Config::new();
    config.max_steps = MaxSteps::None;
    config.failure_persistence = FailurePersistence::None;
    let runner = Runner::new(RandomScheduler::new_from_seed(1, times), config);
    let start = Stopwatch::start();
    runner.run(program);
    Round { operations, elapsed: start.elapsed() }
}

fn each(task: impl Fn() + Clone + Send + 'static) {
    let threads: Vec<_> = (0..TASKS).map(|_| thread::spawn(task.clone())).collect();
    for thread in threads {
        thread.join().expect("a task of the benchmark does not panic");
    }
}

fn repeat_yield() {
    for _ in 0..YIELDS {
        thread::yield_now();
    }
}

fn repeat_yield_below_frames() {
    for _ in 0..YIELDS {
        below_frames(FRAMES, &thread::yield_now);
    }
}

fn lock(mutex: &Mutex<u64>) {
    for _ in 0..LOCKS {
        *mutex.lock().expect("nobody panics") += 1;
    }
}

fn channel() {
    let mut threads = Vec::new();
    for _ in 0..TASKS / 2 {
        let (to_pong, at_pong) = mpsc::channel::<u64>();
        let (to_ping, at_ping) = mpsc::channel::<u64>();
        threads.push(thread::spawn(move || {
            for turn in 0..MESSAGES {
                to_pong.send(turn).expect("the other end waits");
                assert_eq!(at_ping.recv(), Ok(turn));
            }
        }));
        threads.push(thread::spawn(move || {
            while let Ok(turn) = at_pong.recv() {
                to_ping.send(turn).expect("the other end waits");
            }
        }));
    }
    for thread in threads {
        thread.join().expect("a task of the benchmark does not panic");
    }
}
