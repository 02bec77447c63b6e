//! What is measured: the list of works, and the goals that falconry-sim sets itself on them.

use std::fmt;

/// Tasks that share the work, unless the work says otherwise.
pub const TASKS: u64 = 8;

/// Bytes of one write or read.
pub const BLOCK_BYTES: usize = 4096;

/// Blocks over which the unsynced writes are spread; more writes than this go round again.
pub const PENDING_BLOCKS: u64 = 4096;

/// One piece of work, the same for every system that can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Eight tasks give way in a tight loop; one operation is one yield.
    Yield,
    /// As [`Work::Yield`], below eight call frames that are entered and left for every yield.
    YieldFrames,
    /// Eight tasks lock and unlock one mutex; one operation is a lock with its unlock.
    Mutex,
    /// Eight tasks sleep for a few virtual milliseconds; one operation is one sleep.
    Sleep,
    /// Four pairs of tasks exchange messages; one operation is one message.
    Channel,
    /// A machine with eight threads is built, run to its end and dropped; for turmoil and madsim
    /// three nodes. One operation is one machine.
    Start,
    /// A 4 KiB write, a read and a sync of one file, while so many operations on another file are
    /// unsynced; one operation is the three calls.
    Disk(u64),
    /// A 4 KiB write and a read of a file that has itself so many unsynced writes; one operation is
    /// the two calls.
    DirtyFile(u64),
}

/// Every work, in the order of the table.
pub const ALL: &[Work] = &[
    Work::Yield,
    Work::YieldFrames,
    Work::Mutex,
    Work::Sleep,
    Work::Channel,
    Work::Start,
    Work::Disk(0),
    Work::Disk(16),
    Work::Disk(1_000),
    Work::Disk(4_000),
    Work::Disk(100_000),
    Work::Disk(1_000_000),
    Work::DirtyFile(16),
    Work::DirtyFile(1_000),
    Work::DirtyFile(4_000),
    Work::DirtyFile(100_000),
    Work::DirtyFile(1_000_000),
];

/// The peers' file systems are asked up to this many unsynced operations; beyond it turmoil needs
/// minutes.
pub const PEER_PENDING_MAX: u64 = 4_000;

impl Work {
    /// How many operations were unsynced beforehand, for a work on a disk.
    pub fn pending(self) -> Option<u64> {
        match self {
            Work::Disk(pending) | Work::DirtyFile(pending) => Some(pending),
            _ => None,
        }
    }

    /// The work that has this name.
    pub fn named(name: &str) -> Option<Work> {
        ALL.iter().copied().find(|work| work.to_string() == name)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Yield => f.write_str("yield"),
            Work::YieldFrames => f.write_str("yield_frames"),
            Work::Mutex => f.write_str("mutex"),
            Work::Sleep => f.write_str("sleep"),
            Work::Channel => f.write_str("channel"),
            Work::Start => f.write_str("start"),
            Work::Disk(pending) => write!(f, "disk@{pending}"),
            Work::DirtyFile(pending) => write!(f, "dirty_file@{pending}"),
        }
    }
}

/// What falconry-sim wants to reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At least so many times the peer's rate.
    Faster {
        /// The work compared.
        work: Work,
        /// The peer.
        system: &'static str,
        /// The peer's time divided by falconry's.
        times: f64,
    },
    /// The slowest of the works costs at most so many times the fastest.
    Flat {
        /// The works, which differ only in what is pending.
        works: &'static [Work],
        /// The slowest divided by the fastest.
        times: f64,
    },
}

const fn faster(work: Work, system: &'static str, times: f64) -> Goal {
    Goal::Faster { work, system, times }
}

/// All goals.
pub const GOALS: &[Goal] = &[
    faster(Work::Yield, "madsim", 5.0),
    faster(Work::Yield, "shuttle", 5.0),
    faster(Work::YieldFrames, "madsim", 2.5),
    faster(Work::YieldFrames, "shuttle", 2.5),
    faster(Work::Mutex, "shuttle", 10.0),
    faster(Work::Sleep, "madsim", 3.0),
    faster(Work::Sleep, "tokio", 3.0),
    faster(Work::Start, "turmoil", 10.0),
    faster(Work::Start, "madsim", 2.0),
    faster(Work::Disk(4_000), "turmoil", 50.0),
    faster(Work::DirtyFile(4_000), "turmoil", 50.0),
    Goal::Flat {
        works: &[
            Work::Disk(16),
            Work::Disk(1_000),
            Work::Disk(4_000),
            Work::Disk(100_000),
            Work::Disk(1_000_000),
        ],
        times: 2.0,
    },
    Goal::Flat {
        works: &[
            Work::DirtyFile(16),
            Work::DirtyFile(1_000),
            Work::DirtyFile(4_000),
            Work::DirtyFile(100_000),
            Work::DirtyFile(1_000_000),
        ],
        times: 2.0,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_is_found_by_its_name_and_no_other() {
        for work in ALL {
            assert_eq!(Work::named(&work.to_string()), Some(*work));
        }
        assert_eq!(Work::named("disk@17"), None);
    }

    #[test]
    fn goals_speak_of_works_that_are_measured() {
        for goal in GOALS {
            match goal {
                Goal::Faster { work, .. } => assert!(ALL.contains(work), "{work}"),
                Goal::Flat { works, .. } => {
                    works.iter().for_each(|w| assert!(ALL.contains(w), "{w}"))
                }
            }
        }
    }
}
