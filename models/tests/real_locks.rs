//! Why redb's locks are interposed: left to the kernel, two writers stop the whole machine, and the
//! watchdog of the worker names the seed, the task and the call.

use std::path::Path;
use std::process::{Command, Output};

/// Runs one seed of redb with several writers that are preempted anywhere.
fn run(name: &str, locks: &str) -> Output {
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("real_locks_{name}.sqlite"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_falconry"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
        .args(["run", "5", "--engine", "redb", "--scenario", "kv/ledger", "--faults", "none"])
        .args(["--set", "concurrency=futex", "--set", "workload.clients=4"])
        .args(["--set", &format!("locks={locks}"), "--color", "never", "--progress", "none"])
        .arg("--store")
        .arg(store)
        .output()
        .expect("the program starts")
}

fn is_ours(name: &str) -> bool {
    name.starts_with("FALCONRY_")
}

#[test]
fn writers_in_real_locks_block_the_machine_and_the_watchdog_names_them() {
    let output = run("real", "real");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let first = text.lines().find(|line| line.starts_with("FAIL")).expect("there is a finding");
    assert!(first.starts_with("FAIL  worker: blocked in a real lock "), "{first}");
    assert!(first.ends_with(" seed 5"), "{first}");
    let call = text.lines().find(|line| line.trim_start().starts_with("call ")).unwrap_or_default();
    let calls = ["begin_write", "begin_read", "insert", "get", "range", "commit", "abort"];
    let names_call = calls.iter().any(|name| call.ends_with(&format!(" in {name}")));
    assert!(call.contains(" task ") && names_call, "{text}");
}

#[test]
fn the_same_writers_on_the_machine_s_locks_pass() {
    let output = run("simulated", "simulated");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
