//! The systems that are linked into this program, a module each.

mod asynchronous;
mod falconry;
mod shuttled;
mod tokio_paused;
mod turmoiled;

use falconry_peers::server::Round;
use falconry_peers::work::Work;

/// Does one round of a work; `None` when the system has nothing of the kind.
pub type Measure = fn(Work) -> Option<Round>;

/// Each system with its name in the table, in the order of the columns.
pub const LINKED: &[(&str, Measure)] = &[
    ("falconry", falconry::measure),
    ("tokio", tokio_paused::measure),
    ("shuttle", shuttled::measure),
    ("turmoil", turmoiled::measure),
];
