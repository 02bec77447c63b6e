//! A failing case as a capsule, and its replay on a later revision.
//!
//! # Method
//!
//! Code changes, and with it the sites of a run. An exception whose anchor is not met is moved to the
//! same site in the same span, else in those around it, at the nearest number that none other takes;
//! then the run is made again. When the failure does not come although all are met, those that were
//! moved, and preemptions, are tried at neighbouring numbers.

use std::collections::BTreeSet;
use std::fmt;

use falconry_sim::choice::{Anchor, Anchored, Capsule, Exception};
use serde::{Deserialize, Serialize};

use super::{Shrunk, signature_of};
use crate::cli::command::profile_name;
use crate::run::{Case, CaseError, Outcome, Profile};

/// A capsule is meant to be no longer.
const BYTES_MEANT: usize = 4096;

/// How often exceptions are moved before the run is taken as it is.
const ROUNDS_MAX: usize = 4;

/// How far the repair search goes from where an exception was.
const NEIGHBOURS: [i32; 6] = [1, -1, 2, -2, 3, -3];

/// How many runs that search may take.
const REPAIRS_MAX: usize = 1_024;

/// Writes a failing case as the text of a capsule.
pub fn write(
    case: &Case,
    revision: &str,
    exceptions: &[Exception],
    outcome: &Outcome,
    shrunk: &Shrunk,
) -> String {
    let mut remarks = Vec::new();
    if let Some(finding) = outcome.findings.first() {
        remarks.push(format!("{}: {}", finding.property.name(), finding.sentence));
        let what = finding
            .what
            .iter()
            .flat_map(|(label, text)| text.lines().map(move |line| format!("  {label:<9} {line}")));
        remarks.extend(what);
    }
    remarks.push(format!("shrunk: {}: {}", shrunk.before.to(&shrunk.after), shrunk.end()));
    let mut capsule =
        Capsule { remarks, properties: properties(case), exceptions: exceptions.to_vec() };
    let mut property = |name: &str, value: String| capsule.properties.push((name.into(), value));
    property("signature", signature_of(outcome).unwrap_or_default());
    property("revision", revision.into());
    property("digest", format!("{:032x}", outcome.digest));
    let text = capsule.to_text();
    if text.len() <= BYTES_MEANT {
        return text;
    }
    let choices = exceptions.len();
    let why = if shrunk.is_minimal { "needs" } else { "still has, for want of time," };
    capsule
        .remarks
        .push(format!("longer than 4 KiB: what is left of the failure {why} {choices} choices"));
    capsule.to_text()
}

fn properties(case: &Case) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = vec![
        ("engine".into(), case.engine.clone()),
        ("scenario".into(), case.scenario.clone()),
        ("seed".into(), case.seed.to_string()),
        ("faults".into(), profile_name(case.faults).into()),
    ];
    let mut add = |name: &str, value: String| all.push((name.into(), value));
    case.fault_ppm.iter().for_each(|(fault, ppm)| add("fault", format!("{fault}={ppm}")));
    case.settings.iter().for_each(|(name, value)| add("set", format!("{name}={value}")));
    case.planted.iter().for_each(|bug| add("plant", bug.clone()));
    if case.beyond_budget {
        add("beyond-budget", "true".into());
    }
    if case.break_sync {
        add("break-sync", "true".into());
    }
    all
}

/// The case of a capsule.
///
/// # Errors
///
/// Names the property that is missing or cannot be read.
pub fn case_of(capsule: &Capsule) -> Result<Case, String> {
    let needed = |name: &str| {
        capsule.property(name).map(String::from).ok_or(format!("it does not say its {name}"))
    };
    let seed = needed("seed")?;
    let mut case = crate::run::properties::plain(
        &needed("engine")?,
        &needed("scenario")?,
        seed.parse().map_err(|_| format!("its seed {seed:?} is no number"))?,
    );
    for (name, value) in &capsule.properties {
        let bad = || format!("it says {name} {value}, which this program cannot read");
        let pair = || value.split_once('=').ok_or_else(bad);
        match name.as_str() {
            "engine" | "scenario" | "seed" | "signature" | "revision" | "digest" => {}
            "faults" => {
                let all =
                    [Profile::None, Profile::Realistic, Profile::Accelerated, Profile::Hostile];
                let found = all.into_iter().find(|profile| profile_name(*profile) == value);
                case.faults = found.ok_or_else(bad)?;
            }
            "fault" => {
                let (fault, ppm) = pair()?;
                let fault = fault.parse().map_err(|_| bad())?;
                case.fault_ppm.push((fault, ppm.parse().map_err(|_| bad())?));
            }
            "set" => case.settings.push(pair().map(|(name, value)| (name.into(), value.into()))?),
            "plant" => case.planted.push(value.clone()),
            "beyond-budget" if value == "true" => case.beyond_budget = true,
            "break-sync" if value == "true" => case.break_sync = true,
            _ => return Err(bad()),
        }
    }
    Ok(case)
}

/// How well a capsule fits the revision that replays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alignment {
    /// Every anchor was met, and the run is the same to the last event.
    Exact,
    /// So many anchors were met, so many after they were moved.
    Aligned {
        /// Met where they are.
        met: usize,
        /// Met elsewhere.
        moved: usize,
        /// All.
        of: usize,
    },
    /// Some were not met, and the failure did not come.
    Lost {
        /// Met, moved or not.
        met: usize,
        /// All.
        of: usize,
    },
}

impl fmt::Display for Alignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alignment::Exact => write!(f, "exact"),
            Alignment::Aligned { met, moved, of } => write!(f, "aligned {met} + {moved} of {of}"),
            Alignment::Lost { met, of } => write!(f, "lost: {met} of {of} choices have a place"),
        }
    }
}

/// How a capsule was made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// How well it fits.
    pub alignment: Alignment,
    /// Whether the failure came only after neighbours were tried.
    pub was_repaired: bool,
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repaired =
            if self.was_repaired { ", after neighbouring places were tried" } else { "" };
        write!(f, "{}{repaired}", self.alignment)
    }
}

/// Fits a capsule to this revision: how well, and the exceptions that drive its run from now on.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub fn fit(
    capsule: &Capsule,
    run: impl Fn(&[Exception]) -> Result<Outcome, CaseError>,
) -> Result<(Fit, Vec<Exception>), CaseError> {
    let signature = capsule.property("signature").unwrap_or("");
    let fails = |outcome: &Outcome| signature_of(outcome).as_deref() == Some(signature);
    let of = capsule.exceptions.len();
    let mut exceptions = capsule.exceptions.clone();
    let mut outcome = run(&exceptions)?;
    if Some(format!("{:032x}", outcome.digest).as_str()) == capsule.property("digest") {
        return Ok((Fit { alignment: Alignment::Exact, was_repaired: false }, exceptions));
    }
    for _ in 0..ROUNDS_MAX {
        let anchored = outcome.anchored.take().unwrap_or_default();
        let moved = moved(&exceptions, &anchored);
        if fails(&outcome) || moved == exceptions {
            outcome.anchored = Some(anchored);
            break;
        }
        exceptions = moved;
        outcome = run(&exceptions)?;
    }
    let mut was_repaired = false;
    if !fails(&outcome)
        && let Some((other, repaired)) = repair(&exceptions, &run, fails)?
    {
        (exceptions, outcome, was_repaired) = (other, repaired, true);
    }
    let met = outcome.anchored.as_ref().map_or(Vec::new(), |anchored| anchored.met.clone());
    let is_moved = |index: usize| exceptions[index].anchor != capsule.exceptions[index].anchor;
    let count = |wanted: bool| {
        (0..of).filter(|index| met.get(*index) == Some(&true) && is_moved(*index) == wanted).count()
    };
    let (stayed, moved) = (count(false), count(true));
    let alignment = match fails(&outcome) || stayed + moved == of {
        true => Alignment::Aligned { met: stayed, moved, of },
        false => Alignment::Lost { met: stayed + moved, of },
    };
    Ok((Fit { alignment, was_repaired }, exceptions))
}

/// Moves what was not met to the nearest place of its kind.
fn moved(exceptions: &[Exception], anchored: &Anchored) -> Vec<Exception> {
    let mut used: BTreeSet<Anchor> = exceptions.iter().map(|e| e.anchor.clone()).collect();
    let mut all = exceptions.to_vec();
    for (exception, met) in all.iter_mut().zip(&anchored.met) {
        if *met {
            continue;
        }
        if let Some(anchor) = nearest(&exception.anchor, anchored, &used) {
            used.insert(anchor.clone());
            exception.anchor = anchor;
        }
    }
    all
}

/// The nearest free choice at the same site, in the same span or in the innermost one around it that has
/// one.
fn nearest(wanted: &Anchor, anchored: &Anchored, used: &BTreeSet<Anchor>) -> Option<Anchor> {
    let mut span = wanted.span.as_str();
    loop {
        let mut at = Anchor { span: span.into(), n: 0, ..wanted.clone() };
        let count = anchored.sites.get(&at).copied().unwrap_or(0);
        let mut numbers: Vec<u32> = (0..count).collect();
        numbers.sort_by_key(|n| n.abs_diff(wanted.n));
        for n in numbers {
            at.n = n;
            if !used.contains(&at) {
                return Some(at);
            }
        }
        if span.is_empty() {
            return None;
        }
        span = span.rsplit_once('/').map_or("", |(outer, _)| outer);
    }
}

/// Tries exceptions at neighbouring numbers: each alone, then any two together.
fn repair(
    exceptions: &[Exception],
    run: impl Fn(&[Exception]) -> Result<Outcome, CaseError>,
    fails: impl Fn(&Outcome) -> bool,
) -> Result<Option<(Vec<Exception>, Outcome)>, CaseError> {
    let steps: Vec<(usize, i32)> = NEIGHBOURS
        .iter()
        .flat_map(|by| (0..exceptions.len()).map(move |index| (index, *by)))
        .collect();
    let alone = steps.iter().map(|step| vec![*step]);
    let pairs = steps.iter().enumerate().flat_map(|(at, step)| {
        let others = steps[..at].iter().filter(|other| other.0 != step.0);
        others.map(|other| vec![*other, *step])
    });
    let tries = alone.chain(pairs).filter_map(|steps| stepped(exceptions, &steps));
    for other in tries.take(REPAIRS_MAX) {
        let outcome = run(&other)?;
        if fails(&outcome) {
            return Ok(Some((other, outcome)));
        }
    }
    Ok(None)
}

/// The exceptions with some of them at other numbers, unless one of those is taken or below 0.
fn stepped(exceptions: &[Exception], steps: &[(usize, i32)]) -> Option<Vec<Exception>> {
    let mut other = exceptions.to_vec();
    for (index, by) in steps {
        let anchor = &mut other[*index].anchor;
        anchor.n = anchor.n.checked_add_signed(*by)?;
    }
    let anchors: BTreeSet<&Anchor> = other.iter().map(|exception| &exception.anchor).collect();
    (anchors.len() == other.len()).then_some(other)
}
