//! The case that environment variables tell: how a failure becomes a test.

use clap::Parser;

use super::choice::Choice;
use super::config::Config;
use super::typed::CaseFlags;
use super::values::Seed;
use crate::run::Case;

#[derive(Debug, Parser)]
struct Told {
    #[arg(env = "FALCONRY_SEED")]
    seed: Option<Seed>,
    #[command(flatten)]
    case: CaseFlags,
}

/// The case of `FALCONRY_SEED`, `FALCONRY_ENGINE`, `FALCONRY_SCENARIO` and the others; none when there
/// is no seed.
///
/// # Errors
///
/// Names the variable that cannot be read, or what does not exist.
pub fn case_of_environment() -> Result<Option<Case>, String> {
    let told = Told::try_parse_from(["falconry"]).map_err(|error| error.to_string())?;
    let Some(Seed(seed)) = told.seed else { return Ok(None) };
    let choice = Choice::new(&told.case, &Config::default());
    choice.only_case(seed).map(Some).map_err(|stop| stop.to_string())
}
