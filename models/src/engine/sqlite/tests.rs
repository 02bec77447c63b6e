//! What is drawn, and what is promised for it.

use falconry_sim::choice::Choices;
use falconry_sim::fault::Fault;

use super::*;

fn fixed(settings: &[(&str, &str)]) -> Result<Contract, CaseError> {
    let fixed: Vec<(String, String)> =
        settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let mut choices = Choices::zeros();
    let mut draw = SettingsDraw::new(&mut choices, "sqlite", &fixed);
    let contract = Sqlite.draw(&mut draw)?;
    draw.finish()?;
    Ok(contract)
}

#[test]
fn every_claim_is_a_fault_of_the_machine() {
    assert_eq!(Sqlite.claims().iter().count(), CLAIMS.len());
    assert!(Sqlite.claims().contains(Fault::GarbageSector));
    assert!(!Sqlite.claims().contains(Fault::BitRot));
}

#[test]
fn the_contract_is_the_documented_one() {
    let rows = [
        ("wal", "full", Contract::Durable),
        ("wal", "normal", Contract::Prefix),
        ("delete", "full", Contract::AllButLast),
        ("delete", "extra", Contract::Durable),
        ("truncate", "normal", Contract::Weak),
        ("persist", "off", Contract::Weak),
    ];
    for (journal_mode, synchronous, expected) in rows {
        let settings = [("journal_mode", journal_mode), ("synchronous", synchronous)];
        assert_eq!(fixed(&settings), Ok(expected), "{settings:?}");
    }
}

#[test]
fn a_setting_that_sqlite_does_not_take_is_refused() {
    for (name, value) in [("page_size", "1000"), ("journal_mode", "memory"), ("cache_size", "0")] {
        assert!(matches!(fixed(&[(name, value)]), Err(CaseError::BadSetting { .. })), "{name}");
    }
}
