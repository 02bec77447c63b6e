//! The serial log: two files in turn, written in blocks, read back by place.
//!
//! # Method
//!
//! Records are appended by many threads and become durable together: what was appended while one block
//! is written and synced is the next block. The log goes on in the other file when this one has the size
//! that it wants and recovery needs nothing of the other any more; until then the file grows, up to a
//! bound, where appends wait.
//!
//! ```text
//! a file   | header | block | block | block …        each from an aligned place
//!
//! a block  byte 0..4    4..8     8..10   10..12  12..16         16..24    24..32  32..40
//!              "fBlk"   CRC-32C  format  zero    payload_bytes  database  epoch   number
//!               40..48  48..56          56..60               60..64  64..
//!               first   recovery_start  CRC of the one       zero    payload, and zeros
//!                                       before                       up to the alignment
//!
//! a record byte 0     1..5         5..
//!              kind   its length   its bytes
//! ```
//!
//! Numbers are little-endian. `first` is the place ([`Lsn`](crate::Lsn)) of the first byte of payload:
//! places count bytes of payload. `recovery_start` is what recovery must read from if this is the last
//! block. The checksum covers the number of the file (one byte), the offset of the block (eight), and
//! the whole block but for itself.
//!
//! Numbers of blocks are consecutive. Each opening begins a new epoch by stating the last block again,
//! under its own number. So the last block is the one with the highest number in the highest epoch; the
//! torn tail of an earlier life, or a block there that turns out whole after all, is of a lower epoch and
//! cannot come back.
//!
//! # The last block
//!
//! Every block but the last is known to have been whole, for the next one was begun after it was durable: if
//! it is not whole now that is damage, and an error. Of the last block nothing in the log tells. When it is not
//! whole it may be the torn rest of a write that nobody was told of, or have been durable and acknowledged
//! and rotten since: on the disk the two are the same, and it ends the log before it. So a commit in the very
//! last block is safe from a crash, and is not from a disk that damages that block before another one
//! follows. A database that was closed has nothing there that it needs; and where pages were written with
//! changes of such a block, copies of pages or the pages themselves tell that it was durable, and the damage is
//! an error.
//!
//! # What a device can forget
//!
//! A device that forgets durable writes may give back blocks as they were. One in the middle breaks the chain of
//! numbers and checksums, which is an error. If it forgets the last blocks, all of them from one on, the log ends
//! before: pages that were written since, their copies or what the cache knows of pages
//! ([`Versions`](crate::cache::Versions)) tell, as above. If these went back as well, everything is as it was at
//! an earlier time, and nobody can know.
//!
//! # Invariant
//!
//! A block is begun only when the one before it is durable, and overwritten only when a durable block
//! names a start of recovery behind it.

mod block;
mod config;
mod dump;
mod files;
mod open;
mod read;
mod record;
mod scan;
mod serial;
mod state;
mod tail;

pub use block::{BlockNumber, Epoch};
pub use config::LogConfig;
pub use dump::dump;
pub use open::LogTail;
pub use read::Records;
pub(crate) use record::HEADER_BYTES as RECORD_HEADER_BYTES;
pub use record::{Record, RecordKind};
pub use serial::Log;
pub use state::LogCounters;
