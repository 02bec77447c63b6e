//! `fuzz-import`: the crashing input of a fuzz target as a capsule.

use std::io::Read;
use std::path::Path;

use serde::Serialize;

use super::choice::{Choice, told};
use super::examine::{Examiner, Files};
use super::exit::{Exit, Stop};
use super::replay::write_capsule;
use super::session::Session;
use super::typed::FuzzImport;
use super::values::did_you_mean;
use crate::fuzz::{self, Body, INPUT_BYTES_MAX, Target, Which};
use crate::run::{Case, Finding};
use crate::shrink::Shrunk;
use crate::swarm::{Examine, install_interrupts};

/// What `--json` says of an input.
#[derive(Serialize)]
struct ImportLine<'a> {
    file: String,
    bytes: usize,
    capsule: String,
    replay: &'a str,
}

/// Runs the verb.
pub fn fuzz_import(session: &Session, typed: &FuzzImport) -> Result<Exit, Stop> {
    let file = typed.file.display().to_string();
    let input = read(&typed.file).map_err(|what| Stop::Usage(format!("{file}: {what}")))?;
    let (case, bytes) = subject(session, typed, &input)?;
    install_interrupts();
    let Case { engine, scenario, .. } = &case;
    let text = format!("{file} as {engine} {scenario} at {}", session.revision);
    session.output.status("Importing", &text);
    let shrink = Some(session.shrinking(typed.shrink_for.0, typed.jobs));
    let examine = Examine { bytes: Some(bytes.to_vec()), shrink, ..Examine::default() };
    let mut verdict = Examiner::start()?.examine(&case, examine)?;
    if session.holds_still {
        verdict.hold_still();
    }
    let Some(finding) = verdict.finding.clone() else {
        return Err(Stop::Usage(format!("{file}: {}", passes(&case, &input))));
    };
    let Some(shrunk) = verdict.shrunk() else {
        return Err(Stop::Usage(format!(
            "{file}: no capsule can be made of it: {}: {}",
            finding.property.name(),
            finding.sentence
        )));
    };
    let path = match &typed.out {
        Some(path) => path.clone(),
        None => {
            let number = fnv(&input) as u32;
            let name = format!("{}-{number:08x}.capsule", finding.signature().replace('/', "-"));
            session.store_path(&typed.store).with_file_name("runs").join("imported").join(name)
        }
    };
    write_capsule(&path, &shrunk.capsule)?;
    let capsule = path.display().to_string();
    let replay = session.caller.plain(&["replay", &capsule]);
    let files = Files { capsule: Some(capsule.clone()), recording: None };
    session.output.object("finding", &verdict.finding_line(session, &finding, 1, &files))?;
    let line = ImportLine { file, bytes: input.len(), capsule, replay: &replay };
    session.output.object("import", &line)?;
    session.output.text(&told_of(&finding, shrunk, &line))?;
    Ok(Exit::Nothing)
}

/// What is said of a capsule that was made.
fn told_of(finding: &Finding, shrunk: &Shrunk, line: &ImportLine<'_>) -> String {
    let (property, sentence) = (finding.property.name(), &finding.sentence);
    let control = &shrunk.control;
    let fails = if control.passes { "passes" } else { "FAILS as well" };
    format!(
        "FAIL  {property}: {sentence}\n  signature  {}\n  input      {}, {} bytes\n  shrunk     {}\n  \
         control    the small case {fails} without {}\n  capsule    {}\n  replay     {}\n",
        finding.signature(),
        line.file,
        line.bytes,
        shrunk.sentence(),
        control.without,
        line.capsule,
        line.replay,
    )
}

/// Why an input that convicts nobody is of no use.
fn passes(case: &Case, input: &[u8]) -> String {
    let Case { engine, scenario, planted, .. } = case;
    let bug = if planted.is_empty() { "" } else { ", bug planted" };
    let what = if input.is_empty() { "it is empty, and the boring run" } else { "the run" };
    format!(
        "{what} passes ({engine} {scenario}{bug}): there is nothing to import; it crashed another target, \
         or another revision"
    )
}

/// The bytes of an input, read no further than one can be long.
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = INPUT_BYTES_MAX as u64 + 1;
    std::fs::File::open(file)
        .and_then(|opened| opened.take(limit).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() > INPUT_BYTES_MAX {
        return Err(format!("longer than {INPUT_BYTES_MAX} bytes, which no input is"));
    }
    Ok(bytes)
}

/// The case that the input drives, and the bytes that do.
fn subject<'a>(
    session: &Session,
    typed: &FuzzImport,
    input: &'a [u8],
) -> Result<(Case, &'a [u8]), Stop> {
    let flags = told(&typed.case);
    let names_a_case = typed.case.engine.is_some() || typed.case.scenario.is_some();
    let name = match &typed.target {
        Some(_) if !flags.is_empty() => {
            return Err(Stop::Usage(format!(
                "--target has a case of its own, which {} cannot change; leave out one or the other",
                flags.join(", ")
            )));
        }
        Some(name) => name.clone(),
        None if names_a_case => {
            let case = Choice::new(&typed.case, &session.config).only_case(0)?;
            return Ok((case, input));
        }
        None => {
            folder_of(&typed.file).filter(|name| fuzz::find(name).is_some()).ok_or_else(|| {
                let names = names(|_| true);
                Stop::Usage(format!(
                    "say what the input drove: --target, one of {names}, or --engine and --scenario"
                ))
            })?
        }
    };
    let target = fuzz::find(&name).ok_or_else(|| {
        let guess = did_you_mean(&name, fuzz::TARGETS.iter().map(|target| target.name));
        let names = names(|_| true);
        Stop::Usage(format!("there is no fuzz target '{name}'; there are {names}{guess}"))
    })?;
    target.case_of(Which { specimen: None, mended: typed.mended }, input).ok_or_else(|| {
        let names = names(|target| matches!(target.body, Body::Run(_)));
        Stop::Usage(format!(
            "target {name} reads {}, and runs no case that a capsule could hold; {names} do",
            target.about
        ))
    })
}

/// The names of those targets.
fn names(which: impl Fn(&Target) -> bool) -> String {
    let names = fuzz::TARGETS.iter().filter(|target| which(target)).map(|target| target.name);
    names.collect::<Vec<_>>().join(", ")
}

/// The name of the folder that a file lies in.
fn folder_of(file: &Path) -> Option<String> {
    file.parent()?.file_name()?.to_str().map(String::from)
}

/// FNV-1a, to tell the capsules of several inputs apart.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
