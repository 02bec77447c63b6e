//! A swarm's plan and its sums: whole on any number of workers, in slices, after an interruption.

mod program;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use program::{Call, Room};
use serde_json::Value;

const CANARY: &str = "swarm --engine canary --scenario kv/ledger --shrink-for 0s --json";

fn call(room: &Room, line: &str) -> Call {
    room.call(&line.split(' ').collect::<Vec<_>>())
}

/// The summary of all, which is the last line.
fn all(call: &Call) -> Value {
    let line = call.stdout.lines().next_back();
    let line = line.unwrap_or_else(|| panic!("no summary; stderr:\n{}", call.stderr));
    let summary: Value = serde_json::from_str(line).expect("a line of JSON");
    assert_eq!((&summary["type"], &summary["engine"]), (&"summary".into(), &"all".into()));
    summary
}

/// The summary without what the clock decides.
fn timeless(mut summary: Value) -> Value {
    let fields = summary.as_object_mut().expect("an object");
    for name in ["wall_s", "seeds_per_s"] {
        assert!(fields.remove(name).is_some_and(|value| value.is_number()), "no {name}");
    }
    summary
}

#[test]
fn the_summary_has_its_documented_fields() {
    let room = Room::new("fields");
    let call = call(&room, &format!("{CANARY} --seeds 0..10"));
    let kinds: Vec<String> = call
        .stdout
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            assert_eq!(line["v"], 1, "{line}");
            line["type"].as_str().expect("a type").to_string()
        })
        .collect();
    assert_eq!(kinds[0], "swarm");
    assert_eq!(kinds[kinds.len() - 2..], ["summary", "summary"], "{kinds:?}");
    let summary = all(&call);
    let fields = "engine scenario planned run findings expected canary boots power_losses \
                  partial_power_losses commits_acked steps wall_s seeds_per_s faults never_reached \
                  abandoned workers_lost digest";
    for name in fields.split_whitespace() {
        assert!(!summary[name].is_null(), "no {name}: {summary}");
    }
    let faults = summary["faults"].as_object().expect("a map of faults");
    assert_eq!(faults.len(), falconry_sim::fault::FAULT_COUNT);
    assert_eq!((&summary["planned"], &summary["run"]), (&10.into(), &10.into()));
    assert_eq!(summary["canary"], "convicted");
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let rooms = ["jobs-1", "jobs-3"].map(Room::new);
    let summary = |room: &Room, jobs: u32| {
        timeless(all(&call(room, &format!("{CANARY} --seeds 0..300 --jobs {jobs}"))))
    };
    assert_eq!(summary(&rooms[0], 1), summary(&rooms[1], 3));
}

#[test]
fn slices_are_the_whole() {
    let room = Room::new("slices");
    let run = |line: String| {
        let summary = all(&call(&room, &line));
        ["run", "boots", "steps", "findings"].map(|name| summary[name].as_u64().expect(name))
    };
    let whole = run(format!("{CANARY} --seeds 0..100"));
    let mut sum = [0; 4];
    for slice in 1..=3 {
        let part = run(format!("{CANARY} --seeds 0..100 --partition {slice}/3"));
        assert!((33..=34).contains(&part[0]), "slice {slice} has {} seeds", part[0]);
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    assert_eq!(sum, whole);
}

#[test]
fn an_interrupted_swarm_is_resumed_to_the_same_end() {
    let line = "swarm --engine redb --scenario kv/counter --seeds 0..60 --json --jobs 2";
    let whole = timeless(all(&call(&Room::new("whole"), line)));
    let room = Room::new("interrupted");
    let mut command = room.program(&line.split(' ').collect::<Vec<_>>());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program can be started");
    // Its first line is out when it listens to Ctrl-C.
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let mut text = String::new();
    stdout.read_line(&mut text).expect("a first line");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "the swarm could not be interrupted");
    stdout.read_to_string(&mut text).expect("the other lines");
    let first = Call { stdout: text, ..Call::of(&child.wait_with_output().expect("an end")) };
    let run = all(&first)["run"].as_u64().expect("a number");
    // On a fast machine it may have been done before.
    let code = if run == 60 { first.code } else { Some(130) };
    assert_eq!(first.code, code, "{}", first.stderr);
    let second = call(&room, &format!("{line} --resume"));
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert_eq!(timeless(all(&second)), whole);
}

#[test]
fn a_part_without_a_result_is_red() {
    let room = Room::new("red");
    let call = call(&room, "swarm --engine redb --for 1ms --json");
    assert_eq!(call.code, Some(3), "{}", call.stderr);
    assert_eq!(all(&call)["run"], 0);
}

#[test]
fn a_check_finds_no_difference_and_says_how_many_it_compared() {
    let room = Room::new("check");
    let result = call(&room, "check -q --seeds 0..20 --engine canary");
    assert_eq!((result.code, &*result.stderr), (Some(0), ""), "{}", result.stdout);
    assert_eq!(result.stdout, "140 seeds gave the same trace twice\n");
}

#[test]
fn a_replay_stops_at_a_step_and_exports_the_disk() {
    let room = Room::new("replay");
    let line = "replay -q 3 --engine redb --scenario kv/bank";
    let stopped = call(&room, &format!("{line} --step 20"));
    assert_eq!(stopped.code, Some(3), "{}", stopped.stderr);
    assert!(
        stopped.stdout.ends_with("stopped before the verdict, as asked\n"),
        "{}",
        stopped.stdout
    );
    let exported = call(&room, &format!("{line} --export disk"));
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let files = std::fs::read_dir(room.folder.join("disk")).expect("a folder");
    let bytes: u64 = files.flatten().filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum();
    assert!(bytes > 0, "an empty disk was exported");
}

/// A journal that an earlier export left beside the new files was once taken for theirs by the
/// engine's own tools, which then saw another disk than the run had left.
#[test]
fn a_disk_is_exported_into_an_empty_folder_only() {
    let room = Room::new("not-empty");
    std::fs::create_dir_all(room.folder.join("disk")).expect("the room can be written");
    let line = "replay -q 3 --engine redb --scenario kv/bank --export disk";
    assert_eq!(call(&room, line).code, Some(0), "an empty folder is taken");
    let again = call(&room, line);
    assert_eq!((again.code, &*again.stdout), (Some(2), ""));
    assert_eq!(
        again.stderr,
        "error: --export disk: the folder is not empty; empty it, or name one that is not there yet\n"
    );
    let fresh = call(&room, &line.replace("disk", "below/disk-2"));
    assert_eq!((fresh.code, &*fresh.stderr), (Some(0), ""));
}

/// A finding was once lost, and the arguments blamed, when its disk could not be written.
#[test]
fn an_export_that_fails_costs_no_verdict() {
    let room = Room::new("no-export");
    std::fs::write(room.folder.join("file"), "in the way").expect("the room can be written");
    let complaint = "error: the disk was not exported to file: file: ";
    for (line, code, verdict) in [
        ("replay -q 3 --engine canary --scenario kv/ledger --export file", 1, "FAIL  durability"),
        ("replay -q 3 --engine redb --scenario kv/bank --export file", 75, "PASS  seed 3"),
        (
            "replay -q 3 --engine redb --scenario kv/bank --step 9 --export file",
            3,
            "stopped before",
        ),
    ] {
        let call = call(&room, line);
        assert_eq!(call.code, Some(code), "{line}: {}", call.stderr);
        assert!(call.stdout.contains(verdict), "{line}: {}", call.stdout);
        assert!(call.stderr.starts_with(complaint), "{line}: {}", call.stderr);
    }
}

/// Beyond the budget an engine may refuse; what it answers wrongly was once listed among all others.
#[test]
fn findings_beyond_the_budget_are_told_apart() {
    let room = Room::new("beyond");
    let line = "swarm -q --engine redb --scenario kv/ledger --fault bit_rot=20000 --seeds 0..40";
    let text = call(&room, line);
    assert_eq!(text.code, Some(1), "{}", text.stderr);
    assert!(text.stdout.starts_with("FAIL  "), "{}", text.stdout);
    let beyond = "  beyond    bit_rot: redb does not claim to survive it, so this is told apart";
    assert!(text.stdout.lines().any(|line| line == beyond), "{}", text.stdout);
    let json = call(&room, &format!("{line} --json"));
    let found: Vec<Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
        .filter(|line| line["type"] == "finding")
        .collect();
    assert!(found.iter().all(|line| line["finding"]["beyond"][0] == "bit_rot"), "{found:#?}");
    let all = all(&json);
    assert!(all["findings"].as_u64() > Some(0), "{all}");
    assert_eq!(all["beyond"]["bit_rot"], all["findings"], "{all}");
    let count = &all["findings"];
    for part in [format!("| {count} beyond budget |"), format!("by fault: bit_rot {count}\n")] {
        assert!(text.stdout.contains(&part), "no '{part}': {}", text.stdout);
    }
    let list = call(&room, "findings list --json").stdout;
    assert!(list.contains("(beyond the budget: bit_rot)"), "{list}");
}

/// By the clock, two runs in one second were both the first.
#[test]
fn a_finding_is_new_in_its_first_run_only() {
    let room = Room::new("new");
    let states = || {
        let found = call(
            &room,
            "swarm -q --engine redb --scenario kv/ledger --break-sync --seeds 0..4 --fail-fast",
        );
        assert_eq!(found.code, Some(1), "{}", found.stderr);
        let list = call(&room, "findings list").stdout;
        let of_redb = list.lines().filter(|line| line.contains("| redb "));
        of_redb
            .map(|line| line.split('|').nth(4).expect("a state").trim().to_string())
            .collect::<Vec<_>>()
    };
    let first = states();
    assert!(!first.is_empty() && first.iter().all(|state| state == "new"), "{first:?}");
    assert_eq!(states(), vec!["known"; first.len()]);
}

/// The file of the recording that a swarm printed.
fn recording_of(call: &Call) -> String {
    let line = call.stdout.lines().find_map(|line| line.trim().strip_prefix("recording"));
    let file = line.and_then(|line| line.split(' ').next_back());
    file.unwrap_or_else(|| panic!("no recording: {}", call.stdout)).into()
}

#[test]
fn a_seed_is_known_from_the_newest_result() {
    let room = Room::new("known");
    let found =
        call(&room, "swarm -q --engine canary --scenario kv/ledger --seeds 0..40 --shrink-for 0s");
    assert_eq!(found.code, Some(1), "{}", found.stderr);
    let seed = found.stdout.split("seed ").nth(1).and_then(|rest| rest.split(' ').next());
    let again = call(&room, &format!("replay -q {}", seed.expect("a seed")));
    assert_eq!((again.code, &*again.stderr), (Some(1), ""), "{}", again.stdout);
    let latest = call(&room, "report -q latest");
    assert_eq!((latest.code, &*latest.stderr), (Some(0), ""), "{}", latest.stdout);
    assert!(latest.stdout.starts_with("FAIL  durability"), "{}", latest.stdout);
    // What is typed besides was once passed over in silence.
    let seed = seed.expect("a seed");
    let other = "--faults none --fault lost_write=0 --set sync_every=1";
    let typed = call(&room, &format!("replay -q {seed} {other}"));
    let named = format!("replay -q {seed} --engine canary --scenario kv/ledger {other}");
    let named = call(&room, &named);
    assert_eq!((typed.code, &typed.stdout), (Some(0), &named.stdout), "{}", typed.stderr);
    let warning = format!(
        "warning: seed {seed} was found otherwise: --faults, --fault, --set change its case\n"
    );
    assert_eq!(typed.stderr, warning);
    for what in ["latest".into(), recording_of(&found)] {
        let refused = call(&room, &format!("replay {what} --engine redb --faults none"));
        assert_eq!((refused.code, &*refused.stdout), (Some(2), ""), "{what}");
        let expected = format!(
            "error: '{what}' has a case of its own, which --engine, --faults cannot change; leave \
             them out, or name its seed and what is to differ: falconry replay "
        );
        assert!(refused.stderr.starts_with(&expected), "{}", refused.stderr);
    }
    let list = call(&room, "findings list --json").stdout;
    let known: Value = serde_json::from_str(list.lines().next().expect("a finding")).expect("JSON");
    let signature = known["signature"].as_str().expect("a signature");
    let shown = call(&room, &format!("findings show {signature}"));
    assert_eq!((shown.code, &*shown.stderr), (Some(0), ""), "{}", shown.stdout);
    assert!(shown.stdout.starts_with("FAIL  durability"), "{}", shown.stdout);
}
