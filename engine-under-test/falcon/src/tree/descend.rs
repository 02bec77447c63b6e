//! The way from the root to a node.
//!
//! # Method
//!
//! Each node is looked at under its own latch, which is free before the next one is latched: what a node
//! says of others stays true. Who changes a node descends to just before it, and takes the last steps with
//! exclusive latches; if that node is the root, and has grown meanwhile, these go down as well.
//!
//! # Invariant
//!
//! Every step goes a level down, or to a greater bound on the same level: whatever the links say, a walk
//! ends.

use std::ops::RangeInclusive;

use super::Tree;
use crate::cache::PageRead;
use crate::page::RecordNumber;
use crate::page::index::{INDEX_LEVEL_MAX, IndexKey, IndexKeyBuf, IndexPage};
use crate::{PageNumber, Result};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seek<'a> {
    /// The node that keeps this, if anything does.
    At(IndexKey<'a>),
    /// The node that keeps the last of what is below this, or of everything.
    Below(Option<IndexKey<'a>>),
}

/// Where a step from a node went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nowhere: the node has the level, and keeps what is looked for.
    Here,
    /// To its right sibling.
    Right,
    /// To a child.
    Down,
}

/// A walk under way.
pub(super) struct Walk {
    /// The level that it goes to.
    level: u8,
    /// The next node,
    pub(super) number: PageNumber,
    /// and its level.
    pub(super) levels: RangeInclusive<u8>,
    /// Where that node begins, if the step to it told. Steps to the right do, and those down of
    /// [`Seek::Below`].
    pub(super) lower: IndexKeyBuf,
    /// On this level the walk went over the bound `lower`.
    has_left: bool,
}

impl Walk {
    /// From the root to a level, which the tree must have.
    pub(super) fn from_root(tree: &Tree, level: u8) -> Walk {
        let (levels, lower) = (level..=INDEX_LEVEL_MAX, IndexKeyBuf::default());
        Walk { level, number: tree.root, levels, lower, has_left: false }
    }

    /// From a leaf.
    pub(super) fn from_leaf(number: PageNumber) -> Walk {
        let lower = IndexKeyBuf::default();
        Walk { level: 0, number, levels: 0..=0, lower, has_left: false }
    }

    /// Goes on from the next node, which was checked.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`](crate::Error::Damaged) when its links do not get ahead.
    pub(super) fn step(
        &mut self,
        tree: &Tree,
        page: IndexPage<'_>,
        seek: Seek<'_>,
    ) -> Result<Step> {
        let right = match seek {
            Seek::At(target) => page.right_for(target),
            Seek::Below(bound) => page.right_below(bound),
        };
        if let (Some(right), Some(high)) = (right, page.high()) {
            if self.has_left && self.lower.borrow() >= high {
                let what = format!("it ends at {high:?}, and is right of {:?}", self.lower);
                return Err(tree.damaged(self.number, what));
            }
            (self.lower, self.has_left) = (high.to_buf(), true);
            (self.number, self.levels) = (right, page.level()..=page.level());
            return Ok(Step::Right);
        }
        if page.level() == self.level {
            return Ok(Step::Here);
        }
        let (lower, child) = match seek {
            Seek::At(target) => (IndexKeyBuf::default(), page.child_for(target)),
            Seek::Below(bound) => page.child_below(bound),
        };
        if child == tree.root {
            return Err(tree.damaged(self.number, "it has the root as a child"));
        }
        (self.lower, self.has_left) = (lower, false);
        (self.number, self.levels) = (child, page.level() - 1..=page.level() - 1);
        Ok(Step::Down)
    }

    /// Whether the next node has the level that the walk goes to.
    fn is_near(&self) -> bool {
        self.levels == (self.level..=self.level)
    }
}

/// The leaf that was looked for, latched.
pub(super) struct Leaf<'a> {
    pub(super) number: PageNumber,
    guard: PageRead<'a>,
    /// Where the leaf begins. It is found by [`Seek::Below`] alone.
    pub(super) lower: IndexKeyBuf,
}

impl Leaf<'_> {
    pub(super) fn page(&self) -> IndexPage<'_> {
        IndexPage::of_checked(self.guard.bytes())
    }
}

impl Tree {
    /// Walks to just before the node of a level that keeps what is looked for: to it, to one left of it,
    /// or to the root.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`](crate::Error::Damaged) and those of the cache.
    pub(super) fn descend(&self, seek: Seek<'_>, level: u8) -> Result<Walk> {
        let mut walk = Walk::from_root(self, level);
        loop {
            let guard = self.read(walk.number, &walk.levels)?;
            let step = walk.step(self, IndexPage::of_checked(guard.bytes()), seek)?;
            if step == Step::Here || walk.is_near() {
                return Ok(walk);
            }
        }
    }

    /// The leaf that keeps what is looked for.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`](crate::Error::Damaged) and those of the cache.
    pub(super) fn leaf(&self, seek: Seek<'_>) -> Result<Leaf<'_>> {
        self.leaf_from(Walk::from_root(self, 0), seek)
    }

    /// The same, from elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Tree::leaf`].
    pub(super) fn leaf_from(&self, mut walk: Walk, seek: Seek<'_>) -> Result<Leaf<'_>> {
        loop {
            let guard = self.read(walk.number, &walk.levels)?;
            let step = walk.step(self, IndexPage::of_checked(guard.bytes()), seek)?;
            if step == Step::Here {
                return Ok(Leaf { number: walk.number, guard, lower: walk.lower });
            }
        }
    }

    /// The first record that has just this key.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`](crate::Error::Damaged) and those of the cache.
    pub fn find(&self, key: &[u8]) -> Result<Option<RecordNumber>> {
        let mut record = RecordNumber(0);
        let mut walk = Walk::from_root(self, 0);
        loop {
            let target = IndexKey { key, record };
            let leaf = self.leaf_from(walk, Seek::At(target))?;
            let page = leaf.page();
            if let Some(entry) = page.lower_bound(target).advance() {
                return Ok((entry.key.key == key).then_some(entry.key.record));
            }
            // Entries of equal keys may begin to the right: they are divided by their records.
            match page.right().zip(page.high()) {
                Some((right, high)) if high.key == key => {
                    (walk, record) = (Walk::from_leaf(right), high.record);
                }
                _ => return Ok(None),
            }
        }
    }
}
