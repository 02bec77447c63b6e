//! A small database in which there is something of everything, and how all of it is read.
//!
//! # Method
//!
//! It is made on a simulated machine, so that its bytes are the same each time: tables with unique and other
//! indexes of one and of several columns, rows on overflow pages, deleted and changed ones, and nulls. What it
//! must answer is told by a model beside it, not by the database.
//!
//! # Invariant
//!
//! What [`answer`] returns is all that a client could see.

#![allow(dead_code, reason = "each test that includes this uses another part of it")]

use std::collections::BTreeMap;
use std::ops::Bound::Unbounded;
use std::sync::Arc;
use std::time::Duration;

use falcon::log::LogConfig;
use falcon::page::RecordNumber;
use falcon::page::key::{self, KeyValue};
use falcon::{Database, Direction, Options, Result, Row, TableSpec, Transaction};
use falconry_seam::disk::Disk;
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

use crate::image_disk::{Image, ImageDisk};

/// The files of the tablespaces.
pub const PAGES: [&str; 2] = ["catalogue.pages", "user.pages"];
/// The files of the log.
pub const LOG: [&str; 2] = ["log.1", "log.2"];
/// The file with the second copies.
pub const DOUBLE_WRITE: &str = "double-write";
/// The file that says how new each page is.
pub const VERSIONS: &str = "versions";

/// The smallest pages, a log of the smallest files, and no thread that is not needed.
pub fn options() -> Options {
    Options {
        page_bytes: 1_024,
        cache_frames: 96,
        run_pages_max: 8,
        double_write_pages: 1_024,
        gopher_threads: 1,
        io_threads: 0,
        checkpoint_interval: Duration::from_secs(24 * 60 * 60),
        lock_wait_timeout: Duration::ZERO,
        double_write: true,
        sequence_batch: 8,
        make_versions_anew: false,
        log: LogConfig {
            file_bytes: 8_704,
            file_bytes_max: 128 << 10,
            window_bytes: 8_192,
            window_count: 1,
            block_bytes: 512,
        },
    }
}

/// Its tables.
pub fn tables() -> [TableSpec; 2] {
    let people = TableSpec::new("people", 3).index("id", &[0], true).index("name", &[1], false);
    [
        people.index("age and id", &[2, 0], true),
        TableSpec::new("letters", 2).index("number", &[0], true),
    ]
}

/// The rows of each table, in the order of their record numbers.
pub type Model = BTreeMap<&'static str, BTreeMap<RecordNumber, Row>>;

/// What a client sees of one table or index, by its name.
pub type Answer = BTreeMap<String, Vec<(RecordNumber, Row)>>;

/// Names are so long that those of all need more than one leaf.
fn person(id: u64, age: Option<u64>) -> Row {
    let name = format!("{} of that name{}", id * 7 % 11, ", and of that name again".repeat(3));
    let age = age.map_or(KeyValue::Null, KeyValue::U64);
    vec![KeyValue::U64(id), KeyValue::Text(name.into()), age]
}

fn letter(number: u64, bytes: usize) -> Row {
    let body = (0..bytes).map(|at| (at as u64 * 31 + number) as u8).collect::<Vec<u8>>();
    vec![KeyValue::U64(number), KeyValue::Bytes(body.into())]
}

/// One step of a transaction, done to the database and to the model.
struct Both<'a, 'd> {
    database: &'d Database,
    txn: Transaction<'d>,
    model: &'a mut Model,
}

impl Both<'_, '_> {
    fn insert(&mut self, table: &'static str, row: Row) -> RecordNumber {
        let handle = self.database.table(table).expect("it was made");
        let record = self.txn.insert(&handle, &row).expect("no fault");
        self.model.entry(table).or_default().insert(record, row);
        record
    }

    fn update(&mut self, table: &'static str, record: u64, row: Row) {
        let (handle, record) =
            (self.database.table(table).expect("it was made"), RecordNumber(record));
        assert!(self.txn.update(&handle, record, &row).expect("no fault"));
        self.model.entry(table).or_default().insert(record, row);
    }

    fn delete(&mut self, table: &'static str, record: u64) {
        let (handle, record) =
            (self.database.table(table).expect("it was made"), RecordNumber(record));
        assert!(self.txn.delete(&handle, record).expect("no fault"));
        self.model.entry(table).or_default().remove(&record);
    }
}

/// Commits what `steps` does, to both.
fn commit(database: &Database, model: &mut Model, steps: impl FnOnce(&mut Both<'_, '_>)) {
    let mut both = Both { database, txn: database.begin(), model };
    steps(&mut both);
    both.txn.commit().expect("no fault");
}

/// Its tables with some rows, all of it on pages. The last thing that was written is little.
fn fill(database: &Database, model: &mut Model) {
    for spec in tables() {
        database.create_table(&spec).expect("no fault");
        database.checkpoint().expect("no fault");
    }
    for part in 0..3 {
        commit(database, model, |both| {
            for id in part * 4..part * 4 + 4 {
                both.insert("people", person(id, (id % 3 > 0).then_some(id % 3)));
            }
        });
        to_pages(database);
        database.checkpoint().expect("no fault");
    }
    commit(database, model, |both| {
        both.insert("letters", letter(1, 10));
        both.insert("letters", letter(2, 2_100));
        both.delete("people", 5);
    });
    to_pages(database);
    database.checkpoint().expect("no fault");
    commit(database, model, |both| both.update("letters", 0, letter(1, 20)));
    to_pages(database);
}

/// Waits until all that was committed is on pages, in memory.
fn to_pages(database: &Database) {
    let problems = database.verify().expect("no fault").problems;
    assert!(problems.is_empty(), "{problems:#?}");
}

/// What comes to pages after that, of which some are written; before each transaction, what the database answers.
fn change(database: &Database, model: &mut Model, before: &mut Vec<Model>) {
    before.push(model.clone());
    commit(database, model, |both| both.update("letters", 0, letter(1, 1_300)));
    to_pages(database);
    database.checkpoint().expect("no fault");
    before.push(model.clone());
    commit(database, model, |both| {
        both.delete("letters", 1);
        both.update("people", 3, person(40, Some(1)));
    });
    to_pages(database);
}

/// The transactions that a crash leaves in the log alone, likewise.
fn last_ones(database: &Database, model: &mut Model, before: &mut Vec<Model>) {
    before.push(model.clone());
    commit(database, model, |both| {
        both.insert("people", person(41, Some(2)));
        both.delete("people", 7);
        both.insert("letters", letter(4, 1_200));
    });
    before.push(model.clone());
    commit(database, model, |both| both.update("people", 6, person(50, None)));
}

/// A database that a crash has left, or that was closed.
pub struct Sample {
    /// All its files.
    pub image: Image,
    /// What it must answer.
    pub answer: Answer,
    /// What it would answer without its last transactions, the shortest life first.
    pub before: Vec<Answer>,
}

impl Sample {
    /// The page of tablespace 1 that was copied last has garbage for its second half. Says which that is.
    pub fn tear_a_page(&mut self) -> u32 {
        let copies = &self.image[DOUBLE_WRITE];
        let word = |at: usize| u32::from_le_bytes(copies[at..at + 4].try_into().expect("4 bytes"));
        let entries =
            (0..copies.len()).step_by(512).filter(|at| copies[*at..].starts_with(b"fDbl"));
        // The generation, the tablespace, the first page and how many there are.
        let of_user = entries.filter(|at| word(at + 32) == 1 && word(at + 40) > 0);
        let last = of_user.max_by_key(|at| (word(at + 24), *at)).expect("there are copies");
        let page = word(last + 36);
        let from = page as usize * 1_024;
        self.image.get_mut(PAGES[1]).expect("it is a file")[from + 512..from + 1_024].fill(0x5a);
        page
    }
}

/// How the life of a sample ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is closed.
    Closed,
    /// The process dies when the last commits are durable, before they are on pages.
    Crashed,
    /// The process dies in a checkpoint, when pages are written and the log does not tell so yet.
    InCheckpoint,
}

/// Makes the sample with this end, on a machine of its own.
pub fn sample(end: End) -> Sample {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(move |_| {
        let (disk, mut model, mut before) = (ImageDisk::default(), Model::new(), Vec::new());
        let database = Database::create(&disk.shared(), &options()).expect("no fault");
        fill(&database, &mut model);
        if end == End::Closed {
            database.close().expect("no fault");
            return finished(disk.image(), &model, &before);
        }
        database.close().expect("no fault");
        let database = Database::open(&disk.shared(), &options()).expect("no fault");
        change(&database, &mut model, &mut before);
        last_ones(&database, &mut model, &mut before);
        if end == End::InCheckpoint {
            database.verify().expect("no fault");
            disk.remember();
            database.checkpoint().expect("no fault");
            // The last write is the log's block with the checkpoint's record.
            return finished(disk.before_last_write(), &model, &before);
        }
        finished(disk.image(), &model, &before)
    })
}

fn finished(image: Image, model: &Model, before: &[Model]) -> Sample {
    let before = before.iter().map(expected).collect();
    Sample { image, answer: expected(model), before }
}

/// What a database with these rows must answer.
pub fn expected(model: &Model) -> Answer {
    let mut answer = Answer::new();
    for spec in tables() {
        let rows = model.get(&*spec.name).cloned().unwrap_or_default();
        for index in &spec.indexes {
            let mut rows: Vec<(RecordNumber, Row)> = rows.clone().into_iter().collect();
            rows.sort_by_key(|(record, row)| {
                let columns = index.columns.iter().map(|column| row[usize::from(*column)].clone());
                (key::encode(&columns.collect::<Vec<_>>()), *record)
            });
            answer.insert(format!("{} by {}", spec.name, index.name), rows);
        }
        answer.insert(spec.name.clone(), rows.into_iter().collect());
    }
    answer
}

/// Opens what is there, reads all of it, and closes it.
pub fn answer(disk: &Arc<dyn Disk>) -> Result<Answer> {
    let database = Database::open(disk, &options())?;
    let answer = read_all(&database)?;
    database.close()?;
    Ok(answer)
}

/// As [`read_rows`], and the structure must be good.
pub fn read_all(database: &Database) -> Result<Answer> {
    let answer = read_rows(database)?;
    let problems = database.verify()?.problems;
    assert!(problems.is_empty(), "{problems:#?}");
    Ok(answer)
}

/// All rows of all tables, by the table and by each index, whose other way round must be the same.
pub fn read_rows(database: &Database) -> Result<Answer> {
    let mut answer = Answer::new();
    let txn = database.begin();
    for spec in tables() {
        let table = database.table(&spec.name).expect("no table is lost");
        assert_eq!(table.column_count(), spec.columns);
        for of in &spec.indexes {
            let index = table.index(&of.name).expect("no index is lost");
            assert_eq!((index.columns(), index.is_unique()), (&*of.columns, of.is_unique));
            let range = |direction| {
                let rows = txn.range(&index, Unbounded, Unbounded, direction)?;
                rows.collect::<Result<Vec<_>>>()
            };
            let rows = range(Direction::Forward)?;
            let mut other_way = range(Direction::Backward)?;
            other_way.reverse();
            assert_eq!(rows, other_way, "{} by {}", spec.name, of.name);
            answer.insert(format!("{} by {}", spec.name, of.name), rows);
        }
        let rows = txn.scan(&table)?.collect::<Result<Vec<_>>>()?;
        answer.insert(spec.name, rows);
    }
    txn.commit()?;
    Ok(answer)
}
