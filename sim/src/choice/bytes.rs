//! Choices as raw bytes: what a fuzzer gives, and how a run is written down for it.
//!
//! # Method
//!
//! A choice below `bound` takes as many bytes as `bound - 1` has, and none where there is one alternative;
//! bytes that are used up count as zeros. That is `arbitrary`'s reading of a number in a range, so that
//! whatever mutates bytes meets the form that it knows. What is written is the value itself, its most
//! significant byte first.
//!
//! # Invariant
//!
//! The bytes that a run was written to make the same run again.

use arbitrary::Unstructured;

/// Bytes, and how many of them are used up.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Reader { bytes, at: 0 }
    }

    /// The next choice below `bound`: 0 if what the bytes say is not allowed.
    pub(super) fn next(&mut self, bound: u64, allowed: &dyn Fn(u64) -> bool) -> u64 {
        let mut rest = Unstructured::new(&self.bytes[self.at..]);
        let value = rest.int_in_range(0..=bound - 1).unwrap_or(0);
        self.at = self.bytes.len() - rest.len();
        if allowed(value) { value } else { 0 }
    }
}

/// Writes a choice of `value` below `bound` as [`Reader::next`] reads it.
pub(super) fn write(bytes: &mut Vec<u8>, value: u64, bound: u64) {
    let length = (u64::BITS - (bound - 1).leading_zeros()).div_ceil(8) as usize;
    bytes.extend_from_slice(&value.to_be_bytes()[size_of::<u64>() - length..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::BOUND_MAX;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(choices in prop::collection::vec((1..=BOUND_MAX, any::<u64>()), 0..40)) {
            let mut bytes = Vec::new();
            for (bound, value) in &choices {
                write(&mut bytes, value % bound, *bound);
            }
            let mut reader = Reader::new(bytes.clone());
            for (bound, value) in &choices {
                prop_assert_eq!(reader.next(*bound, &|_| true), value % bound);
            }
            prop_assert_eq!(reader.at, bytes.len());
        }
    }

    #[test]
    fn a_choice_takes_the_bytes_that_its_highest_value_has() {
        for (bound, length) in [(1, 0), (2, 1), (256, 1), (257, 2), (1 << 16, 2), (BOUND_MAX, 5)] {
            let mut bytes = Vec::new();
            write(&mut bytes, bound - 1, bound);
            assert_eq!(bytes.len(), length, "below {bound}");
        }
    }
}
