//! The gate before the log, on the simulated machine, with a log that is nothing but numbers.
//!
//! # Method
//!
//! Scenes of a few that stand in line, and random writers: each reserves, writes at most what it has
//! reserved, and gives the rest back; a ticker makes room when it is asked to.
//!
//! # Invariant
//!
//! What is used never goes beyond the capacity, and everybody ends.

use std::sync::Arc;
use std::time::Duration;

use falcon::admission::{Admission, AdmissionCounters, Ticket};
use falcon::{Error, Result};
use falconry_seam::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::thread::{self, JoinHandle};
use falconry_sim::check::Sim;
use falconry_sim::choose;
use falconry_sim::fault::Fault;

const CAPACITY: u64 = 100;

/// A gate, and what is used behind it.
struct Scene {
    gate: Admission,
    used: Arc<AtomicU64>,
    /// How often a checkpoint was asked for.
    asked: Arc<AtomicU64>,
    /// The bytes of those that stood in line, in the order in which they were let in.
    admitted: Arc<Mutex<Vec<u64>>>,
}

type Waiting = JoinHandle<Result<Ticket>>;

impl Scene {
    fn new(used_bytes: u64) -> Scene {
        let asked = Arc::new(AtomicU64::new(0));
        let asks = Arc::clone(&asked);
        let want_checkpoint = move || {
            asks.fetch_add(1, SeqCst);
        };
        Scene {
            gate: Admission::new(CAPACITY, want_checkpoint),
            used: Arc::new(AtomicU64::new(used_bytes)),
            asked,
            admitted: Arc::default(),
        }
    }

    fn admit(&self, bytes: u64) -> Ticket {
        let stalls = self.gate.counters().stalls;
        let ticket = self.gate.admit(bytes, || self.used.load(SeqCst)).expect("there is room");
        assert_eq!(self.gate.counters().stalls, stalls, "there was room");
        ticket
    }

    /// Asks for more than there is room for, in a thread. Returns when it stands in line.
    fn stands(&self, bytes: u64) -> Waiting {
        let stalls = self.gate.counters().stalls;
        let (gate, used) = (self.gate.clone(), Arc::clone(&self.used));
        let admitted = Arc::clone(&self.admitted);
        let thread = thread::spawn(move || {
            let ticket = gate.admit(bytes, || used.load(SeqCst))?;
            admitted.lock().expect("nobody panics").push(bytes);
            Ok(ticket)
        });
        while self.gate.counters().stalls == stalls {
            assert!(!thread.is_finished(), "there was room for {bytes}");
            thread::sleep(Duration::from_millis(1));
        }
        thread
    }

    /// Some checkpoint has left so much in use.
    fn falls(&self, used_bytes: u64) {
        self.used.store(used_bytes, SeqCst);
        self.gate.poke();
    }

    /// So far these were let in, and nobody else is, however long one waits.
    fn stays(&self, admitted: &[u64]) {
        thread::sleep(Duration::from_secs(1));
        assert_eq!(*self.admitted.lock().expect("nobody panics"), admitted);
    }
}

fn ticket(thread: Waiting) -> Ticket {
    thread.join().expect("it does not panic").expect("there is room")
}

/// Tickets go from the thread of a client to that of a gopher.
const fn is_send<T: Send>() {}
const _: () = is_send::<Ticket>();

#[test]
fn room_is_what_is_neither_used_nor_reserved() {
    Sim::new("room_is_what_is_neither_used_nor_reserved").seeds(0..20).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(20);
            let first = scene.admit(50);
            let second = scene.admit(30);
            assert_eq!((first.bytes(), scene.gate.reserved_bytes()), (50, 80));
            let third = scene.stands(40);
            scene.stays(&[]);
            drop(second);
            scene.stays(&[]);
            scene.falls(10);
            let third = ticket(third);
            assert_eq!(scene.gate.reserved_bytes(), 90);
            drop((first, third));
            assert_eq!(scene.gate.reserved_bytes(), 0);
            let expected = AdmissionCounters { admitted: 3, stalls: 1 };
            assert_eq!(scene.gate.counters(), expected);
        });
    });
}

#[test]
fn a_large_one_is_not_passed_by_small_ones() {
    Sim::new("a_large_one_is_not_passed_by_small_ones").seeds(0..40).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(0);
            let first = scene.admit(60);
            let second = scene.admit(30);
            let large = scene.stands(100);
            // There is room for this one before its turn, and for the next one only when it is gone.
            let small = scene.stands(5);
            let last = scene.stands(96);
            drop(second);
            scene.stays(&[]);
            drop(first);
            scene.stays(&[100]);
            drop(ticket(large));
            scene.stays(&[100, 5]);
            drop(ticket(small));
            scene.stays(&[100, 5, 96]);
            assert_eq!(scene.gate.reserved_bytes(), 96);
            drop(ticket(last));
            assert_eq!(scene.gate.counters(), AdmissionCounters { admitted: 5, stalls: 3 });
        });
    });
}

#[test]
fn the_first_in_line_asks_for_a_checkpoint_each_time_it_looks_in_vain() {
    Sim::new("the_first_in_line_asks_for_a_checkpoint").seeds(0..20).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(100);
            let first = scene.stands(50);
            let second = scene.stands(50);
            scene.stays(&[]);
            assert_eq!(scene.asked.load(SeqCst), 1, "the second does not look");
            scene.falls(60);
            scene.stays(&[]);
            assert_eq!(scene.asked.load(SeqCst), 2);
            scene.falls(50);
            let first = ticket(first);
            scene.stays(&[50]);
            assert_eq!(scene.asked.load(SeqCst), 3, "the second is the first now");
            scene.falls(0);
            drop((first, ticket(second)));
        });
    });
}

/// The checkpoint may be over before the one that asked for it sleeps, and nobody would wake it later. The
/// first one here frees too little: whoever slept then, because it had asked, would sleep for ever.
#[test]
fn a_checkpoint_may_be_over_at_once() {
    Sim::new("a_checkpoint_may_be_over_at_once").seeds(0..4).run(|machine| {
        machine.run(|_| {
            let used = Arc::new(AtomicU64::new(CAPACITY));
            let gate: Arc<Mutex<Option<Admission>>> = Arc::default();
            let (falls, pokes) = (Arc::clone(&used), Arc::clone(&gate));
            let admission = Admission::new(CAPACITY, move || {
                falls.fetch_sub(30, SeqCst);
                pokes.lock().expect("nobody panics").as_ref().expect("it is set").poke();
            });
            *gate.lock().expect("nobody panics") = Some(admission.clone());
            let ticket = admission.admit(50, || used.load(SeqCst)).expect("there is room then");
            assert_eq!((ticket.bytes(), admission.counters().stalls), (50, 1));
            assert_eq!(used.load(SeqCst), 40, "it asked twice");
        });
    });
}

#[test]
fn what_is_more_than_all_there_is_is_refused() {
    Sim::new("what_is_more_than_all_there_is_is_refused").seeds(0..4).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(0);
            drop(scene.admit(CAPACITY));
            let refused = scene.gate.admit(CAPACITY + 1, || 0).expect_err("it never has room");
            let text = "a transaction needs 101 bytes of the log, which has room for 100 at most";
            assert_eq!(refused.to_string(), text);
            assert!(matches!(refused, Error::TransactionTooLarge { bytes: 101, bytes_max: 100 }));
            let refused = scene.gate.admit(u64::MAX, || u64::MAX).expect_err("it never has room");
            assert!(matches!(refused, Error::TransactionTooLarge { .. }), "{refused}");
            assert_eq!((scene.gate.reserved_bytes(), scene.gate.counters().stalls), (0, 0));
        });
    });
}

#[test]
fn nobody_is_let_in_after_the_end() {
    Sim::new("nobody_is_let_in_after_the_end").seeds(0..60).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(0);
            let held = scene.admit(80);
            let waiting = [scene.stands(30), scene.stands(10), scene.stands(100)];
            scene.gate.stop("the disk is gone");
            scene.gate.stop("another reason");
            // Room comes too late, whether those in line wake before it or after.
            drop(held);
            let later = scene.gate.admit(1, || 0).map(drop);
            let results = waiting.map(|thread| thread.join().expect("it does not panic").map(drop));
            for result in results.into_iter().chain([later]) {
                let error = result.expect_err("nobody is let in any more");
                assert!(matches!(error, Error::Stopped(_)), "{error}");
                assert_eq!(error.to_string(), "the engine has stopped: the disk is gone");
            }
            assert_eq!(scene.gate.reserved_bytes(), 0);
        });
    });
}

/// Makes room when it is asked to.
#[derive(Default)]
struct Ticker {
    is_wanted: Mutex<bool>,
    wake: Condvar,
    is_over: AtomicBool,
}

impl Ticker {
    fn want(&self) {
        *self.is_wanted.lock().expect("nobody panics") = true;
        self.wake.notify_one();
    }

    fn end(&self) {
        self.is_over.store(true, SeqCst);
        self.want();
    }

    /// Frees some of what is used, each time that it is asked to.
    fn tick(&self, gate: &Admission, used: &AtomicU64) {
        while !self.is_over.load(SeqCst) {
            let wanted = self.is_wanted.lock().expect("nobody panics");
            let wanted = self.wake.wait_while(wanted, |wanted| !*wanted);
            *wanted.expect("nobody panics") = false;
            match choose("test/checkpoint", 2) {
                0 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(choose("test/lasts_us", 100))),
            }
            let present = used.load(SeqCst);
            // Half of the time as much as there is, or nothing large would ever have room.
            let freed = match choose("test/all", 2) {
                0 => present,
                _ => choose("test/freed", present + 1),
            };
            used.fetch_sub(freed, SeqCst);
            gate.poke();
        }
    }
}

/// Reserves and writes a few times. Returns how often, until it was told that all has stopped.
fn write(gate: &Admission, used: &AtomicU64) -> u64 {
    for turn in 0..12 {
        let large = choose("test/large", 4) == 0;
        let bytes = 1 + choose("test/bytes", if large { CAPACITY } else { 20 });
        let ticket = match gate.admit(bytes, || used.load(SeqCst)) {
            Ok(ticket) => ticket,
            Err(Error::Stopped(_)) => return turn,
            Err(other) => panic!("{other}"),
        };
        thread::yield_now();
        let written = choose("test/written", bytes + 1);
        let now = used.fetch_add(written, SeqCst) + written;
        assert!(now <= CAPACITY, "{now} bytes are used, of {CAPACITY}");
        assert!(gate.reserved_bytes() >= bytes);
        thread::yield_now();
        drop(ticket);
    }
    12
}

fn live(stops: bool) -> AdmissionCounters {
    let ticker = Arc::new(Ticker::default());
    let asked = Arc::clone(&ticker);
    let gate = Admission::new(CAPACITY, move || asked.want());
    let used = AtomicU64::new(0);
    thread::scope(|scope| {
        let (gate, used, ticker) = (&gate, &used, &ticker);
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(move || write(gate, used))).collect();
        scope.spawn(move || ticker.tick(gate, used));
        if stops {
            thread::sleep(Duration::from_micros(choose("test/stop", 1_000)));
            gate.stop("a test");
        }
        let turns: u64 =
            writers.into_iter().map(|writer| writer.join().expect("it does not panic")).sum();
        assert_eq!(turns, gate.counters().admitted);
        assert!(stops || turns == 4 * 12, "{turns} turns");
        ticker.end();
    });
    assert_eq!(gate.reserved_bytes(), 0, "all tickets are given back");
    gate.counters()
}

#[test]
fn no_more_is_used_than_there_is_and_everybody_ends() {
    let (stalls, cut_short) = (AtomicU64::new(0), AtomicU64::new(0));
    let sim = Sim::new("no_more_is_used_than_there_is_and_everybody_ends").seeds(0..400);
    sim.fault(Fault::SpuriousWake, 50_000).run(|machine| {
        let counters = machine.run(|_| live(choose("test/stops", 4) == 0));
        stalls.fetch_add(counters.stalls, SeqCst);
        cut_short.fetch_add(u64::from(counters.admitted < 4 * 12), SeqCst);
    });
    let (stalls, cut_short) = (stalls.into_inner(), cut_short.into_inner());
    assert!(stalls > 4_000, "{stalls} had to wait");
    assert!(cut_short > 20, "{cut_short} were stopped");
}
