//! What cannot be used is refused with the documented exit code and a text that names it and the way
//! out.

mod program;

use std::io::Read;
use std::process::Stdio;

use program::{Call, Room};

/// Arguments, exit code, all of stderr.
type Row = (&'static str, i32, &'static str);

const TRY_HELP: &str = "\n\nFor more information, try '--help'.\n";

fn hold(room: &Room, rows: &[Row]) {
    for (line, code, stderr) in rows {
        let call = room.call(&line.split(' ').collect::<Vec<_>>());
        let stderr = stderr.replace("TRY_HELP", TRY_HELP);
        assert_eq!(call.stderr, stderr, "{line}");
        assert_eq!(call.code, Some(*code), "{line}");
        assert_eq!(call.stdout, "", "{line}");
    }
}

fn write(room: &Room, name: &str, text: impl AsRef<[u8]>) {
    let path = room.folder.join(name);
    let folder = path.parent().expect("a file in the room has a folder");
    std::fs::create_dir_all(folder).expect("the room can be written");
    std::fs::write(path, text).expect("the room can be written");
}

#[test]
fn specimens_that_do_not_exist_or_cannot_do_that() {
    let rows: &[Row] = &[
        (
            "specimen score lost_updte",
            2,
            "error: there is no specimen 'lost_updte'; `specimen list` shows all; did you mean \
             'lost_update'?\n",
        ),
        (
            "planted score page_befor_log",
            2,
            "error: there is no bug 'page_befor_log'; `planted list` shows all; did you mean \
             'page_before_log'?\n",
        ),
        (
            "run 1 --engine specimen --scenario specimen/lost_update --plant aba",
            2,
            "error: engine 'specimen' has no bug 'aba' to plant; there are lost_update\n",
        ),
        (
            "run 1 --engine specimen --scenario specimen/lost_update --break-sync",
            2,
            "error: engine 'specimen' cannot be set to break-sync=true: a specimen has a bug of its own; \
             switch it on with --plant\n",
        ),
        (
            "run 1 --engine redb --scenario specimen/lost_update",
            2,
            "error: scenario 'specimen/lost_update' is not meant for engine 'redb'; `scenario list` shows \
             what is\n",
        ),
    ];
    hold(&Room::new("specimens"), rows);
}

#[test]
fn names_that_do_not_exist() {
    let rows: &[Row] = &[
        (
            "run --engine orcale 1",
            2,
            "error: there is no engine 'orcale'; there are falcon, redb, sqlite, canary, machine\n",
        ),
        (
            "swarm --engine orcale",
            2,
            "error: there is no engine 'orcale'; there are falcon, redb, sqlite, canary, machine\n",
        ),
        (
            "swarm --scenario kv/bnak",
            2,
            "error: there is no scenario 'kv/bnak'; `scenario list` shows all; did you mean \
             'kv/bank'?\n",
        ),
        (
            "scenario show kv/vault",
            2,
            "error: there is no scenario 'kv/vault'; `scenario list` shows all\n",
        ),
        (
            "swarm --scenario my.toml",
            2,
            "error: scenario my.toml: No such file or directory (os error 2)\n",
        ),
        (
            "swarm --fault torn_wriet=5",
            2,
            "error: invalid value 'torn_wriet=5' for '--fault <NAME=PPM>': there is no fault \
             'torn_wriet'; `fault list` shows all; did you mean 'torn_write'?TRY_HELP",
        ),
        (
            "swarm --fault flood=5",
            2,
            "error: invalid value 'flood=5' for '--fault <NAME=PPM>': there is no fault 'flood'; \
             `fault list` shows allTRY_HELP",
        ),
        (
            "swarm --fault torn_write=2000000",
            2,
            "error: invalid value 'torn_write=2000000' for '--fault <NAME=PPM>': '2000000' is no \
             rate for torn_write: write millionths, from 0 to 1000000TRY_HELP",
        ),
        (
            "swarm --faults harsh",
            2,
            "error: invalid value 'harsh' for '--faults <PROFILE>'\n  [possible values: none, \
             realistic, accelerated, hostile]TRY_HELP",
        ),
        (
            "run --engine redb --scenario kv/bank --set colour=red 1",
            2,
            "error: engine 'redb' cannot be set to colour=red: there is no such setting; there are \
             durability, durable_every, cache_bytes, two_phase_commit, quick_repair, check_on_open, \
             compact_on_open, locks\n",
        ),
        (
            "fly",
            2,
            "error: unrecognized subcommand 'fly'\n\nUsage: falconry [OPTIONS] <COMMAND>TRY_HELP",
        ),
    ];
    hold(&Room::new("names"), rows);
}

/// Typed by somebody, it once waited for orders on stdin without a word.
#[test]
fn a_worker_is_no_verb() {
    let expected = "error: unrecognized subcommand 'worker'\n\nUsage: falconry [OPTIONS] \
                    <COMMAND>TRY_HELP";
    hold(&Room::new("worker"), &[("worker", 2, expected)]);
}

#[test]
fn seeds_and_numbers() {
    let rows: &[Row] = &[
        (
            "run x12",
            2,
            "error: invalid value 'x12' for '[SEED]...': 'x12' is no seed: write a number below \
             2^64, as 51733, 1_000, 2M or 0xca15TRY_HELP",
        ),
        (
            "swarm --seeds 5",
            2,
            "error: invalid value '5' for '--seeds <A..B>': '5' is no range of seeds: write A..B, \
             as 0..1M or 5_000..6_000TRY_HELP",
        ),
        (
            "check --seeds 9..3",
            2,
            "error: invalid value '9..3' for '--seeds <A..B>': the range '9..3' runs backwards: \
             write 3..9TRY_HELP",
        ),
        (
            "swarm --for soon",
            2,
            "error: invalid value 'soon' for '--for <TIME>': 'soon' is no span of time: write a \
             number and its unit, as 90s, 8h or 1h30mTRY_HELP",
        ),
        (
            "swarm --jobs 0",
            2,
            "error: invalid value '0' for '--jobs <N>': 0 is not in 1..=1024TRY_HELP",
        ),
        (
            "swarm --partition 3/2",
            2,
            "error: invalid value '3/2' for '--partition <m/n>': '3/2' is no slice: write m/n with \
             m from 1 to n, as 2/4TRY_HELP",
        ),
        ("swarm --seeds 7..7", 4, "error: no seed is left: 7..7 has none in slice 1/1\n"),
        ("check --seeds 0..2 --partition 3/3", 4, "error: no seed of 0..2 is in slice 3/3\n"),
        (
            "replay nowhere",
            2,
            "error: 'nowhere' is no seed, there is no file of that name, and it is not 'latest'\n",
        ),
        ("replay latest", 2, "error: there is no failure in target/falconry/results.sqlite yet\n"),
        (
            "report 5 --engine redb",
            2,
            "error: say which is meant with --scenario, one of clock/jump, io/errors, kv/bank, \
             kv/counter, kv/cycle, kv/ledger, kv/range\n",
        ),
        (
            "findings show durability/0b41f7e2",
            2,
            "error: there is no finding 'durability/0b41f7e2' in target/falconry/results.sqlite; \
             `findings list` shows all\n",
        ),
    ];
    let room = Room::new("seeds");
    // The plan alone is asked for, so no results file may come of it.
    for (line, code, stderr) in rows {
        hold(&room, &[(line, *code, stderr)]);
        let _ = std::fs::remove_dir_all(room.folder.join("target"));
    }
}

#[test]
fn files_that_cannot_be_read() {
    let room = Room::new("files");
    let sound = sound_recording(&room);
    write(&room, "letter", "dear all\n");
    write(&room, "bytes", [0xFF, 0xFE, 0x00]);
    write(&room, "newer", sound.replacen("recording 1", "recording 9", 1));
    write(&room, "short", sound[..sound.len() / 2].trim_end());
    let changed = sound.replacen("choices\n", "choices\n0 0 1\n", 1);
    write(&room, "changed", changed);
    write(&room, "no-kind.toml", "about = \"x\"\n[workload]\n");
    let rows: &[Row] = &[
        (
            "replay letter",
            2,
            "error: letter: neither a capsule nor a recording: its first line says neither\n",
        ),
        ("replay bytes", 2, "error: bytes: neither a capsule nor a recording: it holds no text\n"),
        (
            "replay newer",
            2,
            "error: newer: a recording of version 9; this program reads version 1\n",
        ),
        (
            "replay short",
            2,
            "error: short: the recording is cut short or was changed: no line break at its end\n",
        ),
        (
            "report changed",
            2,
            "error: changed: the recording is cut short or was changed: its checksum does not fit\n",
        ),
        (
            "run 1 --engine redb --scenario no-kind.toml",
            2,
            "error: scenario no-kind.toml: line 2: missing field `kind`\n",
        ),
    ];
    hold(&room, rows);
}

#[test]
fn inputs_of_a_fuzzer_that_cannot_be_imported() {
    let room = Room::new("imports");
    write(&room, "empty", "");
    write(&room, "boring", [0; 40]);
    write(&room, "long", vec![7; (1 << 20) + 1]);
    write(&room, "artifacts/parse_capsule/crash-1", "falconry capsule 1");
    let rows: &[Row] = &[
        ("fuzz-import nowhere", 2, "error: nowhere: No such file or directory (os error 2)\n"),
        ("fuzz-import artifacts", 2, "error: artifacts: Is a directory (os error 21)\n"),
        (
            "fuzz-import -q empty --target redb",
            2,
            "error: empty: it is empty, and the boring run passes (redb kv/bank): there is nothing to \
             import; it crashed another target, or another revision\n",
        ),
        (
            "fuzz-import -q boring --engine specimen --scenario specimen/aba --plant aba",
            2,
            "error: boring: the run passes (specimen specimen/aba, bug planted): there is nothing to \
             import; it crashed another target, or another revision\n",
        ),
        (
            "fuzz-import long --target redb",
            2,
            "error: long: longer than 1048576 bytes, which no input is\n",
        ),
        (
            "fuzz-import boring",
            2,
            "error: say what the input drove: --target, one of specimen, redb, sqlite, parse_capsule, \
             parse_recording, read_store, or --engine and --scenario\n",
        ),
        (
            "fuzz-import boring --target redbb",
            2,
            "error: there is no fuzz target 'redbb'; there are specimen, redb, sqlite, parse_capsule, \
             parse_recording, read_store; did you mean 'redb'?\n",
        ),
        (
            "fuzz-import boring --target redb --engine redb",
            2,
            "error: --target has a case of its own, which --engine cannot change; leave out one or the \
             other\n",
        ),
        (
            "fuzz-import boring --engine redb --scenario kv/vault",
            2,
            "error: there is no scenario 'kv/vault'; `scenario list` shows all\n",
        ),
        (
            "fuzz-import artifacts/parse_capsule/crash-1",
            2,
            "error: target parse_capsule reads the text of a capsule, and back, and runs no case that a \
             capsule could hold; specimen, redb, sqlite do\n",
        ),
    ];
    hold(&room, rows);
}

/// A capsule that replays.
const CAPSULE: &str = "falconry capsule 1\n# a remark\nengine canary\nscenario kv/bank\nseed 7\n\
    faults accelerated\nsignature durability/a872333e\nrevision 3f9c1d2\ndigest 00\nchoices\n\
    boot 1, main, txn.0\n  workload/op = 1\nend 1\n";

#[test]
fn capsules_that_cannot_be_used() {
    let room = Room::new("capsules");
    let changed = |from: &str, to: &str| {
        let text = CAPSULE.replacen(from, to, 1);
        assert_ne!(text, CAPSULE, "{from:?} is not in it");
        text
    };
    write(&room, "half", &CAPSULE[..CAPSULE.len() / 2]);
    write(&room, "nearly", &CAPSULE[..CAPSULE.len() - 7]);
    write(&room, "newer", changed("capsule 1", "capsule 2"));
    write(&room, "nowhere", changed("kv/bank", "kv/vault"));
    write(&room, "stranger", changed("engine canary", "engine orcale"));
    write(&room, "later", changed("revision 3f9c1d2", "colour red"));
    write(&room, "seedless", changed("seed 7\n", ""));
    write(&room, "zero", changed("op = 1", "op = 0"));
    write(&room, "rubbish", [b"falconry capsule 1\n".as_slice(), &[0xFF, 0, 0xFE]].concat());
    let long = changed("# a remark", &format!("# {}", "long ".repeat(20 << 20)));
    write(&room, "long", long);
    let rows: &[Row] = &[
        ("replay half", 2, "error: half: the capsule is cut short: no line 'choices'\n"),
        ("replay nearly", 2, "error: nearly: the capsule is cut short: no line 'end'\n"),
        ("replay newer", 2, "error: newer: a capsule of version 2; this program reads version 1\n"),
        (
            "replay nowhere",
            2,
            "error: there is no scenario 'kv/vault'; `scenario list` shows all\n",
        ),
        (
            "replay stranger",
            2,
            "error: there is no engine 'orcale'; there are falcon, redb, sqlite, canary, machine\n",
        ),
        ("replay later", 2, "error: later: it says colour red, which this program cannot read\n"),
        ("replay seedless", 2, "error: seedless: it does not say its seed\n"),
        ("replay zero", 2, "error: zero: line 12 is damaged: not a choice\n"),
        ("replay rubbish", 2, "error: rubbish: it holds bytes that are no text\n"),
        ("replay long", 2, "error: long: longer than 1048576 bytes, which no capsule is\n"),
        ("shrink rubbish", 2, "error: rubbish: it holds bytes that are no text\n"),
        (
            "shrink nothing",
            2,
            "error: 'nothing' is no seed, there is no file of that name, and it is not 'latest'\n",
        ),
        (
            "findings accept durability/0b41f7e2",
            2,
            "error: there is no finding 'durability/0b41f7e2' in target/falconry/results.sqlite; \
             `findings list` shows all\n",
        ),
    ];
    hold(&room, rows);
}

#[test]
fn a_capsule_that_passes_and_one_that_no_longer_fits() {
    let room = Room::new("fits");
    write(&room, "passes", CAPSULE);
    write(&room, "lost", CAPSULE.replace("workload/op", "workload/gone"));
    let passes = room.call(&["replay", "passes"]);
    assert_eq!(passes.code, Some(0), "{}", passes.stderr);
    assert!(passes.stdout.contains("alignment  aligned 1 + 0 of 1\n"), "{}", passes.stdout);
    let lost = room.call(&["replay", "lost"]);
    assert_eq!(lost.code, Some(3), "{}", lost.stderr);
    assert!(lost.stdout.contains("alignment  lost: 0 of 1 choices"), "{}", lost.stdout);
    // A seed that passes has nothing to make small.
    let shrunk = room.call(&["shrink", "7", "--engine", "redb", "--scenario", "kv/bank"]);
    assert_eq!(shrunk.code, Some(0), "{}", shrunk.stderr);
    let full = ["shrink", "12", "--engine", "canary", "--scenario", "kv/bank"];
    let full = room.call(&[&full[..], &["--out", "/dev/full"]].concat());
    assert_eq!(full.code, Some(75), "{}", full.stderr);
    assert!(full.stderr.contains("/dev/full: No space left on device"), "{}", full.stderr);
    assert!(full.stdout.starts_with("FAIL  "), "what was found is told:\n{}", full.stdout);
}

/// The text of a recording that replays.
fn sound_recording(room: &Room) -> String {
    let words = "swarm --engine canary --scenario kv/ledger --seeds 0..20 --shrink-for 0s --store kept/r.sqlite";
    let call = room.call(&words.split(' ').collect::<Vec<_>>());
    let line = call.stdout.lines().find_map(|line| line.trim().strip_prefix("recording"));
    let command = line.unwrap_or_else(|| panic!("no recording:\n{}{}", call.stdout, call.stderr));
    let file = command.split(' ').next_back().expect("a path");
    let again = room.call(&["replay", file, "-q"]);
    assert_eq!((again.code, &*again.stderr), (Some(1), ""), "{}", again.stdout);
    std::fs::read_to_string(room.folder.join(file)).expect("the file that was named")
}

#[test]
fn the_config_file() {
    let room = Room::new("config");
    write(&room, ".config/falconry.toml", "jobs = 2\nseeds = '5'\n");
    let call = room.call(&["fault", "list"]);
    assert_eq!(call.code, Some(2));
    let place = room.folder.join(".config/falconry.toml");
    let expected = format!(
        "error: {}: TOML parse error at line 2, column 9\n  |\n2 | seeds = '5'\n  |         ^^^\n'5' is \
         no range of seeds: write A..B, as 0..1M or 5_000..6_000\n\n",
        place.display()
    );
    assert_eq!(call.stderr, expected);
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_config_file() {
    let room = Room::new("order");
    let named = |arguments: &[&str], environment: Option<&str>| {
        let mut command = room.program(arguments);
        command.envs(environment.map(|engine| ("FALCONRY_ENGINE", engine)));
        let call = Call::of(&command.output().expect("the program can be started"));
        assert_eq!(call.code, Some(2), "{}", call.stderr);
        let name = call.stderr.split('\'').nth(1).map(String::from);
        name.unwrap_or_else(|| panic!("no name: {}", call.stderr))
    };
    write(&room, ".config/falconry.toml", "engine = 'filed'\n");
    assert_eq!(named(&["run", "1"], None), "filed");
    assert_eq!(named(&["run", "1"], Some("told")), "told");
    assert_eq!(named(&["run", "1", "--engine", "typed"], Some("told")), "typed");
}

/// What heads stderr of a run of one seed that has no findings.
const RUNNING: &str = "    Running  seed 3 of redb kv/bank\n";

const RUN: &str = "run 3 --engine redb --scenario kv/bank --store";

#[test]
fn results_that_cannot_be_kept_are_printed_all_the_same() {
    let room = Room::new("results");
    write(&room, "damaged.sqlite", "no database at all ".repeat(100));
    std::fs::create_dir(room.folder.join("folder.sqlite")).expect("the room can be written");
    write(&room, "plain", "a file, so that nothing can be below it");
    newer_store(&room, "newer.sqlite");
    let rows = [
        ("damaged.sqlite", "file is not a database"),
        ("folder.sqlite", "this is a folder, not a file"),
        ("plain/below.sqlite", "File exists (os error 17)"),
        ("/dev/full", "No space left on device (os error 28)"),
        (
            "newer.sqlite",
            "version 2 of the file; this program reads version 1: use a newer program, or another \
             file with --store",
        ),
    ];
    for (store, what) in rows {
        let complaint =
            format!("error: results in {store}: {what}; findings are printed and not kept\n");
        let call = room.call(&format!("{RUN} {store}").split(' ').collect::<Vec<_>>());
        assert_eq!(call.stderr, format!("{complaint}{RUNNING}"), "{store}");
        assert_eq!(call.code, Some(75), "{store}");
        assert!(call.stdout.starts_with("PASS  seed 3  redb kv/bank"), "{store}: {}", call.stdout);
        // A finding goes before, and is printed.
        let swarm = "swarm -q --engine canary --scenario kv/bank --seeds 0..20 --store";
        let call = room.call(&format!("{swarm} {store}").split(' ').collect::<Vec<_>>());
        assert_eq!((call.code, &*call.stderr), (Some(1), &*complaint), "{store}");
        assert!(call.stdout.starts_with("FAIL  "), "{store}: {}", call.stdout);
        // Who only wants to read gets nothing.
        let call = room.call(&["findings", "list", "--store", store]);
        let complaint = format!("error: results in {store}: {what}\n");
        let is_absent = store.contains("below");
        let (code, stderr) = if is_absent { (0, "") } else { (75, &*complaint) };
        assert_eq!((call.code, &*call.stderr), (Some(code), stderr), "{store}");
    }
}

/// Two swarms that were started together in a fresh clone once both tried to make the tables: one of
/// them lost its results and ended with 75.
#[test]
fn programs_that_make_one_results_file_together_all_keep_their_results() {
    const PROGRAMS: usize = 4;
    let room = Room::new("together");
    for round in 0..3 {
        let store = format!("new-{round}.sqlite");
        let line = format!("run 1 -q --engine machine --store {store}");
        let words: Vec<&str> = line.split(' ').collect();
        let start = |_| {
            let mut command = room.program(&words);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("the program can be started")
        };
        let children: Vec<_> = (0..PROGRAMS).map(start).collect();
        for child in children {
            let call = Call::of(&child.wait_with_output().expect("an end"));
            assert_eq!((call.code, &*call.stderr), (Some(0), ""), "{}", call.stdout);
        }
        let connection = rusqlite::Connection::open(room.folder.join(&store)).expect("the file");
        let runs = connection.query_row("SELECT count(*) FROM runs", [], |row| row.get(0));
        assert_eq!(runs, Ok(PROGRAMS as i64), "round {round}");
    }
}

/// A results file as a newer program would make it.
fn newer_store(room: &Room, name: &str) {
    let path = room.folder.join(name);
    let call =
        room.call(&["run", "3", "--engine", "redb", "--scenario", "kv/bank", "--store", name]);
    assert_eq!(call.code, Some(0), "{}", call.stderr);
    let connection = rusqlite::Connection::open(path).expect("the file that was just made");
    connection.pragma_update(None, "user_version", 2).expect("a writable file");
}

#[test]
fn no_terminal_means_no_bar_and_no_colour() {
    let room = Room::new("terminal");
    let words = "swarm --engine canary --scenario kv/bank --seeds 0..20";
    for more in ["", " --progress bar", " --progress none"] {
        let line = format!("{words}{more}");
        let call = room.call(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(call.code, Some(1), "{line}: {}", call.stderr);
        for text in [&call.stdout, &call.stderr] {
            assert!(!text.contains(['\x1b', '\r']), "{line} writes codes for a terminal: {text}");
        }
    }
    let coloured = room.program(&["replay", "0", "--color", "always"]).output();
    let coloured = Call::of(&coloured.expect("the program can be started"));
    assert!(coloured.stdout.contains("\x1b["), "colour that was asked for: {}", coloured.stdout);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let room = Room::new("pipe");
    for line in [
        "fault list",
        "scenario list --json",
        "--help",
        "completions zsh",
        "swarm -q --engine canary --scenario kv/bank --seeds 0..20",
        "replay -q 0 --engine canary --scenario kv/ledger --json",
    ] {
        let mut command = room.program(&line.split(' ').collect::<Vec<_>>());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        // Nobody reads: the pipe is closed before the program can write.
        drop(child.stdout.take());
        let mut stderr = String::new();
        let pipe = child.stderr.as_mut().expect("stderr is a pipe");
        pipe.read_to_string(&mut stderr).expect("text");
        let status = child.wait().expect("a child that was started");
        assert_eq!((status.code(), &*stderr), (Some(0), ""), "{line}");
    }
}
