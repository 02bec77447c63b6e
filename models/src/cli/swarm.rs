//! `swarm`: what its flags mean, and what is done with its results.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use serde::Serialize;

use super::choice::{CANARY, Choice, canary};
use super::command::profile_name;
use super::examine::{Examiner, Files, Verdict};
use super::exit::{Exit, Stop};
use super::output::{TABLE_WIDTH, grouped};
use super::session::Session;
use super::typed;
use super::values::{Partition, SeedRange};
use crate::run::{Case, Finding, Property};
use crate::store::{Artefacts, NewRun, Sighting, Store, StoreError};
use crate::swarm::{
    self, Canary, Ending, Examine, Found, Goal, Mode, Progress, Results, Row, Seeds, Summary,
    Tally, believed_after, identity, is_interrupted, summaries, table,
};

/// How long a swarm runs when neither seeds nor time are given.
const DURATION: Duration = Duration::from_secs(60);

/// Seeds drawn at random are below this, so that they can be typed.
const RANDOM_SEED_BITS: u32 = 40;

/// Signatures with a full report; of the others the first line is shown.
const REPORTS_MAX: usize = 8;

/// What the table calls the sum when the canary ran beside the parts.
const ALL_OTHERS: &str = "all but canary";

/// Runs the verb.
pub fn swarm(session: &Session, typed: &typed::Swarm) -> Result<Exit, Stop> {
    let store = session.store(&typed.store);
    let plan = Plan::new(session, typed, store.as_ref())?;
    if plan.planned() == Some(0) {
        session.output.complain(&format!(
            "no seed is left: {}..{} has none in slice {}/{}",
            plan.goal.seeds.from,
            plan.goal.seeds.until,
            plan.goal.seeds.slice,
            plan.goal.seeds.slices
        ));
        return Ok(Exit::NoSeed);
    }
    let line = describe(&plan.goal.parts, &session.revision, "5 % checked twice");
    session.output.status("Running", &line);
    if plan.range.is_none() {
        session.output.status("Seeds", &format!("from {} on", plan.goal.seeds.from));
    }
    swarm::install_interrupts();
    session.output.object(
        "swarm",
        &Head {
            revision: &session.revision,
            jobs: plan.goal.jobs,
            first_seed: plan.goal.seeds.from,
        },
    )?;
    let shown = plan.planned().unwrap_or(0).saturating_mul(plan.goal.parts.len() as u64);
    let mut progress = Progress::new(session.output, shown, plan.goal.duration);
    let results = swarm::run(&plan.goal, &mut progress)?;
    conclude(session, &plan, results, store)
}

/// What the flags mean.
struct Plan {
    goal: Goal,
    /// The seeds, when they were given.
    range: Option<SeedRange>,
    /// What another swarm must have in common to go on with it.
    identity: String,
    /// Whether the canary's own verdict was asked for.
    asks_for_canary: bool,
    /// How long each finding is made small.
    shrink_for: Duration,
}

impl Plan {
    fn new(session: &Session, typed: &typed::Swarm, store: Option<&Store>) -> Result<Plan, Stop> {
        let config = &session.config;
        let choice = Choice::new(&typed.case, config);
        let asks_for_canary = choice.engine.as_deref() == Some(CANARY);
        let mut parts = choice.cases()?;
        parts.retain(|case| asks_for_canary || case.engine != CANARY);
        let range = typed.seeds.or(config.seeds);
        let partition = typed.partition.or(config.partition).unwrap_or(Partition::WHOLE);
        let typed_duration = typed.duration.or(config.duration).map(|span| span.0);
        let is_open = range.is_none() && typed_duration.is_none();
        let mut seeds = Seeds::new(
            range.unwrap_or_else(|| SeedRange { from: random_seed(), until: u64::MAX }),
            partition,
        );
        let identity = identity(&parts, range.map(|_| seeds));
        let mut resumed = Vec::new();
        if typed.resume {
            match store.map(|store| store.newest_of_plan(&identity)).transpose()?.flatten() {
                Some((first_seed, tallies)) if tallies.len() == parts.len() => {
                    seeds.from = first_seed;
                    resumed = tallies;
                }
                _ => {
                    session.output.warn("no swarm of the same plan is known: this one starts anew")
                }
            }
        }
        let goal = Goal {
            seeds,
            mode: Mode::Swarm,
            jobs: session.jobs(typed.jobs),
            duration: if is_open { Some(DURATION) } else { typed_duration },
            fail_fast: typed.fail_fast,
            silence: typed.silence.map_or(swarm::SILENCE_MAX, |span| span.0),
            // Asked for nothing but its verdict, the canary need not sing for a minute.
            until_each_found: asks_for_canary && is_open,
            canary: (!asks_for_canary).then(canary),
            resumed,
            parts,
        };
        let shrink_for = typed.shrink_for.0;
        Ok(Plan { goal, range, identity, asks_for_canary, shrink_for })
    }

    /// Seeds of each part, when they were given.
    fn planned(&self) -> Option<u64> {
        self.range.map(|_| self.goal.seeds.count())
    }
}

/// A finding of the whole swarm: one signature of one engine.
struct Discovery {
    /// The case of the first part that had it, with the lowest seed there.
    case: Case,
    /// What it was there; its count is that of all parts.
    found: Found,
    /// The scenarios that had it.
    scenarios: Vec<String>,
}

fn conclude(
    session: &Session,
    plan: &Plan,
    results: Results,
    mut store: Option<Store>,
) -> Result<Exit, Stop> {
    let mut exit = exit_of(plan, &results).and_if(store.is_none(), Exit::Results);
    let discoveries = discoveries(plan, &results);
    let kept = match &mut store {
        Some(store) => match keep(session, plan, &results, &discoveries, store) {
            Ok(kept) => Some(kept),
            Err(error) => {
                session.complain_of(&error);
                exit = exit.and(Exit::Results);
                None
            }
        },
        None => None,
    };
    if let Some(broken) = &results.broken {
        session.output.complain(broken);
    }
    if plan.canary(&results) == Canary::NotConvicted && !is_interrupted() {
        session.output.complain(
            "the canary was not convicted of the bug that it is known to have: this swarm is blind, and \
             what it did not find tells nothing",
        );
    }
    let counted = discoveries.iter().filter(|discovery| plan.counts(&discovery.found.finding));
    let is_kept = say_findings(session, plan, &results, counted, kept.as_ref())?;
    exit = exit.and_if(!is_kept, Exit::Results);
    say_summaries(session, plan, &results)?;
    Ok(exit)
}

impl Plan {
    /// Whether a finding counts: expected ones do not, unless they were asked for.
    fn counts(&self, finding: &Finding) -> bool {
        self.asks_for_canary || !finding.expected_finding
    }

    /// Runs a finding again and makes it small. Where that costs the worker, it is run as it is.
    fn examined(
        &self,
        session: &Session,
        examiner: &mut Examiner,
        discovery: &Discovery,
    ) -> Result<Verdict, Stop> {
        let case = &discovery.case;
        // Two runs that differ, or a machine that stands still, have nothing to hold on to.
        let is_steady = discovery.found.finding.property != Property::Nondeterminism;
        if is_steady && !self.shrink_for.is_zero() {
            let shrink = Some(session.shrinking(self.shrink_for, None));
            let verdict = examiner.examine(case, Examine { shrink, ..Examine::default() })?;
            if verdict.kept.is_some() {
                return Ok(verdict);
            }
            *examiner = Examiner::start()?;
        }
        examiner.examine(case, Examine::default())
    }

    fn canary(&self, results: &Results) -> Canary {
        match &results.canary {
            Some((canary, _)) => *canary,
            None => {
                let found = results.tallies.iter().flat_map(|tally| tally.found.values());
                let convicted = found.filter(|found| found.finding.expected_finding);
                convicted
                    .map(|found| found.seed.saturating_sub(self.goal.seeds.from) + 1)
                    .min()
                    .map_or(Canary::NotConvicted, Canary::Convicted)
            }
        }
    }
}

fn exit_of(plan: &Plan, results: &Results) -> Exit {
    let findings = || results.tallies.iter().flat_map(|tally| tally.found.values());
    let differs = findings().any(|found| found.finding.property == Property::Nondeterminism);
    let is_found = findings().any(|found| plan.counts(&found.finding));
    let run: u64 = results.tallies.iter().map(|tally| tally.run).sum();
    let planned = plan.planned();
    let is_short = match results.ending {
        Ending::Complete => results.tallies.iter().any(|tally| Some(tally.run) != planned),
        // A part without any result is red, whatever ended the swarm.
        Ending::Satisfied => results.tallies.iter().any(|tally| tally.run == 0) && !is_found,
        Ending::Interrupted | Ending::Broken => false,
    };
    Exit::Nothing
        .and_if(run == 0, Exit::NoSeed)
        .and_if(is_found, Exit::Found)
        .and_if(is_short, Exit::Inconclusive)
        .and_if(results.ending == Ending::Interrupted, Exit::Interrupted)
        .and_if(results.broken.is_some(), Exit::OurBug)
        .and_if(plan.canary(results) == Canary::NotConvicted && !is_interrupted(), Exit::OurBug)
        .and_if(differs, Exit::Nondeterminism)
}

/// What was found, each signature once; of the canary that ran beside the parts too.
fn discoveries(plan: &Plan, results: &Results) -> Vec<Discovery> {
    let parts = plan.goal.parts.iter().zip(&results.tallies);
    let canary = plan.goal.canary.as_ref().zip(results.canary.as_ref().map(|(_, tally)| tally));
    let mut discoveries: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut list: Vec<Discovery> = Vec::new();
    for (case, tally) in parts.chain(canary) {
        for (signature, found) in &tally.found {
            if let Some(index) = discoveries.get(&(&*case.engine, &**signature)) {
                list[*index].found.count += found.count;
                list[*index].scenarios.push(case.scenario.clone());
                continue;
            }
            discoveries.insert((&case.engine, signature), list.len());
            list.push(Discovery {
                case: Case { seed: found.seed, ..case.clone() },
                found: found.clone(),
                scenarios: vec![case.scenario.clone()],
            });
        }
    }
    // Within the budget first, then by the faults beyond it.
    list.sort_by_key(|discovery| discovery.found.finding.beyond());
    list
}

/// What the results file made of the run.
struct Kept {
    artefacts: Artefacts,
    /// The revision in which each signature of an engine was seen first.
    first_revisions: BTreeMap<(String, String), String>,
}

/// Writes the run to the results file.
fn keep(
    session: &Session,
    plan: &Plan,
    results: &Results,
    discoveries: &[Discovery],
    store: &mut Store,
) -> Result<Kept, StoreError> {
    let parts: Vec<(Case, Tally)> =
        plan.goal.parts.iter().cloned().zip(results.tallies.iter().cloned()).collect();
    let sightings: Vec<Sighting> = discoveries
        .iter()
        .map(|Discovery { case, found, .. }| Sighting {
            case: case.clone(),
            finding: found.finding.clone(),
            count: found.count,
        })
        .collect();
    let run = store.add(&NewRun {
        command: "swarm",
        revision: &session.revision,
        plan: &plan.identity,
        first_seed: plan.goal.seeds.from,
        parts: &parts,
        sightings: &sightings,
    })?;
    let known = store.signatures()?.into_iter();
    Ok(Kept {
        artefacts: store.artefacts(run),
        first_revisions: known.map(|it| ((it.signature, it.engine), it.first_revision)).collect(),
    })
}

/// Runs each finding again, shows its report and keeps its files; says whether they could be kept.
fn say_findings<'a>(
    session: &Session,
    plan: &Plan,
    results: &Results,
    discoveries: impl Iterator<Item = &'a Discovery>,
    kept: Option<&Kept>,
) -> Result<bool, Stop> {
    let mut examiner: Option<Examiner> = None;
    let mut is_kept = true;
    let run: u64 = results.tallies.iter().map(|tally| tally.run).sum();
    for (index, discovery) in discoveries.enumerate() {
        let (finding, count) = (&discovery.found.finding, discovery.found.count);
        let is_short = index >= REPORTS_MAX;
        let mut verdict = Verdict { case: discovery.case.clone(), finding: None, kept: None };
        // A lost worker would only be lost again; its finding tells all there is.
        if finding.property != Property::Worker && !is_short && !is_interrupted() {
            let examiner = match &mut examiner {
                Some(examiner) => examiner,
                None => examiner.insert(Examiner::start()?),
            };
            verdict = plan.examined(session, examiner, discovery)?;
            if session.holds_still {
                verdict.hold_still();
            }
        }
        let seen = seen(discovery, run, &verdict, kept);
        if verdict.shrunk().is_none() {
            verdict.finding = Some(finding.clone());
        }
        let files = match kept.map(|kept| keep_files(session, &kept.artefacts, &verdict)) {
            None => Files::default(),
            Some(Ok(files)) => files,
            Some(Err(error)) => {
                session.output.complain(&format!("artefacts of {}: {error}", finding.signature()));
                is_kept = false;
                Files::default()
            }
        };
        let line = verdict.finding_line(session, finding, count, &files);
        session.output.object("finding", &line)?;
        if let Some(report) = verdict.report(session, Some(seen), &files) {
            let shown = if is_short { report.lines().next().unwrap_or("") } else { &report };
            session.output.text(&format!("{shown}\n"))?;
        }
    }
    Ok(is_kept)
}

/// How often a finding came, where, since when, and whether it came once more.
fn seen(discovery: &Discovery, run: u64, verdict: &Verdict, kept: Option<&Kept>) -> String {
    let Discovery { case, found, scenarios } = discovery;
    let signature = found.finding.signature();
    let mut text =
        format!("{} of {} seeds, signature {signature}", grouped(found.count), grouped(run));
    if scenarios.len() > 1 {
        text += &format!(", in {}", scenarios.join(", "));
    }
    let key = (signature.clone(), case.engine.clone());
    if let Some(revision) = kept.and_then(|kept| kept.first_revisions.get(&key)) {
        text += &format!(", new since {revision}");
    }
    let again = verdict.finding.as_ref().map(Finding::signature);
    if verdict.kept.is_some() && again != Some(signature) {
        text += "; it did NOT come again when the seed was run once more";
    }
    if let Some(seeds) = believed_after(found.count, run) {
        text +=
            &format!("\na fix can be believed after {} seeds without it, at 95 %", grouped(seeds));
    }
    text
}

/// Writes capsule, recording, trace and report; returns the paths of the first two.
fn keep_files(
    session: &Session,
    artefacts: &Artefacts,
    verdict: &Verdict,
) -> std::io::Result<Files> {
    let mut files = Files::default();
    let Some(finding) = &verdict.finding else { return Ok(files) };
    let seed = verdict.case.seed;
    let name = format!("{}-{seed}", finding.signature().replace('/', "-"));
    if let Some(shrunk) = verdict.shrunk() {
        let file = artefacts.write(&format!("{name}.capsule"), &shrunk.capsule)?;
        files.capsule = Some(file.display().to_string());
    }
    if let Some(recording) = verdict.recording(&session.revision) {
        let file = artefacts.write(&format!("{name}.recording"), &recording)?;
        files.recording = Some(file.display().to_string());
    }
    if let Some(kept) = &verdict.kept {
        let lines = kept.events.iter().map(serde_json::to_string);
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        artefacts.write(&format!("{name}.trace.jsonl"), &(lines.join("\n") + "\n"))?;
    }
    if let Some(report) = verdict.report(session, None, &files) {
        let plain = anstream::adapter::strip_str(&report).to_string();
        artefacts.write(&format!("{name}.report.txt"), &plain)?;
    }
    artefacts.link_latest()?;
    Ok(files)
}

/// A swarm begins.
#[derive(Serialize)]
struct Head<'a> {
    revision: &'a str,
    jobs: usize,
    first_seed: u64,
}

fn say_summaries(session: &Session, plan: &Plan, results: &Results) -> Result<(), Stop> {
    let planned = |tally: &Tally| plan.planned().unwrap_or(tally.run);
    let parts = plan.goal.parts.iter().zip(&results.tallies);
    let rows: Vec<Row<'_>> =
        parts.map(|(case, tally)| Row { case, planned: planned(tally), tally }).collect();
    let canary = plan.canary(results);
    let mut lines = summaries(&rows, canary, plan.goal.jobs, results.wall);
    if let (Some(case), Some((_, tally))) = (&plan.goal.canary, &results.canary) {
        // The canary's own line stands beside the others, and is no part of the sum but for what was
        // expected.
        let own = [Row { case, planned: tally.run, tally }];
        let own = summaries(&own, canary, 1, tally.busy).swap_remove(0);
        if let Some(all) = lines.last_mut() {
            all.expected += own.expected;
        }
        lines.insert(lines.len() - 1, own);
    }
    if plan.asks_for_canary {
        for line in &mut lines {
            line.findings += std::mem::take(&mut line.expected);
        }
    }
    for line in &lines {
        session.output.object("summary", line)?;
    }
    let mut shown = lines.clone();
    if let Some(all) = shown.last_mut().filter(|_| results.canary.is_some()) {
        // Its seeds are no part of the sum, so its findings are told in its own row alone.
        (all.engine, all.expected) = (ALL_OTHERS.into(), 0);
    }
    session.output.text(&format!("{}\n", table(&shown, Some(TABLE_WIDTH))))?;
    if let Some(all) = lines.last() {
        if !all.beyond.is_empty() {
            let by_fault = all.beyond.iter().map(|(faults, count)| format!("{faults} {count}"));
            let by_fault = by_fault.collect::<Vec<_>>().join(", ");
            session.output.text(&format!("beyond the budget, by fault: {by_fault}\n"))?;
        }
        session.output.text(&silence(all))?;
        session.output.text(&format!("digest {}\n", all.digest))?;
    }
    Ok(())
}

/// What the runs without a finding tell, and where the swarm was blind.
fn silence(all: &Summary) -> String {
    let mut text = String::new();
    if let Some(percent) = all.missed_below_percent {
        let runs = grouped(all.run);
        text += &format!(
            "0 findings in {runs} runs: a bug still there shows in less than {percent:.2e} % of runs, \
             at 95 %\n"
        );
    }
    for (engine, faults) in &all.never_delivered {
        let names: Vec<&str> = faults.iter().copied().collect();
        text += &format!("claimed by {engine} and never delivered to it: {}\n", names.join(", "));
    }
    if !all.never_reached.is_empty() {
        text += &format!("never reached: {}\n", all.never_reached.join(", "));
    }
    text
}

/// What is run, in one line.
pub fn describe(parts: &[Case], revision: &str, how: &str) -> String {
    let mut engines: Vec<&str> = parts.iter().map(|case| &*case.engine).collect();
    engines.dedup();
    let scenarios = match parts {
        [only] => only.scenario.clone(),
        several => format!("{} parts", several.len()),
    };
    let first = &parts[0];
    let budget = if first.beyond_budget { "beyond budget" } else { "within budget" };
    let broken = if first.break_sync { ", every sync swallowed" } else { "" };
    format!(
        "{} {scenarios} at {revision} (faults {}, {budget}{broken}; {how})",
        engines.join(", "),
        profile_name(first.faults),
    )
}

/// A seed that nobody chose, from the system.
pub fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    // Without it every call would start at the same seed: less is found, nothing is wrong.
    drop(read);
    u64::from_le_bytes(bytes) >> (u64::BITS - RANDOM_SEED_BITS)
}
