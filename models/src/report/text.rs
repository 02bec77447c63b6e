//! The report as text.

use std::collections::BTreeSet;

use falconry_sim::trace::{DiskOp, Event, What};

use super::bytes;
use super::events::{Told, is_fault, tell};
use crate::cli::command::Caller;
use crate::cli::output::{RED, grouped};
use crate::run::{Case, Control, Finding};
use crate::shrink::Shrunk;

/// Width of the rule under the first line.
const WIDTH: usize = 92;

/// Events of the path that are shown.
const PATH_MAX: usize = 24;

/// How many of them from its beginning, which says where it comes from; the rest from its end.
const PATH_HEAD: usize = 6;

/// Events before the end that are shown when nothing names the path.
const TAIL: usize = 16;

/// How far the verdict can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Two runs gave this digest.
    Repeated(u128),
    /// Two runs gave two.
    Differing(u128, u128),
    /// The case was not run again, for the reason given.
    NotRepeated(String),
}

/// All that a report tells.
pub struct Report<'a> {
    /// The case.
    pub case: &'a Case,
    /// What was found.
    pub finding: &'a Finding,
    /// What the seed drew, as `name`, `value`.
    pub drawn: &'a [(String, String)],
    /// The trace; empty when there is none.
    pub events: &'a [Event],
    /// How often the signature was seen.
    pub seen: Option<String>,
    /// How far to trust it.
    pub trust: Trust,
    /// What the control run came to.
    pub control: Option<&'a Control>,
    /// The revision that was run.
    pub revision: &'a str,
    /// What making it small came to; what is shown is the small run then.
    pub shrunk: Option<&'a Shrunk>,
    /// The file of its capsule, if one was written.
    pub capsule: Option<&'a str>,
    /// A file that replays it, if one was written.
    pub recording: Option<&'a str>,
    /// Who reads it.
    pub caller: Caller,
}

impl Report<'_> {
    /// The whole text, with colour.
    pub fn text(&self) -> String {
        let mut lines = vec![self.first_line(), "-".repeat(WIDTH)];
        self.push_what(&mut lines);
        self.push_path(&mut lines);
        self.push_bytes(&mut lines);
        self.push_standing(&mut lines);
        self.push_commands(&mut lines);
        lines.push(String::new());
        lines.join("\n")
    }

    /// `FAIL  PROPERTY: sentence  seed N   step N`.
    fn first_line(&self) -> String {
        let Finding { property, sentence, step, .. } = self.finding;
        let left = ascii(&format!("{}: {sentence}", property.name()));
        let step = if *step > 0 { format!("   step {}", grouped(*step)) } else { String::new() };
        format!("{RED}FAIL{RED:#}  {left:<50}  seed {}{step}", self.case.seed)
    }

    fn push_what(&self, lines: &mut Vec<String>) {
        for (label, text) in &self.finding.what {
            let mut label = label.as_str();
            for line in text.lines() {
                lines.push(row(label, line));
                label = "";
            }
        }
        // An assertion is its own place.
        if !self.finding.place.is_empty() && self.finding.place != self.finding.sentence {
            lines.push(row("place", &self.finding.place));
        }
        let Case { engine, scenario, .. } = self.case;
        if !self.finding.beyond.is_empty() {
            let faults = self.finding.beyond();
            let text =
                format!("{faults}: {engine} does not claim to survive it, so this is told apart");
            lines.push(row("beyond", &text));
        }
        lines.push(row("ran", &format!("{engine} {scenario} at {}", self.revision)));
        let pairs = self.drawn.iter().map(|(name, value)| format!("{name}={value}"));
        let pairs: Vec<String> = pairs.collect();
        let mut label = "drawn";
        for line in wrapped(&pairs, WIDTH - 12) {
            lines.push(row(label, &line));
            label = "";
        }
        lines.push(String::new());
    }

    fn push_path(&self, lines: &mut Vec<String>) {
        if self.events.is_empty() {
            return;
        }
        let told = tell(self.events);
        let (path, title) = self.path(&told);
        lines.push(format!(
            "  the path of {} ({} of {} events)",
            ascii(&title),
            grouped(path.len() as u64),
            grouped(self.events.len() as u64)
        ));
        lines.push("      step      lane        event".into());
        let skipped = path.len().saturating_sub(PATH_MAX);
        for (index, Told { event, lane, sentence }) in path.iter().enumerate() {
            if (PATH_HEAD..PATH_HEAD + skipped).contains(&index) {
                if index == PATH_HEAD {
                    lines.push(format!("      ...       {} more events", grouped(skipped as u64)));
                }
                continue;
            }
            let mark = match event {
                _ if index + 1 == path.len() => 'x',
                event if is_fault(event) => '!',
                _ => ' ',
            };
            let (lane, text) = (ascii(lane), ascii(sentence));
            lines.push(format!("    {mark} {:<9} {lane:<11} {text}", grouped(event.step)));
        }
        lines.push(String::new());
    }

    /// The events that concern the affected words, what the machine did between them, and the last.
    fn path<'a>(&self, told: &'a [Told<'a>]) -> (Vec<&'a Told<'a>>, String) {
        let words = &self.finding.path_of;
        let names_one =
            |told: &Told<'_>| words.iter().any(|word| contains_word(&told.sentence, word));
        let last_step = if self.finding.step > 0 { self.finding.step } else { u64::MAX };
        let told = &told[..told.partition_point(|told| told.event.step <= last_step)];
        let Some(first) = told.iter().position(names_one) else {
            // What tasks do when they are ended after the verdict is none of the story.
            let ends = |told: &&Told<'_>| {
                told.event.step == last_step
                    && matches!(told.event.what, What::Exit { .. } | What::Site { .. })
            };
            let told: Vec<&Told<'_>> = told.iter().filter(|told| !ends(told)).collect();
            let (before, tail) = told.split_at(told.len().saturating_sub(TAIL));
            let of_machine = before.iter().filter(|told| is_fault(told.event));
            return (of_machine.chain(tail).copied().collect(), "the run".into());
        };
        let bears_on_it = |told: &Told<'_>| {
            names_one(told)
                || is_fault(told.event)
                || matches!(told.event.what, What::Boot { .. } | What::Down { .. })
        };
        let told = &told[first..];
        let hit: BTreeSet<usize> = (0..told.len()).flat_map(|at| causes(told, at)).collect();
        let last = told.len() - 1;
        let is_told = |at: &usize| *at == last || hit.contains(at) || bears_on_it(&told[*at]);
        ((0..told.len()).filter(is_told).map(|at| &told[at]).collect(), words.join(", "))
    }

    fn push_bytes(&self, lines: &mut Vec<String>) {
        if let (Some(expected), Some(found)) = (&self.finding.expected, &self.finding.found) {
            lines.extend(bytes::diff(expected, found).into_iter().map(|line| format!("  {line}")));
            lines.push(String::new());
        }
    }

    fn push_standing(&self, lines: &mut Vec<String>) {
        if let Some(shrunk) = self.shrunk {
            lines.push(row("shrunk", &shrunk.sentence()));
        }
        if let Some(seen) = &self.seen {
            let labels = std::iter::once("seen").chain(std::iter::repeat(""));
            lines.extend(labels.zip(seen.lines()).map(|(label, line)| row(label, line)));
        }
        let trust = match &self.trust {
            Trust::Repeated(digest) => format!("digest {digest:032x} in both of 2 runs"),
            Trust::Differing(first, second) => {
                format!("NONE: two runs gave digests {first:032x} and {second:032x}")
            }
            Trust::NotRepeated(why) => why.clone(),
        };
        if let Some(control) = self.control {
            lines.push(row("control", &control.sentence()));
        }
        lines.push(row("trust", &trust));
        lines.push(String::new());
    }

    fn push_commands(&self, lines: &mut Vec<String>) {
        // Commands are shown as they must be typed, whatever their letters.
        let mut command = |label: &str, text: String| lines.push(format!("  {label:<12}{text}"));
        if let Some(file) = self.capsule {
            command("small case", self.caller.plain(&["replay", file]));
        }
        command("reproduce", self.caller.of_case("replay", self.case));
        command("as a test", self.caller.as_test(self.case));
        command("look", self.caller.of_case("report", self.case));
        if let Some(file) = self.recording {
            command("recording", self.caller.plain(&["replay", file]));
        }
        if self.seen.is_some() {
            command("keep", self.caller.plain(&["findings", "accept", &self.finding.signature()]));
        }
    }
}

/// What the engine did last to what a fault has hit: the write of those bytes, and a new name of the file.
fn causes(told: &[Told<'_>], fault: usize) -> Vec<usize> {
    let What::Fault { file, offset, len, .. } = told[fault].event.what else { return Vec::new() };
    if file == 0 {
        return Vec::new();
    }
    let last = |is_one: &dyn Fn(DiskOp, u64, u64) -> bool| {
        told[..fault].iter().rposition(|told| match told.event.what {
            What::Disk { op, file: other, offset, len, errno: 0 } => {
                other == file && is_one(op, offset, len)
            }
            _ => false,
        })
    };
    let wrote = last(&|op, from, count| {
        op == DiskOp::Write && from < offset + len && offset < from + count
    });
    let named = last(&|op, _, _| op == DiskOp::Rename);
    wrote.into_iter().chain(named).collect()
}

fn row(label: &str, text: &str) -> String {
    format!("  {label:<9} {}", ascii(text)).trim_end().into()
}

/// Other letters are shown by their code, so that a report looks the same everywhere.
fn ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            ascii.push(c);
        } else {
            ascii.extend(c.escape_default());
        }
    }
    ascii
}

/// Whether `word` stands in `text` on its own: `key 1` is not in `key 11`.
fn contains_word(text: &str, word: &str) -> bool {
    let is_inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_inside) && !after.is_some_and(is_inside)
    })
}

/// Words in lines of at most `width`.
fn wrapped(words: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_on_its_own_only() {
        assert!(contains_word("put key 1: 3 bytes", "key 1"));
        assert!(!contains_word("put key 11: 3 bytes", "key 1"));
        assert!(!contains_word("monkey 1", "key 1"));
    }

    #[test]
    fn nothing_but_ascii_is_shown() {
        assert_eq!(ascii("a\u{e9}\tb"), "a\\u{e9}\\tb");
    }
}
