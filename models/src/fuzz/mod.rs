//! Fuzz targets: bytes go in, and it panics exactly when a judge convicts what they drive.
//!
//! # Method
//!
//! Of a run target's bytes the first says which specimen or scenario is run; all others are the choices of
//! the run ([`falconry_sim::choice::Choices::from_bytes`]). A reader's target takes them for the text or
//! the file that it reads, and compares what was read with what comes of it when it is written and read
//! again. `models/fuzz/` has the programs around these functions.
//!
//! # Invariant
//!
//! What one input does, it does whatever was run before it.

mod corpus;
mod readers;
mod results;

use std::sync::Once;

use crate::run::{Case, Wishes, properties, run_case};
use crate::score;
use crate::specimen::{self, Specimen};
use crate::{engine, scenario};

pub use corpus::{passing, seeds};

/// The longest input that is taken, in bytes.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

/// The environment variable that names the one specimen that target `specimen` runs.
pub const SPECIMEN: &str = "FALCONRY_SPECIMEN";

/// The environment variable that leaves the bugs of specimens out: each conviction is a false alarm then.
pub const MENDED: &str = "FALCONRY_MENDED";

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, as `cargo fuzz` knows it.
    pub name: &'static str,
    /// What it does with the bytes.
    pub about: &'static str,
    /// How.
    pub body: Body,
}

/// What a target does with the bytes.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// They drive a run of this engine, or of a specimen.
    Run(&'static str),
    /// They are read; it says what is wrong with the reader.
    Reader(fn(&[u8]) -> Result<(), String>),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    run("specimen", "the first byte names a specimen, the others are the choices of its run"),
    run("redb", "the first byte names a scenario, the others are the choices of redb's run"),
    run("sqlite", "the first byte names a scenario, the others are the choices of SQLite's run"),
    reader("parse_capsule", "the text of a capsule, and back", readers::capsule),
    reader(
        "parse_recording",
        "the text of a recording, sealed and not, and back",
        readers::recording,
    ),
    reader("read_store", "a results file, or what stands in its rows", results::read),
];

const fn run(name: &'static str, about: &'static str) -> Target {
    Target { name, about, body: Body::Run(name) }
}

const fn reader(
    name: &'static str,
    about: &'static str,
    read: fn(&[u8]) -> Result<(), String>,
) -> Target {
    Target { name, about, body: Body::Reader(read) }
}

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Which specimens target `specimen` runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which {
    /// The one; none: the first byte names it.
    pub specimen: Option<&'static Specimen>,
    /// Whether its bug is left out.
    pub mended: bool,
}

impl Which {
    /// As the environment says.
    ///
    /// # Errors
    ///
    /// Names the specimen that does not exist.
    pub fn of_environment() -> Result<Which, String> {
        let mended = std::env::var_os(MENDED).is_some_and(|word| !word.is_empty() && word != "0");
        let Ok(name) = std::env::var(SPECIMEN) else { return Ok(Which { specimen: None, mended }) };
        let specimen = specimen::all().into_iter().find(|specimen| specimen.name == name);
        match specimen {
            Some(specimen) => Ok(Which { specimen: Some(specimen), mended }),
            None => Err(format!("{SPECIMEN}={name}: there is no such specimen")),
        }
    }
}

impl Target {
    /// The case that an input drives, and the bytes that do; `None` for a target that runs no case.
    pub fn case_of<'a>(&self, which: Which, input: &'a [u8]) -> Option<(Case, &'a [u8])> {
        let Body::Run(name) = self.body else { return None };
        let (first, rest) = input.split_first().map_or((0, input), |(first, rest)| (*first, rest));
        let first = usize::from(first);
        if name == specimen::ENGINE {
            let all = specimen::all();
            let (specimen, rest) = match which.specimen {
                Some(specimen) => (specimen, input),
                None => (all[first % all.len()], rest),
            };
            return Some((score::case_of(specimen, 0, !which.mended), rest));
        }
        let scenarios = scenarios(name);
        Some((properties::plain(name, scenarios[first % scenarios.len()], 0), rest))
    }

    /// Does with an input what the target does.
    ///
    /// # Errors
    ///
    /// The conviction: of what was run, or of the reader.
    pub fn judge(&self, which: Which, input: &[u8]) -> Result<(), String> {
        let Some((case, bytes)) = self.case_of(which, input) else {
            let Body::Reader(read) = self.body else { return Ok(()) };
            return read(input);
        };
        let outcome = run_case(&case, &wishes_of(bytes)).map_err(|error| error.to_string())?;
        let Some(finding) = outcome.findings.first() else { return Ok(()) };
        let (property, sentence) = (finding.property.name(), &finding.sentence);
        Err(format!(
            "{property}: {sentence}\n  signature  {}\n  case       {} {}{}\n  import     falconry \
             fuzz-import INPUT{}",
            finding.signature(),
            case.engine,
            case.scenario,
            if case.planted.is_empty() { "" } else { ", planted" },
            self.import_flags(which),
        ))
    }

    /// The flags by which `fuzz-import` reads an input as this target does.
    pub fn import_flags(&self, which: Which) -> String {
        match which.specimen.filter(|_| self.name == specimen::ENGINE) {
            None if which.mended => format!(" --target {} --mended", self.name),
            None => format!(" --target {}", self.name),
            Some(Specimen { name, .. }) => {
                let plant = if which.mended { String::new() } else { format!(" --plant {name}") };
                format!(" --engine specimen --scenario specimen/{name}{plant}")
            }
        }
    }
}

/// Steps for which a byte can keep a task from its turn, at most: a fault of the scheduler that starves one
/// for 2,048 steps takes more than one byte.
const STEPS_OF_A_BYTE_MAX: u64 = 2_048;

/// What is asked of a run that an input drives. Raw bytes may be as unfair as they are long, and no program
/// that needs its turn can be blamed for that: the run gets as many steps more as they can take from it. Once
/// they are used up the tasks take turns.
pub fn wishes_of(bytes: &[u8]) -> Wishes {
    let steps_more = bytes.len() as u64 * STEPS_OF_A_BYTE_MAX;
    Wishes { bytes: Some(bytes.to_vec()), steps_more, ..Wishes::default() }
}

/// The scenarios in which an engine is run by bytes.
fn scenarios(name: &str) -> Vec<&'static str> {
    let all = scenario::list().iter().map(|scenario| scenario.name);
    let admits = |scenario: &&str| {
        scenario::find(scenario).is_ok_and(|found| found.admits(name)) && name != engine::MACHINE
    };
    all.filter(admits).collect()
}

/// Keeps this OS thread, and those that it starts, from handling SIGALRM.
///
/// libFuzzer's handler reads the clock, by which it measures how long an input takes. Within a run that
/// is the machine's clock, and asking for it from within whatever the machine does at that moment would
/// be no read of a clock but a change of the run, or its end.
fn hold_back_alarms() {
    static HELD: Once = Once::new();
    HELD.call_once(|| {
        // SAFETY: the set is plain data that the first call initialises.
        unsafe {
            let mut signals: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut signals);
            libc::sigaddset(&mut signals, libc::SIGALRM);
            libc::pthread_sigmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut());
        }
    });
}

/// The body of a fuzz program, called on one OS thread alone.
///
/// Panics when the input convicts, and when there is no such target.
pub fn fuzz(name: &str, input: &[u8]) {
    hold_back_alarms();
    let which = Which::of_environment();
    let judged = match (find(name), which) {
        (Some(target), Ok(which)) => target.judge(which, input),
        (None, _) => Err(format!("there is no target '{name}'")),
        (_, Err(what)) => Err(what),
    };
    if let Err(conviction) = judged {
        panic!("{conviction}");
    }
}
