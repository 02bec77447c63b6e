//! The ladder of detectors, from cheap to dear, and what came of a climb.
//!
//! # Method
//!
//! A rung is what `cargo test` builds of one package, and either its tests, each program by itself, or
//! a call of the program `falconry` that was built with them. A climb stops at the first rung that
//! notices. Tests that compare with stored texts (snapshots, capsules, digests) are on no rung: they
//! notice that something is other, not that it is wrong.
//!
//! The machine's own tests, the first rung, are built without optimisation: they take seconds then as well,
//! and their build a fraction.
//!
//! # Invariant
//!
//! Tests draw no seed of their own here: proptest's generator is given one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a build may take.
const BUILD_MAX: Duration = Duration::from_secs(3600);
/// What a rung may take besides three times what it took without a mutant.
const GRACE: Duration = Duration::from_secs(60);
/// What a rung may take where that is not known.
const UNKNOWN_MAX: Duration = Duration::from_secs(900);

/// One detector.
pub struct Rung {
    /// Its name in the table.
    pub name: &'static str,
    /// Only mutants of files below this folder climb it.
    below: &'static str,
    /// What `cargo test --no-run` is told to build.
    build: &'static [&'static str],
    /// Whether it is built as the test profile says, or without optimisation.
    optimised: bool,
    what: What,
}

/// What is run of it.
enum What {
    Tests,
    Program(&'static [&'static str], fn(&str) -> Option<String>),
}

/// From cheap to dear.
pub const LADDER: &[Rung] = &[
    Rung {
        name: "tests of the machine",
        below: "sim/",
        build: &["-p", "falconry-sim", "--lib"],
        optimised: false,
        what: What::Tests,
    },
    Rung {
        name: "programs on the machine",
        below: "sim/",
        build: &["-p", "falconry-sim", "--test", "*"],
        optimised: true,
        what: What::Tests,
    },
    Rung {
        name: "tests of the judges",
        below: "",
        build: &["-p", "falconry", "--lib"],
        optimised: true,
        what: What::Tests,
    },
    Rung {
        name: "an engine with one vice",
        below: "",
        build: &["-p", "falconry", "--test", "misbehaviour"],
        optimised: true,
        what: What::Tests,
    },
    Rung {
        name: "mended twins",
        below: "",
        build: RUNS,
        optimised: true,
        what: What::Program(&["specimen", "twins", "--runs", "10k"], |_| None),
    },
    Rung {
        name: "specimens",
        below: "",
        build: RUNS,
        optimised: true,
        what: What::Program(
            &["specimen", "score", "--starts", "1", "--limit", "30s", "--json"],
            never_found,
        ),
    },
    Rung {
        name: "runs and convictions",
        below: "",
        build: RUNS,
        optimised: true,
        what: What::Tests,
    },
    Rung {
        name: "engines and swarms",
        below: "",
        build: &[
            "-p",
            "falconry",
            "--test",
            "redb_on_machine",
            "--test",
            "sqlite_on_machine",
            "--test",
            "sqlite_power_off",
            "--test",
            "engines",
            "--test",
            "swarm",
            "--test",
            "workers",
        ],
        optimised: true,
        what: What::Tests,
    },
];

const RUNS: &[&str] = &[
    "-p",
    "falconry",
    "--test",
    "convictions",
    "--test",
    "ends",
    "--test",
    "runs",
    "--test",
    "specimens",
];

/// The bugs of specimens that were not found any more.
fn never_found(stdout: &str) -> Option<String> {
    let lines = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let never = lines.filter_map(|line| Some(line.get("never_found")?.as_array()?.clone())).next();
    let names: Vec<Value> = never.unwrap_or_else(|| vec!["no score at all".into()]);
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    (!names.is_empty()).then(|| format!("not found: {}", names.join(", ")))
}

/// What one rung said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing is wrong.
    Quiet,
    /// This is wrong.
    Noticed(String),
    /// It does not compile, or cannot be run.
    NoResult(String),
}

/// The ladder in one room.
pub struct Climber {
    /// The root of the changed project.
    pub room: PathBuf,
    /// Where cargo builds.
    pub target: PathBuf,
    /// Where what rungs write is kept.
    pub logs: PathBuf,
    /// For cargo's `--jobs`.
    pub jobs: Option<String>,
    /// What each rung took without a mutant.
    pub usual: BTreeMap<&'static str, Duration>,
}

impl Climber {
    /// Climbs until a rung notices, and says which. `file` is where the mutant is.
    pub fn climb(&mut self, name: &str, file: Option<&str>) -> (Said, &'static str) {
        let mut last = "";
        for rung in LADDER.iter().filter(|rung| file.is_none_or(|f| f.starts_with(rung.below))) {
            last = rung.name;
            eprintln!("{name}: {last}");
            let began = Instant::now();
            let said = self
                .stand_on(rung, name)
                .unwrap_or_else(|error| Said::NoResult(format!("{last}: {error}")));
            if said != Said::Quiet {
                return (said, last);
            }
            if file.is_none() {
                self.usual.insert(last, began.elapsed());
            }
        }
        (Said::Quiet, last)
    }

    fn stand_on(&self, rung: &Rung, name: &str) -> io::Result<Said> {
        let log = |what: &str| self.logs.join(format!("{name}.{}.{what}", slug(rung.name)));
        let Some(programs) = self.build(rung, &log("build"))? else {
            let what = format!("does not compile, see {}", log("build").display());
            return Ok(Said::NoResult(what));
        };
        let usual = self.usual.get(rung.name);
        let limit = usual.map_or(UNKNOWN_MAX, |usual| *usual * 3 + GRACE);
        let until = Instant::now() + limit;
        let is_wanted = |program: &&Built| matches!(rung.what, What::Tests) == program.is_test;
        for program in programs.iter().filter(is_wanted) {
            let mut command = self.quiet(Command::new(&program.path));
            command.current_dir(&program.package).stdin(Stdio::null());
            if let What::Program(arguments, _) = rung.what {
                command.args(arguments);
            }
            let (out, errors) = (log("out"), log("err"));
            let status = run(command, &out, &errors, until)?;
            let Some(status) = status else {
                return Ok(Said::Noticed(format!("a hang, ended after {} s", limit.as_secs())));
            };
            let said = [out, errors].map(|path| lossy(&path)).concat();
            if let What::Program(_, judge) = rung.what
                && status.success()
                && let Some(what) = judge(&said)
            {
                return Ok(Said::Noticed(what));
            }
            if !status.success() {
                return Ok(Said::Noticed(failure(&said, status)));
            }
        }
        Ok(Said::Quiet)
    }

    /// What `cargo test` would run; `None` when it does not compile.
    fn build(&self, rung: &Rung, log: &Path) -> io::Result<Option<Vec<Built>>> {
        let mut command = self.quiet(Command::new(env!("CARGO")));
        command.args([
            "test",
            "--no-run",
            "--locked",
            "--message-format",
            "json-render-diagnostics",
        ]);
        command.args(rung.build).arg("--target-dir").arg(&self.target).current_dir(&self.room);
        command.args(self.jobs.iter().flat_map(|jobs| ["--jobs", jobs]));
        if !rung.optimised {
            command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
        }
        let messages = log.with_extension("json");
        let status = run(command, &messages, log, Instant::now() + BUILD_MAX)?;
        if !status.is_some_and(|status| status.success()) {
            return Ok(None);
        }
        let text = lossy(&messages);
        let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let programs: Vec<Built> = messages.filter_map(|message| Built::of(&message)).collect();
        match programs.is_empty() {
            true => Err(io::Error::other("cargo named no program")),
            false => Ok(Some(programs)),
        }
    }

    /// Nothing of the caller's environment that cargo, the program or its tests read.
    fn quiet(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let keeps = ["CARGO_HOME", "CARGO_NET_OFFLINE"].contains(&&*name);
            let begins = ["CARGO", "FALCONRY_", "PROPTEST_", "RUSTFLAGS", "RUST_BACKTRACE"];
            if !keeps && begins.iter().any(|begin| name.starts_with(begin)) {
                command.env_remove(&*name);
            }
        }
        command.env("PROPTEST_RNG_SEED", "1").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        // Nobody reads a line of these builds in a debugger.
        command.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "1");
        command
    }
}

/// A program that cargo built.
struct Built {
    path: PathBuf,
    package: PathBuf,
    is_test: bool,
}

impl Built {
    fn of(message: &Value) -> Option<Built> {
        let path = PathBuf::from(message.get("executable")?.as_str()?);
        let manifest = Path::new(message.get("manifest_path")?.as_str()?);
        let is_test = message.get("profile")?.get("test")?.as_bool()?;
        let kind = message.get("target")?.get("kind")?.get(0)?.as_str()?;
        let is_wanted = is_test || kind == "bin";
        is_wanted.then_some(Built { path, package: manifest.parent()?.into(), is_test })
    }
}

/// Runs a command to its end; `None` when it was killed because its time was over.
fn run(
    mut command: Command,
    out: &Path,
    errors: &Path,
    until: Instant,
) -> io::Result<Option<ExitStatus>> {
    let mut child = command.stdout(File::create(out)?).stderr(File::create(errors)?).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The first test that failed and how many others did, or else how the program ended.
fn failure(said: &str, status: ExitStatus) -> String {
    let failed = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.into());
    let convicted = |line: &str| line.contains("is convicted").then(|| line.trim().to_string());
    let mut all: Vec<String> =
        said.lines().filter_map(|line| failed(line).or_else(|| convicted(line))).collect();
    all.sort();
    match &all[..] {
        [] => format!("the program ended with {status}"),
        [one] => one.clone(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}

fn lossy(path: &Path) -> String {
    std::fs::read(path).map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn slug(name: &str) -> String {
    name.replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_names_what_was_never_found() {
        assert_eq!(never_found("{\"a\":1}\n{\"never_found\":[]}\n"), None);
        let told = never_found("{\"never_found\":[\"aba\",\"lost_update\"]}\n");
        assert_eq!(told.as_deref(), Some("not found: aba, lost_update"));
        assert!(never_found("").is_some());
    }

    #[test]
    fn failed_tests_are_named_in_an_order_of_their_own() {
        let status = ExitStatus::default();
        let said = "test a::b ... ok\ntest a::d ... FAILED\ntest a::c ... FAILED\n";
        assert_eq!(failure(said, status), "a::c and 1 more");
        assert_eq!(failure("test a::c ... FAILED\n", status), "a::c");
        assert!(failure("nothing", status).starts_with("the program ended"));
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let folder = std::env::temp_dir();
        let [out, errors] =
            ["out", "err"].map(|end| folder.join(format!("mutants-{}.{end}", std::process::id())));
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        let until = Instant::now() + Duration::from_millis(50);
        assert!(run(sleep, &out, &errors, until).unwrap().is_none());
        let until = Instant::now() + Duration::from_secs(60);
        assert!(run(Command::new("true"), &out, &errors, until).unwrap().unwrap().success());
        let _ = (std::fs::remove_file(out), std::fs::remove_file(errors));
    }
}
