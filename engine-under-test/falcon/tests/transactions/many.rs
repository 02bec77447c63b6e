//! Many transactions at once: whatever they see, they might have seen one after the other.
//!
//! # Method
//!
//! Threads ask random statements, in transactions that are tried again after a deadlock or a time-out. Each
//! transaction takes a number when it has asked for all and is about to commit: it has all its locks
//! then, so the numbers are an order in which the transactions could have run one by one. In that order a model
//! is asked the same, and has to give the same answers.
//!
//! # Invariant
//!
//! A transaction has its number before it begins to commit.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the model stands outside of the run"
)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use falcon::{Database, Error};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_seam::time::Duration;
use falconry_sim::check::Sim;
use falconry_sim::fault::Fault;
use falconry_sim::machine::choose;

use crate::model::{self, Answer, Model, Statement};
use crate::{people, small};

const THREADS: u64 = 4;
const TRANSACTIONS: u64 = 6;
/// How often a transaction is tried.
const TRIES_MAX: u64 = 100;

type History = Vec<(Statement, Answer)>;

/// What the threads did.
#[derive(Default)]
struct Run {
    committed: Mutex<Vec<History>>,
    refused: AtomicU64,
    rolled_back: AtomicU64,
}

impl Run {
    fn client(&self, database: &Database) {
        for _ in 0..TRANSACTIONS {
            let statements: Vec<_> =
                (0..=choose("many/statements", 5)).map(|_| model::draw()).collect();
            let mut tries = 0;
            while !self.is_over(database, &statements) {
                tries += 1;
                assert!(tries < TRIES_MAX, "refused {tries} times: {statements:?}");
                // Two that begin again at once may refuse each other for ever.
                thread::sleep(Duration::from_micros(choose("many/pause", 1_000)));
            }
        }
    }

    /// Whether the transaction was not refused a lock.
    fn is_over(&self, database: &Database, statements: &[Statement]) -> bool {
        let table = database.table("people").expect("it is there");
        let mut txn = database.begin();
        let mut history = Vec::new();
        for statement in statements {
            match model::ask(&mut txn, &table, statement) {
                Ok(answer) => history.push((statement.clone(), answer)),
                Err(Error::Deadlock { .. } | Error::LockTimeout { .. }) => {
                    self.refused.fetch_add(1, Relaxed);
                    return false;
                }
                Err(other) => panic!("{statement:?}: {other}"),
            }
        }
        if choose("many/rollback", 6) == 0 {
            self.rolled_back.fetch_add(1, Relaxed);
            return true;
        }
        self.committed.lock().expect("nobody panics").push(history);
        txn.commit().expect("no fault");
        true
    }

    fn replay(&self) -> u64 {
        let mut model = Model::default();
        let committed = self.committed.lock().expect("nobody panics");
        for (statement, answer) in committed.iter().flatten() {
            model.expect(statement, answer);
        }
        committed.len() as u64
    }
}

#[test]
fn transactions_are_serializable() {
    let (committed, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let rolled_back = AtomicU64::new(0);
    let sim = Sim::new("transactions_are_serializable").fault(Fault::SpuriousWake, 10_000);
    sim.seeds(0..80).run(|machine| {
        let run = Run::default();
        machine.run(|ctx| {
            let disk: Arc<dyn Disk> = ctx.disk();
            let database = Database::create(&disk, &small()).expect("no fault");
            database.create_table(&people()).expect("no fault");
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| run.client(&database));
                }
            });
            assert_eq!(database.verify().expect("no fault").problems, Vec::<String>::new());
            database.close().expect("no fault");
        });
        committed.fetch_add(run.replay(), Relaxed);
        refused.fetch_add(run.refused.load(Relaxed), Relaxed);
        rolled_back.fetch_add(run.rolled_back.load(Relaxed), Relaxed);
    });
    let counts = [
        ("committed", committed, 1_000),
        ("rolled back", rolled_back, 100),
        ("refused", refused, 100),
    ];
    for (what, count, least) in counts {
        let count = count.load(Relaxed);
        println!("{what}: {count}");
        assert!(count >= least, "{what}: {count}, at least {least} expected");
    }
}
