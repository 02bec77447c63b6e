//! What a table is: its columns, its indexes, and where they are kept.
//!
//! # Method
//!
//! A table is described by a [`TableSpec`] and known by a number from then on. Its rows are a section of
//! its tablespace; that and each index have a number of their own there. The description is a row of the
//! catalogue, table 0, which is a section of tablespace 0 and has no index.
//!
//! # Invariant
//!
//! The description of a table does not change once it is made.

use falconry_seam::sync::Mutex;
use falconry_seam::sync::atomic::{AtomicBool, Ordering};

use crate::page::index::IndexId;
use crate::page::key::{self, KeyValue};
use crate::page::{RecordNumber, SectionId};
use crate::section::Known;
use crate::tree::Tree;
use crate::{Error, Result, TableId, TablespaceId};

use super::numbers::Numbers;

/// The most columns of a table.
pub const COLUMNS_MAX: u16 = 1_000;
/// The most indexes of a table.
pub const INDEXES_MAX: usize = 64;
/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// An index to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSpec {
    /// Its name, unlike that of the table's other indexes.
    pub name: String,
    /// The columns of its keys, in this order, by their place in the row.
    pub columns: Vec<u16>,
    /// Whether no two rows may have the same key. A key with a null among its columns is not compared.
    pub is_unique: bool,
}

/// A table to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// Its name, unlike that of all other tables.
    pub name: String,
    /// How many columns its rows have: 1 to 1,000.
    pub columns: u16,
    /// Its indexes.
    pub indexes: Vec<IndexSpec>,
}

impl TableSpec {
    /// A table without indexes.
    pub fn new(name: impl Into<String>, columns: u16) -> TableSpec {
        TableSpec { name: name.into(), columns, indexes: Vec::new() }
    }

    /// Adds an index.
    #[must_use]
    pub fn index(mut self, name: impl Into<String>, columns: &[u16], is_unique: bool) -> TableSpec {
        self.indexes.push(IndexSpec { name: name.into(), columns: columns.into(), is_unique });
        self
    }

    /// Whether there can be such a table.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`], which says what is wrong.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Schema { name: self.name.clone(), what });
        check_name(&self.name)?;
        if !(1..=COLUMNS_MAX).contains(&self.columns) {
            return refuse(format!("{} columns, and 1 to {COLUMNS_MAX} can be had", self.columns));
        }
        if self.indexes.len() > INDEXES_MAX {
            return refuse(format!("{} indexes, at most {INDEXES_MAX}", self.indexes.len()));
        }
        for (place, index) in self.indexes.iter().enumerate() {
            let IndexSpec { name, columns, .. } = index;
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return refuse(format!("an index's name has 1 to {NAME_BYTES_MAX} bytes"));
            }
            if self.indexes[..place].iter().any(|other| other.name == *name) {
                return refuse(format!("two indexes are called {name}"));
            }
            if columns.is_empty() {
                return refuse(format!("index {name} has no column"));
            }
            if let Some(column) = columns.iter().find(|column| **column >= self.columns) {
                return refuse(format!("index {name} is of column {column}, which is not there"));
            }
        }
        Ok(())
    }
}

/// What a column takes in most keys, so that these are put together in one allocation.
const KEY_BYTES: usize = 16;
/// Whether a table or a sequence can have that name.
///
/// # Errors
///
/// [`Error::Schema`].
pub(super) fn check_name(name: &str) -> Result<()> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    let what = format!("a name has 1 to {NAME_BYTES_MAX} bytes");
    Err(Error::Schema { name: name.into(), what })
}

/// An index of an open table.
pub struct IndexInfo {
    /// Its number in the tablespace.
    pub(crate) id: IndexId,
    pub(crate) spec: IndexSpec,
    pub(crate) tree: Tree,
}

impl IndexInfo {
    /// The key of a row, and whether it must be the only one: it must not when a column is null.
    pub(crate) fn key_of(&self, row: &[KeyValue<'_>]) -> (Vec<u8>, bool) {
        let mut encoded = Vec::with_capacity(KEY_BYTES * self.spec.columns.len());
        let mut has_null = false;
        for column in &self.spec.columns {
            let value = &row[usize::from(*column)];
            has_null |= *value == KeyValue::Null;
            key::append(&mut encoded, value);
        }
        (encoded, self.spec.is_unique && !has_null)
    }
}

/// An open table.
pub struct TableInfo {
    pub(crate) id: TableId,
    pub(crate) tablespace: TablespaceId,
    pub(crate) section: SectionId,
    /// Its row in the catalogue.
    pub(crate) record: RecordNumber,
    pub(crate) spec: TableSpec,
    /// In the order of the description.
    pub(crate) indexes: Vec<IndexInfo>,
    /// Which record numbers can be given away.
    pub(crate) numbers: Mutex<Numbers>,
    /// Held by the gopher that changes the section.
    pub(crate) pages: Mutex<()>,
    /// Where the section's locator pages are.
    pub(crate) locators: Known,
    /// Whether it was dropped. It is so before the lock of who dropped it is free, and before any of its pages.
    pub(crate) is_dropped: AtomicBool,
}

impl TableInfo {
    /// Whether the table is there still.
    ///
    /// # Errors
    ///
    /// [`Error::Dropped`] when it is not.
    pub(crate) fn check_there(&self) -> Result<()> {
        match self.is_dropped.load(Ordering::Relaxed) {
            true => Err(Error::Dropped { what: "table", name: self.spec.name.clone() }),
            false => Ok(()),
        }
    }
}

/// Where a record is looked for: section and record within a tablespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordPlace {
    pub(crate) tablespace: TablespaceId,
    pub(crate) section: SectionId,
    pub(crate) record: RecordNumber,
}
