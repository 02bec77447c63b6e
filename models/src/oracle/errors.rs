//! Error paths: which errors an engine may return.
//!
//! An error is right when something happened that explains it. An engine that reports a failing disk
//! while the disk did not fail, or corruption that nobody caused, is as wrong as one that hides it.

use crate::engine::EngineError;
use crate::oracle::Breach;
use crate::run::Property;

/// What happened in the boot in which an error was returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// A call of the disk failed, or fell short, in this boot.
    pub disk_failed: bool,
    /// A fault that the engine does not claim to survive was delivered in this run.
    pub beyond: bool,
}

/// Judges an error that the engine returned from `call` while the power was on.
///
/// # Errors
///
/// When nothing explains it.
pub fn judge(call: &str, error: &EngineError, then: Circumstances) -> Result<(), Breach> {
    let (property, sentence, explained) = match error {
        EngineError::Conflict | EngineError::Busy => return Ok(()),
        EngineError::Corrupt { .. } => {
            (Property::Integrity, "the engine reports corruption", then.beyond)
        }
        EngineError::Disk { .. } | EngineError::Stopped { .. } | EngineError::ReadOnly => (
            Property::ErrorPath,
            "the engine reports a disk error that did not happen",
            then.beyond || then.disk_failed,
        ),
        EngineError::Refused { .. } => (
            Property::ErrorPath,
            "the engine refuses for no reason",
            then.beyond || then.disk_failed,
        ),
    };
    if explained {
        return Ok(());
    }
    Err(Breach::new(property, sentence, call).row("found", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> EngineError {
        EngineError::Disk { what: "write".into(), errno: Some(5) }
    }

    #[test]
    fn fires_on_an_error_that_nothing_explains() {
        let calm = Circumstances::default();
        let corrupt = EngineError::Corrupt { what: "page 3".into() };
        let stopped = EngineError::Stopped { what: "earlier error".into() };
        let refused = EngineError::Refused { what: "no".into() };
        let rows = [
            (disk(), Property::ErrorPath),
            (stopped, Property::ErrorPath),
            (EngineError::ReadOnly, Property::ErrorPath),
            (refused, Property::ErrorPath),
            (corrupt.clone(), Property::Integrity),
        ];
        for (error, property) in rows {
            let breach = judge("commit", &error, calm).expect_err("nothing explains it");
            assert_eq!(breach.property, property, "{error}");
        }
        let failed = Circumstances { disk_failed: true, ..calm };
        assert!(judge("open", &corrupt, failed).is_err(), "a failing call corrupts nothing");
    }

    #[test]
    fn stays_quiet_when_the_disk_failed_or_the_engine_was_only_busy() {
        let failed = Circumstances { disk_failed: true, ..Circumstances::default() };
        assert_eq!(judge("commit", &disk(), failed), Ok(()));
        let calm = Circumstances::default();
        assert_eq!(judge("begin", &EngineError::Busy, calm), Ok(()));
        assert_eq!(judge("commit", &EngineError::Conflict, calm), Ok(()));
        let corrupt = EngineError::Corrupt { what: "page 3".into() };
        let beyond = Circumstances { beyond: true, ..calm };
        assert_eq!(judge("get", &corrupt, beyond), Ok(()));
    }
}
