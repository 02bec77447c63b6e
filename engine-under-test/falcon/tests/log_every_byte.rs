//! Every byte of a closed log is damaged, one at a time, and the log is opened.
//!
//! # Method
//!
//! The log has two lives and has gone round once, so that both files hold blocks: needed ones, ones of
//! an earlier round, and a superseded one. What an opening of the undamaged log answers is known; so is
//! where its last block lies.
//!
//! # Invariant
//!
//! The answer is the same, or the last block is gone and it was the one that was damaged, or there is an
//! error that names the file.

#[path = "../../canary/tests/support/mod.rs"]
mod support;

#[path = "log_tail/mod.rs"]
mod log_tail;

use std::ops::Range;
use std::path::Path;

use falcon::log::{Log, LogConfig, RecordKind, dump};
use falcon::{Error, Lsn};
use log_tail::last_block;
use support::MemoryDisk;

const DATABASE: u64 = 7;
const NAMES: [&str; 2] = ["log1", "log2"];

const CONFIG: LogConfig = LogConfig {
    file_bytes: 4096,
    file_bytes_max: 8192,
    window_bytes: 1024,
    window_count: 2,
    block_bytes: 512,
};

fn names() -> [&'static Path; 2] {
    NAMES.map(Path::new)
}

/// The records that an opening finds, as places and bytes.
type Answer = Vec<(Lsn, Vec<u8>)>;

fn answer(disk: &MemoryDisk) -> Result<Answer, Error> {
    let (log, tail) = Log::open(disk, names(), CONFIG, DATABASE)?;
    log.records(tail.recovery_start)
        .map(|record| record.map(|record| (record.lsn(), record.bytes().to_vec())))
        .collect()
}

/// Appends and flushes numbered records; the start of recovery follows with so many between.
fn append(log: &Log, numbers: Range<u32>, behind: usize) {
    let mut places = Vec::new();
    for number in numbers {
        let text = format!("record {number} {}", "x".repeat(number as usize * 37 % 300));
        places.push(log.end());
        let end = log.append(RecordKind(number as u8), &[text.as_bytes()]).expect("the disk works");
        if places.len() > behind {
            log.set_recovery_start(places[places.len() - 1 - behind]);
        }
        log.flush(end).expect("the disk works");
    }
}

/// A log that was closed after two lives, on a disk of its own.
fn closed() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let log = Log::create(&disk, names(), CONFIG, DATABASE).expect("the disk works");
    append(&log, 0..12, 4);
    assert!(log.counters().switches > 0, "{:?}", log.counters());
    drop(log);
    let (log, _) = Log::open(&disk, names(), CONFIG, DATABASE).expect("the disk works");
    append(&log, 12..16, 8);
    disk
}

/// What a file holds.
fn bytes_of(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    disk.edit(name, |bytes| found = bytes.clone());
    found
}

fn copy(of: &[Vec<u8>; 2]) -> MemoryDisk {
    use falconry_seam::disk::{Disk, OpenOptions};
    let disk = MemoryDisk::default();
    for (name, bytes) in NAMES.into_iter().zip(of) {
        disk.open(Path::new(name), &OpenOptions::CREATE).expect("the disk works");
        disk.edit(name, |to| *to = bytes.clone());
    }
    disk
}

#[test]
fn every_damaged_byte_is_harmless_or_seen() {
    let disk = closed();
    let files = NAMES.map(|name| bytes_of(&disk, name));
    let whole = answer(&copy(&files)).expect("it is whole");
    // The last block is the one whose loss leaves all the records but its own.
    let text = dump(&copy(&files), names()).expect("it is whole");
    let (last_file, last) = last_block(&text, NAMES);
    let (mut same, mut shorter, mut errors) = (0, 0, 0);
    for (index, file) in files.iter().enumerate() {
        for at in 0..file.len() {
            let mut damaged = files.clone();
            damaged[index][at] ^= 1 << (at % 8);
            let is_last = index == last_file && last.contains(&at);
            match answer(&copy(&damaged)) {
                Ok(found) if is_last => {
                    assert_eq!(
                        found[..],
                        whole[whole.len() - found.len() - 1..whole.len() - 1][..found.len()],
                        "byte {at} of file {index}"
                    );
                    shorter += 1;
                }
                Ok(found) => {
                    assert_eq!(found, whole, "byte {at} of file {index}");
                    same += 1;
                }
                Err(error) => {
                    assert!(!is_last, "byte {at} of the last block: {error}");
                    let told = error.to_string();
                    assert!(NAMES.iter().any(|name| told.contains(name)), "{told}");
                    let is_clear = matches!(error, Error::Damaged { .. } | Error::Foreign { .. });
                    assert!(is_clear, "byte {at} of file {index}: {error}");
                    errors += 1;
                }
            }
        }
    }
    assert_eq!(shorter, last.len(), "each byte of the last block counts");
    assert!(same > 1_000, "{same} bytes are not needed");
    assert!(errors > 1_000, "{errors} bytes were missed");
}

#[test]
fn an_error_changes_nothing() {
    let disk = closed();
    let mut files = NAMES.map(|name| bytes_of(&disk, name));
    let (last_file, last) = last_block(&dump(&disk, names()).expect("it is whole"), NAMES);
    // The block before the last one is needed.
    files[last_file][last.start - 1] ^= 1;
    let damaged = copy(&files);
    let error = answer(&damaged).expect_err("it is damaged");
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(NAMES.map(|name| bytes_of(&damaged, name)), files);
    let text = dump(&damaged, names()).expect("what is damaged can be shown");
    assert!(text.contains("not whole"), "{text}");
    assert!(text.contains(&error.to_string()), "{text}");
}

#[test]
fn a_small_log_looks_like_this() {
    let disk = closed();
    insta::assert_snapshot!("log_small", dump(&disk, names()).expect("it is whole"));
}
