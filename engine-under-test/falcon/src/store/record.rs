//! The kinds of record that the engine writes to the log.
//!
//! # Method
//!
//! | kind | name        | content                                        | recovery                           |
//! |------|-------------|------------------------------------------------|------------------------------------|
//! | 1    | page change | pages and their operations ([`super::code`])   | phase 1 counts incarnations, 2 redoes |
//! | 2    | rows        | transaction, rows of it, raises of sequences   | phase 1 notes it, 3 applies it     |
//! | 3    | commit      | transaction, its last rows and raises          | phase 1: the transaction is committed |
//! | 4    | applied     | transaction: its rows are on pages             | phase 1: phase 3 has nothing to do |
//! | 5    | checkpoint  | the number of the next transaction, the place  | phase 1: numbers go on behind it,  |
//! |      | of earlier  | in the log where the checkpoint began          | phase 2 redoes what is behind it   |
//! |      | Falcons     |                                                |                                    |
//! | 6    | checkpoint  | the same, and the seal of the file `versions`: | the same, and the file is compared |
//! |      |             | number and sum of its last save                | with the last of these             |
//!
//! ```text
//! a checkpoint  byte 0..8  8..16     16..24  24..32
//!                    next  begun at  save    sum     the last two in kind 6 alone; all little-endian
//! ```
//!
//! What makes and drops tables and sequences is rows of the catalogue. The pages of a dropped table are freed by page
//! changes, any number of them, before the commit of the transaction that deletes its row there.
//!
//! # Invariant
//!
//! A kind keeps its number and its meaning; a new meaning is a new kind.

use crate::log::RecordKind;

/// Operations on pages.
pub const PAGE_CHANGE: RecordKind = RecordKind(1);
/// Rows of a transaction that has more than one record holds.
pub const ROWS: RecordKind = RecordKind(2);
/// The end of a transaction, with its last rows.
pub const COMMIT: RecordKind = RecordKind(3);
/// The rows of a transaction are on pages.
pub const APPLIED: RecordKind = RecordKind(4);
/// A checkpoint as earlier Falcons wrote it: without a seal.
pub const UNSEALED_CHECKPOINT: RecordKind = RecordKind(5);
/// Pages were made durable, with all that the log had where this began; transactions go on with this number, and
/// so much was saved of how new pages are.
pub const CHECKPOINT: RecordKind = RecordKind(6);
