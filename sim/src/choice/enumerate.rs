//! Choices from an enumerator: depth-first through all choices of a small scenario.

use super::Choices;

/// A choice among more alternatives than this is no branch: it is 0 in every run.
const ALTERNATIVES_MAX: u64 = 1_024;

/// The choices of one run of an enumeration: those taken, and how many alternatives each had.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    steps: Vec<(u64, u64)>,
    at: usize,
}

impl Path {
    /// The value of the next choice: 0, or one that is allowed.
    pub(super) fn next(&mut self, bound: u64, allowed: &dyn Fn(u64) -> bool) -> u64 {
        if bound > ALTERNATIVES_MAX {
            return 0;
        }
        let count = (0..bound).filter(|value| *value == 0 || allowed(*value)).count() as u64;
        let index = self.at;
        self.at += 1;
        if index == self.steps.len() {
            self.steps.push((0, count));
        }
        let (taken, before) = self.steps[index];
        assert_eq!(
            count, before,
            "choice {index} has other alternatives than before: not a function of the choices"
        );
        let mut values = (0..bound).filter(|value| *value == 0 || allowed(*value));
        values.nth(taken as usize).expect("a step is below its count")
    }

    /// Turns to the next path in depth-first order; `false` when all were taken.
    fn advance(&mut self) -> bool {
        self.steps.truncate(self.at);
        self.at = 0;
        while let Some((value, bound)) = self.steps.pop() {
            if value + 1 < bound {
                self.steps.push((value + 1, bound));
                return true;
            }
        }
        false
    }
}

/// All runs of a small scenario, one after the other. A choice among more than 1,024 alternatives (an
/// amount, a pattern of garbage) is 0 in all of them.
///
/// ```
/// use falconry_sim::choice::Enumeration;
///
/// let mut seen = Vec::new();
/// let complete = Enumeration::new(100).run(|choices| {
///     seen.push((choices.choose("a/coin", 2), choices.choose("a/die", 3)));
/// });
/// assert!(complete);
/// assert_eq!(seen.len(), 6);
/// ```
#[derive(Debug)]
pub struct Enumeration {
    path: Path,
    runs_max: u64,
}

impl Enumeration {
    /// An enumeration that stops after `runs_max` runs.
    pub fn new(runs_max: u64) -> Self {
        Enumeration { path: Path::default(), runs_max }
    }

    /// Calls `run` once for each path; `true` when all were taken, `false` when the bound came first.
    pub fn run(mut self, mut run: impl FnMut(&mut Choices)) -> bool {
        for _ in 0..self.runs_max {
            let mut choices = Choices::from_path(std::mem::take(&mut self.path));
            run(&mut choices);
            let source = std::mem::replace(&mut choices.source, super::Source::Zero);
            let super::Source::Enumerate(path) = source else {
                unreachable!("the source of an enumeration's choices was exchanged")
            };
            self.path = path;
            if !self.path.advance() {
                return true;
            }
        }
        false
    }
}
