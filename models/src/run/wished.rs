//! What is asked of a run besides its verdict: other choices than the seed's, a recording, the disk as
//! files.

use falconry_sim::Machine;
use falconry_sim::choice::Choices;

use super::{Case, CaseError, Outcome, Wishes, properties};

/// The choices that drive the run.
pub(super) fn choices(case: &Case, wishes: &Wishes) -> Choices {
    match &wishes.replay {
        Some(recording) => Choices::from_recording(recording.clone()),
        None => Choices::from_seed(case.seed),
    }
}

/// Adds the recording to the outcome, and writes the disk, where that is wished.
///
/// # Errors
///
/// When the disk cannot be written; names the folder.
pub(super) fn fulfil(
    machine: &Machine,
    case: &Case,
    wishes: &Wishes,
    outcome: &mut Outcome,
) -> Result<(), CaseError> {
    if wishes.recording {
        let mut recording = machine.recording();
        recording.properties = properties::of(case);
        outcome.recording = Some(recording);
    }
    if let Some(folder) = &wishes.export {
        machine.disk().export(folder).map_err(|error| CaseError::Export {
            folder: folder.display().to_string(),
            what: error.to_string(),
        })?;
    }
    Ok(())
}
