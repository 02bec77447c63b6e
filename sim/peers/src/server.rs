//! A system under measurement as a process: it reads a question a line and answers with a line.
//!
//! # Method
//!
//! A question is the name of a work. The answer is `OPERATIONS NANOSECONDS RESIDENT_BYTES`, or `none`
//! when the system has nothing of the kind. [`Client`] is the other end. The process ends when its
//! input does.

use crate::processor;
use crate::work::Work;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// What one round of a work took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Operations done.
    pub operations: u64,
    /// Real time spent on them.
    pub elapsed: Duration,
}

/// One answer of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The time.
    pub round: Round,
    /// Resident memory of the process at the end of the round.
    pub resident_bytes: u64,
}

/// Answers questions with `measure` until the input ends.
///
/// # Errors
///
/// A question that names no work, or a broken pipe.
pub fn serve(measure: impl Fn(Work) -> Option<Round>) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let work = Work::named(&line)
            .ok_or_else(|| io::Error::other(format!("'{line}' is no work of this benchmark")))?;
        match measure(work) {
            None => writeln!(output, "none")?,
            Some(round) => {
                let ns = round.elapsed.as_nanos();
                writeln!(output, "{} {ns} {}", round.operations, resident_bytes()?)?;
            }
        }
        output.flush()?;
    }
    Ok(())
}

/// A system's process, seen by the benchmark.
pub struct Client {
    /// Name of the system in the table.
    pub system: &'static str,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Starts the process.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn start(system: &'static str, mut command: Command) -> io::Result<Client> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        Ok(Client { system, child, questions, answers: BufReader::new(answers) })
    }

    /// Lets it run on that processor alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn stay_on(&self, processor: usize) -> io::Result<()> {
        processor::pin(self.child.id(), processor)
    }

    /// Has one round of `work` done; `None` when the system has nothing of the kind.
    ///
    /// # Errors
    ///
    /// The process has died, or says something else than an answer.
    pub fn ask(&mut self, work: Work) -> io::Result<Option<Answer>> {
        let questions = self.questions.as_mut().ok_or_else(|| io::Error::other("no pipe"))?;
        writeln!(questions, "{work}")?;
        questions.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("{}'s process ended in '{work}'", self.system)));
        }
        parse(line.trim_end())
            .ok_or_else(|| io::Error::other(format!("{} answered '{line}'", self.system)))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The end of its input ends the process.
        self.questions = None;
        if let Err(error) = self.child.wait() {
            eprintln!("{}: {error}", self.system);
        }
    }
}

fn parse(line: &str) -> Option<Option<Answer>> {
    if line == "none" {
        return Some(None);
    }
    let mut numbers = line.split(' ').map(|word| word.parse::<u64>().ok());
    let (operations, ns, resident_bytes) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let round = Round { operations, elapsed: Duration::from_nanos(ns) };
    (numbers.next().is_none() && operations > 0).then_some(Some(Answer { round, resident_bytes }))
}

fn resident_bytes() -> io::Result<u64> {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).and_then(|word| word.parse::<u64>().ok());
    pages.map(|pages| pages * PAGE_BYTES).ok_or_else(|| io::Error::other("/proc/self/statm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_three_numbers_and_at_least_one_operation() {
        let round = Round { operations: 5, elapsed: Duration::from_nanos(70) };
        assert_eq!(parse("5 70 4096"), Some(Some(Answer { round, resident_bytes: 4096 })));
        assert_eq!(parse("none"), Some(None));
        for wrong in ["", "5 70", "5 70 1 2", "0 70 1", "a b c"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
