//! Entries come and go, and nodes that are full are split.
//!
//! # Method
//!
//! The descent finds the node shared; then it is latched exclusively and looked at again, for it may have been
//! split meanwhile, or have grown if it is the root. An entry that finds no room comes in with the split; if
//! the node is the root, what it has moves to a node below first, in the same change.
//!
//! What a parent is still to learn waits in a list until the change of its children is in the log: entries
//! for parents are inserted like all others, by a descent of their own, and may split their node in turn.
//!
//! Whoever goes right over a link cannot know whether the parent will ever learn of the node there, for a crash
//! may have come between. So it is told again, which does nothing if it knows.
//!
//! # Invariant
//!
//! A change holds one node of the tree, and in a split or a growth of the root the new ones, which nobody
//! else knows.

use std::collections::VecDeque;
use std::convert::Infallible;

use falconry_seam::{buggify, planted};

use super::Tree;
use super::descend::{Seek, Step, Walk};
use crate::page::index::{
    INDEX_LEVEL_MAX, IndexKey, IndexKeyBuf, IndexPage, IndexPageMut, InsertError,
};
use crate::page::{PageKind, RecordNumber};
use crate::store::Change;
use crate::store::op::PageOp;
use crate::{Error, PageNumber, Result};

/// A node that its parent may not know yet.
struct Untold {
    /// The parent's level.
    level: u8,
    /// Where the node begins.
    lower: IndexKeyBuf,
    number: PageNumber,
}

/// A node that was latched exclusively.
struct Latched {
    /// How the change calls it.
    slot: usize,
    number: PageNumber,
}

/// Leaves a node to be told of. A crash can come instead, and whoever passes by later tells the parent then.
fn leave(untold: &mut VecDeque<Untold>, node: Untold) {
    if !buggify!("tree/a parent is left untold", 400_000) {
        untold.push_back(node);
    }
}

impl Tree {
    /// Inserts an entry, and tells whether it was new.
    ///
    /// # Errors
    ///
    /// [`Error::KeyTooLong`]: nothing was changed. [`Error::Damaged`] and those of the cache: the entry was
    /// inserted as a whole or not at all. An error that comes while pages are changed stops the engine, and
    /// all later calls get [`Error::Stopped`].
    pub fn insert(&self, key: &[u8], record: RecordNumber) -> Result<bool> {
        let mut untold = VecDeque::new();
        let is_new = self.put(0, IndexKey { key, record }, None, &mut untold)?;
        while let Some(Untold { level, lower, number }) = untold.pop_front() {
            self.put(level, lower.borrow(), Some(number), &mut untold)?;
        }
        Ok(is_new)
    }

    /// Deletes an entry, and tells whether it was there.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] and those of the cache: nothing was deleted. [`Error::Stopped`]: the next open tells.
    pub fn delete(&self, key: &[u8], record: RecordNumber) -> Result<bool> {
        let target = IndexKey { key, record };
        let walk = self.descend(Seek::At(target), 0)?;
        let mut change = self.store.change();
        let leaf = self.latch(&mut change, walk, target, &mut VecDeque::new())?;
        if !IndexPage::of_checked(change.bytes(leaf.slot)).contains(target) {
            return Ok(false);
        }
        change.apply(leaf.slot, &PageOp::DeleteEntry { key: key.into(), record })?;
        change.commit()?;
        Ok(true)
    }

    /// Puts an entry into the level it is for, and notes what parents are to learn then. Tells whether it was
    /// new.
    fn put(
        &self,
        level: u8,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
        untold: &mut VecDeque<Untold>,
    ) -> Result<bool> {
        let walk = self.descend(Seek::At(key), level)?;
        let mut change = self.store.change();
        let node = self.latch(&mut change, walk, key, untold)?;
        match change.insert_entry(node.slot, key, child) {
            Ok(()) => {
                change.commit()?;
                Ok(true)
            }
            Err(InsertError::Duplicate) => {
                let page = IndexPage::of_checked(change.bytes(node.slot));
                self.check_same(node.number, page, key, child)?;
                Ok(false)
            }
            Err(InsertError::KeyTooLong { found_bytes: bytes, max_bytes: bytes_max }) => {
                Err(Error::KeyTooLong { bytes, bytes_max })
            }
            Err(InsertError::NoRoom(_)) => {
                let node =
                    if node.number == self.root { self.grow(&mut change, node)? } else { node };
                let (lower, number) = self.split(&mut change, node, key, child)?;
                change.commit()?;
                leave(untold, Untold { level: level + 1, lower, number });
                Ok(true)
            }
        }
    }

    /// Latches the node that keeps `key`, of the level that the walk goes to. Nodes that it came to over a
    /// link are noted.
    fn latch(
        &self,
        change: &mut Change<'_>,
        mut walk: Walk,
        key: IndexKey<'_>,
        passed: &mut VecDeque<Untold>,
    ) -> Result<Latched> {
        loop {
            let number = walk.number;
            let slot = change.page(self.id(number), PageKind::Index)?;
            let page = IndexPage::of_checked(change.bytes(slot));
            self.check(number, page, &walk.levels)?;
            let (level, step) = (page.level(), walk.step(self, page, Seek::At(key))?);
            if step == Step::Here || planted!("node_latched_without_look") {
                return Ok(Latched { slot, number });
            }
            change.let_go(slot);
            if step == Step::Right {
                let lower = walk.lower.clone();
                leave(passed, Untold { level: level + 1, lower, number: walk.number });
            }
        }
    }

    /// An entry of a branch that is there already must lead to the same child.
    fn check_same(
        &self,
        number: PageNumber,
        page: IndexPage<'_>,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> Result<()> {
        match child {
            Some(child) if page.child_for(key) != child => {
                let (what, found) = (format!("{key:?} begins {child}"), page.child_for(key));
                Err(self.damaged(number, format!("{what}, and the entry leads to {found}")))
            }
            _ => Ok(()),
        }
    }

    /// Makes two nodes of one, with the new entry, and tells where the new node begins and lies.
    fn split(
        &self,
        change: &mut Change<'_>,
        node: Latched,
        key: IndexKey<'_>,
        child: Option<PageNumber>,
    ) -> Result<(IndexKeyBuf, PageNumber)> {
        let new = self.new_node(change, node.number)?;
        let id = self.id(new.number);
        let halves = change.rewrite((node.slot, new.slot), |left, right| {
            IndexPageMut::of_checked(left).split_insert(right, id, key, child)
        });
        let lower = halves.unwrap_or_else(|error| {
            panic!("{} had no room for an entry, and in a split: {error}", self.id(node.number))
        });
        Ok((lower, new.number))
    }

    /// Makes the tree one level higher, and returns the node that has what the root had.
    fn grow(&self, change: &mut Change<'_>, root: Latched) -> Result<Latched> {
        if IndexPage::of_checked(change.bytes(root.slot)).level() == INDEX_LEVEL_MAX {
            let what = format!("it is full, and a root of level {INDEX_LEVEL_MAX}, the highest");
            return Err(self.damaged(root.number, what));
        }
        let new = self.new_node(change, root.number)?;
        let id = self.id(new.number);
        let Ok(()) = change.rewrite((root.slot, new.slot), |root, left| {
            IndexPageMut::of_checked(root).grow_root(left, id);
            Ok::<(), Infallible>(())
        });
        Ok(new)
    }

    /// A page of its own for what will move there from `number`.
    fn new_node(&self, change: &mut Change<'_>, number: PageNumber) -> Result<Latched> {
        let new = change.allocate(self.tablespace)?;
        if new == number || new == self.root {
            let error = self.damaged(new, "it is free by its inventory, and a node of the tree");
            return Err(change.told(error));
        }
        let slot = change.create(self.id(new), &PageOp::FormatLeaf { index: self.index })?;
        Ok(Latched { slot, number: new })
    }
}
