//! Where text goes: results to stdout, progress and complaints to stderr.
//!
//! # Invariant
//!
//! With `--json` every line of stdout is one JSON object with `"type"` and `"v"`.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::exit::Stop;

/// Version of the JSON Lines.
const JSON_VERSION: u32 = 1;

/// What heads a complaint or a failure.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// What heads a line about progress.
pub const GREEN: Style = AnsiColor::Green.on_default().bold();
/// What heads a warning.
pub const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// How much is said, and in which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// JSON Lines instead of text.
    pub json: bool,
    /// No status lines, no progress.
    pub quiet: bool,
    /// More detail: 1 for `-v`, 2 for `-vv`.
    pub verbose: u8,
    /// How progress is shown.
    pub progress: ProgressStyle,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressStyle {
    /// A bar on a terminal, a line of text every minute elsewhere.
    #[default]
    Auto,
    /// A bar.
    Bar,
    /// A line of text every ten seconds.
    Counter,
    /// Nothing.
    None,
}

#[derive(Serialize)]
struct Line<'a, T> {
    r#type: &'a str,
    v: u32,
    #[serde(flatten)]
    body: &'a T,
}

impl Output {
    /// Writes text to stdout; nothing with `--json`.
    pub fn text(&self, text: &str) -> Result<(), Stop> {
        if self.json { Ok(()) } else { self.raw(text) }
    }

    /// Writes text to stdout whatever the form.
    pub fn raw(&self, text: &str) -> Result<(), Stop> {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Writes one object of type `kind`; nothing without `--json`.
    pub fn object(&self, kind: &str, body: &impl Serialize) -> Result<(), Stop> {
        if !self.json {
            return Ok(());
        }
        let line = Line { r#type: kind, v: JSON_VERSION, body };
        let mut text = serde_json::to_string(&line).map_err(|e| Stop::OurBug(e.to_string()))?;
        text.push('\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Says on stderr what is being done: a word, right-aligned, and the rest.
    pub fn status(&self, word: &str, rest: &str) {
        if !self.quiet {
            // Nobody reads stderr any more: the work goes on all the same.
            let _ = writeln!(anstream::stderr(), "{GREEN}{word:>11}{GREEN:#}  {rest}");
        }
    }

    /// Says on stderr what is wrong; even with `-q`.
    pub fn complain(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{RED}error{RED:#}: {text}");
    }

    /// Says on stderr what should be known although the work goes on.
    pub fn warn(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning{YELLOW:#}: {text}");
    }

    /// How progress is shown here; [`ProgressStyle::Auto`] where there is no terminal.
    pub fn progress_style(&self) -> ProgressStyle {
        match self.progress {
            _ if self.quiet => ProgressStyle::None,
            ProgressStyle::Auto if io::stderr().is_terminal() => ProgressStyle::Bar,
            chosen => chosen,
        }
    }
}

/// Widest table, whatever the terminal: what is printed is the same everywhere.
pub const TABLE_WIDTH: u16 = 100;

/// A number with a space between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number of things, by their name for one of them or for several.
pub fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped};

    #[test]
    fn one_thing_is_not_several() {
        let counted = |number| counted(number, "power loss", "power losses");
        assert_eq!(
            [0, 1, 1_200].map(counted),
            ["0 power losses", "1 power loss", "1 200 power losses"]
        );
    }

    #[test]
    fn groups_of_three_from_the_right() {
        let texts: Vec<_> = [0, 999, 1_000, 68_211, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(texts, ["0", "999", "1 000", "68 211", "1 234 567"]);
    }
}
