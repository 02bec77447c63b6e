//! Makes a failing run small: deletes, lowers and zeroes what makes it differ from a boring one.
//!
//! # Method
//!
//! The exceptions of a run are all there is to it: operations, faults, preemptions, ends of boots and
//! configuration alike. A candidate is a part of them, or the same with lower values; it counts when
//! its run fails in the same way. Whole boots, tasks, spans and sites are deleted first, then runs of
//! neighbours, halved until they are single ones (delta debugging: Zeller and Hildebrandt, IEEE TSE
//! 2002), then values are lowered; again and again until nothing can be taken away any more.
//!
//! Candidates are tried several at a time, and the first in order that fails is taken, so that the
//! result does not depend on how many those are.
//!
//! # Invariant
//!
//! What is returned failed when it was last run. It is *minimal* when it failed no more without any
//! single one of its exceptions.

#![expect(
    clippy::disallowed_methods,
    reason = "the runner works on the host, around the runs and never inside one"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::choice::Exception;

/// What the caller does for the reducer. A run that fails in the same way gives back what it took of
/// the exceptions before it failed.
pub trait Subject: Sync {
    /// Runs these exceptions.
    fn run(&self, exceptions: &[Exception]) -> Option<Vec<Exception>>;

    /// Other candidates than deletions and lower values, the most promising first.
    fn others(&self, exceptions: &[Exception]) -> Vec<Vec<Exception>> {
        let _ = exceptions;
        Vec::new()
    }

    /// Whether the budget is used up.
    fn is_over(&self) -> bool;
}

/// What a reduction came to.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// What is left.
    pub exceptions: Vec<Exception>,
    /// Whether none of them can be left out; else the budget was used up before.
    pub is_minimal: bool,
    /// Runs that were made.
    pub runs: u64,
}

/// Reduces exceptions whose run fails, `jobs` candidates at a time. `None` when it does not.
pub fn reduce(subject: &impl Subject, exceptions: &[Exception], jobs: usize) -> Option<Reduced> {
    let current = subject.run(exceptions)?;
    let mut reducer = Reducer { subject, current, jobs: jobs.max(1), runs: 2 };
    // What came after the failure is not in it any more; it must fail without that as well.
    reducer.current = subject.run(&reducer.current)?;
    let mut is_minimal = false;
    while !subject.is_over() {
        let before = reducer.current.clone();
        reducer.delete_groups();
        reducer.delete_runs();
        reducer.try_others();
        reducer.lower();
        if reducer.current == before {
            is_minimal = !subject.is_over();
            break;
        }
    }
    Some(Reduced { exceptions: reducer.current, is_minimal, runs: reducer.runs })
}

struct Reducer<'a, S> {
    subject: &'a S,
    current: Vec<Exception>,
    jobs: usize,
    runs: u64,
}

impl<S: Subject> Reducer<'_, S> {
    /// Tries candidates in order, and keeps the first that fails and is smaller; says which one.
    fn first(&mut self, candidates: &[Vec<Exception>]) -> Option<usize> {
        for (batch, some) in candidates.chunks(self.jobs).enumerate() {
            if self.subject.is_over() {
                return None;
            }
            self.runs += some.len() as u64;
            let subject = self.subject;
            let results: Vec<Option<Vec<Exception>>> = match some {
                [one] => vec![subject.run(one)],
                some => std::thread::scope(|scope| {
                    let threads: Vec<_> =
                        some.iter().map(|one| scope.spawn(|| subject.run(one))).collect();
                    threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
                }),
            };
            for (index, result) in results.into_iter().enumerate() {
                if let Some(taken) = result.filter(|taken| smaller(taken, &self.current)) {
                    self.current = taken;
                    return Some(batch * self.jobs + index);
                }
            }
        }
        None
    }

    /// Deletes all of a boot, of a task, of a span, of a site.
    fn delete_groups(&mut self) {
        let keys: [fn(&Exception) -> String; 4] = [
            |e| e.anchor.boot.to_string(),
            |e| format!("{} {}", e.anchor.boot, e.anchor.task),
            |e| format!("{} {} {}", e.anchor.boot, e.anchor.task, e.anchor.span),
            |e| e.anchor.site.split('@').next().unwrap_or("").into(),
        ];
        for key in keys {
            let mut kept: BTreeSet<String> = BTreeSet::new();
            loop {
                let mut groups: BTreeMap<String, usize> = BTreeMap::new();
                for exception in &self.current {
                    *groups.entry(key(exception)).or_default() += 1;
                }
                let mut groups: Vec<(String, usize)> =
                    groups.into_iter().filter(|(name, _)| !kept.contains(name)).collect();
                groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let without = |name: &String| {
                    self.current.iter().filter(|e| key(e) != *name).cloned().collect()
                };
                let candidates: Vec<Vec<Exception>> =
                    groups.iter().map(|(name, _)| without(name)).collect();
                let Some(found) = self.first(&candidates) else { break };
                kept.extend(groups[..found].iter().map(|(name, _)| name.clone()));
            }
        }
    }

    /// Deletes neighbours, many at first and single ones last.
    fn delete_runs(&mut self) {
        let mut length = self.current.len().next_power_of_two() / 2;
        while length > 0 {
            let mut from = 0;
            while from < self.current.len() {
                let starts: Vec<usize> =
                    (from..self.current.len()).step_by(length).take(4 * self.jobs).collect();
                let without = |at: &usize| {
                    let end = (at + length).min(self.current.len());
                    [&self.current[..*at], &self.current[end..]].concat()
                };
                let candidates: Vec<Vec<Exception>> = starts.iter().map(without).collect();
                // What stands at the found place then is new, and is tried next.
                from = match self.first(&candidates) {
                    Some(found) => starts[found],
                    None => from + length * starts.len(),
                };
                if self.subject.is_over() {
                    return;
                }
            }
            length /= 2;
        }
    }

    fn try_others(&mut self) {
        while !self.subject.is_over() {
            let candidates = self.subject.others(&self.current);
            if self.first(&candidates).is_none() {
                return;
            }
        }
    }

    /// Lowers values: to 1, else by halves of what is between, else by 1.
    fn lower(&mut self) {
        let mut at = 0;
        while at < self.current.len() && !self.subject.is_over() {
            let value = self.current[at].value;
            let mut lower: Vec<u64> = vec![1, value / 4, value / 2, value - value / 4, value - 1];
            lower.retain(|lower| (1..value).contains(lower));
            lower.dedup();
            let with = |value: &u64| {
                let mut candidate = self.current.clone();
                candidate[at].value = *value;
                candidate
            };
            let candidates: Vec<Vec<Exception>> = lower.iter().map(with).collect();
            at += usize::from(self.first(&candidates).is_none());
        }
    }
}

/// Fewer exceptions; of as many a lower sum of their values, and of the same the earlier boots.
fn smaller(a: &[Exception], b: &[Exception]) -> bool {
    let sum = |all: &[Exception]| all.iter().map(|e| u128::from(e.value)).sum::<u128>();
    let boots = |all: &[Exception]| all.iter().map(|e| u128::from(e.anchor.boot)).sum::<u128>();
    (a.len(), sum(a), boots(a)) < (b.len(), sum(b), boots(b))
}
