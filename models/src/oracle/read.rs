//! The sequential model: what a transaction reads is one state, and a recent enough one.

use std::collections::BTreeMap;

use crate::engine::Pair;
use crate::oracle::history::{History, VersionId, Write};
use crate::oracle::{Breach, show_key, show_value};
use crate::run::Property;

/// Judges the state on which a transaction stands: `acked` was the newest acknowledged version when
/// the transaction began.
///
/// # Errors
///
/// When the head names no version, or the state is older than what was acknowledged before.
pub fn judge_head(
    history: &History,
    head: Option<&[u8]>,
    acked: VersionId,
) -> Result<VersionId, Breach> {
    let Some(id) = history.head_of(head) else {
        let sentence = "a transaction reads a state that never was";
        return Err(Breach::new(Property::Model, sentence, "begin")
            .row("found", format!("head {}", show_value(head)))
            .bytes(None, head));
    };
    if !history.is_ancestor(acked, id) {
        let sentence = "a transaction does not see an acknowledged commit";
        return Err(Breach::new(Property::Model, sentence, "begin")
            .row("expected", format!("{} or later", history.describe(acked)))
            .row("found", history.describe(id))
            .path(format!("txn {}", acked.0)));
    }
    Ok(id)
}

/// Judges one value that a transaction on `id` read after its own `writes`.
///
/// # Errors
///
/// When the value is another.
pub fn judge_get(
    history: &History,
    id: VersionId,
    writes: &BTreeMap<Vec<u8>, Write>,
    key: &[u8],
    found: Option<&[u8]>,
) -> Result<(), Breach> {
    let expected = match writes.get(key) {
        Some(own) => own.as_deref(),
        None => history.value_at(key, id),
    };
    if expected == found {
        return Ok(());
    }
    Err(differs(history, id, key, expected, found, "get"))
}

/// Judges a scan from `from` and below `to`.
///
/// # Errors
///
/// At the first pair that is missing, too much, out of order or wrong.
pub fn judge_range(
    history: &History,
    id: VersionId,
    writes: &BTreeMap<Vec<u8>, Write>,
    (from, to): (&[u8], Option<&[u8]>),
    found: &[Pair],
) -> Result<(), Breach> {
    let mut expected: BTreeMap<&[u8], &[u8]> = history.range_at(id, from, to).collect();
    for (key, write) in writes.range(from.to_vec()..) {
        if to.is_some_and(|to| key.as_slice() >= to) {
            break;
        }
        match write {
            Some(value) => expected.insert(key, value),
            None => expected.remove(key.as_slice()),
        };
    }
    let mut rest = expected.into_iter();
    for (key, value) in found {
        match rest.next() {
            Some((k, v)) if k == key && v == value => {}
            Some((k, v)) if k == key => {
                return Err(differs(history, id, key, Some(v), Some(value), "range"));
            }
            Some((k, v)) if k < key.as_slice() => {
                return Err(differs(history, id, k, Some(v), None, "range"));
            }
            _ => return Err(differs(history, id, key, None, Some(value), "range")),
        }
    }
    match rest.next() {
        Some((key, value)) => Err(differs(history, id, key, Some(value), None, "range")),
        None => Ok(()),
    }
}

fn differs(
    history: &History,
    id: VersionId,
    key: &[u8],
    expected: Option<&[u8]>,
    found: Option<&[u8]>,
    place: &str,
) -> Breach {
    Breach::new(Property::Model, "a read returns what its state does not have", place)
        .row("state", history.describe(id))
        .row("expected", format!("{} = {}", show_key(key), show_value(expected)))
        .row("found", format!("{} = {}", show_key(key), show_value(found)))
        .bytes(expected, found)
        .path(show_key(key))
}

#[cfg(test)]
mod tests;
