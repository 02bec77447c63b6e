//! Each call of the disk fails in turn, in a life of an opening, commits, a checkpoint and a closing.

use std::collections::BTreeSet;

use falcon::page::key::KeyValue;
use falcon::{Database, Error, Result};
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

use crate::check_told;
use crate::image_disk::{EACCES, EIO, ENOSPC, EROFS, Fault, Image, ImageDisk, Kind};
use crate::sample::{Answer, End, Sample, options, read_all, sample};

/// The number of the first letter that a life writes.
const FIRST: u64 = 100;
/// How many it writes.
const LETTERS: u64 = 4;

/// What a life came to.
struct Life {
    acknowledged: u64,
    end: Result<()>,
}

/// Opens, commits, makes a checkpoint and closes, until there is an error.
fn live(disk: &ImageDisk) -> Life {
    let mut acknowledged = 0;
    let end = work(disk, &mut acknowledged);
    Life { acknowledged, end }
}

fn work(disk: &ImageDisk, acknowledged: &mut u64) -> Result<()> {
    let database = Database::open(&disk.shared(), &options())?;
    for number in FIRST..FIRST + LETTERS {
        put(&database, number)?;
        *acknowledged += 1;
        if number == FIRST + 1 {
            database.checkpoint()?;
        }
    }
    database.close()
}

/// Commits a letter that needs an overflow page.
fn put(database: &Database, number: u64) -> Result<()> {
    let letters = database.table("letters").expect("it is there");
    let mut txn = database.begin();
    let body = KeyValue::Bytes(vec![number as u8; 1_100].into());
    txn.insert(&letters, &[KeyValue::U64(number), body])?;
    txn.commit()
}

/// Runs on a machine: panics and waits without end are its verdicts.
fn on_machine<T: Send>(body: impl FnOnce() -> T) -> T {
    Machine::new(MachineConfig::default(), Choices::from_seed(0)).run(|_| body())
}

/// Opens what a life has left, now that the disk works, and reads all of it.
fn check_left(sample: &Sample, disk: &ImageDisk, life: &Life, what: &str) {
    let database = Database::open(&disk.shared(), &options())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = read_all(&database).unwrap_or_else(|error| panic!("{what}: {error}"));
    let letters = of_life(&found);
    let count = letters.len() as u64;
    // The last commit may be durable although it was not acknowledged.
    let expected = life.acknowledged..=life.acknowledged + u64::from(life.end.is_err());
    assert!(expected.contains(&count), "{what}: {letters:?}, {} expected", life.acknowledged);
    assert_eq!(letters, (FIRST..FIRST + count).collect(), "{what}");
    for (name, rows) in &sample.answer {
        assert!(rows.iter().all(|row| found[name].contains(row)), "{what}: {name} has lost a row");
    }
    put(&database, FIRST + 50).unwrap_or_else(|error| panic!("{what}: {error}"));
    database.close().unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// The numbers of the letters that a life has written.
fn of_life(answer: &Answer) -> BTreeSet<u64> {
    let numbers = answer["letters"].iter().map(|(_, row)| match row[0] {
        KeyValue::U64(number) => number,
        ref other => panic!("a letter of {other:?}"),
    });
    numbers.filter(|number| *number >= FIRST).collect()
}

/// Fails the calls of a kind from each of them on, or each alone, in lives that begin with `image`.
fn sweep(sample: &Sample, kind: Kind, errno: i32, is_once: bool) {
    let mut refused = 0;
    for after in 0..10_000 {
        let disk = ImageDisk::of(&sample.image);
        let life = on_machine(|| {
            disk.set_fault(Some(Fault { kind, after, is_once, errno }));
            live(&disk)
        });
        let failed = disk.failed();
        disk.set_fault(None);
        let what = format!("{kind:?}, {errno}, once {is_once}, after {after}");
        match &life.end {
            Ok(()) => assert!(failed == 0 || is_once, "{what}: an error was swallowed"),
            Err(error) => {
                assert!(failed > 0, "{what}: {error}");
                check_told(error, errno);
                refused += 1;
            }
        }
        if kind == Kind::Writing && after == 0 {
            assert!(disk.image() == sample.image, "{what}: something was changed");
        }
        let seen = disk.image();
        on_machine(|| check_left(sample, &ImageDisk::of(&seen), &life, &what));
        disk.cut_power();
        on_machine(|| check_left(sample, &disk, &life, &format!("{what}, and the power went")));
        if failed == 0 {
            assert!(refused > 10, "{what}: {refused} refusals");
            println!("{kind:?}, {errno}, once {is_once}: {refused} of {after} told");
            return;
        }
    }
    panic!("a life of ten thousand calls");
}

fn crashed() -> Sample {
    sample(End::InCheckpoint)
}

#[test]
fn an_input_or_output_error_of_any_one_call() {
    sweep(&crashed(), Kind::Any, EIO, true);
}

#[test]
fn a_disk_that_fails_from_any_call_on() {
    sweep(&crashed(), Kind::Any, EIO, false);
}

#[test]
fn a_disk_that_is_full_from_any_write_on() {
    sweep(&crashed(), Kind::Growing, ENOSPC, false);
}

#[test]
fn a_disk_that_is_full_for_one_write() {
    sweep(&crashed(), Kind::Growing, ENOSPC, true);
}

#[test]
fn a_disk_that_becomes_one_for_reading() {
    for errno in [EROFS, EACCES] {
        sweep(&crashed(), Kind::Writing, errno, false);
    }
}

/// Of a disk that is only for reading nothing is changed, and the error names the first file that was to be.
#[test]
fn a_disk_that_is_for_reading_is_told() {
    let Sample { image, .. } = sample(End::Closed);
    for (errno, said) in [(EROFS, "Read-only file system"), (EACCES, "Permission denied")] {
        let disk = ImageDisk::of(&image);
        disk.set_fault(Some(Fault { kind: Kind::Writing, after: 0, is_once: false, errno }));
        let told = refusal(&disk, &image).to_string();
        assert_eq!(told, format!("open of lock: {said} (os error {errno})"));
    }
}

fn refusal(disk: &ImageDisk, before: &Image) -> Error {
    let refused = Database::open(&disk.shared(), &options()).expect_err("it cannot be opened");
    assert!(disk.image() == *before, "{refused}");
    refused
}
