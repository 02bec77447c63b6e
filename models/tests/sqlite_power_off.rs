//! The power goes at each call of the disk in turn, while several clients are inside SQLite.
//!
//! One test in a file of its own: SQLite's random generator is one for the process.

use std::sync::Mutex;

use falconry::engine::{Access, Concurrency, Database, EngineError, Settings, SettingsDraw, find};
use falconry_seam::thread;
use falconry_sim::choice::Choices;
use falconry_sim::machine::{At, End, Ending, Machine, MachineConfig};

const CLIENTS: u8 = 3;
const COMMITS: u8 = 4;
/// More calls of the disk than the work makes.
const CALLS_MAX: u64 = 3_000;

fn settings(journal_mode: &str) -> Settings {
    let engine = find("sqlite").expect("it is built in");
    let fixed = [("journal_mode", journal_mode), ("synchronous", "extra"), ("page_size", "512")];
    let fixed = fixed.map(|(name, value)| (name.to_string(), value.to_string()));
    let mut choices = Choices::zeros();
    let mut draw = SettingsDraw::new(&mut choices, "sqlite", &fixed);
    let contract = engine.draw(&mut draw).expect("the words are known");
    Settings::new(draw.finish().expect("the names are known"), contract, Concurrency::Seam)
}

/// Each client commits keys of its own; those that were acknowledged are noted.
fn work(database: &dyn Database, acknowledged: &Mutex<Vec<Vec<u8>>>) {
    let commit = |key: &[u8]| -> Result<(), EngineError> {
        let mut transaction = database.begin(Access::Write)?;
        transaction.put(key, &[key[0]; 300])?;
        transaction.commit().map(drop)
    };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for number in 0..COMMITS {
                    let key = vec![client, number];
                    if commit(&key).is_err() || falconry_sim::is_off() {
                        return;
                    }
                    acknowledged.lock().expect("not poisoned").push(key);
                }
            });
        }
    });
}

/// Whether the work was over before the call at which the power goes.
fn cut_at(call: u64, settings: &Settings) -> bool {
    let engine = find("sqlite").expect("it is built in");
    let config = MachineConfig { stack_bytes: engine.stack_bytes(), ..MachineConfig::default() };
    let mut machine = Machine::new(config, Choices::from_seed(call));
    let acknowledged = Mutex::default();
    let cut = machine.boot(Ending::PowerLoss(At::DiskOp(call)), |ctx| {
        let Ok(database) = engine.open(ctx.disk(), settings) else { return };
        work(&*database, &acknowledged);
        // The power may have gone: the next boot tells.
        let _ = database.close();
    });
    let over = match cut.end {
        End::Returned(()) => true,
        End::PowerLoss => false,
        other => panic!("call {call}, {settings:?}: {other:?}"),
    };
    let last = machine.boot(Ending::Never, |ctx| {
        let mut database = engine.open(ctx.disk(), settings).expect("the disk has no faults");
        let mut transaction = database.begin(Access::Read).expect("the disk has no faults");
        let pairs = transaction.range(&[], None).expect("the disk has no faults");
        drop(transaction);
        for key in acknowledged.lock().expect("not poisoned").iter() {
            let found = pairs.iter().find(|(found, _)| found == key);
            assert!(found.is_some(), "{key:?} was acknowledged before call {call}, {settings:?}");
        }
        assert!(pairs.iter().all(|(key, value)| value == &[key[0]; 300]), "call {call}");
        database.check().expect("SQLite finds nothing wrong");
    });
    assert!(matches!(last.end, End::Returned(())), "call {call}, {settings:?}: {last:?}");
    assert_eq!(machine.counters().abandoned, 0, "call {call}, {settings:?}");
    over
}

#[test]
fn the_power_goes_at_each_call_of_the_disk() {
    for journal_mode in ["delete", "truncate", "persist", "wal"] {
        let settings = settings(journal_mode);
        let calls = (1..CALLS_MAX).find(|call| cut_at(*call, &settings));
        assert!(calls.is_some_and(|calls| calls > 100), "{journal_mode}: {calls:?}");
    }
}
