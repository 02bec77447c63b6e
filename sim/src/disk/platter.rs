//! What is durable: the bytes, lengths and names that a power loss cannot take.
//!
//! # Method
//!
//! Micro-operations arrive one by one, in any order that a preset allows. A data operation that
//! follows directly on what the platter holds replaces a pointer; any other copies its sectors.
//!
//! # Invariant
//!
//! Files and directories are numbered once for the life of a disk; number 0 is the root. Bytes behind
//! a file's length may be here for a while (data that came before its size); they are never read, and
//! are gone after a power loss.

use std::collections::{BTreeMap, BTreeSet};

use super::file::Data;
use super::names::{Change, ROOT, Tree};
use super::pages::{PagePool, PageTable, WHOLE, copy_sectors, same_page, sector, sector_mask};

/// Number of a file or directory.
pub type FileId = u32;

/// The durable part of one file.
#[derive(Clone, Debug, Default)]
pub struct PlatterFile {
    /// Its pages.
    pub(super) pages: PageTable,
    /// Its length in bytes.
    pub(super) len: u64,
    /// Creation time, nanoseconds since 1970.
    pub(super) created_ns: u64,
    /// Sectors that cannot be read until they are written again, by page.
    pub(super) bad: BTreeMap<u64, u8>,
}

impl PlatterFile {
    /// Takes a data operation: its sectors show the new bytes.
    pub(super) fn apply(&mut self, data: Data, pool: &mut PagePool) {
        self.heal(data.page, data.mask);
        let slot = self.pages.slot(data.page);
        if data.mask == WHOLE || same_page(slot.as_ref(), data.before.as_ref()) {
            let old = slot.replace(data.after);
            pool.give(data.before);
            pool.give(old);
        } else {
            self.apply_sectors(&data, data.mask, pool);
            pool.give(data.before);
            pool.give(Some(data.after));
        }
    }

    /// Takes some sectors of a data operation.
    pub(super) fn apply_sectors(&mut self, data: &Data, mask: u8, pool: &mut PagePool) {
        self.put(data.page, mask, Some(&data.after), pool);
    }

    /// Sets some sectors of a page to those of another one.
    pub(super) fn put(
        &mut self,
        page: u64,
        mask: u8,
        from: Option<&super::pages::PageRef>,
        pool: &mut PagePool,
    ) {
        let slot = self.pages.slot(page);
        let to = slot.get_or_insert_with(|| pool.overlay(None, 0, &[]));
        copy_sectors(to, from, mask);
        self.heal(page, mask);
    }

    /// Overwrites bytes within one page.
    pub(super) fn overwrite(&mut self, page: u64, at: usize, bytes: &[u8], pool: &mut PagePool) {
        let slot = self.pages.slot(page);
        let to = slot.get_or_insert_with(|| pool.overlay(None, 0, &[]));
        std::sync::Arc::make_mut(to)[at..at + bytes.len()].copy_from_slice(bytes);
        self.heal(page, sector_mask(at, bytes.len()));
    }

    /// A sector that is written can be read again.
    #[inline]
    pub(super) fn heal(&mut self, page: u64, mask: u8) {
        if !self.bad.is_empty()
            && let Some(bad) = self.bad.get_mut(&page)
        {
            *bad &= !mask;
            if *bad == 0 {
                self.bad.remove(&page);
            }
        }
    }

    /// Sets the length; a cut forgets the bytes behind it.
    pub(super) fn set_len(&mut self, len: u64, pool: &mut PagePool) {
        if len < self.len {
            self.pages.truncate(len, pool);
            let page = len.div_ceil(super::pages::PAGE_BYTES as u64);
            self.bad.split_off(&page);
        }
        self.len = len;
    }

    /// The bytes of a sector.
    pub(super) fn sector(&self, page: u64, index: usize) -> &[u8] {
        sector(self.pages.get(page), index)
    }

    /// All bytes of the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).expect("a file that fits in memory")];
        self.pages.read(0, &mut bytes);
        bytes
    }
}

/// The durable state of a whole disk. A clone shares all pages.
#[derive(Clone, Debug)]
pub struct Platter {
    pub(super) files: BTreeMap<FileId, PlatterFile>,
    pub(super) tree: Tree,
}

impl Platter {
    /// An empty root directory.
    pub(super) fn new() -> Self {
        Platter { files: BTreeMap::new(), tree: Tree::new() }
    }

    /// Gives back the pages that nobody else holds.
    pub(super) fn give_to(self, pool: &mut PagePool) {
        for file in self.files.into_values() {
            file.pages.give_to(pool);
        }
    }

    /// The file with this number.
    pub(super) fn file(&mut self, file: FileId) -> &mut PlatterFile {
        self.files.entry(file).or_default()
    }

    /// Takes a change of names.
    pub(super) fn apply_name(&mut self, change: &Change) {
        self.tree.apply(change);
    }

    /// Forgets what no name leads to.
    pub(super) fn drop_unreachable(&mut self) {
        let mut reached = BTreeSet::new();
        let mut todo = vec![ROOT];
        while let Some(node) = todo.pop() {
            if reached.insert(node)
                && let Some(entries) = self.tree.entries(node)
            {
                todo.extend(entries.values().copied());
            }
        }
        self.files.retain(|file, _| reached.contains(file));
        self.tree.retain(|dir| reached.contains(&dir));
    }

    /// The durable bytes of a file; `None` if no durable name leads to it.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.tree.lookup(path)?;
        Some(self.files.get(&file)?.bytes())
    }

    /// Whether both hold the same names and bytes.
    pub(super) fn same_bytes(&self, other: &Platter) -> bool {
        self.tree == other.tree
            && self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(|((id, a), (other_id, b))| {
                id == other_id && a.len == b.len && a.pages.same_bytes(&b.pages)
            })
    }

    /// The durable files, by path, with their lengths.
    pub fn paths(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        self.walk(ROOT, "", &mut |path, file| found.push((path.to_string(), file.len)));
        found
    }

    /// Calls `visit` for every file below `dir`, in the order of the names.
    pub(super) fn walk(
        &self,
        dir: FileId,
        prefix: &str,
        visit: &mut impl FnMut(&str, &PlatterFile),
    ) {
        for (name, node) in self.tree.entries(dir).into_iter().flatten() {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            match self.files.get(node) {
                Some(file) => visit(&path, file),
                None => self.walk(*node, &path, visit),
            }
        }
    }
}
