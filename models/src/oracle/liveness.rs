//! Liveness: once faults have stopped, the engine opens, reads and commits within a stated time.

use crate::engine::EngineError;
use crate::oracle::Breach;
use crate::run::Property;

/// What the last boot, without faults, came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastBoot {
    /// The first call that failed, and how.
    pub failed: Option<(&'static str, EngineError)>,
    /// Transactions that the engine acknowledged.
    pub commits: u64,
    /// Transactions that were asked for.
    pub asked: u64,
    /// Virtual time from the start of the boot to the last of them.
    pub time_ns: u64,
    /// Virtual time that it may take.
    pub limit_ns: u64,
}

/// Judges the last boot.
///
/// # Errors
///
/// When the engine did not open, did not commit, or took too long.
pub fn judge(last: &LastBoot) -> Result<(), Breach> {
    if let Some((call, error)) = &last.failed {
        let sentence = "the engine fails although faults have stopped";
        return Err(
            Breach::new(Property::Liveness, sentence, *call).row("found", error.to_string())
        );
    }
    if last.commits < last.asked {
        let sentence = "the engine does not commit although faults have stopped";
        return Err(Breach::new(Property::Liveness, sentence, "commit")
            .row("expected", format!("{} commits", last.asked))
            .row("found", last.commits.to_string()));
    }
    if last.time_ns > last.limit_ns {
        let sentence = "the engine is too slow although faults have stopped";
        return Err(Breach::new(Property::Liveness, sentence, "last boot")
            .row("expected", format!("at most {} ms", last.limit_ns / 1_000_000))
            .row("found", format!("{} ms", last.time_ns / 1_000_000)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: LastBoot =
        LastBoot { failed: None, commits: 3, asked: 3, time_ns: 10, limit_ns: 10 };

    #[test]
    fn fires_when_the_engine_fails_hangs_or_crawls() {
        let busy = Some(("begin", EngineError::Busy));
        let rows = [
            (LastBoot { failed: busy, ..LIVE }, "fails"),
            (LastBoot { commits: 2, ..LIVE }, "does not commit"),
            (LastBoot { time_ns: 11, ..LIVE }, "too slow"),
        ];
        for (last, word) in rows {
            let breach = judge(&last).expect_err(word);
            assert_eq!(breach.property, Property::Liveness);
            assert!(breach.sentence.contains(word), "{}", breach.sentence);
        }
    }

    #[test]
    fn stays_quiet_when_all_was_done_in_time() {
        assert_eq!(judge(&LIVE), Ok(()));
    }
}
