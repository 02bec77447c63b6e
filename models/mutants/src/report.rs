//! The table of what was noticed, its JSON Lines, and the verdict.

use std::fmt::Write;

use serde_json::json;

use crate::ladder::Said;
use crate::list::Mutant;

/// Of a hundred mutants so many must be noticed.
const NOTICED_PERCENT: usize = 95;

/// What became of one mutant.
pub struct Row<'a> {
    /// The mutant.
    pub mutant: &'a Mutant,
    /// What the last rung said on which it stood.
    pub said: Said,
    /// That rung.
    pub rung: &'static str,
    /// Seconds from the change to the answer, builds among them.
    pub seconds: u64,
}

impl Row<'_> {
    fn noticed_by(&self) -> String {
        match &self.said {
            Said::Quiet => "NOT NOTICED".into(),
            Said::Noticed(what) => format!("{}: {what}", self.rung),
            Said::NoResult(what) => format!("NO RESULT: {what}"),
        }
    }

    fn is_noticed(&self) -> bool {
        matches!(self.said, Said::Noticed(_))
    }

    /// As a line of JSON.
    pub fn json(&self) -> String {
        let (said, what) = match &self.said {
            Said::Quiet => ("quiet", None),
            Said::Noticed(what) => ("noticed", Some(what)),
            Said::NoResult(what) => ("no_result", Some(what)),
        };
        let Mutant { name, file, effect, weakens, .. } = self.mutant;
        json!({
            "mutant": name,
            "file": file,
            "effect": effect.name(),
            "weakens": weakens,
            "said": said,
            "rung": self.rung,
            "what": what,
            "seconds": self.seconds,
        })
        .to_string()
    }
}

/// The table for people.
pub fn table(rows: &[Row<'_>]) -> String {
    let mut text = String::from(
        "| mutant | file | effect | weakens | noticed by | seconds |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Mutant { name, file, effect, weakens, .. } = row.mutant;
        let (effect, noticed, seconds) = (effect.name(), row.noticed_by(), row.seconds);
        let _ = writeln!(
            text,
            "| `{name}` | `{file}` | {effect} | {weakens} | {noticed} | {seconds} |"
        );
    }
    let noticed = rows.iter().filter(|row| row.is_noticed()).count();
    let _ = writeln!(text, "\n{noticed} of {} mutants noticed", rows.len());
    text
}

/// The last of the JSON Lines.
pub fn json_sum(rows: &[Row<'_>]) -> String {
    let noticed = rows.iter().filter(|row| row.is_noticed()).count();
    json!({ "mutants": rows.len(), "noticed": noticed, "holds": holds(rows) }).to_string()
}

/// Whether enough were noticed, and each gave a result.
pub fn holds(rows: &[Row<'_>]) -> bool {
    let noticed = rows.iter().filter(|row| row.is_noticed()).count();
    let all_told = rows.iter().all(|row| !matches!(row.said, Said::NoResult(_)));
    all_told && noticed * 100 >= rows.len() * NOTICED_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Effect;

    fn verdict(noticed: usize, quiet: usize, no_result: usize) -> bool {
        let mutant = Mutant {
            name: "m".into(),
            file: "a.rs".into(),
            effect: Effect::Kind,
            weakens: "it".into(),
            was: "a".into(),
            becomes: "b".into(),
        };
        let said = [Said::Noticed("t".into()), Said::Quiet, Said::NoResult("n".into())];
        let rows = [noticed, quiet, no_result].into_iter().zip(said).flat_map(|(count, said)| {
            let row = move |_| (said.clone(), "rung");
            (0..count).map(row)
        });
        let rows: Vec<Row<'_>> =
            rows.map(|(said, rung)| Row { mutant: &mutant, said, rung, seconds: 1 }).collect();
        let text = table(&rows);
        assert!(text.contains(&format!("{noticed} of {} mutants", rows.len())), "{text}");
        assert!(json_sum(&rows).contains(&format!("\"noticed\":{noticed}")));
        holds(&rows)
    }

    #[test]
    fn ninety_five_of_a_hundred_must_be_noticed_and_each_give_a_result() {
        assert!(verdict(19, 1, 0));
        assert!(!verdict(18, 1, 0));
        assert!(!verdict(99, 0, 1));
    }
}
