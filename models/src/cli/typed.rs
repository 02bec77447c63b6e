//! What was typed: one table for arguments and environment, and for help, completions and man page.
//!
//! Nothing is looked up or decided here: `choice` says which cases are meant, each verb the rest.

use std::path::PathBuf;

use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::command::profile_name;
use super::output::ProgressStyle;
use super::values::{FaultRate, Partition, Seed, SeedRange, Setting, Span};
use crate::run::Profile;

/// Runs storage engines on a simulated machine whose disk, clock, scheduler and power obey one seed.
#[derive(Debug, Parser)]
#[command(name = "falconry", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Exit codes: 0 nothing found, 1 a property was violated, 2 unusable arguments, 3 inconclusive,
4 no seed was run, 5 nondeterminism, 70 a bug of the testbed, 75 results cannot be read or written,
130 interrupted.")]
pub struct Typed {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// How to say it.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// JSON Lines on stdout, each with "type" and "v"
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN")]
    pub color: Option<Color>,
    /// How to show progress
    #[arg(long, global = true, value_name = "STYLE")]
    pub progress: Option<ProgressStyle>,
    /// Results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More detail
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal, unless NO_COLOR says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

const PROFILES: [Profile; 4] =
    [Profile::None, Profile::Realistic, Profile::Accelerated, Profile::Hostile];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run seeds of one engine and scenario
    Run(Run),
    /// Run many seeds on all cores
    Swarm(Swarm),
    /// Run one seed, recording or capsule again; -v shows its full trace
    Replay(Replay),
    /// Make a failure small and write it as a capsule
    Shrink(Shrink),
    /// Run each seed twice and compare event by event
    Check(Check),
    /// Show the scenarios, or write a new one
    #[command(subcommand)]
    Scenario(Scenario),
    /// Show the faults of the simulated machine
    #[command(subcommand)]
    Fault(FaultVerb),
    /// Measure the testbed by tiny programs with one bug each
    #[command(subcommand)]
    Specimen(SpecimenVerb),
    /// Measure the testbed by historic bugs, planted into an engine
    #[command(subcommand)]
    Planted(PlantedVerb),
    /// Show what was found, by signature
    #[command(subcommand)]
    Findings(Findings),
    /// Show the report of a failure
    Report(Report),
    /// Turn the crashing input of a fuzz target into a capsule
    FuzzImport(FuzzImport),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages
    Man {
        /// The folder they go to; it is made if it is not there
        dir: PathBuf,
    },
}

/// Flags that choose and change a run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What runs")]
pub struct CaseFlags {
    /// The engine
    #[arg(long, value_name = "NAME", env = "FALCONRY_ENGINE", hide_env_values = true)]
    pub engine: Option<String>,
    /// The scenario: GROUP/NAME, a whole GROUP, or the path of a TOML file
    #[arg(long, value_name = "SCENARIO", env = "FALCONRY_SCENARIO", hide_env_values = true)]
    pub scenario: Option<String>,
    /// Where the rates of faults come from [default: accelerated]
    #[arg(long, value_name = "PROFILE", env = "FALCONRY_FAULTS", hide_env_values = true)]
    #[arg(value_parser = profiles())]
    pub faults: Option<Profile>,
    /// The rate of one fault in millionths of its decisions; 0 switches it off
    #[arg(long, value_name = "NAME=PPM", env = "FALCONRY_FAULT", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub fault: Vec<FaultRate>,
    /// Admit faults that the engine does not claim to survive
    #[arg(long, env = "FALCONRY_BEYOND_BUDGET", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub beyond_budget: bool,
    /// Swallow every sync: the engine must then be convicted
    #[arg(long, env = "FALCONRY_BREAK_SYNC", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub break_sync: bool,
    /// Switch a known bug of the engine on
    #[arg(long, value_name = "BUG", env = "FALCONRY_PLANT", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub plant: Vec<String>,
    /// Fix a setting that would be drawn otherwise
    #[arg(long, value_name = "NAME=VALUE", env = "FALCONRY_SET", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub set: Vec<Setting>,
}

/// Where results are kept.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Results")]
pub struct StoreFlags {
    /// The results file [default: target/falconry/results.sqlite]
    #[arg(long, value_name = "PATH", env = "FALCONRY_STORE", hide_env_values = true)]
    pub store: Option<PathBuf>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The seeds; none given: one at random, printed first
    #[arg(value_name = "SEED", env = "FALCONRY_SEED", hide_env_values = true)]
    #[arg(value_delimiter = ',')]
    pub seeds: Vec<Seed>,
    #[command(flatten)]
    pub case: CaseFlags,
    #[command(flatten)]
    pub store: StoreFlags,
}

/// `swarm`.
#[derive(Debug, Args)]
pub struct Swarm {
    /// The seeds of each engine and scenario, as 0..1M
    #[arg(long, value_name = "A..B", env = "FALCONRY_SEEDS", hide_env_values = true)]
    pub seeds: Option<SeedRange>,
    /// How long, shared evenly by engines and scenarios [default: 60s, unless --seeds is given]
    #[arg(long = "for", value_name = "TIME", env = "FALCONRY_FOR", hide_env_values = true)]
    pub duration: Option<Span>,
    /// How many workers [default: one a core]
    #[arg(long, value_name = "N", env = "FALCONRY_JOBS", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Stop after this many different findings
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub fail_fast: Option<u32>,
    /// How long each finding is made small at most; 0s leaves it as it is
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub shrink_for: Span,
    /// End a busy worker that is silent for so long
    #[arg(long, value_name = "TIME", hide = true)]
    pub silence: Option<Span>,
    /// Run only slice m of n, for several machines
    #[arg(long, value_name = "m/n", env = "FALCONRY_PARTITION", hide_env_values = true)]
    pub partition: Option<Partition>,
    /// Go on where the last swarm of the same plan stopped
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub case: CaseFlags,
    #[command(flatten)]
    pub store: StoreFlags,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// A seed, the file of a recording or a capsule, or `latest`
    #[arg(value_name = "SEED|FILE|latest")]
    pub what: String,
    /// Stop at this step and show what led there
    #[arg(long, value_name = "N")]
    pub step: Option<Seed>,
    /// Write what the disk holds at the end into this folder, as real files
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    #[command(flatten)]
    pub case: CaseFlags,
    #[command(flatten)]
    pub store: StoreFlags,
}

/// `shrink`.
#[derive(Debug, Args)]
pub struct Shrink {
    /// A seed, the file of a capsule, or `latest`
    #[arg(value_name = "SEED|FILE|latest")]
    pub what: String,
    /// How long at most
    #[arg(long = "for", value_name = "TIME", default_value = "20s")]
    pub duration: Span,
    /// How many candidates at once [default: one a core]
    #[arg(long, value_name = "N", env = "FALCONRY_JOBS", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Where the capsule goes [default: runs/shrunk/ beside the results]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub case: CaseFlags,
    #[command(flatten)]
    pub store: StoreFlags,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The seeds of each engine and scenario
    #[arg(long, value_name = "A..B", env = "FALCONRY_SEEDS", hide_env_values = true)]
    #[arg(default_value = "0..100")]
    pub seeds: SeedRange,
    /// How many workers [default: one a core]
    #[arg(long, value_name = "N", env = "FALCONRY_JOBS", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Run only slice m of n, for several machines
    #[arg(long, value_name = "m/n", env = "FALCONRY_PARTITION", hide_env_values = true)]
    pub partition: Option<Partition>,
    #[command(flatten)]
    pub case: CaseFlags,
}

/// `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// A seed, the file of a recording or a capsule, or `latest`
    #[arg(value_name = "SEED|FILE|latest")]
    pub what: String,
    #[command(flatten)]
    pub case: CaseFlags,
    #[command(flatten)]
    pub store: StoreFlags,
}

/// `fuzz-import`.
#[derive(Debug, Args)]
pub struct FuzzImport {
    /// The input, as the fuzzer wrote it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The fuzz target that it crashed; without it, and without --engine or --scenario: the target whose
    /// name the folder of the file has
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// The specimens were mended: the target ran with FALCONRY_MENDED
    #[arg(long)]
    pub mended: bool,
    /// How long the failure is made small at most; 0s leaves it as it is
    #[arg(long, value_name = "TIME", default_value = "20s")]
    pub shrink_for: Span,
    /// How many candidates at once [default: one a core]
    #[arg(long, value_name = "N", env = "FALCONRY_JOBS", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Where the capsule goes [default: runs/imported/ beside the results]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub case: CaseFlags,
    #[command(flatten)]
    pub store: StoreFlags,
}

/// `scenario`.
#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// One line for each
    List,
    /// The text of one
    Show {
        /// GROUP/NAME
        name: String,
    },
    /// Print a commented scenario to start from
    New,
}

/// `fault`.
#[derive(Debug, Subcommand)]
pub enum FaultVerb {
    /// One line for each
    List,
}

/// `specimen`.
#[derive(Debug, Subcommand)]
pub enum SpecimenVerb {
    /// One line for each
    List,
    /// How soon each bug is found, from several starting seeds
    Score {
        /// Of how many starting seeds
        #[arg(long, value_name = "N", default_value = "20")]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        starts: u16,
        /// Time of one core for each start; a bug that is not found by then counts as the limit
        #[arg(long, value_name = "TIME", default_value = "20s")]
        limit: Span,
        #[command(flatten)]
        which: SpecimenFlags,
    },
    /// How small each bug becomes, and how long that takes
    ShrinkScore {
        /// Leave out each choice that is left, one after the other: the failure must be gone
        #[arg(long)]
        prove_minimal: bool,
        /// Time of one core for each specimen
        #[arg(long, value_name = "TIME", default_value = "20s")]
        limit: Span,
        #[command(flatten)]
        which: SpecimenFlags,
    },
    /// Run the mended twins: each conviction is a false alarm
    Twins {
        /// Runs of all twins together
        #[arg(long, value_name = "N", default_value = "100k")]
        runs: Seed,
        #[command(flatten)]
        which: SpecimenFlags,
    },
}

/// Which specimens, and on how many cores.
#[derive(Clone, Debug, Args)]
pub struct SpecimenFlags {
    /// The specimens, as `specimen list` names them; none given: all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// How many at once [default: one a core]
    #[arg(long, value_name = "N", env = "FALCONRY_JOBS", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

/// `planted`.
#[derive(Debug, Subcommand)]
pub enum PlantedVerb {
    /// One line for each
    List,
    /// How soon each bug is found by a swarm of its engine alone, from several starting seeds
    Score {
        /// Of how many starting seeds
        #[arg(long, value_name = "N", default_value = "5")]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        starts: u16,
        /// Time of one core for each start; a bug that is not found by then counts as the limit
        #[arg(long, value_name = "TIME", default_value = "60s")]
        limit: Span,
        /// The bugs, as `planted list` names them; none given: all
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// How many at once [default: one a core]
        #[arg(long, value_name = "N", env = "FALCONRY_JOBS", hide_env_values = true)]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
        jobs: Option<u16>,
    },
    /// Find each bug, make its failure small, and keep the capsule among the regressions that `cargo test`
    /// runs first
    Shrink {
        /// Time of one core to find a bug; one that is not found by then is said, and gets no capsule
        #[arg(long, value_name = "TIME", default_value = "60s")]
        limit: Span,
        /// Time to make one small
        #[arg(long, value_name = "TIME", default_value = "20s")]
        shrink_for: Span,
        /// The folder of the capsules
        #[arg(long, value_name = "DIR", default_value = "snapshots/regressions")]
        into: PathBuf,
        /// The bugs, as `planted list` names them; none given: all
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// How many at once [default: one a core]
        #[arg(long, value_name = "N", env = "FALCONRY_JOBS", hide_env_values = true)]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
        jobs: Option<u16>,
    },
}

/// `findings`.
#[derive(Debug, Subcommand)]
pub enum Findings {
    /// One line for each signature
    List {
        #[command(flatten)]
        store: StoreFlags,
    },
    /// Make a finding small and keep its capsule among the regressions that `cargo test` runs first
    Accept {
        /// The signature, as `findings list` prints it
        signature: String,
        /// The folder it goes to
        #[arg(long, value_name = "DIR", default_value = "snapshots/regressions")]
        into: PathBuf,
        #[command(flatten)]
        store: StoreFlags,
    },
    /// The newest report of one signature
    Show {
        /// The signature, as `findings list` prints it
        signature: String,
        #[command(flatten)]
        store: StoreFlags,
    },
}

/// The profiles by their names.
fn profiles() -> impl TypedValueParser<Value = Profile> {
    let names = PossibleValuesParser::new(PROFILES.map(profile_name));
    names.map(|name| {
        let named = PROFILES.into_iter().find(|profile| profile_name(*profile) == name);
        named.expect("the parser takes these names only")
    })
}
