//! `run`, `replay` and `report`: single cases, with all that they leave behind.

use std::io::Read;
use std::path::Path;

use falconry_sim::choice::{CAPSULE_BYTES_MAX, Capsule, CapsuleError, Recording};
use falconry_sim::trace::{Event, What};

use super::choice::{Choice, laid_over, told, unusable};
use super::examine::{Examiner, Files, Verdict};
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
        ..subject.driven()
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
    if let Some(fit) = &kept.fit {
        session.output.object("alignment", &serde_json::json!({ "alignment": fit }))?;
        session.output.text(&format!("alignment  {fit}\n"))?;
    }
    if let Some(divergence) = &kept.divergence {
        session.output.warn(&format!("the recording no longer fits this revision: {divergence}"));
    }
    let exit = if is_stopped {
        session.output.text("stopped before the verdict, as asked\n")?;
        Exit::Inconclusive
    } else {
        say_outcome(session, &verdict)?;
        let is_lost = kept.divergence.is_some() || verdict.is_lost();
        verdict.exit().and_if(is_lost, Exit::Inconclusive)
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
    let verdict = subject.examine(session, subject.driven())?;
    verdict.say_objects(session)?;
    say_outcome(session, &verdict)?;
    Ok(Exit::Nothing)
}

/// `shrink`.
pub fn shrink(session: &Session, typed: &typed::Shrink) -> Result<Exit, Stop> {
    let subject = Subject::find(session, &typed.what, &typed.case, &typed.store)?;
    if subject.driver.recording.is_some() {
        return Err(Stop::Usage(format!(
            "'{}' is a recording, which fits its own revision only; shrink its seed: {}",
            typed.what,
            session.caller.of_case("shrink", &subject.case)
        )));
    }
    let shrink = Some(session.shrinking(typed.duration.0, typed.jobs));
    let verdict = subject.examine(session, Examine { shrink, ..subject.driven() })?;
    let (Some(finding), Some(shrunk)) = (&verdict.finding, verdict.shrunk()) else {
        verdict.say_objects(session)?;
        say_outcome(session, &verdict)?;
        let is_lost = verdict.finding.is_some() || verdict.is_lost();
        return Ok(Exit::Nothing.and_if(is_lost, Exit::Inconclusive));
    };
    let name = format!("{}-{}.capsule", finding.signature().replace('/', "-"), subject.case.seed);
    let file = match &typed.out {
        Some(file) => file.clone(),
        None => session.store_path(&typed.store).with_file_name("runs").join("shrunk").join(name),
    };
    let files = Files { capsule: Some(file.display().to_string()), recording: None };
    session.output.object("finding", &verdict.finding_line(session, finding, 1, &files))?;
    session.output.text(&verdict.report(session, None, &files).unwrap_or_default())?;
    write_capsule(&file, &shrunk.capsule)?;
    session.output.status("Written", &files.capsule.unwrap_or_default());
    Ok(Exit::Found)
}

/// Writes a capsule where it is wished.
///
/// # Errors
///
/// [`Stop::Results`] as the system refuses.
pub fn write_capsule(file: &Path, text: &str) -> Result<(), Stop> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(file, text))
        .map_err(|error| Stop::Results(format!("{}: {error}", file.display())))
}

/// The text of a file that drives a run in place of the seed.
#[derive(Default)]
struct Driver {
    recording: Option<String>,
    capsule: Option<String>,
}

/// What `SEED|FILE|latest` stands for.
struct Subject {
    case: Case,
    driver: Driver,
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
                Some(Subject { case, driver }) => {
                    let typed = laid_over(flags, case.clone());
                    if typed != case {
                        let flags = told(flags).join(", ");
                        let text =
                            format!("seed {seed} was found otherwise: {flags} change its case");
                        session.output.warn(&text);
                    }
                    Subject { case: typed, driver }
                }
                None => Subject { case: choice.only_case(seed)?, driver: Driver::default() },
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
        Ok(sighting.map(|sighting| Subject { case: sighting.case, driver: Driver::default() }))
    }

    fn of_file(session: &Session, file: &str) -> Result<Subject, Stop> {
        let unusable = |what: String| Stop::Usage(format!("{file}: {what}"));
        let text = read_text(Path::new(file)).map_err(unusable)?;
        let (case, told, driver) = if Capsule::is_meant(&text) {
            let capsule = Capsule::from_text(&text).map_err(|e| unusable(e.to_string()))?;
            let case = crate::shrink::case_of(&capsule).map_err(unusable)?;
            (case, None, Driver { capsule: Some(text), recording: None })
        } else {
            let recording = Recording::from_text(&text).map_err(|e| unusable(e.to_string()))?;
            let case = case_of(&recording).ok_or_else(|| {
                unusable("it does not say its case in a form that this program reads".into())
            })?;
            let told = recording.property("revision").map(String::from);
            (case, told, Driver { recording: Some(text), capsule: None })
        };
        if let Some(revision) = told.filter(|told| *told != session.revision) {
            session.output.warn(&format!(
                "{file} was recorded at {revision}, this is {}: a recording fits its own revision only",
                session.revision
            ));
        }
        Ok(Subject { case, driver })
    }

    /// An examination that is driven as this is.
    fn driven(&self) -> Examine {
        let Driver { recording, capsule } = &self.driver;
        Examine { recording: recording.clone(), capsule: capsule.clone(), ..Examine::default() }
    }

    fn examine(&self, session: &Session, examine: Examine) -> Result<Verdict, Stop> {
        let Case { engine, scenario, seed, .. } = &self.case;
        let text = format!("seed {seed} of {engine} {scenario} at {}", session.revision);
        session.output.status("Replaying", &text);
        install_interrupts();
        let mut verdict = Examiner::start()?.examine(&self.case, examine)?;
        if session.holds_still {
            verdict.hold_still();
        }
        Ok(verdict)
    }
}

/// The text of a file, read no further than it must be to know that it is of no use.
fn read_text(file: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut opened = std::fs::File::open(file).map_err(told)?;
    let mut bytes = Vec::new();
    let limit = CAPSULE_BYTES_MAX as u64 + 1;
    opened.by_ref().take(limit).read_to_end(&mut bytes).map_err(told)?;
    let no_text = |_| "it holds bytes that are no text".to_string();
    if bytes.starts_with(b"falconry capsule ") {
        // What was cut in the middle of a letter is too long in any case.
        let is_long = bytes.len() as u64 == limit;
        return match String::from_utf8(bytes) {
            Err(_) if is_long => Err(CapsuleError::TooLong.to_string()),
            text => text.map_err(no_text),
        };
    }
    if !bytes.starts_with(b"falconry recording ") {
        let is_text = !bytes.contains(&0) && !bytes.is_empty();
        let why = if is_text { "its first line says neither" } else { "it holds no text" };
        return Err(format!("neither a capsule nor a recording: {why}"));
    }
    opened.read_to_end(&mut bytes).map_err(told)?;
    String::from_utf8(bytes).map_err(no_text)
}

/// The report of a failure, or one line of a success.
fn say_outcome(session: &Session, verdict: &Verdict) -> Result<(), Stop> {
    if let Some(report) = verdict.report(session, None, &Files::default()) {
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
