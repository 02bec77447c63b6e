//! The seam off any machine, on real threads: the same with and without the feature `simulate`.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use falconry_seam::cell::UnsafeCell;
use falconry_seam::sync::atomic::{AtomicBool, AtomicI8, AtomicPtr, AtomicU64, Ordering};
use falconry_seam::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock};
use falconry_seam::thread;
use falconry_seam::time::{Instant, SystemTime, UNIX_EPOCH};
use falconry_seam::{catch_unwind, foreign, hint, work};

/// Long enough that only a thread that hangs takes it.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_mutex_excludes() {
    let total = Mutex::new(0u64);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let mut guard = total.lock().unwrap();
                    let seen = *guard;
                    hint::spin_loop();
                    *guard = seen + 1;
                }
            });
        }
    });
    assert_eq!(total.into_inner().unwrap(), 4_000);
}

#[test]
fn try_lock_says_that_a_lock_is_held() {
    let lock = Arc::new(Mutex::new(1));
    let guard = lock.lock().unwrap();
    let other = Arc::clone(&lock);
    assert!(thread::spawn(move || other.try_lock().is_err()).join().unwrap());
    drop(guard);
    assert_eq!(*lock.try_lock().unwrap(), 1);
}

#[test]
fn a_panic_poisons_until_cleared() {
    let mut lock = Mutex::new(1);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.lock().unwrap();
        panic!("on purpose");
    }));
    assert!(caught.is_err());
    assert!(lock.is_poisoned());
    assert_eq!(*lock.lock().unwrap_err().into_inner(), 1);
    assert!(lock.try_lock().is_err());
    assert!(lock.get_mut().is_err());
    lock.clear_poison();
    assert!(!lock.is_poisoned());
    assert_eq!(lock.into_inner().unwrap(), 1);
}

#[test]
fn a_panicking_writer_poisons_and_a_reader_does_not() {
    let lock = RwLock::new(1);
    let reader = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.read().unwrap();
        panic!("on purpose");
    }));
    assert!(reader.is_err() && !lock.is_poisoned());
    let writer = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.write().unwrap();
        panic!("on purpose");
    }));
    assert!(writer.is_err() && lock.is_poisoned());
    assert!(lock.read().is_err() && lock.try_write().is_err());
}

#[test]
fn readers_share_and_writers_do_not() {
    let lock = RwLock::new(vec![1]);
    {
        let first = lock.read().unwrap();
        let second = lock.try_read().unwrap();
        assert_eq!(*first, *second);
        assert!(lock.try_write().is_err());
    }
    lock.write().unwrap().push(2);
    assert_eq!(lock.into_inner().unwrap(), [1, 2]);
}

#[test]
fn a_condition_wakes_its_waiter() {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&pair);
    let waiter = thread::spawn(move || {
        let guard = theirs.0.lock().unwrap();
        *theirs.1.wait_while(guard, |ready| !*ready).unwrap()
    });
    *pair.0.lock().unwrap() = true;
    pair.1.notify_all();
    assert!(waiter.join().unwrap());
}

#[test]
fn no_notification_is_lost() {
    let (turn, condition) = (Mutex::new(0u64), Condvar::new());
    thread::scope(|scope| {
        for me in 0..3 {
            let (turn, condition) = (&turn, &condition);
            scope.spawn(move || {
                for round in 0..2_000 {
                    let guard = turn.lock().unwrap();
                    let mine = round * 3 + me;
                    let mut guard = condition.wait_while(guard, |turn| *turn != mine).unwrap();
                    *guard += 1;
                    // Once with the lock held and once without: both have to wake whoever is next.
                    if mine % 2 == 0 {
                        drop(guard);
                    }
                    condition.notify_all();
                }
            });
        }
    });
    assert_eq!(turn.into_inner().unwrap(), 6_000);
}

#[test]
fn a_wait_times_out_and_gives_the_lock_back() {
    let lock = Mutex::new(7);
    let condition = Condvar::new();
    let start = Instant::now();
    let short = Duration::from_millis(5);
    let guard = lock.lock().unwrap();
    let (guard, result) = condition.wait_timeout_while(guard, short, |_| true).unwrap();
    assert!(result.timed_out());
    assert!(start.elapsed() >= short);
    assert_eq!(*guard, 7);
    let (guard, result) = condition.wait_timeout_while(guard, LONG, |_| false).unwrap();
    assert!(!result.timed_out());
    drop(guard);
    assert!(lock.try_lock().is_ok());
}

#[test]
fn a_barrier_has_one_leader_a_generation() {
    let barrier = Barrier::new(3);
    let leaders = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..10 {
                    if barrier.wait().is_leader() {
                        leaders.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(leaders.load(Ordering::SeqCst), 10);
}

#[test]
fn once_runs_once() {
    static ONCE: Once = Once::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                ONCE.call_once(|| {
                    COUNT.fetch_add(1, Ordering::SeqCst);
                });
                assert!(ONCE.is_completed());
            });
        }
    });
    assert_eq!(COUNT.load(Ordering::SeqCst), 1);
}

#[test]
fn a_once_that_panicked_is_poisoned_and_can_be_forced() {
    let once = Once::new();
    assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("on purpose")))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| {}))).is_err());
    let mut was_poisoned = false;
    once.call_once_force(|state| was_poisoned = state.is_poisoned());
    assert!(was_poisoned && once.is_completed());
}

#[test]
fn lazy_values_are_made_at_their_first_use() {
    static MADE: AtomicU64 = AtomicU64::new(0);
    static LAZY: LazyLock<String> = LazyLock::new(|| {
        MADE.fetch_add(1, Ordering::SeqCst);
        "made".to_owned()
    });
    assert_eq!(MADE.load(Ordering::SeqCst), 0);
    assert_eq!((LAZY.len(), LAZY.as_str()), (4, "made"));
    assert_eq!(MADE.load(Ordering::SeqCst), 1);

    let cell = OnceLock::new();
    assert_eq!(cell.get(), None);
    assert_eq!(*cell.get_or_init(|| 1), 1);
    assert_eq!(cell.set(2), Err(2));
    assert_eq!(cell.clone().into_inner(), Some(1));
}

#[test]
fn atomics_do_what_std_does() {
    let number = AtomicI8::new(i8::MAX);
    assert_eq!(number.fetch_add(1, Ordering::SeqCst), i8::MAX);
    assert_eq!(number.load(Ordering::SeqCst), i8::MIN);
    assert_eq!(number.fetch_max(5, Ordering::SeqCst), i8::MIN);
    assert_eq!(number.compare_exchange(4, 6, Ordering::SeqCst, Ordering::SeqCst), Err(5));
    assert_eq!(number.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n * 2)), Ok(5));
    assert_eq!(number.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |_| None), Err(10));
    assert_eq!(number.swap(-1, Ordering::SeqCst), 10);
    assert_eq!(number.fetch_nand(1, Ordering::SeqCst), -1);
    assert_eq!(number.into_inner(), -2);

    let flag = AtomicBool::from(false);
    assert!(!flag.fetch_or(true, Ordering::SeqCst) && flag.fetch_not(Ordering::SeqCst));
    assert_eq!(format!("{flag:?}"), "false");

    let mut target = 3;
    let pointer = AtomicPtr::new(&raw mut target);
    assert_eq!(pointer.swap(std::ptr::null_mut(), Ordering::SeqCst), &raw mut target);
    assert!(pointer.load(Ordering::SeqCst).is_null());
}

#[test]
fn a_cell_is_read_and_written_through_closures() {
    let cell = UnsafeCell::new(1);
    // SAFETY: this thread alone has the cell.
    cell.with_mut(|value| unsafe { *value += 1 });
    // SAFETY: this thread alone has the cell.
    assert_eq!(cell.with(|value| unsafe { *value }), 2);
    assert_eq!(cell.into_inner(), 2);
}

#[test]
fn a_thread_has_its_name_its_identity_and_its_result() {
    let handle = thread::Builder::new()
        .name("worker".to_owned())
        .stack_size(1 << 17)
        .spawn(|| (thread::current().name().map(str::to_owned), thread::current().id()));
    let handle = handle.unwrap();
    assert_eq!(handle.thread().name(), Some("worker"));
    let id = handle.thread().id();
    assert_eq!(handle.join().unwrap(), (Some("worker".to_owned()), id));
    assert_ne!(thread::current().id(), id);
}

#[test]
fn joining_a_panicked_thread_returns_its_payload() {
    let payload = thread::spawn(|| panic!("on purpose")).join().unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
}

#[test]
fn a_token_left_before_park_ends_it() {
    thread::current().unpark();
    thread::park();
    thread::park_timeout(Duration::from_millis(1));
    let parked = thread::spawn(thread::park);
    parked.thread().unpark();
    parked.join().unwrap();
}

#[test]
fn a_scope_waits_for_threads_whose_handles_are_gone() {
    let done = AtomicU64::new(0);
    let sum = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            scope.spawn(|| done.fetch_add(1, Ordering::SeqCst));
        });
        let joined = scope.spawn(|| 20);
        drop(scope.spawn(|| done.fetch_add(1, Ordering::SeqCst)));
        joined.join().unwrap() + 1
    });
    assert_eq!((sum, done.load(Ordering::SeqCst)), (21, 2));
}

#[test]
fn a_scope_reports_an_unjoined_panic_and_not_a_joined_one() {
    let handled = thread::scope(|scope| scope.spawn(|| panic!("on purpose")).join().is_err());
    assert!(handled);
    let unhandled = catch_unwind(|| {
        thread::scope(|scope| {
            scope.spawn(|| panic!("on purpose"));
        });
    });
    let payload = unhandled.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"a scoped thread panicked"));
}

#[test]
fn a_scope_that_panics_still_waits() {
    let done = AtomicBool::new(false);
    let result = catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                done.store(true, Ordering::SeqCst);
            });
            panic!("on purpose");
        })
    }));
    assert!(result.is_err());
    assert!(done.load(Ordering::SeqCst));
}

#[test]
fn thread_locals_are_apart() {
    use std::cell::{Cell, RefCell};
    falconry_seam::thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(1) };
        /// With a comment, and the other syntax.
        static NAMES: RefCell<Vec<&'static str>> = RefCell::new(vec!["first"])
    }
    COUNT.set(5);
    NAMES.with_borrow_mut(|names| names.push("second"));
    let theirs = thread::spawn(|| (COUNT.get(), NAMES.with_borrow(|names| names.len())));
    assert_eq!(theirs.join().unwrap(), (1, 1));
    assert_eq!((COUNT.replace(6), NAMES.take().len()), (5, 2));
    assert_eq!(COUNT.try_with(Cell::get), Ok(6));
    NAMES.set(vec![]);
    assert_eq!(NAMES.replace(vec!["third"]), Vec::<&str>::new());
}

#[test]
fn instants_order_and_subtract() {
    let first = Instant::now();
    let second = first + Duration::from_nanos(7);
    assert!(second > first && first == first);
    assert_eq!(second - first, Duration::from_nanos(7));
    assert_eq!(first - second, Duration::ZERO);
    assert_eq!(first.checked_duration_since(second), None);
    assert_eq!(first.checked_add(Duration::MAX), None);
    assert!(first.elapsed() < LONG);
}

#[test]
fn wall_time_is_measured_from_the_epoch() {
    let now = SystemTime::now();
    let age = now.duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(UNIX_EPOCH + age, now);
    assert_eq!(UNIX_EPOCH.duration_since(now).unwrap_err().duration(), age);
    assert_eq!(SystemTime::UNIX_EPOCH.checked_add(Duration::MAX), None);
    assert!(UNIX_EPOCH - Duration::from_secs(1) < UNIX_EPOCH);
}

#[test]
fn calls_that_only_a_machine_hears_change_nothing() {
    work(1_000_000_000_000);
    assert_eq!(foreign(|| 4), 4);
    assert_eq!(catch_unwind(|| 5).unwrap(), 5);
    assert!(!thread::panicking());
    assert!(thread::available_parallelism().unwrap().get() >= 1);
    thread::yield_now();
}

#[test]
fn every_thread_of_a_program_is_another() {
    let ids = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ids.lock().unwrap().insert(format!("{:?}", thread::current().id())));
        }
    });
    assert_eq!(ids.into_inner().unwrap().len(), 4);
}
