//! Same seed, same digest, wherever and however it runs.
//!
//! 2,000 seeds are run by the program itself: with one job and with two, in a debug and in a release
//! build, in another folder and environment, and without randomised addresses. A seed that runs first
//! in its process is compared with one that runs after a thousand others. What broke here would break
//! every replay.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Engine, scenario and seeds: 2,000 in all.
const PLAN: &[(&str, &str, &str)] = &[
    ("canary", "kv/ledger", "0..1200"),
    ("redb", "kv/bank", "0..300"),
    ("sqlite", "kv/counter", "0..250"),
    ("machine", "instrument/self-check", "0..250"),
];

/// A way to run the program.
#[derive(Clone, Debug)]
struct Way {
    name: &'static str,
    program: PathBuf,
    jobs: u32,
    folder: PathBuf,
    /// Words before the program, and an environment of its own.
    before: Vec<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
}

/// The program of this build.
fn this_build() -> PathBuf {
    env!("CARGO_BIN_EXE_falconry").into()
}

/// The profiles of the workspace.
fn profile(name: &str) -> toml::Table {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let manifest: toml::Table =
        toml::from_str(&std::fs::read_to_string(manifest).unwrap()).unwrap();
    manifest["profile"][name].as_table().unwrap().clone()
}

/// What the release profile says of our own crates, as settings of the profile of tests; what it leaves
/// out is what cargo documents for a release.
fn release_settings() -> Vec<String> {
    let mut release: toml::Table = toml::from_str(
        "opt-level = 3\ndebug-assertions = false\noverflow-checks = false\nincremental = false",
    )
    .unwrap();
    release.extend(profile("release"));
    let packages = release.remove("package").unwrap();
    let own = packages["falconry"].as_table().unwrap();
    let of_all = release.iter().map(|(name, value)| format!("profile.dev.{name}={value}"));
    let of_own =
        own.iter().map(|(name, value)| format!("profile.dev.package.falconry.{name}={value}"));
    of_all.chain(of_own).collect()
}

/// The variable that names a release build of this very revision, for whoever has just made one.
const RELEASE_BUILD: &str = "FALCONRY_RELEASE_BUILD";

/// The program as a release build has it: the one that is named, or one that is built now. That one shares the
/// dependencies of this build, which are compiled alike in both, so that only our own crates are built.
fn release_build() -> PathBuf {
    if let Some(named) = std::env::var_os(RELEASE_BUILD) {
        return std::fs::canonicalize(&named).unwrap_or_else(|error| panic!("{named:?}: {error}"));
    }
    let target = this_build().parent().and_then(Path::parent).expect("target/PROFILE/").to_owned();
    let folder = target.join("one_digest");
    let mut build = Command::new(env!("CARGO"));
    // With a test in the selection cargo picks the same features of dependencies as for all tests.
    build.args(["build", "--offline", "--workspace", "--bin", "falconry", "--test", "one_digest"]);
    build.arg("--manifest-path");
    build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    build.args(release_settings().iter().flat_map(|setting| ["--config", setting]));
    build.env("CARGO_TARGET_DIR", &folder).env("CARGO_BUILD_BUILD_DIR", &target);
    let built = build.output().expect("cargo runs");
    let text = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the release build failed:\n{text}");
    folder.join("debug").join("falconry")
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The digest of a swarm, as its summary tells it.
fn digest(way: &Way, (engine, scenario, seeds): (&str, &str, &str)) -> String {
    let mut words: Vec<String> = way.before.iter().map(|word| (*word).to_string()).collect();
    words.push(way.program.display().to_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["swarm", "--json", "--progress", "none"]);
    command.args(["--engine", engine, "--scenario", scenario, "--seeds", seeds]);
    command.args(["--jobs", &way.jobs.to_string()]).arg("--store").arg(way.folder.join("store"));
    let command = command.current_dir(&way.folder).envs(way.environment.iter().copied());
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text.lines().rfind(|line| line.contains("\"type\":\"summary\""));
    let summary: serde_json::Value = summary
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_else(|| panic!("{way:?}: no summary in:\n{text}"));
    let wanted: u64 = seeds.split_once("..").unwrap().1.parse().unwrap();
    let first: u64 = seeds.split_once("..").unwrap().0.parse().unwrap();
    assert_eq!(summary["run"], wanted - first, "{way:?}: {summary}");
    summary["digest"].as_str().expect("a digest").to_string()
}

fn ways() -> Vec<Way> {
    let home = folder("one_digest");
    let way = |name, program: &Path, jobs| Way {
        name,
        program: program.into(),
        jobs,
        folder: home.clone(),
        before: Vec::new(),
        environment: Vec::new(),
    };
    let (debug, release) = (this_build(), release_build());
    let mut elsewhere = way("another folder and environment", &release, 2);
    elsewhere.folder = folder("one_digest_elsewhere/with a blank/and more");
    elsewhere.environment =
        vec![("LANG", "tr_TR.UTF-8"), ("TZ", "Asia/Tokyo"), ("MALLOC_PERTURB_", "165")];
    let mut fixed = way("addresses that are not randomised", &release, 2);
    fixed.before = vec!["setarch", "-R"];
    vec![
        way("release, one job", &release, 1),
        way("release, two jobs", &release, 2),
        way("debug, two jobs", &debug, 2),
        elsewhere,
        fixed,
    ]
}

#[test]
fn one_digest() {
    let ways = ways();
    for plan in PLAN {
        // All at a time: which processor a run gets, and when, must not matter either.
        let digests: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = ways.iter().map(|way| scope.spawn(|| digest(way, *plan))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for (way, other) in ways.iter().zip(&digests).skip(1) {
            assert_eq!(digests[0], *other, "{plan:?}: {} and {}", ways[0].name, way.name);
        }
    }
}

#[test]
fn a_seed_does_not_know_what_ran_before_it() {
    use falconry::run::{Wishes, properties, run_case};
    let run = |engine: &str, scenario: &str, seed| {
        let case = properties::plain(engine, scenario, seed);
        run_case(&case, &Wishes::default()).unwrap().digest
    };
    let watched = [("canary", "kv/ledger", 1_700), ("redb", "kv/bank", 1_700)];
    let watched = [watched[0], watched[1], ("sqlite", "kv/counter", 1_700)];
    let first = watched.map(|(engine, scenario, seed)| run(engine, scenario, seed));
    for seed in 0..1_000 {
        run("canary", "kv/counter", seed);
    }
    for seed in 0..20 {
        run("redb", "kv/ledger", seed);
        run("sqlite", "kv/ledger", seed);
    }
    let after = watched.map(|(engine, scenario, seed)| run(engine, scenario, seed));
    assert_eq!(first, after);
}

#[test]
fn a_release_build_compiles_its_dependencies_as_tests_do() {
    let packages = |name| {
        let mut packages = profile(name)["package"].as_table().unwrap().clone();
        packages.remove("falconry").expect("our own program has settings of its own");
        // What is ours and compiled for speed.
        packages.retain(|name, _| !matches!(name, "falcon" | "falconry-seam" | "falconry-sim"));
        packages
    };
    assert_eq!(packages("dev"), packages("release"));
    let of_all = ["debug-assertions", "overflow-checks", "codegen-units", "opt-level", "debug"];
    let said = &packages("dev")["*"];
    of_all.iter().for_each(|name| assert!(said.get(name).is_some(), "{name} differs by profile"));
}
