//! A simulated disk that loses, tears and lies, as real ones do.

mod boot;
mod calls;
mod directory;
mod errors;
mod export;
mod file;
mod latency;
mod model;
mod names;
mod pages;
mod platter;
mod policy;
mod preset;
mod rules;
mod settle;
mod silent;
mod sim_disk;
mod sync;
mod sync_fault;
mod tally;

pub use calls::{Begun, WriteTicket};
pub use model::{DiskModel, Handle, Pending};
pub use platter::Platter;
pub use policy::SurvivalPolicy;
pub use preset::{
    DataOrder, DevicePreset, DeviceRules, DiskConfig, FsPreset, FsRules, SizeRule, TearUnit,
};
pub use settle::Loss;
pub use sim_disk::SimDisk;
pub use sync::SyncTicket;

#[cfg(test)]
mod tests;
