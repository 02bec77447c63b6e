//! A database that an earlier revision has left: its files are laid out before the first opening.
//!
//! # Method
//!
//! The files are those of `snapshots/formats/`, of a database that a crash has left with a log to recover. Its
//! rows are of tables that no workload knows, and must stay as they are through whatever the run does beside.
//!
//! # Invariant
//!
//! Files that were laid out as a whole are never laid out again.

use std::path::Path;

use falcon::Database as Falcon;
use falconry_seam::disk::{Disk, OpenOptions};

use super::picture::CRASHED;
use super::{failure, part};
use crate::engine::EngineError;

/// What a run begins with: nothing, or the files of a format, which a scenario asks for.
pub(super) const ORIGINS: &[(&str, u32)] = &[("new", 1), ("format-1", 0)];

const TABLES: [&str; 2] = ["letters", "people"];

/// Lays the files out, if that has not been done as a whole before.
pub(super) fn lay_out(disk: &dyn Disk) -> Result<(), EngineError> {
    if part::is_complete(disk)? {
        return Ok(());
    }
    for (name, bytes) in CRASHED.named() {
        let file = disk.open(Path::new(name), &OpenOptions::CREATE)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        file.sync_all()?;
    }
    Ok(part::complete(disk)?)
}

/// Whether its rows are what they were.
pub(super) fn check(falcon: &Falcon) -> Result<(), EngineError> {
    let txn = falcon.begin();
    for name in TABLES {
        let gone = || EngineError::Corrupt { what: format!("table {name} is gone") };
        let table = falcon.table(name).ok_or_else(gone)?;
        let mut text = format!("== {name}\n");
        for found in txn.scan(&table).map_err(failure)? {
            let (record, row) = found.map_err(failure)?;
            text += &format!("{}: {row:?}\n", record.0);
        }
        if !format!("{}\n== ", CRASHED.answer.trim_end()).contains(&format!("{text}== ")) {
            let what = format!("table {name} has other rows than were left in it");
            return Err(EngineError::Corrupt { what });
        }
    }
    txn.rollback();
    Ok(())
}
