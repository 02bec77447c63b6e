//! The text form of a recording, version 1: stable, readable by line, refused when damaged.
//!
//! ```text
//! falconry recording 1
//! engine redb
//! label 0 sched/next
//! choices
//! 0 1 2
//! 0 1 0 x17
//! end 18 4f1c20aa09b3d7e1
//! ```
//!
//! After the first line come properties (`name value`), then one line for each label in use, then
//! the choices, a line each: label, task, value, and how often it comes in a row. The last line has
//! the number of choices and a checksum of all lines before it.

use std::fmt::Write as _;

use super::BOUND_MAX;
use super::label::{LABELS_MAX, Label, hash};
use super::record::{Recording, pack};

const HEADER: &str = "falconry recording ";
const VERSION: u32 = 1;
/// A line of a few bytes may stand for so many, which take eight bytes each.
const CHOICES_MAX: usize = 1 << 26;

/// Why a text is no recording that this program can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The first line is not that of a recording.
    #[error("not a recording: the first line is not '{HEADER}{VERSION}'")]
    NotARecording,
    /// Another version of the format.
    #[error("a recording of version {found}; this program reads version {VERSION}")]
    Version {
        /// The version that the first line names.
        found: String,
    },
    /// A line cannot be read.
    #[error("line {line} is damaged: {what}")]
    Damaged {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The text ends early, or was changed.
    #[error("the recording is cut short or was changed: {what}")]
    Incomplete {
        /// What does not fit.
        what: &'static str,
    },
}

impl Recording {
    /// The text form.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}{VERSION}\n");
        for (name, value) in &self.properties {
            assert!(!name.contains([' ', '\n']) && !value.contains('\n'), "property {name:?}");
            let _ = writeln!(text, "{name} {value}");
        }
        let mut used = vec![false; self.labels.len()];
        self.entries.iter().for_each(|entry| used[(entry >> 52) as usize] = true);
        for (index, name) in self.labels.iter().enumerate().filter(|(index, _)| used[*index]) {
            let _ = writeln!(text, "label {index} {name}");
        }
        text.push_str("choices\n");
        let mut at = 0;
        while at < self.entries.len() {
            let entry = self.entries[at];
            let count = self.entries[at..].iter().take_while(|other| **other == entry).count();
            let (label, task, value) = (entry >> 52, entry >> 40 & 0xFFF, entry & (BOUND_MAX - 1));
            let _ = write!(text, "{label} {task} {value}");
            let _ = if count > 1 { writeln!(text, " x{count}") } else { writeln!(text) };
            at += count;
        }
        let checksum = hash(&text);
        let _ = writeln!(text, "end {} {checksum:016x}", self.entries.len());
        text
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// Says which line is wrong, and how.
    pub fn from_text(text: &str) -> Result<Recording, RecordingError> {
        let first = text.lines().next().unwrap_or("");
        let version = first.strip_prefix(HEADER).ok_or(RecordingError::NotARecording)?;
        if version != VERSION.to_string() {
            return Err(RecordingError::Version { found: version.into() });
        }
        let incomplete = |what| RecordingError::Incomplete { what };
        let body = text.strip_suffix('\n').ok_or(incomplete("no line break at its end"))?;
        let (body, end) = body.rsplit_once('\n').ok_or(incomplete("no line 'end'"))?;
        let end = end.strip_prefix("end ").ok_or(incomplete("no line 'end'"))?;
        let (count, checksum) = end.split_once(' ').ok_or(incomplete("no checksum"))?;
        let covered = &text[..body.len() + 1];
        if checksum != format!("{:016x}", hash(covered)) {
            return Err(incomplete("its checksum does not fit"));
        }
        let recording = read_body(body)?;
        if count != recording.entries.len().to_string() {
            return Err(incomplete("another number of choices than it says"));
        }
        Ok(recording)
    }
}

impl Recording {
    /// A text with the last line that it must have: whoever writes or edits a recording by hand has neither
    /// counted nor summed up. Whether its other lines can be read, [`Recording::from_text`] says.
    pub fn sealed(text: &str) -> String {
        let mut sealed = text.to_string();
        if !sealed.ends_with('\n') {
            sealed.push('\n');
        }
        let choices = sealed.lines().skip_while(|line| *line != "choices").skip(1);
        let counts = choices.map(|line| match line.rsplit_once(" x") {
            Some((_, count)) => count.parse().unwrap_or(1),
            None => 1u64,
        });
        let count = counts.fold(0, u64::saturating_add);
        let checksum = hash(&sealed);
        let _ = writeln!(sealed, "end {count} {checksum:016x}");
        sealed
    }
}

fn read_body(body: &str) -> Result<Recording, RecordingError> {
    let mut recording = Recording::default();
    // Not by `lines`, which takes what may be the end of a value for a part of the line's end.
    let mut lines = body.split('\n').enumerate().skip(1);
    for (index, line) in lines.by_ref() {
        let damaged = |what| RecordingError::Damaged { line: index + 1, what };
        if line == "choices" {
            break;
        }
        let (name, value) = line.split_once(' ').ok_or(damaged("no value"))?;
        if name == "label" {
            read_label(&mut recording, value).ok_or(damaged("not a label"))?;
        } else {
            recording.properties.push((name.into(), value.into()));
        }
    }
    for (index, line) in lines {
        let damaged = RecordingError::Damaged { line: index + 1, what: "not a choice" };
        read_choice(&mut recording, line).ok_or(damaged)?;
    }
    Ok(recording)
}

fn read_label(recording: &mut Recording, line: &str) -> Option<()> {
    let (number, name) = line.split_once(' ')?;
    let number: usize = number.parse().ok().filter(|number| *number < LABELS_MAX)?;
    if recording.labels.len() <= number {
        recording.labels.resize(number + 1, String::new());
    }
    recording.labels[number] = name.into();
    Some(())
}

fn read_choice(recording: &mut Recording, line: &str) -> Option<()> {
    let mut words = line.split(' ');
    let label: u16 = words.next()?.parse().ok()?;
    let task: u32 = words.next()?.parse().ok()?;
    let value: u64 = words.next()?.parse().ok().filter(|value| *value < BOUND_MAX)?;
    let count: usize = match words.next() {
        Some(word) => word.strip_prefix('x')?.parse().ok()?,
        None => 1,
    };
    let known = recording.labels.get(usize::from(label)).is_some_and(|name| !name.is_empty());
    let fits = recording.entries.len().saturating_add(count) <= CHOICES_MAX;
    if words.next().is_some() || !known || !fits {
        return None;
    }
    let entry = pack(Label(label), task, value);
    recording.entries.extend(std::iter::repeat_n(entry, count));
    Some(())
}
