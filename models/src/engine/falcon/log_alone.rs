//! Falcon's serial log without the rest, as a store of pairs.
//!
//! # Method
//!
//! A commit is one record, and durable when the log says so; pairs live in memory and come back from the
//! records. When the log has come near its bound, or by upkeep, all pairs are written again, and recovery
//! starts there from then on: so the log goes from file to file. Records are appended under one lock, so that
//! the pairs in memory are those of the records so far; they are flushed without it, by many at once.
//!
//! # Invariant
//!
//! What the records from the start of recovery on say, in their order, is what is in memory.

use std::collections::BTreeMap;
use std::path::Path;

use falcon::log::{Log, LogConfig, Record, RecordKind};
use falcon::{Error, Lsn};
use falconry_seam::disk::Disk;
use falconry_seam::sync::{Mutex, MutexGuard, PoisonError};

use super::part::{self, Alone, Part, Writes};
use super::{failure, pick};
use crate::engine::{Database, EngineError, Pair};

/// Writes of one transaction, or some of all pairs again.
const WRITES: RecordKind = RecordKind(1);
/// A value of this length is none: the key goes.
const GONE: u32 = u32::MAX;
/// Which database the files are of.
const IDENTITY: u64 = 0xA10E;

fn names() -> [&'static Path; 2] {
    [Path::new("log.0"), Path::new("log.1")]
}

struct LogAlone {
    log: Log,
    /// The pairs that all records so far come to.
    pairs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

/// Opens the log, or creates it.
pub(super) fn open(disk: &dyn Disk, config: LogConfig) -> Result<Box<dyn Database>, EngineError> {
    if !part::is_complete(disk)? {
        part::remove(disk, &names())?;
        let log = Log::create(disk, names(), config, IDENTITY).map_err(failure)?;
        part::complete(disk)?;
        return Ok(Box::new(Alone(Box::new(LogAlone { log, pairs: Mutex::default() }))));
    }
    let (log, tail) = Log::open(disk, names(), config, IDENTITY).map_err(failure)?;
    let pairs = Mutex::new(replay(&log, tail.recovery_start)?);
    Ok(Box::new(Alone(Box::new(LogAlone { log, pairs }))))
}

/// What the records from `start` on come to.
fn replay(log: &Log, start: Lsn) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, EngineError> {
    let mut pairs = BTreeMap::new();
    for record in log.records(start) {
        apply(&mut pairs, decode(&record.map_err(failure)?)?);
    }
    Ok(pairs)
}

fn apply(pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>, writes: Writes) {
    for (key, value) in writes {
        match value {
            Some(value) => pairs.insert(key, value),
            None => pairs.remove(&key),
        };
    }
}

fn encode(writes: &Writes) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in writes {
        let length = value.as_ref().map_or(GONE, |value| value.len() as u32);
        bytes.extend((key.len() as u32).to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(key);
        bytes.extend(value.iter().flatten());
    }
    bytes
}

fn decode(record: &Record) -> Result<Writes, EngineError> {
    let mut writes = Writes::new();
    let mut rest = record.bytes();
    let short =
        || EngineError::Corrupt { what: format!("the record at {} ends early", record.lsn()) };
    let mut take = |bytes: usize| -> Result<Vec<u8>, EngineError> {
        let (taken, behind) = rest.split_at_checked(bytes).ok_or_else(short)?;
        rest = behind;
        Ok(taken.to_vec())
    };
    if record.kind() != WRITES {
        return Err(EngineError::Corrupt { what: format!("a record of kind {:?}", record.kind()) });
    }
    let mut left = record.bytes().len();
    while left > 0 {
        let mut number =
            || take(4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four")));
        let (key_bytes, value_bytes) = (number()?, number()?);
        let key = take(key_bytes as usize)?;
        let value = if value_bytes == GONE { None } else { Some(take(value_bytes as usize)?) };
        left -= 8 + key.len() + value.as_ref().map_or(0, Vec::len);
        writes.insert(key, value);
    }
    Ok(writes)
}

impl LogAlone {
    fn pairs(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all pairs again, so that nothing before is needed any more.
    fn begin_anew(&self, pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), EngineError> {
        let start = self.log.end();
        for (key, value) in pairs {
            let one = Writes::from([(key.clone(), Some(value.clone()))]);
            self.log.append_urgent(WRITES, &[&encode(&one)]).map_err(failure)?;
        }
        self.log.flush(self.log.end()).map_err(failure)?;
        self.log.set_recovery_start(start);
        Ok(())
    }
}

impl LogAlone {
    /// A record that was just appended is there, whether it is durable or not, and begins nowhere else. Nobody else
    /// appends meanwhile.
    fn read_back(&self, begin: Lsn, end: Lsn, bytes: &[u8]) -> Result<(), EngineError> {
        let found = self.log.read(begin).map_err(failure)?;
        let is_it = (found.lsn(), found.end(), found.kind()) == (begin, end, WRITES);
        let is_shown = format!("{found:?}").contains(&begin.to_string());
        if !is_it || !is_shown || found.bytes() != bytes {
            let what = format!("{found:?} was read, in place of {} bytes at {begin}", bytes.len());
            return Err(EngineError::Corrupt { what });
        }
        for nowhere in [Lsn(begin.0 + 1), end] {
            match self.log.read(nowhere) {
                Err(Error::NotInLog { lsn, end: told, .. }) if (lsn, told) == (nowhere, end) => {}
                Err(error @ (Error::Io { .. } | Error::Stopped(_))) => return Err(failure(error)),
                other => {
                    let what =
                        format!("no record begins at {nowhere}, and it is read as {other:?}");
                    return Err(EngineError::Corrupt { what });
                }
            }
        }
        Ok(())
    }

    /// A record that is too long is refused, and leaves nothing.
    fn refuse(&self, pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), EngineError> {
        let end = self.log.end();
        let bytes = self.log.record_bytes_max() + 1;
        match self.log.append(WRITES, &[&vec![0; bytes]]) {
            Err(Error::TooLong { bytes: told, .. }) if told == bytes && self.log.end() == end => {
                Ok(())
            }
            Err(error @ (Error::Io { .. } | Error::Stopped(_))) => Err(failure(error)),
            other => {
                let what = format!("{bytes} bytes beside {} pairs: {other:?}", pairs.len());
                Err(EngineError::Corrupt { what })
            }
        }
    }
}

impl Part for LogAlone {
    fn range(&self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let pairs = self.pairs();
        let behind = pairs.range(from.to_vec()..);
        let within = behind.take_while(|(key, _)| to.is_none_or(|to| key.as_slice() < to));
        Ok(within.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&self, writes: Writes) -> Result<(), EngineError> {
        let end = {
            let mut pairs = self.pairs();
            if self.log.used_bytes() * 3 > self.log.capacity_bytes() {
                self.begin_anew(&pairs)?;
            }
            let (begin, record) = (self.log.end(), encode(&writes));
            let end = self.log.append(WRITES, &[&record]).map_err(failure)?;
            apply(&mut pairs, writes);
            if pick("falcon/read_back", 4) == 3 {
                self.read_back(begin, end, &record)?;
            }
            end
        };
        self.log.flush(end).map_err(failure)
    }

    fn upkeep(&self) -> Result<(), EngineError> {
        let pairs = self.pairs();
        match pick("falcon/log_upkeep", 4) {
            3 => self.refuse(&pairs),
            _ => self.begin_anew(&pairs),
        }
    }

    fn check(&self) -> Result<(), EngineError> {
        let pairs = self.pairs();
        self.log.flush(self.log.end()).map_err(failure)?;
        let found = replay(&self.log, self.log.retained_from())?;
        if found == *pairs {
            return Ok(());
        }
        let what = format!("the records come to {} pairs, not to {}", found.len(), pairs.len());
        Err(EngineError::Corrupt { what })
    }

    fn close(self: Box<Self>) -> Result<(), EngineError> {
        self.log.flush(self.log.end()).map_err(failure)
    }
}
