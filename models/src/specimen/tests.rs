//! What every specimen has.

use super::*;

/// Nobody takes one away unnoticed.
#[test]
fn there_are_as_many_as_there_should_be() {
    let of = |family| all().iter().filter(|specimen| specimen.family == family).count();
    assert_eq!((of(Family::Storage), of(Family::Concurrency)), (19, 27));
}

#[test]
fn each_has_a_name_a_source_and_a_scenario_of_its_own() {
    let all = all();
    let mut names: Vec<&str> = all.iter().map(|specimen| specimen.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for specimen in all {
        assert!(!specimen.source.is_empty() && !specimen.bug.is_empty(), "{}", specimen.name);
        assert_eq!(specimen.scenario().check(), Ok(()), "{}", specimen.name);
        let found = of_scenario(&specimen.scenario_name()).map(|found| found.name);
        assert_eq!(found, Some(specimen.name));
        let is_store = matches!(specimen.body, Body::Store(_));
        assert_eq!(is_store, specimen.family == Family::Storage, "{}", specimen.name);
    }
}
