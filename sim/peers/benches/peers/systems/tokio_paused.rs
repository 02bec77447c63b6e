//! The works on tokio's own runtime of one thread, its time paused.
//!
//! There is no choice here and nothing to replay: it is the floor that a simulator of futures stands
//! on. Its mutex is no scheduling point while it is free.

use super::asynchronous;
use falconry_peers::clock::Stopwatch;
use falconry_peers::server::Round;
use falconry_peers::work::{TASKS, Work};
use tokio::runtime::{Builder, Runtime};

const STARTS: u64 = 500;

/// One round; tokio simulates no files.
pub fn measure(work: Work) -> Option<Round> {
    match work {
        Work::Start => Some(start()),
        Work::Disk(_) | Work::DirtyFile(_) => None,
        _ => {
            let runtime = runtime();
            let start = Stopwatch::start();
            let operations = runtime.block_on(asynchronous::run(work));
            Some(Round { operations, elapsed: start.elapsed() })
        }
    }
}

fn start() -> Round {
    let start = Stopwatch::start();
    for _ in 0..STARTS {
        runtime().block_on(async {
            let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(async {})).collect();
            for task in tasks {
                task.await.expect("an empty task ends");
            }
        });
    }
    Round { operations: STARTS, elapsed: start.elapsed() }
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread needs nothing that can fail")
}
