//! redb on the simulated machine: several clients, power losses, both ways to run it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use falconry::engine::{
    Access, Concurrency, Contract, Database, Engine, EngineError, Settings, SettingsDraw, find,
};
use falconry_seam::thread;
use falconry_sim::choice::{Choices, PPM};
use falconry_sim::fault::When;
use falconry_sim::machine::{
    self, Boot, Ctx, End, Ending, Machine, MachineConfig, MachineCounters, PowerDraw,
};

/// Clients that write, and as many that read.
const CLIENTS: u64 = 3;
/// Transactions of each client in one boot.
const TRANSACTIONS: u64 = 6;

/// For each writer, how many of its transactions it began and how many were acknowledged.
type Ledger = BTreeMap<u64, (u64, u64)>;

/// One run of redb: its settings, and what clients were told.
struct Run {
    engine: &'static dyn Engine,
    settings: Settings,
    ledger: Arc<Mutex<Ledger>>,
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    digest: u128,
    counters: MachineCounters,
    ledger: Ledger,
}

fn draw(choices: &mut Choices, concurrency: Concurrency) -> Settings {
    let engine = find("redb").expect("it is built in");
    let forced = [("durability".to_string(), "immediate".to_string())];
    let mut draw = SettingsDraw::new(choices, "redb", &forced);
    assert_eq!(engine.draw(&mut draw), Ok(Contract::Durable));
    Settings::new(draw.finish().expect("all are known"), Contract::Durable, concurrency)
}

/// Runs a seed on an OS thread of its own.
fn run(seed: u64, concurrency: Concurrency, faults: bool) -> Outcome {
    falconry_ambient::install();
    std::thread::spawn(move || run_here(seed, concurrency, faults))
        .join()
        .unwrap_or_else(|_| panic!("seed {seed} as {concurrency:?}, faults {faults}"))
}

fn run_here(seed: u64, concurrency: Concurrency, faults: bool) -> Outcome {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
    let settings = draw(machine.choices(), concurrency);
    let engine = find("redb").expect("it is built in");
    let run = Run { engine, settings, ledger: Arc::default() };
    for fault in engine.claims().iter() {
        let ppm = match fault.when() {
            When::PowerLoss => PPM / 2,
            When::Error if faults => 5_000,
            When::Slow | When::Clock | When::Scheduler if faults => 1_000,
            _ => 0,
        };
        machine.faults().set_rate(fault, ppm);
    }
    for _ in 0..4 {
        let draw = PowerDraw { recovery_ppm: 300_000, ..PowerDraw::default() };
        let boot = machine.boot(Ending::Drawn(draw), |ctx| run.boot(ctx));
        if ended_by_itself(boot).is_some() {
            machine.cut_power();
        }
    }
    machine.faults().hold_back(true);
    let last = machine.boot(Ending::Never, |ctx| run.verify(ctx));
    ended_by_itself(last).expect("nothing ends the last boot");
    let ledger = run.ledger.lock().expect("not poisoned").clone();
    Outcome { digest: machine.digest().value(), counters: machine.counters(), ledger }
}

fn ended_by_itself<R>(boot: Boot<R>) -> Option<R> {
    match boot.end {
        End::Returned(result) => Some(result),
        End::Exited | End::PowerLoss | End::ProcessCrash => None,
        End::Verdict(verdict) => panic!("boot {}: {verdict}", boot.number),
    }
}

impl Run {
    /// Opens, then lets all clients work until they are done or the disk fails.
    fn boot(&self, ctx: &Ctx) {
        falconry_ambient::prime();
        let Ok(database) = self.engine.open(ctx.disk(), &self.settings) else { return };
        machine::opened();
        let Ok(found) = self.found(&*database) else { return };
        self.judge(&found);
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let database = &*database;
                scope.spawn(move || self.write(database, client));
                scope.spawn(move || self.read(database));
            }
        });
        // An error of the disk, or the power that went meanwhile: the next boot tells.
        let _ = database.close();
    }

    /// Each transaction adds a key of its client and puts the count beside it.
    fn write(&self, database: &dyn Database, client: u64) {
        for _ in 0..TRANSACTIONS {
            let number = {
                let mut ledger = self.ledger.lock().expect("not poisoned");
                let (begun, _) = ledger.entry(client).or_default();
                *begun += 1;
                *begun - 1
            };
            match self.add(database, client, number) {
                Ok(()) if !machine::is_off() => {
                    let mut ledger = self.ledger.lock().expect("not poisoned");
                    ledger.entry(client).or_default().1 = number + 1;
                }
                Ok(()) => {}
                Err(_) => return,
            }
        }
    }

    fn add(&self, database: &dyn Database, client: u64, number: u64) -> Result<(), EngineError> {
        let mut transaction = database.begin(Access::Write)?;
        let len = (number as usize * 331 + client as usize * 97) % 3000;
        transaction.put(&key(client, number), &vec![client as u8; len])?;
        transaction.put(format!("count {client}").as_bytes(), &number.to_le_bytes())?;
        transaction.commit().map(drop)
    }

    /// A reader sees each client's keys without a gap, and the same ones when it looks again.
    fn read(&self, database: &dyn Database) {
        for _ in 0..TRANSACTIONS {
            let Ok(mut transaction) = database.begin(Access::Read) else { return };
            let (Ok(first), Ok(second)) =
                (transaction.range(b"key", None), transaction.range(b"key", None))
            else {
                return;
            };
            assert_eq!(first, second, "a reader's state does not change");
        }
    }

    fn found(&self, database: &dyn Database) -> Result<Ledger, EngineError> {
        let mut transaction = database.begin(Access::Read)?;
        let mut found = Ledger::new();
        for client in 0..CLIENTS {
            let mut count = 0;
            while transaction.get(&key(client, count))?.is_some() {
                count += 1;
            }
            let last = transaction.get(format!("count {client}").as_bytes())?;
            let last = last.map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")));
            assert_eq!(last.map_or(0, |last| last + 1), count, "a transaction is whole");
            found.insert(client, (count, count));
        }
        Ok(found)
    }

    /// What was acknowledged is there, and nothing that was never begun.
    fn judge(&self, found: &Ledger) {
        let mut ledger = self.ledger.lock().expect("not poisoned");
        for (client, (count, _)) in found {
            let (begun, acknowledged) = ledger.get(client).copied().unwrap_or_default();
            assert!((acknowledged..=begun).contains(count), "{client}: {count}, {ledger:?}");
            // The client goes on from what it finds.
            ledger.insert(*client, (*count, *count));
        }
    }

    fn verify(&self, ctx: &Ctx) {
        let mut database =
            self.engine.open(ctx.disk(), &self.settings).expect("the disk has no more faults");
        self.judge(&self.found(&*database).expect("the disk has no more faults"));
        database.check().expect("redb finds nothing wrong");
        self.write(&*database, 0);
        let (begun, acknowledged) = self.ledger.lock().expect("not poisoned")[&0];
        assert_eq!(begun, acknowledged, "it is live");
        database.close().expect("the disk has no more faults");
    }
}

fn key(client: u64, number: u64) -> Vec<u8> {
    format!("key {client} {number:06}").into_bytes()
}

#[test]
fn power_losses_take_nothing_and_leave_nobody_behind() {
    for concurrency in [Concurrency::Futex, Concurrency::Gated] {
        let mut sum = MachineCounters::default();
        let mut acknowledged = 0;
        for seed in 0..100 {
            let outcome = run(seed, concurrency, false);
            assert_eq!(outcome.counters.abandoned, 0, "seed {seed} as {concurrency:?}");
            sum.power_losses += outcome.counters.power_losses;
            sum.partial_power_losses += outcome.counters.partial_power_losses;
            sum.process_crashes += outcome.counters.process_crashes;
            acknowledged += outcome.ledger.values().map(|(_, acked)| acked).sum::<u64>();
        }
        assert!(sum.power_losses > 200, "{sum:?}");
        assert!(sum.partial_power_losses > 30, "{sum:?}");
        assert!(sum.process_crashes > 30, "{sum:?}");
        assert!(acknowledged > 100 * 6, "{acknowledged} commits");
    }
}

#[test]
fn claimed_faults_take_nothing() {
    for seed in 0..100 {
        for concurrency in [Concurrency::Futex, Concurrency::Gated] {
            let outcome = run(seed, concurrency, true);
            assert_eq!(outcome.counters.abandoned, 0, "seed {seed} as {concurrency:?}");
        }
    }
}

#[test]
fn a_seed_runs_the_same_twice() {
    for seed in 0..20 {
        for concurrency in [Concurrency::Futex, Concurrency::Gated] {
            assert_eq!(run(seed, concurrency, true), run(seed, concurrency, true), "seed {seed}");
        }
    }
}
