//! A whole tree is gone through, and what does not fit is told.
//!
//! # Method
//!
//! Level by level from the root: the entries of one level name the nodes of the next. Each of them is followed
//! by its links to the right as far as the next one that is named; what lies between is not told to the
//! parent. A node must begin where its left sibling ends and where the parent says, and end above that. After
//! a node that cannot be read the next one that is named goes on.
//!
//! # Invariant
//!
//! A page is visited once, so that a ring of links ends the walk. One latch is held at a time: a tree that is
//! changed meanwhile is not found worse than it is.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::Tree;
use crate::page::index::{INDEX_LEVEL_MAX, IndexKeyBuf, IndexPage};
use crate::{Error, PageNumber, Result};

/// What a tree is made of, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeReport {
    /// Levels, the leaves included.
    pub height: u32,
    /// Entries of leaves.
    pub entry_count: u64,
    /// Nodes that are reached from the left alone, for their parent does not know them. That is no problem.
    pub untold_count: u64,
    /// All pages that links lead to, in ascending order. Their number is the number of nodes.
    pub pages: Vec<PageNumber>,
    /// What does not fit, each naming the page. Empty for a good tree.
    pub problems: Vec<String>,
}

/// A node by what its parent says.
struct Named {
    number: PageNumber,
    lower: IndexKeyBuf,
}

/// How far a walk has come.
struct Walk<'a> {
    tree: &'a Tree,
    seen: BTreeSet<PageNumber>,
    report: TreeReport,
}

/// What is known of a node once it was looked at.
struct Seen {
    level: u8,
    right: Option<(PageNumber, IndexKeyBuf)>,
    /// Of a branch.
    children: Vec<Named>,
}

impl Tree {
    /// Goes through the whole tree. Entries may be inserted and deleted meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the cache, but for damage, which is among the problems.
    pub fn verify(&self) -> Result<TreeReport> {
        let mut walk = Walk { tree: self, seen: BTreeSet::new(), report: TreeReport::default() };
        let mut levels = 0..=INDEX_LEVEL_MAX;
        let mut named = vec![Named { number: self.root, lower: IndexKeyBuf::default() }];
        while !named.is_empty() {
            walk.report.height += 1;
            let (level, children) = walk.level(&levels, &named)?;
            (levels, named) = (level.saturating_sub(1)..=level.saturating_sub(1), children);
        }
        walk.report.pages = walk.seen.into_iter().collect();
        Ok(walk.report)
    }
}

impl Walk<'_> {
    /// Visits a level, whose nodes the level above names. Returns which level it is, and who is named on the
    /// next.
    fn level(&mut self, levels: &RangeInclusive<u8>, named: &[Named]) -> Result<(u8, Vec<Named>)> {
        let (mut level, mut children) = (0, Vec::new());
        for (ordinal, start) in named.iter().enumerate() {
            let stop = named.get(ordinal + 1);
            let mut next = Some((start.number, start.lower.clone()));
            while let Some((number, lower)) = next.take() {
                let Some(seen) = self.visit(number, levels, &lower)? else { break };
                self.report.untold_count += u64::from(number != start.number);
                level = seen.level;
                children.extend(seen.children);
                match (seen.right, stop) {
                    (Some((right, high)), Some(stop)) if right == stop.number => {
                        self.compare(number, &high, stop);
                    }
                    (None, Some(stop)) => {
                        self.problem(number, format!("no link leads on to {}", stop.number));
                    }
                    (right, _) => next = right,
                }
            }
        }
        Ok((level, children))
    }

    /// Looks at a node that begins at `lower`; none when there is no node, or it was looked at before.
    fn visit(
        &mut self,
        number: PageNumber,
        levels: &RangeInclusive<u8>,
        lower: &IndexKeyBuf,
    ) -> Result<Option<Seen>> {
        if !self.seen.insert(number) {
            self.problem(number, "a second link leads to it".to_string());
            return Ok(None);
        }
        let guard = match self.tree.read(number, levels) {
            Ok(guard) => guard,
            Err(Error::Damaged { place, what, .. }) => {
                self.report.problems.push(format!("{place}: {what}"));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let page = IndexPage::of_checked(guard.bytes());
        if page.high().is_some_and(|high| high <= lower.borrow()) {
            self.problem(number, format!("it begins at {lower:?} and ends at {:?}", page.high()));
        }
        let mut cursor = page.entries();
        let mut children = Vec::new();
        let mut is_first = true;
        while let Some(entry) = cursor.advance() {
            if is_first && entry.key < lower.borrow() {
                self.problem(number, format!("it begins at {lower:?} and has {:?}", entry.key));
            }
            is_first = false;
            self.report.entry_count += u64::from(page.level() == 0);
            let child = entry.child.map(|number| Named { number, lower: entry.key.to_buf() });
            children.extend(child);
        }
        if let Some(first) = children.first().filter(|first| first.lower > *lower) {
            self.problem(
                number,
                format!("it begins at {lower:?} and leads from {:?}", first.lower),
            );
        }
        let right = page.right().zip(page.high().map(|high| high.to_buf()));
        Ok(Some(Seen { level: page.level(), right, children }))
    }

    /// A link and the parent must agree where a node begins.
    fn compare(&mut self, left: PageNumber, high: &IndexKeyBuf, named: &Named) {
        if *high != named.lower {
            let what = format!("{left} ends at {high:?}, and by its parent it begins at");
            self.problem(named.number, format!("{what} {:?}", named.lower));
        }
    }

    fn problem(&mut self, number: PageNumber, what: String) {
        self.report.problems.push(format!("{number}: {what}"));
    }
}
