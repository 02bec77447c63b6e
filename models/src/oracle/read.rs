//! The sequential model: what a transaction reads is one state, and a recent enough one.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::engine::{Order, Pair};
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
    let mut rest = expected(history, id, writes, (from, to));
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

/// Judges the first `limit` pairs of such a scan, in an order.
///
/// # Errors
///
/// At the first pair that is another, missing or too much.
pub fn judge_some(
    history: &History,
    id: VersionId,
    writes: &BTreeMap<Vec<u8>, Write>,
    bounds: (&[u8], Option<&[u8]>),
    (order, limit): (Order, usize),
    found: &[Pair],
) -> Result<(), Breach> {
    let mut wanted: Vec<(&[u8], &[u8])> = expected(history, id, writes, bounds).collect();
    if order == Order::Descending {
        wanted.reverse();
    }
    wanted.truncate(limit);
    for at in 0..wanted.len().max(found.len()) {
        let (want, have) = (wanted.get(at).copied(), found.get(at));
        let have = have.map(|(key, value)| (key.as_slice(), value.as_slice()));
        if want != have {
            let (key, _) = want.or(have).expect("one of them is there");
            let of_key = |pair: Option<(&'_ [u8], &'_ [u8])>| {
                pair.filter(|(other, _)| *other == key).map(|(_, value)| value.to_vec())
            };
            let (want, have) = (of_key(want), of_key(have));
            return Err(differs(history, id, key, want.as_deref(), have.as_deref(), "some"));
        }
    }
    Ok(())
}

/// The pairs that a transaction must see from `from` and below `to`.
fn expected<'a>(
    history: &'a History,
    id: VersionId,
    writes: &'a BTreeMap<Vec<u8>, Write>,
    (from, to): (&'a [u8], Option<&'a [u8]>),
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let state = history.range_at(id, from, to);
    let own = writes
        .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
        .take_while(move |(key, _)| to.is_none_or(|to| key.as_slice() < to))
        .map(|(key, write)| (key.as_slice(), write.as_deref()));
    overlaid(state, own)
}

/// The pairs of a state with a transaction's own writes over them; both come in the order of their
/// keys.
fn overlaid<'a>(
    state: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    own: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let (mut state, mut own) = (state.peekable(), own.peekable());
    std::iter::from_fn(move || {
        loop {
            let own_key = own.peek().map(|(key, _)| *key);
            if let Some(pair) = state.next_if(|(key, _)| own_key.is_none_or(|own| *key < own)) {
                return Some(pair);
            }
            let (key, write) = own.next()?;
            state.next_if(|(other, _)| *other == key);
            if let Some(value) = write {
                return Some((key, value));
            }
        }
    })
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
