//! What Falcon wants to reach, and whether it does.
//!
//! # Method
//!
//! A goal compares medians of one run. One that is not met is told and fails nothing: a clock judges no build.
//!
//! # Invariant
//!
//! Goals speak of figures that are planned for the engines which they name.

use crate::engine::Kind;
use crate::report::Row;
use crate::work::{Figure, Place, Work};

/// One goal.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// So many times as good as another engine.
    Against {
        /// In what.
        figure: Figure,
        /// Than whom.
        kind: Kind,
        /// How many times as good.
        times: f64,
    },
    /// At most so much.
    Below {
        /// Of what.
        figure: Figure,
        /// The bound.
        most: f64,
    },
}

const fn against(work: Work, kind: Kind, times: f64) -> Goal {
    Goal::Against { figure: Figure::Of(work), kind, times }
}

/// All goals, at each place.
pub const GOALS: &[Goal] = &[
    against(Work::Commit(1), Kind::Redb, 1.0),
    against(Work::Commit(1), Kind::Sqlite, 1.0),
    against(Work::Commit(1), Kind::Fjall, 1.0),
    against(Work::Commit(8), Kind::Redb, 3.0),
    against(Work::Commit(8), Kind::Sqlite, 2.0),
    against(Work::Commit(64), Kind::Redb, 3.0),
    against(Work::Commit(64), Kind::Sqlite, 2.0),
    against(Work::Read, Kind::Redb, 1.0),
    against(Work::Read, Kind::Sqlite, 3.0),
    against(Work::ReadMany, Kind::Redb, 1.0),
    against(Work::ReadMany, Kind::Sqlite, 3.0),
    Goal::Below { figure: Figure::Log(8), most: 2.0 },
    Goal::Below { figure: Figure::Log(64), most: 2.0 },
];

/// A goal at a place, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What is wanted.
    pub wanted: String,
    /// What was measured, if it was.
    pub found: Option<f64>,
    /// Whether that is enough.
    pub is_met: Option<bool>,
}

impl Verdict {
    /// In words.
    pub fn word(&self) -> &'static str {
        match self.is_met {
            None => "not measured",
            Some(true) => "met",
            Some(false) => "NOT MET",
        }
    }
}

/// The verdicts on all goals at a place, whose sectors have so many bytes.
pub fn verdicts(rows: &[Row], place: Place, sector_bytes: u32) -> Vec<Verdict> {
    let sector = Goal::Below { figure: Figure::LogCommit, most: f64::from(sector_bytes) };
    GOALS.iter().chain([&sector]).map(|goal| verdict(rows, place, goal)).collect()
}

fn verdict(rows: &[Row], place: Place, goal: &Goal) -> Verdict {
    let (wanted, found, is_enough) = match *goal {
        Goal::Against { figure, kind, times } => {
            let other = Row::find(rows, place, figure, kind);
            let found = other.and_then(|other| other.times(rows));
            let is_enough = found.map(|found| found >= times);
            (format!("{figure}: at least {times}x {kind}"), found, is_enough)
        }
        Goal::Below { figure, most } => {
            let ours = Row::find(rows, place, figure, Kind::Falcon).and_then(Row::value);
            let is_enough = ours.map(|ours| ours <= most);
            (format!("{figure}: at most {most} {}", figure.unit()), ours, is_enough)
        }
    };
    Verdict { wanted, found, is_met: is_enough }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: Figure, kind: Kind, value: f64) -> Row {
        Row { place: Place::Tmpfs, figure, kind, rounds: vec![value] }
    }

    #[test]
    fn goals_speak_of_what_is_planned() {
        for goal in GOALS {
            let (figure, kind) = match *goal {
                Goal::Against { figure, kind, .. } => (figure, kind),
                Goal::Below { figure, .. } => (figure, Kind::Falcon),
            };
            let mut works = crate::work::ALL.into_iter();
            assert!(works.any(|work| work.figures(kind, Place::Tmpfs).contains(&figure)));
        }
    }

    #[test]
    fn a_goal_is_met_missed_or_not_measured() {
        let commit = Figure::Of(Work::Commit(8));
        let rows = [
            row(commit, Kind::Falcon, 300.0),
            row(commit, Kind::Redb, 100.0),
            row(commit, Kind::Sqlite, 151.0),
            row(Figure::Log(8), Kind::Falcon, 2.0),
            row(Figure::LogCommit, Kind::Falcon, 513.0),
        ];
        let verdicts = verdicts(&rows, Place::Tmpfs, 512);
        let word = |start: &str| {
            let found = verdicts.iter().find(|verdict| verdict.wanted.starts_with(start));
            found.unwrap_or_else(|| panic!("{start}: {verdicts:?}")).word()
        };
        assert_eq!(word("commit@8: at least 3x redb"), "met");
        assert_eq!(word("commit@8: at least 2x sqlite"), "NOT MET");
        assert_eq!(word("commit@64: at least 3x redb"), "not measured");
        assert_eq!(word("log@8: at most 2"), "met");
        assert_eq!(word("log_bytes_a_commit@1: at most 512"), "NOT MET");
    }
}
