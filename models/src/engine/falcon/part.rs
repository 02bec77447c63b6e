//! What the parts of Falcon that run alone have in common.
//!
//! # Method
//!
//! A part keeps pairs by lanes: each client has keys of its own, so that clients meet in the part and nowhere
//! else. A transaction keeps its writes in memory and hands them to the part when it commits. A folder has a
//! part when its last file is there, whose name is durable.
//!
//! # Invariant
//!
//! What is read is what was committed before, with the own writes over it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use falconry_seam::disk::{Disk, OpenOptions};

use crate::engine::{Access, Database, EngineError, Pair, Promise, Transaction};

/// The file that says that the creation was completed.
const COMPLETE: &str = "complete";

/// Keys and what becomes of them.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A part.
pub(super) trait Part: Send + Sync {
    /// The pairs with `from <= key`, and `key < to` unless that is `None`, in order.
    fn range(&self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError>;

    /// Makes writes of one lane durable, all or none.
    fn commit(&self, writes: Writes) -> Result<(), EngineError>;

    /// Does what the part does beside commits.
    fn upkeep(&self) -> Result<(), EngineError>;

    /// Compares what is in memory with what is on the disk, and looks for what nobody has given back.
    fn check(&self) -> Result<(), EngineError>;

    /// Ends it; everything committed is durable.
    fn close(self: Box<Self>) -> Result<(), EngineError>;
}

/// Whether the folder has a part that was created as a whole.
pub(super) fn is_complete(disk: &dyn Disk) -> io::Result<bool> {
    disk.exists(Path::new(COMPLETE))
}

/// The creation is complete: all files are durable, and so are their names, before anything says so.
pub(super) fn complete(disk: &dyn Disk) -> io::Result<()> {
    disk.sync_dir(Path::new(""))?;
    disk.open(Path::new(COMPLETE), &OpenOptions::CREATE)?.sync_all()?;
    disk.sync_dir(Path::new(""))
}

/// Removes what an unfinished creation has left of these.
pub(super) fn remove(disk: &dyn Disk, names: &[&Path]) -> io::Result<()> {
    for name in names {
        match disk.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A part as a database.
pub(super) struct Alone(pub(super) Box<dyn Part>);

impl Database for Alone {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        Ok(Box::new(AloneTransaction { part: &*self.0, access, writes: Writes::new() }))
    }

    fn upkeep(&self) -> Result<(), EngineError> {
        self.0.upkeep()
    }

    fn check(&mut self) -> Result<(), EngineError> {
        self.0.check()
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        self.0.close()?;
        Ok(Promise::Durable)
    }
}

struct AloneTransaction<'a> {
    part: &'a dyn Part,
    access: Access,
    writes: Writes,
}

impl AloneTransaction<'_> {
    fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        if self.access == Access::Read {
            return Err(EngineError::Refused { what: "the transaction only reads".into() });
        }
        self.writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        Ok(())
    }
}

impl Transaction for AloneTransaction<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        if let Some(own) = self.writes.get(key) {
            return Ok(own.clone());
        }
        let behind = [key, &[0]].concat();
        let found = self.part.range(key, Some(&behind))?;
        Ok(found.into_iter().next().map(|(_, value)| value))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.write(key, Some(value))
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.write(key, None)
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let mut pairs: BTreeMap<Vec<u8>, Vec<u8>> =
            self.part.range(from, to)?.into_iter().collect();
        let is_in = |key: &[u8]| from <= key && to.is_none_or(|to| key < to);
        for (key, value) in self.writes.iter().filter(|(key, _)| is_in(key)) {
            match value {
                Some(value) => pairs.insert(key.clone(), value.clone()),
                None => pairs.remove(key),
            };
        }
        Ok(pairs.into_iter().collect())
    }

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        if !self.writes.is_empty() {
            self.part.commit(self.writes)?;
        }
        Ok(Promise::Durable)
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        Ok(())
    }
}
