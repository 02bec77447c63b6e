//! Every setting of Falcon is drawn, from one end of its range to the other, and what is drawn it takes.

use std::collections::{BTreeMap, BTreeSet};

use falcon::Options;
use falcon::log::LogConfig;
use falconry_sim::check::Sim;
use falconry_sim::choice::Choices;

use super::*;
use crate::engine::{Concurrency, Room};

/// Makes a check on a machine for each of so many seeds; a failure says how the test `name` comes to it again.
pub(super) fn on_machines(
    name: &str,
    seeds: u64,
    check: impl Fn() -> Result<(), EngineError> + Sync,
) {
    Sim::new(name).seeds(0..seeds).run(|machine| {
        machine.run(|_| check().expect("it is told as it must be"));
    });
}

/// Enough for the rarest end of a range.
const DRAWS: u64 = 12_000;

fn drawn(seed: u64, room: Room) -> Settings {
    let mut choices = Choices::from_seed(seed);
    let mut draw = SettingsDraw::new(&mut choices, "falcon", &[]).with_room(room);
    FalconEngine.draw(&mut draw).expect("nothing is fixed");
    let values = draw.finish().expect("nothing is fixed");
    Settings::new(values, Contract::Durable, Concurrency::Seam)
}

fn small() -> Room {
    Room { pair_bytes_max: 72, transaction_bytes_max: 4_096 }
}

/// Which words of the adapter a setting of the engine comes from. A setting that is new in the engine does
/// not compile here until it has its line.
fn words_of_settings() -> BTreeMap<&'static str, &'static str> {
    let Options {
        page_bytes: _,
        cache_frames: _,
        run_pages_max: _,
        gopher_threads: _,
        io_threads: _,
        checkpoint_interval: _,
        lock_wait_timeout: _,
        double_write: _,
        double_write_pages: _,
        sequence_batch: _,
        // For a user who has no backup. What it does to a database that is whole is drawn nowhere: nothing.
        make_versions_anew: _,
        log:
            LogConfig {
                file_bytes: _,
                file_bytes_max: _,
                window_bytes: _,
                window_count: _,
                block_bytes: _,
            },
    } = Options::default();
    BTreeMap::from([
        ("page_bytes", "page_bytes"),
        ("cache_frames", "cache_frames_more"),
        ("run_pages_max", "run_pages_max"),
        ("gopher_threads", "gopher_threads"),
        ("io_threads", "io_threads"),
        ("checkpoint_interval", "checkpoint_interval_ms"),
        ("lock_wait_timeout", "lock_wait_timeout_ms"),
        ("double_write", "double_write"),
        ("double_write_pages", "double_write_pages_more"),
        ("sequence_batch", "sequence_batch"),
        ("file_bytes", "file_windows"),
        ("file_bytes_max", "file_windows_max"),
        ("window_bytes", "window_blocks"),
        ("window_count", "window_count"),
        ("block_bytes", "block_bytes"),
    ])
}

#[test]
fn every_setting_is_drawn_over_its_whole_range_and_taken() {
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for seed in 0..DRAWS {
        let settings = drawn(seed, small());
        for (name, value) in settings.iter() {
            values.entry(name.into()).or_default().insert(value.into());
        }
        let options = options(&settings, 512);
        options.check(512).unwrap_or_else(|error| panic!("seed {seed}: {error}: {options:?}"));
    }
    for (setting, word) in words_of_settings() {
        assert!(values[word].len() > 1, "{setting} is drawn by {word}, which is always the same");
    }
    let numbers = |word: &str| {
        let numbers = values[word].iter().map(|value| value.parse::<u64>().expect("a number"));
        (numbers.clone().min().expect("drawn"), numbers.max().expect("drawn"))
    };
    let rows = [
        ("run_pages_max", 1, 1_024),
        ("gopher_threads", 1, 20),
        ("io_threads", 1, 21),
        ("window_count", 1, 4_096),
        ("file_windows", 1, 64),
        ("file_windows_max", 1, 256),
        ("window_blocks", 1, 256),
        ("cache_frames_more", 1, 1_024),
        ("sequence_batch", 1, 1_000_000),
        ("double_write_pages_more", 1, 65_536),
    ];
    for (word, low, high) in rows {
        let (least, most) = numbers(word);
        assert!(least == low && most * 4 >= high * 3, "{word}: {least} to {most}");
    }
    // The ends of these two are a day: they are only rarely drawn to the millisecond.
    for word in ["checkpoint_interval_ms", "lock_wait_timeout_ms"] {
        let (least, most) = numbers(word);
        assert!(least == 1 && most >= 80_000_000, "{word}: {least} to {most}");
    }
    let sizes: Vec<&str> = PAGE_BYTES.iter().map(|(size, _)| *size).collect();
    assert!(sizes.iter().all(|size| values["page_bytes"].contains(*size)), "{sizes:?}");
    assert_eq!(values["block_bytes"].len(), BLOCK_BYTES.len());
    assert_eq!((values["double_write"].len(), values["range_by"].len()), (2, RANGE_BY.len()));
}

#[test]
fn the_largest_rows_of_any_workload_are_taken() {
    for (pair_bytes_max, transaction_bytes_max) in [(72, 4_096), (16 << 10, 1 << 20)] {
        let room = Room { pair_bytes_max, transaction_bytes_max };
        for seed in 0..500 {
            let settings = drawn(seed, room);
            let options = options(&settings, 4_096);
            options.check(4_096).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(options.log.record_bytes_max() / 2 > pair_bytes_max, "seed {seed}");
        }
    }
}
