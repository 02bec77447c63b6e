//! The catalogue: table 0, whose rows tell of all other tables.
//!
//! # Method
//!
//! The catalogue is a section of tablespace 0 without an index, read whole when a database is opened. All
//! other tables lie in tablespace 1. A table's number is its row's record number plus one, and is that of its
//! section; indexes are numbered through.
//!
//! # Invariant
//!
//! A row comes to the catalogue's pages after the section and the indexes that it tells of were made.

use std::collections::BTreeMap;
use std::sync::Arc;

use falconry_seam::sync::{Mutex, PoisonError};

use super::engine::Engine;
use super::gopher::in_log;
use super::numbers::Numbers;
use super::schema::{self, IndexInfo, RecordPlace, TableInfo, TableSpec};
use crate::page::index::IndexId;
use crate::page::{RecordNumber, SectionId};
use crate::store::Store;
use crate::tree::{self, Tree};
use crate::{Error, Result, TableId, TablespaceId, row, section};

/// The tablespace of all tables but the catalogue.
pub(crate) const USER: TablespaceId = TablespaceId(1);
/// The catalogue's section.
pub(crate) const SECTION: SectionId = SectionId(1);

/// The catalogue as a table.
pub(crate) fn catalogue() -> TableInfo {
    TableInfo {
        id: TableId::CATALOGUE,
        tablespace: TablespaceId::CATALOGUE,
        section: SECTION,
        // A row has as many columns as its table's indexes need.
        spec: TableSpec::new("catalogue", schema::COLUMNS_MAX),
        indexes: Vec::new(),
        numbers: Mutex::new(Numbers::default()),
        pages: Mutex::new(()),
        locators: section::Known::default(),
    }
}

/// The number of the table that a record of the catalogue tells of.
pub(crate) fn table_of(record: RecordNumber) -> Result<TableId> {
    let number = u32::try_from(record.0 + 1);
    number.map(TableId).map_err(|_| Error::TooMany { what: "tables", limit: u32::MAX.into() })
}

/// Makes the section and the indexes of the table that an encoded row tells of.
pub(crate) fn make(engine: &Engine, encoded: &[u8]) -> Result<()> {
    let (id, first_index, spec) = told_by(encoded).map_err(in_log)?;
    section::create(&engine.store, USER, SectionId(id.0))?;
    for place in 0..spec.indexes.len() {
        tree::create(&engine.store, USER, IndexId(first_index.0 + place as u32))?;
    }
    Ok(())
}

/// Opens the table that an encoded row tells of.
pub(crate) fn open(store: &Arc<Store>, encoded: &[u8]) -> Result<TableInfo> {
    let (id, first_index, spec) = told_by(encoded).map_err(in_catalogue)?;
    let indexes = spec.indexes.iter().enumerate().map(|(place, index)| {
        let id = IndexId(first_index.0 + place as u32);
        let tree = Tree::open(Arc::clone(store), USER, id)?;
        Ok(IndexInfo { id, spec: index.clone(), tree })
    });
    Ok(TableInfo {
        id,
        tablespace: USER,
        section: SectionId(id.0),
        indexes: indexes.collect::<Result<_>>()?,
        spec,
        numbers: Mutex::new(Numbers::default()),
        pages: Mutex::new(()),
        locators: section::Known::default(),
    })
}

fn told_by(encoded: &[u8]) -> std::result::Result<(TableId, IndexId, TableSpec), String> {
    let row = row::decode(encoded).map_err(|error| error.to_string())?;
    schema::from_row(&row)
}

fn in_catalogue(what: String) -> Error {
    Error::Damaged { file: super::files::CATALOGUE.into(), place: "the catalogue".into(), what }
}

/// Reads the whole catalogue; what is in the engine's tables already stays.
pub(crate) fn load(engine: &Engine) -> Result<()> {
    let mut from = RecordNumber(0);
    let (tablespace, store) = (TablespaceId::CATALOGUE, &engine.store);
    while let Some(record) = section::next_record(store, tablespace, SECTION, from)? {
        from = RecordNumber(record.0 + 1);
        let id = table_of(record)?;
        if engine.table(id).is_some() {
            continue;
        }
        let place = RecordPlace { tablespace, section: SECTION, record };
        let encoded = section::read(store, &section::Known::default(), place)?;
        let encoded =
            encoded.ok_or_else(|| in_catalogue(format!("record {} is gone", record.0)))?;
        let table = open(store, &encoded)?;
        if table.id != id {
            let what = format!("record {} tells of table {}, not {}", record.0, table.id.0, id.0);
            return Err(in_catalogue(what));
        }
        add(engine, table);
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

/// The first number that no index has.
pub(crate) fn next_index(tables: &BTreeMap<TableId, Arc<TableInfo>>) -> IndexId {
    let used = tables.values().flat_map(|table| &table.indexes).map(|index| index.id.0).max();
    IndexId(used.map_or(0, |last| last + 1))
}

/// The error of a record in the log that does not fit to the catalogue.
pub(crate) fn unknown(engine: &Engine, what: String) -> Error {
    let tables = engine.tables.read().unwrap_or_else(PoisonError::into_inner).len();
    in_log(format!("{what}, and the catalogue has {tables} tables"))
}
