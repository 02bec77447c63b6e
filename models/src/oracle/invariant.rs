//! Invariants of states: a constant sum, one ring, unbroken entries, a count between bounds.
//!
//! These look at a state alone, not at the history: a second instrument beside the version tree.

use crate::engine::Pair;
use crate::oracle::{Breach, show_key, show_value};
use crate::run::Property;

/// A value as the number that it must be.
///
/// # Errors
///
/// When it does not have eight bytes.
pub fn number(key: &[u8], value: &[u8]) -> Result<u64, Breach> {
    let bytes = <[u8; 8]>::try_from(value).map_err(|_| {
        Breach::new(Property::Invariant, "a record has the wrong length", "record")
            .row("found", format!("{} = {}", show_key(key), show_value(Some(value))))
            .path(show_key(key))
    })?;
    Ok(u64::from_le_bytes(bytes))
}

/// All values together give `sum`, in `count` records.
///
/// # Errors
///
/// When they do not.
pub fn constant_sum(records: &[Pair], count: u64, sum: u64) -> Result<(), Breach> {
    let mut total = 0u64;
    for (key, value) in records {
        total = total.wrapping_add(number(key, value)?);
    }
    if records.len() as u64 == count && total == sum {
        return Ok(());
    }
    Err(Breach::new(Property::Invariant, "the sum of all accounts changed", "state")
        .row("expected", format!("{sum} in {count} accounts"))
        .row("found", format!("{total} in {} accounts", records.len())))
}

/// The records, each with the index of the next one, are one ring of `count`.
///
/// # Errors
///
/// When a record is missing, points nowhere, or the ring falls apart.
pub fn one_ring(records: &[Pair], count: u64) -> Result<(), Breach> {
    let broken = |found: String| {
        Breach::new(Property::Invariant, "the ring is broken", "state")
            .row("expected", format!("one ring of {count} nodes"))
            .row("found", found)
    };
    if records.len() as u64 != count {
        return Err(broken(format!("{} nodes", records.len())));
    }
    let mut at = 0;
    for steps in 1..=count {
        let (key, value) = &records[at as usize];
        at = number(key, value)?;
        if at >= count {
            return Err(broken(format!("{} points to {at}", show_key(key))));
        }
        if at == 0 && steps < count {
            return Err(broken(format!("a ring of {steps} nodes")));
        }
    }
    if at == 0 { Ok(()) } else { Err(broken("a path that does not come back".into())) }
}

/// Entries of one client are numbered from 0 without a gap; `entry_of` tells number and client.
///
/// # Errors
///
/// At the first gap or unreadable entry.
pub fn unbroken(
    records: &[Pair],
    entry_of: impl Fn(&[u8]) -> Option<(u32, u64)>,
) -> Result<(), Breach> {
    let mut expected = (0, 0);
    for (key, _) in records {
        let gap = |(client, number): (u32, u64), found: String| {
            Breach::new(Property::Invariant, "the entries of a client have a gap", "state")
                .row("expected", format!("entry {number} of client {client}"))
                .row("found", found)
                .path(show_key(key))
        };
        let Some((client, number)) = entry_of(key) else {
            return Err(gap(expected, show_key(key)));
        };
        if client > expected.0 {
            expected = (client, 0);
        }
        if (client, number) != expected {
            return Err(gap(expected, format!("entry {number} of client {client}")));
        }
        expected.1 += 1;
    }
    Ok(())
}

/// What is known of a counter without looking at the history of versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What it was when it was last looked at.
    pub base: u64,
    /// Increments since then that must be there.
    pub certain: u64,
    /// Increments since then that may be there besides.
    pub possible: u64,
}

/// A counter lies between what is certain and what is possible.
///
/// # Errors
///
/// When it does not.
pub fn within(found: u64, tally: Tally) -> Result<(), Breach> {
    let low = tally.base + tally.certain;
    let high = low + tally.possible;
    if (low..=high).contains(&found) {
        return Ok(());
    }
    let sentence = if found < low { "a count lost increments" } else { "a count is too high" };
    Err(Breach::new(Property::Invariant, sentence, "state")
        .row("expected", format!("{low} to {high}"))
        .row("found", found.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(values: &[u64]) -> Vec<Pair> {
        let pair = |(index, value): (usize, &u64)| {
            (format!("n{index:05}").into_bytes(), value.to_le_bytes().to_vec())
        };
        values.iter().enumerate().map(pair).collect()
    }

    #[test]
    fn a_wrong_sum_a_missing_account_and_a_short_record_fire() {
        assert_eq!(constant_sum(&records(&[3, 4, 5]), 3, 12), Ok(()));
        assert!(constant_sum(&records(&[3, 4, 6]), 3, 12).is_err());
        assert!(constant_sum(&records(&[7, 5]), 3, 12).is_err());
        assert!(constant_sum(&[(b"n".to_vec(), vec![1])], 1, 1).is_err());
    }

    #[test]
    fn two_rings_a_lost_node_and_a_pointer_to_nowhere_fire() {
        assert_eq!(one_ring(&records(&[1, 2, 0]), 3), Ok(()));
        assert!(one_ring(&records(&[1, 0, 3, 2]), 4).is_err());
        assert!(one_ring(&records(&[1, 2]), 3).is_err());
        assert!(one_ring(&records(&[1, 9, 0]), 3).is_err());
        assert!(one_ring(&records(&[1, 2, 1]), 3).is_err());
    }

    #[test]
    fn a_gap_fires() {
        let entries = |numbers: &[(u32, u64)]| -> Vec<Pair> {
            let pair = |(client, number): &(u32, u64)| {
                (format!("{client} {number}").into_bytes(), Vec::new())
            };
            numbers.iter().map(pair).collect()
        };
        let entry_of = |key: &[u8]| {
            let (client, number) = std::str::from_utf8(key).ok()?.split_once(' ')?;
            Some((client.parse().ok()?, number.parse().ok()?))
        };
        assert_eq!(unbroken(&entries(&[(0, 0), (0, 1), (2, 0)]), entry_of), Ok(()));
        assert!(unbroken(&entries(&[(0, 0), (0, 2)]), entry_of).is_err());
        assert!(unbroken(&entries(&[(0, 0), (1, 1)]), entry_of).is_err());
        assert!(unbroken(&[(b"x".to_vec(), Vec::new())], entry_of).is_err());
    }

    #[test]
    fn a_count_outside_its_bounds_fires() {
        let tally = Tally { base: 10, certain: 5, possible: 2 };
        assert!(within(14, tally).is_err());
        assert_eq!(within(15, tally), Ok(()));
        assert_eq!(within(17, tally), Ok(()));
        assert!(within(18, tally).is_err());
    }

    proptest! {
        /// Whatever is moved between accounts, the sum stays; whatever is added to one, it fires.
        #[test]
        fn moving_keeps_the_sum_and_adding_does_not(
            mut values in prop::collection::vec(0u64..1000, 2..20),
            moves in prop::collection::vec((0usize..20, 0usize..20, 0u64..1000), 0..20),
            extra in 1u64..1000,
        ) {
            let (count, sum) = (values.len() as u64, values.iter().sum());
            for (from, to, amount) in moves {
                let (from, to) = (from % values.len(), to % values.len());
                let amount = amount.min(values[from]);
                values[from] -= amount;
                values[to] += amount;
            }
            prop_assert_eq!(constant_sum(&records(&values), count, sum), Ok(()));
            values[0] += extra;
            prop_assert!(constant_sum(&records(&values), count, sum).is_err());
        }

        /// A ring in any order is one ring; with two of its pointers exchanged it is two.
        #[test]
        fn exchanging_two_pointers_breaks_the_ring(
            order in Just((1u64..12).collect::<Vec<_>>()).prop_shuffle(),
            (one, other) in (0usize..12, 0usize..12),
        ) {
            let mut next = vec![0u64; 12];
            let mut at = 0;
            for node in order {
                next[at] = node;
                at = node as usize;
            }
            next[at] = 0;
            prop_assert_eq!(one_ring(&records(&next), 12), Ok(()));
            next.swap(one, other);
            prop_assert_eq!(one_ring(&records(&next), 12).is_ok(), one == other);
        }
    }
}
