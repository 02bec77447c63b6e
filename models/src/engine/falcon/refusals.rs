//! What Falcon is asked for and must refuse, in the middle of a run.
//!
//! # Method
//!
//! One wrong call of a list is made, and its error is compared with the one that is documented. Everything else
//! that a run judges says whether such a call has changed anything.
//!
//! # Invariant
//!
//! No call here may succeed.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use falcon::page::key::KeyValue;
use falcon::{
    COLUMNS_MAX, Database as Falcon, Direction, Error, INDEXES_MAX, NAME_BYTES_MAX, Options, Table,
    TableSpec,
};
use falconry_seam::disk::Disk;

use super::{failure, pick};
use crate::engine::EngineError;

/// How many wrong tables there are here.
const SCHEMAS: u64 = 8;

/// A call whose outcome is told, with what it should have been.
type Outcome = (Result<(), Error>, &'static str);

/// Passes on what is no answer to the call, and tells of an answer that is wrong.
fn judged((outcome, expected): Outcome) -> Result<(), EngineError> {
    let (is_it, what) = match outcome {
        Ok(()) => (false, "success".into()),
        // Whatever is wrong with a call, the disk or another transaction may be first.
        Err(
            error @ (Error::Io { .. }
            | Error::Stopped(_)
            | Error::Deadlock { .. }
            | Error::LockTimeout { .. }
            | Error::Damaged { .. }
            | Error::Dropped { .. }),
        ) => return Err(failure(error)),
        Err(error) => (kind(&error) == expected, error.to_string()),
    };
    match is_it {
        true => Ok(()),
        false => Err(EngineError::Corrupt {
            what: format!("a wrong call came to {what:?}, expected {expected}"),
        }),
    }
}

/// The word for an error of those that wrong calls come to.
fn kind(error: &Error) -> &'static str {
    match error {
        // By its name.
        Error::Setting { name, .. } => name,
        Error::Schema { .. } => "Schema",
        Error::Unknown { .. } => "Unknown",
        Error::ColumnCount { .. } => "ColumnCount",
        Error::KeyTooLong { .. } | Error::RowTooLong { .. } => "TooLong",
        Error::Exists => "Exists",
        Error::Missing { .. } => "Missing",
        Error::InUse { .. } => "InUse",
        _ => "another error",
    }
}

/// A wrong call of an open database; `table` has a unique index of column 0, `by_key`.
pub(super) fn upkeep(falcon: &Falcon, table: &Table) -> Result<(), EngineError> {
    let by_key = table.index("by_key").expect("every table of pairs has it");
    let mut txn = falcon.begin();
    let none = || KeyValue::Null;
    let outcome = match pick("falcon/wrong", 8) {
        0 => (txn.insert(table, &[none()]).map(drop), "ColumnCount"),
        1 => (txn.get(&by_key, &[none(), none()]).map(drop), "ColumnCount"),
        2 => {
            let (two, any) = ([none(), none()], Bound::Unbounded);
            let to = Bound::Excluded(&two[..]);
            (txn.range(&by_key, any, to, Direction::Backward).map(drop), "ColumnCount")
        }
        3 => {
            // Longer than any page, and than rows of a small log.
            let long = KeyValue::Bytes(vec![1; 1 << 15].into());
            (txn.insert(table, &[long, none(), none()]).map(drop), "TooLong")
        }
        4 => (falcon.drop_table("nothing").map(drop), "Unknown"),
        5 => (falcon.drop_sequence("nothing").map(drop), "Unknown"),
        6 => {
            let name = "n".repeat(NAME_BYTES_MAX + 1);
            (falcon.create_sequence(&name).map(drop), "Schema")
        }
        _ => (falcon.create_table(&schema(pick("falcon/schema", SCHEMAS))).map(drop), "Schema"),
    };
    judged(outcome)
}

/// A table that there cannot be.
fn schema(number: u64) -> TableSpec {
    let good = TableSpec::new("wrong", 2).index("one", &[0], false);
    match number {
        0 => TableSpec::new("wrong", 0),
        1 => TableSpec::new("wrong", COLUMNS_MAX + 1),
        2 => TableSpec::new("", 1),
        3 => good.index("one", &[1], true),
        4 => good.index("", &[1], true),
        5 => good.index("two", &[], true),
        6 => good.index("two", &[2], true),
        _ => {
            (0..INDEXES_MAX).fold(good, |spec, number| spec.index(format!("i{number}"), &[0], true))
        }
    }
}

/// A wrong way to get at a database that is not open, and is there or is not.
pub(super) fn before(
    disk: &Arc<dyn Disk>,
    options: &Options,
    exists: bool,
) -> Result<(), EngineError> {
    if pick("falcon/wrong_opening", 8) < 7 {
        return Ok(());
    }
    let number = pick("falcon/absurd", ABSURDITIES.len() as u64);
    let (absurd, setting) = absurd(options, number);
    judged(match (pick("falcon/opening", 3), exists) {
        (0, true) => (Falcon::create(disk, options).map(drop), "Exists"),
        (0, false) => (Falcon::open(disk, options).map(drop), "Missing"),
        (_, true) => (Falcon::open(disk, &absurd).map(drop), setting),
        (_, false) => (Falcon::create(disk, &absurd).map(drop), setting),
    })
}

/// A second opening while the database is open.
pub(super) fn second(disk: &Arc<dyn Disk>, options: &Options) -> Result<(), EngineError> {
    if pick("falcon/wrong_second", 16) < 15 {
        return Ok(());
    }
    judged((Falcon::open(disk, options).map(drop), "InUse"))
}

/// Options of which one is out of its range, and its name.
fn absurd(options: &Options, number: u64) -> (Options, &'static str) {
    let (name, make) = ABSURDITIES[number as usize];
    let mut absurd = *options;
    make(&mut absurd);
    (absurd, name)
}

/// More than a day.
const TOO_LONG: Duration = Duration::from_millis(86_400_001);

/// The name of a setting, and what makes it absurd.
type Absurdity = (&'static str, fn(&mut Options));

const ABSURDITIES: [Absurdity; 22] = [
    ("page_bytes", |absurd| absurd.page_bytes = 3_000),
    ("gopher_threads", |absurd| absurd.gopher_threads = 0),
    ("io_threads", |absurd| absurd.io_threads = 21),
    ("cache_frames", |absurd| absurd.cache_frames = 1),
    ("run_pages_max", |absurd| absurd.run_pages_max = 0),
    ("double_write_pages", |absurd| absurd.double_write_pages = absurd.run_pages_max - 1),
    ("checkpoint_interval", |absurd| absurd.checkpoint_interval = Duration::ZERO),
    ("checkpoint_interval", |absurd| absurd.checkpoint_interval = TOO_LONG),
    ("lock_wait_timeout", |absurd| absurd.lock_wait_timeout = TOO_LONG),
    ("sequence_batch", |absurd| absurd.sequence_batch = 0),
    ("block_bytes", |absurd| absurd.log.block_bytes = 1_000),
    // Smaller than any sector.
    ("block_bytes", |absurd| absurd.log.block_bytes = 256),
    ("block_bytes", |absurd| absurd.log.block_bytes = 1 << 17),
    ("window_bytes", |absurd| absurd.log.window_bytes = 0),
    ("window_bytes", |absurd| absurd.log.window_bytes += 1),
    ("window_bytes", |absurd| {
        // Less than eight pages, whatever a block has.
        (absurd.page_bytes, absurd.log.window_bytes) = (32_768, absurd.log.block_bytes);
    }),
    ("window_count", |absurd| absurd.log.window_count = 0),
    ("file_bytes", |absurd| absurd.log.file_bytes += 1),
    ("file_bytes", |absurd| absurd.log.file_bytes = absurd.log.block_bytes.into()),
    ("file_bytes_max", |absurd| absurd.log.file_bytes_max = absurd.log.file_bytes),
    ("file_bytes_max", |absurd| absurd.log.file_bytes_max = 1 << 41),
    ("file_bytes_max", |absurd| {
        let log = &mut absurd.log;
        let (block, window) = (u64::from(log.block_bytes), u64::from(log.window_bytes));
        (log.file_bytes, log.file_bytes_max) = (block + window, block + 2 * window);
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_call_that_succeeds_or_fails_otherwise_is_told() {
        assert!(judged((Err(Error::Exists), "Exists")).is_ok());
        for outcome in [(Ok(()), "Exists"), (Err(Error::Exists), "page_bytes")] {
            let told = judged(outcome).expect_err("it is wrong");
            assert!(matches!(told, EngineError::Corrupt { .. }), "{told:?}");
        }
        let stopped = judged((Err(Error::Stopped("the disk is gone".into())), "Exists"));
        assert!(matches!(stopped, Err(EngineError::Stopped { .. })), "{stopped:?}");
    }

    #[test]
    fn every_absurd_option_is_refused() {
        let options = Options::default();
        options.check(512).expect("the usual options are good");
        for number in 0..ABSURDITIES.len() as u64 {
            let (options, setting) = absurd(&options, number);
            let refused = options.check(512).expect_err(setting);
            assert_eq!(kind(&refused), setting, "{number}: {refused:?}");
        }
    }

    #[test]
    fn every_wrong_schema_is_refused() {
        for number in 0..SCHEMAS {
            let refused = schema(number).check();
            assert!(matches!(refused, Err(Error::Schema { .. })), "{number}: {refused:?}");
        }
    }
}
