//! Tables and sequences are made and dropped.
//!
//! # Method
//!
//! Each is a transaction on the catalogue. Whoever makes something is alone in that until a gopher has made what
//! the new row tells of: names and places are not given away twice. A drop locks the table exclusively, and so
//! waits for every transaction that has used it until its rows are on pages: the log has no row of a table
//! behind its drop, and recovery need not tell apart what is of which table.
//!
//! # Invariant
//!
//! What was dropped durably is not there again after a crash, and what was made durably is.

use std::sync::Arc;

use falconry_seam::planted;
use falconry_seam::sync::PoisonError;
use falconry_seam::sync::atomic::Ordering;

use super::catalogue;
use super::engine::Engine;
use super::object::{Object, TableObject};
use super::rows::{RowChange, What};
use super::schema::{self, TableInfo, TableSpec};
use crate::lock::{LockMode, LockName};
use crate::page::RecordNumber;
use crate::sequence::{self, SequenceInfo};
use crate::{Error, Result, SequenceId, TableId, TxnId, txn};

/// Makes a table.
pub(super) fn create_table(engine: &Engine, spec: &TableSpec) -> Result<Arc<TableInfo>> {
    spec.check()?;
    let _alone = engine.making.lock().unwrap_or_else(PoisonError::into_inner);
    if table(engine, &spec.name).is_some() {
        return Err(taken(&spec.name));
    }
    let (section, indexes) = catalogue::free_places(engine, spec.indexes.len())?;
    let mut object = TableObject {
        id: TableId::CATALOGUE,
        section,
        is_dropped: false,
        indexes,
        spec: spec.clone(),
    };
    let record = insert(engine, |id| {
        object.id = TableId(id);
        Object::Table(object.clone())
    })?;
    engine.counters.tables_created.add(1);
    Ok(catalogue::add(engine, catalogue::open(&engine.store, record, object)?))
}

/// Makes a sequence.
pub(super) fn create_sequence(engine: &Engine, name: &str) -> Result<Arc<SequenceInfo>> {
    schema::check_name(name)?;
    let _alone = engine.making.lock().unwrap_or_else(PoisonError::into_inner);
    if sequence(engine, name).is_some() {
        return Err(taken(name));
    }
    let place = {
        let sequences = engine.sequences.read().unwrap_or_else(PoisonError::into_inner);
        let is_free = |place: &u32| sequences.values().all(|other| other.place != *place);
        let limit = sequence::limit(engine.store.page_size());
        let place = (0..limit).find(is_free);
        place.ok_or(Error::TooMany { what: "sequences", limit: limit.into() })?
    };
    let mut made = SequenceId(0);
    let record = insert(engine, |id| {
        made = SequenceId(id);
        Object::Sequence { id: made, place, name: name.into() }
    })?;
    let info = Arc::new(SequenceInfo::new(made, record, place, name.into()));
    let mut sequences = engine.sequences.write().unwrap_or_else(PoisonError::into_inner);
    sequences.insert(made, Arc::clone(&info));
    Ok(info)
}

/// Drops a table.
pub(super) fn drop_table(engine: &Engine, name: &str) -> Result<()> {
    let unknown = || Error::Unknown { what: "table", name: name.into() };
    let table = table(engine, name).ok_or_else(unknown)?;
    let txn = engine.new_txn();
    mark_dropped(engine, txn, &table).inspect_err(|_| engine.locks.release_all(txn))?;
    engine.counters.tables_dropped.add(1);
    wait_applied(engine, txn)
}

/// Commits that a table is dropped, when nobody uses it any more.
fn mark_dropped(engine: &Engine, txn: TxnId, table: &TableInfo) -> Result<()> {
    if !planted!("drop_waits_for_nobody") {
        engine.locks.lock(txn, &LockName::Table(table.id), LockMode::Exclusive)?;
    }
    table.check_there()?;
    let object = TableObject {
        id: table.id,
        section: table.section,
        is_dropped: true,
        indexes: table.indexes.iter().map(|index| index.id).collect(),
        spec: table.spec.clone(),
    };
    let row = Object::Table(object).encode();
    txn::commit_changes(engine, txn, vec![change(table.record, What::Update, row)])
}

/// Drops a sequence.
pub(super) fn drop_sequence(engine: &Engine, name: &str) -> Result<()> {
    let unknown = || Error::Unknown { what: "sequence", name: name.into() };
    let info = sequence(engine, name).ok_or_else(unknown)?;
    let txn = engine.new_txn();
    sequence::end(engine, &info, || delete(engine, txn, info.record))?;
    wait_applied(engine, txn)
}

/// The open table of that name.
pub(super) fn table(engine: &Engine, name: &str) -> Option<Arc<TableInfo>> {
    let tables = engine.tables.read().unwrap_or_else(PoisonError::into_inner);
    let found = tables.values().find(|table| table.spec.name == name);
    found.filter(|table| table.id != TableId::CATALOGUE).cloned()
}

/// The open sequence of that name.
pub(super) fn sequence(engine: &Engine, name: &str) -> Option<Arc<SequenceInfo>> {
    let sequences = engine.sequences.read().unwrap_or_else(PoisonError::into_inner);
    sequences.values().find(|sequence| sequence.name == name).cloned()
}

/// Commits the end of a row of the catalogue.
pub(super) fn delete(engine: &Engine, txn: TxnId, record: RecordNumber) -> Result<()> {
    let master = engine.table(TableId::CATALOGUE).expect("the catalogue is always open");
    // Who looks later may see the number free already, before it is given back.
    txn::look_for_numbers(engine, &master)?;
    txn::commit_changes(engine, txn, vec![change(record, What::Delete, Vec::new())])
}

/// Waits until a gopher has brought a transaction to pages.
pub(super) fn wait_applied(engine: &Engine, txn: TxnId) -> Result<()> {
    engine.pending.wait_for(txn);
    engine.check_running()
}

/// Commits a new row of the catalogue, which gets the next number, and waits until what it tells of is made. The
/// caller is alone in making something.
fn insert(engine: &Engine, object: impl FnOnce(u32) -> Object) -> Result<RecordNumber> {
    let master = engine.table(TableId::CATALOGUE).expect("the catalogue is always open");
    let next = engine.next_number.load(Ordering::Relaxed);
    let id = next.max(1);
    let limit = u64::from(u32::MAX);
    let after = id.checked_add(1).ok_or(Error::TooMany { what: "numbers of tables", limit })?;
    let row = object(id).encode();
    let (bytes, bytes_max) = (row.len(), engine.row_bytes_max);
    if bytes > bytes_max {
        return Err(Error::RowTooLong { table: "catalogue".into(), bytes, bytes_max });
    }
    let is_first = next == 0;
    let mut taken = Vec::new();
    if is_first {
        taken.push(txn::new_number(engine, &master)?);
        assert_eq!(taken, [catalogue::NUMBERS], "a catalogue without numbers has no row");
    }
    let record = txn::new_number(engine, &master)?;
    taken.push(record);
    let what = if is_first { What::Insert } else { What::Update };
    let numbers = Object::Numbers(after).encode();
    let changes =
        vec![change(catalogue::NUMBERS, what, numbers), change(record, What::Insert, row)];
    let txn = engine.new_txn();
    txn::commit_changes(engine, txn, changes).inspect_err(|_| {
        let mut numbers = master.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        taken.into_iter().for_each(|record| numbers.give_back(record));
    })?;
    engine.next_number.store(after, Ordering::Relaxed);
    wait_applied(engine, txn)?;
    Ok(record)
}

fn change(record: RecordNumber, what: What, row: Vec<u8>) -> RowChange {
    RowChange { table: TableId::CATALOGUE, record, what, row, old_keys: Vec::new() }
}

fn taken(name: &str) -> Error {
    Error::Schema { name: name.into(), what: "there is one of this name".into() }
}
