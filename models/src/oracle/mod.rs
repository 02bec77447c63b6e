//! Judges: pure functions from a history and what was found to a verdict.
//!
//! # Method
//!
//! Every write transaction names, in a record that it writes along, the transaction on whose state it
//! stands. So the history is a tree of [`history::Version`]s, the order in which an engine serialised
//! its clients is known, and the state after each of them can be computed. A state that is found, in a
//! transaction or after a crash, names its version, and must equal that version in every byte.
//!
//! # Invariant
//!
//! Nothing here reads a clock, a disk or a choice.

pub mod errors;
pub mod history;
pub mod invariant;
pub mod liveness;
pub mod read;
pub mod recovered;

use std::borrow::Cow;

use crate::run::{Finding, Property};

/// A promise that was broken, before it is known in which boot and at which step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which promise.
    pub property: Property,
    /// What happened, in a few words without numbers.
    pub sentence: Cow<'static, str>,
    /// Where, without numbers.
    pub place: String,
    /// Rows of `label`, `text`, with numbers.
    pub what: Vec<(String, String)>,
    /// Bytes that were expected.
    pub expected: Option<Vec<u8>>,
    /// Bytes that were found.
    pub found: Option<Vec<u8>>,
    /// Words whose events make the path in the report.
    pub path_of: Vec<String>,
}

impl Breach {
    /// A breach without bytes.
    pub fn new(
        property: Property,
        sentence: impl Into<Cow<'static, str>>,
        place: impl Into<String>,
    ) -> Self {
        Breach {
            property,
            sentence: sentence.into(),
            place: place.into(),
            what: Vec::new(),
            expected: None,
            found: None,
            path_of: Vec::new(),
        }
    }

    /// Adds a row.
    #[must_use]
    pub fn row(mut self, label: &str, text: impl Into<String>) -> Self {
        self.what.push((label.into(), text.into()));
        self
    }

    /// Adds the bytes that are at stake.
    #[must_use]
    pub fn bytes(mut self, expected: Option<&[u8]>, found: Option<&[u8]>) -> Self {
        self.expected = expected.map(<[u8]>::to_vec);
        self.found = found.map(<[u8]>::to_vec);
        self
    }

    /// Adds a word for the path.
    #[must_use]
    pub fn path(mut self, word: impl Into<String>) -> Self {
        self.path_of.push(word.into());
        self
    }

    /// The finding of a run.
    pub fn into_finding(self, boot: u32, step: u64, expected_finding: bool) -> Finding {
        Finding {
            property: self.property,
            sentence: self.sentence.into_owned(),
            place: self.place,
            what: self.what,
            expected: self.expected,
            found: self.found,
            path_of: self.path_of,
            boot,
            step,
            beyond: Vec::new(),
            expected_finding,
        }
    }
}

/// A key as a report shows it: text where it is text, else hexadecimal.
pub fn show_key(key: &[u8]) -> String {
    if !key.is_empty() && key.iter().all(|byte| (0x20..0x7F).contains(byte)) {
        return String::from_utf8_lossy(key).into_owned();
    }
    key.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// A value as a report's row shows it: its first bytes and its length.
pub fn show_value(value: Option<&[u8]>) -> String {
    let Some(value) = value else { return "no record".into() };
    let head: Vec<String> = value.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let more = if value.len() > 8 { " .." } else { "" };
    format!("{}{more} ({} bytes)", head.join(" "), value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_are_told_apart_by_promise_sentence_and_place_and_by_no_number() {
        let signature = |property, sentence: &'static str, place: &str, number: u64| {
            let breach = Breach::new(property, sentence, place).row("found", number.to_string());
            breach.into_finding(number as u32, number, false).signature()
        };
        let one = signature(Property::Model, "a read is wrong", "get", 1);
        assert_eq!(signature(Property::Model, "a read is wrong", "get", 2), one);
        assert_ne!(signature(Property::Model, "a read is wrong", "range", 1), one);
        assert_ne!(signature(Property::Model, "a read is old", "get", 1), one);
        assert_ne!(signature(Property::Atomicity, "a read is wrong", "get", 1), one);
    }
}
