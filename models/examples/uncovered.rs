//! Lines that no run has run, by what cargo-tarpaulin has counted in one swarm or in several.
//!
//! ```text
//! cargo run --example uncovered -- within/lcov.info beyond/lcov.info
//! ```
//!
//! # Method
//!
//! A line counts as run when any of the files says so. Lines follow each other in a range when no other line that
//! can be run lies between them.
//!
//! # Invariant
//!
//! A line that a file does not know is no line of its own: it is counted neither as run nor as not run.

use std::collections::BTreeMap;
use std::error::Error;
use std::{env, fs};

/// Of each source file, how often each of its lines was run.
type Counts = BTreeMap<String, BTreeMap<u32, u64>>;

/// What a source file's path has before the part that is printed.
const ROOT: &str = "engine-under-test/falcon/src/";

fn main() -> Result<(), Box<dyn Error>> {
    let mut together = Counts::new();
    for path in env::args().skip(1) {
        let counts = read(&fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?);
        println!("{path}: {}", share(&counts));
        for (file, lines) in counts {
            let of_file = together.entry(file).or_default();
            lines.into_iter().for_each(|(line, count)| *of_file.entry(line).or_default() += count);
        }
    }
    println!("together: {}\n", share(&together));
    for (file, lines) in &together {
        let count = lines.values().filter(|count| **count == 0).count();
        if count > 0 {
            println!("- {file} ({count} of {}): {}", lines.len(), ranges(lines));
        }
    }
    Ok(())
}

/// The counts of one file in the form of lcov.
fn read(text: &str) -> Counts {
    let (mut counts, mut file) = (Counts::new(), String::new());
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = path.rsplit_once(ROOT).map_or(path, |(_, behind)| behind).into();
        } else if let Some((number, count)) =
            line.strip_prefix("DA:").and_then(|line| line.split_once(','))
            && let (Ok(number), Ok(count)) = (number.parse(), count.parse::<u64>())
        {
            *counts.entry(file.clone()).or_default().entry(number).or_default() += count;
        }
    }
    counts
}

/// How many lines were run, in words.
fn share(counts: &Counts) -> String {
    let all: usize = counts.values().map(BTreeMap::len).sum();
    let run = counts.values().flat_map(BTreeMap::values).filter(|count| **count > 0).count();
    let percent = 100.0 * run as f64 / all.max(1) as f64;
    format!("{run} of {all} lines, {percent:.1} %, and {} not", all - run)
}

/// The lines that were not run: `7, 9-12`.
fn ranges(lines: &BTreeMap<u32, u64>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut goes_on = false;
    for (line, count) in lines {
        match ranges.last_mut() {
            Some((_, last)) if *count == 0 && goes_on => *last = *line,
            _ if *count == 0 => ranges.push((*line, *line)),
            _ => {}
        }
        goes_on = *count == 0;
    }
    let texts = ranges.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}
