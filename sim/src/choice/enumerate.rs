//! Choices from an enumerator: depth-first through all choices of a small scenario.

use super::Choices;

/// The choices of one run of an enumeration: those taken, and how many alternatives each had.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    steps: Vec<(u64, u64)>,
    at: usize,
}

impl Path {
    pub(super) fn next(&mut self, bound: u64) -> u64 {
        let index = self.at;
        self.at += 1;
        if index == self.steps.len() {
            self.steps.push((0, bound));
        }
        let (value, before) = self.steps[index];
        assert_eq!(
            bound, before,
            "choice {index} has other alternatives than before: not a function of the choices"
        );
        value
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

/// All runs of a small scenario, one after the other.
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
            let super::Source::Enumerate(path) = choices.source else {
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
