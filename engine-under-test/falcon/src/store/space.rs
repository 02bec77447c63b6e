//! Which pages of a tablespace are free: giving them away and taking them back.
//!
//! # Method
//!
//! Inventory pages have a bit for each page. The search begins behind the page that was given away last, or
//! at one that was freed before it, goes through the inventories that there are, and adds one when all are
//! full. The bits change in the record of the change that links or unlinks the page, so that no crash can
//! lose a page or give it away twice.
//!
//! # Invariant
//!
//! Who changes bits holds the lock of the tablespace's [`Space`] until the record is in the log.

use falconry_seam::sync::PoisonError;

use super::change::Change;
use super::op::PageOp;
use crate::page::{InventoryMap, InventoryPage, PageKind};
use crate::{Error, PageId, PageNumber, Result, TablespaceId};

/// What is remembered of a tablespace's inventory.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Inventory pages that there are.
    pub(crate) inventories: u32,
    /// Where a search begins.
    hint: PageNumber,
}

impl Space {
    /// So many inventory pages, and nothing known of what is free.
    pub fn new(inventories: u32) -> Space {
        Space { inventories, hint: PageNumber(0) }
    }
}

impl super::Store {
    /// Says how many inventory pages a tablespace has.
    pub(crate) fn set_inventories(&mut self, tablespace: TablespaceId, inventories: u32) {
        let space = self.spaces[tablespace.0 as usize].get_mut();
        *space.unwrap_or_else(PoisonError::into_inner) = Space::new(inventories);
    }

    /// How many inventory pages a tablespace has.
    pub(crate) fn inventories(&self, tablespace: TablespaceId) -> Result<u32> {
        Ok(self.space(tablespace)?.inventories)
    }
}

impl Change<'_> {
    /// Gives away a page of the tablespace; the caller has to build it by [`Change::create`].
    ///
    /// # Errors
    ///
    /// Those of the cache; [`Error::NoPages`] when all numbers are in use.
    pub fn allocate(&mut self, tablespace: TablespaceId) -> Result<PageNumber> {
        let map = InventoryMap::new(self.store().page_size());
        let Space { inventories, hint } = *self.space(tablespace)?;
        let start = map.ordinal_of(hint).min(inventories - 1);
        let order = (start..inventories).chain(0..=start);
        for (turn, ordinal) in order.enumerate() {
            let from = if turn == 0 { hint } else { PageNumber(0) };
            let inventory = PageId { tablespace, number: map.page_of(ordinal) };
            let slot = self.page(inventory, PageKind::Inventory)?;
            let found = InventoryPage::of_checked(self.bytes(slot)).first_free(from);
            if let Some(page) = found {
                return self.take(tablespace, slot, page);
            }
        }
        if inventories == map.inventories_max() {
            return Err(Error::NoPages { tablespace });
        }
        let inventory = PageId { tablespace, number: map.page_of(inventories) };
        let slot = self.create(inventory, &PageOp::FormatInventory { ordinal: inventories })?;
        self.space(tablespace)?.inventories += 1;
        let first = InventoryPage::of_checked(self.bytes(slot)).first_free(PageNumber(0));
        let first = first.ok_or(Error::NoPages { tablespace })?;
        self.take(tablespace, slot, first)
    }

    fn take(
        &mut self,
        tablespace: TablespaceId,
        inventory: usize,
        page: PageNumber,
    ) -> Result<PageNumber> {
        self.apply(inventory, &PageOp::MarkUsed(page))?;
        self.space(tablespace)?.hint = PageNumber(page.0.saturating_add(1));
        Ok(page)
    }

    /// Takes a page back that nothing leads to any more.
    ///
    /// # Errors
    ///
    /// Those of the cache; [`Error::Damaged`] for a page that is free already.
    pub fn free(&mut self, page: PageId) -> Result<()> {
        let map = InventoryMap::new(self.store().page_size());
        let space = self.space(page.tablespace)?;
        space.hint = space.hint.min(page.number);
        let number = map.page_of(map.ordinal_of(page.number));
        let inventory = PageId { tablespace: page.tablespace, number };
        let slot = self.page(inventory, PageKind::Inventory)?;
        self.apply(slot, &PageOp::MarkFree(page.number))
    }
}
