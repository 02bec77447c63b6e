//! Databases of earlier revisions, which this one must read.

use std::fmt::Write as _;
use std::fs;
use std::ops::Bound::Unbounded;
use std::path::{Path, PathBuf};

use falcon::page::RecordNumber;
use falcon::{Database, Direction, Result, Row};

use crate::image_disk::{Image, ImageDisk};
use crate::sample::{Answer, End, options, sample};

/// Databases that each set has, and what was their end.
const KEPT: [(&str, End); 2] = [("closed", End::Closed), ("crashed", End::Crashed)];
/// What each of them must answer.
const ANSWER: &str = "answer.txt";
/// Has the sets written that are not there yet.
const WRITE: &str = "FALCON_WRITE_FORMATS";
/// The newest set.
const NEWEST: &str = "2";

fn formats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/formats")
}

/// A database that is kept.
pub fn kept(set: &str, name: &str) -> Image {
    let folder = formats().join(set).join(name);
    let mut image = Image::new();
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
        let path = entry.expect("the folder is there").path();
        let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        if name != ANSWER {
            image.insert(name, fs::read(&path).expect("it is there"));
        }
    }
    image
}

/// All sets, by their folders.
fn sets() -> Vec<String> {
    let entries = fs::read_dir(formats()).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("the folder is there"));
    let folders = names.filter(|entry| entry.file_type().expect("it is there").is_dir());
    let mut sets: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    sets.sort();
    sets
}

fn section(text: &mut String, name: &str, rows: &[(RecordNumber, Row)]) {
    writeln!(text, "== {name}").expect("a string takes all");
    for (record, row) in rows {
        writeln!(text, "{}: {row:?}", record.0).expect("a string takes all");
    }
}

fn text_of(answer: &Answer) -> String {
    let mut text = String::new();
    answer.iter().for_each(|(name, rows)| section(&mut text, name, rows));
    text
}

/// Reads the tables and indexes that `expected` names, in the same form.
fn read(database: &Database, expected: &str) -> Result<String> {
    let (txn, mut text) = (database.begin(), String::new());
    for name in expected.lines().filter_map(|line| line.strip_prefix("== ")) {
        let (table, index) = match name.split_once(" by ") {
            Some((table, index)) => (table, Some(index)),
            None => (name, None),
        };
        let table = database.table(table).unwrap_or_else(|| panic!("there is no {name}"));
        let rows = match index {
            Some(index) => {
                let index = table.index(index).unwrap_or_else(|| panic!("there is no {name}"));
                let range = txn.range(&index, Unbounded, Unbounded, Direction::Forward)?;
                range.collect::<Result<Vec<_>>>()?
            }
            None => txn.scan(&table)?.collect::<Result<Vec<_>>>()?,
        };
        section(&mut text, name, &rows);
    }
    txn.commit()?;
    Ok(text)
}

/// Writes the newest set. One that is there already stays as it is.
fn write_newest() {
    let folder = formats().join(NEWEST);
    assert!(!folder.exists(), "{folder:?} is there, and is never written again");
    for (name, end) in KEPT {
        let (sample, folder) = (sample(end), folder.join(name));
        fs::create_dir_all(&folder).expect("the repository can be written");
        fs::write(folder.join(ANSWER), text_of(&sample.answer)).expect("likewise");
        for (name, bytes) in &sample.image {
            fs::write(folder.join(name), bytes).expect("likewise");
        }
    }
}

#[test]
fn what_earlier_revisions_wrote_is_read() {
    if std::env::var_os(WRITE).is_some() {
        write_newest();
    }
    assert_eq!(sets().last().map(String::as_str), Some(NEWEST));
    for set in sets() {
        for (name, end) in KEPT {
            let expected = fs::read_to_string(formats().join(&set).join(name).join(ANSWER));
            let expected = expected.expect("it is there");
            assert!(expected.lines().count() > 20, "set {set}, {name}: {expected}");
            let disk = ImageDisk::of(&kept(&set, name));
            let database = Database::open(&disk.shared(), &options())
                .unwrap_or_else(|error| panic!("set {set}, {name}: {error}"));
            let report = database.recovery_report();
            assert_eq!(report.reapplied > 0, end == End::Crashed, "set {set}, {name}: {report:?}");
            assert_eq!(read(&database, &expected).expect("it is whole"), expected, "{set}, {name}");
            let problems = database.verify().expect("it is whole").problems;
            assert_eq!(problems, Vec::<String>::new(), "set {set}, {name}");
            database.close().expect("the disk works");
        }
    }
}
