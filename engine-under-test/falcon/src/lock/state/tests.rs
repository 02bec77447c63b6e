//! Locks without threads, step by step, against what the rules say of each state.
//!
//! # Method
//!
//! Random requests, ends, releases and departures. Whether a state is a deadlock is found by letting
//! transactions end, one that does not wait after the other, until none is left or none can go on; whether one
//! is held up, by letting only those end that are about to, and whoever gets its lock by that.
//!
//! # Invariant
//!
//! Whoever waits has a reason, and somebody can always go on.

use falconry_sim::choice::Choices;

use super::*;
use crate::page::RecordNumber;
use crate::{TableId, TxnId};

const TXNS: u64 = 5;

fn record(number: u64) -> LockName {
    LockName::Record(TableId(1), RecordNumber(number))
}

/// Ends transactions until none is left, and says whether that was possible.
fn can_all_end(state: &State) -> bool {
    let mut state = state.clone();
    while !state.is_idle() {
        let runs = (1..=TXNS)
            .map(TxnId)
            .find(|txn| state.owners.get(txn).is_some_and(|owner| owner.waits_for.is_none()));
        match runs {
            Some(txn) => drop(state.release_all(txn)),
            None => return false,
        }
    }
    true
}

/// Whether `txn` gets what it waits for when nobody gives a lock back but those that are about to end, and those
/// that go on by that.
fn gets_on(state: &State, txn: TxnId) -> bool {
    let mut state = state.clone();
    let ending = state.owners.iter().filter(|(_, owner)| owner.is_ending);
    let mut ending: Vec<TxnId> = ending.map(|(txn, _)| *txn).collect();
    while let Some(ended) = ending.pop() {
        ending.extend(state.release_all(ended).iter().map(|request| request.txn));
        if ending.contains(&txn) {
            return true;
        }
    }
    false
}

/// All that holds of every state between two calls.
fn check(state: &State) {
    for (name, lock) in &state.locks {
        let holders: Vec<(TxnId, LockMode)> = lock.holders().collect();
        for (one, held) in &holders {
            assert!(state.owners[one].holds.contains(name), "{one} does not know of {name}");
            let go_together =
                |(other, mode): &(TxnId, LockMode)| one == other || held.is_compatible(*mode);
            assert!(holders.iter().all(go_together), "{name} is held by {holders:?}");
        }
        let holds = |txn: TxnId| lock.held(txn).is_some();
        let upgrades: Vec<bool> = lock.waiting().map(|request| holds(request.txn)).collect();
        assert!(upgrades.is_sorted_by(|one, other| one >= other), "{name}: {upgrades:?}");
        for (at, request) in lock.waiting().enumerate() {
            let conflicts = holders
                .iter()
                .any(|(holder, held)| *holder != request.txn && !held.is_compatible(request.mode));
            let has_reason = conflicts || (at > 0 && !upgrades[at]);
            assert!(has_reason, "{} waits for {name} without a reason", request.txn);
            assert_eq!(state.owners[&request.txn].waits_for.as_ref(), Some(name));
        }
    }
    for (txn, _) in state.owners.iter().filter(|(_, owner)| owner.waits_for.is_some()) {
        let held_up_by = state.held_up_by(*txn);
        assert_eq!(held_up_by.is_none(), gets_on(state, *txn), "{txn} behind {held_up_by:?}");
    }
    assert!(can_all_end(state), "somebody waits for ever");
}

/// What a request must be answered: whether the lock is had at once.
fn expected(state: &State, txn: TxnId, name: &LockName, mode: LockMode) -> bool {
    let Some(lock) = state.locks.get(name) else { return true };
    let wanted = lock.held(txn).map_or(mode, |held| held.supremum(mode));
    if lock.held(txn) == Some(wanted) {
        return true;
    }
    let fits = lock.holders().all(|(holder, held)| holder == txn || held.is_compatible(wanted));
    fits && (lock.held(txn).is_some() || lock.waiting().next().is_none())
}

#[derive(Default)]
struct Met {
    held: u32,
    waits: u32,
    deadlocks: u32,
    others_refused: u32,
    patient: u32,
    woken: u32,
    upgrades: u32,
}

fn ask(state: &mut State, choices: &mut Choices, txn: TxnId, met: &mut Met) {
    let name = match choices.choose("test/name", 4) {
        0 => LockName::Table(TableId(1)),
        number => record(number),
    };
    let modes: Vec<LockMode> = LockMode::ALL.into_iter().filter(|mode| name.takes(*mode)).collect();
    let mode = modes[choices.choose("test/mode", modes.len() as u64) as usize];
    let at_once = expected(state, txn, &name, mode);
    match state.request(txn, &name, mode) {
        Answer::Held => {
            assert!(at_once, "{txn} got {name} before its turn");
            met.held += 1;
        }
        Answer::Busy { mode } => {
            assert!(!at_once, "{txn} was to have {name} at once");
            met.upgrades += u32::from(state.locks[&name].held(txn).is_some());
            state.wait(txn, &name, mode);
            assert_eq!(state.cycle(txn).is_none(), can_all_end(state), "{txn} for {name}");
            met.waits += 1;
            while let Some(cycle) = state.cycle(txn) {
                assert_eq!(cycle[0], txn, "{cycle:?} begins with who closes it");
                let (youngest, woken) = state.refuse_youngest(&cycle, false);
                assert_eq!(Some(&youngest), cycle.iter().max(), "{cycle:?}");
                assert_eq!(woken[0].txn, youngest, "it is to be told");
                let told = state.take_refusal(youngest).expect("it was refused");
                assert_eq!((told[0], told.len()), (youngest, cycle.len()), "{told:?}");
                met.deadlocks += 1;
                met.others_refused += u32::from(youngest != txn);
            }
            let waits = state.waits_for(txn).is_some();
            met.patient += u32::from(waits && state.held_up_by(txn).is_none());
        }
    }
}

#[test]
fn nobody_waits_without_a_reason_or_for_ever() {
    let mut met = Met::default();
    for seed in 0..600 {
        let mut choices = Choices::from_seed(seed);
        let mut state = State::default();
        for _ in 0..80 {
            let txn = TxnId(1 + choices.choose("test/txn", TXNS));
            let waits = state.waits_for(txn).is_some();
            let is_over = choices.choose("test/over", 6) == 0;
            let is_ending = state.owners.get(&txn).is_some_and(|owner| owner.is_ending);
            let woken = match (waits, is_over) {
                (true, false) => continue,
                (true, true) => state.leave(txn),
                (false, true) => state.release_all(txn),
                (false, false) if is_ending => continue,
                (false, false) if choices.choose("test/ends", 6) == 0 => {
                    state.ends(txn);
                    Vec::new()
                }
                (false, false) => {
                    ask(&mut state, &mut choices, txn, &mut met);
                    Vec::new()
                }
            };
            met.woken += woken.len() as u32;
            check(&state);
        }
    }
    let Met { held, waits, deadlocks, others_refused, patient, woken, upgrades } = met;
    assert!(held > 1_000 && waits > 1_000, "{held} had at once, {waits} waited");
    assert!(deadlocks > 300, "{deadlocks} deadlocks");
    assert!(others_refused > 100, "{others_refused} of them another's than the last request");
    assert!(patient > 100, "{patient} waited for none but such as end");
    assert!(woken > 1_000, "{woken} woken");
    assert!(upgrades > 300, "{upgrades} upgrades that were not had at once");
}

#[test]
fn a_cycle_is_told_in_words() {
    let text = told(&[TxnId(1), TxnId(3), TxnId(2)]);
    let expected = "transaction 1 waits for transaction 3, which waits for transaction 2, \
                    which waits for transaction 1";
    assert_eq!(text, expected);
}

#[test]
fn who_has_stopped_grants_nothing_more() {
    let mut state = State::default();
    assert_eq!(state.request(TxnId(1), &record(1), LockMode::Exclusive), Answer::Held);
    let busy = Answer::Busy { mode: LockMode::Shared };
    assert_eq!(state.request(TxnId(2), &record(1), LockMode::Shared), busy);
    state.wait(TxnId(2), &record(1), LockMode::Shared);
    state.stopped = Some("a test".into());
    assert!(state.release_all(TxnId(1)).is_empty(), "nobody gets what was given back");
    assert!(state.waits_for(TxnId(2)).is_some(), "it waits until it is told");
    assert!(state.leave(TxnId(2)).is_empty());
    assert!(state.is_idle());
}

#[test]
#[should_panic(
    expected = "transaction 1 asks for an intent-shared lock on record 1 of table 1, which takes none"
)]
fn an_intent_on_a_record_is_a_mistake() {
    State::default().request(TxnId(1), &record(1), LockMode::IntentShared);
}

/// Transaction 1 holds a record, and transaction 2 waits for it.
fn one_waits() -> State {
    let mut state = State::default();
    assert_eq!(state.request(TxnId(1), &record(1), LockMode::Exclusive), Answer::Held);
    state.request(TxnId(2), &record(1), LockMode::Shared);
    state.wait(TxnId(2), &record(1), LockMode::Shared);
    state
}

#[test]
#[should_panic(expected = "transaction 2 asks for record 2 of table 1 while it waits for")]
fn a_second_request_of_one_that_waits_is_a_mistake() {
    one_waits().request(TxnId(2), &record(2), LockMode::Shared);
}

#[test]
#[should_panic(expected = "transaction 2 is to end while it waits")]
fn an_end_of_one_that_waits_is_a_mistake() {
    one_waits().ends(TxnId(2));
}

#[test]
#[should_panic(expected = "transaction 1 asks for record 2 of table 1 after its end")]
fn a_request_after_the_end_is_a_mistake() {
    let mut state = one_waits();
    state.ends(TxnId(1));
    state.request(TxnId(1), &record(2), LockMode::Shared);
}

#[test]
#[should_panic(expected = "transaction 2 gives its locks back while it waits")]
fn a_release_of_one_that_waits_is_a_mistake() {
    one_waits().release_all(TxnId(2));
}
