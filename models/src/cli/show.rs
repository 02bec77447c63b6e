//! Verbs that run nothing: `scenario`, `fault`, `findings`, `completions`, `man`.

use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};
use falconry_sim::fault::Fault;
use serde::Serialize;

use super::choice::unusable;
use super::examine::Examiner;
use super::exit::{Exit, Stop};
use super::output::{TABLE_WIDTH, grouped};
use super::replay::write_capsule;
use super::session::Session;
use super::typed::{FaultVerb, Findings, Scenario, StoreFlags, Typed};
use crate::report::{Report, Trust};
use crate::scenario;
use crate::store::{Known, Sighting, Store};
use crate::swarm::{self, Examine};

/// Where capsules are kept that once were findings.
const REGRESSIONS: &str = "snapshots/regressions";

/// The folder around it, which tells a clone.
const SNAPSHOTS: &str = "snapshots";

#[derive(Serialize)]
struct FaultLine {
    name: &'static str,
    when: String,
    meaning: &'static str,
}

/// `fault`.
pub fn fault(session: &Session, verb: &FaultVerb) -> Result<Exit, Stop> {
    let FaultVerb::List = verb;
    let mut table = plain_table(["name", "when", "meaning"]);
    for fault in Fault::ALL {
        let (name, when, meaning) = (fault.name(), fault.when().to_string(), fault.meaning());
        table.add_row([name, &when, meaning]);
        session.output.object("fault", &FaultLine { name, when, meaning })?;
    }
    session.output.text(&format!("{}\n", table.trim_fmt()))?;
    Ok(Exit::Nothing)
}

#[derive(Serialize)]
struct ScenarioLine<'a> {
    name: &'a str,
    engines: Vec<&'static str>,
    about: &'a str,
}

/// `scenario`.
pub fn scenario(session: &Session, verb: &Scenario) -> Result<Exit, Stop> {
    match verb {
        Scenario::List => list_scenarios(session)?,
        Scenario::Show { name } => {
            scenario::find(name).map_err(unusable)?;
            let built_in = scenario::list().iter().find(|scenario| scenario.name == name);
            let text = match built_in {
                Some(scenario) => scenario.text.to_string(),
                None => std::fs::read_to_string(name)
                    .map_err(|error| Stop::Usage(format!("{name}: {error}")))?,
            };
            say_toml(session, name, &text)?;
        }
        Scenario::New => say_toml(session, "new", scenario::template())?,
    }
    Ok(Exit::Nothing)
}

#[derive(Serialize)]
struct TomlLine<'a> {
    name: &'a str,
    toml: &'a str,
}

fn say_toml(session: &Session, name: &str, toml: &str) -> Result<(), Stop> {
    session.output.object("scenario", &TomlLine { name, toml })?;
    session.output.text(toml)
}

fn list_scenarios(session: &Session) -> Result<(), Stop> {
    let mut table = plain_table(["scenario", "engines", "about"]);
    for built_in in scenario::list() {
        let scenario = scenario::find(built_in.name).map_err(unusable)?;
        let engines: Vec<&'static str> =
            crate::engine::names().into_iter().filter(|name| scenario.admits(name)).collect();
        table.add_row([built_in.name, &engines.join(", "), &scenario.about]);
        let line = ScenarioLine { name: built_in.name, engines, about: &scenario.about };
        session.output.object("scenario", &line)?;
    }
    session.output.text(&format!("{}\n", table.trim_fmt()))
}

/// `findings`.
pub fn findings(session: &Session, verb: &Findings) -> Result<Exit, Stop> {
    match verb {
        Findings::List { store } => list_findings(session, store)?,
        Findings::Accept { signature, into, store } => accept(session, signature, into, store)?,
        Findings::Show { signature, store } => show_finding(session, signature, store)?,
    }
    Ok(Exit::Nothing)
}

fn list_findings(session: &Session, flags: &StoreFlags) -> Result<(), Stop> {
    let path = session.store_path(flags);
    let known = match Store::open_existing(&path)? {
        Some(store) => store.signatures()?,
        None => Vec::new(),
    };
    let mut table = plain_table(["signature", "engine", "seeds", "state", "since", "what"]);
    for known in &known {
        session.output.object("finding", known)?;
        table.add_row([
            &known.signature,
            &known.engine,
            &grouped(known.count),
            state(known),
            &known.first_revision,
            &known.sentence,
        ]);
    }
    if known.is_empty() {
        session.output.text(&format!("no finding in {}\n", path.display()))
    } else {
        session.output.text(&format!("{}\n", table.trim_fmt()))
    }
}

/// New, known or gone, as the newest run says.
fn state(known: &Known) -> &'static str {
    match known {
        Known { expected: true, .. } => "expected",
        Known { in_newest_run: false, .. } => "gone",
        Known { runs: 1, .. } => "new",
        _ => "known",
    }
}

/// The newest sighting of a signature.
fn sighting(session: &Session, signature: &str, flags: &StoreFlags) -> Result<Sighting, Stop> {
    let path = session.store_path(flags);
    let store = Store::open_existing(&path)?;
    let sighting = store.map(|store| store.of_signature(signature)).transpose()?.flatten();
    sighting.ok_or_else(|| {
        Stop::Usage(format!(
            "there is no finding '{signature}' in {}; `findings list` shows all",
            path.display()
        ))
    })
}

/// How long a finding is made small before it is kept.
const ACCEPT_FOR: Duration = Duration::from_secs(20);

/// Makes a finding small and writes its capsule into a folder of regressions.
fn accept(session: &Session, signature: &str, into: &Path, flags: &StoreFlags) -> Result<(), Stop> {
    let Sighting { case, .. } = sighting(session, signature, flags)?;
    if into == Path::new(REGRESSIONS) && !Path::new(SNAPSHOTS).is_dir() {
        return Err(Stop::Usage(format!(
            "there is no folder {SNAPSHOTS} here; call this in a clone, or name a folder by --into DIR"
        )));
    }
    swarm::install_interrupts();
    let shrink = Some(session.shrinking(ACCEPT_FOR, None));
    let examine = Examine { shrink, ..Examine::default() };
    let verdict = Examiner::start()?.examine(&case, examine)?;
    let same = verdict.finding.as_ref().is_some_and(|finding| finding.signature() == signature);
    let Some(shrunk) = verdict.shrunk().filter(|_| same) else {
        return Err(Stop::Usage(format!(
            "seed {} of {} {} does not fail by '{signature}' any more: there is nothing to keep",
            case.seed, case.engine, case.scenario
        )));
    };
    let file = into.join(format!("{}-{}.capsule", case.engine, signature.replace('/', "-")));
    write_capsule(&file, &shrunk.capsule)?;
    session.output.object("accepted", &serde_json::json!({ "capsule": file, "shrunk": shrunk }))?;
    session.output.text(&format!("{}: {}\n", file.display(), shrunk.sentence()))
}

fn show_finding(session: &Session, signature: &str, flags: &StoreFlags) -> Result<(), Stop> {
    let sighting = sighting(session, signature, flags)?;
    session.output.object("finding", &sighting.finding)?;
    let report = Report {
        case: &sighting.case,
        finding: &sighting.finding,
        drawn: &[],
        events: &[],
        seen: Some(format!("{} seeds of its newest run", grouped(sighting.count))),
        control: None,
        trust: Trust::NotRepeated("as it was kept; `report` runs the seed again".into()),
        revision: &session.revision,
        shrunk: None,
        capsule: None,
        recording: None,
        caller: session.caller,
    };
    session.output.text(&report.text())
}

/// A table in ASCII, as wide as what is printed may be.
pub fn plain_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).force_no_tty().set_header(header);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(TABLE_WIDTH);
    table
}

/// `completions`.
pub fn completions(session: &Session, shell: clap_complete::Shell) -> Result<Exit, Stop> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Typed::command(), "falconry", &mut text);
    session.output.raw(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Nothing)
}

/// `man`.
pub fn man(session: &Session, dir: &Path) -> Result<Exit, Stop> {
    let refused = |error| Stop::Results(format!("man pages in {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(refused)?;
    clap_mangen::generate_to(Typed::command(), dir).map_err(refused)?;
    session.output.status("Written", &format!("man pages to {}", dir.display()));
    Ok(Exit::Nothing)
}
