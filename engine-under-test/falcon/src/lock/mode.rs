//! How a lock may be held, and which ways go together.
//!
//! # Method
//!
//! | with                    | IS | IX | S | SIX | X |
//! |-------------------------|----|----|---|-----|---|
//! | intent-shared           | +  | +  | + | +   |   |
//! | intent-exclusive        | +  | +  |   |     |   |
//! | shared                  | +  |    | + |     |   |
//! | shared-intent-exclusive | +  |    |   |     |   |
//! | exclusive               |    |    |   |     |   |
//!
//! # Invariant
//!
//! The supremum of two modes forbids what either of them forbids, and nothing more than the lowest mode
//! that does.

use std::fmt;

use LockMode::{Exclusive, IntentExclusive, IntentShared, Shared, SharedIntentExclusive};

/// How a transaction holds a lock. A table is held in any of these ways, a record or a key in
/// `Shared` or `Exclusive` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// It reads some of the table's records, each under a lock of its own.
    IntentShared,
    /// It changes some of the table's records, each under a lock of its own.
    IntentExclusive,
    /// It reads, and nobody changes anything.
    Shared,
    /// It reads all of the table and changes some records; others may read some.
    SharedIntentExclusive,
    /// It alone.
    Exclusive,
}

impl LockMode {
    /// All modes, the weaker ones first.
    pub const ALL: [LockMode; 5] =
        [IntentShared, IntentExclusive, Shared, SharedIntentExclusive, Exclusive];

    /// Whether two transactions may hold the same lock, one in this mode and one in `other`.
    pub fn is_compatible(self, other: LockMode) -> bool {
        match (self, other) {
            (Exclusive, _) | (_, Exclusive) => false,
            (IntentShared, _) | (_, IntentShared) => true,
            (IntentExclusive, IntentExclusive) | (Shared, Shared) => true,
            _ => false,
        }
    }

    /// The mode of who holds a lock in this mode and in `other` at once.
    pub fn supremum(self, other: LockMode) -> LockMode {
        match (self.min(other), self.max(other)) {
            // The only two of which neither contains the other.
            (IntentExclusive, Shared) => SharedIntentExclusive,
            (_, higher) => higher,
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IntentShared => "intent-shared",
            IntentExclusive => "intent-exclusive",
            Shared => "shared",
            SharedIntentExclusive => "shared-intent-exclusive",
            Exclusive => "exclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row and column in the order of [`LockMode::ALL`], as in the table above.
    const COMPATIBLE: [[bool; 5]; 5] = {
        const N: bool = false;
        const Y: bool = true;
        [[Y, Y, Y, Y, N], [Y, Y, N, N, N], [Y, N, Y, N, N], [Y, N, N, N, N], [N, N, N, N, N]]
    };

    #[test]
    fn modes_go_together_as_the_table_says() {
        for (one, row) in LockMode::ALL.iter().zip(COMPATIBLE) {
            for (other, expected) in LockMode::ALL.iter().zip(row) {
                assert_eq!(one.is_compatible(*other), expected, "{one} and {other}");
            }
        }
    }

    #[test]
    fn the_supremum_is_the_lowest_mode_that_forbids_what_both_forbid() {
        let forbids = |mode: LockMode| LockMode::ALL.map(|other| !mode.is_compatible(other));
        for one in LockMode::ALL {
            for other in LockMode::ALL {
                let (first, second) = (forbids(one), forbids(other));
                let both: Vec<bool> =
                    first.iter().zip(second).map(|(one, other)| *one || other).collect();
                let lowest = LockMode::ALL.into_iter().find(|mode| {
                    forbids(*mode).iter().zip(&both).all(|(has, wanted)| *has || !*wanted)
                });
                assert_eq!(Some(one.supremum(other)), lowest, "{one} and {other}");
            }
        }
    }
}
