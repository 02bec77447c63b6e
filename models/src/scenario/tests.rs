//! Built-in scenarios parse, and errors name their place.

use super::*;

#[test]
fn every_built_in_scenario_parses() {
    assert_eq!(list().len(), 21);
    for scenario in list() {
        let parsed = find(scenario.name).unwrap_or_else(|error| panic!("{error}"));
        assert!(parsed.about.ends_with('.'), "{}: '{}'", scenario.name, parsed.about);
    }
}

#[test]
fn the_template_is_a_scenario() {
    Scenario::parse("template", template()).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn errors_name_file_line_and_what_is_allowed() {
    let rows = [
        (
            "about = \"x\"\n[workload]\nkind = \"bonk\"\n",
            "scenario f.toml: line 3: unknown variant `bonk`, expected one of `bank`, `ledger`, \
             `cycle`, `counter`, `range`, `self-check`",
        ),
        (
            "about = \"x\"\nspeed = 1\n[workload]\nkind = \"bank\"\n",
            "scenario f.toml: line 2: unknown field `speed`, expected one of `about`, `engines`, \
             `beside`, `device`, `holds`, `workload`, `bounds`, `faults`, `ends`, `settings`",
        ),
        (
            "about = \"x\"\n[workload]\nkind = \"bank\"\nkeys = [9, 3]\n",
            "scenario f.toml: workload.keys = [9, 3]: it takes [LOW, HIGH] from 2 to 1000000",
        ),
        (
            "about = \"x\"\n[workload]\nkind = \"bank\"\n[faults]\ntorn_wrote = 1\n",
            "scenario f.toml: line 5: there is no fault 'torn_wrote'",
        ),
        (
            "about = \"x\"\n[workload]\nkind = \"bank\"\n[faults]\ntorn_write = 1_000_001\n",
            "scenario f.toml: faults.torn_write = 1000001: it takes millionths, 0 to 1000000",
        ),
        (
            "about = \"x\"\ndevice = \"tape\"\n[workload]\nkind = \"bank\"\n",
            "scenario f.toml: device = \"tape\": it takes hdd-512n, ssd-sata-512e, nvme-4kn, \
             nvme-plp-16k, raid-bbu, cloud-volume, liar",
        ),
        (
            "about = \"x\"\n[workload]\nkind = \"bank\"\n[ends]\nrecovery_ppm = 1_000_001\n",
            "scenario f.toml: ends.recovery_ppm = 1000001: it takes millionths, 0 to 1000000",
        ),
    ];
    for (text, expected) in rows {
        let error = Scenario::parse("f.toml", text).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn an_unknown_name_is_told_apart_from_a_missing_file() {
    assert!(matches!(find("kv/bonk"), Err(CaseError::UnknownScenario { .. })));
    assert!(matches!(find("no/such/file.toml"), Err(CaseError::BadScenario { .. })));
}
