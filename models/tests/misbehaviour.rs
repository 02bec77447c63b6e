//! An engine that breaks one promise is convicted of that one: whatever a judge knows must reach it.
//!
//! # Method
//!
//! The engine below is the canary without its bug, but for one vice a test.

use std::sync::Arc;

use falconry::engine::{
    self, Access, Contract, Database, Engine, EngineError, Pair, Promise, Settings, SettingsDraw,
    Transaction,
};
use falconry::oracle::history::HEAD_KEY;
use falconry::run::{CaseError, Finding, Property, Wishes, properties, run_with};
use falconry::scenario;
use falconry_seam::disk::Disk;

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vice {
    None,
    /// Its check of itself fails.
    Corrupt,
    /// No write transaction ever begins.
    AlwaysBusy,
    /// It says that closing made everything durable, and synced nothing.
    ClosesWithoutSync,
    /// A commit says that nothing happened, and happened.
    CommitsAndIsBusy,
    /// A read transaction stands on the empty database.
    OldSnapshot,
    /// A read returns another byte.
    WrongByte,
    /// A scan leaves its last record out.
    ShortScan,
}

struct Bent(Vice);

struct Opened {
    inner: Box<dyn Database>,
    vice: Vice,
}

struct Hand<'a> {
    inner: Box<dyn Transaction + 'a>,
    vice: Vice,
    access: Access,
}

impl Engine for Bent {
    fn name(&self) -> &str {
        "bent"
    }

    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError> {
        let inner = engine::find("canary").expect("it is built in").open(disk, settings)?;
        Ok(Box::new(Opened { inner, vice: self.0 }))
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        if self.0 == Vice::ClosesWithoutSync {
            draw.word("sync_every", &[("1000000", 1)])?;
            return Ok(Contract::Prefix);
        }
        draw.word("sync_every", &[("1", 1)])?;
        Ok(Contract::Durable)
    }
}

impl Database for Opened {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        if self.vice == Vice::AlwaysBusy && access == Access::Write {
            return Err(EngineError::Busy);
        }
        Ok(Box::new(Hand { inner: self.inner.begin(access)?, vice: self.vice, access }))
    }

    fn check(&mut self) -> Result<(), EngineError> {
        match self.vice {
            Vice::Corrupt => Err(EngineError::Corrupt { what: "a page".into() }),
            _ => self.inner.check(),
        }
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        match self.vice {
            Vice::ClosesWithoutSync => Ok(Promise::Durable),
            _ => self.inner.close(),
        }
    }
}

impl Transaction for Hand<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let mut value = self.inner.get(key)?;
        if self.vice == Vice::OldSnapshot && self.access == Access::Read {
            return Ok(None);
        }
        if let Some(value) = &mut value
            && self.vice == Vice::WrongByte
            && key != HEAD_KEY
        {
            value[0] ^= 1;
        }
        Ok(value)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.inner.put(key, value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.inner.delete(key)
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let mut found = self.inner.range(from, to)?;
        // What is looked at after a crash is whole.
        let is_of_a_client = !from.is_empty();
        match (self.vice, self.access) {
            (Vice::ShortScan, _) if is_of_a_client => drop(found.pop()),
            (Vice::OldSnapshot, Access::Read) if is_of_a_client => found.clear(),
            _ => {}
        }
        Ok(found)
    }

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        let promise = self.inner.commit()?;
        match (self.vice, self.access) {
            (Vice::CommitsAndIsBusy, Access::Write) => Err(EngineError::Busy),
            (Vice::ClosesWithoutSync, _) => Ok(Promise::Later),
            _ => Ok(promise),
        }
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        self.inner.rollback()
    }
}

/// The first finding of each of 100 seeds.
fn findings(vice: Vice, name: &str) -> Vec<Finding> {
    let scenario = scenario::find(name).expect("a scenario that is built in");
    let first = |seed| {
        let case = properties::plain("bent", name, seed);
        let outcome = run_with(&Bent(vice), &scenario, &case, &Wishes::default());
        outcome.unwrap_or_else(|error| panic!("{error}")).findings.into_iter().next()
    };
    (0..100).filter_map(first).collect()
}

/// Every finding is of that property, and there are some.
fn is_convicted_of(vice: Vice, name: &str, property: Property) {
    let found = findings(vice, name);
    assert!(!found.is_empty(), "{vice:?} in {name}: nothing in 100 seeds");
    let other = found.iter().find(|finding| finding.property != property);
    assert_eq!(other, None, "{vice:?} in {name}");
}

#[test]
fn without_a_vice_it_is_not_convicted() {
    for name in ["kv/bank", "kv/counter", "kv/ledger", "kv/range"] {
        assert_eq!(findings(Vice::None, name), [], "{name}");
    }
}

#[test]
fn what_it_says_of_itself_counts() {
    is_convicted_of(Vice::Corrupt, "kv/ledger", Property::Integrity);
}

#[test]
fn an_engine_that_stays_busy_is_not_live() {
    let found = findings(Vice::AlwaysBusy, "kv/ledger");
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|finding| finding.property == Property::Liveness), "{found:?}");
}

#[test]
fn what_a_close_promised_is_held_against_it_at_once_and_later() {
    let found = findings(Vice::ClosesWithoutSync, "kv/ledger");
    let of = |property| found.iter().filter(|finding| finding.property == property).count();
    assert!(of(Property::CleanShutdown) > 0, "{found:?}");
    // A power loss in the boot after it, before anything was looked at.
    assert!(of(Property::Durability) > 0, "{found:?}");
    assert_eq!(of(Property::CleanShutdown) + of(Property::Durability), found.len(), "{found:?}");
}

#[test]
fn a_commit_that_was_denied_must_not_have_happened() {
    is_convicted_of(Vice::CommitsAndIsBusy, "kv/counter", Property::Atomicity);
}

#[test]
fn every_read_of_a_transaction_is_judged() {
    is_convicted_of(Vice::OldSnapshot, "kv/ledger", Property::Model);
    is_convicted_of(Vice::WrongByte, "kv/bank", Property::Model);
    is_convicted_of(Vice::ShortScan, "kv/ledger", Property::Model);
}
