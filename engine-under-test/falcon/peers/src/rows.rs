//! The rows of every work: a number as key, and bytes that only this key has.
//!
//! # Method
//!
//! A value begins with its key and goes on with pseudo-random bytes, so that no engine gains by packing them.
//!
//! # Invariant
//!
//! Whatever is read is compared with its key: a figure of wrong rows is none.

use crate::Result;

/// Bytes of a value.
pub const VALUE_BYTES: usize = 192;

/// Bytes of a row as a client asks for it: key and value.
pub const ROW_BYTES: u64 = 8 + VALUE_BYTES as u64;

/// A sequence of pseudo-random numbers, the same for each engine.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of this start.
    pub fn new(start: u64) -> Numbers {
        Numbers(start)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        // A Weyl sequence, mixed so that neighbouring starts have nothing in common.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    }

    /// The next number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}

/// The value that is written for `key` the `version`th time.
pub fn value(key: u64, version: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VALUE_BYTES);
    bytes.extend(key.to_le_bytes());
    let mut numbers = Numbers::new(key ^ version.rotate_left(32));
    while bytes.len() < VALUE_BYTES {
        bytes.extend(numbers.draw().to_le_bytes());
    }
    bytes
}

/// Compares what was read for `key` with what such a row begins with.
///
/// # Errors
///
/// When it is no value of this key.
pub fn check(key: u64, value: &[u8]) -> Result<()> {
    if value.len() == VALUE_BYTES && value.starts_with(&key.to_le_bytes()) {
        return Ok(());
    }
    Err(format!("key {key} has a value of {} bytes that is not its own", value.len()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_of_its_key_and_of_no_other() {
        check(7, &value(7, 0)).expect("its own");
        check(7, &value(8, 0)).expect_err("of another key");
        check(7, &value(7, 0)[1..]).expect_err("cut off");
        assert_ne!(value(7, 0), value(7, 1));
    }

    #[test]
    fn numbers_repeat_and_stay_below_their_bound() {
        let take = |start| -> Vec<u64> {
            let mut numbers = Numbers::new(start);
            (0..100).map(|_| numbers.below(10)).collect()
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        assert!((0..10).all(|number| take(1).contains(&number)));
    }
}
