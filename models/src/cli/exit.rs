//! Exit codes, and which of several is given.

use std::io;

use crate::store::StoreError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The work was done and nothing was found.
    Nothing = 0,
    /// A property was violated.
    Found = 1,
    /// Arguments, scenario, seed or recording that cannot be used; nothing was run.
    Usage = 2,
    /// A bound was reached before the check, or fewer seeds ran than were planned.
    Inconclusive = 3,
    /// No seed was run.
    NoSeed = 4,
    /// The same seed gave two traces.
    Nondeterminism = 5,
    /// A panic inside the testbed, or a canary that was not convicted.
    OurBug = 70,
    /// Results cannot be read or written.
    Results = 75,
    /// Interrupted; partial results are kept.
    Interrupted = 130,
}

/// The first of these that holds is given.
const ORDER: [Exit; 9] = [
    Exit::Usage,
    Exit::Nondeterminism,
    Exit::OurBug,
    Exit::Found,
    Exit::Interrupted,
    Exit::Inconclusive,
    Exit::Results,
    Exit::NoSeed,
    Exit::Nothing,
];

impl Exit {
    /// What is given when both hold.
    pub fn and(self, other: Exit) -> Exit {
        ORDER.into_iter().find(|exit| *exit == self || *exit == other).unwrap_or(self)
    }

    /// Gives `exit` as well when `holds`.
    pub fn and_if(self, holds: bool, exit: Exit) -> Exit {
        if holds { self.and(exit) } else { self }
    }

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a verb stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// What was typed cannot be used. Nothing was run.
    #[error("{0}")]
    Usage(String),
    /// Results cannot be read or written.
    #[error("{0}")]
    Results(String),
    /// The reader of the output went away; that is no error.
    #[error("the output was closed")]
    ClosedPipe,
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
    /// The testbed itself is broken.
    #[error("{0}")]
    OurBug(String),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Stop {
    /// The exit code that it comes to.
    pub fn exit(&self) -> Exit {
        match self {
            Stop::Usage(_) => Exit::Usage,
            Stop::Results(_) | Stop::Output(_) => Exit::Results,
            Stop::ClosedPipe => Exit::Nothing,
            Stop::OurBug(_) => Exit::OurBug,
            Stop::Interrupted => Exit::Interrupted,
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Results(error.to_string())
    }
}

impl From<io::Error> for Stop {
    /// For errors of the output alone.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Stop::ClosedPipe
        } else {
            Stop::Output(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_order_decides_between_two() {
        let order = [5, 70, 1, 130, 3, 75, 4, 0];
        let all = [
            Exit::Nothing,
            Exit::Found,
            Exit::Inconclusive,
            Exit::NoSeed,
            Exit::Nondeterminism,
            Exit::OurBug,
            Exit::Results,
            Exit::Interrupted,
        ];
        let rank = |exit: Exit| order.iter().position(|code| *code == exit.code());
        for a in all {
            for b in all {
                assert_eq!(rank(a.and(b)), rank(a).min(rank(b)), "{a:?} and {b:?}");
            }
        }
    }
}
