//! A 128-bit digest, folded word by word: fast, not cryptographic.

use std::fmt;

/// Digest of a sequence of words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    high: u64,
    low: u64,
}

impl Digest {
    /// Of the empty sequence.
    pub const fn new() -> Self {
        Digest { high: 0x243F_6A88_85A3_08D3, low: 0x1319_8A2E_0370_7344 }
    }

    /// Adds two words.
    #[inline]
    pub fn fold(&mut self, a: u64, b: u64) {
        // Two lanes keep what a zero factor would erase: each half also enters unmultiplied.
        let product = u128::from(self.high ^ a ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(self.low ^ b ^ 0xD1B5_4A32_D192_ED03);
        let high = (product >> 64) as u64 ^ self.low.rotate_left(29) ^ a;
        self.low = product as u64 ^ self.high.rotate_left(17) ^ b.rotate_left(32);
        self.high = high;
    }

    /// Adds bytes, with their count.
    pub fn fold_bytes(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<16>();
        let mut fold = |word: u128| self.fold(word as u64, (word >> 64) as u64);
        chunks.iter().for_each(|chunk| fold(u128::from_le_bytes(*chunk)));
        if !rest.is_empty() {
            fold(rest.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)));
        }
        self.fold(bytes.len() as u64, 0x5851_F42D_4C95_7F2D);
    }

    /// As a number.
    pub fn value(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// From a number, as [`Digest::value`] gave it.
    pub fn from_value(value: u128) -> Self {
        Digest { high: (value >> 64) as u64, low: value as u64 }
    }
}

impl Default for Digest {
    fn default() -> Self {
        Digest::new()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.value())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
