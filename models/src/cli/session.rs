//! What every verb knows: how to speak, what the config file says, where results are.

use std::path::PathBuf;
use std::time::Duration;

use super::command::{Caller, Form};
use super::config::Config;
use super::exit::Stop;
use super::output::Output;
use super::revision::revision;
use super::typed::{Color, OutputFlags, StoreFlags};
use crate::store::{Store, StoreError};
use crate::swarm::Shrinking;

/// Where results are without another word.
const STORE: &str = "target/falconry/results.sqlite";

/// One call of the program.
pub struct Session {
    /// Where text goes.
    pub output: Output,
    /// What the config file says.
    pub config: Config,
    /// Who reads the commands that are printed.
    pub caller: Caller,
    /// What is run.
    pub revision: String,
    /// Whether what differs from call to call is shown as if it did not: for snapshots.
    pub holds_still: bool,
}

/// Set by tests: revision and times are then shown as constants. It changes no run.
const SNAPSHOT: &str = "FALCONRY_SNAPSHOT";

/// The revision that is shown then.
pub const SNAPSHOT_REVISION: &str = "3f9c1d2";

impl Session {
    /// Reads the config file and settles colour and progress.
    ///
    /// # Errors
    ///
    /// As the config file cannot be used.
    pub fn new(flags: &OutputFlags) -> Result<Session, Stop> {
        let folder = std::env::current_dir()
            .map_err(|e| Stop::Usage(format!("the current folder cannot be used: {e}")))?;
        let config = Config::find(&folder)?;
        match flags.color.or(config.color).unwrap_or(Color::Auto) {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        let output = Output {
            json: flags.json,
            quiet: flags.quiet,
            verbose: flags.verbose,
            progress: flags.progress.or(config.progress).unwrap_or_default(),
        };
        let told = std::env::var_os("FALCONRY_FAULTS").is_some() || config.faults.is_some();
        let caller = Caller { form: Form::of_this_process(), says_faults: told };
        let holds_still = std::env::var_os(SNAPSHOT).is_some();
        let revision = if holds_still { SNAPSHOT_REVISION.into() } else { revision() };
        Ok(Session { output, config, caller, revision, holds_still })
    }

    /// How many at once: as typed or configured, else one a core.
    pub fn jobs(&self, typed: Option<u16>) -> usize {
        let one_a_core = || std::thread::available_parallelism().map_or(1, usize::from);
        typed.or(self.config.jobs.map(Into::into)).map_or_else(one_a_core, usize::from)
    }

    /// How a failure is made small.
    pub fn shrinking(&self, time: Duration, jobs: Option<u16>) -> Shrinking {
        let for_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 20).min(u64::MAX >> 20);
        Shrinking { for_ms, jobs: self.jobs(jobs), revision: self.revision.clone() }
    }

    /// Where the results file is.
    pub fn store_path(&self, flags: &StoreFlags) -> PathBuf {
        let chosen = flags.store.clone().or_else(|| self.config.store.clone());
        chosen.unwrap_or_else(|| STORE.into())
    }

    /// Opens the results file to write to it; what is wrong with it is said at once, and the work goes
    /// on without it.
    pub fn store(&self, flags: &StoreFlags) -> Option<Store> {
        let store = Store::open(&self.store_path(flags));
        store.map_err(|error| self.complain_of(&error)).ok()
    }

    /// Says what is wrong with the results.
    pub fn complain_of(&self, error: &StoreError) {
        self.output.complain(&format!("{error}; findings are printed and not kept"));
    }
}
