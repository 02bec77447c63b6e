//! The canary: an engine with a known bug, which every swarm must convict.
//!
//! # Method
//!
//! It promises that each commit is durable, and syncs only each n-th. Readers share the store, a writer
//! has it alone; all wait in one lock of the seam.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use falconry_canary::{Batch, Canary};
use falconry_seam::disk::Disk;
use falconry_seam::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{
    Access, Contract, Database, Engine, EngineError, Pair, Promise, Settings, SettingsDraw,
    Transaction,
};
use crate::run::CaseError;

const FILE: &str = "canary.log";

/// The canary.
pub struct CanaryEngine;

impl Engine for CanaryEngine {
    fn name(&self) -> &str {
        "canary"
    }

    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError> {
        let sync_every = settings.number("sync_every") as u32;
        let canary = Canary::open(&*disk, Path::new(FILE), sync_every)?;
        Ok(Box::new(Store { canary: RwLock::new(canary) }))
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        // With 1, which is for whoever asks for it, the canary has no bug.
        draw.word("sync_every", &[("3", 2), ("2", 2), ("8", 2), ("100", 1), ("1", 0)])?;
        Ok(Contract::Durable)
    }

    fn syncs(&self, settings: &Settings, commits: u64) -> u64 {
        1 + commits / settings.number("sync_every")
    }

    fn is_canary(&self) -> bool {
        true
    }
}

struct Store {
    canary: RwLock<Canary>,
}

impl Database for Store {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let hold = match access {
            Access::Read => Hold::Read(self.canary.read().map_err(poisoned)?),
            Access::Write => Hold::Write(self.canary.write().map_err(poisoned)?),
        };
        Ok(Box::new(StoreTransaction { hold, batch: Batch::new() }))
    }

    fn check(&mut self) -> Result<(), EngineError> {
        if self.canary.read().map_err(poisoned)?.check()? {
            return Ok(());
        }
        Err(EngineError::Corrupt { what: "the log does not tell what memory holds".into() })
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        self.canary.write().map_err(poisoned)?.sync()?;
        Ok(Promise::Durable)
    }
}

enum Hold<'a> {
    Read(RwLockReadGuard<'a, Canary>),
    Write(RwLockWriteGuard<'a, Canary>),
}

struct StoreTransaction<'a> {
    hold: Hold<'a>,
    /// What the transaction wrote so far.
    batch: Batch,
}

impl StoreTransaction<'_> {
    fn canary(&self) -> &Canary {
        match &self.hold {
            Hold::Read(canary) => canary,
            Hold::Write(canary) => canary,
        }
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        if matches!(self.hold, Hold::Read(_)) {
            return Err(EngineError::Refused { what: "a write in a read transaction".into() });
        }
        self.batch.insert(key.into(), value.map(<[u8]>::to_vec));
        Ok(())
    }
}

impl Transaction for StoreTransaction<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let own = self.batch.get(key).cloned();
        Ok(own.unwrap_or_else(|| self.canary().content().get(key).cloned()))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.write(key, Some(value))
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.write(key, None)
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let within = |key: &[u8]| key >= from && to.is_none_or(|to| key < to);
        let committed = self.canary().content();
        let committed = committed.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let committed = committed.take_while(|(key, _)| within(key));
        if self.batch.is_empty() {
            return Ok(committed.map(|(key, value)| (key.clone(), value.clone())).collect());
        }
        let committed = committed.map(|(key, value)| (key.clone(), Some(value.clone())));
        let own = self.batch.iter().filter(|(key, _)| within(key));
        let own = own.map(|(key, value)| (key.clone(), value.clone()));
        // The later of two entries for a key stays: the transaction's own.
        let merged: Batch = committed.chain(own).collect();
        Ok(merged.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        let StoreTransaction { hold, batch } = *self;
        if let Hold::Write(mut canary) = hold
            && !batch.is_empty()
        {
            canary.commit(batch)?;
        }
        Ok(Promise::Durable)
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        Ok(())
    }
}

/// A client panicked while it had the store.
fn poisoned<T>(_: PoisonError<T>) -> EngineError {
    EngineError::Stopped { what: "a client panicked in a call of the canary".into() }
}
