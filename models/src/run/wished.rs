//! What is asked of a run besides its verdict: other choices than the seed's, a recording, the disk as
//! files.

use std::path::Path;

use falconry_sim::Machine;
use falconry_sim::choice::Choices;

use super::{Case, Outcome, Wishes, properties};

/// The choices that drive the run.
pub(super) fn choices(case: &Case, wishes: &Wishes) -> Choices {
    let choices = match wishes {
        Wishes { replay: Some(recording), .. } => Choices::from_recording(recording.clone()),
        Wishes { exceptions: Some(exceptions), .. } => Choices::from_exceptions(exceptions),
        Wishes { bytes: Some(bytes), anchors: false, .. } => Choices::from_bytes(bytes.clone()),
        Wishes { bytes: Some(bytes), .. } => Choices::from_bytes_anchored(bytes.clone()),
        Wishes { anchors: false, write_bytes: false, .. } => Choices::from_seed(case.seed),
        _ => Choices::from_seed_anchored(case.seed),
    };
    if wishes.write_bytes { choices.written_as_bytes() } else { choices }
}

/// Adds the recording to the outcome, and writes the disk, where that is wished. A disk that cannot be
/// written costs no verdict: the outcome says why.
pub(super) fn fulfil(machine: &Machine, case: &Case, wishes: &Wishes, outcome: &mut Outcome) {
    if wishes.recording {
        let mut recording = machine.recording();
        recording.properties = properties::of(case);
        outcome.recording = Some(recording);
    }
    if let Some(folder) = &wishes.export {
        let export = || machine.disk().export(folder).map_err(|error| error.to_string());
        let told = |what| format!("the disk was not exported to {}: {what}", folder.display());
        outcome.not_exported = check_folder(folder).and_then(|()| export()).err().map(told);
    }
}

/// Refuses a folder that holds something: a journal that an earlier export left there would be taken
/// for one of this disk, and an engine's own tools would roll it back.
///
/// # Errors
///
/// Says what to do instead.
pub fn check_folder(folder: &Path) -> Result<(), String> {
    // One that cannot be listed is not there, or no folder: whoever writes to it says so best.
    match std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        true => Err("the folder is not empty; empty it, or name one that is not there yet".into()),
        false => Ok(()),
    }
}
