//! A boot asks every instrument, also those that agree with another as long as both are right.

use std::sync::Mutex;

use falconry_sim::choice::Choices;
use falconry_sim::fault::FaultSet;
use falconry_sim::{End, Ending, Machine, MachineConfig};

use super::*;
use crate::engine::{self, Concurrency, Pair};
use crate::oracle::Breach;
use crate::oracle::invariant::Tally;
use crate::run::Property;
use crate::workload::Attempt;

/// A workload of one record, which remembers what it was asked and says that nothing holds.
#[derive(Default)]
struct Doubtful {
    asked: Mutex<Vec<(usize, Option<Tally>)>>,
}

impl Workload for Doubtful {
    fn set_up(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        attempt.put(b"one", b"1")
    }

    fn write(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        attempt.put(b"one", b"2")
    }

    fn read(&self, _attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        Ok(())
    }

    fn invariant(&self, state: &[Pair], tally: Option<Tally>) -> Result<(), Breach> {
        self.asked.lock().unwrap().push((state.len(), tally));
        Err(Breach::new(Property::Invariant, "nothing holds", "state"))
    }
}

#[test]
fn the_invariant_is_asked_of_every_state_that_the_history_allows() {
    let values = vec![("sync_every".to_string(), "1".to_string())];
    let settings = Settings::new(values, Contract::Durable, Concurrency::Seam);
    let witnesses = [Witness::new(Contract::Durable, FaultSet::ALL)];
    let [witness] = &witnesses;
    let workload = Doubtful::default();
    let session = Session {
        engine: engine::find("canary").unwrap(),
        settings: &settings,
        workload: &workload,
        witnesses: &witnesses,
        sizes: Sizes { clients: 1, transactions: 1, keys: 1, value_bytes: 1 },
        ends: Ends::default(),
        upkeep: false,
        aside: Aside::default(),
        break_sync: false,
        live_within_ns: u64::MAX,
        looked: AtomicBool::new(false),
    };
    let mut machine = Machine::new(MachineConfig::default(), Choices::zeros());
    for (number, task) in [(1, Task::Live), (2, Task::Look)] {
        assert!(!witness.is_over(), "the empty database has no invariant");
        let boot = machine
            .boot(Ending::Never, |ctx| session.run(ctx.disk(), number, task, After::ProcessCrash));
        assert!(matches!(boot.end, End::Returned(_)), "{:?}", boot.end);
    }
    let breaches = witness.take_breaches();
    assert_eq!(breaches.len(), 1, "{breaches:?}");
    assert_eq!((&*breaches[0].0.sentence, breaches[0].1), ("nothing holds", 2));
    // The head, the record and the mark of the set-up; the last boot commits two transactions.
    let tally = Tally { base: 0, certain: LAST_COMMITS, possible: 0 };
    assert_eq!(*workload.asked.lock().unwrap(), [(3, Some(tally))]);
}
