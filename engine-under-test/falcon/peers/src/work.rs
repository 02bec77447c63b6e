//! What is done, and the figures that come of it.
//!
//! # Method
//!
//! A [`Work`] is done by a process of its own on one engine; it gives one [`Figure`] or several. Which ones is
//! known before, so that one that did not come is missed.
//!
//! # Invariant
//!
//! Names of works and figures are unique, and are what `--only` and the JSON Lines call them.

use std::fmt;
use std::time::Duration;

use crate::engine::Kind;

/// Threads that commit at once.
pub const THREADS: [u64; 3] = [1, 8, 64];

/// One piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// So many threads commit transactions of one row each, by turns an insert and an update of rows that no
    /// other thread touches.
    Commit(u64),
    /// All rows are inserted in the order of their keys, some thousands a transaction; the others read them.
    Load,
    /// Random rows are read, one a transaction, with a cache that holds them all.
    Read,
    /// As [`Work::Read`], a hundred a transaction.
    ReadMany,
    /// A thousand rows in order from a random one on, with a cache that holds them all.
    Scan,
    /// Random rows, one a transaction, with a small cache and none of the files in that of the system.
    ColdRead,
    /// As [`Work::Scan`], cold.
    ColdScan,
    /// An opening after the process was killed with so much log to recover, and the first row read.
    Reopen,
}

/// All works, in the order of the table. Those that read come after the load, and before the next one.
pub const ALL: [Work; 10] = [
    Work::Commit(1),
    Work::Commit(8),
    Work::Commit(64),
    Work::Load,
    Work::Read,
    Work::ReadMany,
    Work::Scan,
    Work::ColdRead,
    Work::ColdScan,
    Work::Reopen,
];

/// One column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// What a work is about: its rate, or for [`Work::Reopen`] its time.
    Of(Work),
    /// Bytes written to the device for each byte of the rows that so many threads committed, until the
    /// database was closed.
    Written(u64),
    /// Bytes written to the log for each of those bytes, until the last commit.
    Log(u64),
    /// Bytes written to the log for each commit of one thread.
    LogCommit,
}

/// Where it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder on a disk.
    Directory,
    /// A folder in memory: what is left when the disk costs nothing.
    Tmpfs,
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How often, at different times.
    pub rounds: usize,
    /// How long threads commit, and rows are read from memory.
    pub look: Duration,
    /// Rows that are loaded.
    pub rows: u64,
    /// Rows that are read cold.
    pub cold_rows: u64,
    /// Bytes of log when the process is killed.
    pub log_bytes: u64,
}

impl Size {
    /// What a figure in a document is made with.
    pub const FULL: Size = Size {
        rounds: 3,
        look: Duration::from_secs(2),
        rows: 1_000_000,
        cold_rows: 5_000,
        log_bytes: 100_000_000,
    };

    /// Enough to see that all of it works.
    pub const QUICK: Size = Size {
        rounds: 1,
        look: Duration::from_millis(300),
        rows: 50_000,
        cold_rows: 500,
        log_bytes: 10_000_000,
    };
}

impl Work {
    /// The work of this name.
    pub fn named(name: &str) -> Option<Work> {
        ALL.into_iter().find(|work| work.to_string() == name)
    }

    /// Whether it reads the rows that a load has left.
    pub fn needs_rows(self) -> bool {
        matches!(self, Work::Read | Work::ReadMany | Work::Scan | Work::ColdRead | Work::ColdScan)
    }

    /// The figures that it gives for an engine at a place.
    pub fn figures(self, kind: Kind, place: Place) -> Vec<Figure> {
        let mut figures = vec![Figure::Of(self)];
        if let Work::Commit(threads) = self {
            // The system counts nothing for tmpfs.
            figures.extend((place == Place::Directory).then_some(Figure::Written(threads)));
            figures.extend((kind == Kind::Falcon).then_some(Figure::Log(threads)));
            figures.extend((kind == Kind::Falcon && threads == 1).then_some(Figure::LogCommit));
        }
        figures
    }
}

impl Figure {
    /// All figures, in the order of the table.
    pub fn all() -> Vec<Figure> {
        let mut figures: Vec<Figure> = ALL.into_iter().map(Figure::Of).collect();
        figures.extend(THREADS.map(Figure::Written));
        figures.extend(THREADS.map(Figure::Log));
        figures.push(Figure::LogCommit);
        figures
    }

    /// The figure of this name.
    pub fn named(name: &str) -> Option<Figure> {
        Figure::all().into_iter().find(|figure| figure.to_string() == name)
    }

    /// Whether more of it is better.
    pub fn is_rate(self) -> bool {
        matches!(self, Figure::Of(work) if work != Work::Reopen)
    }

    /// What it counts.
    pub fn unit(self) -> &'static str {
        match self {
            Figure::Of(Work::Commit(_)) => "commits/s",
            Figure::Of(Work::Reopen) => "s",
            Figure::Of(_) => "rows/s",
            Figure::Written(_) | Figure::Log(_) => "bytes/byte",
            Figure::LogCommit => "bytes",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::Commit(threads) => return write!(f, "commit@{threads}"),
            Work::Load => "load",
            Work::Read => "read",
            Work::ReadMany => "read_100",
            Work::Scan => "scan_1000",
            Work::ColdRead => "cold_read",
            Work::ColdScan => "cold_scan_1000",
            Work::Reopen => "reopen",
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Figure::Of(work) => work.fmt(f),
            Figure::Written(threads) => write!(f, "written@{threads}"),
            Figure::Log(threads) => write!(f, "log@{threads}"),
            Figure::LogCommit => f.write_str("log_bytes_a_commit@1"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Directory => "directory",
            Place::Tmpfs => "tmpfs",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;

    #[test]
    fn every_work_and_every_figure_is_found_by_its_name_and_no_other() {
        for work in ALL {
            assert_eq!(Work::named(&work.to_string()), Some(work));
        }
        for figure in Figure::all() {
            assert_eq!(Figure::named(&figure.to_string()), Some(figure));
        }
        assert_eq!((Work::named("commit@2"), Figure::named("log@2")), (None, None));
    }

    #[test]
    fn a_work_gives_figures_of_the_table() {
        for work in ALL {
            for kind in engine::ALL {
                for place in [Place::Directory, Place::Tmpfs] {
                    let figures = work.figures(kind, place);
                    assert!(figures.iter().all(|figure| Figure::all().contains(figure)), "{work}");
                }
            }
        }
        let figures = Work::Commit(1).figures(Kind::Redb, Place::Tmpfs);
        assert_eq!(figures, [Figure::Of(Work::Commit(1))]);
    }
}
