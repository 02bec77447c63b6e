//! A worker that is lost costs one seed: the swarm names it with its cause, and goes on.

mod program;

use std::process::{Command, Stdio};
use std::time::Duration;

use program::{Call, Room};
use serde_json::Value;

/// The JSON Lines of a type.
fn lines(call: &Call, kind: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str::<Value>(line).expect("a line of JSON");
    call.stdout.lines().map(parse).filter(|line| line["type"] == kind).collect()
}

/// A test engine falls ill at its first open in this seed, whatever else changes: the choice is the
/// first of its own stream. At later opens others may too.
const ILL: u64 = 122;

/// Runs seeds of a test engine, [`ILL`] and `around` on both sides of it; returns its findings after
/// checking that the swarm went on.
fn swarm_of(engine: &str, around: u64) -> Vec<Value> {
    let room = Room::new(engine);
    let seeds = 2 * around + 1;
    let range = format!("{}..{}", ILL - around, ILL + around + 1);
    let mut arguments = vec!["swarm", "--engine", engine, "--scenario", "kv/ledger", "--json"];
    arguments.extend(["--jobs", "2", "--seeds", &range]);
    let output = room.program(&arguments).env("FALCONRY_TEST_ENGINES", "1").output();
    let call = Call::of(&output.expect("the program can be started"));
    assert_eq!(call.code, Some(1), "{}\n{}", call.stdout, call.stderr);
    let summaries = lines(&call, "summary");
    let all = summaries.last().expect("a summary of all");
    assert_eq!((&all["engine"], &all["run"]), (&"all".into(), &seeds.into()), "{all}");
    let findings = lines(&call, "finding");
    let seen: u64 = findings.iter().filter_map(|finding| finding["count"].as_u64()).sum();
    assert_eq!(all["findings"], seen, "{all}");
    assert!((1..seeds).contains(&seen), "{seen} of {seeds} seeds fell ill: nothing went on");
    assert_eq!(findings.len(), 1, "one illness, one signature: {findings:#?}");
    let lost = if findings[0]["finding"]["property"] == "worker" { seen } else { 0 };
    assert_eq!(all["workers_lost"], lost, "{all}");
    findings
}

/// The text of a finding's row.
fn row<'a>(finding: &'a Value, label: &str) -> &'a str {
    let rows = finding["finding"]["what"].as_array().expect("rows");
    let row = rows.iter().find(|row| row[0] == label);
    row.and_then(|row| row[1].as_str()).unwrap_or_else(|| panic!("no row '{label}': {finding:#}"))
}

#[test]
fn an_engine_that_aborts() {
    let findings = swarm_of("test-abort", 10);
    let seed = &findings[0]["case"]["seed"];
    assert_eq!(
        row(&findings[0], "what"),
        format!("the worker that ran seed {seed} was lost: killed by SIGABRT")
    );
}

#[test]
fn an_engine_that_hangs_in_a_real_lock() {
    let findings = swarm_of("test-hang", 2);
    let seed = &findings[0]["case"]["seed"];
    assert_eq!(
        row(&findings[0], "what"),
        format!("the worker that ran seed {seed} was lost: blocked in a real lock")
    );
    assert!(row(&findings[0], "call").ends_with(" in open"), "{:#}", findings[0]);
}

#[test]
fn an_engine_that_overflows_its_stack() {
    let findings = swarm_of("test-overflow", 10);
    let finding = &findings[0]["finding"];
    assert_eq!(finding["property"], "stack_overflow", "{finding:#}");
    assert!(findings[0]["case"]["seed"].is_u64(), "no seed: {:#}", findings[0]);
}

#[test]
fn an_engine_that_does_not_obey_its_seed() {
    let room = Room::new("drift");
    let seeds = format!("{ILL}..{}", ILL + 1);
    let arguments = ["check", "-q", "--engine", "test-drift", "--scenario", "kv/ledger", "--seeds"];
    let mut command = room.program(&arguments);
    let output = command.arg(&seeds).env("FALCONRY_TEST_ENGINES", "1").output();
    let call = Call::of(&output.expect("the program can be started"));
    assert_eq!((call.code, &*call.stderr), (Some(5), ""), "{}", call.stdout);
    let expected = [
        format!("FAIL  nondeterminism: the same seed gave two traces       seed {ILL}"),
        "drift ill, 0 times before".into(),
        "drift ill, 1 times before".into(),
    ];
    for part in expected {
        assert!(call.stdout.contains(&part), "no '{part}':\n{}", call.stdout);
    }
    // A swarm runs one seed in twenty twice, and so meets it too.
    let line = "swarm -q --engine test-drift --scenario kv/ledger --seeds 0..300 --fail-fast";
    let mut command = room.program(&line.split(' ').collect::<Vec<_>>());
    let output = command.env("FALCONRY_TEST_ENGINES", "1").output();
    let call = Call::of(&output.expect("the program can be started"));
    assert_eq!(call.code, Some(5), "{}\n{}", call.stdout, call.stderr);
    assert!(call.stdout.starts_with("FAIL  nondeterminism: "), "{}", call.stdout);
}

#[test]
fn test_engines_are_not_for_everyone() {
    let call = Room::new("hidden").call(&["run", "1", "--engine", "test-abort"]);
    assert_eq!(call.code, Some(2));
    assert!(call.stderr.starts_with("error: there is no engine 'test-abort'"), "{}", call.stderr);
}

/// Process ids of the children of a process.
fn children(parent: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    text.unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Bytes that a process has written so far: a worker that writes has announced its seed.
fn has_written(id: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
    let written = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    written.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count > 0)
}

#[test]
fn a_worker_killed_by_its_id() {
    let room = Room::new("killed");
    let line = "swarm --engine redb --scenario kv/ledger --for 5s --jobs 2 --json";
    let mut command = room.program(&line.split(' ').collect::<Vec<_>>());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program can be started");
    let worker = (0..400).find_map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        let workers = children(child.id());
        // Both are at work, so the canary's turn is over.
        let busy = workers.len() == 2 && workers.iter().all(|id| has_written(*id));
        busy.then(|| workers[1])
    });
    let worker = worker.expect("two workers within two seconds").to_string();
    let killed = Command::new("kill").args(["-KILL", &worker]).status();
    assert!(killed.is_ok_and(|status| status.success()), "worker {worker} could not be killed");
    let call = Call::of(&child.wait_with_output().expect("the program ends"));
    assert_eq!(call.code, Some(1), "{}\n{}", call.stdout, call.stderr);
    let findings = lines(&call, "finding");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let seed = &findings[0]["case"]["seed"];
    assert_eq!(
        row(&findings[0], "what"),
        format!("the worker that ran seed {seed} was lost: killed by SIGKILL")
    );
    assert_eq!(row(&findings[0], "process"), worker);
    let summaries = lines(&call, "summary");
    let all = summaries.last().expect("a summary of all");
    assert_eq!(all["workers_lost"], 1, "{all}");
    assert!(all["run"].as_u64().is_some_and(|run| run > 10), "the swarm did not go on: {all}");
}
