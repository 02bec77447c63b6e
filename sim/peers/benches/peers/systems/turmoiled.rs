//! The works on turmoil: tasks of one host, three hosts for a start, its simulated files.
//!
//! Its hosts run on tokio's runtime with paused time, so the scheduling of tasks is tokio's own; what
//! turmoil adds is hosts, network and files.

use super::asynchronous;
use falconry_peers::clock::Stopwatch;
use falconry_peers::server::Round;
use falconry_peers::work::{BLOCK_BYTES, PEER_PENDING_MAX, PENDING_BLOCKS, Work};
use std::cell::Cell;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Duration;
use turmoil::fs::shim::std::fs::{File, OpenOptions};

const NODES: u64 = 3;
const STARTS: u64 = 200;
/// Few: with thousands of unsynced operations one takes milliseconds.
const DISK_OPERATIONS: u64 = 8;
/// Long enough for every sleep of a round, in virtual time.
const LIMIT: Duration = Duration::from_secs(1_000_000);

/// One round.
pub fn measure(work: Work) -> Option<Round> {
    match work {
        Work::Start => Some(start()),
        Work::Disk(pending) if pending <= PEER_PENDING_MAX => {
            Some(on_one_host(async move { disk(pending) }))
        }
        Work::DirtyFile(pending) if pending <= PEER_PENDING_MAX => {
            Some(on_one_host(async move { dirty_file(pending) }))
        }
        Work::Disk(_) | Work::DirtyFile(_) => None,
        _ => Some(on_one_host(async move {
            let start = Stopwatch::start();
            let operations = asynchronous::run(work).await;
            Round { operations, elapsed: start.elapsed() }
        })),
    }
}

fn start() -> Round {
    let start = Stopwatch::start();
    for seed in 0..STARTS {
        let mut sim = turmoil::Builder::new().rng_seed(seed).build();
        for node in 0..NODES {
            sim.client(format!("node{node}"), async { Ok(()) });
        }
        sim.run().expect("empty hosts end");
    }
    Round { operations: STARTS, elapsed: start.elapsed() }
}

fn on_one_host(work: impl Future<Output = Round> + 'static) -> Round {
    let mut sim = turmoil::Builder::new().rng_seed(1).simulation_duration(LIMIT).build();
    let answer = Rc::new(Cell::new(None));
    let result = Rc::clone(&answer);
    sim.client("host", async move {
        result.set(Some(work.await));
        Ok(())
    });
    sim.run().expect("the work ends");
    answer.get().expect("the work has ended")
}

fn disk(pending: u64) -> Round {
    write_pending(&open("/pending"), pending);
    let file = open("/file");
    let block = [7; BLOCK_BYTES];
    let mut back = [0; BLOCK_BYTES];
    let start = Stopwatch::start();
    for turn in 0..DISK_OPERATIONS {
        let offset = turn * BLOCK_BYTES as u64;
        file.write_all_at(&block, offset).expect("no fault is on");
        file.read_exact_at(&mut back, offset).expect("no fault is on");
        file.sync_data().expect("no fault is on");
    }
    let elapsed = start.elapsed();
    assert_eq!(back, block);
    Round { operations: DISK_OPERATIONS, elapsed }
}

fn dirty_file(pending: u64) -> Round {
    let file = open("/file");
    write_pending(&file, pending);
    let block = [7; BLOCK_BYTES];
    let mut back = [0; BLOCK_BYTES];
    let start = Stopwatch::start();
    for turn in 0..DISK_OPERATIONS {
        let offset = turn * BLOCK_BYTES as u64;
        file.write_all_at(&block, offset).expect("no fault is on");
        file.read_exact_at(&mut back, offset).expect("no fault is on");
    }
    let elapsed = start.elapsed();
    assert_eq!(back, block);
    Round { operations: DISK_OPERATIONS, elapsed }
}

fn open(path: &str) -> File {
    OpenOptions::new().read(true).write(true).create(true).open(path).expect("no fault is on")
}

fn write_pending(file: &File, pending: u64) {
    let block = [1; BLOCK_BYTES];
    for turn in 0..pending {
        let offset = turn % PENDING_BLOCKS * BLOCK_BYTES as u64;
        file.write_all_at(&block, offset).expect("no fault is on");
    }
}
