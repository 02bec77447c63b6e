//! What may be found after a crash, and what may not.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

#[test]
fn recoveries_of_one_crash_come_to_the_same_or_the_first_difference_is_told() {
    let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    let once = [pair("a", "1"), pair("b", "2")];
    assert_eq!(judge_repeated(&once, &once), Ok(()));
    let rows = [
        (vec![pair("a", "1")], "b = 32 (1 bytes)", "b = no record"),
        (vec![pair("a", "1"), pair("b", "3")], "b = 32 (1 bytes)", "b = 33 (1 bytes)"),
        (vec![pair("a", "1"), pair("b", "2"), pair("c", "")], "c = no record", "c =  (0 bytes)"),
    ];
    for (found, want, have) in rows {
        let breach = judge_repeated(&once, &found).expect_err(have);
        assert_eq!(breach.property, Property::Recovery);
        let told: Vec<&str> = breach.what.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(told, [want, have]);
    }
}
use crate::engine::Promise;
use crate::oracle::history::Write;

/// A history, and what an engine that never loses anything would hold at each version.
struct Fixture {
    history: History,
    states: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Fixture {
    fn new(contract: Contract) -> Self {
        Fixture { history: History::new(contract), states: vec![BTreeMap::new()] }
    }

    /// A transaction on `parent` that writes `key` (and removes it for an empty value).
    fn enter(&mut self, parent: VersionId, key: &str, value: &str) -> VersionId {
        let id = self.history.next_id();
        let head: Arc<[u8]> = Arc::from(History::head_value(id));
        let write: Write = (!value.is_empty()).then(|| Arc::from(value.as_bytes()));
        let writes =
            BTreeMap::from([(HEAD_KEY.to_vec(), Some(head)), (key.as_bytes().to_vec(), write)]);
        let mut state = self.states[parent.0 as usize].clone();
        for (key, write) in &writes {
            match write {
                Some(value) => state.insert(key.clone(), value.to_vec()),
                None => state.remove(key),
            };
        }
        self.states.push(state);
        assert_eq!(self.history.enter(parent, 0, 1, 7, writes), id);
        id
    }

    fn commit(&mut self, parent: VersionId, key: &str, promise: Promise) -> VersionId {
        let id = self.enter(parent, key, "value");
        self.history.acknowledge(id, promise, 9).unwrap_or_else(|breach| panic!("{breach:?}"));
        id
    }

    fn state(&self, id: VersionId) -> Vec<Pair> {
        self.states[id.0 as usize].clone().into_iter().collect()
    }

    fn judge(&self, id: VersionId, after: After) -> Result<VersionId, Breach> {
        judge(&self.history, &self.state(id), after, false)
    }
}

fn property(result: Result<VersionId, Breach>) -> Property {
    result.expect_err("a breach").property
}

#[test]
fn a_durable_commit_must_be_there() {
    let mut fixture = Fixture::new(Contract::Durable);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.commit(one, "b", Promise::Durable);
    assert_eq!(fixture.judge(two, After::PowerLoss), Ok(two));
    assert_eq!(property(fixture.judge(one, After::PowerLoss)), Property::Durability);
    assert_eq!(property(fixture.judge(one, After::ProcessCrash)), Property::Durability);
    assert_eq!(property(fixture.judge(one, After::CleanShutdown)), Property::CleanShutdown);
    assert_eq!(property(fixture.judge(VersionId::ROOT, After::PowerLoss)), Property::Durability);
}

#[test]
fn a_loss_is_told_with_the_first_transaction_that_is_gone() {
    let mut fixture = Fixture::new(Contract::Durable);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.commit(one, "b", Promise::Durable);
    fixture.commit(two, "c", Promise::Durable);
    let breach = fixture.judge(one, After::PowerLoss).expect_err("two commits are gone");
    assert_eq!(breach.sentence, "acknowledged commit lost");
    assert_eq!(breach.place, "after power loss");
    assert_eq!(breach.expected.as_deref(), Some(b"value".as_slice()));
    assert_eq!(breach.path_of, ["b", "txn 2"]);
    assert!(breach.what.contains(&("lost".into(), "2 commits that had to survive".into())));
}

#[test]
fn what_was_not_answered_may_be_there_wholly_or_not() {
    let mut fixture = Fixture::new(Contract::Durable);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.enter(one, "b", "new");
    assert_eq!(fixture.judge(one, After::PowerLoss), Ok(one));
    assert_eq!(fixture.judge(two, After::PowerLoss), Ok(two));
    let mut torn = fixture.state(two);
    torn.retain(|(key, _)| key != b"b");
    let verdict = judge(&fixture.history, &torn, After::PowerLoss, false);
    assert_eq!(property(verdict), Property::Atomicity);
    let mut torn = fixture.state(one);
    torn.push((b"b".to_vec(), b"new".to_vec()));
    let verdict = judge(&fixture.history, &torn, After::PowerLoss, false);
    assert_eq!(property(verdict), Property::Atomicity);
}

#[test]
fn a_head_of_no_transaction_fires() {
    let fixture = Fixture::new(Contract::Durable);
    for head in [vec![1, 2, 3], History::head_value(VersionId(7)).to_vec(), vec![0; 8]] {
        let state = vec![(HEAD_KEY.to_vec(), head)];
        let verdict = judge(&fixture.history, &state, After::ProcessCrash, false);
        assert_eq!(property(verdict), Property::Atomicity);
    }
}

#[test]
fn what_was_rolled_back_must_not_be_there() {
    let mut fixture = Fixture::new(Contract::Durable);
    let one = fixture.enter(VersionId::ROOT, "a", "x");
    fixture.history.fail(one, false);
    assert_eq!(property(fixture.judge(one, After::ProcessCrash)), Property::Atomicity);
    let two = fixture.enter(VersionId::ROOT, "a", "y");
    fixture.history.fail(two, true);
    assert_eq!(fixture.judge(two, After::ProcessCrash), Ok(two));
}

#[test]
fn a_suffix_of_later_commits_may_go_but_not_past_a_durable_one() {
    let mut fixture = Fixture::new(Contract::Prefix);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.commit(one, "b", Promise::Later);
    let three = fixture.commit(two, "c", Promise::Later);
    for id in [one, two, three] {
        assert_eq!(fixture.judge(id, After::PowerLoss), Ok(id));
    }
    assert_eq!(property(fixture.judge(VersionId::ROOT, After::PowerLoss)), Property::Durability);
    assert_eq!(property(fixture.judge(two, After::ProcessCrash)), Property::Durability);
    let mut hole = fixture.state(three);
    hole.retain(|(key, _)| key != b"b");
    let verdict = judge(&fixture.history, &hole, After::PowerLoss, false);
    assert_eq!(property(verdict), Property::Atomicity);
}

#[test]
fn what_is_in_memory_alone_goes_with_the_process() {
    let mut fixture = Fixture::new(Contract::Prefix);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Later);
    let two = fixture.commit(one, "b", Promise::Memory);
    assert_eq!(fixture.judge(one, After::ProcessCrash), Ok(one));
    assert_eq!(property(fixture.judge(VersionId::ROOT, After::ProcessCrash)), Property::Durability);
    assert_eq!(property(fixture.judge(one, After::CleanShutdown)), Property::CleanShutdown);
    let three = fixture.commit(two, "c", Promise::Durable);
    assert_eq!(property(fixture.judge(two, After::ProcessCrash)), Property::Durability);
    assert_eq!(fixture.judge(three, After::PowerLoss), Ok(three));
}

#[test]
fn only_the_last_commit_may_go() {
    let mut fixture = Fixture::new(Contract::AllButLast);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.commit(one, "b", Promise::Durable);
    assert_eq!(fixture.judge(one, After::PowerLoss), Ok(one));
    assert_eq!(fixture.judge(two, After::PowerLoss), Ok(two));
    assert_eq!(property(fixture.judge(one, After::ProcessCrash)), Property::Durability);
    assert_eq!(property(fixture.judge(VersionId::ROOT, After::PowerLoss)), Property::Durability);
}

#[test]
fn what_was_lost_must_not_come_back_where_durability_is_promised() {
    let mut fixture = Fixture::new(Contract::Durable);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.enter(one, "b", "x");
    fixture.history.observe(one, true);
    assert_eq!(property(fixture.judge(two, After::PowerLoss)), Property::Durability);

    let mut fixture = Fixture::new(Contract::Prefix);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Later);
    let two = fixture.commit(one, "b", Promise::Later);
    fixture.history.observe(one, true);
    let three = fixture.commit(one, "c", Promise::Later);
    assert_eq!(fixture.judge(three, After::ProcessCrash), Ok(three));
    assert_eq!(fixture.judge(two, After::PowerLoss), Ok(two), "counted, and no finding");
    fixture.history.observe(two, true);
    assert_eq!(fixture.history.resurrected_count(), 1);
}

#[test]
fn a_transaction_beside_an_acknowledged_one_must_not_take_its_place() {
    let mut fixture = Fixture::new(Contract::Durable);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let beside = fixture.enter(one, "b", "x");
    let acked = fixture.commit(one, "c", Promise::Durable);
    for after in [After::ProcessCrash, After::CleanShutdown, After::PowerLoss] {
        assert_eq!(fixture.judge(acked, after), Ok(acked));
        let breach = fixture.judge(beside, after).expect_err("it holds no acknowledged commit");
        assert_eq!(breach.property, Property::Durability);
        assert_eq!(breach.path_of, [format!("txn {}", beside.0)]);
    }
}

#[test]
fn what_was_in_flight_may_come_back_where_the_engine_says_so_but_not_over_a_later_commit() {
    let mut fixture = Fixture::new(Contract::Durable);
    fixture.history.let_in_flight_return();
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.enter(one, "b", "value");
    fixture.history.observe(one, true);
    assert_eq!(fixture.judge(two, After::ProcessCrash), Ok(two));
    fixture.commit(one, "c", Promise::Durable);
    assert_eq!(property(fixture.judge(two, After::ProcessCrash)), Property::Durability);
}

#[test]
fn what_was_seen_may_be_lost_where_the_engine_says_so_but_nothing_acknowledged() {
    for may in [true, false] {
        let mut fixture = Fixture::new(Contract::Durable);
        if may {
            fixture.history.let_seen_be_lost();
        }
        let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
        let two = fixture.enter(one, "b", "value");
        fixture.history.observe(two, true);
        assert_eq!(fixture.judge(two, After::PowerLoss), Ok(two));
        assert_eq!(fixture.judge(one, After::PowerLoss).is_ok(), may);
        assert!(fixture.judge(one, After::ProcessCrash).is_err(), "the page cache has it");
        assert!(fixture.judge(VersionId::ROOT, After::PowerLoss).is_err(), "it was acknowledged");
        fixture.commit(two, "c", Promise::Durable);
        assert!(fixture.judge(two, After::PowerLoss).is_err(), "the commit on it was acknowledged");
        assert!(fixture.judge(one, After::PowerLoss).is_err(), "so what it stands on stays too");
    }
}

#[test]
fn beyond_the_budget_an_old_state_is_allowed_and_a_mixed_one_is_not() {
    let mut fixture = Fixture::new(Contract::Durable);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let two = fixture.commit(one, "a", Promise::Durable);
    let state = fixture.state(one);
    assert_eq!(judge(&fixture.history, &state, After::PowerLoss, true), Ok(one));
    let mut mixed = fixture.state(two);
    mixed[1].1 = b"other".to_vec();
    let verdict = judge(&fixture.history, &mixed, After::PowerLoss, true);
    assert_eq!(property(verdict), Property::Atomicity);
}

#[test]
fn after_a_power_loss_what_was_found_is_the_floor() {
    let mut fixture = Fixture::new(Contract::Prefix);
    let one = fixture.commit(VersionId::ROOT, "a", Promise::Later);
    fixture.history.observe(one, true);
    assert_eq!(property(fixture.judge(VersionId::ROOT, After::PowerLoss)), Property::Durability);
    let two = fixture.commit(one, "b", Promise::Later);
    fixture.history.observe(two, false);
    assert_eq!(fixture.judge(one, After::PowerLoss), Ok(one), "only the page cache had it");
    fixture.history.shut_down(Promise::Durable);
    assert_eq!(property(fixture.judge(one, After::PowerLoss)), Property::Durability);
}

#[test]
fn two_acknowledged_transactions_on_one_state_fire() {
    let mut fixture = Fixture::new(Contract::Durable);
    fixture.commit(VersionId::ROOT, "a", Promise::Durable);
    let other = fixture.enter(VersionId::ROOT, "b", "x");
    let breach = fixture.history.acknowledge(other, Promise::Durable, 9).expect_err("a fork");
    assert_eq!(breach.property, Property::Model);
}

proptest! {
    /// A sound engine of any contract, cut at any place, is never convicted; and a byte changed in
    /// what it left always is.
    #[test]
    fn quiet_for_a_sound_engine_and_fires_for_any_changed_byte(
        contract in prop::sample::select(vec![
            Contract::Durable, Contract::AllButLast, Contract::Prefix,
        ]),
        script in prop::collection::vec((0u8..6, 0usize..5, any::<prop::sample::Index>()), 1..40),
    ) {
        let mut fixture = Fixture::new(contract);
        let mut tip = VersionId::ROOT;
        let mut durable = VersionId::ROOT;
        for (step, (action, key, cut)) in script.into_iter().enumerate() {
            let key = format!("k{key}");
            match action {
                0..=2 => {
                    let promise = if action == 0 { Promise::Durable } else { Promise::Later };
                    let id = fixture.enter(tip, &key, &format!("v{step}"));
                    prop_assert_eq!(fixture.history.acknowledge(id, promise, 1), Ok(()));
                    match contract {
                        Contract::AllButLast => durable = tip,
                        _ if promise == Promise::Durable => durable = id,
                        _ => {}
                    }
                    tip = id;
                }
                3 => {
                    let flying = fixture.enter(tip, &key, "");
                    let found = if cut.index(2) == 0 { tip } else { flying };
                    prop_assert_eq!(fixture.judge(found, After::ProcessCrash), Ok(found));
                    fixture.history.observe(found, false);
                    tip = found;
                }
                _ => {
                    let mut path = vec![tip];
                    while path[path.len() - 1] != durable {
                        let last = path[path.len() - 1];
                        path.push(fixture.history.get(last).expect("on the path").parent);
                    }
                    let found = path[cut.index(path.len())];
                    prop_assert_eq!(fixture.judge(found, After::PowerLoss), Ok(found));
                    fixture.history.observe(found, true);
                    (tip, durable) = (found, found);
                }
            }
        }
        let mut state = fixture.state(tip);
        if let Some(pair) = state.iter_mut().find(|(key, _)| key != HEAD_KEY) {
            pair.1[0] ^= 1;
            prop_assert!(judge(&fixture.history, &state, After::ProcessCrash, true).is_err());
        }
    }
}
