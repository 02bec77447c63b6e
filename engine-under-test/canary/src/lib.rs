//! A naive key-value file with a known bug, which every swarm must convict.
//!
//! # Method
//!
//! A log of committed batches: CRC-32, length, changes. Opening replays it and cuts off a torn tail.
//! The bug: a commit is acknowledged once its record is written, and only each n-th is synced.
//!
//! # Invariant
//!
//! The log up to `tail` is what the content was built from.

#![deny(missing_docs)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, LockKind, OpenOptions};

mod record;

use record::{encode, redo};

/// Keys and their values.
pub type Content = BTreeMap<Vec<u8>, Vec<u8>>;
/// Changes that are made together or not at all: keys, each with its new value or none.
pub type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An open store. Readers share it; a commit needs it alone.
pub struct Canary {
    log: Arc<dyn File>,
    content: Content,
    tail: u64,
    unsynced: u32,
    sync_every: u32,
    failed: bool,
}

impl Canary {
    /// Opens the log at `path`, or creates it. One commit in `sync_every` will be synced.
    pub fn open(disk: &dyn Disk, path: &Path, sync_every: u32) -> io::Result<Canary> {
        let log = disk.open(path, &OpenOptions::CREATE)?;
        if !log.try_lock(LockKind::Exclusive)? {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the log is open elsewhere"));
        }
        disk.sync_dir(path.parent().unwrap_or(Path::new("")))?;
        let (content, tail) = replay(&*log)?;
        log.set_len(tail)?;
        log.sync_data()?;
        Ok(Canary { log, content, tail, unsynced: 0, sync_every, failed: false })
    }

    /// All there is to read: `get` and `range` are the map's own.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Makes the changes. After an error the store takes no more commits: open it again.
    pub fn commit(&mut self, batch: Batch) -> io::Result<()> {
        let record = encode(&batch)?;
        if std::mem::replace(&mut self.failed, true) {
            return Err(io::Error::other("an earlier commit failed; open the log again"));
        }
        self.log.write_all_at(&record, self.tail)?;
        self.tail += record.len() as u64;
        self.unsynced += 1;
        if self.unsynced >= self.sync_every {
            self.sync()?;
        }
        apply(&mut self.content, batch);
        self.failed = false;
        Ok(())
    }

    /// Makes all commits so far durable; a store is closed after it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        self.log.sync_data()
    }

    /// Whether the log still tells what memory holds.
    pub fn check(&self) -> io::Result<bool> {
        let (content, tail) = replay(&*self.log)?;
        Ok(content == self.content && tail == self.tail)
    }
}

/// Reads whole records to the first that is not; says what they make and where they end.
fn replay(log: &dyn File) -> io::Result<(Content, u64)> {
    let mut bytes = vec![0; log.len()? as usize];
    log.read_exact_at(&mut bytes, 0)?;
    let (mut content, mut rest) = (Content::new(), &bytes[..]);
    while let Some(after) = redo(&mut content, rest) {
        rest = after;
    }
    Ok((content, (bytes.len() - rest.len()) as u64))
}

fn apply(content: &mut Content, batch: Batch) {
    for (key, value) in batch {
        content.remove(&key);
        content.extend(value.map(|value| (key, value)));
    }
}
