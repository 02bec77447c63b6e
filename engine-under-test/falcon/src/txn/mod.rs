//! Transactions and tables, as clients see them.
//!
//! # Method
//!
//! A transaction keeps what it writes in memory and locks whatever it reads or writes, strictly in two
//! phases. What is committed lies on pages, or is locked by the transaction whose gopher brings it there: so
//! a lock that is granted makes the pages tell the truth about what it names. Own writes are laid over what
//! the pages have. A commit writes the rows to the log and is done when that is durable; the locks stay until
//! a gopher has brought the rows to pages.
//!
//! | call                                    | table | key    | record |
//! |-----------------------------------------|-------|--------|--------|
//! | `read`                                  | IS    |        | S      |
//! | `get` by a unique key that a row has    | IS    |        | S      |
//! | `get` by one that no row has            | IS    | S      |        |
//! | `get_for_update` by one that a row has  | IX    |        | X      |
//! | `get_for_update` by one that none has   | IX    | X      |        |
//! | `get` otherwise, `range`, `scan`        | S     |        |        |
//! | `get_for_update` otherwise              | SIX   |        | X      |
//! | `insert`, `update`, `delete`            | IX    | X      | X      |
//!
//! A key is unique when its index is and none of its columns is null. A writer locks those that its row gets
//! or loses. A lock on the table that says as much as the others makes them needless.
//!
//! # Invariant
//!
//! Transactions are serializable, and no page changes before the transaction that changes it is durable.

mod commit;
mod fetch;
mod locks;
mod new_row;
mod range;
mod read;
mod scan;
mod shortcuts;
mod span;
mod table;
mod transaction;
mod write;
mod writes;

pub(crate) use commit::commit_changes;
pub use range::Range;
pub use scan::Scan;
pub(crate) use shortcuts::Shortcuts;
pub use table::{Index, Row, Table};
pub use transaction::Transaction;
pub(crate) use write::{look_for_numbers, new_number};
