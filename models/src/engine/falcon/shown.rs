//! What Falcon shows to people, looked at in the middle of a run.
//!
//! # Method
//!
//! Names, counts and debug forms of an open database are compared with each other; the files of one that is not
//! open are written out, whatever a crash or a damage has left in them.
//!
//! # Invariant
//!
//! Only a panic or a contradiction is told: what cannot be shown says so by an error of its own.

use std::ops::Bound;
use std::path::Path;

use falcon::page::PageSize;
use falcon::{Database as Falcon, Direction, Error, Table, log, page};
use falconry_seam::disk::{Disk, OpenOptions};

use super::{failure, pick};
use crate::engine::EngineError;

const PAGES: [&str; 2] = ["catalogue.pages", "user.pages"];
const LOG: [&str; 2] = ["log.1", "log.2"];
/// Pages of a file that are written out at a time, at most.
const PAGES_MAX: u64 = 16;
/// A log that is larger than this is not written out: a run would be spent with it.
const LOG_BYTES_MAX: u64 = 1 << 17;

/// Every name leads to what has it, and every count is found by its name.
pub(super) fn upkeep(falcon: &Falcon) -> Result<(), EngineError> {
    shown(format_args!("{falcon:?} {:?}", falcon.recovery_report()));
    for name in falcon.table_names() {
        // Somebody may just have dropped it.
        let Some(table) = falcon.table(&name) else { continue };
        shown(format_args!("{table:?} {} columns", table.column_count()));
        told(table.name() == name, || format!("table {name} calls itself {}", table.name()))?;
        indexes(falcon, &table)?;
    }
    for name in falcon.sequence_names() {
        let Some(sequence) = falcon.sequence(&name) else { continue };
        shown(format_args!("{sequence:?}"));
        told(sequence.name() == name, || {
            format!("sequence {name} calls itself {}", sequence.name())
        })?;
    }
    let txn = falcon.begin();
    shown(format_args!("{txn:?} {}", txn.id()));
    let counts = falcon.statistics();
    for (name, count) in counts.iter() {
        told(counts.get(name) == Some(count), || format!("count {name} is not found"))?;
    }
    let lines = counts.to_string().lines().count();
    told(lines == counts.iter().len(), || format!("{lines} lines of counts"))
}

/// The indexes of a table that upkeep and workloads give are of it, and what reads it says so.
fn indexes(falcon: &Falcon, table: &Table) -> Result<(), EngineError> {
    let txn = falcon.begin();
    for name in ["all", "by_key", "by_value"] {
        let Some(index) = table.index(name) else { continue };
        let (shown, of) = (format!("{index:?}"), index.table());
        let is_it = of.name() == table.name() && index.name() == name;
        let is_within = index.columns().iter().all(|column| *column < table.column_count());
        told(is_it && is_within && shown.contains(name), || format!("{shown} of {table:?}"))?;
        match txn.range(&index, Bound::Unbounded, Bound::Unbounded, Direction::Forward) {
            Ok(range) => told(format!("{range:?}").contains(name), || format!("{range:?}"))?,
            Err(Error::Dropped { .. }) => return Ok(()),
            Err(error) => return Err(failure(error)),
        }
    }
    match txn.scan(table) {
        Ok(scan) => told(format!("{scan:?}").contains(table.name()), || format!("{scan:?}")),
        Err(Error::Dropped { .. }) => Ok(()),
        Err(error) => Err(failure(error)),
    }
}

/// Writes something out, which must not panic.
fn shown(what: std::fmt::Arguments<'_>) {
    drop(what.to_string());
}

fn told(holds: bool, what: impl FnOnce() -> String) -> Result<(), EngineError> {
    if holds { Ok(()) } else { Err(EngineError::Corrupt { what: what() }) }
}

/// Writes out the files of a database that nobody has open, now and then.
pub(super) fn before(disk: &dyn Disk, page_bytes: u64) -> Result<(), EngineError> {
    if pick("falcon/shown", 12) < 11 {
        return Ok(());
    }
    let mut log_bytes = 0;
    for name in LOG {
        log_bytes += disk.metadata(Path::new(name)).map_or(0, |metadata| metadata.len);
    }
    // Here and below only a panic would be wrong: what is damaged is told by an error.
    if log_bytes <= LOG_BYTES_MAX {
        drop(log::dump(disk, LOG.map(Path::new)));
    }
    let size = PageSize::new(page_bytes).map_err(failure)?;
    for name in PAGES {
        let options = OpenOptions::READ;
        let Ok(file) = disk.open(Path::new(name), &options) else { continue };
        let mut bytes = vec![0; size.bytes()];
        let from = pick("falcon/shown_from", 4) * PAGES_MAX;
        for number in from..from + PAGES_MAX {
            if file.read_exact_at(&mut bytes, number * size.bytes() as u64).is_err() {
                break;
            }
            drop(page::dump(&bytes));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_is_told() {
        assert!(told(true, || unreachable!("it holds")).is_ok());
        let wrong = told(false, || "a name is missing".into());
        assert!(matches!(wrong, Err(EngineError::Corrupt { .. })), "{wrong:?}");
    }
}
