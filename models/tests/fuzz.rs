//! The fuzz targets as they are without a fuzzer: their bodies, their inputs, and what becomes of a crash.

mod program;

use std::path::Path;

use falconry::fuzz::{self, MENDED, SPECIMEN, TARGETS, Which, passing, seeds};
use falconry::run::{Case, Wishes, properties, run_case};
use falconry::score::case_of;
use falconry::specimen::{self, Specimen};
use falconry_sim::choice::Choices;
use program::Room;

const MENDED_ONES: Which = Which { specimen: None, mended: true };

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}

fn specimen(name: &str) -> &'static Specimen {
    specimen::of_scenario(&format!("specimen/{name}")).expect("there is such a specimen")
}

#[test]
fn the_targets_are_those_of_the_manifest_and_of_the_readme() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter();
    let programs: Vec<&str> = programs.map(|program| program["name"].as_str().unwrap()).collect();
    assert_eq!(programs, names);
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for target in TARGETS {
        let row = format!("| `{}` | {} |", target.name, target.about);
        assert!(readme.contains(&row), "models/fuzz/README.md lacks: {row}");
        let program = folder().join(format!("fuzz_targets/{}.rs", target.name));
        let text = std::fs::read_to_string(program).unwrap();
        let body = format!("falconry::fuzz::fuzz(\"{}\", input)", target.name);
        assert!(text.contains(&body), "{} runs another body", target.name);
    }
    let rows = readme.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, TARGETS.len(), "models/fuzz/README.md lists other targets");
    for variable in [SPECIMEN, MENDED] {
        assert!(readme.contains(variable), "models/fuzz/README.md does not explain {variable}");
    }
}

#[test]
fn every_body_takes_what_comes() {
    let mut draw = Choices::from_seed(1);
    for target in TARGETS {
        let mut inputs = vec![Vec::new(), vec![0; 300], vec![0xFF; 300]];
        for length in [1, 40, 700] {
            let mut bytes = vec![0; length];
            draw.fill("test/input", &mut bytes);
            inputs.push(bytes);
        }
        for input in &inputs {
            assert_eq!(target.judge(MENDED_ONES, input), Ok(()), "{}: {input:?}", target.name);
        }
    }
    assert!(fuzz::find("specimen").is_some() && fuzz::find("nothing").is_none());
}

#[test]
fn recordings_become_inputs_that_pass_and_make_the_same_run() {
    for target in TARGETS {
        // `seeds` compares the digest of each recording with that of its bytes.
        let inputs = seeds(target, MENDED_ONES, 1).unwrap();
        assert!(!inputs.is_empty(), "{}", target.name);
        for input in inputs {
            assert_eq!(target.judge(MENDED_ONES, &input), Ok(()), "{}", target.name);
        }
    }
}

#[test]
fn bytes_and_seed_make_one_run_with_the_same_exceptions() {
    let planted = specimen::all().into_iter().map(|specimen| case_of(specimen, 3, true));
    let engines = [("redb", "kv/bank"), ("sqlite", "kv/ledger"), ("canary", "kv/bank")];
    let engines = engines.map(|(engine, scenario)| properties::plain(engine, scenario, 3));
    for case in planted.chain(engines) {
        let name = format!("{} {}", case.engine, case.scenario);
        let wishes = Wishes { anchors: true, write_bytes: true, ..Wishes::default() };
        let seeded = run_case(&case, &wishes).unwrap();
        let bytes = seeded.bytes.clone();
        let plain = run_case(&case, &Wishes { bytes: bytes.clone(), ..Wishes::default() }).unwrap();
        assert_eq!(plain.digest, seeded.digest, "{name}");
        let wishes = Wishes { bytes, anchors: true, ..Wishes::default() };
        let anchored = run_case(&case, &wishes).unwrap();
        assert_eq!(anchored.digest, seeded.digest, "{name}");
        let exceptions = |outcome: falconry::run::Outcome| outcome.anchored.unwrap().exceptions;
        assert_eq!(exceptions(anchored), exceptions(seeded), "{name}");
    }
}

/// Bytes that convict a specimen: those of its first seed that fails.
fn convicting(case: &Case) -> Vec<u8> {
    let wishes = Wishes { anchors: true, write_bytes: true, ..Wishes::default() };
    let run = |seed| run_case(&Case { seed, ..case.clone() }, &wishes).unwrap();
    let failing = (0..1_000).map(run).find(|outcome| !outcome.findings.is_empty());
    failing.expect("it is convicted").bytes.unwrap()
}

#[test]
fn a_crash_becomes_a_capsule_that_convicts_alike() {
    let room = Room::new("import");
    for name in ["torn_header", "lost_update", "deadlock_by_order"] {
        let specimen = specimen(name);
        let case = case_of(specimen, 0, true);
        let bytes = convicting(&case);
        let wishes = Wishes { bytes: Some(bytes.clone()), ..Wishes::default() };
        let signature = run_case(&case, &wishes).unwrap().findings[0].signature();
        let target = fuzz::find("specimen").unwrap();
        let which = Which { specimen: Some(specimen), mended: false };
        let told = target.judge(which, &bytes).unwrap_err();
        assert!(told.contains(&format!("signature  {signature}\n")), "{told}");
        assert_eq!(target.judge(Which { mended: true, ..which }, &bytes), Ok(()), "{name}");

        std::fs::write(room.folder.join("crash"), &bytes).unwrap();
        let flags = target.import_flags(which);
        let import = format!("fuzz-import crash --out {name}.capsule{flags}");
        let call = room.call(&import.split(' ').collect::<Vec<_>>());
        assert_eq!(call.code, Some(0), "{}", call.stderr);
        let replay = format!("  replay     falconry replay {name}.capsule\n");
        assert!(call.stdout.contains(&replay), "{}", call.stdout);
        let control = format!("the small case passes without {name} planted\n");
        assert!(call.stdout.contains(&control), "{}", call.stdout);
        let call = room.call(&["replay", &format!("{name}.capsule"), "--json"]);
        assert_eq!(call.code, Some(1), "{}", call.stderr);
        assert!(call.stdout.contains("\"alignment\":\"Exact\""), "{}", call.stdout);
        assert!(call.stdout.contains(&format!("\"signature\":\"{signature}\"")), "{}", call.stdout);
    }
}

#[test]
fn a_crash_is_known_by_its_folder_and_may_stay_as_it_is() {
    let room = Room::new("import-folder");
    let all = specimen::all();
    let index = all.iter().position(|specimen| specimen.name == "torn_header").unwrap();
    let input = [vec![index as u8], convicting(&case_of(all[index], 0, true))].concat();
    let artifacts = room.folder.join("artifacts/specimen");
    std::fs::create_dir_all(&artifacts).unwrap();
    std::fs::write(artifacts.join("crash-1"), input).unwrap();
    let words = ["fuzz-import", "artifacts/specimen/crash-1", "--shrink-for", "0s", "--json"];
    let call = room.call(&words);
    assert_eq!(call.code, Some(0), "{}", call.stderr);
    let last: serde_json::Value =
        serde_json::from_str(call.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["type"], "import");
    let capsule = last["capsule"].as_str().unwrap();
    assert!(capsule.starts_with("target/falconry/runs/imported/"), "{capsule}");
    let text = std::fs::read_to_string(room.folder.join(capsule)).unwrap();
    assert!(text.contains("time was up"), "{text}");
    assert_eq!(room.call(&["replay", capsule]).code, Some(1));
    // Without the bug there is nothing to import.
    let call = room.call(&["fuzz-import", words[1], "--target", "specimen", "--mended"]);
    assert_eq!(call.code, Some(2), "{}", call.stdout);
    assert!(
        call.stderr.contains("the run passes (specimen specimen/torn_header)"),
        "{}",
        call.stderr
    );
}

#[test]
fn recordings_of_runs_that_fail_are_no_inputs() {
    let case = case_of(specimen("queue_drops_one"), 0, true);
    for recording in passing(&case, 2).unwrap() {
        let wishes = Wishes { replay: Some(recording), ..Wishes::default() };
        assert!(run_case(&case, &wishes).unwrap().findings.is_empty());
    }
}
