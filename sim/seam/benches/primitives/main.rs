//! What the seam's primitives cost beside std's and parking_lot's, off any machine.
//!
//! # Method
//!
//! Every work is a loop of about 50 µs (the ping-pong's 1 ms). In each round each system runs it once, in an
//! order that rotates from round to round; a round gives one ratio a system, of two loops that ran right
//! after one another, and what is printed is the median of all rounds' ratios. So a slow phase of the
//! host falls on both sides. Time is the program's processor time, so that others who use the processor
//! do not count. The program stays on one processor, which makes the ping-pong a plain change of threads.
//!
//! Without the feature `simulate` the seam's lock *is* std's, and the ratio shows how far a measurement
//! can be trusted. Nothing here passes or fails by the clock.

mod report;
mod works;

use std::process::ExitCode;

use works::{Run, System, WORKS, Work};

const USAGE: &str = "\
usage: cargo bench -p falconry-seam [--features simulate] [-- OPTIONS]

options:
  --json        JSON Lines in place of the table
  --rounds N    rounds of each work (default 1000)
  --only TEXT   only works whose name contains TEXT
";

struct Options {
    json: bool,
    rounds: usize,
    only: String,
}

/// One work on one system: the medians of its rounds.
struct Row {
    work: &'static str,
    system: System,
    ns: f64,
    ratio_to_falconry: f64,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprint!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    stay_on_one_processor();
    let mut rows = Vec::new();
    for work in WORKS.iter().filter(|work| work.name.contains(&options.only)) {
        rows.extend(measure(work, options.rounds));
    }
    if options.json {
        print!("{}", report::json_lines(&rows));
    } else {
        print!("{}", report::table(&rows));
    }
    ExitCode::SUCCESS
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { json: false, rounds: 1_000, only: String::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--json" => options.json = true,
            "--only" => options.only = arguments.next().ok_or("--only wants a text")?,
            "--rounds" => {
                let count = arguments.next().ok_or("--rounds wants a number")?;
                let parsed = count.parse().ok().filter(|count| *count > 0);
                options.rounds =
                    parsed.ok_or(format!("--rounds wants a number above 0, not {count:?}"))?;
            }
            _ => return Err(format!("unknown option {argument:?}")),
        }
    }
    Ok(options)
}

/// Rounds of one work on every system that has it.
fn measure(work: &Work, rounds: usize) -> Vec<Row> {
    let count = work.runs.len();
    let loops: Vec<u64> = work.runs.iter().map(|(_, run)| iterations(*run, work.loop_ns)).collect();
    let mut ns = vec![Vec::with_capacity(rounds); count];
    for round in 0..rounds {
        for turn in 0..count {
            let index = (round + turn) % count;
            let time = (work.runs[index].1)(loops[index]);
            ns[index].push(time.as_nanos() as f64 / loops[index] as f64);
        }
    }
    let falconry = ns[0].clone();
    let rows = work.runs.iter().zip(ns).map(|((system, _), ns)| {
        let ratios = ns.iter().zip(&falconry).map(|(ns, falconry)| ns / falconry).collect();
        Row { work: work.name, system: *system, ratio_to_falconry: median(ratios), ns: median(ns) }
    });
    rows.collect()
}

/// How many iterations make a loop of about `loop_ns`.
fn iterations(run: Run, loop_ns: u64) -> u64 {
    let mut iterations = 1;
    loop {
        let ns = run(iterations).as_nanos() as u64;
        if ns >= loop_ns || iterations >= loop_ns {
            return (iterations * loop_ns / ns.max(1)).max(1);
        }
        iterations *= 2;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Keeps this thread, and those it starts, where it is now. If the system refuses, figures are noisier.
fn stay_on_one_processor() {
    #[cfg(target_os = "linux")]
    // SAFETY: the set is plain bits, for which zeros are a value; the calls read it and nothing else.
    unsafe {
        let processor = usize::try_from(libc::sched_getcpu()).unwrap_or(0);
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}
