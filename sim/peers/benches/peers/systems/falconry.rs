//! The works on falconry-sim, every choice recorded and every event in the digest.
//!
//! The strategy is the one the peers have: at every scheduling point each task that can run is as
//! likely as any other. Files cost virtual time, faults are decided at every call and never come.

use falconry_peers::clock::Stopwatch;
use falconry_peers::frames::{FRAMES, below_frames, sleep_length};
use falconry_peers::server::Round;
use falconry_peers::work::{BLOCK_BYTES, PENDING_BLOCKS, TASKS, Work};
use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::sync::{Mutex, mpsc};
use falconry_seam::thread;
use falconry_sim::choice::Choices;
use falconry_sim::machine::{Machine, MachineConfig, StrategyKind};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const YIELDS: u64 = 20_000;
const LOCKS: u64 = 20_000;
const SLEEPS: u64 = 5_000;
const MESSAGES: u64 = 5_000;
const STARTS: u64 = 1_000;
const DISK_OPERATIONS: u64 = 1_000;
/// Blocks that the measured operations go round on.
const BLOCKS: u64 = 32;

/// One round.
pub fn measure(work: Work) -> Option<Round> {
    Some(match work {
        Work::Yield => each(YIELDS, |_| repeat_yield()),
        Work::YieldFrames => each(YIELDS, |_| repeat_yield_below_frames()),
        Work::Mutex => {
            let mutex = Arc::new(Mutex::new(0_u64));
            each(LOCKS, move |_| lock(&mutex))
        }
        Work::Sleep => each(SLEEPS, sleep),
        Work::Channel => on_a_machine(TASKS / 2 * MESSAGES * 2, channel),
        Work::Start => start(),
        Work::Disk(pending) => disk(pending, true),
        Work::DirtyFile(pending) => disk(pending, false),
    })
}

fn machine(seed: u64) -> Machine {
    let config = MachineConfig {
        strategy: Some(StrategyKind::Random { stretch: 1 }),
        steps_max: u64::MAX,
        ..MachineConfig::default()
    };
    Machine::new(config, Choices::from_seed(seed))
}

fn on_a_machine(operations: u64, program: impl FnOnce()) -> Round {
    let start = Stopwatch::start();
    let mut machine = machine(1);
    machine.run(|_| program());
    black_box(machine.digest());
    let elapsed = start.elapsed();
    Round { operations, elapsed }
}

fn each(turns: u64, task: impl Fn(u64) + Clone + Send + 'static) -> Round {
    on_a_machine(TASKS * turns, || {
        let spawn = |index| {
            let task = task.clone();
            thread::spawn(move || task(index))
        };
        let threads: Vec<_> = (0..TASKS).map(spawn).collect();
        for thread in threads {
            thread.join().expect("a task of the benchmark does not panic");
        }
    })
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

fn sleep(task: u64) {
    for turn in 0..SLEEPS {
        thread::sleep(sleep_length(task, turn));
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

fn start() -> Round {
    let start = Stopwatch::start();
    for seed in 0..STARTS {
        let mut machine = machine(seed);
        machine.run(|_| {
            let threads: Vec<_> = (0..TASKS).map(|_| thread::spawn(|| ())).collect();
            for thread in threads {
                thread.join().expect("an empty task ends");
            }
        });
        black_box(machine.digest());
    }
    Round { operations: STARTS, elapsed: start.elapsed() }
}

fn disk(pending: u64, sync_another: bool) -> Round {
    let mut machine = machine(1);
    let round = machine.run(|ctx| {
        let disk = ctx.disk();
        let dirty = open(&*disk, "pending");
        let block = [1; BLOCK_BYTES];
        for turn in 0..pending {
            let offset = turn % PENDING_BLOCKS * BLOCK_BYTES as u64;
            dirty.write_all_at(&block, offset).expect("no fault is on");
        }
        match sync_another {
            true => write_read_sync(&*open(&*disk, "file")),
            false => write_read(&*dirty),
        }
    });
    black_box(machine.digest());
    round
}

fn write_read_sync(file: &dyn File) -> Round {
    let block = [7; BLOCK_BYTES];
    let mut back = [0; BLOCK_BYTES];
    let start = Stopwatch::start();
    for turn in 0..DISK_OPERATIONS {
        let offset = turn % BLOCKS * BLOCK_BYTES as u64;
        file.write_all_at(&block, offset).expect("no fault is on");
        file.read_exact_at(&mut back, offset).expect("no fault is on");
        file.sync_data().expect("no fault is on");
    }
    let elapsed = start.elapsed();
    assert_eq!(back, block);
    Round { operations: DISK_OPERATIONS, elapsed }
}

fn write_read(file: &dyn File) -> Round {
    let block = [7; BLOCK_BYTES];
    let mut back = [0; BLOCK_BYTES];
    let start = Stopwatch::start();
    for turn in 0..DISK_OPERATIONS {
        let offset = turn % BLOCKS * BLOCK_BYTES as u64;
        file.write_all_at(&block, offset).expect("no fault is on");
        file.read_exact_at(&mut back, offset).expect("no fault is on");
    }
    let elapsed = start.elapsed();
    assert_eq!(back, block);
    Round { operations: DISK_OPERATIONS, elapsed }
}

fn open(disk: &dyn Disk, name: &str) -> Arc<dyn File> {
    disk.open(Path::new(name), &OpenOptions::CREATE).expect("no fault is on")
}
