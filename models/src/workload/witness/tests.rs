//! What the witness counts by itself, and what it takes for an excuse.

use std::collections::BTreeMap;

use falconry_sim::choice::Choices;
use falconry_sim::{Ending, Machine, MachineConfig};

use super::*;
use crate::run::Property;

/// A witness of three write transactions after the first, which sets up: one durable, one that is only
/// kept, one in flight. Also the version of the last that was acknowledged.
fn witness() -> (Witness, VersionId) {
    let witness = Witness::new(Contract::Prefix, FaultSet::ALL);
    let mut parent = VersionId::ROOT;
    for promise in [Promise::Durable, Promise::Durable, Promise::Later] {
        let id = witness.enter(parent, 0, BTreeMap::new());
        assert_eq!(witness.acknowledge(id, promise), Ok(()));
        parent = id;
    }
    witness.enter(parent, 0, BTreeMap::new());
    (witness, parent)
}

#[test]
fn what_must_be_there_depends_on_how_the_life_ended() {
    let (witness, id) = witness();
    let tally = |certain, possible| Some(Tally { base: 0, certain, possible });
    assert_eq!(witness.tally(After::PowerLoss, id), tally(1, 2));
    assert_eq!(witness.tally(After::ProcessCrash, id), tally(2, 1));
    assert_eq!(witness.tally(After::CleanShutdown, id), tally(2, 1));
    witness.shut_down(Promise::Durable);
    assert_eq!(witness.tally(After::PowerLoss, id), tally(2, 1));
}

#[test]
fn what_was_seen_is_the_base_after_a_power_loss_alone() {
    let (witness, id) = witness();
    witness.observe(id, false, 2);
    let tally = |base, certain, possible| Some(Tally { base, certain, possible });
    assert_eq!(witness.tally(After::PowerLoss, id), tally(0, 1, 1));
    assert_eq!(witness.tally(After::ProcessCrash, id), tally(0, 2, 0));
    witness.observe(id, true, 2);
    assert_eq!(witness.tally(After::PowerLoss, id), tally(2, 0, 0));
}

/// The breaches of two boots, in each of which the engine reports a failing disk; it failed in the
/// first alone.
fn blamed(fault: Fault) -> Vec<(Breach, u32, u64)> {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    let witness = Witness::new(Contract::Durable, FaultSet::ALL);
    for boot in 1..=2 {
        machine.boot(Ending::Never, |_| {
            witness.boot(boot);
            if boot == 1 {
                with_env(|env| env.faults.deliver(fault));
            }
            let error = EngineError::Disk { what: "write".into(), errno: Some(5) };
            witness.error("commit", &error);
        });
    }
    witness.take_breaches()
}

#[test]
fn a_call_that_failed_excuses_errors_of_its_own_boot() {
    let breaches = blamed(Fault::EioWrite);
    assert_eq!(breaches.len(), 1, "{breaches:?}");
    assert_eq!((breaches[0].0.property, breaches[0].1), (Property::ErrorPath, 2));
    for stays in [Fault::EioReadSticky, Fault::SyncFailLate] {
        assert_eq!(blamed(stays), [], "{stays} comes again in a later boot");
    }
    assert_eq!(blamed(Fault::ShortWrite).len(), 2, "a call that fell short did not fail");
}

#[test]
fn a_fault_that_was_admitted_and_did_not_come_excuses_nothing() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    let witness =
        Witness::new(Contract::Durable, FaultSet::ALL.minus(FaultSet::of(&[Fault::BitRot])));
    machine.faults().set_rate(Fault::BitRot, 1_000_000);
    let corrupt = EngineError::Corrupt { what: "page 3".into() };
    machine.boot(Ending::Never, |_| {
        witness.boot(1);
        witness.error("get", &corrupt);
        with_env(|env| env.faults.deliver(Fault::BitRot));
        witness.error("range", &corrupt);
    });
    let breaches = witness.take_breaches();
    let places: Vec<&str> = breaches.iter().map(|(breach, ..)| &*breach.place).collect();
    assert_eq!(places, ["get"], "{breaches:?}");
}
