//! The works on madsim.
//!
//! Its runtime makes clocks virtual for whoever asks from inside, so every stretch is timed around
//! `block_on`, where the clock is the real one.

// Without the cfg madsim is a thin layer over the real system: nothing that could be compared.
#[cfg(not(madsim))]
compile_error!("build with `--cfg madsim`, as `cargo peers` does");

use falconry_peers::clock::Stopwatch;
use falconry_peers::frames::{await_below_frames, sleep_length};
use falconry_peers::server::{self, Round};
use falconry_peers::work::{BLOCK_BYTES, PEER_PENDING_MAX, PENDING_BLOCKS, TASKS, Work};
use madsim::fs::File;
use madsim::runtime::Runtime;
use madsim::{Config, task, time};
use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

const YIELDS: u64 = 10_000;
const LOCKS: u64 = 50_000;
const SLEEPS: u64 = 2_000;
const MESSAGES: u64 = 5_000;
const NODES: u64 = 3;
const STARTS: u64 = 200;
const DISK_OPERATIONS: u64 = 2_000;

fn main() -> io::Result<()> {
    server::serve(measure)
}

fn measure(work: Work) -> Option<Round> {
    match work {
        Work::Yield => Some(each(YIELDS, |_| async { repeat_yield().await })),
        Work::YieldFrames => Some(each(YIELDS, |_| async { repeat_yield_below_frames().await })),
        Work::Mutex => {
            let mutex = Arc::new(Mutex::new(0_u64));
            Some(each(LOCKS, |_| lock(Arc::clone(&mutex))))
        }
        Work::Sleep => Some(each(SLEEPS, sleep)),
        Work::Channel => Some(timed(&runtime(), TASKS / 2 * MESSAGES * 2, channel())),
        Work::Start => Some(start()),
        Work::Disk(pending) if pending <= PEER_PENDING_MAX => Some(disk(pending, true)),
        Work::DirtyFile(pending) if pending <= PEER_PENDING_MAX => Some(disk(pending, false)),
        Work::Disk(_) | Work::DirtyFile(_) => None,
    }
}

fn runtime() -> Runtime {
    Runtime::with_seed_and_config(1, Config::default())
}

fn timed(runtime: &Runtime, operations: u64, work: impl Future<Output = ()>) -> Round {
    let start = Stopwatch::start();
    runtime.block_on(work);
    Round { operations, elapsed: start.elapsed() }
}

fn each<F>(turns: u64, work: impl Fn(u64) -> F) -> Round
where
    F: Future<Output = ()> + Send + 'static,
{
    timed(&runtime(), TASKS * turns, async {
        let tasks: Vec<_> = (0..TASKS).map(|index| task::spawn(work(index))).collect();
        for task in tasks {
            task.await.expect("a task of the benchmark does not panic");
        }
    })
}

async fn repeat_yield() {
    for _ in 0..YIELDS {
        task::yield_now().await;
    }
}

async fn repeat_yield_below_frames() {
    for _ in 0..YIELDS {
        await_below_frames(task::yield_now()).await;
    }
}

async fn lock(mutex: Arc<Mutex<u64>>) {
    for _ in 0..LOCKS {
        *mutex.lock().await += 1;
    }
}

async fn sleep(task: u64) {
    for turn in 0..SLEEPS {
        time::sleep(sleep_length(task, turn)).await;
    }
}

async fn channel() {
    let mut tasks = Vec::new();
    for _ in 0..TASKS / 2 {
        let (to_pong, mut at_pong) = mpsc::unbounded_channel::<u64>();
        let (to_ping, mut at_ping) = mpsc::unbounded_channel::<u64>();
        tasks.push(task::spawn(async move {
            for turn in 0..MESSAGES {
                to_pong.send(turn).expect("the other end waits");
                assert_eq!(at_ping.recv().await, Some(turn));
            }
        }));
        tasks.push(task::spawn(async move {
            while let Some(turn) = at_pong.recv().await {
                to_ping.send(turn).expect("the other end waits");
            }
        }));
    }
    for task in tasks {
        task.await.expect("a task of the benchmark does not panic");
    }
}

fn start() -> Round {
    let start = Stopwatch::start();
    for seed in 0..STARTS {
        let runtime = Runtime::with_seed_and_config(seed, Config::default());
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for _ in 0..NODES {
                let node = madsim::runtime::Handle::current().create_node().build();
                tasks.push(node.spawn(async {}));
            }
            for task in tasks {
                task.await.expect("an empty task ends");
            }
        });
    }
    Round { operations: STARTS, elapsed: start.elapsed() }
}

/// Its files keep nothing back: what is unsynced is the same to them as what is not.
fn disk(pending: u64, sync_another: bool) -> Round {
    let runtime = runtime();
    let (dirty, clean) = runtime.block_on(async {
        let dirty = File::create("/pending").await.expect("no fault is on");
        let clean = File::create("/file").await.expect("no fault is on");
        let block = [1; BLOCK_BYTES];
        for turn in 0..pending {
            let offset = turn % PENDING_BLOCKS * BLOCK_BYTES as u64;
            dirty.write_all_at(&block, offset).await.expect("no fault is on");
        }
        (dirty, clean)
    });
    let (file, blocks) = if sync_another { (clean, 32) } else { (dirty, pending) };
    timed(&runtime, DISK_OPERATIONS, async move {
        let block = [7; BLOCK_BYTES];
        let mut back = [0; BLOCK_BYTES];
        for turn in 0..DISK_OPERATIONS {
            let offset = turn % blocks * BLOCK_BYTES as u64;
            file.write_all_at(&block, offset).await.expect("no fault is on");
            let count = file.read_at(&mut back, offset).await.expect("no fault is on");
            assert_eq!(count, BLOCK_BYTES);
            if sync_another {
                file.sync_all().await.expect("no fault is on");
            }
        }
        assert_eq!(back, block);
    })
}
