//! From rounds to the tables, the JSON Lines, and what is missing.
//!
//! # Method
//!
//! Of the rounds of a figure the median counts; the spread beside it is the largest over the least. A ratio says
//! how many times as good Falcon is: above 1 it is ahead, whether more or less of the figure is better.
//!
//! # Invariant
//!
//! Each figure that was planned has a row, also one that did not come.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;

use crate::engine::{self, Kind};
use crate::goal;
use crate::work::{Figure, Place};

/// All rounds of one figure of one engine at one place.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where.
    pub place: Place,
    /// What.
    pub figure: Figure,
    /// Whose.
    pub kind: Kind,
    /// One value a round; empty if none came.
    pub rounds: Vec<f64>,
}

/// A place, and what is known of it.
#[derive(Clone, Debug)]
pub struct Room {
    /// Which.
    pub place: Place,
    /// Its file system.
    pub file_system: String,
    /// How many processors there are, and of which kind.
    pub processors: String,
    /// The smallest write of the device, which is the log's block.
    pub sector_bytes: u32,
    /// The median time of a write and its `fdatasync`, of 512 bytes and of 4 KiB.
    pub sync: [Duration; 2],
    /// What else a reader should know.
    pub notes: Vec<String>,
}

impl Row {
    /// The row of a figure.
    pub fn find(rows: &[Row], place: Place, figure: Figure, kind: Kind) -> Option<&Row> {
        rows.iter().find(|row| row.place == place && row.figure == figure && row.kind == kind)
    }

    /// The median round, if one came.
    pub fn value(&self) -> Option<f64> {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// The largest round over the least.
    pub fn spread(&self) -> Option<f64> {
        let least = self.rounds.iter().copied().reduce(f64::min)?;
        Some(self.rounds.iter().copied().reduce(f64::max)? / least)
    }

    /// How many times as good Falcon is.
    pub fn times(&self, rows: &[Row]) -> Option<f64> {
        let ours = Row::find(rows, self.place, self.figure, Kind::Falcon)?.value()?;
        let theirs = self.value()?;
        Some(if self.figure.is_rate() { ours / theirs } else { theirs / ours })
    }
}

/// What was planned and gave no figure.
pub fn missing(rows: &[Row]) -> Vec<String> {
    let missing = rows.iter().filter(|row| row.rounds.is_empty());
    missing.map(|row| format!("{} of {} on {}", row.figure, row.kind, row.place)).collect()
}

/// JSON Lines: a line for each place, each row and each goal.
pub fn json_lines(rooms: &[Room], rows: &[Row]) -> String {
    let mut text = String::new();
    for room in rooms {
        let place = room.place.to_string();
        let line = json!({
            "v": 1, "kind": "place", "place": place, "file_system": room.file_system,
            "processors": room.processors,
            "sector_bytes": room.sector_bytes, "sync_512_us": micros(room.sync[0]),
            "sync_4096_us": micros(room.sync[1]), "notes": room.notes,
        });
        let _ = writeln!(text, "{line}");
        for row in rows.iter().filter(|row| row.place == room.place) {
            let line = json!({
                "v": 1, "kind": "figure", "place": place, "figure": row.figure.to_string(),
                "engine": row.kind.to_string(), "unit": row.figure.unit(), "value": row.value(),
                "falcon_is_times_as_good": row.times(rows), "rounds": row.rounds,
            });
            let _ = writeln!(text, "{line}");
        }
        for verdict in goal::verdicts(rows, room.place, room.sector_bytes) {
            let line = json!({
                "v": 1, "kind": "goal", "place": place, "goal": verdict.wanted,
                "found": verdict.found, "verdict": verdict.word(),
            });
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// The tables for people: one for each place, and below it the goals.
pub fn tables(rooms: &[Room], rows: &[Row]) -> String {
    let mut text = String::new();
    for room in rooms {
        let [small, page] = room.sync.map(micros);
        let _ = writeln!(
            text,
            "{} ({}), sectors of {} bytes: a write and fdatasync of 512 bytes takes {small} us, of 4 KiB \
             {page} us",
            room.place, room.file_system, room.sector_bytes
        );
        let _ = writeln!(text, "Processors: {}", room.processors);
        let _ = writeln!(text, "In brackets: how many times as good Falcon is.\n");
        table(&mut text, room.place, rows);
        let of_place = rows.iter().filter(|row| row.place == room.place);
        let worst = of_place.filter_map(Row::spread).fold(1.0, f64::max);
        let _ = writeln!(text, "\nnoise: a round was up to {worst:.2}x another one of its row");
        room.notes.iter().for_each(|note| {
            let _ = writeln!(text, "{note}");
        });
        let _ = writeln!(text, "\n{:<44}{:>12}  verdict", "goal", "found");
        for verdict in goal::verdicts(rows, room.place, room.sector_bytes) {
            let found = verdict.found.map_or_else(|| "-".into(), |found| format!("{found:.2}"));
            let _ = writeln!(text, "{:<44}{found:>12}  {}", verdict.wanted, verdict.word());
        }
        text.push('\n');
    }
    text
}

fn table(text: &mut String, place: Place, rows: &[Row]) {
    let _ = write!(text, "{:<32}", "");
    for kind in engine::ALL {
        let _ = write!(text, "{:>20}", kind.to_string());
    }
    text.push('\n');
    for figure in Figure::all() {
        let rows_of: Vec<_> =
            engine::ALL.map(|kind| Row::find(rows, place, figure, kind)).into_iter().collect();
        if rows_of.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(text, "{:<32}", format!("{figure} ({})", figure.unit()));
        for row in rows_of {
            let value = row.and_then(Row::value);
            let times = row
                .and_then(|row| row.times(rows))
                .filter(|_| row.is_some_and(|row| row.kind != Kind::Falcon));
            let cell = match (value, times) {
                (None, _) => "-".into(),
                (Some(value), Some(times)) => format!("{} ({times:.2}x)", shown(value)),
                (Some(value), None) => shown(value),
            };
            let _ = write!(text, "{cell:>20}");
        }
        text.push('\n');
    }
}

fn shown(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Work;

    fn row(figure: Figure, kind: Kind, rounds: &[f64]) -> Row {
        Row { place: Place::Directory, figure, kind, rounds: rounds.to_vec() }
    }

    fn room() -> Room {
        Room {
            place: Place::Directory,
            file_system: "ext4".into(),
            processors: "2 x a processor".into(),
            sector_bytes: 512,
            sync: [Duration::from_micros(70), Duration::from_micros(80)],
            notes: vec!["a note".into()],
        }
    }

    #[test]
    fn above_one_falcon_is_ahead_in_rates_and_in_times() {
        let (commit, reopen) = (Figure::Of(Work::Commit(1)), Figure::Of(Work::Reopen));
        let rows = [
            row(commit, Kind::Falcon, &[100.0, 300.0, 200.0]),
            row(commit, Kind::Redb, &[50.0]),
            row(reopen, Kind::Falcon, &[1.0]),
            row(reopen, Kind::Redb, &[3.0]),
        ];
        assert_eq!((rows[0].value(), rows[0].spread()), (Some(200.0), Some(3.0)));
        assert_eq!((rows[1].times(&rows), rows[3].times(&rows)), (Some(4.0), Some(3.0)));
        let text = tables(&[room()], &rows);
        assert!(text.contains("50.000 (4.00x)"), "{text}");
        assert!(text.contains("a note"), "{text}");
    }

    #[test]
    fn what_did_not_come_is_missed() {
        let rows = [
            row(Figure::Of(Work::Load), Kind::Falcon, &[1.0]),
            row(Figure::Of(Work::Load), Kind::Fjall, &[]),
        ];
        assert_eq!(missing(&rows), ["load of fjall on directory"]);
        assert_eq!(missing(&rows[..1]), Vec::<String>::new());
    }

    #[test]
    fn json_has_the_agreed_members() {
        let rows = [row(Figure::Of(Work::Load), Kind::Falcon, &[1.0])];
        let text = json_lines(&[room()], &rows);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert!(lines.iter().all(|line| line["v"] == 1), "{text}");
        assert_eq!(lines[0]["sync_512_us"], 70);
        assert_eq!((&lines[1]["figure"], &lines[1]["engine"]), (&json!("load"), &json!("falcon")));
        assert_eq!(lines[2]["kind"], "goal");
    }
}
