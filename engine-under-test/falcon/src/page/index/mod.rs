//! Index pages: nodes of a B-link tree, prefix-compressed and searched without decoding them.
//!
//! # Method
//!
//! ```text
//!  24      28      32      33  34        36        38       40         42  44
//! +-------+-------+-------+---+---------+---------+--------+----------+---+ - -
//! | index | right | level | 0 | entries | end of  | blocks | length   | 0 |
//! | u32   | u32   | u8    | 1 | u16     | entries | u16    | of high  | 2 |
//! +-------+-------+-------+---+---------+---------+--------+----------+---+ - -
//!  44
//! +--------------------------+---------------------+ - - +---------------------+
//! | high key, unless it is   | block 0, block 1, … | room| block index, down:  |
//! | the rightmost: record    |                     |     | offset u16,         |
//! | u64, key                 |                     |     | entry count u16     |
//! +--------------------------+---------------------+ - - +---------------------+
//!
//! entry: prefix | suffix length | suffix | record | child, if level > 0
//!        varint | varint        |        | varint | u32
//! ```
//!
//! An entry shares `prefix` bytes with the key before it; the first of a block shares none. A search is
//! therefore binary among the first entries of the blocks, where keys lie in full, and sequential within one
//! block of at most 16 entries. A change decodes one block, writes it anew and shifts what is behind.
//!
//! Entries are unique by key and record number, also in branches, so that equal keys of many records are
//! in order too. A child keeps what is from its entry on and before the next entry. The high key bounds
//! what may be in a page: whoever looks for more goes to the right sibling, where a split that
//! the parent does not know yet has put it.
//!
//! # Invariant
//!
//! Entries ascend strictly and lie below the high key. A page has a high key if and only if it has a right
//! sibling. A branch has at least one entry.

mod change;
mod cursor;
mod entry;
mod in_place;
mod node;
mod split;

pub use change::{IndexPageMut, InsertError};
pub use cursor::Cursor;
pub use entry::{IndexEntry, IndexKey, IndexKeyBuf};
pub use node::{INDEX_LEVEL_MAX, IndexId, IndexPage};
