//! Every byte of a whole database is damaged, one at a time, and the database is opened and read.
//!
//! # Method
//!
//! The files are those of [`sample`]: closed; left by a crash, with transactions that are only in the log; and
//! left by one within a checkpoint, when pages are ahead of what the log says of them, and one of them is torn.
//! Of each byte one bit is flipped, another one from byte to byte; a coarser sweep clears bytes and sets all
//! their bits. Then the database is opened and all rows are read, by each table and each index both ways; at
//! every 64th byte its structure is looked at too, and it is closed.
//!
//! # Invariant
//!
//! The answer is the same, or there is an error that names file and place; never another answer. What is refused
//! can be opened when the damage is mended: no byte of a file was changed but as the documentation of
//! [`Database::open`](falcon::Database::open) says. Of the log's last block alone a damaged byte is as one that
//! was never written: it ends the log before it, unless a page tells that there was more.

mod outcome;
mod refusal;
mod sweep;

#[path = "../image_disk/mod.rs"]
mod image_disk;
#[path = "../log_tail/mod.rs"]
mod log_tail;
#[path = "../sample/mod.rs"]
mod sample;
