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
    let of_disk = Fault::ALL.iter().filter(|fault| {
        matches!(fault.when(), When::PowerLoss | When::Error | When::Silent | When::Slow)
    });
    for fault in of_disk {
        assert!(tests.contains(&format!("\nfn {fault}_")), "no test of {fault}");
    }
}
