//! The contract's table and the faults themselves are one list.

use super::*;

#[test]
fn the_table_of_the_contract_is_the_list_of_faults() {
    let rows: Vec<Vec<&str>> = include_str!("../mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .map(|row| row.trim_end_matches(" |").split(" | ").collect())
        .collect();
    assert_eq!(rows.len(), Fault::ALL.len());
    for (row, fault) in rows.iter().zip(Fault::ALL) {
        let when = fault.when().to_string();
        assert_eq!(row[..], [&format!("{}`", fault.name()), &when, fault.meaning()], "{fault}");
    }
}

#[test]
fn every_fault_of_the_disk_has_a_test_that_bears_its_name() {
    let tests = [include_str!("loss.rs"), include_str!("errors.rs")].concat()
        + include_str!("silent.rs")
        + include_str!("slow.rs");
    for fault in Fault::ALL.iter().filter(|fault| is_of_the_disk(**fault)) {
        assert!(tests.contains(&format!("\nfn {fault}_")), "no test of {fault}");
    }
}

/// The tests of what the machine delivers, not the disk: fault, file, test. Each is held there to an
/// effect that the program sees.
const OF_THE_MACHINE: &[(Fault, &str, &str)] = &[
    (Fault::PowerLoss, POWER, "every_end_of_a_life_is_counted_once"),
    (Fault::ProcessCrash, POWER, "every_end_of_a_life_is_counted_once"),
    (
        Fault::CrashInRecovery,
        POWER,
        "crash_in_recovery_is_counted_when_a_boot_ends_before_it_opened",
    ),
    (Fault::WallForward, CLOCK, "each_fault_does_what_its_name_says"),
    (Fault::WallBack, CLOCK, "each_fault_does_what_its_name_says"),
    (Fault::WallCoarse, CLOCK, "each_fault_does_what_its_name_says"),
    (Fault::WallDrift, CLOCK, "each_fault_does_what_its_name_says"),
    (Fault::Suspend, THREADS, "a_suspend_is_seen_by_the_monotonic_clock_alone"),
    (Fault::SpuriousWake, THREADS, "a_spurious_wake_comes_when_it_is_let"),
    (Fault::WeakCasFail, THREADS, "a_spawn_and_a_weak_exchange_fail_when_they_are_let"),
    (Fault::SpawnFail, THREADS, "a_spawn_and_a_weak_exchange_fail_when_they_are_let"),
    (Fault::Starve, THREADS, "a_starved_task_waits_longer"),
];

const POWER: &str = include_str!("../../../tests/recovery.rs");
const THREADS: &str = include_str!("../../../tests/threads.rs");
const CLOCK: &str = include_str!("../../clock.rs");

#[test]
fn every_other_fault_has_a_test_in_the_table() {
    for fault in Fault::ALL.iter().filter(|fault| !is_of_the_disk(**fault)) {
        let rows = OF_THE_MACHINE.iter().filter(|(of, ..)| of == fault).count();
        assert_eq!(rows, 1, "{fault} stands in {rows} rows of the table");
    }
    for (fault, file, test) in OF_THE_MACHINE {
        let (_, body) = file.split_once(&format!("fn {test}()")).expect(test);
        let body = body.split("#[test]").next().expect("a split has a first part");
        assert!(!is_of_the_disk(*fault), "{fault} has a test of its own here");
        assert!(body.contains(&format!("Fault::{fault:?}")), "{test} does not speak of {fault}");
    }
}
