//! A change of pages: one record of the log, all of it or nothing.
//!
//! # Method
//!
//! Pages are latched exclusively as they are met and stay so until the end. Each operation is applied at
//! once and encoded. At the end the record is appended, and the pages are stamped with the place behind it.
//! A page is marked dirty before the record is appended: a checkpoint that comes after the record finds it,
//! and then waits for the latch.
//!
//! # Invariant
//!
//! A page whose change did not come into the log is never written: it is stamped with a place that no log
//! reaches, and the log is stopped. The reason is the error that the change has met, as far as it was told of it.

use falconry_seam::planted;
use falconry_seam::sync::MutexGuard;

use super::op::PageOp;
use super::record;
use super::{Space, Store, code};
use crate::cache::PageWrite;
use crate::page::index::{IndexKey, IndexPageMut, InsertError};
use crate::page::{PageKind, clear_seal};
use crate::{Error, Lsn, PageId, PageNumber, Result, StopReason, TablespaceId};

/// Pages that most changes stay within.
const PAGES: usize = 4;
/// Bytes that most pages need for their operations.
const OPS_BYTES: usize = 64;
/// A place that no log reaches.
const NEVER: Lsn = Lsn(u64::MAX);

/// Pages that change together.
pub struct Change<'a> {
    store: &'a Store,
    pages: Vec<Changed<'a>>,
    space: Option<(TablespaceId, MutexGuard<'a, Space>)>,
    /// What it has met first that may end it.
    met: Option<Error>,
}

struct Changed<'a> {
    id: PageId,
    guard: PageWrite<'a>,
    count: u16,
    ops: Vec<u8>,
}

impl Changed<'_> {
    /// Notes an operation for the log.
    fn log(&mut self, op: &PageOp<'_>) {
        if self.ops.is_empty() {
            self.ops.reserve(OPS_BYTES);
        }
        code::put_op(&mut self.ops, op);
        self.count += 1;
    }
}

impl<'a> Change<'a> {
    pub(super) fn new(store: &'a Store) -> Change<'a> {
        Change { store, pages: Vec::with_capacity(PAGES), space: None, met: None }
    }

    /// The store that it changes.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// Latches a page, which must be of that kind, and says by which number it is called here. A page that
    /// is latched already keeps its number.
    ///
    /// # Errors
    ///
    /// Those of the cache; [`Error::Damaged`] for a page of another kind.
    pub fn page(&mut self, id: PageId, kind: PageKind) -> Result<usize> {
        self.find(id, kind).map_err(|error| self.told(error))
    }

    fn find(&mut self, id: PageId, kind: PageKind) -> Result<usize> {
        if let Some(slot) = self.slot_of(id) {
            self.store.expect(self.bytes(slot), id, kind)?;
            return Ok(slot);
        }
        let guard = self.store.cache.write_as(id, Some(kind))?;
        self.store.expect(guard.bytes(), id, kind)?;
        Ok(self.add(id, guard))
    }

    /// Latches a page that is made anew: `op` formats it, whatever it held.
    ///
    /// # Errors
    ///
    /// Those of the cache.
    pub fn create(&mut self, id: PageId, op: &PageOp<'_>) -> Result<usize> {
        assert!(op.is_birth(), "{id} is created by {op:?}");
        let slot = match self.slot_of(id) {
            Some(slot) => slot,
            None => {
                let guard = self.store.cache.create(id, Lsn(0));
                let guard = guard.map_err(|error| self.told(error))?;
                self.add(id, guard)
            }
        };
        self.apply(slot, op)?;
        Ok(slot)
    }

    /// The page, as it is by now.
    pub fn bytes(&self, slot: usize) -> &[u8] {
        self.pages[slot].guard.bytes()
    }

    /// Which page that is.
    pub fn id(&self, slot: usize) -> PageId {
        self.pages[slot].id
    }

    /// Lets go of a page that was not changed.
    pub fn let_go(&mut self, slot: usize) {
        assert_eq!(slot + 1, self.pages.len(), "only the page that was latched last can go");
        let page = self.pages.pop().expect("a page was latched");
        assert!(page.count == 0, "{} was changed {} times", page.id, page.count);
    }

    /// Changes a page.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the operation does not fit to the page; the page is as it was.
    pub fn apply(&mut self, slot: usize, op: &PageOp<'_>) -> Result<()> {
        let page = &mut self.pages[slot];
        let id = page.id;
        // The latch keeps it from being written until the record is appended.
        let bytes = page.guard.change(Lsn(0));
        if let Err(misfit) = op.apply(id, bytes) {
            let error = self.store.damaged(id, misfit.to_string());
            return Err(self.told(error));
        }
        if is_logged(op) {
            page.log(op);
        }
        Ok(())
    }

    /// Puts an entry into an index page, as [`PageOp::InsertEntry`] does, or tells why not: the page is as it
    /// was then, and the change may go on. The entry must be below the page's high key.
    ///
    /// # Errors
    ///
    /// Those of [`IndexPageMut::insert`].
    pub fn insert_entry(
        &mut self,
        slot: usize,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> std::result::Result<(), InsertError> {
        let page = &mut self.pages[slot];
        let mut index = IndexPageMut::of_checked(page.guard.change(Lsn(0)));
        let was_empty = index.read().entry_count() == 0;
        index.insert(key, child)?;
        if was_empty && planted!("entry_of_empty_leaf_not_logged") {
            return Ok(());
        }
        page.log(&PageOp::InsertEntry { key: key.key.into(), record: key.record, child });
        Ok(())
    }

    /// Changes a page by a function of more than one page: its image goes into the log.
    ///
    /// # Errors
    ///
    /// Whatever `change` returns; the pages must be as they were then.
    pub fn rewrite<T, E>(
        &mut self,
        slots: (usize, usize),
        change: impl FnOnce(&mut [u8], &mut [u8]) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let (one, other) = slots;
        let count = self.pages.len();
        let [first, second] = self
            .pages
            .get_disjoint_mut([one, other])
            .unwrap_or_else(|error| panic!("pages {one} and {other} of {count}: {error}"));
        let changed = change(first.guard.change(Lsn(0)), second.guard.change(Lsn(0)))?;
        for slot in [one, other] {
            let page = &mut self.pages[slot];
            // Whatever came before is in the image.
            page.ops.clear();
            page.count = 0;
            let mut image = page.guard.bytes().to_vec();
            clear_seal(&mut image);
            page.log(&PageOp::Image(image.into()));
        }
        Ok(changed)
    }

    /// Notes an error that its maker has met: if the change ends before its commit this is the reason that everybody
    /// is told, unless it has met another one before.
    pub fn told(&mut self, error: Error) -> Error {
        self.met.get_or_insert_with(|| error.clone());
        error
    }

    /// Ends the change: its record is in the log, and the pages are free. Without any operation nothing is
    /// written.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] when the log takes nothing more. The pages are as the change left them, and are
    /// never written.
    pub fn commit(mut self) -> Result<Lsn> {
        let changed = self.pages.iter().filter(|page| page.count > 0);
        let length = changed.map(|page| code::PAGE_BYTES + page.ops.len()).sum();
        let mut bytes = Vec::with_capacity(length);
        for page in self.pages.iter().filter(|page| page.count > 0) {
            code::put_page(&mut bytes, page.id, page.count, &page.ops);
        }
        if bytes.is_empty() {
            return Ok(self.store.log.end());
        }
        let lsn = self.store.log.append_urgent(record::PAGE_CHANGE, &[&bytes])?;
        for page in self.pages.iter_mut().filter(|page| page.count > 0) {
            page.guard.change(lsn);
            page.count = 0;
        }
        Ok(lsn)
    }

    /// The room of a tablespace, locked until the change ends.
    pub(super) fn space(&mut self, tablespace: TablespaceId) -> Result<&mut Space> {
        if self.space.is_none() {
            self.space = Some((tablespace, self.store.space(tablespace)?));
        }
        let (locked, space) = self.space.as_mut().expect("it was locked");
        assert_eq!(*locked, tablespace, "a change allocates in one tablespace");
        Ok(space)
    }

    fn add(&mut self, id: PageId, guard: PageWrite<'a>) -> usize {
        self.pages.push(Changed { id, guard, count: 0, ops: Vec::new() });
        self.pages.len() - 1
    }

    fn slot_of(&self, id: PageId) -> Option<usize> {
        self.pages.iter().position(|page| page.id == id)
    }
}

/// Whether an operation goes into the log, as all do.
fn is_logged(op: &PageOp<'_>) -> bool {
    match op {
        PageOp::FormatLocator { .. } => !planted!("locator_page_not_logged"),
        PageOp::FormatLeaf { .. } => !planted!("index_root_not_logged"),
        PageOp::FormatOverflow { .. } => !planted!("overflow_page_not_logged"),
        _ => true,
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let is_cut_off = self.pages.iter().any(|page| page.count > 0);
        if is_cut_off {
            for page in self.pages.iter_mut().filter(|page| page.count > 0) {
                page.guard.change(NEVER);
            }
            self.store.log.stop(match &self.met {
                Some(error) => StopReason::with("a change of pages was cut off", error),
                None => "a change of pages was cut off by an error".into(),
            });
        }
    }
}
