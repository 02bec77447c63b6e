//! Tiny engines and programs with one documented bug each: what the testbed measures itself by.
//!
//! # Method
//!
//! Each specimen is at most a hundred lines on the seam. Its bug is switched on by `planted!` with the
//! specimen's own name; without it runs the mended twin, whose conviction would be a false alarm.
//! `crate::run` runs specimens as it runs engines, so that every verb knows them: engine `specimen`,
//! scenario `specimen/NAME`, `--plant NAME`.
//!
//! # Invariant
//!
//! No two have the same mechanism. A specimen knows nothing of the machine: it sees a disk and the
//! seam.

mod concurrency;
mod model;
mod storage;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use falconry_seam::disk::Disk;
use falconry_sim::fault::{Fault, FaultSet, When};

use crate::scenario::{Bounds, Ends, Scenario, Span, Workload, WorkloadKind};

pub(crate) use model::Model;

/// The name under which specimens are run, beside those of engines.
pub const ENGINE: &str = "specimen";

/// The group of their scenarios.
const GROUP: &str = "specimen/";

/// A program that has not ended by then has no end.
const STEPS_MAX: u64 = 40_000;

/// Keys of a store: `0..KEYS`.
pub const KEYS: u8 = 6;

/// A tiny program with one documented bug, and its mended twin.
#[derive(Clone, Copy, Debug)]
pub struct Specimen {
    /// Its name, which is also the name of its bug for `planted!`.
    pub name: &'static str,
    /// What kind of program it is.
    pub family: Family,
    /// The class of bugs it stands for, and where that class was described.
    pub source: &'static str,
    /// What is wrong, in one sentence.
    pub bug: &'static str,
    /// Faults that both twins must survive besides the loss of power, at these rates in millionths.
    pub faults: &'static [(Fault, u32)],
    /// The program.
    pub body: Body,
}

/// What kind of program a specimen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// It keeps records on a disk.
    Storage,
    /// Its tasks share memory.
    Concurrency,
}

impl Family {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Family::Storage => "storage",
            Family::Concurrency => "concurrency",
        }
    }
}

/// How a store is opened.
pub type Open = fn(Arc<dyn Disk>) -> io::Result<Box<dyn Store>>;

/// The program of a specimen.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// A store of records, opened anew in each boot.
    Store(Open),
    /// A concurrent program that runs once; it fails by a panic, a deadlock, or by having no end.
    Program(fn()),
}

/// A store of six records, each a number.
///
/// A record is durable when [`Store::put`] returned `Ok`; so is what [`Store::get`] returned, for
/// somebody has seen it.
pub trait Store {
    /// Writes a record and makes it durable.
    ///
    /// # Errors
    ///
    /// What the disk said. Whether the record was written is then open, until it is read.
    fn put(&mut self, key: u8, value: u64) -> io::Result<()>;

    /// Reads a record; `None` when it was never written.
    ///
    /// # Errors
    ///
    /// What the disk said, or that the record is damaged.
    fn get(&mut self, key: u8) -> io::Result<Option<u64>>;
}

/// All specimens, storage first, in the order of their names.
pub fn all() -> Vec<&'static Specimen> {
    let mut all: Vec<&'static Specimen> =
        storage::ALL.iter().chain(concurrency::ALL).copied().collect();
    all.sort_by_key(|specimen| (specimen.family != Family::Storage, specimen.name));
    all
}

/// The specimen of a scenario `specimen/NAME`.
pub fn of_scenario(scenario: &str) -> Option<&'static Specimen> {
    let name = scenario.strip_prefix(GROUP)?;
    storage::ALL.iter().chain(concurrency::ALL).copied().find(|specimen| specimen.name == name)
}

impl Specimen {
    /// The scenario that runs it.
    pub fn scenario_name(&self) -> String {
        format!("{GROUP}{}", self.name)
    }

    /// What it promises to survive: all that a power loss does to unsynced writes, the faults that it
    /// names, and of a program what clocks and schedulers may do.
    pub fn claims(&self) -> FaultSet {
        let by_kind = |fault: &Fault| match (self.family, fault.when()) {
            (_, When::Life) => true,
            (Family::Storage, when) => when == When::PowerLoss,
            (Family::Concurrency, When::Clock | When::Scheduler) => *fault != Fault::SpawnFail,
            (Family::Concurrency, _) => false,
        };
        let named = self.faults.iter().map(|(fault, _)| *fault);
        Fault::ALL.iter().copied().filter(by_kind).chain(named).collect()
    }

    /// Its scenario.
    pub fn scenario(&self) -> Scenario {
        let (clients, keys) = (Span(1, 1), Span(KEYS.into(), KEYS.into()));
        let (transactions, value_bytes) = (Span(2, 24), Span(8, 8));
        let kind = WorkloadKind::Specimen;
        Scenario {
            about: self.bug.into(),
            engines: Some(vec![ENGINE.into()]),
            beside: Vec::new(),
            device: None,
            holds: None,
            workload: Workload {
                kind,
                clients,
                transactions,
                keys,
                value_bytes,
                lanes: false,
                upkeep: false,
            },
            bounds: Bounds { boots: Span(2, 5), steps: STEPS_MAX, ..Bounds::default() },
            faults: self.faults.iter().copied().collect(),
            ends: Ends::default(),
            settings: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
