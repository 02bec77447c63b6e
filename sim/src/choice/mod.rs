//! The one source of every decision of a run.
//!
//! # Method
//!
//! A decision is a call [`Choices::choose`] or [`Choices::decide`] with a [`Label`]. The value comes
//! from a seed, a recording, exceptions by their anchors, raw bytes or an enumerator; whoever asks cannot
//! tell which. Value 0 is the boring one: go on with the running task, no fault, success, lose nothing. A
//! run that draws only zeros has no fault and no preemption. Which task goes on next has two numbers: a
//! seed and a recording count the run queue, where 0 at a yield is to stay; to all others 0 is the next
//! task in order there.
//!
//! A label is a path; what stands before its last `/` names the component. From a seed each
//! component has its own ChaCha8 stream, derived from (seed, component) at its first draw, so that a
//! new component shifts no other. A decision point draws whether or not its fault is enabled, so that
//! switching a fault off shifts nothing either.
//!
//! # Invariant
//!
//! Nothing else in a run draws randomness, and every value is recorded with its label and task.

mod anchor;
mod bytes;
mod capsule;
mod enumerate;
mod label;
mod record;
mod seed;
mod text;

pub(crate) use anchor::Kind;
pub use anchor::{Anchor, Anchored, Exception};
pub use capsule::{CAPSULE_BYTES_MAX, Capsule, CapsuleError};
pub use enumerate::Enumeration;
pub use label::{IntoLabel, Label};
pub use record::{Entry, Recording};
pub use seed::Draws;
pub use text::RecordingError;

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::trace::{Digest, DiskOp};
use anchor::Anchors;
use bytes::Reader;
use label::Labels;
use seed::Streams;
pub(crate) use seed::mix;

/// One million: rates are in parts per million.
pub const PPM: u32 = 1_000_000;

/// The number of alternatives of one choice is below this.
pub const BOUND_MAX: u64 = 1 << 40;

enum Source {
    Zero,
    Seed,
    Recording {
        recording: Recording,
        at: usize,
    },
    Bytes(Reader),
    Enumerate(enumerate::Path),
    /// A seed or bytes whose exceptions are kept, or exceptions.
    Anchored(Box<Anchors>, Option<Reader>),
}

/// Where a replayed recording stopped fitting the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Index of the choice in the recording.
    pub index: usize,
    /// What the recording has there.
    pub recorded: String,
    /// What the run asked for.
    pub asked: String,
}

/// The largest recording whose memory is kept for the next run on this OS thread.
const SPARE_ENTRIES_MAX: usize = 1 << 14;

#[derive(Default)]
struct Spare {
    labels: Labels,
    record: Vec<u64>,
    streams: Streams,
}

thread_local! {
    /// Memory of an earlier run, empty: a run starts without asking the allocator.
    static SPARE: Cell<Option<Spare>> = const { Cell::new(None) };
}

/// The labelled choices of one run.
pub struct Choices {
    source: Source,
    /// Used where a seed draws, anchored or not.
    streams: Streams,
    labels: Labels,
    record: Vec<u64>,
    digest: Digest,
    /// How often each choice of [`Choices::fill`] was made.
    filled: BTreeMap<u64, u64>,
    task: u32,
    divergence: Option<Divergence>,
    /// The same choices as bytes, if they are kept.
    written: Option<Vec<u8>>,
}

impl Choices {
    fn new(source: Source) -> Self {
        let Spare { labels, record, streams } =
            SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
        let digest = Digest::new();
        let (filled, task, divergence, written) = (BTreeMap::new(), 0, None, None);
        Choices { source, streams, labels, record, digest, filled, task, divergence, written }
    }

    /// Every choice is 0: a run without fault or preemption.
    pub fn zeros() -> Self {
        Self::new(Source::Zero)
    }

    /// Choices drawn from `seed`.
    pub fn from_seed(seed: u64) -> Self {
        let mut choices = Self::new(Source::Seed);
        choices.streams.begin(seed);
        choices
    }

    /// The choices of an earlier run of the same revision.
    pub fn from_recording(recording: Recording) -> Self {
        Self::new(Source::Recording { recording, at: 0 })
    }

    /// Choices read from raw bytes, as a fuzzer makes them; zeros once they are used up.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self::new(Source::Bytes(Reader::new(bytes)))
    }

    /// Choices drawn from `seed`, of which those that are not 0 are kept with their anchors
    /// ([`Choices::anchored`]). The run is the one of [`Choices::from_seed`].
    pub fn from_seed_anchored(seed: u64) -> Self {
        let mut choices = Self::new(Source::Anchored(Box::default(), None));
        choices.streams.begin(seed);
        choices
    }

    /// Choices read from raw bytes, of which those that are not 0 are kept with their anchors
    /// ([`Choices::anchored`]). The run is the one of [`Choices::from_bytes`].
    pub fn from_bytes_anchored(bytes: Vec<u8>) -> Self {
        Self::new(Source::Anchored(Box::default(), Some(Reader::new(bytes))))
    }

    /// Choices that are 0 but for the exceptions named; no two may have the same anchor.
    pub fn from_exceptions(exceptions: &[Exception]) -> Self {
        Self::new(Source::Anchored(Box::new(Anchors::drive(exceptions)), None))
    }

    /// The same choices, which are written down as bytes besides: those from which
    /// [`Choices::from_bytes`] makes this run ([`Choices::bytes`]).
    ///
    /// Panics if they are drawn from a seed and nothing is kept of them: a run from its recording or from
    /// [`Choices::from_seed_anchored`] is the same one.
    #[must_use]
    pub fn written_as_bytes(mut self) -> Self {
        assert!(!self.is_plain(), "a seed's choices are not kept");
        self.written = Some(Vec::new());
        self
    }

    /// The bytes that were written so far, if any are.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.written.as_deref()
    }

    /// What an anchored run came to; nothing of any other.
    pub fn anchored(&self) -> Option<Anchored> {
        match &self.source {
            Source::Anchored(anchors, _) => Some(anchors.result(|label| self.labels.name(label))),
            _ => None,
        }
    }

    fn from_path(path: enumerate::Path) -> Self {
        Self::new(Source::Enumerate(path))
    }

    /// Chooses one of `bound` alternatives, 0 being the boring one.
    ///
    /// Panics if `bound` is 0 or above [`BOUND_MAX`].
    #[inline]
    pub fn choose(&mut self, label: impl IntoLabel, bound: u64) -> u64 {
        self.decide(label, bound, |draws| draws.below(bound))
    }

    /// Chooses one of `bound` alternatives; from a seed the value is what `propose` makes of raw
    /// draws, which are not recorded themselves. Every other source gives the value alone.
    #[inline]
    pub fn decide(
        &mut self,
        label: impl IntoLabel,
        bound: u64,
        propose: impl FnOnce(&mut Draws<'_>) -> u64,
    ) -> u64 {
        self.decide_among(label, bound, |_| true, propose)
    }

    /// As [`Choices::decide`], where only the values that are `allowed` may come from an enumerator or
    /// from raw bytes. 0 always is.
    #[inline]
    pub fn decide_among(
        &mut self,
        label: impl IntoLabel,
        bound: u64,
        allowed: impl Fn(u64) -> bool,
        propose: impl FnOnce(&mut Draws<'_>) -> u64,
    ) -> u64 {
        assert!(bound > 0 && bound <= BOUND_MAX, "a choice among {bound} alternatives");
        let label = label.into_label(&mut self.labels);
        let value = if let Source::Seed = self.source {
            let value = propose(&mut self.streams.draws(label, &self.labels));
            assert!(value < bound, "{} proposed {value} of {bound}", self.labels.name(label));
            value
        } else {
            let value = self.given(label, bound, &allowed, propose);
            self.write(value, bound);
            value
        };
        self.note(label, value);
        value
    }

    /// As [`Choices::decide`] among alternatives that have two numbers: the one that is proposed and
    /// recorded, and its place in `order`, whose first one is the boring one. A seed and a recording give
    /// the one, all other sources the other. Returns the recorded one.
    #[cold]
    pub(crate) fn decide_in_order(
        &mut self,
        label: Label,
        order: &[u64],
        propose: impl FnOnce(&mut Draws<'_>) -> u64,
    ) -> u64 {
        let bound = order.len() as u64;
        let name = self.labels.name(label);
        let value = match &mut self.source {
            Source::Seed | Source::Recording { .. } => {
                // What is written is the place, not the number that is recorded.
                let written = self.written.take();
                let value = self.decide(label, bound, propose);
                self.written = written;
                let place = order.iter().position(|other| *other == value).unwrap_or(0);
                self.write(place as u64, bound);
                return value;
            }
            Source::Anchored(anchors, reader) => {
                let (streams, labels) = (&mut self.streams, &self.labels);
                let place = anchors.choose(self.task, (label, name), bound, || {
                    if let Some(reader) = reader {
                        return reader.next(bound, &|_| true);
                    }
                    let proposed = propose(&mut streams.draws(label, labels));
                    order.iter().position(|other| *other == proposed).unwrap_or(0) as u64
                });
                self.write(place, bound);
                order[place as usize]
            }
            _ => {
                let place = self.given(label, bound, &|_| true, propose);
                self.write(place, bound);
                order[place as usize]
            }
        };
        self.note(label, value);
        value
    }

    /// Whether alternatives need neither order nor anchor: the choices are a seed's.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.source, Source::Seed)
    }

    /// Whether something with a rate of `ppm` millionths happens; recorded as 0 or 1.
    #[inline]
    pub fn chance(&mut self, label: impl IntoLabel, ppm: u32) -> bool {
        let propose =
            |draws: &mut Draws<'_>| u64::from(draws.below(u64::from(PPM)) < u64::from(ppm));
        self.decide_among(label, 2, |_| ppm > 0, propose) == 1
    }

    /// Chooses by weight; recorded as the index. Panics if all weights are 0.
    pub fn weighted(&mut self, label: impl IntoLabel, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        assert!(total > 0, "no alternative has a weight");
        let allowed = |index: u64| weights[index as usize] > 0;
        self.decide_among(label, weights.len() as u64, allowed, |draws| {
            let mut rest = draws.below(total);
            for (index, weight) in weights.iter().enumerate() {
                if rest < u64::from(*weight) {
                    return index as u64;
                }
                rest -= u64::from(*weight);
            }
            unreachable!("{rest} left of {total}")
        }) as usize
    }

    /// A number in `low..=high`, small ones as likely as large ones (log-uniform in its distance from
    /// `low`); 0 is recorded for `low`.
    pub fn log_uniform(&mut self, label: impl IntoLabel, low: u64, high: u64) -> u64 {
        assert!(low <= high, "{low}..={high} is empty");
        let span = high - low + 1;
        low + self.decide(label, span, |draws| draws.log_below(span))
    }

    /// A number in `low..=high`, each as likely as any other; 0 is recorded for `low`.
    pub fn range(&mut self, label: impl IntoLabel, low: u64, high: u64) -> u64 {
        assert!(low <= high, "{low}..={high} is empty");
        low + self.choose(label, high - low + 1)
    }

    /// Fills `bytes` with garbage that depends on one choice. A choice that was made before gives other bytes
    /// all the same: what asks for randomness relies on never getting the same twice, and a run of zeros, or
    /// of bytes that repeat themselves, would convict it for that alone.
    pub fn fill(&mut self, label: impl IntoLabel, bytes: &mut [u8]) {
        let value = self.choose(label, BOUND_MAX);
        let times = self.filled.entry(value).or_default();
        // No choice is as large, so that no two of these are equal.
        let mut state = value + *times * BOUND_MAX;
        *times += 1;
        for chunk in bytes.chunks_mut(8) {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let word = seed::mix(state).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// The task on whose behalf the next choices are made; recorded with them.
    #[inline]
    pub fn set_task(&mut self, task: u32) {
        self.task = task;
    }

    fn anchors(&mut self) -> Option<&mut Anchors> {
        match &mut self.source {
            Source::Anchored(anchors, _) => Some(anchors),
            _ => None,
        }
    }

    /// A boot begins, from 1.
    pub(crate) fn boot_begins(&mut self, number: u32) {
        self.set_task(0);
        if let Some(anchors) = self.anchors() {
            anchors.boot_begins(number);
        }
    }

    /// The tasks of the boot have ended.
    pub(crate) fn boot_ends(&mut self) {
        if let Some(anchors) = self.anchors() {
            anchors.boot_ends();
        }
    }

    /// A task begins; they have their numbers in order.
    #[inline]
    pub(crate) fn task_begins(&mut self, task: u32, name: &str) {
        if let Some(anchors) = self.anchors() {
            anchors.task_begins(task, name);
        }
    }

    /// A span of the running task begins.
    pub(crate) fn span_begins(&mut self, name: impl FnOnce() -> String) {
        let task = self.task;
        if let Some(anchors) = self.anchors() {
            anchors.span_begins(task, name());
        }
    }

    /// The innermost span of the running task ends.
    pub(crate) fn span_ends(&mut self) {
        let task = self.task;
        if let Some(anchors) = self.anchors() {
            anchors.span_ends(task);
        }
    }

    /// The next choice stands at this kind of call.
    #[inline]
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        if let Some(anchors) = self.anchors() {
            anchors.set_kind(kind);
        }
    }

    /// The running task enters this call of the disk.
    #[inline]
    pub(crate) fn set_call(&mut self, call: DiskOp) {
        if let Some(anchors) = self.anchors() {
            anchors.set_call(call);
        }
    }

    /// The call of the disk that was entered last.
    pub(crate) fn call(&mut self) -> Option<DiskOp> {
        self.anchors().and_then(|anchors| anchors.call())
    }

    /// How many choices have been made.
    pub fn count(&self) -> usize {
        self.record.len()
    }

    /// Digest of all choices so far.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What has been chosen so far.
    pub fn recording(&self) -> Recording {
        Recording::new(self.labels.names(), self.record.clone())
    }

    /// Where the recording that drives this run stopped fitting it, if it did. From there on every
    /// choice was 0.
    pub fn divergence(&self) -> Option<&Divergence> {
        self.divergence.as_ref()
    }

    #[inline]
    fn note(&mut self, label: Label, value: u64) {
        let entry = record::pack(label, self.task, value);
        self.digest.fold(entry, self.record.len() as u64);
        self.record.push(entry);
    }

    /// Writes a choice down, if that is wished.
    #[cold]
    fn write(&mut self, value: u64, bound: u64) {
        if let Some(written) = &mut self.written {
            bytes::write(written, value, bound);
        }
    }

    #[cold]
    fn given(
        &mut self,
        label: Label,
        bound: u64,
        allowed: &dyn Fn(u64) -> bool,
        propose: impl FnOnce(&mut Draws<'_>) -> u64,
    ) -> u64 {
        match &mut self.source {
            Source::Zero | Source::Seed => 0,
            Source::Anchored(anchors, reader) => {
                let name = self.labels.name(label);
                // Streams begin at their first draw: without one, a run of exceptions has none.
                let (streams, labels) = (&mut self.streams, &self.labels);
                anchors.choose(self.task, (label, name), bound, || match reader {
                    Some(reader) => reader.next(bound, allowed),
                    None => propose(&mut streams.draws(label, labels)),
                })
            }
            Source::Bytes(reader) => reader.next(bound, allowed),
            Source::Enumerate(path) => path.next(bound, allowed),
            Source::Recording { recording, at } => {
                let index = *at;
                *at += 1;
                if self.divergence.is_some() {
                    return 0;
                }
                let name = self.labels.name(label);
                match recording.get(index) {
                    Some(entry) if entry.label == name && entry.value < bound => entry.value,
                    other => {
                        self.divergence = Some(Divergence {
                            index,
                            recorded: other.map_or("the end".into(), |e| e.to_string()),
                            asked: format!("{name} below {bound}, task {}", self.task),
                        });
                        0
                    }
                }
            }
        }
    }
}

impl Choices {
    /// Keeps the memory for the next run on this OS thread; no choice can be made or read any more.
    pub(crate) fn give_back(&mut self) {
        self.source = Source::Zero;
        (self.written, self.filled) = (None, BTreeMap::new());
        let mut labels = std::mem::take(&mut self.labels);
        let mut record = std::mem::take(&mut self.record);
        if (1..=SPARE_ENTRIES_MAX).contains(&record.capacity()) {
            labels.clear();
            record.clear();
            let streams = std::mem::take(&mut self.streams);
            let _ = SPARE.try_with(|spare| spare.set(Some(Spare { labels, record, streams })));
        }
    }
}

impl Drop for Choices {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests;
