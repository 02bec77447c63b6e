//! `run`, `replay` and `report`: single cases, with all that they leave behind.

use std::path::Path;

use falconry_sim::choice::Recording;
use falconry_sim::trace::{Event, What};

use super::choice::{Choice, laid_over, told, unusable};
use super::examine::{Examiner, Verdict};
use super::exit::{Exit, Stop};
use super::output::{GREEN, counted, grouped};
use super::session::Session;
use super::typed;
use super::typed::{CaseFlags, StoreFlags};
use super::values::Seed;
use crate::report::{Told, is_end, tell};
use crate::run::properties::case_of;
use crate::run::{Case, check_case, check_folder};
use crate::store::{NewRun, Sighting, Store};
use crate::swarm::{Examine, install_interrupts, is_interrupted};

/// Events before the step at which a replay was stopped that are shown.
const LOOK_BACK: usize = 20;

/// `run`.
pub fn run(session: &Session, typed: &typed::Run) -> Result<Exit, Stop> {
    let choice = Choice::new(&typed.case, &session.config);
    let drawn = super::swarm::random_seed();
    let seeds: Vec<u64> = match &typed.seeds[..] {
        [] => vec![drawn],
        seeds => seeds.iter().map(|seed| seed.0).collect(),
    };
    let cases: Result<Vec<Case>, Stop> = seeds.iter().map(|seed| choice.only_case(*seed)).collect();
    let cases = cases?;
    let mut store = session.store(&typed.store);
    let mut exit = Exit::Nothing.and_if(store.is_none(), Exit::Results);
    install_interrupts();
    let mut examiner = Examiner::start()?;
    let mut sightings = Vec::new();
    for case in &cases {
        if is_interrupted() {
            exit = exit.and(Exit::Interrupted);
            break;
        }
        let Case { engine, scenario, seed, .. } = case;
        session.output.status("Running", &format!("seed {seed} of {engine} {scenario}"));
        let verdict = examiner.examine(case, Examine::default())?;
        exit = exit.and(verdict.exit());
        verdict.say_objects(session)?;
        say_outcome(session, &verdict)?;
        if let Some(finding) = &verdict.finding {
            sightings.push(Sighting { case: case.clone(), finding: finding.clone(), count: 1 });
        }
    }
    if let Some(store) = &mut store {
        let added = store.add(&NewRun {
            command: "run",
            revision: &session.revision,
            plan: "",
            first_seed: seeds[0],
            parts: &[],
            sightings: &sightings,
        });
        if let Err(error) = added {
            session.complain_of(&error);
            exit = exit.and(Exit::Results);
        }
    }
    Ok(exit)
}

/// `replay`.
pub fn replay(session: &Session, typed: &typed::Replay) -> Result<Exit, Stop> {
    let subject = Subject::find(session, &typed.what, &typed.case, &typed.store)?;
    let examine = Examine {
        stop_at_step: typed.step.map(|step| step.0),
        export: typed.export.clone(),
        recording: subject.recording.clone(),
        ..Examine::default()
    };
    if let Some(folder) = &typed.export {
        let refused = |what| Stop::Usage(format!("--export {}: {what}", folder.display()));
        check_folder(folder).map_err(refused)?;
    }
    let verdict = subject.examine(session, examine)?;
    verdict.say_objects(session)?;
    let Some(kept) = verdict.kept.as_deref() else {
        say_outcome(session, &verdict)?;
        return Ok(verdict.exit());
    };
    for event in &kept.events {
        session.output.object("event", event)?;
    }
    let is_stopped = typed.step.is_some_and(|step| kept.outcome.counters.steps >= step.0)
        && verdict.finding.is_none();
    if session.output.verbose > 0 {
        session.output.text(&listing(&tell(&kept.events)))?;
    } else if is_stopped {
        let from = kept.events.len().saturating_sub(LOOK_BACK);
        session.output.text(&listing(&tell(&kept.events)[from..]))?;
    } else {
        session.output.text(&boots(&kept.events))?;
    }
    if let Some(divergence) = &kept.divergence {
        session.output.warn(&format!("the recording no longer fits this revision: {divergence}"));
    }
    let exit = if is_stopped {
        session.output.text("stopped before the verdict, as asked\n")?;
        Exit::Inconclusive
    } else {
        say_outcome(session, &verdict)?;
        verdict.exit().and_if(kept.divergence.is_some(), Exit::Inconclusive)
    };
    match (&typed.export, &kept.not_exported) {
        (_, Some(why)) => session.output.complain(why),
        (Some(folder), None) => {
            session.output.status("Exported", &format!("the disk to {}", folder.display()));
        }
        (None, None) => {}
    }
    Ok(exit.and_if(kept.not_exported.is_some(), Exit::Results))
}

/// `report`.
pub fn report(session: &Session, typed: &typed::Report) -> Result<Exit, Stop> {
    let subject = Subject::find(session, &typed.what, &typed.case, &typed.store)?;
    let examine = Examine { recording: subject.recording.clone(), ..Examine::default() };
    let verdict = subject.examine(session, examine)?;
    verdict.say_objects(session)?;
    say_outcome(session, &verdict)?;
    Ok(Exit::Nothing)
}

/// What `SEED|FILE|latest` stands for.
struct Subject {
    case: Case,
    recording: Option<String>,
}

impl Subject {
    fn find(
        session: &Session,
        word: &str,
        flags: &CaseFlags,
        store: &StoreFlags,
    ) -> Result<Subject, Stop> {
        let choice = Choice::new(flags, &session.config);
        let subject = if word == "latest" {
            Self::newest(session, store, |store| store.latest())?.ok_or_else(|| {
                let file = session.store_path(store);
                Stop::Usage(format!("there is no failure in {} yet", file.display()))
            })?
        } else if let Ok(Seed(seed)) = word.parse() {
            let is_told = choice.engine.is_some() || choice.scenario.is_some();
            let known = if is_told {
                None
            } else {
                Self::newest(session, store, |store| store.of_seed(seed))?
            };
            match known {
                Some(Subject { case, recording }) => {
                    let typed = laid_over(flags, case.clone());
                    if typed != case {
                        let flags = told(flags).join(", ");
                        let text =
                            format!("seed {seed} was found otherwise: {flags} change its case");
                        session.output.warn(&text);
                    }
                    Subject { case: typed, recording }
                }
                None => Subject { case: choice.only_case(seed)?, recording: None },
            }
        } else if Path::new(word).exists() {
            Self::of_file(session, word)?
        } else {
            return Err(Stop::Usage(format!(
                "'{word}' is no seed, there is no file of that name, and it is not 'latest'"
            )));
        };
        check_case(&subject.case).map_err(unusable)?;
        if word.parse::<Seed>().is_err() && !told(flags).is_empty() {
            return Err(Stop::Usage(format!(
                "'{word}' has a case of its own, which {} cannot change; leave them out, or name its \
                 seed and what is to differ: {}",
                told(flags).join(", "),
                session.caller.of_case("replay", &subject.case)
            )));
        }
        Ok(subject)
    }

    fn newest(
        session: &Session,
        flags: &StoreFlags,
        pick: impl FnOnce(&Store) -> Result<Option<Sighting>, crate::store::StoreError>,
    ) -> Result<Option<Subject>, Stop> {
        let Some(store) = Store::open_existing(&session.store_path(flags))? else {
            return Ok(None);
        };
        let sighting = pick(&store)?;
        Ok(sighting.map(|sighting| Subject { case: sighting.case, recording: None }))
    }

    fn of_file(session: &Session, file: &str) -> Result<Subject, Stop> {
        let unusable = |what: String| Stop::Usage(format!("{file}: {what}"));
        let bytes = std::fs::read(file).map_err(|e| unusable(e.to_string()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| unusable("not a recording: it holds bytes that are no text".into()))?;
        let recording = Recording::from_text(&text).map_err(|e| unusable(e.to_string()))?;
        let case = case_of(&recording).ok_or_else(|| {
            unusable("it does not say its case in a form that this program reads".into())
        })?;
        if let Some(revision) = recording.property("revision")
            && revision != session.revision
        {
            session.output.warn(&format!(
                "{file} was recorded at {revision}, this is {}: a recording fits its own revision only",
                session.revision
            ));
        }
        Ok(Subject { case, recording: Some(text) })
    }

    fn examine(&self, session: &Session, examine: Examine) -> Result<Verdict, Stop> {
        let Case { engine, scenario, seed, .. } = &self.case;
        let text = format!("seed {seed} of {engine} {scenario} at {}", session.revision);
        session.output.status("Replaying", &text);
        install_interrupts();
        Examiner::start()?.examine(&self.case, examine)
    }
}

/// The report of a failure, or one line of a success.
fn say_outcome(session: &Session, verdict: &Verdict) -> Result<(), Stop> {
    if let Some(report) = verdict.report(session, None, None) {
        return session.output.text(&report);
    }
    let Some(kept) = &verdict.kept else { return Ok(()) };
    let (Case { engine, scenario, seed, .. }, counters) = (&verdict.case, &kept.outcome.counters);
    session.output.text(&format!(
        "{GREEN}PASS{GREEN:#}  seed {seed}  {engine} {scenario}   {}, {}, {} acknowledged, {}   \
         digest {:032x}\n",
        counted(counters.boots, "boot", "boots"),
        counted(counters.power_losses, "power loss", "power losses"),
        counted(counters.commits_acked, "commit", "commits"),
        counted(counters.steps, "step", "steps"),
        kept.outcome.digest
    ))
}

/// Every event in a line.
fn listing(told: &[Told<'_>]) -> String {
    let mut text = String::from("step      time_ns         lane        event\n");
    for Told { event, lane, sentence } in told {
        let (step, time) = (grouped(event.step), grouped(event.time_ns));
        text += &format!("{step:<9} {time:<15} {lane:<11} {sentence}\n");
    }
    text
}

/// One line for each boot: how it ended, and which faults it met.
fn boots(events: &[Event]) -> String {
    let mut text = String::new();
    let mut name = String::new();
    let mut faults: Vec<(&'static str, u64)> = Vec::new();
    for event in events {
        match &event.what {
            What::Boot { number } => name = format!("boot {number}"),
            What::Fault { fault, .. } if !is_end(*fault) => {
                match faults.iter_mut().find(|(name, _)| *name == fault.name()) {
                    Some((_, count)) => *count += 1,
                    None => faults.push((fault.name(), 1)),
                }
            }
            What::Down { how } => {
                let met: Vec<String> =
                    faults.drain(..).map(|(name, count)| format!("{name} {count}")).collect();
                let (step, met) = (grouped(event.step), met.join(", "));
                let line = format!("{name:<8} {how:<14} at step {step:<9} {met}");
                text += &format!("{}\n", line.trim_end());
                // What comes before the next boot happens to a machine that is switched off.
                name = "off".into();
            }
            _ => {}
        }
    }
    text
}
