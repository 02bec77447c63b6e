//! What the program says of itself, held by snapshots in `snapshots/`.

mod program;

use std::time::Duration;

use falconry::cli::command::Form;
use falconry::run::properties::plain;
use falconry::swarm::{Canary, Row, Tally, summaries, table};
use program::{Call, Room};

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
    let verbs: [&[&str]; 28] = [
        &[],
        &["run"],
        &["swarm"],
        &["replay"],
        &["shrink"],
        &["check"],
        &["scenario"],
        &["scenario", "list"],
        &["scenario", "show"],
        &["scenario", "new"],
        &["fault"],
        &["fault", "list"],
        &["findings"],
        &["findings", "list"],
        &["findings", "accept"],
        &["findings", "show"],
        &["report"],
        &["fuzz-import"],
        &["completions"],
        &["man"],
        &["specimen"],
        &["specimen", "list"],
        &["specimen", "score"],
        &["specimen", "shrink-score"],
        &["specimen", "twins"],
        &["planted"],
        &["planted", "list"],
        &["planted", "score"],
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
    let verbs = "run swarm replay shrink check scenario fault specimen planted findings report fuzz-import completions man help";
    assert_eq!(listed.join(" "), verbs);
}

#[test]
fn the_table_of_faults_and_the_scenarios() {
    let room = Room::new("tables");
    for (name, arguments) in [
        ("fault-list", &["fault", "list"][..]),
        ("scenario-list", &["scenario", "list"]),
        ("scenario-new", &["scenario", "new"]),
        ("planted-list", &["planted", "list"]),
    ] {
        let call = room.call(arguments);
        assert_eq!(call.code, Some(0), "{name}: {}", call.stderr);
        snapshot(name, &call.stdout);
    }
}

/// The swarm whose report the README shows.
const SWARM: &str = "swarm --engine canary --scenario kv/bank --seeds 0..100 --jobs 2";

/// What the swarm prints of the canary, called in that form.
fn report_of_the_canary(room: &Room, form: Form) -> String {
    let mut command = room.program(&SWARM.split(' ').collect::<Vec<_>>());
    command.env("FALCONRY_SNAPSHOT", "1");
    if form == Form::Cargo {
        command.env("CARGO", "cargo").env("CARGO_MANIFEST_DIR", ".");
    }
    let call = Call::of(&command.output().expect("the program can be started"));
    assert_eq!(call.code, Some(1), "{}", call.stderr);
    assert!(call.stdout.is_ascii(), "a letter that is not ASCII:\n{}", call.stdout);
    let end = call.stdout.find("\n\n| engine").or(call.stdout.find("\n\nFAIL"));
    call.stdout[..end.expect("a table after the report")].into()
}

#[test]
fn the_report_of_a_canary() {
    for (name, form) in [("report-canary", Form::Installed), ("report-canary-clone", Form::Cargo)] {
        let report = report_of_the_canary(&Room::new(name), form);
        if form == Form::Cargo && std::env::var("INSTA_UPDATE").is_ok_and(|mode| mode == "always") {
            show_in_readme(&report);
        }
        snapshot(name, &report);
    }
}

/// Puts the report into the README, in place of the one it shows.
fn show_in_readme(report: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path).expect("the README");
    let (before, rest) = readme.split_once("```\nFAIL  ").expect("a report in the README");
    let (_, after) = rest.split_once("\n```\n").expect("the end of its block");
    let text = format!("{before}```\n{}\n```\n{after}", report.trim_end());
    std::fs::write(path, text).expect("the README can be written");
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
fn the_lines_of_a_report_work_as_printed() {
    let room = Room::new("canary");
    let report = report_of_the_canary(&room, Form::Cargo);
    let parts = ["FAIL  ", "  what  ", "  the path of ", "  seen  ", "  trust  ", "  reproduce "];
    let places = parts.map(|part| report.find(part).unwrap_or_else(|| panic!("no '{part}'")));
    assert!(places.is_sorted(), "the report's parts are out of order:\n{report}");
    // All that a single run can tell: not how it was made small, how often it was seen, where its files
    // are. Without being made small the same seed has the same first line but for its step.
    let (told, _) = report.split_once("  shrunk  ").expect("it was made small");
    let (first, _) = report.split_once("   step ").expect("a first line");
    for (label, code, told) in [
        ("small case", 1, told),
        ("recording", 1, told),
        ("reproduce", 1, first),
        ("look", 0, first),
        ("keep", 0, ""),
    ] {
        let line = report.lines().find_map(|line| line.trim().strip_prefix(label));
        let line = line.unwrap_or_else(|| panic!("no '{label}'")).trim();
        let words =
            line.strip_prefix("cargo run --release -- ").expect("as one types it in a clone");
        if label == "keep" {
            std::fs::create_dir(room.folder.join("snapshots")).expect("the room can be written");
        }
        let mut again = room.program(&words.split(' ').collect::<Vec<_>>());
        let again = Call::of(&again.env("FALCONRY_SNAPSHOT", "1").output().expect("it starts"));
        assert_eq!(again.code, Some(code), "{label}: {}", again.stderr);
        assert!(
            again.stdout.contains(told),
            "{label} tells something else:\n{told}\n{}",
            again.stdout
        );
    }
    let kept = std::fs::read_dir(room.folder.join("snapshots/regressions")).expect("it was kept");
    let kept: Vec<String> =
        kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(matches!(&kept[..], [name] if name.starts_with("canary-durability-")), "{kept:?}");
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
