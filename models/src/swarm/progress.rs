//! What is seen while a swarm runs: a bar on a terminal, lines elsewhere.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

use super::marks::never_reached;
use super::runner::Canary;
use super::tally::Tally;
use crate::cli::output::{Output, ProgressStyle, RED, grouped};
use crate::run::{Case, Finding};

/// A counter says a line so often,
const COUNTER_EVERY: Duration = Duration::from_secs(10);
/// and where nobody asked for one and there is no terminal, so often.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// Signatures that are announced while the swarm runs; all are in its summary.
const ANNOUNCED_MAX: u32 = 20;

/// Shows progress on stderr.
pub struct Progress {
    output: Output,
    style: ProgressStyle,
    bar: Option<ProgressBar>,
    planned: u64,
    duration: Option<Duration>,
    said: Duration,
    announced: u32,
}

impl Progress {
    /// For a swarm of `planned` seeds, or one of `duration`.
    pub fn new(output: Output, planned: u64, duration: Option<Duration>) -> Progress {
        let style = output.progress_style();
        let bar = (style == ProgressStyle::Bar).then(|| bar(planned, duration));
        Progress { output, style, bar, planned, duration, said: Duration::ZERO, announced: 0 }
    }

    /// The canary had its turn.
    pub fn canary(&mut self, canary: Canary) {
        match canary {
            Canary::Convicted(seeds) => {
                self.above(|output| {
                    let text = format!("convicted after {} seeds, as expected", grouped(seeds));
                    output.status("Canary", &text);
                });
            }
            Canary::NotConvicted => self.above(|output| output.status("Canary", "NOT CONVICTED")),
        }
    }

    /// A signature was seen for the first time.
    pub fn found(&mut self, case: &Case, seed: u64, finding: &Finding) {
        self.announced += 1;
        if self.announced > ANNOUNCED_MAX || self.output.quiet {
            return;
        }
        let Case { engine, scenario, .. } = case;
        let (property, sentence) = (finding.property.name(), &finding.sentence);
        let text = format!("{property}: {sentence}  {engine} {scenario} seed {seed}");
        self.above(|_| {
            let _ = writeln!(anstream::stderr(), "{RED}{:>11}{RED:#}  {text}", "Found");
        });
    }

    /// Some time has passed.
    pub fn tick(&mut self, elapsed: Duration, tallies: &[Tally]) {
        if self.style == ProgressStyle::None {
            return;
        }
        let run: u64 = tallies.iter().map(|tally| tally.run).sum();
        if let Some(bar) = &self.bar {
            bar.set_position(match self.duration {
                Some(_) => elapsed.as_millis() as u64,
                None => run,
            });
            bar.set_prefix(clock(elapsed));
            bar.set_message(self.message(elapsed, run, tallies));
        } else if elapsed >= self.said + self.line_every() {
            self.said = elapsed;
            let text = format!("[{}] {}", clock(elapsed), self.message(elapsed, run, tallies));
            self.output.status("Progress", &text);
        }
    }

    fn line_every(&self) -> Duration {
        match self.style {
            ProgressStyle::Counter => COUNTER_EVERY,
            _ => LINE_EVERY,
        }
    }

    /// It is over.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn message(&self, elapsed: Duration, run: u64, tallies: &[Tally]) -> String {
        let findings: u64 = tallies.iter().map(|tally| tally.findings(false)).sum();
        let rate = run as f64 / elapsed.as_secs_f64().max(0.001);
        let marks = never_reached(tallies.iter().flat_map(|tally| &tally.reached)).len();
        let (of, left_s) = match self.duration {
            Some(duration) => (String::new(), duration.saturating_sub(elapsed).as_secs_f64()),
            None => {
                let left = self.planned.saturating_sub(run) as f64;
                (format!("/{}", grouped(self.planned)), left / rate.max(0.001))
            }
        };
        let left = clock(Duration::from_secs_f64(left_s.min(1e9)));
        let plural = |count| if count == 1 { "" } else { "s" };
        let marks = match marks as u64 {
            0 => String::new(),
            marks => format!("{marks} mark{} never reached   ", plural(marks)),
        };
        format!(
            "{}{of} seeds   {}/s   {findings} finding{}   {marks}eta {left}",
            grouped(run),
            grouped(rate as u64),
            plural(findings),
        )
    }

    fn above(&self, say: impl FnOnce(&Output)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(&self.output)),
            None => say(&self.output),
        }
    }
}

fn bar(planned: u64, duration: Option<Duration>) -> ProgressBar {
    let length = duration.map_or(planned, |duration| duration.as_millis() as u64);
    let style = BarStyle::with_template("   [{prefix}] {bar:20}  {wide_msg}")
        .expect("a sound template")
        .progress_chars("##-");
    let target = ProgressDrawTarget::stderr_with_hz(5);
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}

/// Hours if there are any, minutes, seconds.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_every_minute_or_as_often_as_was_asked_for() {
        let said = |style, seconds| {
            let output = Output { quiet: true, ..Output::default() };
            let mut progress = Progress { style, ..Progress::new(output, 9, None) };
            let ticks = (1..=seconds).map(Duration::from_secs);
            let mut lines: Vec<u64> = ticks
                .map(|elapsed| {
                    progress.tick(elapsed, &[]);
                    progress.said.as_secs()
                })
                .collect();
            lines.dedup();
            lines
        };
        assert_eq!(said(ProgressStyle::Auto, 150), [0, 60, 120]);
        assert_eq!(said(ProgressStyle::Counter, 35), [0, 10, 20, 30]);
        assert_eq!(said(ProgressStyle::None, 150), [0]);
    }
}
