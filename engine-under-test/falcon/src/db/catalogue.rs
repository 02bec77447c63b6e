//! The catalogue: table 0, whose rows tell of all tables and sequences.
//!
//! # Method
//!
//! The catalogue is a section of tablespace 0 without an index, read whole when a database is opened. All
//! other tables lie in tablespace 1. What a row tells is in [`Object`]. The first row has the next number for a
//! table or a sequence, which a new one takes in the same transaction.
//!
//! A table is dropped in two transactions. The first calls its row that of a dropped table: from then on
//! there is no such table. When its pages are free the second deletes the row, and only then its section and
//! its indexes may be another's.
//!
//! # Invariant
//!
//! A row comes to the catalogue's pages after the section and the indexes that it tells of were made, and goes
//! after they were freed.

use std::collections::BTreeSet;
use std::sync::Arc;

use falconry_seam::sync::atomic::{AtomicBool, Ordering};
use falconry_seam::sync::{Mutex, PoisonError};

use super::engine::Engine;
use super::gopher::in_log;
use super::numbers::Numbers;
use super::object::{Object, TableObject};
use super::reclaim::Remains;
use super::rows::{RowChange, What};
use super::schema::{self, IndexInfo, RecordPlace, TableInfo, TableSpec};
use crate::page::index::IndexId;
use crate::page::{RecordNumber, SectionGeometry, SectionId};
use crate::sequence::{self, SequenceInfo};
use crate::store::Store;
use crate::tree::{self, Tree};
use crate::{Error, Result, TableId, TablespaceId, section};

/// The tablespace of all tables but the catalogue.
pub(crate) const USER: TablespaceId = TablespaceId(1);
/// The catalogue's section.
pub(crate) const SECTION: SectionId = SectionId(1);
/// The row with the next number.
pub(crate) const NUMBERS: RecordNumber = RecordNumber(0);

/// The catalogue as a table.
pub(crate) fn catalogue() -> TableInfo {
    TableInfo {
        id: TableId::CATALOGUE,
        tablespace: TablespaceId::CATALOGUE,
        section: SECTION,
        record: NUMBERS,
        // A row has as many columns as its table's indexes need.
        spec: TableSpec::new("catalogue", schema::COLUMNS_MAX),
        indexes: Vec::new(),
        numbers: Mutex::new(Numbers::default()),
        pages: Mutex::new(()),
        locators: section::Known::default(),
        is_dropped: AtomicBool::new(false),
    }
}

/// Makes what a new row tells of: the section and the indexes of a table, the value of a sequence.
pub(crate) fn make(engine: &Engine, encoded: &[u8]) -> Result<()> {
    match Object::decode(encoded).map_err(in_log)? {
        Object::Numbers(_) => Ok(()),
        Object::Table(table) => {
            section::create(&engine.store, USER, table.section)?;
            for index in table.indexes {
                tree::create(&engine.store, USER, index)?;
            }
            Ok(())
        }
        Object::Sequence { place, .. } => sequence::start(&engine.store, place),
    }
}

/// Follows the change of a row that is on its page, as the log says: whoever has a handle of a table that was
/// dropped is told, and its pages are to be freed; what a row told of that is gone is no more.
///
/// # Errors
///
/// [`Error::Damaged`] for a row of no form.
pub(crate) fn follow(engine: &Engine, change: &RowChange) -> Result<()> {
    match change.what {
        What::Delete => forget(engine, change.record),
        What::Update => {
            let object = Object::decode(&change.row).map_err(in_log)?;
            if let Object::Table(table) = object
                && table.is_dropped
            {
                end(engine, change.record, &table);
            }
        }
        What::Insert | What::Raise => {}
    }
    Ok(())
}

fn end(engine: &Engine, record: RecordNumber, table: &TableObject) {
    if let Some(known) = engine.table(table.id) {
        // Who is just looking at its pages for free numbers has no lock on it, but this one.
        let _numbers = known.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_dropped.store(true, Ordering::Relaxed);
    }
    // Its section and indexes are taken throughout.
    engine.reclaims.add(Remains::of(record, table));
    engine.tables.write().unwrap_or_else(PoisonError::into_inner).remove(&table.id);
}

fn forget(engine: &Engine, record: RecordNumber) {
    engine.reclaims.forget(record);
    let mut sequences = engine.sequences.write().unwrap_or_else(PoisonError::into_inner);
    sequences.retain(|_, sequence| sequence.record != record);
}

/// Opens the table that a row tells of.
pub(crate) fn open(
    store: &Arc<Store>,
    record: RecordNumber,
    table: TableObject,
) -> Result<TableInfo> {
    let TableObject { id, section, indexes, spec, .. } = table;
    let indexes = spec.indexes.iter().zip(indexes).map(|(index, id)| {
        let tree = Tree::open(Arc::clone(store), USER, id)?;
        Ok(IndexInfo { id, spec: index.clone(), tree })
    });
    Ok(TableInfo {
        id,
        tablespace: USER,
        section,
        record,
        indexes: indexes.collect::<Result<_>>()?,
        spec,
        numbers: Mutex::new(Numbers::default()),
        pages: Mutex::new(()),
        locators: section::Known::default(),
        is_dropped: AtomicBool::new(false),
    })
}

fn in_catalogue(what: String) -> Error {
    Error::Damaged { file: super::files::CATALOGUE.into(), place: "the catalogue".into(), what }
}

/// What all rows of the catalogue tell, by their numbers.
///
/// # Errors
///
/// Those of the store, and [`Error::Damaged`] for a row of no form.
pub(crate) fn objects(store: &Store) -> Result<Vec<(RecordNumber, Object)>> {
    let (known, mut objects) = (section::Known::default(), Vec::new());
    let place =
        |record| RecordPlace { tablespace: TablespaceId::CATALOGUE, section: SECTION, record };
    let mut from = RecordNumber(0);
    while let Some(record) = section::next_record(store, &known, place(from))? {
        from = RecordNumber(record.0 + 1);
        let encoded = section::read(store, &known, place(record))?;
        let encoded =
            encoded.ok_or_else(|| in_catalogue(format!("record {} is gone", record.0)))?;
        let object = Object::decode(&encoded)
            .map_err(|what| in_catalogue(format!("record {}: {what}", record.0)))?;
        objects.push((record, object));
    }
    Ok(objects)
}

/// Reads the whole catalogue; what is open already stays.
pub(crate) fn load(engine: &Engine) -> Result<()> {
    for (record, object) in objects(&engine.store)? {
        match object {
            Object::Numbers(next) => engine.next_number.store(next, Ordering::Relaxed),
            Object::Table(table) if table.is_dropped => {
                engine.reclaims.add(Remains::of(record, &table));
            }
            Object::Table(table) if engine.table(table.id).is_some() => {}
            Object::Table(table) => drop(add(engine, open(&engine.store, record, table)?)),
            Object::Sequence { id, place, name } => {
                let limit = sequence::limit(engine.store.page_size());
                if place >= limit {
                    return Err(in_catalogue(format!("{id} has place {place} of {limit}")));
                }
                let mut sequences =
                    engine.sequences.write().unwrap_or_else(PoisonError::into_inner);
                let new = || Arc::new(SequenceInfo::new(id, record, place, name));
                sequences.entry(id).or_insert_with(new);
            }
        }
    }
    Ok(())
}

/// Adds an open table.
pub(crate) fn add(engine: &Engine, table: TableInfo) -> Arc<TableInfo> {
    let table = Arc::new(table);
    let mut tables = engine.tables.write().unwrap_or_else(PoisonError::into_inner);
    tables.insert(table.id, Arc::clone(&table));
    table
}

/// A section and so many indexes that no table has, dropped ones whose pages are not free yet among them.
///
/// # Errors
///
/// [`Error::TooMany`]: numbers of sections and of indexes are slots of one page each.
pub(crate) fn free_places(engine: &Engine, count: usize) -> Result<(SectionId, Vec<IndexId>)> {
    let mut sections = BTreeSet::new();
    let mut indexes = BTreeSet::new();
    for table in engine.open_tables().iter().filter(|table| table.tablespace == USER) {
        sections.insert(table.section);
        indexes.extend(table.indexes.iter().map(|index| index.id));
    }
    for remains in engine.reclaims.all() {
        sections.insert(remains.section);
        indexes.extend(remains.indexes);
    }
    let limit = u32::from(SectionGeometry::new(engine.store.page_size()).slots_per_node());
    let section = (1..limit).map(SectionId).find(|section| !sections.contains(section));
    let section = section.ok_or(Error::TooMany { what: "tables", limit: limit.into() })?;
    let free = (0..limit).map(IndexId).filter(|index| !indexes.contains(index));
    let free: Vec<IndexId> = free.take(count).collect();
    if free.len() < count {
        return Err(Error::TooMany { what: "indexes", limit: limit.into() });
    }
    Ok((section, free))
}

/// The error of a record in the log that does not fit to the catalogue.
pub(crate) fn unknown(engine: &Engine, what: String) -> Error {
    let tables = engine.tables.read().unwrap_or_else(PoisonError::into_inner).len();
    in_log(format!("{what}, and the catalogue has {tables} tables"))
}
