//! The works as tokio's tasks, for the systems that run them: tokio itself, and turmoil.

use falconry_peers::frames::{await_below_frames, sleep_length};
use falconry_peers::work::{TASKS, Work};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, yield_now};

const YIELDS: u64 = 20_000;
const LOCKS: u64 = 50_000;
const SLEEPS: u64 = 2_000;
const MESSAGES: u64 = 10_000;

/// Runs `work` to its end on the current runtime and returns how many operations that was.
pub async fn run(work: Work) -> u64 {
    match work {
        Work::Yield => each(|_| async { repeat_yield().await }).await,
        Work::YieldFrames => each(|_| async { repeat_yield_below_frames().await }).await,
        Work::Mutex => {
            let mutex = Arc::new(Mutex::new(0_u64));
            each(|_| lock(Arc::clone(&mutex))).await
        }
        Work::Sleep => each(sleep).await,
        Work::Channel => channel().await,
        Work::Start | Work::Disk(_) | Work::DirtyFile(_) => unreachable!("{work} is not for tasks"),
    }
}

async fn each<F: Future<Output = u64> + Send + 'static>(task: impl Fn(u64) -> F) -> u64 {
    let tasks: Vec<JoinHandle<u64>> = (0..TASKS).map(|index| tokio::spawn(task(index))).collect();
    let mut operations = 0;
    for task in tasks {
        operations += task.await.expect("a task of the benchmark does not panic");
    }
    operations
}

async fn repeat_yield() -> u64 {
    for _ in 0..YIELDS {
        yield_now().await;
    }
    YIELDS
}

async fn repeat_yield_below_frames() -> u64 {
    for _ in 0..YIELDS {
        await_below_frames(yield_now()).await;
    }
    YIELDS
}

async fn lock(mutex: Arc<Mutex<u64>>) -> u64 {
    for _ in 0..LOCKS {
        *mutex.lock().await += 1;
    }
    LOCKS
}

async fn sleep(task: u64) -> u64 {
    for turn in 0..SLEEPS {
        tokio::time::sleep(sleep_length(task, turn)).await;
    }
    SLEEPS
}

async fn channel() -> u64 {
    let mut tasks = Vec::new();
    for _ in 0..TASKS / 2 {
        let (to_pong, mut at_pong) = mpsc::unbounded_channel::<u64>();
        let (to_ping, mut at_ping) = mpsc::unbounded_channel::<u64>();
        tasks.push(tokio::spawn(async move {
            for turn in 0..MESSAGES {
                to_pong.send(turn).expect("the other end waits");
                assert_eq!(at_ping.recv().await, Some(turn));
            }
        }));
        tasks.push(tokio::spawn(async move {
            while let Some(turn) = at_pong.recv().await {
                to_ping.send(turn).expect("the other end waits");
            }
        }));
    }
    for task in tasks {
        task.await.expect("a task of the benchmark does not panic");
    }
    TASKS / 2 * MESSAGES * 2
}
