//! The judges under a known truth: a history and a state that has one flaw, or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::harness;
use crate::engine::{Contract, EngineError, Pair, Promise};
use crate::oracle::errors::{self, Circumstances};
use crate::oracle::history::{HEAD_KEY, History, VersionId, Write};
use crate::oracle::invariant::{self, Tally};
use crate::oracle::liveness::{self, LastBoot};
use crate::oracle::recovered::{self, After};
use crate::oracle::{Breach, read};

/// Flaws of a state that was recovered.
const FLAWS: [&str; 6] =
    ["none", "last commit lost", "record missing", "record added", "byte changed", "head torn"];

/// Shows each judge one case that it must let pass or one that it must convict, as drawn.
pub(super) fn check() -> Result<(), Breach> {
    let commits = 2 + falconry_sim::choose("judges/commits", 6) as u32;
    let flaw = falconry_sim::choose("judges/flaw", FLAWS.len() as u64) as usize;
    let (history, state) = history(commits)?;
    let spoilt = spoil(&history, state, flaw, commits);
    let convicted = recovered::judge(&history, &spoilt, After::PowerLoss, false).is_err();
    told(convicted, flaw > 0, FLAWS[flaw])?;
    let head = VersionId(commits);
    let scanned = read::judge_range(&history, head, &BTreeMap::new(), (&[], None), &spoilt);
    told(scanned.is_err(), flaw > 0, "scan")?;
    others(flaw as u64)
}

/// The judges that need no history.
fn others(flaw: u64) -> Result<(), Breach> {
    let is_flawed = flaw > 0;
    let record = |index: u64, value: u64| (vec![index as u8], value.to_le_bytes().to_vec());
    let accounts = [record(0, 40), record(1, 60 + flaw)];
    told(invariant::constant_sum(&accounts, 2, 100).is_err(), is_flawed, "constant sum")?;
    let ring = [record(0, 1), record(1, if is_flawed { 1 } else { 0 })];
    told(invariant::one_ring(&ring, 2).is_err(), is_flawed, "one ring")?;
    let entries = [record(0, 0), record(1 + flaw, 0)];
    let entry_of = |key: &[u8]| Some((0, u64::from(key[0])));
    told(invariant::unbroken(&entries, entry_of).is_err(), is_flawed, "unbroken entries")?;
    let tally = Tally { base: 5, certain: 3, possible: 0 };
    told(invariant::within(8 + flaw, tally).is_err(), is_flawed, "count")?;
    let then = Circumstances { disk_failed: !is_flawed, beyond: false };
    let error = EngineError::Disk { what: "write".into(), errno: Some(5) };
    told(errors::judge("commit", &error, then).is_err(), is_flawed, "errors")?;
    let last = LastBoot { failed: None, commits: 2, asked: 2, time_ns: 10 + flaw, limit_ns: 10 };
    told(liveness::judge(&last).is_err(), is_flawed, "liveness")
}

fn told(convicted: bool, guilty: bool, what: &str) -> Result<(), Breach> {
    if convicted == guilty {
        return Ok(());
    }
    let sentence =
        if guilty { "a judge lets a flaw pass" } else { "a judge convicts without a flaw" };
    Err(harness(sentence, what))
}

/// A history of so many durable commits, and the state that they lead to.
fn history(commits: u32) -> Result<(History, Vec<Pair>), Breach> {
    let mut history = History::new(Contract::Durable);
    let mut state = BTreeMap::new();
    let mut parent = VersionId::ROOT;
    for number in 0..commits {
        let head: Arc<[u8]> = Arc::from(History::head_value(history.next_id()));
        let value: Arc<[u8]> = Arc::from(u64::from(number).to_le_bytes());
        let writes: BTreeMap<Vec<u8>, Write> = BTreeMap::from([
            (HEAD_KEY.to_vec(), Some(head)),
            (vec![b'k', number as u8], Some(value)),
        ]);
        for (key, value) in &writes {
            state.insert(key.clone(), value.as_deref().unwrap_or_default().to_vec());
        }
        parent = history.enter(parent, 0, 1, 0, writes);
        history.acknowledge(parent, Promise::Durable, 0)?;
    }
    Ok((history, state.into_iter().collect()))
}

fn spoil(history: &History, mut state: Vec<Pair>, flaw: usize, commits: u32) -> Vec<Pair> {
    match FLAWS[flaw] {
        "last commit lost" => {
            let before = history.range_at(VersionId(commits - 1), &[], None);
            return before.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        }
        "record missing" => drop(state.remove(1)),
        "record added" => state.push((b"z".to_vec(), Vec::new())),
        "byte changed" => state[1].1[0] ^= 1,
        "head torn" => state[0].1[1] ^= 1,
        _ => {}
    }
    state
}
