//! What the program says of itself, held by snapshots in `snapshots/`.

mod program;

use std::time::Duration;

use falconry::cli::command::{Caller, Form};
use falconry::report::{Report, Trust};
use falconry::run::properties::plain;
use falconry::run::{Case, Finding};
use falconry::swarm::{Canary, Row, Tally, summaries, table};
use falconry_sim::trace::Event;
use program::Room;

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn help_of_every_verb() {
    let room = Room::new("help");
    let verbs: [&[&str]; 17] = [
        &[],
        &["run"],
        &["swarm"],
        &["replay"],
        &["check"],
        &["scenario"],
        &["scenario", "list"],
        &["scenario", "show"],
        &["scenario", "new"],
        &["fault"],
        &["fault", "list"],
        &["findings"],
        &["findings", "list"],
        &["findings", "show"],
        &["report"],
        &["completions"],
        &["man"],
    ];
    for verb in verbs {
        let mut arguments = verb.to_vec();
        arguments.push("--help");
        let call = room.call(&arguments);
        assert_eq!((call.code, &*call.stderr), (Some(0), ""), "{verb:?}");
        let name = ["help"].iter().chain(verb).copied().collect::<Vec<_>>().join("-");
        snapshot(&name, &call.stdout);
    }
}

#[test]
fn only_the_verbs_there_are_can_be_seen() {
    let room = Room::new("verbs");
    let help = room.call(&["--help"]).stdout;
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let verbs = "run swarm replay check scenario fault findings report completions man help";
    assert_eq!(listed.join(" "), verbs);
}

#[test]
fn the_table_of_faults_and_the_scenarios() {
    let room = Room::new("tables");
    for (name, arguments) in [
        ("fault-list", &["fault", "list"][..]),
        ("scenario-list", &["scenario", "list"]),
        ("scenario-new", &["scenario", "new"]),
    ] {
        let call = room.call(arguments);
        assert_eq!(call.code, Some(0), "{name}: {}", call.stderr);
        snapshot(name, &call.stdout);
    }
}

/// A failure of the canary as it once came: case, finding, what was drawn, trace.
#[derive(serde::Deserialize)]
struct Failure {
    case: Case,
    finding: Finding,
    drawn: Vec<(String, String)>,
    events: Vec<Event>,
}

#[test]
fn the_report_of_a_canary() {
    let text = include_str!("fixtures/canary.json");
    let failure: Failure = serde_json::from_str(text).expect("a failure of the canary");
    for (name, form) in [("report-canary", Form::Installed), ("report-canary-clone", Form::Cargo)] {
        let report = Report {
            case: &failure.case,
            finding: &failure.finding,
            drawn: &failure.drawn,
            events: &failure.events,
            seen: Some("130 of 300 seeds, signature durability/a872333e, new since 2f00aa1".into()),
            trust: Trust::Repeated(0x51fe_0c77_68d0_9a3e_5b1c_24f7_a0d3_e896),
            revision: "3f9c1d2",
            recording: Some("target/falconry/runs/1/durability-a872333e-0.recording"),
            caller: Caller { form, says_faults: false },
        };
        let plain = anstream::adapter::strip_str(&report.text()).to_string();
        assert!(plain.is_ascii(), "a letter that is not ASCII:\n{plain}");
        snapshot(name, &plain);
    }
}

#[test]
fn the_table_of_a_swarm() {
    let case = |engine: &str, scenario: &str| plain(engine, scenario, 0);
    let cases = [case("redb", "kv/bank"), case("sqlite", "kv/bank"), case("canary", "kv/ledger")];
    let mut tallies = [Tally::default(), Tally::default(), Tally::default()];
    for (index, tally) in tallies.iter_mut().enumerate() {
        let times = index as u64 + 1;
        tally.run = 20_000 * times;
        tally.counters.boots = 143_211 * times;
        tally.counters.power_losses = 86_004 * times;
        tally.counters.faults[3] = 1_234_567 * times;
    }
    let rows: Vec<Row<'_>> = cases
        .iter()
        .zip(&tallies)
        .map(|(case, tally)| Row { case, planned: tally.run, tally })
        .collect();
    let mut lines = summaries(&rows, Canary::Convicted(3), 2, Duration::from_secs(60));
    lines[1].findings = 4;
    lines[2].expected = 22;
    (lines[3].findings, lines[3].expected) = (4, 22);
    snapshot("swarm-table", &table(&lines, Some(100)));
}

#[test]
fn a_canary_is_convicted_and_its_lines_work_as_printed() {
    let room = Room::new("canary");
    let swarm = "swarm --engine canary --scenario kv/ledger --seeds 0..100 --jobs 2";
    let call = room.call(&swarm.split(' ').collect::<Vec<_>>());
    assert_eq!(call.code, Some(1), "{}", call.stderr);
    assert!(call.stdout.is_ascii(), "a letter that is not ASCII:\n{}", call.stdout);
    let parts =
        ["FAIL  ", "  what  ", "  the path of ", "  seen  ", "  trust  ", "| engine | scenario "];
    let places = parts.map(|part| call.stdout.find(part).unwrap_or_else(|| panic!("no '{part}'")));
    assert!(places.is_sorted(), "the report's parts are out of order:\n{}", call.stdout);
    let seed = call.stdout.lines().next().and_then(|line| line.split("seed ").nth(1));
    let seed = seed.and_then(|rest| rest.split(' ').next()).expect("a seed in the first line");
    let first_line = format!("seed {seed}");
    for label in ["reproduce", "look", "recording"] {
        let line = call.stdout.lines().find_map(|line| line.trim().strip_prefix(label));
        let words: Vec<&str> =
            line.unwrap_or_else(|| panic!("no '{label}'")).trim().split(' ').collect();
        assert_eq!(words[0], "falconry");
        let again = room.call(&words[1..]);
        let code = if label == "look" { 0 } else { 1 };
        assert_eq!(again.code, Some(code), "{label}: {}", again.stderr);
        let fails = |line: &&str| line.starts_with("FAIL  ") && line.contains(&first_line);
        assert!(again.stdout.lines().any(|line| fails(&line)), "{label}: {}", again.stdout);
    }
}

#[test]
fn completions_and_man_pages_know_the_verbs() {
    let room = Room::new("man");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let call = room.call(&["completions", shell]);
        assert_eq!(call.code, Some(0), "{shell}: {}", call.stderr);
        assert!(call.stdout.contains("beyond-budget"), "{shell} does not know a flag");
    }
    assert_eq!(room.call(&["man", "pages"]).code, Some(0));
    let page = std::fs::read_to_string(room.folder.join("pages/falconry-swarm.1"));
    assert!(page.expect("a page of its own").contains("fail\\-fast"));
}
