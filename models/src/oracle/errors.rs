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
    let damage = match error {
        EngineError::Corrupt { what } => damage_in(what),
        _ => None,
    };
    let breach = Breach::new(property, sentence, damage.unwrap_or(call));
    let breach = if damage.is_some() { breach.row("call", call) } else { breach };
    Err(breach.row("found", error.to_string()))
}

/// What is wrong, in the engine's words: the first part of what it says that is of words alone, for numbers
/// are of one run. It is the same whichever call has met the damage.
fn damage_in(what: &str) -> Option<&str> {
    let is_of_words = |part: &str| part.chars().all(|c| c.is_alphabetic() || " '-_".contains(c));
    what.split([':', ',', ';']).map(str::trim).find(|part| part.contains(' ') && is_of_words(part))
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
    fn damage_is_the_same_damage_whichever_call_meets_it() {
        let met = |call, what: &str| {
            let error = EngineError::Corrupt { what: what.into() };
            judge(call, &error, Circumstances::default()).expect_err("nothing explains it").place
        };
        let one = "page 5 of tablespace 1: wrong page type, expected index, got data";
        let other =
            "page 71 of tablespace 2: wrong page type, expected data, got none (it stopped)";
        assert_eq!(met("check", one), "wrong page type");
        assert_eq!(met("commit", other), "wrong page type");
        let unlinked = "page 12 is in use, and nothing leads to it; page 13 is in use";
        assert_eq!(met("check", unlinked), "and nothing leads to it");
        assert_eq!(met("open", "page 5: checksum 0xf1704294"), "open");
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
