//! Durability and atomicity: which states may be found after a crash.
//!
//! # Method
//!
//! The state names its version by its head. That version must hold all that the end of the last life
//! must leave, must not be one that never happened or was already found lost, and the whole state must
//! equal it: no hole, no part of a transaction, nothing else.

use crate::engine::{Contract, Pair};
use crate::oracle::history::{Fate, HEAD_KEY, History, VersionId};
use crate::oracle::{Breach, show_key, show_value};
use crate::run::Property;

/// How the lives ended since a state was last seen, the worst of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum After {
    /// The process ended; the page cache stayed.
    ProcessCrash,
    /// The engine was closed and said that this made everything durable; then the power went.
    CleanShutdown,
    /// The power went.
    PowerLoss,
}

impl After {
    fn words(self) -> &'static str {
        match self {
            After::ProcessCrash => "after process crash",
            After::CleanShutdown => "after clean shutdown",
            After::PowerLoss => "after power loss",
        }
    }
}

/// Judges the whole state that was found after a crash, and says which version it is.
///
/// `beyond` is true when faults were delivered that the engine does not claim to survive: then it may
/// come up with any state that once was, for it cannot know better, but with no other.
///
/// # Errors
///
/// What was lost, or came back, or never was.
pub fn judge(
    history: &History,
    state: &[Pair],
    after: After,
    beyond: bool,
) -> Result<VersionId, Breach> {
    let head = find(state, HEAD_KEY);
    let Some(id) = history.head_of(head) else {
        let sentence = "the state found is of no transaction";
        return Err(Breach::new(Property::Atomicity, sentence, after.words())
            .row("found", format!("head {}", show_value(head)))
            .bytes(None, head)
            .path(show_key(HEAD_KEY)));
    };
    if !beyond {
        judge_version(history, state, id, after)?;
    }
    judge_bytes(history, state, id, after)?;
    Ok(id)
}

fn judge_version(
    history: &History,
    state: &[Pair],
    id: VersionId,
    after: After,
) -> Result<(), Breach> {
    let floor = match after {
        After::ProcessCrash => history.kept(),
        After::CleanShutdown => history.acked(),
        After::PowerLoss => history.durable(),
    };
    if history.get(id).is_some_and(|version| version.fate == Fate::Never) {
        let sentence = "a transaction that did not happen is there";
        return Err(Breach::new(Property::Atomicity, sentence, after.words())
            .row("found", history.describe(id))
            .path(format!("txn {}", id.0)));
    }
    let sentence = match history.came_back(id) {
        // Such an engine does not promise that what was lost stays away; it is counted.
        Some(_) if history.contract() != Contract::Durable => return Ok(()),
        // No acknowledged one is among them: its loss was a breach already.
        Some(_) if history.in_flight_may_return() && history.is_ancestor(floor, id) => {
            return Ok(());
        }
        Some(_) => "a lost transaction came back",
        None if history.is_ancestor(floor, id) => return Ok(()),
        None if history.is_ancestor(id, floor) => {
            return Err(lost(history, state, id, floor, after));
        }
        None => "a transaction came back over a later one",
    };
    Err(Breach::new(Property::Durability, sentence, after.words())
        .row("expected", format!("{} or later", history.describe(floor)))
        .row("found", history.describe(id))
        .row("both on", history.describe(history.fork_of(id, floor)))
        .path(format!("txn {}", id.0)))
}

/// The state is older than it may be.
fn lost(
    history: &History,
    state: &[Pair],
    id: VersionId,
    floor: VersionId,
    after: After,
) -> Breach {
    let first = history.first_after(id, floor);
    let version = history.get(first).expect("a child of the version found");
    let data = version.writes.iter().find(|(key, _)| key != HEAD_KEY);
    let (key, value) = data.unwrap_or(&version.writes[0]);
    let found = find(state, key);
    let property = match after {
        After::CleanShutdown => Property::CleanShutdown,
        After::ProcessCrash | After::PowerLoss => Property::Durability,
    };
    let count = history.get(floor).map_or(0, |v| v.depth) + 1 - version.depth;
    let noun = if count == 1 { "commit" } else { "commits" };
    Breach::new(property, "acknowledged commit lost", after.words())
        .row("what", format!("{}, and gone {}", history.describe(first), after.words()))
        .row("lost", format!("{count} {noun} that had to survive"))
        .row("expected", format!("{} = {}", show_key(key), show_value(value.as_deref())))
        .row("found", format!("{} = {}", show_key(key), show_value(found)))
        .row("state", history.describe(id))
        .bytes(value.as_deref(), found)
        .path(show_key(key))
        .path(format!("txn {}", first.0))
}

/// Compares every byte with the version that the state says it is.
fn judge_bytes(
    history: &History,
    state: &[Pair],
    id: VersionId,
    after: After,
) -> Result<(), Breach> {
    let mut expected = history.range_at(id, &[], None).peekable();
    let mut found = state.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).peekable();
    loop {
        let (key, want, have) = match (expected.peek().copied(), found.peek().copied()) {
            (None, None) => return Ok(()),
            (Some((key, want)), None) => (key, Some(want), None),
            (None, Some((key, have))) => (key, None, Some(have)),
            (Some((want_key, want)), Some((have_key, have))) => match want_key.cmp(have_key) {
                std::cmp::Ordering::Less => (want_key, Some(want), None),
                std::cmp::Ordering::Greater => (have_key, None, Some(have)),
                std::cmp::Ordering::Equal => (want_key, Some(want), Some(have)),
            },
        };
        if want != have {
            return Err(differs(history, id, key, want, have, after));
        }
        if want.is_some() {
            expected.next();
        }
        if have.is_some() {
            found.next();
        }
    }
}

fn differs(
    history: &History,
    id: VersionId,
    key: &[u8],
    want: Option<&[u8]>,
    have: Option<&[u8]>,
    after: After,
) -> Breach {
    let writer = history.writer_at(key, id);
    let sentence = match (want, have) {
        (Some(_), None) => "a record of a committed transaction is missing",
        (None, Some(_)) => "a record is there that the state does not have",
        _ => "a record holds other bytes than its transaction wrote",
    };
    let mut breach = Breach::new(Property::Atomicity, sentence, after.words())
        .row("state", history.describe(id))
        .row("expected", format!("{} = {}", show_key(key), show_value(want)))
        .row("found", format!("{} = {}", show_key(key), show_value(have)))
        .bytes(want, have)
        .path(show_key(key));
    if let Some(writer) = writer {
        breach =
            breach.row("written by", history.describe(writer)).path(format!("txn {}", writer.0));
    }
    breach
}

/// Judges that a recovery which was disturbed comes to what an undisturbed one came to.
///
/// # Errors
///
/// The first pair that differs.
pub fn judge_repeated(undisturbed: &[Pair], found: &[Pair]) -> Result<(), Breach> {
    if undisturbed == found {
        return Ok(());
    }
    let differs = |pair: &&Pair| find(found, &pair.0) != Some(&pair.1);
    let is_new = |pair: &&Pair| find(undisturbed, &pair.0).is_none();
    let first = undisturbed.iter().find(differs).or_else(|| found.iter().find(is_new));
    let (key, _) = first.expect("states that differ, each in the order of its keys");
    let (want, have) = (find(undisturbed, key), find(found, key));
    let sentence = "a recovery that was cut off ends in another state than an undisturbed one";
    Err(Breach::new(Property::Recovery, sentence, After::PowerLoss.words())
        .row("expected", format!("{} = {}", show_key(key), show_value(want)))
        .row("found", format!("{} = {}", show_key(key), show_value(have)))
        .bytes(want, have)
        .path(show_key(key)))
}

fn find<'a>(state: &'a [Pair], key: &[u8]) -> Option<&'a [u8]> {
    let index = state.binary_search_by(|(k, _)| k.as_slice().cmp(key)).ok()?;
    Some(&state[index].1)
}

#[cfg(test)]
mod tests;
