//! How a count spreads over runs.
//!
//! # Method
//!
//! Runs are counted by their value, so that spreads can be added in any order and the median is exact.
//!
//! # Invariant
//!
//! A spread is the same for any order in which runs came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many runs had each value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread(BTreeMap<u64, u64>);

impl Spread {
    /// Counts a run.
    pub fn count(&mut self, value: u64) {
        *self.0.entry(value).or_default() += 1;
    }

    /// Adds the runs of another spread.
    pub fn add(&mut self, other: &Spread) {
        for (value, runs) in &other.0 {
            *self.0.entry(*value).or_default() += runs;
        }
    }

    /// The value that at least half of the runs reach: the upper one of two in the middle; 0 without a run.
    pub fn median(&self) -> u64 {
        let runs: u64 = self.0.values().sum();
        let mut before = 0;
        let reaches_half = |(_, count): &(&u64, &u64)| {
            before += **count;
            before * 2 > runs
        };
        self.0.iter().find(reaches_half).map_or(0, |(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_all_runs() {
        let spread = |values: &[u64]| {
            let mut spread = Spread::default();
            values.iter().for_each(|value| spread.count(*value));
            spread
        };
        let rows: [(&[u64], u64); 5] =
            [(&[], 0), (&[7], 7), (&[1, 9], 9), (&[9, 1, 1], 1), (&[3, 1, 2, 2, 50], 2)];
        for (values, expected) in rows {
            assert_eq!(spread(values).median(), expected, "{values:?}");
        }
        let mut sum = spread(&[1, 1]);
        sum.add(&spread(&[5, 5, 5]));
        assert_eq!((sum.median(), sum), (5, spread(&[5, 1, 5, 1, 5])));
    }
}
