//! The text form of a capsule, version 1: short, readable, made to be kept beside the code.
//!
//! ```text
//! falconry capsule 1
//! # durability: an acknowledged record is gone
//! engine specimen
//! choices
//! boot 1, main, put.3
//!   specimen/put = 1
//!   disk/op@sync_data #2 = 5
//! end 2
//! ```
//!
//! After the first line come properties (`name value`); behind `choices` the exceptions, below a line
//! that names boot, task and span. `#` alone at the beginning of a line makes it a comment. The last line
//! has the number of exceptions: a file that was cut short is refused, one that was edited is not.

use std::fmt::Write as _;

use super::BOUND_MAX;
use super::anchor::{Anchor, Exception};

const HEADER: &str = "falconry capsule ";
const VERSION: u32 = 1;

/// The longest text that is read, in bytes.
pub const CAPSULE_BYTES_MAX: usize = 1 << 20;

/// A failure in a form that outlives changes of the code: what makes its run differ from a boring one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capsule {
    /// Comments at its head, a line each.
    pub remarks: Vec<String>,
    /// What the run was, as `name value` pairs in order; neither holds a line break, names no blank.
    pub properties: Vec<(String, String)>,
    /// What drives the run.
    pub exceptions: Vec<Exception>,
}

/// Why a text is no capsule that this program can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapsuleError {
    /// The first line is not that of a capsule.
    #[error("not a capsule: the first line is not '{HEADER}{VERSION}'")]
    NotACapsule,
    /// Another version of the format.
    #[error("a capsule of version {found}; this program reads version {VERSION}")]
    Version {
        /// The version that the first line names.
        found: String,
    },
    /// It is longer than any capsule.
    #[error("longer than {CAPSULE_BYTES_MAX} bytes, which no capsule is")]
    TooLong,
    /// A line cannot be read.
    #[error("line {line} is damaged: {what}")]
    Damaged {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The text ends early.
    #[error("the capsule is cut short: {what}")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
}

impl Capsule {
    /// Whether a text, or the beginning of one, is meant to be a capsule.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(HEADER)
    }

    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The text form, its exceptions in the order of their anchors.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}{VERSION}\n");
        for remark in &self.remarks {
            let _ = writeln!(text, "# {}", remark.replace('\n', " "));
        }
        for (name, value) in &self.properties {
            assert!(!name.contains([' ', '\n', '#']) && !value.contains('\n'), "property {name:?}");
            let _ = writeln!(text, "{name} {value}");
        }
        text.push_str("choices\n");
        let mut sorted: Vec<&Exception> = self.exceptions.iter().collect();
        sorted.sort();
        let mut before = None;
        for Exception { anchor, value } in sorted {
            let Anchor { boot, task, span, site, n } = anchor;
            if before.replace((boot, task, span)) != Some((boot, task, span)) {
                let comma = if span.is_empty() { "" } else { ", " };
                let _ = writeln!(text, "boot {boot}, {task}{comma}{span}");
            }
            let number = if *n == 0 { String::new() } else { format!(" #{n}") };
            let _ = writeln!(text, "  {site}{number} = {value}");
        }
        let _ = writeln!(text, "end {}", self.exceptions.len());
        text
    }

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// Says which line is wrong, and how.
    pub fn from_text(text: &str) -> Result<Capsule, CapsuleError> {
        let first = text.lines().next().unwrap_or("").trim_end_matches('\r');
        let version = first.strip_prefix(HEADER).ok_or(CapsuleError::NotACapsule)?;
        if version != VERSION.to_string() {
            return Err(CapsuleError::Version { found: version.chars().take(20).collect() });
        }
        if text.len() > CAPSULE_BYTES_MAX {
            return Err(CapsuleError::TooLong);
        }
        let mut capsule = Capsule::default();
        // An editor may end lines otherwise.
        let lines = text.lines().map(|line| line.trim_end_matches('\r'));
        let mut lines = lines.enumerate().skip(1);
        capsule.read_head(&mut lines)?;
        capsule.read_exceptions(&mut lines)?;
        if let Some((index, _)) = lines.find(|(_, line)| !line.trim().is_empty()) {
            let what = "something stands behind the end";
            return Err(CapsuleError::Damaged { line: index + 1, what });
        }
        Ok(capsule)
    }

    fn read_head<'a>(
        &mut self,
        lines: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<(), CapsuleError> {
        for (index, line) in lines {
            if line == "choices" {
                return Ok(());
            }
            if let Some(remark) = line.strip_prefix('#') {
                self.remarks.push(remark.trim().into());
                continue;
            }
            let pair =
                line.split_once(' ').filter(|(name, _)| !name.is_empty() && !name.contains('#'));
            let damaged = CapsuleError::Damaged { line: index + 1, what: "not 'name value'" };
            let (name, value) = pair.ok_or(damaged)?;
            self.properties.push((name.into(), value.into()));
        }
        Err(CapsuleError::Incomplete { what: "no line 'choices'" })
    }

    fn read_exceptions<'a>(
        &mut self,
        lines: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<(), CapsuleError> {
        let mut place = None;
        let mut anchors = std::collections::BTreeSet::new();
        for (index, line) in lines {
            let damaged = |what| CapsuleError::Damaged { line: index + 1, what };
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if let Some(count) = line.strip_prefix("end ") {
                let fits = count.parse() == Ok(self.exceptions.len());
                let what = "another number of choices than it says";
                return if fits { Ok(()) } else { Err(CapsuleError::Incomplete { what }) };
            }
            if let Some(choice) = line.strip_prefix("  ") {
                let (boot, task, span) =
                    place.clone().ok_or(damaged("a choice without a boot and a task"))?;
                let (site, n, value) = read_choice(choice).ok_or(damaged("not a choice"))?;
                let anchor = Anchor { boot, task, span, site, n };
                if !anchors.insert(anchor.clone()) {
                    return Err(damaged("the same choice twice"));
                }
                self.exceptions.push(Exception { anchor, value });
            } else {
                place = Some(read_place(line).ok_or(damaged("not 'boot N, TASK, SPAN'"))?);
            }
        }
        Err(CapsuleError::Incomplete { what: "no line 'end'" })
    }
}

/// `boot 1, main` or `boot 1, main, put.3`.
fn read_place(line: &str) -> Option<(u32, String, String)> {
    let mut words = line.strip_prefix("boot ")?.splitn(3, ", ");
    let boot = words.next()?.parse().ok()?;
    let task = words.next().filter(|task| !task.is_empty())?;
    Some((boot, task.into(), words.next().unwrap_or("").into()))
}

/// `sched/next@lock #2 = 1`.
fn read_choice(line: &str) -> Option<(String, u32, u64)> {
    let (site, value) = line.rsplit_once(" = ")?;
    let value = value.parse().ok().filter(|value| (1..BOUND_MAX).contains(value))?;
    let (site, n) = match site.split_once(" #") {
        Some((site, n)) => (site, n.parse().ok()?),
        None => (site, 0),
    };
    (!site.is_empty() && !site.contains(' ')).then(|| (site.into(), n, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capsule() -> Capsule {
        let at = |boot, task: &str, span: &str, site: &str, n, value| {
            let (task, span, site) = (task.into(), span.into(), site.into());
            Exception { anchor: Anchor { boot, task, span, site, n }, value }
        };
        Capsule {
            remarks: vec!["a lost record".into()],
            properties: vec![("engine".into(), "specimen".into()), ("seed".into(), "7".into())],
            exceptions: vec![
                at(0, "machine", "", "size/boots", 0, 3),
                at(1, "client 1", "txn.2/commit", "sched/next@lock", 4, 1),
                at(1, "client 1", "txn.2/commit", "disk_fate/sector@3:12", 0, 2),
            ],
        }
    }

    #[test]
    fn a_text_comes_back_and_is_sorted() {
        let text = capsule().to_text();
        let read = Capsule::from_text(&text).unwrap();
        assert_eq!(read.to_text(), text);
        assert_eq!(read.properties, capsule().properties);
        let mut sorted = capsule().exceptions;
        sorted.sort();
        assert_eq!(read.exceptions, sorted);
        assert!(text.contains("boot 1, client 1, txn.2/commit\n  disk_fate/sector@3:12 = 2\n"));
    }

    #[test]
    fn comments_may_stand_anywhere_and_numbers_may_be_edited() {
        let text = capsule().to_text().replace("choices\n", "choices\n# by hand\n\n");
        let read = Capsule::from_text(&text.replace("= 3", "= 4")).unwrap();
        assert_eq!(read.exceptions[0].value, 4);
    }

    /// A name that cannot be written, and one of two ends of a line that was kept.
    #[test]
    fn whatever_is_read_can_be_written_and_read_again() {
        let text = capsule().to_text();
        let strange = Capsule::from_text(&text.replace("engine specimen", "en#gine specimen"));
        let refused = CapsuleError::Damaged { line: 3, what: "not 'name value'" };
        assert_eq!(strange, Err(refused));
        for end in ["\r\n", "\r\r\n"] {
            let read = Capsule::from_text(&text.replace('\n', end)).unwrap();
            assert_eq!(read.to_text(), text);
        }
    }

    #[test]
    fn a_text_cut_anywhere_is_refused() {
        let text = capsule().to_text();
        for length in 0..text.len() - 1 {
            assert!(Capsule::from_text(&text[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn damage_is_told_by_its_line() {
        let text = capsule().to_text();
        let broken = [
            ("falconry capsule 1", "falconry capsule 2", "a capsule of version 2; this program"),
            ("falconry capsule 1", "falconry recording 1", "not a capsule: the first line"),
            ("engine specimen", "engine", "line 3 is damaged: not 'name value'"),
            ("boot 0, machine\n", "", "line 6 is damaged: a choice without a boot and a task"),
            ("boot 0, machine", "boot x, machine", "line 6 is damaged: not 'boot N, TASK, SPAN'"),
            ("size/boots = 3", "size/boots = 0", "line 7 is damaged: not a choice"),
            ("size/boots = 3", "size boots = 3", "line 7 is damaged: not a choice"),
            (
                "  size/boots = 3\n",
                "  a/b = 1\n  a/b = 2\n",
                "line 8 is damaged: the same choice twice",
            ),
            ("end 3", "end 2", "cut short: another number of choices than it says"),
            ("end 3\n", "end 3\nmore\n", "something stands behind the end"),
        ];
        for (from, to, expected) in broken {
            let told = Capsule::from_text(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(told.contains(expected), "{to:?}: {told}");
        }
        let long = format!("{text}{}", "#".repeat(CAPSULE_BYTES_MAX));
        assert_eq!(Capsule::from_text(&long), Err(CapsuleError::TooLong));
    }
}
