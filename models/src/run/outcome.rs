//! What a machine came to, as the outcome of a run.

use falconry_sim::Machine;
use falconry_sim::fault::Fault;

use super::{Counters, Finding, Outcome, Property, Wishes};
use crate::oracle::Breach;

impl Outcome {
    /// The outcome of a run that is over: its breaches with boot and step, and what was drawn for it.
    pub(super) fn of(
        machine: &mut Machine,
        breaches: Vec<(Breach, u32, u64)>,
        drawn: Vec<(String, String)>,
    ) -> Outcome {
        let findings: Vec<Finding> = breaches
            .into_iter()
            .map(|(breach, boot, step)| breach.into_finding(boot, step, false))
            .collect();
        for finding in &findings {
            machine.note("oracle", format!("{}: {}", finding.property.name(), finding.sentence));
        }
        let divergence = machine.choices().divergence().map(|divergence| {
            format!(
                "choice {}: recorded {}, asked {}",
                divergence.index, divergence.recorded, divergence.asked
            )
        });
        Outcome {
            digest: machine.digest().value(),
            findings,
            counters: Counters::of(machine),
            reached: machine.reached(),
            drawn,
            trace: machine.take_trace(),
            recording: None,
            divergence,
            anchored: machine.anchored(),
            bytes: machine.choices().bytes().map(<[u8]>::to_vec),
            not_exported: None,
        }
    }
}

/// A verdict of the machine, unless it says no more than that the run was told to stop early.
pub(super) fn unless_stopped(
    verdict: Option<(Breach, u32, u64)>,
    wishes: &Wishes,
) -> Option<(Breach, u32, u64)> {
    let stopped = wishes.stop_at_step.is_some();
    verdict.filter(|(breach, ..)| !(stopped && breach.property == Property::Liveness))
}

impl Counters {
    /// What the machine counted; the commits are not its own.
    fn of(machine: &mut Machine) -> Counters {
        let counted = machine.counters();
        Counters {
            boots: counted.boots,
            power_losses: counted.power_losses,
            partial_power_losses: counted.partial_power_losses,
            process_crashes: counted.process_crashes,
            commits_acked: 0,
            steps: counted.steps,
            time_ns: counted.time_ns,
            abandoned: counted.abandoned,
            resurrected: 0,
            faults: Fault::ALL.iter().map(|fault| machine.faults().delivered(*fault)).collect(),
        }
    }
}
