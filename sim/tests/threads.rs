//! Threads, locks and time of the seam on a simulated machine.

use std::collections::BTreeSet;
use std::time::Duration;

use falconry_seam::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use falconry_seam::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock, mpsc};
use falconry_seam::{thread, time};
use falconry_sim::check::Sim;
use falconry_sim::choice::{Choices, Enumeration};
use falconry_sim::fault::Fault;
use falconry_sim::trace::What;
use falconry_sim::{End, Ending, Machine, MachineConfig, StrategyKind, VerdictKind};

const PPM: u32 = 1_000_000;

/// An assertion that fails while tasks are ended once gave its name to the verdict that ended them.
#[test]
fn the_first_verdict_stands() {
    struct Checked;
    impl Drop for Checked {
        fn drop(&mut self) {
            falconry_seam::always!(false, "threads: dropped in time");
        }
    }
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    let boot = machine.boot(Ending::Never, |_| {
        let is_there = Arc::new(AtomicBool::new(false));
        let told = is_there.clone();
        thread::spawn(move || {
            let _checked = Checked;
            told.store(true, Ordering::SeqCst);
            loop {
                thread::park();
            }
        });
        while !is_there.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        panic!("first");
    });
    let End::Verdict(verdict) = boot.end else { panic!("{:?}", boot.end) };
    assert_eq!((verdict.kind, &*verdict.assertion), (VerdictKind::Panic, ""));
}

/// Two tasks that wait actively once passed the turn to each other for ever, under the strategy of
/// replays, which keeps the running task running.
#[test]
fn who_waits_actively_lets_everybody_run() {
    let kinds = [StrategyKind::Replay, StrategyKind::RoundRobin];
    for (kind, spins) in kinds.into_iter().flat_map(|kind| [1, 2, 3].map(|spins| (kind, spins))) {
        let config =
            MachineConfig { strategy: Some(kind), steps_max: 10_000, ..MachineConfig::default() };
        let mut machine = Machine::new(config, Choices::from_seed(1));
        let boot = machine.boot(Ending::Never, |_| {
            let (is_set, lock) = (AtomicBool::new(false), Mutex::new(0));
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while !is_set.load(Ordering::SeqCst) {
                            (0..spins).for_each(|_| *lock.lock().unwrap() += 1);
                            thread::yield_now();
                        }
                    });
                }
                scope.spawn(|| is_set.store(true, Ordering::SeqCst));
            });
        });
        assert!(matches!(boot.end, End::Returned(())), "{kind:?}, {spins}: {:?}", boot.end);
    }
}

#[test]
fn a_mutex_excludes() {
    Sim::new("a_mutex_excludes").seeds(0..300).run(|machine| {
        let total = machine.run(|_| {
            let total = Arc::new(Mutex::new(0));
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let total = total.clone();
                    thread::spawn(move || {
                        for _ in 0..5 {
                            let mut held = total.lock().unwrap();
                            let seen = *held;
                            thread::yield_now();
                            *held = seen + 1;
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
            *total.lock().unwrap()
        });
        assert_eq!(total, 20);
    });
}

#[test]
fn a_lost_update_is_found_by_every_strategy_that_preempts() {
    let strategies = [
        StrategyKind::Random { stretch: 1 },
        StrategyKind::Random { stretch: 64 },
        StrategyKind::Pct { changes: 3, steps: 64 },
        StrategyKind::Pos,
        StrategyKind::RoundRobin,
        StrategyKind::Quantum { ns: 5_000 },
        StrategyKind::Starve { steps: 16 },
    ];
    for strategy in strategies {
        let found = (0..200).any(|seed| {
            let config = MachineConfig { strategy: Some(strategy), ..MachineConfig::default() };
            let mut machine = Machine::new(config, Choices::from_seed(seed));
            machine.run(|_| {
                let count = AtomicU64::new(0);
                thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            let seen = count.load(Ordering::SeqCst);
                            thread::yield_now();
                            count.store(seen + 1, Ordering::SeqCst);
                        });
                    }
                });
                count.load(Ordering::SeqCst)
            }) == 1
        });
        assert!(found, "{strategy:?}");
    }
}

#[test]
fn an_enumerator_takes_every_schedule() {
    let mut results = [0; 3];
    let complete = Enumeration::new(100_000).run(|choices| {
        let strategy = Some(StrategyKind::Exhaustive { preemptions: 2 });
        let config = MachineConfig { strategy, ..MachineConfig::default() };
        let own = std::mem::replace(choices, Choices::zeros());
        let mut machine = Machine::new(config, own);
        let count = machine.run(|_| {
            let count = AtomicU64::new(0);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let seen = count.load(Ordering::SeqCst);
                        count.store(seen + 1, Ordering::SeqCst);
                    });
                }
            });
            count.load(Ordering::SeqCst)
        });
        results[count as usize] += 1;
        *choices = machine.into_choices();
    });
    assert!(complete, "{results:?}");
    assert!(results[0] == 0 && results[1] > 0 && results[2] > 0, "{results:?}");
}

#[test]
fn a_deadlock_names_every_wait() {
    let found = (0..100).find_map(|seed| {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        machine.boot(Ending::Never, |_| {
            let locks = Arc::new((Mutex::new(()), Mutex::new(())));
            let other = locks.clone();
            let task = thread::Builder::new().name("backwards".into()).spawn(move || {
                let _second = other.1.lock().unwrap();
                thread::yield_now();
                let _first = other.0.lock().unwrap();
            });
            let _first = locks.0.lock().unwrap();
            thread::yield_now();
            let _second = locks.1.lock().unwrap();
            drop((_first, _second));
            task.unwrap().join().unwrap();
        });
        machine.take_verdict()
    });
    let verdict = found.expect("no seed of 100 dead-locked");
    assert_eq!(verdict.kind, VerdictKind::Deadlock);
    let text = verdict.to_string();
    assert!(text.contains("task 1 'backwards' waits for lock #"), "{text}");
    assert!(text.contains("held by task 0 'main' since sim/tests/threads.rs:"), "{text}");
}

#[test]
fn a_livelock_ends_by_the_bound_on_steps() {
    let config = MachineConfig { steps_max: 5_000, ..MachineConfig::default() };
    let mut machine = Machine::new(config, Choices::from_seed(1));
    machine.boot(Ending::Never, |_| {
        let never = AtomicBool::new(false);
        while !never.load(Ordering::Relaxed) {}
    });
    assert_eq!(machine.take_verdict().unwrap().kind, VerdictKind::StepBudget);
    assert_eq!(machine.counters().abandoned, 0);
}

#[test]
fn time_outs_fire_in_virtual_time() {
    Sim::new("time_outs_fire_in_virtual_time").seeds(0..50).run(|machine| {
        let waited = machine.run(|_| {
            let (lock, queue) = (Mutex::new(()), Condvar::new());
            let before = time::Instant::now();
            let held = lock.lock().unwrap();
            let day = Duration::from_secs(86_400);
            let (_held, result) = queue.wait_timeout(held, day).unwrap();
            assert!(result.timed_out());
            before.elapsed()
        });
        assert!((86_400..86_401).contains(&waited.as_secs()), "{waited:?}");
    });
}

#[test]
fn a_spurious_wake_comes_when_it_is_let() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    machine.faults().set_rate(Fault::SpuriousWake, PPM);
    machine.run(|_| {
        let (lock, queue) = (Mutex::new(()), Condvar::new());
        let _held = queue.wait(lock.lock().unwrap()).unwrap();
        thread::park();
    });
    assert_eq!(machine.faults().delivered(Fault::SpuriousWake), 2);
}

#[test]
fn a_spawn_and_a_weak_exchange_fail_when_they_are_let() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    machine.faults().set_rate(Fault::SpawnFail, PPM);
    machine.faults().set_rate(Fault::WeakCasFail, PPM);
    machine.run(|_| {
        assert!(thread::Builder::new().spawn(|| ()).is_err());
        let word = AtomicU64::new(3);
        let swapped = word.compare_exchange_weak(3, 4, Ordering::AcqRel, Ordering::Acquire);
        assert_eq!(swapped, Err(3));
    });
    assert_eq!(machine.faults().delivered(Fault::SpawnFail), 1);
    assert_eq!(machine.faults().delivered(Fault::WeakCasFail), 1);
}

/// The most steps that one of three tasks, which take turns in order, waited for its next turn, and how
/// often the trace has the fault.
fn longest_wait(rates: &[(Fault, u32)]) -> (u64, u64) {
    let config = MachineConfig {
        strategy: Some(StrategyKind::RoundRobin),
        keep_trace: true,
        ..MachineConfig::default()
    };
    let mut machine = Machine::new(config, Choices::from_seed(5));
    for (fault, ppm) in rates {
        machine.faults().set_rate(*fault, *ppm);
    }
    machine.run(|_| {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..500).for_each(|_| thread::yield_now()));
            }
        });
    });
    let (mut last, mut longest, mut starved) = ([0; 4], 0, 0);
    for event in machine.trace().events() {
        match event.what {
            What::Preempt { to, .. } if to > 0 => {
                let before = std::mem::replace(&mut last[to as usize], event.step);
                longest = longest.max(if before > 0 { event.step - before } else { 0 });
            }
            What::Fault { fault: Fault::Starve, .. } => starved += 1,
            _ => {}
        }
    }
    assert_eq!(machine.faults().delivered(Fault::Starve), starved);
    (longest, starved)
}

#[test]
fn a_starved_task_waits_longer() {
    let (fair, none) = longest_wait(&[]);
    assert!(fair <= 6 && none == 0, "{fair} steps, {none} times");
    let (starved, some) = longest_wait(&[(Fault::Starve, PPM)]);
    assert!(some > 0 && starved >= 2 * fair, "{starved} steps, {some} times");
}

#[test]
fn any_waiter_may_be_notified_first() {
    let mut first = BTreeSet::new();
    for seed in 0..50 {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        let order = machine.run(|_| {
            let (waiting, called) = (Mutex::new((0, false)), Condvar::new());
            let order = Mutex::new(Vec::new());
            thread::scope(|scope| {
                for number in 0..3 {
                    let (order, waiting, called) = (&order, &waiting, &called);
                    scope.spawn(move || {
                        let mut state = waiting.lock().unwrap();
                        state.0 += 1;
                        let state = called.wait_while(state, |(_, go)| !*go).unwrap();
                        order.lock().unwrap().push(number);
                        drop(state);
                    });
                    // One after the other, so that the queue's order is known.
                    while waiting.lock().unwrap().0 == number {
                        thread::yield_now();
                    }
                }
                waiting.lock().unwrap().1 = true;
                called.notify_one();
                while order.lock().unwrap().is_empty() {
                    thread::yield_now();
                }
                called.notify_all();
            });
            order.into_inner().unwrap()
        });
        first.insert(order[0]);
    }
    assert_eq!(first.len(), 3, "only {first:?} came first");
}

#[test]
fn a_reader_that_reads_again_may_meet_a_writer_that_waits() {
    let mut deadlocks = 0;
    for seed in 0..100 {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        let booted = machine.boot(Ending::Never, |_| {
            let value = RwLock::new(0);
            thread::scope(|scope| {
                scope.spawn(|| *value.write().unwrap() += 1);
                let outer = value.read().unwrap();
                thread::yield_now();
                let inner = value.read().unwrap();
                assert_eq!(*outer, *inner);
            });
        });
        match booted.end {
            End::Verdict(verdict) if verdict.kind == VerdictKind::Deadlock => deadlocks += 1,
            End::Returned(()) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..100).contains(&deadlocks), "{deadlocks} of 100");
}

#[test]
fn a_suspend_is_seen_by_the_monotonic_clock_alone() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(2));
    machine.faults().set_rate(Fault::Suspend, PPM);
    machine.run(|_| {
        let (monotonic, wall) = (time::Instant::now(), time::SystemTime::now());
        let other = thread::spawn(|| thread::sleep(Duration::from_millis(1)));
        other.join().unwrap();
        let slept = wall.elapsed().unwrap();
        assert!(slept < Duration::from_millis(2), "{slept:?}");
        assert!(monotonic.elapsed() > slept);
    });
    assert!(machine.faults().delivered(Fault::Suspend) > 0);
}

#[test]
fn readers_share_and_writers_do_not() {
    Sim::new("readers_share_and_writers_do_not").seeds(0..200).run(|machine| {
        machine.run(|_| {
            let value = RwLock::new((0, 0));
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..4 {
                            let mut pair = value.write().unwrap();
                            pair.0 += 1;
                            thread::yield_now();
                            pair.1 += 1;
                        }
                    });
                    scope.spawn(|| {
                        for _ in 0..4 {
                            let pair = value.read().unwrap();
                            thread::yield_now();
                            assert_eq!(pair.0, pair.1);
                        }
                    });
                }
            });
            assert_eq!(*value.read().unwrap(), (8, 8));
        });
    });
}

#[test]
fn channels_barriers_and_once_work() {
    Sim::new("channels_barriers_and_once_work").seeds(0..200).run(|machine| {
        machine.run(|_| {
            let (sender, receiver) = mpsc::sync_channel(1);
            let barrier = Arc::new(Barrier::new(3));
            let once = Arc::new(Once::new());
            let calls = Arc::new(AtomicU64::new(0));
            let tasks: Vec<_> = (0..3)
                .map(|task| {
                    let (sender, barrier) = (sender.clone(), barrier.clone());
                    let (once, calls) = (once.clone(), calls.clone());
                    thread::spawn(move || {
                        barrier.wait();
                        once.call_once(|| {
                            calls.fetch_add(1, Ordering::Relaxed);
                        });
                        for number in 0..3 {
                            sender.send(task * 10 + number).unwrap();
                        }
                    })
                })
                .collect();
            drop(sender);
            let mut received: Vec<i32> = receiver.iter().collect();
            received.sort_unstable();
            assert_eq!(received, [0, 1, 2, 10, 11, 12, 20, 21, 22]);
            assert_eq!(calls.load(Ordering::Relaxed), 1);
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
    });
}

falconry_seam::thread_local! {
    static MINE: std::cell::Cell<u32> = const { std::cell::Cell::new(7) };
}

#[test]
fn thread_locals_belong_to_tasks() {
    Sim::new("thread_locals_belong_to_tasks").seeds(0..20).run(|machine| {
        machine.run(|_| {
            MINE.with(|mine| mine.set(1));
            let other = thread::spawn(|| {
                let before = MINE.with(|mine| mine.replace(2));
                thread::yield_now();
                (before, MINE.with(std::cell::Cell::get))
            });
            assert_eq!(other.join().unwrap(), (7, 2));
            assert_eq!(MINE.with(std::cell::Cell::get), 1);
        });
    });
}

#[test]
fn park_keeps_a_token() {
    Sim::new("park_keeps_a_token").seeds(0..100).run(|machine| {
        machine.run(|_| {
            let parked = thread::spawn(|| {
                thread::park();
                thread::park_timeout(Duration::from_secs(5));
            });
            parked.thread().unpark();
            parked.join().unwrap();
        });
        assert!(machine.now_ns() >= 5_000_000_000);
    });
}

#[test]
fn a_panic_is_attributed() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    machine.boot(Ending::Never, |_| {
        let task = thread::Builder::new().name("careless".into()).spawn(|| panic!("dropped it"));
        let _ = task.unwrap().join();
    });
    let verdict = machine.take_verdict().unwrap();
    assert_eq!(verdict.kind, VerdictKind::Panic);
    assert_eq!(verdict.task, "task 1 'careless'");
    assert_eq!(verdict.message, "dropped it");
    assert!(verdict.place.starts_with("sim/tests/threads.rs:"), "{}", verdict.place);
}

#[test]
fn a_panic_within_the_testbed_is_no_finding_about_the_engine() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    machine.boot(Ending::Never, |_| {
        let task = thread::spawn(|| falconry_sim::choose("threads/none", 0));
        let _ = task.join();
    });
    let verdict = machine.take_verdict().unwrap();
    assert_eq!(verdict.kind, VerdictKind::Harness, "{verdict}");
    assert!(verdict.place.starts_with("sim/src/choice/"), "{}", verdict.place);
}

#[test]
fn a_panic_that_is_caught_is_no_verdict() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    machine.run(|_| {
        assert!(falconry_seam::catch_unwind(|| panic!("caught")).is_err());
        thread::yield_now();
        assert!(!thread::panicking());
    });
    assert_eq!(machine.take_verdict(), None);
}

fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 32]);
    if depth == 0 { 0 } else { deeper(depth - 1) + frame[3] }
}

#[test]
fn an_overflow_is_a_verdict() {
    for seed in 0..3 {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        machine.boot(Ending::Never, |_| {
            let held = Mutex::new(());
            let _held = held.lock();
            let waits = thread::spawn(thread::park);
            std::hint::black_box(deeper(10_000_000));
            waits.join().unwrap();
        });
        let verdict = machine.take_verdict().unwrap();
        assert_eq!(verdict.kind, VerdictKind::StackOverflow, "{verdict}");
        assert!(verdict.task.contains("main"), "{verdict}");
    }
}

#[test]
fn the_depth_of_stacks_is_measured() {
    let config = MachineConfig { measure_stacks: true, ..MachineConfig::default() };
    let mut machine = Machine::new(config, Choices::from_seed(1));
    machine.run(|_| {
        std::hint::black_box([1u8; 50_000]);
    });
    let bytes = machine.counters().stack_bytes_max;
    assert!((50_000..200_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_recording_replays_a_run() {
    let work = |machine: &mut Machine| {
        machine.run(|_| {
            let total = AtomicU64::new(0);
            thread::scope(|scope| {
                for task in 0..4 {
                    let total = &total;
                    scope.spawn(move || {
                        for _ in 0..10 {
                            total.fetch_add(task, Ordering::Relaxed);
                            thread::sleep(Duration::from_micros(task * 3));
                        }
                    });
                }
            });
        });
        machine.digest()
    };
    for seed in 0..20 {
        let mut first = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        let digest = work(&mut first);
        let choices = Choices::from_recording(first.recording());
        let mut second = Machine::new(MachineConfig::default(), choices);
        assert_eq!(work(&mut second), digest);
        assert_eq!(second.choices().divergence(), None);
    }
}

#[test]
fn a_machine_within_a_task_leaves_the_outer_one_as_it_was() {
    let mut outer = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    let booted = outer.boot(Ending::Never, |_| {
        let mut inner = Machine::new(MachineConfig::default(), Choices::from_seed(2));
        let sum = inner.run(|_| {
            let tasks: Vec<_> = (1..4).map(|number| thread::spawn(move || number)).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>()
        });
        drop(inner);
        thread::spawn(thread::yield_now).join().unwrap();
        assert_eq!(sum, 6);
        std::hint::black_box(deeper(10_000_000))
    });
    match booted.end {
        End::Verdict(verdict) => assert_eq!(verdict.kind, VerdictKind::StackOverflow),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_panic_of_a_task_is_the_one_that_is_told() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    let booted = machine.boot(Ending::Never, |_| {
        let other = thread::spawn(|| (0..10).for_each(|_| thread::yield_now()));
        let caught = std::panic::catch_unwind(|| panic!("the first, which is caught"));
        assert!(caught.is_err());
        other.join().unwrap();
        assert!(!thread::panicking());
        panic!("the second");
    });
    match booted.end {
        End::Verdict(verdict) => assert_eq!(verdict.message, "the second"),
        End::Returned(()) | End::Exited | End::PowerLoss | End::ProcessCrash => {
            panic!("it panicked")
        }
    }
}
