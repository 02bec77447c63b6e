//! Choices from a seed: one ChaCha8 stream a component, derived at its first draw.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::label::{BUILT_IN, Label, Labels, component, hash};

const NO_STREAM: u16 = u16::MAX;

#[derive(Debug, Default)]
pub(super) struct Streams {
    seed: u64,
    /// The stream of each label, by its number.
    of_label: Vec<u16>,
    streams: Vec<(&'static str, ChaCha8Rng)>,
}

impl Streams {
    /// With no stream derived yet.
    pub(super) fn begin(&mut self, seed: u64) {
        self.seed = seed;
        self.of_label.clear();
        self.streams.clear();
    }

    #[inline]
    pub(super) fn draws(&mut self, label: Label, labels: &Labels) -> Draws<'_> {
        let index = match self.of_label.get(usize::from(label.0)) {
            Some(index) if *index != NO_STREAM => usize::from(*index),
            _ => self.derive(label, labels),
        };
        Draws { stream: &mut self.streams[index].1 }
    }

    #[cold]
    fn derive(&mut self, label: Label, labels: &Labels) -> usize {
        let index = match label.first_of_component() {
            Some(first) if first != label => match self.of_label.get(usize::from(first.0)) {
                Some(index) if *index != NO_STREAM => usize::from(*index),
                _ => self.derive(first, labels),
            },
            _ => self.find_or_make(component(labels.name(label))),
        };
        let slot = usize::from(label.0);
        if self.of_label.len() <= slot {
            self.of_label.resize((slot + 1).max(BUILT_IN.len()), NO_STREAM);
        }
        self.of_label[slot] = index as u16;
        index
    }

    fn find_or_make(&mut self, component: &'static str) -> usize {
        let known = self.streams.iter().position(|(name, _)| *name == component);
        known.unwrap_or_else(|| {
            self.streams.push((component, stream(self.seed, component)));
            self.streams.len() - 1
        })
    }
}

fn stream(seed: u64, component: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    let name = hash(component);
    for (index, word) in key.chunks_mut(8).enumerate() {
        let salt = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        word.copy_from_slice(&mix(mix(seed ^ salt) ^ name).to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Raw draws of one component's stream, for whoever proposes a value to `Choices::decide`.
pub struct Draws<'a> {
    stream: &'a mut ChaCha8Rng,
}

impl Draws<'_> {
    /// A number below `bound`, by multiplication (Lemire, 2019, without its rejection step: the bias
    /// is below `bound` / 2³²).
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 << 32 {
            (u64::from(self.stream.next_u32()) * bound) >> 32
        } else {
            ((u128::from(self.stream.next_u64()) * u128::from(bound)) >> 64) as u64
        }
    }

    /// A number below `bound` whose magnitude is uniform: 0, 1, 2–3, 4–7, … are equally likely.
    pub fn log_below(&mut self, bound: u64) -> u64 {
        let magnitudes = u64::from(u64::BITS - (bound - 1).leading_zeros()) + 1;
        match self.below(magnitudes) {
            0 => 0,
            magnitude => {
                let low = 1u64 << (magnitude - 1);
                let high = (low * 2).min(bound);
                low + self.below(high - low)
            }
        }
    }

    /// 32 raw bits.
    pub fn bits(&mut self) -> u32 {
        self.stream.next_u32()
    }
}
