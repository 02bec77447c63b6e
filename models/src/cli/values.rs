//! What can be typed as a value: seeds, ranges, spans of time, partitions, rates, settings.
//!
//! Each refuses with a sentence that names the word and says what would be understood.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

// One reading of numbers for the program and for tests: `FALCONRY_SEED` means the same in both.
use falconry_sim::check::seed_of as number;
use falconry_sim::choice::PPM;
use falconry_sim::fault::Fault;
use serde::Serialize;

/// A seed: decimal or `0x…`, with `_` anywhere and `k`, `M`, `G` behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl FromStr for Seed {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        number(word).map(Seed).ok_or_else(|| {
            format!("'{word}' is no seed: write a number below 2^64, as 51733, 1_000, 2M or 0xca15")
        })
    }
}

/// Seeds `from..until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SeedRange {
    /// The first.
    pub from: u64,
    /// The first that no longer belongs to it.
    pub until: u64,
}

impl FromStr for SeedRange {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (from, until) = word
            .split_once("..")
            .and_then(|(from, until)| Some((number(from)?, number(until)?)))
            .ok_or_else(|| {
                format!("'{word}' is no range of seeds: write A..B, as 0..1M or 5_000..6_000")
            })?;
        if from > until {
            return Err(format!("the range '{word}' runs backwards: write {until}..{from}"));
        }
        Ok(SeedRange { from, until })
    }
}

impl fmt::Display for SeedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.until)
    }
}

/// A span of real time: `90s`, `8h`, `1h30m`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let refusal = || {
            format!("'{word}' is no span of time: write a number and its unit, as 90s, 8h or 1h30m")
        };
        let mut rest = word;
        let mut total_ms: u64 = 0;
        while !rest.is_empty() {
            let unit_at = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refusal)?;
            let count: u64 = rest[..unit_at].parse().map_err(|_| refusal())?;
            let after = &rest[unit_at..];
            let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let unit_ms = match &after[..unit_len] {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(refusal()),
            };
            let part_ms = count.checked_mul(unit_ms).ok_or_else(refusal)?;
            total_ms = total_ms.checked_add(part_ms).ok_or_else(refusal)?;
            rest = &after[unit_len..];
        }
        if word.is_empty() { Err(refusal()) } else { Ok(Span(Duration::from_millis(total_ms))) }
    }
}

/// One slice of a plan for several machines: `m/n`, from `1/n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which slice, from 1.
    pub slice: u64,
    /// How many there are.
    pub slices: u64,
}

impl Partition {
    /// The only slice of one.
    pub const WHOLE: Partition = Partition { slice: 1, slices: 1 };
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        word.split_once('/')
            .and_then(|(slice, slices)| Some((slice.parse().ok()?, slices.parse().ok()?)))
            .filter(|(slice, slices)| (1..=*slices).contains(slice))
            .map(|(slice, slices)| Partition { slice, slices })
            .ok_or_else(|| format!("'{word}' is no slice: write m/n with m from 1 to n, as 2/4"))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slice, self.slices)
    }
}

/// The rate of one fault: `torn_write=200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRate {
    /// Which fault.
    pub fault: Fault,
    /// In millionths of its decisions.
    pub ppm: u32,
}

impl FromStr for FaultRate {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (name, rate) = word.split_once('=').ok_or_else(|| {
            format!("'{word}' sets no rate: write NAME=PPM, as torn_write=200, or NAME=0 to switch it off")
        })?;
        let fault = name.parse::<Fault>().map_err(|unknown| {
            let guess = did_you_mean(name, Fault::ALL.iter().map(|fault| fault.name()));
            format!("{unknown}; `fault list` shows all{guess}")
        })?;
        let ppm = number(rate).and_then(|ppm| u32::try_from(ppm).ok()).filter(|ppm| *ppm <= PPM);
        let ppm = ppm.ok_or_else(|| {
            format!("'{rate}' is no rate for {name}: write millionths, from 0 to {PPM}")
        })?;
        Ok(FaultRate { fault, ppm })
    }
}

impl fmt::Display for FaultRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.fault, self.ppm)
    }
}

/// One setting of an engine or a run: `journal_mode=delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        word.split_once('=')
            .filter(|(name, value)| {
                let sound = |text: &str| !text.is_empty() && !text.contains(char::is_control);
                sound(name) && sound(value) && !name.contains(' ')
            })
            .map(|(name, value)| Setting { name: name.into(), value: value.into() })
            .ok_or_else(|| format!("'{word}' sets nothing: write NAME=VALUE, as journal_mode=wal"))
    }
}

/// What is said behind a refused word: the one of `names` that may have been meant, if there is one.
pub fn did_you_mean<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(word, names).map_or(String::new(), |guess| format!("; did you mean '{guess}'?"))
}

/// The one of `names` that differs from `word` by the fewest letters, if it is close.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near_max = 1 + word.len() / 4;
    names
        .map(|name| (edits(word, name), name))
        .filter(|(distance, _)| *distance <= near_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be changed, added, removed or exchanged with their neighbour.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let one_less = rows[i - 1][j].min(rows[i][j - 1]) + 1;
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let exchanged = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                changed.min(one_less).min(exchanged)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_in_every_documented_form() {
        for (word, value) in [
            ("51733", 51_733),
            ("1_000", 1_000),
            ("2k", 2_000),
            ("1M", 1_000_000),
            ("3G", 3_000_000_000),
            ("0xCA15", 0xCA15),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(word.parse(), Ok(Seed(value)), "{word}");
        }
        for word in [
            "",
            "-1",
            "+1",
            "1.5",
            "M",
            "0x",
            "0x+1",
            "1e3",
            "18446744073709551616",
            "99999999999G",
        ] {
            assert!(word.parse::<Seed>().is_err(), "{word} was taken");
        }
    }

    #[test]
    fn ranges_and_slices_have_their_bounds() {
        assert_eq!("0..1M".parse(), Ok(SeedRange { from: 0, until: 1_000_000 }));
        assert_eq!("7..7".parse(), Ok(SeedRange { from: 7, until: 7 }));
        assert!("9..7".parse::<SeedRange>().unwrap_err().contains("write 7..9"));
        assert!("5".parse::<SeedRange>().is_err());
        assert_eq!("2/4".parse(), Ok(Partition { slice: 2, slices: 4 }));
        for word in ["0/4", "5/4", "1/0", "2", "a/b"] {
            assert!(word.parse::<Partition>().is_err(), "{word} was taken");
        }
    }

    #[test]
    fn spans_add_up_their_units() {
        assert_eq!("1h30m".parse(), Ok(Span(Duration::from_secs(5_400))));
        assert_eq!("500ms".parse(), Ok(Span(Duration::from_millis(500))));
        for word in ["", "5", "h", "5x", "99999999999999999999s", "-1s"] {
            assert!(word.parse::<Span>().is_err(), "{word} was taken");
        }
    }

    #[test]
    fn a_misspelt_fault_is_answered_with_the_nearest() {
        let refusal = "torn_wriet=5".parse::<FaultRate>().unwrap_err();
        assert!(refusal.contains("did you mean 'torn_write'?"), "{refusal}");
        let refusal = "flood=5".parse::<FaultRate>().unwrap_err();
        assert!(refusal.ends_with("`fault list` shows all"), "{refusal}");
        assert!("torn_write=1000001".parse::<FaultRate>().is_err());
    }
}
