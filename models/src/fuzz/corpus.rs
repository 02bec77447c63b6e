//! Inputs to start from: recordings of runs that pass, as bytes; texts and files as the program writes them.

use falconry_sim::choice::{Capsule, Recording};

use super::{Body, Target, Which, results, scenarios};
use crate::run::{Case, Outcome, Wishes, properties, run_case};
use crate::score;
use crate::specimen;
use crate::swarm::Tally;

/// Seeds that are tried for each input.
const TRIES_MAX: u64 = 64;

/// The recordings of the first `count` seeds of a case that pass.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub fn passing(case: &Case, count: usize) -> Result<Vec<Recording>, String> {
    let mut recordings = Vec::new();
    for seed in 0..TRIES_MAX {
        if recordings.len() == count {
            break;
        }
        let wishes = Wishes { recording: true, ..Wishes::default() };
        let case = Case { seed, ..case.clone() };
        let outcome = run_case(&case, &wishes).map_err(|error| error.to_string())?;
        recordings.extend(outcome.recording.filter(|_| outcome.findings.is_empty()));
    }
    Ok(recordings)
}

/// Inputs of a target that do not convict, `count` of each thing that it runs or reads.
///
/// # Errors
///
/// Where a recording is not the run of its bytes: our bug.
pub fn seeds(target: &Target, which: Which, count: usize) -> Result<Vec<Vec<u8>>, String> {
    match (target.body, which.specimen) {
        (Body::Run(specimen::ENGINE), Some(specimen)) => {
            of_case(&score::case_of(specimen, 0, !which.mended), None, count)
        }
        (Body::Run(specimen::ENGINE), None) => {
            let all = specimen::all().into_iter().enumerate();
            let of = |(index, specimen)| {
                of_case(&score::case_of(specimen, 0, !which.mended), Some(index as u8), count)
            };
            joined(all.map(of))
        }
        (Body::Run(engine), _) => {
            let all = scenarios(engine).into_iter().enumerate();
            let of = |(index, scenario): (usize, &str)| {
                of_case(&properties::plain(engine, scenario, 0), Some(index as u8), count)
            };
            joined(all.map(of))
        }
        (Body::Reader(_), _) => texts(target.name, count),
    }
}

fn joined(
    parts: impl Iterator<Item = Result<Vec<Vec<u8>>, String>>,
) -> Result<Vec<Vec<u8>>, String> {
    parts.collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
}

/// The runs of a case that pass, as bytes behind the one that names the case.
fn of_case(case: &Case, first: Option<u8>, count: usize) -> Result<Vec<Vec<u8>>, String> {
    let inputs = passing(case, count)?.into_iter().map(|recording| {
        let mut input: Vec<u8> = first.into_iter().collect();
        input.extend(bytes_of(case, recording)?);
        Ok(input)
    });
    inputs.collect()
}

/// The bytes that make the run of a recording.
fn bytes_of(case: &Case, recording: Recording) -> Result<Vec<u8>, String> {
    let wishes = Wishes { replay: Some(recording), write_bytes: true, ..Wishes::default() };
    let replayed = run_case(case, &wishes).map_err(|error| error.to_string())?;
    if let Some(what) = replayed.divergence {
        return Err(format!("{} {}: {what}", case.engine, case.scenario));
    }
    let bytes = replayed.bytes.unwrap_or_default();
    let wishes = Wishes { bytes: Some(bytes.clone()), ..Wishes::default() };
    let driven = run_case(case, &wishes).map_err(|error| error.to_string())?;
    if driven.digest != replayed.digest {
        return Err(format!("{} {}: its bytes make another run", case.engine, case.scenario));
    }
    Ok(bytes)
}

/// What the program writes, for those that read it.
fn texts(target: &str, count: usize) -> Result<Vec<Vec<u8>>, String> {
    let storage = specimen::all().into_iter().take(count);
    let mut inputs = Vec::new();
    for specimen in storage {
        let case = score::case_of(specimen, 0, true);
        let wishes = Wishes { anchors: true, ..Wishes::default() };
        let outcome = run_case(&case, &wishes).map_err(|error| error.to_string())?;
        match target {
            "parse_capsule" => inputs.push(capsule(&case, &outcome).to_text().into_bytes()),
            "parse_recording" => {
                let text = passing(&case, 1)?.pop().unwrap_or_default().to_text();
                // Without its last line: one is put behind each input.
                inputs
                    .push(text.trim_end().rsplit_once('\n').map_or("", |(lines, _)| lines).into());
            }
            _ => {
                let columns = columns(&case, &outcome);
                inputs.push([b"\0".as_slice(), &columns].concat());
                inputs.push([b"\x01".as_slice(), &results::file_with(&columns)?].concat());
            }
        }
    }
    Ok(inputs)
}

/// A run as a capsule, with nothing left out.
fn capsule(case: &Case, outcome: &Outcome) -> Capsule {
    let own = [("engine", &case.engine), ("scenario", &case.scenario), ("seed", &"0".to_string())];
    Capsule {
        remarks: vec!["a run that was not made small".into()],
        properties: own.map(|(name, value)| (name.into(), value.clone())).into(),
        exceptions: outcome.anchored.clone().unwrap_or_default().exceptions,
    }
}

/// A row of each table, as the program writes it.
fn columns(case: &Case, outcome: &Outcome) -> Vec<u8> {
    let finding = outcome.findings.first().map_or("{}".into(), json);
    let tally = json(&Tally::default());
    let row = ["1", "3f9c1d2", "7", "9", &tally, "3", &json(case), &finding, "text", "0", "1", "2"];
    row.join("\0").into_bytes()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}
