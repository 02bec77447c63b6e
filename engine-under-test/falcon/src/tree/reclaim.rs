//! A dropped index is freed, step by step.
//!
//! # Method
//!
//! Each step goes down to the first leaf, and frees it with the branches above it that lead to nothing else.
//! What comes next on each of these levels is led to by the nodes that stay: by the parent, or by the first
//! node right of it. Where a crash has kept the parent from learning of it, the parent is made to lead to it
//! alone: all that is right of it can be reached from there. The root is the last, and goes with the index's
//! place among the roots.
//!
//! # Invariant
//!
//! After a step all nodes that are in use can be reached from the root, and each page of it is a good one.

use falconry_seam::reachable;

use super::handle::root_slot;
use crate::page::index::{IndexId, IndexKeyBuf, IndexPage, IndexPageMut};
use crate::page::{PageKind, SectionPage, clear_seal};
use crate::store::Store;
use crate::store::format::INDEX_ROOTS;
use crate::store::op::PageOp;
use crate::{PageId, PageNumber, Result, TablespaceId};

/// Leaves that a step frees at most.
const LEAVES_MAX: usize = 16;

/// What a step looks at of a node.
struct Node {
    number: PageNumber,
    level: u8,
    right: Option<PageNumber>,
    /// Of a branch, its entries with their children.
    children: Vec<(IndexKeyBuf, PageNumber)>,
}

/// What a step does.
struct Plan {
    /// The nodes that go.
    freed: Vec<PageNumber>,
    /// The branch that loses its first entries; none when the whole tree goes.
    parent: Option<PageNumber>,
    /// These entries.
    lost: Vec<IndexKeyBuf>,
    /// The child that it leads to from now on, if it loses all.
    only: Option<PageNumber>,
}

/// Takes a step, which nobody else does who knows the index. Returns how many pages are free now; none when
/// the index is gone.
///
/// # Errors
///
/// Those of the store. If anything was changed by a step that failed, the engine has stopped.
pub fn reclaim(store: &Store, tablespace: TablespaceId, index: IndexId) -> Result<u64> {
    let roots = PageId { tablespace, number: INDEX_ROOTS };
    let (slot, root) = {
        let page = store.read(roots, PageKind::Section)?;
        let page = SectionPage::of_checked(page.bytes());
        let slot = root_slot(store, roots, page, index)?;
        (slot, page.child(slot))
    };
    let Some(root) = root else { return Ok(0) };
    let nodes = Nodes { store, tablespace, index };
    let plan = nodes.plan(root)?;
    let mut change = store.change();
    match plan.parent {
        None => {
            let roots = change.page(roots, PageKind::Section)?;
            change.apply(roots, &PageOp::SetChild { slot, child: None })?;
        }
        Some(parent) => {
            let parent = change.page(nodes.id(parent), PageKind::Index)?;
            if let Some(only) = plan.only {
                let mut image = change.bytes(parent).to_vec();
                IndexPageMut::of_checked(&mut image).lead_only_to(only);
                clear_seal(&mut image);
                change.apply(parent, &PageOp::Image(image.into()))?;
            }
            for lost in plan.lost {
                let (key, record) = (lost.key.into(), lost.record);
                change.apply(parent, &PageOp::DeleteEntry { key, record })?;
            }
        }
    }
    for number in &plan.freed {
        change.free(nodes.id(*number))?;
    }
    change.commit()?;
    Ok(plan.freed.len() as u64)
}

/// The nodes of the index.
struct Nodes<'a> {
    store: &'a Store,
    tablespace: TablespaceId,
    index: IndexId,
}

impl Nodes<'_> {
    fn plan(&self, root: PageNumber) -> Result<Plan> {
        let mut path = vec![self.read(root)?];
        while let Some((_, child)) = path.last().and_then(|node| node.children.first()) {
            let level = path.last().map_or(0, |node| node.level);
            let child = self.read(*child)?;
            if child.level + 1 != level {
                let what = format!("a node of level {}, below one of level {level}", child.level);
                return Err(self.damaged(child.number, what));
            }
            path.push(child);
        }
        let mut freed = Vec::new();
        while let Some(node) = path.pop() {
            freed.push(node.number);
            let Some(parent) = path.last() else { break };
            if freed.len() == 1
                && let Some(plan) = self.leaves(parent, &node)?
            {
                return Ok(plan);
            }
            if let Some(plan) = self.above(parent, &node, &freed)? {
                return Ok(plan);
            }
        }
        Ok(Plan { freed, parent: None, lost: Vec::new(), only: None })
    }

    /// The first leaves of a branch that each lead to the next one by their links as the branch does, but for
    /// the last of it; none when it begins otherwise.
    fn leaves(&self, parent: &Node, first: &Node) -> Result<Option<Plan>> {
        let mut right = first.right;
        let (mut lost, mut freed) = (Vec::new(), Vec::new());
        for pair in parent.children.windows(2).take(LEAVES_MAX) {
            let [(key, child), (_, next)] = pair else { break };
            if right != Some(*next) {
                break;
            }
            lost.push(key.clone());
            freed.push(*child);
            if freed.len() < LEAVES_MAX {
                right = self.read(*next)?.right;
            }
        }
        let plan = Plan { freed, parent: Some(parent.number), lost, only: None };
        Ok(Some(plan).filter(|plan| !plan.freed.is_empty()))
    }

    /// What becomes of the parent of a node that goes with those in `freed`; none when it goes as well.
    fn above(&self, parent: &Node, node: &Node, freed: &[PageNumber]) -> Result<Option<Plan>> {
        let next = match (parent.children.get(1), parent.right) {
            (Some((_, next)), _) => Some(*next),
            (None, Some(right)) => self.read(right)?.children.first().map(|(_, child)| *child),
            (None, None) => None,
        };
        let only = node.right.filter(|right| next != Some(*right));
        let is_last = parent.children.len() == 1;
        let lost = match (only, is_last) {
            (None, true) => return Ok(None),
            (None, false) => vec![parent.children[0].0.clone()],
            (Some(_), _) => {
                reachable!("reclaim/a parent did not know of a node");
                Vec::new()
            }
        };
        Ok(Some(Plan { freed: freed.to_vec(), parent: Some(parent.number), lost, only }))
    }

    fn read(&self, number: PageNumber) -> Result<Node> {
        let guard = self.store.read(self.id(number), PageKind::Index)?;
        let page = IndexPage::of_checked(guard.bytes());
        if page.index() != self.index {
            return Err(self.damaged(number, format!("a node of index {}", page.index().0)));
        }
        let mut children = Vec::new();
        let mut cursor = page.entries();
        while page.level() > 0
            && let Some(entry) = cursor.advance()
        {
            children.extend(entry.child.map(|child| (entry.key.to_buf(), child)));
        }
        Ok(Node { number, level: page.level(), right: page.right(), children })
    }

    fn id(&self, number: PageNumber) -> PageId {
        PageId { tablespace: self.tablespace, number }
    }

    fn damaged(&self, number: PageNumber, what: String) -> crate::Error {
        self.store.damaged(self.id(number), format!("index {}: {what}", self.index.0))
    }
}
