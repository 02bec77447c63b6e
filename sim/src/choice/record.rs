//! A recording: every choice of a run, in order.

use std::fmt;

use super::BOUND_MAX;
use super::label::Label;

const TASK_BITS: u32 = 12;
const VALUE_BITS: u32 = 40;
const TASK_MAX: u32 = (1 << TASK_BITS) - 1;
const _: () = assert!(1 << VALUE_BITS == BOUND_MAX);

#[inline]
pub(super) fn pack(label: Label, task: u32, value: u64) -> u64 {
    let task = u64::from(task.min(TASK_MAX));
    (u64::from(label.0) << (TASK_BITS + VALUE_BITS)) | (task << VALUE_BITS) | value
}

/// One choice of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The decision point.
    pub label: &'a str,
    /// The task on whose behalf it was made (4,095 stands for any from there on).
    pub task: u32,
    /// What was chosen.
    pub value: u64,
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}, task {}", self.label, self.value, self.task)
    }
}

/// The full stream of a run's labelled choices: replays it on the same revision, and on no other.
///
/// What else is needed to run it again (engine, scenario, flags) stands in its properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// What the run was, as `name value` pairs in order; neither holds a line break, names no blank.
    pub properties: Vec<(String, String)>,
    pub(super) labels: Vec<String>,
    pub(super) entries: Vec<u64>,
}

impl Recording {
    pub(super) fn new(labels: Vec<String>, entries: Vec<u64>) -> Self {
        Recording { properties: Vec::new(), labels, entries }
    }

    /// How many choices it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The choice at `index`.
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        let packed = *self.entries.get(index)?;
        Some(Entry {
            label: &self.labels[(packed >> (TASK_BITS + VALUE_BITS)) as usize],
            task: (packed >> VALUE_BITS) as u32 & TASK_MAX,
            value: packed & (BOUND_MAX - 1),
        })
    }

    /// All choices in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}
