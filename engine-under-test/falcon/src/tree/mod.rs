//! The trees of indexes: entries in order, found, scanned, inserted and deleted by many threads at once.
//!
//! # Method
//!
//! A B-link tree (Lehman and Yao, 1981; Lanin and Shasha, 1986): each node leads to its right sibling and
//! knows the bound of what it keeps, so that whoever comes to a node that was split meanwhile goes right.
//! A descent therefore holds one latch at a time. A split is one [change](crate::store::Change) of both
//! halves; the parent learns of the new node by a change of its own, and until then, or for ever if a crash
//! comes between, the node is reached from the left. Whoever inserts and has to go right tells the parent
//! again.
//!
//! The root keeps its page: when it is full, what it holds moves to a new node below it. Nodes are never
//! merged, nor freed alone: a leaf whose entries are all deleted stays, for those to come. An index that was
//! dropped is freed leaf by leaf from the left, with the branches that have no child left.
//!
//! # Invariant
//!
//! What a node keeps begins where it began when the node was made; its end only moves left, by a split.
//! So a place that was once to the right of a node, or below it, stays there.

mod change;
mod create;
mod descend;
mod handle;
mod node;
mod reclaim;
mod scan;
mod verify;

pub use create::create;
pub use handle::Tree;
pub use reclaim::reclaim;
pub use scan::{Direction, Scan};
pub use verify::TreeReport;
