//! A worker that is lost costs one seed: the swarm names it with its cause, and goes on.

mod program;

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use falconry::run::properties::plain;
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

/// Starts a swarm and waits until both of its workers are at work; returns it with the second one's
/// process id.
fn swarm_at_work(room: &Room, line: &str) -> (Child, String) {
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
    (child, worker.expect("two workers within two seconds").to_string())
}

fn signal(name: &str, process: &str) {
    let sent = Command::new("kill").args([name, process]).status();
    assert!(sent.is_ok_and(|status| status.success()), "{process} could not be sent {name}");
}

#[test]
fn a_worker_that_gives_no_sign_of_life() {
    let room = Room::new("silent");
    let line = "swarm --engine redb --scenario kv/ledger --for 4s --jobs 2 --json --silence 2s";
    let (child, worker) = swarm_at_work(&room, line);
    // Stopped, it does not end by itself: its own watchdog stands still too.
    signal("-STOP", &worker);
    let call = Call::of(&child.wait_with_output().expect("the program ends"));
    assert_eq!(call.code, Some(1), "{}\n{}", call.stdout, call.stderr);
    let findings = lines(&call, "finding");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let seed = &findings[0]["case"]["seed"];
    let expected = format!("the worker that ran seed {seed} was lost: gave no sign of life");
    assert_eq!(row(&findings[0], "what"), expected);
    assert_eq!(row(&findings[0], "process"), worker);
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let room = Room::new("twice");
    let line = "swarm --engine redb --scenario kv/ledger --for 60s --jobs 2";
    let (mut child, worker) = swarm_at_work(&room, line);
    // A worker that does not answer keeps the swarm from ending in good order.
    signal("-STOP", &worker);
    signal("-INT", &child.id().to_string());
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().is_ok_and(|ended| ended.is_none()), "it waits for its workers");
    signal("-INT", &child.id().to_string());
    let call = Call::of(&child.wait_with_output().expect("the program ends"));
    assert_eq!((call.code, &*call.stdout), (Some(130), ""), "{}", call.stderr);
    signal("-CONT", &worker);
    let stat = format!("/proc/{worker}/stat");
    let is_gone = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    });
    assert!(is_gone, "worker {worker} outlives its parent");
}

#[test]
fn a_worker_that_has_abandoned_too_many_tasks_is_replaced() {
    let room = Room::new("litter");
    let line = "swarm --engine test-litter --scenario kv/ledger --seeds 200..260 --jobs 1 --json";
    let mut command = room.program(&line.split(' ').collect::<Vec<_>>());
    let output = command.env("FALCONRY_TEST_ENGINES", "1").output();
    let call = Call::of(&output.expect("the program can be started"));
    assert_eq!(call.code, Some(0), "{}\n{}", call.stdout, call.stderr);
    let summaries = lines(&call, "summary");
    let all = summaries.last().expect("a summary of all");
    assert!(all["abandoned"].as_u64() > Some(100), "{all}");
    assert_eq!((&all["run"], &all["workers_lost"]), (&60.into(), &0.into()), "{all}");
}

/// What a worker answers to batches of so many seeds of the engine that litters: whether it retires.
fn retirements(counts: &[u64]) -> Vec<bool> {
    let case = serde_json::to_string(&plain("test-litter", "kv/ledger", 0)).expect("plain data");
    let mut orders = format!("{{\"Parts\":[{case}]}}\n");
    for count in counts {
        let batch = serde_json::json!({
            "part": 0, "from": 200, "stride": 1, "count": count, "mode": "Swarm",
        });
        orders += &format!("{}\n", serde_json::json!({ "Batch": batch }));
    }
    let room = Room::new("retires");
    let mut command = room.program(&["worker"]);
    command.env("FALCONRY_TEST_ENGINES", "1").env("FALCONRY_WORKER", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program can be started");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(orders.as_bytes()).expect("a worker that listens");
    // The pipe stays open until it has ended: it does so by itself.
    let output = child.wait_with_output().expect("the worker ends");
    drop(stdin);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    let parse = |line| serde_json::from_str::<Value>(line).expect("a line of JSON");
    text.lines().map(parse).filter_map(|line| line["Done"]["retires"].as_bool()).collect()
}

#[test]
fn a_worker_retires_when_it_has_abandoned_a_hundred_tasks() {
    assert_eq!(retirements(&[2, 60, 2]), [false, true]);
}

#[test]
fn a_swarm_that_cannot_convict_the_canary_is_our_bug() {
    let room = Room::new("blind");
    let complaint = "error: the canary was not convicted of the bug that it is known to have: this \
                     swarm is blind, and what it did not find tells nothing\n";
    for line in [
        "swarm -q --engine canary --scenario kv/ledger --set sync_every=1 --seeds 0..20",
        "swarm -q --engine redb --scenario kv/counter --seeds 0..2",
    ] {
        let mut command = room.program(&line.split(' ').collect::<Vec<_>>());
        let output = command.env("FALCONRY_TEST_ENGINES", "tame-canary").output();
        let call = Call::of(&output.expect("the program can be started"));
        assert_eq!((call.code, &*call.stderr), (Some(70), complaint), "{line}: {}", call.stdout);
    }
}

#[test]
fn a_worker_killed_by_its_id() {
    let room = Room::new("killed");
    let line = "swarm --engine redb --scenario kv/ledger --for 5s --jobs 2 --json";
    let (child, worker) = swarm_at_work(&room, line);
    signal("-KILL", &worker);
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
