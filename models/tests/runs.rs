//! A run is a function of its case: the same digest each time, traced or not, recorded or replayed;
//! and on average it does enough to find something.

use falconry::run::{Case, Counters, Wishes, properties, run_case};

fn digest(case: &Case, wishes: &Wishes) -> u128 {
    run_case(case, wishes).unwrap_or_else(|error| panic!("{error}")).digest
}

fn cases() -> impl Iterator<Item = Case> {
    let rows = [
        ("redb", "kv/bank"),
        ("sqlite", "kv/ledger"),
        ("canary", "kv/range"),
        ("machine", "instrument/self-check"),
    ];
    rows.into_iter().flat_map(|(engine, scenario)| {
        (0..8).map(move |seed| properties::plain(engine, scenario, seed))
    })
}

#[test]
fn a_case_has_one_digest_traced_or_not() {
    for case in cases() {
        let plain = digest(&case, &Wishes::default());
        let wishes = Wishes { trace: true, recording: true, ..Wishes::default() };
        let outcome = run_case(&case, &wishes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outcome.digest, plain, "{case:?}");
        assert!(!outcome.trace.is_empty());
    }
}

#[test]
fn a_recording_replays_to_the_same_digest() {
    for case in cases() {
        let wishes = Wishes { recording: true, ..Wishes::default() };
        let first = run_case(&case, &wishes).unwrap_or_else(|error| panic!("{error}"));
        let replay = first.recording.clone();
        let named = replay.as_ref().and_then(properties::case_of);
        assert_eq!(named.as_ref(), Some(&case));
        // The seed must not matter any more.
        let other = Case { seed: case.seed + 1_000, ..case };
        let again = run_case(&other, &Wishes { replay, ..Wishes::default() });
        let again = again.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.divergence, None, "{other:?}, drawn {:?}", again.drawn);
        assert_eq!(again.digest, first.digest, "{other:?}");
    }
}

#[test]
fn a_swarm_does_enough_to_find_something() {
    for engine in ["redb", "sqlite"] {
        let mut sum = Counters::default();
        let scenarios = ["kv/bank", "kv/counter", "kv/cycle", "kv/ledger", "kv/range"];
        let seeds = 40 * scenarios.len() as u64;
        for (scenario, seed) in
            scenarios.iter().flat_map(|name| (0..40).map(move |seed| (name, seed)))
        {
            let case = properties::plain(engine, scenario, seed);
            let outcome = run_case(&case, &Wishes::default());
            let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(outcome.findings, [], "{engine}, {scenario}, seed {seed}");
            sum.add(&outcome.counters);
        }
        assert!(sum.power_losses >= seeds, "{engine}: {sum:?}");
        assert!(sum.commits_acked >= 20 * seeds, "{engine}: {sum:?}");
        assert!(sum.partial_power_losses * 2 >= sum.power_losses, "{engine}: {sum:?}");
        assert_eq!(sum.abandoned, 0, "{engine}");
    }
}

#[test]
fn the_machine_answers_to_the_truth_under_every_fault() {
    let mut sum = Counters::default();
    for seed in 0..1_000 {
        let case = properties::plain("machine", "instrument/self-check", seed);
        let outcome = run_case(&case, &Wishes::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outcome.findings, [], "seed {seed}");
        sum.add(&outcome.counters);
    }
    let delivered = sum.faults.iter().filter(|count| **count > 0).count();
    assert!(delivered >= 50, "{delivered} faults were delivered: {:?}", sum.faults);
}
