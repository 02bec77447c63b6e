//! The power goes at every step of programs that make it hard to end them.
//!
//! Each program runs in a process of its own, so that one that aborts fails its test alone.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use falconry_seam::disk::{Disk, OpenOptions};
use falconry_seam::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use falconry_seam::{foreign, thread};
use falconry_sim::choice::Choices;
use falconry_sim::{At, Boot, Ctx, End, Ending, Machine, MachineConfig, MachineCounters};

const CHILD: &str = "FALCONRY_TEST_CHILD";

/// Runs the test of this name in a child process, unless this is the child.
fn in_child(name: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} ended with {}:\n{text}", output.status);
    assert!(text.contains("1 passed"), "{name} did not run:\n{text}");
}

/// Cuts the power at step 1, 2, … of `program` until it ends first, under several schedules, and
/// returns the counters of all machines together: boots, power losses and abandoned tasks.
fn cut_everywhere(program: impl Fn(&Ctx)) -> MachineCounters {
    let mut sum = MachineCounters::default();
    for seed in 0..6 {
        for step in 1..400 {
            let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
            let Boot { end, .. } =
                machine.boot(Ending::PowerLoss(At::Step(step)), |ctx| program(ctx));
            let counters = machine.counters();
            sum.boots += counters.boots;
            sum.power_losses += counters.power_losses;
            sum.abandoned += counters.abandoned;
            match end {
                End::PowerLoss => {}
                End::Returned(()) => break,
                other => panic!("seed {seed}, step {step}: {other:?}"),
            }
        }
    }
    assert!(sum.power_losses > 20, "{sum:?}");
    sum
}

fn open(disk: &dyn Disk) -> std::io::Result<()> {
    disk.open(Path::new("file"), &OpenOptions::CREATE)?.write_all_at(b"bytes", 0)
}

#[test]
fn inside_every_kind_of_call() {
    in_child("inside_every_kind_of_call", || {
        let counters = cut_everywhere(|ctx| {
            let disk = ctx.disk();
            let shared = Arc::new((Mutex::new(0), Condvar::new(), RwLock::new(0), Barrier::new(2)));
            let (sender, receiver) = mpsc::channel();
            let other = shared.clone();
            let task = thread::spawn(move || {
                let _ = open(&*disk);
                *other.2.write().unwrap() += 1;
                thread::sleep(Duration::from_millis(1));
                *other.0.lock().unwrap() = 1;
                other.1.notify_all();
                let _ = sender.send(1);
                other.3.wait();
                thread::park_timeout(Duration::from_millis(1));
            });
            let mut held = shared.0.lock().unwrap();
            while *held == 0 {
                held = shared.1.wait(held).unwrap();
            }
            drop(held);
            let _ = receiver.recv();
            shared.3.wait();
            let _ = *shared.2.read().unwrap();
            task.thread().unpark();
            let _ = task.join();
        });
        assert_eq!(counters.abandoned, 0);
    });
}

#[test]
fn guards_are_held() {
    in_child("guards_are_held", || {
        let counters = cut_everywhere(|_| {
            let std_lock = Arc::new(std::sync::Mutex::new(0));
            let other_lock = Arc::new(parking_lot::Mutex::new(0));
            let seam_lock = Arc::new(Mutex::new(0));
            let task = {
                let (std_lock, other_lock) = (std_lock.clone(), other_lock.clone());
                let seam_lock = seam_lock.clone();
                thread::spawn(move || {
                    for _ in 0..3 {
                        let seam = seam_lock.lock().unwrap();
                        let standard = std_lock.lock().unwrap();
                        let other = other_lock.lock();
                        thread::yield_now();
                        drop((other, standard, seam));
                    }
                })
            };
            for _ in 0..3 {
                let _seam = seam_lock.lock().unwrap();
                let _standard = std_lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let _other = other_lock.lock();
                thread::sleep(Duration::from_micros(1));
            }
            let _ = task.join();
            assert!(other_lock.try_lock().is_some(), "a guard of an ended task is still held");
        });
        assert_eq!(counters.abandoned, 0);
    });
}

/// Does something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_destructor_does_io() {
    in_child("a_destructor_does_io", || {
        let counters = cut_everywhere(|ctx| {
            let (disk, lock) = (ctx.disk(), Mutex::new(()));
            let _flush = OnDrop(|| {
                let _held = lock.lock().unwrap();
                let _ = open(&*disk);
            });
            let forever = Condvar::new();
            let held = lock.lock().unwrap();
            let _ = forever.wait_timeout(held, Duration::from_secs(1));
            (0..5).for_each(|_| thread::yield_now());
        });
        assert_eq!(counters.abandoned, 0);
    });
}

#[test]
fn a_destructor_panics_on_an_io_error() {
    in_child("a_destructor_panics_on_an_io_error", || {
        let counters = cut_everywhere(|ctx| {
            let disk = ctx.disk();
            let file = disk.open(Path::new("file"), &OpenOptions::CREATE);
            let _flush = OnDrop(|| {
                if let Ok(file) = &file {
                    file.write_all_at(b"last words", 0).unwrap();
                    file.sync_data().unwrap();
                }
            });
            // Nobody ever unparks it, so it is unwound.
            let waits = thread::spawn(thread::park);
            (0..5).for_each(|_| thread::yield_now());
            waits.thread().unpark();
            let _ = waits.join();
        });
        assert_eq!(counters.abandoned, 0);
    });
}

#[test]
fn the_payload_is_swallowed_once() {
    in_child("the_payload_is_swallowed_once", || {
        let counters = cut_everywhere(|_| {
            let never = Arc::new(AtomicBool::new(false));
            let task = thread::spawn(move || {
                let swallowed = catch_unwind(AssertUnwindSafe(|| {
                    while !never.load(Ordering::Relaxed) {
                        thread::park_timeout(Duration::from_micros(1));
                        if falconry_sim::now_ns() > 10_000 {
                            return;
                        }
                    }
                }));
                if swallowed.is_err() {
                    thread::yield_now();
                }
            });
            task.join().unwrap();
        });
        assert_eq!(counters.abandoned, 0);
    });
}

#[test]
fn the_payload_is_swallowed_in_a_loop() {
    in_child("the_payload_is_swallowed_in_a_loop", || {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
        let boot = machine.boot(Ending::PowerLoss(At::Step(50)), |_| {
            thread::spawn(|| {
                loop {
                    let _ = catch_unwind(thread::park);
                }
            });
            (0..100).for_each(|_| thread::yield_now());
        });
        assert!(matches!(boot.end, End::PowerLoss), "{:?}", boot.end);
        assert_eq!(machine.counters().abandoned, 1);
    });
}

extern "C" fn through_c(call: extern "C" fn()) {
    call();
}

#[test]
fn a_foreign_frame_is_on_the_stack() {
    in_child("a_foreign_frame_is_on_the_stack", || {
        extern "C" fn waits() {
            (0..3).for_each(|_| thread::sleep(Duration::from_micros(1)));
        }
        let counters = cut_everywhere(|_| {
            let tasks: Vec<_> =
                (0..2).map(|_| thread::spawn(|| foreign(|| through_c(waits)))).collect();
            tasks.into_iter().for_each(|task| drop(task.join()));
        });
        assert_eq!(counters.abandoned, 0, "calls that can fail let it return");

        extern "C" fn waits_for_ever() {
            thread::park();
        }
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
        machine.boot(Ending::PowerLoss(At::Step(40)), |_| {
            thread::spawn(|| foreign(|| through_c(waits_for_ever)));
            (0..100).for_each(|_| thread::yield_now());
        });
        assert_eq!(machine.counters().abandoned, 1, "what will not return is left behind");
    });
}

#[test]
fn preempted_in_a_destructor_while_another_panics() {
    in_child("preempted_in_a_destructor_while_another_panics", || {
        for seed in 0..200 {
            let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
            machine.boot(Ending::PowerLoss(At::Step(20 + seed % 40)), |_| {
                let lock = Arc::new(Mutex::new(()));
                let other = lock.clone();
                let careful = thread::spawn(move || {
                    let _waits = OnDrop(|| {
                        let _held = other.lock();
                        (0..5).for_each(|_| thread::yield_now());
                    });
                    thread::yield_now();
                });
                let panics = thread::spawn(move || {
                    let _waits = OnDrop(|| drop(lock.lock()));
                    thread::yield_now();
                    let _ = falconry_seam::catch_unwind(|| {
                        let _waits = OnDrop(|| drop(lock.lock()));
                        panic!("on purpose")
                    });
                    (0..5).for_each(|_| thread::yield_now());
                });
                let _ = (careful.join(), panics.join());
            });
            assert_eq!(machine.counters().abandoned, 0, "seed {seed}");
        }
    });
}

#[test]
fn the_holder_of_a_lock_is_suspended() {
    in_child("the_holder_of_a_lock_is_suspended", || {
        let counters = cut_everywhere(|_| {
            let lock = Arc::new(Mutex::new(()));
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let lock = lock.clone();
                    thread::spawn(move || {
                        let _held = lock.lock().unwrap();
                        thread::sleep(Duration::from_millis(1));
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| drop(task.join()));
        });
        assert_eq!(counters.abandoned, 0);
    });
}

#[test]
fn a_condition_loop_waits_for_ever() {
    in_child("a_condition_loop_waits_for_ever", || {
        let dropped = std::sync::Arc::new(AtomicU64::new(0));
        for seed in 0..50 {
            let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
            let counted = dropped.clone();
            machine.boot(Ending::PowerLoss(At::Step(30)), move |_| {
                let pair = Arc::new((Mutex::new(false), Condvar::new()));
                thread::spawn(move || {
                    let _counts = OnDrop(|| {
                        counted.fetch_add(1, Ordering::Relaxed);
                    });
                    let mut ready = pair.0.lock().unwrap();
                    while !*ready {
                        ready = pair.1.wait(ready).unwrap();
                    }
                });
                thread::spawn(|| {
                    let never = AtomicBool::new(false);
                    while !never.load(Ordering::Relaxed) {
                        falconry_seam::hint::spin_loop();
                    }
                });
                (0..1_000).for_each(|_| thread::yield_now());
            });
            assert_eq!(machine.counters().abandoned, 0, "seed {seed}");
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 50, "destructors of unwound tasks run");
    });
}

#[test]
fn a_loop_waits_for_a_time_that_does_not_come() {
    // Time stands still while the power goes, so the loop is thrown out of in the middle of a wait; then
    // its destructor wants the lock that the wait had given back.
    struct Looks<'a>(&'a Mutex<u32>);
    impl Drop for Looks<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    in_child("a_loop_waits_for_a_time_that_does_not_come", || {
        let counters = cut_everywhere(|ctx| {
            let lock = Arc::new((Mutex::new(0), Condvar::new()));
            let other = Arc::clone(&lock);
            thread::spawn(move || {
                let _looks = Looks(&other.0);
                let mut guard = other.0.lock().unwrap();
                while *guard == 0 {
                    let waited = other.1.wait_timeout(guard, Duration::from_secs(1));
                    guard = waited.unwrap().0;
                }
            });
            for _ in 0..8 {
                ctx.disk().exists(Path::new("x")).ok();
            }
            *lock.0.lock().unwrap() += 1;
            lock.1.notify_all();
        });
        assert_eq!(counters.abandoned, 0);
        assert!(counters.power_losses > 30, "{counters:?}");
    });
}

#[test]
fn a_foreign_loop_sleeps_for_ever() {
    // A task that used up its calls after a wait with a deadline was resumed, and aborted the process.
    in_child("a_foreign_loop_sleeps_for_ever", || {
        extern "C" fn naps() {
            while falconry_sim::now_ns() < u64::MAX {
                thread::sleep(Duration::from_micros(1));
            }
        }
        let mut abandoned = 0;
        for seed in 0..20 {
            let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
            machine.boot(Ending::PowerLoss(At::Step(40)), |_| {
                thread::spawn(|| foreign(|| through_c(naps)));
                foreign(|| through_c(naps));
            });
            abandoned += machine.counters().abandoned;
        }
        assert_eq!(abandoned, 40);
    });
}
