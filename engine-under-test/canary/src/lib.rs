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
        record.extend(len(key)?.to_le_bytes());
        record.extend(value_len.to_le_bytes());
        record.extend(key);
        record.extend(value.as_deref().unwrap_or_default());
    }
    let payload_len = len(&record[8..])?;
    record[4..8].copy_from_slice(&payload_len.to_le_bytes());
    let crc = crc32(&record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
    Ok(record)
}

/// Makes the changes of the first record of `log` and says what follows it; nothing when it is torn or
/// damaged.
fn redo<'a>(content: &mut Content, mut log: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, body, len) = (take_u32(&mut log)?, log, take_u32(&mut log)?);
    let mut payload = take(&mut log, len)?;
    let whole = crc32(&body[..body.len() - log.len()]) == crc;
    while whole && !payload.is_empty() {
        let (key_len, value_len) = (take_u32(&mut payload)?, take_u32(&mut payload)?);
        let key = take(&mut payload, key_len)?;
        if value_len == DELETED {
            content.remove(key);
        } else {
            content.insert(key.to_vec(), take(&mut payload, value_len)?.to_vec());
        }
    }
    whole.then_some(log)
}

fn take<'a>(bytes: &mut &'a [u8], len: u32) -> Option<&'a [u8]> {
    bytes.split_off(..len as usize)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes, 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

/// CRC-32 as zlib computes it, eight bytes at a time.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLES: [[u32; 256]; 8] = crc_tables();
    let (words, rest) = bytes.as_chunks();
    let crc = words.iter().fold(!0, |crc, word| {
        let word = u64::from_le_bytes(*word) ^ u64::from(crc);
        (0..8).fold(0, |crc, at| crc ^ TABLES[7 - at][(word >> (8 * at)) as usize & 0xff])
    });
    !rest.iter().fold(crc, |crc, byte| crc >> 8 ^ TABLES[0][(crc as u8 ^ byte) as usize])
}

/// What a byte adds to the sum, by how many bytes follow it in its word.
const fn crc_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut at = 0;
    while at < 8 * 256 {
        let (table, index) = (at / 256, at % 256);
        let mut crc = if table == 0 { index as u32 } else { tables[table - 1][index] };
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        tables[table][index] = crc;
        at += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sum_is_that_of_zlib() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::crc32(b"abc"), 0x3524_41c2);
    }
}
