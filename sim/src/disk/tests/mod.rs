//! Tests of the disk, driven by hand: no scheduler, every choice given.

mod basics;
mod contract;
mod counted;
mod errors;
mod litmus;
mod loss;
mod naive;
mod silent;
mod slow;
mod stages;
mod writeback;

use std::io;
use std::path::Path;

use falconry_seam::disk::OpenOptions;

use super::*;
use crate::choice::{Choices, PPM};
use crate::env::{Env, PowerPlan};
use crate::fault::{Fault, Faults, When};
use crate::trace::{DiskOp, Trace, What};

/// Whether a fault is the disk's to deliver; the others are the machine's.
pub(super) fn is_of_the_disk(fault: Fault) -> bool {
    matches!(fault.when(), When::PowerLoss | When::Error | When::Silent | When::Slow)
}

/// A disk with all that it needs of a machine.
pub(super) struct World {
    pub(super) disk: DiskModel,
    pub(super) choices: Choices,
    pub(super) faults: Faults,
    pub(super) trace: Trace,
    pub(super) power: PowerPlan,
}

impl World {
    /// Choices that are all boring, no fault, no latency.
    pub(super) fn new(config: DiskConfig) -> Self {
        Self::with(config, Choices::zeros())
    }

    pub(super) fn with(config: DiskConfig, choices: Choices) -> Self {
        World {
            disk: DiskModel::new(DiskConfig { latency: false, ..config }),
            choices,
            faults: Faults::none(),
            trace: Trace::new(true),
            power: PowerPlan::default(),
        }
    }

    pub(super) fn call<R>(&mut self, f: impl FnOnce(&mut DiskModel, &mut Env<'_>) -> R) -> R {
        let World { disk, choices, faults, trace, power } = self;
        f(disk, &mut Env { choices, faults, trace, power })
    }

    /// Admits everything that may happen to unsynced writes at power loss.
    pub(super) fn admit_losses(&mut self) {
        for fault in Fault::ALL.iter().filter(|fault| fault.when() == When::PowerLoss) {
            self.faults.set_rate(*fault, PPM);
        }
    }

    pub(super) fn open(&mut self, path: &str, options: OpenOptions) -> io::Result<Handle> {
        self.call(|disk, env| disk.open(env, Path::new(path), &options, 7)).map(|begun| begun.value)
    }

    /// A file that exists from here on.
    pub(super) fn create(&mut self, path: &str) -> Handle {
        self.open(path, OpenOptions::CREATE).expect("a file can be created")
    }

    pub(super) fn write(&mut self, file: Handle, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call(|disk, env| {
            let begun = disk.write(env, file, bytes, offset)?;
            disk.write_end(env, begun.value)
        })
    }

    pub(super) fn read(&mut self, file: Handle, len: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0xEE; len];
        let count = self.call(|disk, env| disk.read(env, file, &mut bytes, offset))?.value;
        bytes.truncate(count);
        Ok(bytes)
    }

    pub(super) fn sync(&mut self, file: Handle) -> io::Result<()> {
        self.call(|disk, env| {
            let begun = disk.sync(env, file, DiskOp::SyncData)?;
            disk.sync_end(env, begun.value)
        })
    }

    pub(super) fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.call(|disk, env| {
            let begun = disk.sync_dir(env, Path::new(dir))?;
            disk.sync_dir_end(env, begun.value)
        })
    }

    pub(super) fn power_loss(&mut self) -> Loss {
        self.call(|disk, env| disk.power_loss(env))
    }

    /// The fault at this rate, and how often it was delivered so far.
    pub(super) fn always(&mut self, fault: Fault) {
        self.faults.set_rate(fault, PPM);
    }

    pub(super) fn never(&mut self, fault: Fault) {
        self.faults.set_rate(fault, 0);
    }

    /// The faults that the trace tells, in order.
    pub(super) fn told(&self) -> Vec<(Fault, u64, u64)> {
        let told = self.trace.events().iter().filter_map(|event| match event.what {
            What::Fault { fault, offset, len, .. } => Some((fault, offset, len)),
            _ => None,
        });
        told.collect()
    }
}
