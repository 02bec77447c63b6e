//! Entries in order, from either end, a leaf at a time.
//!
//! # Method
//!
//! What is left of a scan is a range; each leaf that is read takes its part off one end. Forwards a leaf gives
//! what it has from the range's start on, and the range then starts at the leaf's bound. Backwards the
//! leaf is looked for that keeps the last of what is below the range's end, and the range then ends where that
//! leaf begins. Both places stay what they are whatever is split meanwhile, and entries that a split moves
//! stay on the same side of them.
//!
//! Bounds are on keys. All entries of one key lie between it with the first record and its first successor,
//! which is the key with a zero byte behind it.
//!
//! # Invariant
//!
//! No latch is held between two calls. An entry that is there throughout comes once; one that comes or goes
//! meanwhile comes once or never. The range shrinks with each leaf, so a scan ends.

use std::collections::VecDeque;
use std::ops::Bound;

use super::Tree;
use super::descend::{Leaf, Seek, Walk};
use crate::page::RecordNumber;
use crate::page::index::{IndexKey, IndexKeyBuf};
use crate::{PageNumber, Result};

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the least entry to the greatest.
    Forward,
    /// From the greatest entry to the least.
    Backward,
}

/// A scan under way.
pub struct Scan {
    tree: Tree,
    /// What is left: from here on,
    low: IndexKeyBuf,
    /// and below this, or all.
    high: Option<IndexKeyBuf>,
    direction: Direction,
    /// The leaf that begins at `low`, if it is known.
    next: Option<PageNumber>,
    /// Entries that were read and not given yet.
    batch: VecDeque<IndexKeyBuf>,
    is_over: bool,
}

impl Tree {
    /// Begins a scan of the entries whose keys are within the bounds. Nothing is read yet.
    pub fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, direction: Direction) -> Scan {
        let low = match from {
            Bound::Included(key) => first_of(key),
            Bound::Excluded(key) => behind(key),
            Bound::Unbounded => IndexKeyBuf::default(),
        };
        let high = match to {
            Bound::Included(key) => Some(behind(key)),
            Bound::Excluded(key) => Some(first_of(key)),
            Bound::Unbounded => None,
        };
        let is_over = high.as_ref().is_some_and(|high| low >= *high);
        let (tree, batch) = (self.clone(), VecDeque::new());
        Scan { tree, low, high, direction, next: None, batch, is_over }
    }
}

impl Scan {
    /// The next entry, or none when there are no more.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`](crate::Error::Damaged) and those of the cache. The scan stays where it was.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator of results would go on after an error; here the caller has to look at it"
    )]
    pub fn next(&mut self) -> Result<Option<IndexKeyBuf>> {
        while self.batch.is_empty() && !self.is_over {
            match self.direction {
                Direction::Forward => self.fill_forward()?,
                Direction::Backward => self.fill_backward()?,
            }
        }
        Ok(self.batch.pop_front())
    }

    fn fill_forward(&mut self) -> Result<()> {
        let seek = Seek::At(self.low.borrow());
        let leaf = match self.next {
            Some(number) => self.tree.leaf_from(Walk::from_leaf(number), seek)?,
            None => self.tree.leaf(seek)?,
        };
        self.batch = entries_of(&leaf, self.low.borrow(), self.high());
        match leaf.page().right().zip(leaf.page().high()) {
            Some((right, high)) if self.high().is_none_or(|end| high < end) => {
                (self.next, self.low) = (Some(right), high.to_buf());
            }
            _ => self.is_over = true,
        }
        Ok(())
    }

    fn fill_backward(&mut self) -> Result<()> {
        let leaf = self.tree.leaf(Seek::Below(self.high()))?;
        if self.high().is_some_and(|high| leaf.lower.borrow() >= high) {
            let what =
                format!("it begins at {:?}, and was found below {:?}", leaf.lower, self.high);
            return Err(self.tree.damaged(leaf.number, what));
        }
        let entries = entries_of(&leaf, self.low.borrow(), self.high());
        self.batch = entries.into_iter().rev().collect();
        self.is_over = leaf.lower <= self.low;
        self.high = Some(leaf.lower);
        Ok(())
    }

    fn high(&self) -> Option<IndexKey<'_>> {
        self.high.as_ref().map(IndexKeyBuf::borrow)
    }
}

/// What a leaf has of a range.
fn entries_of(
    leaf: &Leaf<'_>,
    low: IndexKey<'_>,
    high: Option<IndexKey<'_>>,
) -> VecDeque<IndexKeyBuf> {
    let mut entries = VecDeque::new();
    let mut cursor = leaf.page().lower_bound(low);
    while let Some(entry) = cursor.advance() {
        if high.is_some_and(|high| entry.key >= high) {
            break;
        }
        entries.push_back(entry.key.to_buf());
    }
    entries
}

/// Where the entries of a key begin.
fn first_of(key: &[u8]) -> IndexKeyBuf {
    IndexKeyBuf { key: key.to_vec(), record: RecordNumber(0) }
}

/// Where they end: no key lies between a key and itself with a zero byte behind it.
fn behind(key: &[u8]) -> IndexKeyBuf {
    let mut key = key.to_vec();
    key.push(0);
    first_of(&key)
}
