//! The ends of a boot can be switched off: none of that kind comes, and what is drawn stays the same.
//!
//! Once these rates were taken and did nothing, so that whoever asked "does it fail without power
//! losses too?" was answered by a run full of them.

use falconry::run::{Case, Counters, Outcome, Wishes, properties, run_case};
use falconry_sim::fault::Fault;
use falconry_sim::trace::{Event, What};

/// Engine, scenario, and so many seeds that every end comes.
const CASES: [(&str, &str, u64); 3] = [
    ("redb", "kv/bank", 10),
    ("sqlite", "kv/ledger", 10),
    ("machine", "instrument/self-check", 100),
];

fn run(engine: &str, scenario: &str, seed: u64, off: &[Fault]) -> Outcome {
    // A rate of another fault keeps the self-check without a theme, as each of these does.
    let others = [(Fault::BitRot, 0)].into_iter();
    let fault_ppm = others.chain(off.iter().map(|fault| (*fault, 0))).collect();
    let case = Case { fault_ppm, ..properties::plain(engine, scenario, seed) };
    let outcome = run_case(&case, &Wishes { trace: true, ..Wishes::default() });
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.findings, [], "{engine} {scenario}, seed {seed}, without {off:?}");
    outcome
}

fn sum((engine, scenario, seeds): (&str, &str, u64), off: &[Fault]) -> (Counters, u64) {
    let mut sum = Counters::default();
    (0..seeds).for_each(|seed| sum.add(&run(engine, scenario, seed, off).counters));
    let in_recovery = sum.faults[Fault::CrashInRecovery as usize];
    (sum, in_recovery)
}

#[test]
fn an_end_that_is_off_does_not_come_and_the_others_do() {
    for case in CASES {
        let engine = case.0;
        let (all, in_recovery) = sum(case, &[]);
        assert!(all.power_losses > 0 && all.process_crashes > 0 && in_recovery > 0, "{all:?}");
        let (without, _) = sum(case, &[Fault::PowerLoss]);
        assert_eq!(without.power_losses, 0, "{engine}");
        assert!(without.process_crashes > 0, "{engine}: {without:?}");
        let (without, _) = sum(case, &[Fault::ProcessCrash]);
        assert_eq!(without.process_crashes, 0, "{engine}");
        assert!(without.power_losses > 0, "{engine}: {without:?}");
        let (without, in_recovery) = sum(case, &[Fault::CrashInRecovery]);
        assert_eq!(in_recovery, 0, "{engine}");
        assert!(without.power_losses > 0 && without.process_crashes > 0, "{without:?}");
        let ends = [Fault::PowerLoss, Fault::ProcessCrash];
        let (without, in_recovery) = sum(case, &ends);
        assert_eq!((without.power_losses, without.process_crashes, in_recovery), (0, 0, 0));
        assert!(without.boots > case.2, "{engine}: {without:?}");
    }
}

/// The events up to the end of the first boot.
fn first_boot(events: &[Event]) -> &[Event] {
    let end = events.iter().position(|event| matches!(event.what, What::Down { .. }));
    &events[..=end.expect("a boot ends")]
}

#[test]
fn switching_one_off_moves_nothing_else() {
    let mut compared = 0;
    for seed in 0..40 {
        let with = run("redb", "kv/ledger", seed, &[]);
        let boot = first_boot(&with.trace);
        let What::Down { how } = &boot[boot.len() - 1].what else { unreachable!("it ends so") };
        if how != "process_crash" {
            continue;
        }
        let without = run("redb", "kv/ledger", seed, &[Fault::PowerLoss]);
        assert_eq!(first_boot(&without.trace), boot, "seed {seed}");
        assert_eq!(without.drawn, with.drawn, "seed {seed}");
        compared += 1;
    }
    assert!(compared > 0, "no first boot was killed");
}
