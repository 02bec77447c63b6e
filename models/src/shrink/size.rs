//! What a failing run is made of, in numbers.

use falconry_sim::choice::Exception;
use serde::{Deserialize, Serialize};

use crate::cli::output::grouped;
use crate::run::Outcome;

/// What a failing run is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Operations of its workload.
    pub operations: u64,
    /// Decisions by which a fault came, an unsynced unit was lost, or a clock was moved; not the ends of
    /// boots.
    pub faults: u64,
    /// Tasks that were preempted.
    pub preemptions: u64,
    /// Boots.
    pub boots: u64,
    /// Choices that are not 0, these and all others.
    pub choices: u64,
}

/// What a site decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Operation,
    Fault,
    Preemption,
    Other,
}

fn part(site: &str) -> Part {
    let (label, kind) = site.split_once('@').unwrap_or((site, ""));
    match label {
        super::OPERATION => Part::Operation,
        // Whoever waits or gives way is not preempted, whoever comes next.
        "sched/next" if !matches!(kind, "wait" | "yield" | "spin") => Part::Preemption,
        "disk/op"
        | "disk_fate/sector"
        | "disk_fate/size"
        | "disk_fate/name"
        | "disk_fate/names"
        | "disk_boot/image"
        | "disk_boot/rot"
        | "disk_boot/claim"
        | "disk_boot/slow"
        | "sched/spurious_wake"
        | "sched/weak_cas_fail"
        | "sched/spawn_fail"
        | "sched/starve"
        | "clock/suspend"
        | "clock/wall" => Part::Fault,
        _ => Part::Other,
    }
}

impl Size {
    /// The size of a run that took these exceptions.
    pub fn of(exceptions: &[Exception], outcome: &Outcome) -> Size {
        let count =
            |wanted| exceptions.iter().filter(|e| part(&e.anchor.site) == wanted).count() as u64;
        Size {
            operations: count(Part::Operation),
            faults: count(Part::Fault),
            preemptions: count(Part::Preemption),
            boots: outcome.counters.boots,
            choices: exceptions.len() as u64,
        }
    }

    /// `214 to 3 operations, …`, what was never there left out.
    pub fn to(&self, after: &Size) -> String {
        let pairs = [
            ("operations", self.operations, after.operations),
            ("faults", self.faults, after.faults),
            ("preemptions", self.preemptions, after.preemptions),
            ("boots", self.boots, after.boots),
            ("choices", self.choices, after.choices),
        ];
        let told = pairs.iter().filter(|(_, before, after)| before + after > 0);
        let told = told.map(|(name, before, after)| {
            format!("{} to {} {name}", grouped(*before), grouped(*after))
        });
        told.collect::<Vec<_>>().join(", ")
    }
}
