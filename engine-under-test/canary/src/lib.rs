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

/// The length that stands for no value: the key is deleted.
const DELETED: u32 = u32::MAX;

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

fn encode(batch: &Batch) -> io::Result<Vec<u8>> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
    let mut record = vec![0; 8];
    for (key, value) in batch {
        let value_len = value.as_ref().map_or(Ok(DELETED), |value| len(value))?;
        record.extend([len(key)?.to_le_bytes(), value_len.to_le_bytes()].as_flattened());
        record.extend(key.iter().chain(value.as_deref().unwrap_or_default()));
    }
    let payload_len = len(&record[8..])?;
    record[4..8].copy_from_slice(&payload_len.to_le_bytes());
    let crc = crc32fast::hash(&record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
    Ok(record)
}

/// Makes the changes of the first record of `log` and returns what follows it; nothing when it is torn
/// or damaged.
fn redo<'a>(content: &mut Content, mut log: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, body, len) = (take_u32(&mut log)?, log, take_u32(&mut log)?);
    let mut payload = log.split_off(..len as usize)?;
    let whole = crc32fast::hash(&body[..4 + payload.len()]) == crc;
    while whole && !payload.is_empty() {
        let (key_len, value_len) = (take_u32(&mut payload)?, take_u32(&mut payload)?);
        let key = payload.split_off(..key_len as usize)?;
        if value_len == DELETED {
            content.remove(key);
        } else {
            content.insert(key.to_vec(), payload.split_off(..value_len as usize)?.to_vec());
        }
    }
    whole.then_some(log)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    bytes.split_off(..4)?.try_into().ok().map(u32::from_le_bytes)
}
