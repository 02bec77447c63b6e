//! A case that cannot be run says why, and what can be.

use std::sync::Arc;

use falconry::engine::{self, Concurrency, Database, Engine, EngineError, Settings, SettingsDraw};
use falconry::run::{Case, Wishes, check_case, properties, run_with};
use falconry::scenario;
use falconry_seam::disk::Disk;
use falconry_sim::choice::Choices;
use falconry_sim::fault::Fault;

fn hold(rows: &[(Case, &str)]) {
    for (case, expected) in rows {
        let error = check_case(case).expect_err(expected);
        assert_eq!(error.to_string(), *expected);
    }
}

#[test]
fn each_word_that_is_wrong_is_named_with_the_way_out() {
    let plain = || properties::plain("canary", "kv/bank", 0);
    let set = |name: &str, value: &str| {
        let mut case = plain();
        case.settings = vec![(name.into(), value.into())];
        case
    };
    let rows: [(Case, &str); 8] = [
        (
            Case { engine: "rebd".into(), ..plain() },
            "there is no engine 'rebd'; there are falcon, redb, sqlite, canary, machine",
        ),
        (
            Case { scenario: "kv/bonk".into(), ..plain() },
            "there is no scenario 'kv/bonk'; `scenario list` shows all",
        ),
        (
            Case { scenario: "instrument/self-check".into(), ..plain() },
            "scenario instrument/self-check: it is not meant for engine 'canary'",
        ),
        (
            Case { engine: "machine".into(), ..plain() },
            "scenario kv/bank: it is not meant for engine 'machine'",
        ),
        (
            set("sync_evry", "1"),
            "engine 'canary' cannot be set to sync_evry=1: there is no such setting; there are \
             sync_every",
        ),
        (
            set("sync_every", "7"),
            "engine 'canary' cannot be set to sync_every=7: it takes 3, 2, 8, 100, 1",
        ),
        (
            set("contract", "none"),
            "engine 'canary' cannot be set to contract=none: it takes durable, all_but_last, \
             prefix, weak",
        ),
        (
            set("concurrency", "futex"),
            "engine 'canary' cannot be set to concurrency=futex: it takes seam",
        ),
    ];
    hold(&rows);
}

#[test]
fn what_would_be_passed_over_is_refused() {
    let plain = || properties::plain("canary", "kv/bank", 0);
    let machine = || properties::plain("machine", "instrument/self-check", 0);
    let rate = |fault, ppm| Case { fault_ppm: vec![(fault, ppm)], ..plain() };
    let set_machine =
        |name: &str, value: &str| Case { settings: vec![(name.into(), value.into())], ..machine() };
    let rows: [(Case, &str); 7] = [
        (
            rate(Fault::PowerLoss, 1_000_000),
            "power_loss=1000000 cannot be: how a boot ends is drawn once a boot and has no rate; \
             write power_loss=0 to switch it off, or leave it out",
        ),
        (
            rate(Fault::CrashInRecovery, 1),
            "crash_in_recovery=1 cannot be: how a boot ends is drawn once a boot and has no rate; \
             write crash_in_recovery=0 to switch it off, or leave it out",
        ),
        (
            Case { planted: vec!["late_flush".into()], ..plain() },
            "engine 'canary' has no bug 'late_flush' to plant; it has none that can be planted; \
             `planted list` shows those of the others",
        ),
        (
            Case { planted: vec!["late_flush".into()], ..machine() },
            "engine 'machine' has no bug 'late_flush' to plant; it has none that can be planted; \
             `planted list` shows those of the others",
        ),
        (
            set_machine("contract", "weak"),
            "engine 'machine' cannot be set to contract=weak: the machine has no engine whose \
             settings these are; it takes bounds.* and workload.*",
        ),
        (
            set_machine("concurrency", "blah"),
            "engine 'machine' cannot be set to concurrency=blah: the machine has no engine whose \
             settings these are; it takes bounds.* and workload.*",
        ),
        (
            Case { break_sync: true, ..machine() },
            "engine 'machine' cannot be set to break-sync=true: the machine's self-check has no \
             engine to convict; name one with --engine",
        ),
    ];
    hold(&rows);
    for case in [plain(), machine(), rate(Fault::PowerLoss, 0), set_machine("bounds.boots", "2")] {
        check_case(&case).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// An engine with a bug of its own.
struct Bugged;

impl Engine for Bugged {
    fn name(&self) -> &str {
        "bugged"
    }

    fn open(&self, _: Arc<dyn Disk>, _: &Settings) -> Result<Box<dyn Database>, EngineError> {
        Err(EngineError::ReadOnly)
    }

    fn bugs(&self) -> &[&str] {
        &["late_flush", "no_flush"]
    }
}

#[test]
fn a_bug_that_an_engine_has_is_planted_and_the_others_are_listed() {
    let scenario = scenario::find("kv/bank").unwrap_or_else(|error| panic!("{error}"));
    let plant = |bug: &str| {
        let case = Case { planted: vec![bug.into()], ..properties::plain("bugged", "kv/bank", 0) };
        run_with(&Bugged, &scenario, &case, &Wishes::default()).map(|_| ())
    };
    assert_eq!(plant("no_flush"), Ok(()));
    assert_eq!(
        plant("slow_flush").expect_err("there is none").to_string(),
        "engine 'bugged' has no bug 'slow_flush' to plant; there are late_flush, no_flush"
    );
}

#[test]
fn only_the_write_ahead_log_of_sqlite_may_bring_a_transaction_back() {
    let sqlite = engine::find("sqlite").unwrap_or_else(|error| panic!("{error}"));
    for (mode, may) in [("wal", true), ("delete", false), ("truncate", false), ("persist", false)] {
        let fixed = [("journal_mode".to_string(), mode.to_string())];
        let mut choices = Choices::zeros();
        let mut draw = SettingsDraw::new(&mut choices, "sqlite", &fixed);
        let contract = sqlite.draw(&mut draw).unwrap_or_else(|error| panic!("{error}"));
        let values = draw.finish().unwrap_or_else(|error| panic!("{error}"));
        let settings = Settings::new(values, contract, Concurrency::Gated);
        assert_eq!(sqlite.in_flight_may_return(&settings), may, "{mode}");
        assert_eq!(sqlite.seen_may_be_lost(&settings), may, "{mode}");
    }
}
