//! The structure check: everything that pages say of each other is compared.
//!
//! # Method
//!
//! Every page has one owner: the file, a section's tree, a locator page (its data pages), a record (its
//! overflow pages), an index, the sequences. The walk from the roots gives each page that it meets to its owner; then the
//! inventories must call these pages used and no other. Every line of a data page belongs to one record, each
//! record's row has the columns of its table, and each index has an entry for each row's key, and no other. The
//! catalogue tells of what is open, and of nothing else: tables that were dropped are freed before.
//!
//! # Invariant
//!
//! Nothing is changed. What is found is told in full; only what cannot be read ends the check.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use falconry_seam::sync::PoisonError;

use super::engine::Engine;
use super::object::Object;
use super::schema::{IndexInfo, RecordPlace, TableInfo};
use super::{catalogue, files};
use crate::page::index::IndexKeyBuf;
use crate::page::{
    DataPage, InventoryMap, InventoryPage, Line, Locator, LocatorPage, PageKind, RESERVED_PAGES,
    RecordNumber, SectionGeometry, SectionPage,
};
use crate::section::{self, SectionWalk};
use crate::store::format::INDEX_ROOTS;
use crate::tree::Direction;
use crate::{PageId, PageNumber, Result, TableId, TablespaceId, row, sequence};

/// What a structure check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Pages in use, of all tablespaces.
    pub pages: u64,
    /// Tables, the catalogue not counted.
    pub tables: u64,
    /// Sequences.
    pub sequences: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Entries of all indexes.
    pub entries: u64,
    /// What does not fit, each naming the place. Empty for a good database.
    pub problems: Vec<String>,
}

/// Compares everything. No transaction may be active or waiting to be applied.
pub(super) fn verify(engine: &Engine) -> Result<VerifyReport> {
    let (owners, names, report) = (BTreeMap::new(), Vec::new(), VerifyReport::default());
    let mut check = Check { engine, owners, names, report };
    let tables = engine.open_tables();
    for table in &tables {
        check.table(table)?;
    }
    check.report.tables = tables.len() as u64 - 1;
    check.objects(&tables)?;
    check.sequence_pages()?;
    for number in 0..files::TABLESPACES.len() {
        check.inventories(TablespaceId(number as u32), &tables)?;
    }
    Ok(check.report)
}

struct Check<'a> {
    engine: &'a Engine,
    /// What each page is for, of `names`.
    owners: BTreeMap<PageId, usize>,
    names: Vec<String>,
    report: VerifyReport,
}

impl Check<'_> {
    fn problem(&mut self, what: String) {
        self.report.problems.push(what);
    }

    /// Gives a page to its owner.
    fn own(&mut self, page: PageId, owner: &str) {
        self.report.pages += 1;
        // Most pages of one owner come one after the other: its name is kept about once.
        if self.names.last().is_none_or(|last| last != owner) {
            self.names.push(owner.to_string());
        }
        if let Some(other) = self.owners.insert(page, self.names.len() - 1) {
            let other = &self.names[other];
            self.report.problems.push(format!("{page} is of {owner}, and of {other}"));
        }
    }

    /// What the catalogue tells of is what is open, and has places of its own.
    fn objects(&mut self, tables: &[Arc<TableInfo>]) -> Result<()> {
        let sequences = self.engine.sequences.read().unwrap_or_else(PoisonError::into_inner);
        self.report.sequences = sequences.len() as u64;
        let (mut told, mut places) = (BTreeSet::from([TableId::CATALOGUE.0]), BTreeSet::new());
        let mut next = None;
        for (record, object) in catalogue::objects(&self.engine.store)? {
            let (id, is_open) = match object {
                Object::Numbers(number) => {
                    if record != catalogue::NUMBERS || next.replace(number).is_some() {
                        self.problem(format!("record {} gives numbers", record.0));
                    }
                    continue;
                }
                Object::Table(table) => {
                    let is_this = |open: &Arc<TableInfo>| {
                        (open.id, open.section, &open.spec)
                            == (table.id, table.section, &table.spec)
                    };
                    (table.id.0, !table.is_dropped && tables.iter().any(is_this))
                }
                Object::Sequence { id, place, name } => {
                    let open = sequences.get(&id);
                    let is_alone = places.insert(place);
                    let is_this =
                        open.is_some_and(|open| (open.place, &open.name) == (place, &name));
                    (id.0, is_this && is_alone)
                }
            };
            if !told.insert(id) || !is_open {
                self.problem(format!("record {} of the catalogue tells of {id}", record.0));
            }
        }
        let last = told.last().copied().unwrap_or_default();
        if next.is_none_or(|next| next <= last) && last > 0 {
            self.problem(format!("the next number is {next:?}, and {last} is in use"));
        }
        let open = tables.iter().map(|table| table.id.0);
        for id in open.chain(sequences.keys().map(|id| id.0)).filter(|id| !told.contains(id)) {
            self.report.problems.push(format!("nothing in the catalogue tells of {id}"));
        }
        Ok(())
    }

    fn sequence_pages(&mut self) -> Result<()> {
        let (pages, problems) = sequence::pages(&self.engine.store)?;
        self.report.problems.extend(problems);
        for number in pages {
            self.own(PageId { tablespace: TablespaceId::CATALOGUE, number }, "the sequences");
        }
        Ok(())
    }

    fn table(&mut self, table: &TableInfo) -> Result<()> {
        let name = format!("table {}", table.spec.name);
        let store = &self.engine.store;
        let mut keys: Vec<Vec<IndexKeyBuf>> = vec![Vec::new(); table.indexes.len()];
        let mut walk = SectionWalk::new(store, table.tablespace, table.section, 0)?;
        while let Some((ordinal, locator)) = walk.next_locator(store)? {
            self.locator(table, ordinal, locator, &name, &mut keys)?;
        }
        for page in walk.pages {
            self.own(PageId { tablespace: table.tablespace, number: page }, &name);
        }
        for (index, keys) in table.indexes.iter().zip(keys) {
            self.index(table, index, keys)?;
        }
        Ok(())
    }

    /// The records of one locator page, and the data pages that belong to it.
    fn locator(
        &mut self,
        table: &TableInfo,
        ordinal: u64,
        id: PageId,
        name: &str,
        keys: &mut [Vec<IndexKeyBuf>],
    ) -> Result<()> {
        let store = &self.engine.store;
        let slots = SectionGeometry::new(store.page_size()).slots_per_locator();
        let locators: Vec<Locator> = {
            let page = store.read(id, PageKind::Locator)?;
            let page = LocatorPage::of_checked(page.bytes());
            (0..slots).map(|slot| page.locator(slot)).collect()
        };
        let mut lines: BTreeMap<PageNumber, BTreeSet<Line>> = BTreeMap::new();
        for (slot, locator) in locators.into_iter().enumerate() {
            let record = RecordNumber(ordinal * u64::from(slots) + slot as u64);
            match locator {
                Locator::Free => {}
                Locator::Stub => self.problem(format!("record {} of {name} is a stub", record.0)),
                Locator::Real { page, line } => {
                    if !lines.entry(page).or_default().insert(line) {
                        let place = format!("line {} of {page}", line.0);
                        self.problem(format!("{place} has two records of {name}"));
                    }
                    self.row(table, record, name, keys)?;
                }
            }
        }
        for (page, used) in lines {
            self.data_page(PageId { number: page, ..id }, table, &used, name)?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        table: &TableInfo,
        record: RecordNumber,
        name: &str,
        keys: &mut [Vec<IndexKeyBuf>],
    ) -> Result<()> {
        let (tablespace, section) = (table.tablespace, table.section);
        let place = RecordPlace { tablespace, section, record };
        let Some(encoded) = section::read(&self.engine.store, &table.locators, place)? else {
            self.problem(format!("record {} of {name} is gone", record.0));
            return Ok(());
        };
        self.report.rows += u64::from(table.id != TableId::CATALOGUE);
        let row = match row::decode(&encoded) {
            Ok(row) => row,
            Err(error) => {
                self.problem(format!("record {} of {name}: {error}", record.0));
                return Ok(());
            }
        };
        if table.id == TableId::CATALOGUE {
            return Ok(());
        }
        if row.len() != usize::from(table.spec.columns) {
            self.problem(format!("record {} of {name} has {} columns", record.0, row.len()));
            return Ok(());
        }
        for (index, keys) in table.indexes.iter().zip(keys) {
            keys.push(IndexKeyBuf { key: index.key_of(&row).0, record });
        }
        Ok(())
    }

    /// Each line of a data page is some record's, and its overflow pages are of nobody else.
    fn data_page(
        &mut self,
        id: PageId,
        table: &TableInfo,
        used: &BTreeSet<Line>,
        name: &str,
    ) -> Result<()> {
        self.own(id, name);
        let store = &self.engine.store;
        let stored: Vec<(Line, Option<PageNumber>)> = {
            let page = store.read(id, PageKind::Data)?;
            let page = DataPage::of_checked(page.bytes());
            page.records().map(|(line, record)| (line, record.tail)).collect()
        };
        for (line, tail) in stored {
            if !used.contains(&line) {
                self.problem(format!("line {} of {id} has a record that nothing leads to", line.0));
            }
            for page in section::chain(store, table.tablespace, table.section, tail)? {
                self.own(PageId { number: page, ..id }, name);
            }
        }
        Ok(())
    }

    fn index(
        &mut self,
        table: &TableInfo,
        index: &IndexInfo,
        mut keys: Vec<IndexKeyBuf>,
    ) -> Result<()> {
        let name = format!("index {} of table {}", index.spec.name, table.spec.name);
        let tree = index.tree.verify()?;
        self.report.entries += tree.entry_count;
        for page in tree.pages {
            self.own(PageId { tablespace: table.tablespace, number: page }, &name);
        }
        for problem in tree.problems {
            self.problem(format!("{name}: {problem}"));
        }
        keys.sort_unstable();
        let mut found = Vec::with_capacity(keys.len());
        let mut scan = index.tree.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward);
        while let Some(entry) = scan.next()? {
            found.push(entry);
        }
        // In their order already, but for an index that is not what it should be.
        found.sort_unstable();
        for entry in absent(&found, &keys) {
            self.problem(format!("{name} has a key that record {} has not", entry.record.0));
        }
        for missing in absent(&keys, &found) {
            self.problem(format!("{name} has no entry for record {}", missing.record.0));
        }
        Ok(())
    }

    /// What is in use is what was met, and no other page.
    fn inventories(&mut self, tablespace: TablespaceId, tables: &[Arc<TableInfo>]) -> Result<()> {
        let store = &self.engine.store;
        let map = InventoryMap::new(store.page_size());
        self.sections(tablespace, tables)?;
        self.index_roots(tablespace, tables)?;
        for ordinal in 0..store.inventories(tablespace)? {
            let id = PageId { tablespace, number: map.page_of(ordinal) };
            let page = store.read(id, PageKind::Inventory)?;
            let inventory = InventoryPage::of_checked(page.bytes());
            let (first, last) = inventory.range();
            let used: BTreeSet<PageNumber> = inventory.used().collect();
            let reserved = |number| map.is_reserved(number) || number < PageNumber(RESERVED_PAGES);
            for number in used.iter().copied().filter(|number| !reserved(*number)) {
                let id = PageId { tablespace, number };
                if !self.owners.contains_key(&id) {
                    let what = format!("{id} is in use, and nothing leads to it");
                    self.report.problems.push(what);
                }
            }
            let of_range = |number| PageId { tablespace, number };
            for (id, owner) in self.owners.range(of_range(first)..=of_range(last)) {
                let owner = &self.names[*owner];
                let what = match (used.contains(&id.number), reserved(id.number)) {
                    (true, false) => continue,
                    (false, _) => format!("{id} is free, and is of {owner}"),
                    (true, true) => format!("{id} is reserved, and is of {owner}"),
                };
                self.report.problems.push(what);
            }
        }
        Ok(())
    }

    /// Every section that a tablespace has is of a table.
    fn sections(&mut self, tablespace: TablespaceId, tables: &[Arc<TableInfo>]) -> Result<()> {
        for section in section::all(&self.engine.store, tablespace)? {
            let is_of =
                |table: &Arc<TableInfo>| table.tablespace == tablespace && table.section == section;
            let is_of_sequences =
                (tablespace, section) == (TablespaceId::CATALOGUE, sequence::SECTION);
            if !is_of_sequences && !tables.iter().any(is_of) {
                self.problem(format!("section {} of {tablespace} is of no table", section.0));
            }
        }
        Ok(())
    }

    /// Every index that a tablespace has is of a table.
    fn index_roots(&mut self, tablespace: TablespaceId, tables: &[Arc<TableInfo>]) -> Result<()> {
        let roots = PageId { tablespace, number: INDEX_ROOTS };
        let page = self.engine.store.read(roots, PageKind::Section)?;
        let tables = tables.iter().filter(|table| table.tablespace == tablespace);
        let known = tables.flat_map(|table| &table.indexes).map(|index| index.id.0);
        let known: BTreeSet<u32> = known.collect();
        for (slot, _) in SectionPage::of_checked(page.bytes()).children() {
            if !known.contains(&slot.into()) {
                self.report.problems.push(format!("index {slot} of {tablespace} is of no table"));
            }
        }
        Ok(())
    }
}

/// Those of one list that the other has not; both in ascending order.
fn absent<'a>(
    one: &'a [IndexKeyBuf],
    other: &'a [IndexKeyBuf],
) -> impl Iterator<Item = &'a IndexKeyBuf> {
    let mut rest = other.iter().peekable();
    one.iter().filter(move |key| {
        while rest.next_if(|found| found < key).is_some() {}
        rest.peek() != Some(key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_all_that_the_other_list_has_not() {
        let list = |records: &[u64]| -> Vec<IndexKeyBuf> {
            let key = |record: &u64| IndexKeyBuf { key: vec![7], record: RecordNumber(*record) };
            records.iter().map(key).collect()
        };
        for (one, other, expected) in [
            (&[1, 2, 4, 9][..], &[2, 3, 9, 10][..], &[1, 4][..]),
            (&[], &[1], &[]),
            (&[5, 5, 6], &[], &[5, 5, 6]),
            (&[3, 8], &[3, 8], &[]),
        ] {
            let (one, other) = (list(one), list(other));
            let found: Vec<_> = absent(&one, &other).cloned().collect();
            assert_eq!(found, list(expected));
        }
    }
}
