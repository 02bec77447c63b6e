//! A small database that is brought to its bounds.
//!
//! # Method
//!
//! A picture of a database is opened beside that of the run, and is asked for what is just too much: a row, a
//! transaction, a table, a number. A tablespace whose pages are all in use gets more. Where a bound is far away the
//! picture is changed first, so that it is near.
//!
//! # Invariant
//!
//! What is refused has changed nothing: the answer of the picture stays as it was.

use std::sync::Arc;

use falcon::page::key::KeyValue;
use falcon::{Database as Falcon, Error, INDEXES_MAX, NAME_BYTES_MAX, Table, TableSpec};
use falconry_seam::disk::Disk;

use super::damaged::corrupt;
use super::picture::{CLOSED, PictureDisk, answer, options};
use super::{failure, forged, pick};
use crate::engine::EngineError;

/// A row that takes several pages, and one that no database with the settings of a picture takes.
const LONG_BYTES: usize = 3_000;
const TOO_LONG_BYTES: usize = 6_000;
/// The last number of a sequence, and how many are left of one that is near its end.
const LAST: i64 = i64::MAX;
const LEFT: i64 = 3;

/// One bound; `table` is of the database of the run, `falcon`.
pub(super) fn upkeep(falcon: &Falcon, table: &Table) -> Result<(), EngineError> {
    match pick("falcon/bound", 6) {
        0 => strangers(falcon, table),
        1 => too_long(),
        2 => too_large(),
        3 => last_table(),
        4 => last_number(),
        _ => all_pages_in_use(),
    }
}

fn opened(disk: &Arc<dyn Disk>) -> Result<Falcon, EngineError> {
    Falcon::open(disk, &options()).map_err(failure)
}

fn letters(falcon: &Falcon) -> Result<Table, EngineError> {
    let gone = || EngineError::Corrupt { what: "table letters is gone".into() };
    falcon.table("letters").ok_or_else(gone)
}

fn letter(number: u64, bytes: usize) -> [KeyValue<'static>; 2] {
    [KeyValue::U64(number), KeyValue::Bytes(vec![7; bytes].into())]
}

/// The picture answers as ever, holds together, and can be closed.
fn unchanged(falcon: Falcon) -> Result<(), EngineError> {
    let is_same = answer(&falcon, CLOSED.answer).map_err(failure)? == CLOSED.answer;
    let problems = falcon.verify().map_err(failure)?.problems;
    falcon.close().map_err(failure)?;
    match is_same && problems.is_empty() {
        true => Ok(()),
        false => corrupt(format!("what was refused has changed something: {problems:?}")),
    }
}

/// What was asked for came to the error that it must.
fn demand<T>(
    done: Result<T, Error>,
    what: &str,
    is_right: impl FnOnce(&Error) -> bool,
) -> Result<(), EngineError> {
    match done {
        Err(error) if is_right(&error) => Ok(()),
        Err(error) => corrupt(format!("{what} came to: {error}")),
        Ok(_) => corrupt(format!("{what} was taken")),
    }
}

/// Handles of one database are none of another.
fn strangers(falcon: &Falcon, table: &Table) -> Result<(), EngineError> {
    let other = opened(&PictureDisk::shared(CLOSED.files()))?;
    let letters = letters(&other)?;
    let is_told = |name: String| move |error: &Error| matches!(error, Error::OtherDatabase { table } if *table == name);
    let inserted = falcon.begin().insert(&letters, &letter(9, 9));
    demand(inserted, "a table of another database", is_told("letters".into()))?;
    let mut txn = other.begin();
    let row = [KeyValue::Null, KeyValue::Null, KeyValue::Null];
    demand(txn.insert(table, &row), "a table of another database", is_told(table.name().into()))?;
    let by_key = table.index("by_key").expect("every table of pairs has it");
    let found = txn.get(&by_key, &[KeyValue::Null]);
    demand(found, "an index of another database", is_told(table.name().into()))?;
    txn.rollback();
    unchanged(other)
}

/// Rows of a table and of the catalogue that are too long.
fn too_long() -> Result<(), EngineError> {
    let falcon = opened(&PictureDisk::shared(CLOSED.files()))?;
    let mut txn = falcon.begin();
    let inserted = txn.insert(&letters(&falcon)?, &letter(9, TOO_LONG_BYTES));
    demand(inserted, "a row that is too long", |error| {
        let of = |table: &str, bytes: usize| table == "letters" && bytes > TOO_LONG_BYTES;
        matches!(error, Error::RowTooLong { table, bytes, .. } if of(table, *bytes))
    })?;
    txn.rollback();
    let name = |number| format!("{number:0width$}", width = NAME_BYTES_MAX);
    let spec = (0..INDEXES_MAX)
        .fold(TableSpec::new("long", 1), |spec, number| spec.index(name(number), &[0], false));
    demand(
        falcon.create_table(&spec),
        "a description that is too long",
        |error| matches!(error, Error::RowTooLong { table, .. } if table == "catalogue"),
    )?;
    unchanged(falcon)
}

/// A transaction for which the log has no room, however long it waits.
fn too_large() -> Result<(), EngineError> {
    let falcon = opened(&PictureDisk::shared(CLOSED.files()))?;
    let letters = letters(&falcon)?;
    let mut txn = falcon.begin();
    let count = options().log.file_bytes_max / LONG_BYTES as u64;
    for number in 0..count {
        txn.insert(&letters, &letter(100 + number, LONG_BYTES)).map_err(failure)?;
    }
    demand(
        txn.commit(),
        "a transaction that is too large",
        |error| matches!(error, Error::TransactionTooLarge { bytes, bytes_max } if bytes > bytes_max),
    )?;
    unchanged(falcon)
}

/// No number is left for another table.
fn last_table() -> Result<(), EngineError> {
    let mut files = CLOSED.files();
    forged::numbers(&mut files, u32::MAX.into());
    let falcon = opened(&PictureDisk::shared(files))?;
    let is_told = |error: &Error| matches!(error, Error::TooMany { limit, .. } if *limit > 1 << 30);
    demand(falcon.create_table(&TableSpec::new("one more", 1)), "a table", is_told)?;
    demand(falcon.create_sequence("one more"), "a sequence", is_told)?;
    unchanged(falcon)
}

/// A sequence gives its last numbers, and no more.
fn last_number() -> Result<(), EngineError> {
    let disk = PictureDisk::of(CLOSED.files());
    let falcon = opened(&(disk.clone() as _))?;
    falcon.create_sequence("numbers").map_err(failure)?;
    falcon.close().map_err(failure)?;
    let mut files = disk.files();
    forged::count(&mut files, LAST - LEFT);
    let disk = PictureDisk::shared(files);
    let falcon = opened(&disk)?;
    {
        let gone = || EngineError::Corrupt { what: "a sequence is gone".into() };
        let sequence = falcon.sequence("numbers").ok_or_else(gone)?;
        let mut given = Vec::new();
        let end = loop {
            match sequence.next() {
                Ok(number) => given.push(number),
                end => break end,
            }
            if given.len() as i64 > LEFT {
                return corrupt(format!("a sequence goes on behind its end: {given:?}"));
            }
        };
        demand(end, "a number behind the last", |error| matches!(error, Error::TooMany { .. }))?;
        if !given.is_sorted_by(|one, other| one < other) || given.first() <= Some(&(LAST - LEFT)) {
            return corrupt(format!("the last numbers of a sequence are {given:?}"));
        }
    }
    falcon.drop_sequence("numbers").map_err(failure)?;
    unchanged(falcon)
}

/// A tablespace whose pages are all in use grows beyond what one inventory page keeps, and is found so again.
fn all_pages_in_use() -> Result<(), EngineError> {
    let mut files = CLOSED.files();
    let (marked, first_beyond) = forged::use_all(&mut files);
    let disk = PictureDisk::of(files);
    let number = 1_000 + pick("falcon/letter", 8);
    let falcon = opened(&(disk.clone() as _))?;
    let mut txn = falcon.begin();
    txn.insert(&letters(&falcon)?, &letter(number, LONG_BYTES)).map_err(failure)?;
    txn.commit().map_err(failure)?;
    grown(&falcon, marked)?;
    falcon.close().map_err(failure)?;
    if disk.len("user.pages") <= first_beyond {
        return corrupt("no page was taken behind those of the first inventory page".into());
    }
    let falcon = opened(&(disk.clone() as _))?;
    grown(&falcon, marked)?;
    let letters = letters(&falcon)?;
    let by_number = letters.index("number").expect("the picture has it");
    let mut txn = falcon.begin();
    match txn.get_for_update(&by_number, &[KeyValue::U64(number)]).map_err(failure)? {
        Some((record, row)) if row == letter(number, LONG_BYTES) => {
            txn.delete(&letters, record).map_err(failure)?;
        }
        other => return corrupt(format!("letter {number} was read as {other:?}")),
    }
    txn.commit().map_err(failure)?;
    grown(&falcon, marked)?;
    let is_same = answer(&falcon, CLOSED.answer).map_err(failure)? == CLOSED.answer;
    falcon.close().map_err(failure)?;
    if is_same { Ok(()) } else { corrupt("the tablespace has grown, and rows are others".into()) }
}

/// Nothing is wrong but that the pages which were marked belong to nobody.
fn grown(falcon: &Falcon, marked: usize) -> Result<(), EngineError> {
    let problems = falcon.verify().map_err(failure)?.problems;
    let is_marked = |problem: &&String| problem.ends_with("is in use, and nothing leads to it");
    match problems.iter().find(|problem| !is_marked(problem)) {
        None if problems.len() == marked => Ok(()),
        None => corrupt(format!("{} pages are nobody's, {marked} were", problems.len())),
        Some(problem) => corrupt(format!("beside pages that are nobody's: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::on_machines;
    use super::*;

    #[test]
    fn every_bound_is_told() {
        on_machines("every_bound_is_told", 100, || {
            let bounds = [too_long, too_large, last_table, last_number, all_pages_in_use];
            bounds[pick("falcon/bound", bounds.len() as u64) as usize]()
        });
    }
}
