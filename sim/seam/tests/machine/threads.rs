//! Threads, scopes, thread-locals.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use falconry_seam::PowerOff;
use falconry_seam::thread;

use crate::fake::on_fake;

#[test]
fn a_thread_is_a_task() {
    on_fake(|fake| {
        let handle = thread::Builder::new()
            .name("worker".to_owned())
            .stack_size(4096)
            .spawn(|| thread::current().id())
            .unwrap();
        assert_eq!(handle.thread().name(), Some("worker"));
        assert!(handle.is_finished());
        let id = handle.thread().id();
        assert_eq!(handle.join().unwrap(), id);
        assert_eq!(format!("{id:?}"), "TaskId(1)");
        assert_ne!(thread::current().id(), id);
        let calls = ["spawn 1 Some(\"worker\") 4096", "end 1 Returned", "join 1"];
        assert_eq!(fake.calls(), calls);
    });
}

#[test]
fn a_refused_thread_is_an_error() {
    on_fake(|fake| {
        fake.spawn_errno.set(Some(libc::EAGAIN));
        let error = thread::Builder::new().spawn(|| {}).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        let error: io::Result<()> = thread::scope(|scope| {
            thread::Builder::new().spawn_scoped(scope, || {}).map(|handle| handle.join().unwrap())
        });
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        assert!(catch_unwind(|| thread::spawn(|| {})).is_err());
    });
}

#[test]
fn a_task_says_how_it_ended() {
    on_fake(|fake| {
        let panicked = thread::spawn(|| resume_unwind(Box::new("on purpose")));
        let cut = thread::spawn(|| resume_unwind(Box::new(PowerOff)));
        assert_eq!(panicked.join().unwrap_err().downcast_ref(), Some(&"on purpose"));
        assert!(cut.join().unwrap_err().is::<PowerOff>());
        let calls = fake.calls();
        for end in ["end 1 Panicked", "end 2 PowerOff"] {
            assert!(calls.iter().any(|call| call == end), "{calls:?}");
        }
    });
}

#[test]
fn a_scope_joins_all_its_tasks() {
    on_fake(|fake| {
        let numbers = [1, 2];
        let sum = thread::scope(|scope| {
            let first = scope.spawn(|| numbers[0]);
            scope.spawn(|| numbers[1]);
            first.join().unwrap()
        });
        assert_eq!(sum, 1);
        let calls = [
            "spawn 1 None 0",
            "end 1 Returned",
            "spawn 2 None 0",
            "end 2 Returned",
            "join 1",
            "join 2",
            "join 1",
        ];
        assert_eq!(fake.calls(), calls);
    });
}

#[test]
fn a_scope_reports_the_panic_of_a_task() {
    on_fake(|_| {
        let handled = thread::scope(|scope| {
            scope.spawn(|| resume_unwind(Box::new("on purpose"))).join().is_err()
        });
        assert!(handled);
        let unhandled = catch_unwind(|| {
            thread::scope(|scope| {
                scope.spawn(|| resume_unwind(Box::new("on purpose")));
            });
        });
        let payload = unhandled.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"a scoped thread panicked"));
    });
}

#[test]
fn a_scope_that_is_unwound_by_power_off_waits_for_all_all_the_same() {
    on_fake(|fake| {
        fake.joins_thrown.set(1);
        let payload = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|scope| {
                scope.spawn(|| ());
                scope.spawn(|| ());
            });
        }));
        assert!(payload.unwrap_err().is::<PowerOff>());
        let joins: Vec<String> =
            fake.calls().into_iter().filter(|call| call.starts_with("join")).collect();
        assert_eq!(joins, ["join 2", "join 2", "join 1"]);

        // The closure itself is unwound: nothing but destructors may wait.
        let payload = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|scope| {
                scope.spawn(|| ());
                resume_unwind(Box::new(PowerOff));
            });
        }));
        assert!(payload.unwrap_err().is::<PowerOff>());
        assert_eq!(fake.calls().last().unwrap(), "join 3");
    });
}

#[test]
fn a_handle_outlives_its_machine() {
    let handle = on_fake(|_| thread::spawn(|| 5));
    handle.thread().unpark();
    assert!(handle.is_finished());
    assert_eq!(handle.join().unwrap(), 5);
}

#[test]
fn waiting_is_in_virtual_time() {
    on_fake(|fake| {
        thread::sleep(Duration::from_nanos(3));
        thread::park();
        thread::park_timeout(Duration::from_nanos(4));
        thread::current().unpark();
        thread::yield_now();
        let calls = ["sleep 3", "park until None", "park until Some(7)", "unpark 0", "point Yield"];
        assert_eq!(fake.calls(), calls);
        assert_eq!(thread::available_parallelism().unwrap().get(), 3);
        assert!(!thread::panicking());
        fake.panicking.set(true);
        assert!(thread::panicking());
    });
}

#[test]
fn thread_locals_are_per_task_and_apart_from_the_real_ones() {
    falconry_seam::thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(1) };
        static SET_FIRST: Cell<u32> = panic!("made although it was set first");
    }
    COUNT.set(9);
    on_fake(|fake| {
        assert_eq!(COUNT.get(), 1);
        COUNT.set(2);
        SET_FIRST.set(3);
        let theirs = thread::spawn(|| {
            SET_FIRST.set(4);
            (COUNT.replace(7), SET_FIRST.get())
        });
        assert_eq!(theirs.join().unwrap(), (1, 4));
        assert_eq!((COUNT.get(), SET_FIRST.get()), (2, 3));
        // The fake's thread-locals are gone when it is off.
        fake.off.set(true);
        assert!(COUNT.try_with(Cell::get).is_err());
        assert!(catch_unwind(|| COUNT.get()).is_err());
    });
    assert_eq!(COUNT.get(), 9);
}
