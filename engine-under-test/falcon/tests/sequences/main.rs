//! Sequences on the simulated machine: each number once, whoever asks and whatever crashes come between.
//!
//! # Method
//!
//! Answers and refusals are met one by one. Then threads take numbers of one sequence until the power goes, and
//! all numbers of all boots are compared: none may come twice, and few may be left out.
//!
//! # Invariant
//!
//! A number counts as given out when the call has returned.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the model stands outside of the run"
)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use falcon::log::LogConfig;
use falcon::{Bug, Database, Error, Options};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_seam::time::Duration;
use falconry_sim::check::Sim;
use falconry_sim::choice::Choices;
use falconry_sim::disk::{DiskConfig, FsPreset};
use falconry_sim::fault::{Fault, When};
use falconry_sim::machine::{choose, is_off, opened};
use falconry_sim::{At, End, Ending, Machine, MachineConfig};

/// Numbers that are made durable at once, where that is not drawn.
const BATCH: i64 = 64;

fn small() -> Options {
    Options {
        sequence_batch: BATCH as u32,
        page_bytes: 1_024,
        cache_frames: 128,
        gopher_threads: 2,
        io_threads: 0,
        checkpoint_interval: Duration::from_millis(20),
        log: LogConfig {
            file_bytes: 128 << 10,
            file_bytes_max: 512 << 10,
            window_bytes: 32 << 10,
            window_count: 2,
            block_bytes: 4_096,
        },
        ..Options::default()
    }
}

fn on_machine(body: impl FnOnce(&Arc<dyn Disk>)) {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        body(&disk);
    });
}

fn check(database: &Database, sequences: u64) {
    let report = database.verify().expect("no fault");
    assert_eq!((report.sequences, report.problems), (sequences, Vec::new()));
}

#[test]
fn numbers_go_up_from_one_and_an_opening_leaves_out_a_batch_at_most() {
    on_machine(|disk| {
        let mut last = 0;
        for life in 0..3 {
            let database = match life {
                0 => Database::create(disk, &small()).expect("no fault"),
                _ => Database::open(disk, &small()).expect("no fault"),
            };
            let sequence = match life {
                0 => database.create_sequence("s").expect("no fault"),
                _ => database.sequence("s").expect("it is there"),
            };
            let first = sequence.next().expect("no fault");
            assert!((last + 1..=last + BATCH).contains(&first), "{first} after {last}");
            assert!(life > 0 || first == 1);
            last = first;
            for _ in 0..2 * BATCH {
                let next = sequence.next().expect("no fault");
                assert_eq!(next, last + 1);
                last = next;
            }
            let told = database.statistics();
            let count = 1 + 2 * BATCH.cast_unsigned();
            assert_eq!(told.get("sequence_numbers"), Some(count));
            assert_eq!(told.get("sequence_raises"), Some(3));
            check(&database, 1);
            database.close().expect("no fault");
        }
    });
}

#[test]
fn names_are_taken_refused_and_free_again() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let sequence = database.create_sequence("s").expect("no fault");
        assert_eq!(format!("{sequence:?} {}", sequence.name()), "Sequence(\"s\") s");
        let told = |error: Error| error.to_string();
        let taken = database.create_sequence("s").map(drop).map_err(told);
        assert_eq!(taken, Err("s cannot be made: there is one of this name".into()));
        let none = database.create_sequence("").map(drop).map_err(told);
        assert_eq!(none, Err(" cannot be made: a name has 1 to 128 bytes".into()));
        let unknown = database.drop_sequence("t").map_err(told);
        assert_eq!(unknown, Err("there is no sequence t".into()));

        for expected in 1..=3 {
            assert_eq!(sequence.next().expect("no fault"), expected);
        }
        database.drop_sequence("s").expect("it is there");
        let gone = sequence.clone().next().map_err(told);
        assert_eq!(gone, Err("the sequence s was dropped".into()));
        assert!(database.sequence("s").is_none());
        let anew = database.create_sequence("s").expect("the name is free");
        assert_eq!(anew.next().expect("no fault"), 1, "it has the place of the other one");
        assert!(sequence.next().is_err(), "and is not that");
        assert_eq!(database.sequence_names(), ["s"]);
        check(&database, 1);
        database.close().expect("no fault");
    });
}

#[test]
fn a_table_and_a_sequence_may_have_one_name() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        for _ in 0..3 {
            database.create_table(&falcon::TableSpec::new("n", 1)).expect("no fault");
            database.create_sequence("n").expect("no fault").next().expect("no fault");
            database.drop_table("n").expect("nobody uses it");
            assert_eq!(database.sequence("n").expect("it stays").next().expect("no fault"), 2);
            database.drop_sequence("n").expect("it is there");
        }
        check(&database, 0);
        database.close().expect("no fault");
    });
}

#[test]
fn sequences_fill_more_than_a_page_and_each_has_its_own_value() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        // A page of 1,024 bytes has 124.
        for number in 0..130 {
            let sequence = database.create_sequence(&format!("s{number}")).expect("there is room");
            for expected in 1..=number % 3 {
                assert_eq!(sequence.next().expect("no fault"), expected);
            }
        }
        check(&database, 130);
        database.close().expect("no fault");
        let database = Database::open(disk, &small()).expect("no fault");
        for number in 0..130 {
            let next = database.sequence(&format!("s{number}")).expect("it is there").next();
            let expected = if number % 3 == 0 { 1 } else { BATCH + 1 };
            assert_eq!(next.expect("no fault"), expected, "s{number}");
        }
        check(&database, 130);
        database.close().expect("no fault");
    });
}

const BOOTS: u32 = 5;
const THREADS: u64 = 4;

#[derive(Default)]
struct Met {
    numbers: AtomicU64,
    left_out: AtomicU64,
}

fn boot(
    disk: &Arc<dyn Disk>,
    options: &Options,
    given: &Mutex<BTreeSet<i64>>,
) -> falcon::Result<()> {
    let database = match Database::exists(&**disk)? {
        true => Database::open(disk, options)?,
        false => Database::create(disk, options)?,
    };
    if database.sequence("s").is_none() {
        assert!(is_off() || given.lock().expect("nobody panics").is_empty(), "it was there");
        database.create_sequence("s")?;
    }
    opened();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let sequence = database.sequence("s").expect("it is there");
                for _ in 0..choose("sequences/count", 60) {
                    let next = sequence.next();
                    if is_off() {
                        return;
                    }
                    let number = next.expect("nothing fails before the power goes");
                    let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
                    assert!(given.insert(number), "{number} came twice");
                }
            });
        }
    });
    database.close()
}

fn live(machine: &mut Machine, met: &Met) {
    let batch = [1, 4, BATCH][machine.run(|ctx| ctx.choose("sequences/batch", 3) as usize)];
    let options = Options { sequence_batch: batch as u32, ..small() };
    let given = Mutex::default();
    for _ in 0..BOOTS {
        let ending = machine.run(|ctx| {
            let at = At::DiskOp(1 + ctx.choose("crash/at", 120));
            match ctx.choose("crash/ending", 4) {
                0 => Ending::ProcessCrash(at),
                1 => Ending::Never,
                _ => Ending::PowerLoss(at),
            }
        });
        let end = machine.boot(ending, |ctx| {
            let end = boot(&ctx.disk(), &options, &given);
            assert!(end.is_ok() || is_off(), "{end:?}");
        });
        assert!(!matches!(end.end, End::Verdict(_)), "{:?}", end.end);
    }
    machine.run(|ctx| {
        let disk: Arc<dyn Disk> = ctx.disk();
        boot(&disk, &options, &given).expect("no fault");
        let database = Database::open(&disk, &small()).expect("no fault");
        check(&database, 1);
        database.close().expect("no fault");
    });
    let given = given.into_inner().unwrap_or_else(PoisonError::into_inner);
    let last = given.last().copied().unwrap_or_default();
    let left_out = last - given.len() as i64;
    // A boot leaves out a batch, and those that calls had when it was cut off.
    let left_out_max = i64::from(BOOTS + 1) * (batch + THREADS as i64);
    assert!(left_out <= left_out_max, "{left_out} left out of {last}");
    met.numbers.fetch_add(given.len() as u64, Relaxed);
    met.left_out.fetch_add(left_out.cast_unsigned(), Relaxed);
}

fn sim(fs: FsPreset, planted: &[Bug]) -> Sim {
    let disk = DiskConfig { fs, latency: false, ..DiskConfig::default() };
    let planted = planted.iter().map(Bug::to_string).collect();
    let mut sim = Sim::new("no_number_comes_twice").config(MachineConfig {
        disk,
        planted,
        ..MachineConfig::default()
    });
    for fault in Fault::ALL.iter().filter(|fault| fault.when() == When::PowerLoss) {
        sim = sim.fault(*fault, 1_000_000);
    }
    sim.fault(Fault::SpuriousWake, 10_000)
}

#[test]
fn no_number_comes_twice() {
    let met = Met::default();
    for fs in FsPreset::ALL {
        sim(fs, &[]).seeds(0..40).run(|machine| live(machine, &met));
    }
    let (numbers, left_out) = (met.numbers.load(Relaxed), met.left_out.load(Relaxed));
    println!("{numbers} numbers, {left_out} left out");
    assert!(numbers > 10_000 && left_out > 1_000, "{numbers} numbers, {left_out} left out");
}

#[test]
fn planted_bugs_of_sequences_are_found() {
    for bug in [Bug::SequenceRaisedInMemory, Bug::SequenceLowered] {
        let is_found = FsPreset::ALL.into_iter().any(|fs| {
            let met = Met::default();
            let run = || sim(fs, &[bug]).seeds(0..100).run(|machine| live(machine, &met));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
        });
        assert!(is_found, "{bug}");
    }
}
