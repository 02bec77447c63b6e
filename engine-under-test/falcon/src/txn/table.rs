//! Handles of tables and indexes.
//!
//! # Method
//!
//! A handle shares what an open database knows of its table. It is good for as long as the database is
//! open, in all its transactions, unless the table is dropped: who has it is told then.
//!
//! # Invariant
//!
//! What a handle tells does not change.

use std::fmt;
use std::sync::Arc;

use crate::db::{IndexInfo, TableInfo};
use crate::page::key::KeyValue;

/// A row: the values of its columns.
pub type Row = Vec<KeyValue<'static>>;

/// A table of an open database. Clones are the same table.
#[derive(Clone)]
pub struct Table {
    info: Arc<TableInfo>,
}

/// An index of a table. Clones are the same index.
#[derive(Clone)]
pub struct Index {
    table: Arc<TableInfo>,
    /// Which of the table's it is.
    place: usize,
}

impl Table {
    /// The handle of an open table.
    pub(crate) fn new(info: Arc<TableInfo>) -> Table {
        Table { info }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.info.spec.name
    }

    /// How many columns each row has.
    pub fn column_count(&self) -> u16 {
        self.info.spec.columns
    }

    /// The index of that name.
    pub fn index(&self, name: &str) -> Option<Index> {
        let place = self.info.indexes.iter().position(|index| index.spec.name == name)?;
        Some(Index { table: Arc::clone(&self.info), place })
    }

    pub(super) fn info(&self) -> &Arc<TableInfo> {
        &self.info
    }
}

impl Index {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.info().spec.name
    }

    /// The columns of its keys, by their place in the row.
    pub fn columns(&self) -> &[u16] {
        &self.info().spec.columns
    }

    /// Whether no two rows have the same key. Keys with a null among their columns are not compared.
    pub fn is_unique(&self) -> bool {
        self.info().spec.is_unique
    }

    /// The table that it is of.
    pub fn table(&self) -> Table {
        Table::new(Arc::clone(&self.table))
    }

    pub(super) fn table_info(&self) -> &Arc<TableInfo> {
        &self.table
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }

    pub(super) fn info(&self) -> &IndexInfo {
        &self.table.indexes[self.place]
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.name()).finish()
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Index").field(&self.table.spec.name).field(&self.name()).finish()
    }
}
