//! A case that cannot be run says why, and what can be.

use falconry::run::{Case, check_case, properties};

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
            "there is no engine 'rebd'; there are redb, sqlite, canary, machine",
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
    for (case, expected) in rows {
        let error = check_case(&case).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
    check_case(&plain()).unwrap_or_else(|error| panic!("{error}"));
}
