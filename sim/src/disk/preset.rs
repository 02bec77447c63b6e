//! File systems and devices as data: what each keeps in order, tears, and loses.
//!
//! # Method
//!
//! A file system is an atomicity unit and an ordering over micro-operations; a device adds the unit
//! that it never tears, whether its cache is volatile, and its times. A row says what *may* happen;
//! a survival policy then decides what does.
//!
//! The rows follow Pillai et al., OSDI'14 (which orders hold), Bornholt et al., ASPLOS'16 (the form:
//! small programs with their allowed outcomes), and Rebello et al., ATC'20 (what a failed sync
//! leaves). What is our own choice is said at the field.

use serde::{Deserialize, Serialize};

use super::policy::SurvivalPolicy;
use crate::choice::Choices;
use crate::fault::Fault;

/// A file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsPreset {
    /// ext4 with `data=ordered`: data reaches the device before the length that shows it.
    #[default]
    Ext4Ordered,
    /// ext4 with `data=writeback`: a length may come before its data.
    Ext4Writeback,
    /// ext4 with `data=journal`: everything in one order.
    Ext4Journal,
    /// XFS: metadata in order; what was not written reads as zeros.
    Xfs,
    /// Btrfs: copy on write; what was done to one file survives up to a point.
    Btrfs,
    /// ZFS: copy on write; all that was done survives up to a point.
    Zfs,
    /// Whatever POSIX allows.
    WorstCase,
}

/// The unit that a file system never tears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TearUnit {
    /// What the device does not tear.
    Device,
    /// A block of 4 KiB.
    Block,
    /// One call.
    Call,
}

/// Which unsynced data may survive without which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataOrder {
    /// Any subset.
    Any,
    /// Of each file all up to a point.
    FilePrefix,
    /// Of the whole disk all up to a point, names and lengths included.
    Prefix,
}

/// What a length that survived says of the bytes below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeRule {
    /// They survived too.
    DataFirst,
    /// They survived or read as zeros.
    Zeros,
    /// They may be anything.
    Any,
}

/// What a file system promises, apart from what syncs make durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsRules {
    /// The unit that it never tears.
    pub tear: TearUnit,
    /// How unsynced data is ordered.
    pub data: DataOrder,
    /// What a surviving length says.
    pub size: SizeRule,
    /// Changes of names reach the platter in their order.
    pub names_in_order: bool,
    /// A sync of a file makes its own name durable.
    pub sync_keeps_name: bool,
    /// A rename over another file writes the new file's data first.
    pub rename_writes_data: bool,
    /// Data behind a cut that did not survive is lost (new blocks hang on the same transaction).
    pub cut_orders_data: bool,
    /// What a failed sync leaves; `None` where any policy is possible.
    pub sync_failure: Option<Fault>,
}

impl FsPreset {
    /// All of them.
    pub const ALL: [FsPreset; 7] = [
        FsPreset::Ext4Ordered,
        FsPreset::Ext4Writeback,
        FsPreset::Ext4Journal,
        FsPreset::Xfs,
        FsPreset::Btrfs,
        FsPreset::Zfs,
        FsPreset::WorstCase,
    ];

    /// Its word in reports.
    pub fn name(self) -> &'static str {
        match self {
            FsPreset::Ext4Ordered => "ext4-ordered",
            FsPreset::Ext4Writeback => "ext4-writeback",
            FsPreset::Ext4Journal => "ext4-journal",
            FsPreset::Xfs => "xfs",
            FsPreset::Btrfs => "btrfs",
            FsPreset::Zfs => "zfs",
            FsPreset::WorstCase => "worst-case",
        }
    }

    /// What it promises.
    pub fn rules(self) -> FsRules {
        let ext4 = FsRules {
            tear: TearUnit::Device,
            data: DataOrder::Any,
            size: SizeRule::DataFirst,
            names_in_order: true,
            sync_keeps_name: true,
            rename_writes_data: true,
            cut_orders_data: true,
            sync_failure: Some(Fault::SyncFailClean),
        };
        match self {
            FsPreset::Ext4Ordered => ext4,
            FsPreset::Ext4Writeback => {
                FsRules { size: SizeRule::Any, rename_writes_data: false, ..ext4 }
            }
            FsPreset::Ext4Journal => FsRules {
                tear: TearUnit::Block,
                data: DataOrder::Prefix,
                sync_failure: Some(Fault::SyncFailLate),
                ..ext4
            },
            FsPreset::Xfs => FsRules { size: SizeRule::Zeros, rename_writes_data: false, ..ext4 },
            // Delayed allocation leaves each file a point of its own (our choice).
            FsPreset::Btrfs => FsRules {
                tear: TearUnit::Call,
                data: DataOrder::FilePrefix,
                sync_failure: Some(Fault::SyncFailDropped),
                ..ext4
            },
            // A pool that suspends is a call that never ends; an error that keeps the pages dirty is
            // the nearest that ends (our choice).
            FsPreset::Zfs => FsRules {
                tear: TearUnit::Call,
                data: DataOrder::Prefix,
                sync_failure: Some(Fault::SyncFailDirty),
                ..ext4
            },
            FsPreset::WorstCase => FsRules {
                size: SizeRule::Any,
                names_in_order: false,
                sync_keeps_name: false,
                rename_writes_data: false,
                cut_orders_data: false,
                sync_failure: None,
                ..ext4
            },
        }
    }
}

/// A device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DevicePreset {
    /// A hard disk with sectors of 512 bytes.
    #[default]
    Hdd512n,
    /// A SATA drive that emulates sectors of 512 bytes on blocks of 4 KiB.
    SsdSata512e,
    /// NVMe with sectors of 4 KiB.
    Nvme4kn,
    /// NVMe with capacitors: what has completed is durable; 16 KiB are not torn.
    NvmePlp16k,
    /// A RAID controller with a battery.
    RaidBbu,
    /// A volume of a cloud: no tears, no volatile cache, long stalls.
    CloudVolume,
    /// An SD card, or firmware that lies.
    Liar,
}

/// What a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRules {
    /// Bytes of a sector, as it says.
    pub sector_bytes: u32,
    /// Bytes of an aligned write that it does not tear, as it says.
    pub atomic_bytes: u32,
    /// Bytes that it does not tear indeed: at least what it says, unless it makes a false claim.
    pub untorn_bytes: u32,
    /// A write that completed is lost at power loss unless a flush followed.
    pub volatile_cache: bool,
    /// Flushed writes that `shorn`, `unserializable` and `metadata_loss` still reach.
    pub flushed_kept: usize,
    /// Times of a read, a write and a flush, in the middle.
    pub latency_ns: [u64; 3],
}

impl DevicePreset {
    /// All of them.
    pub const ALL: [DevicePreset; 7] = [
        DevicePreset::Hdd512n,
        DevicePreset::SsdSata512e,
        DevicePreset::Nvme4kn,
        DevicePreset::NvmePlp16k,
        DevicePreset::RaidBbu,
        DevicePreset::CloudVolume,
        DevicePreset::Liar,
    ];

    /// Its word in reports.
    pub fn name(self) -> &'static str {
        match self {
            DevicePreset::Hdd512n => "hdd-512n",
            DevicePreset::SsdSata512e => "ssd-sata-512e",
            DevicePreset::Nvme4kn => "nvme-4kn",
            DevicePreset::NvmePlp16k => "nvme-plp-16k",
            DevicePreset::RaidBbu => "raid-bbu",
            DevicePreset::CloudVolume => "cloud-volume",
            DevicePreset::Liar => "liar",
        }
    }

    /// What it does.
    pub fn rules(self) -> DeviceRules {
        const US: u64 = 1_000;
        const MS: u64 = 1_000_000;
        let device = |sector_bytes, atomic_bytes, volatile_cache, flushed_kept, latency_ns| {
            let untorn_bytes = atomic_bytes;
            DeviceRules {
                sector_bytes,
                atomic_bytes,
                untorn_bytes,
                volatile_cache,
                flushed_kept,
                latency_ns,
            }
        };
        match self {
            DevicePreset::Hdd512n => device(512, 512, true, 16, [8 * MS, 8 * MS, 15 * MS]),
            // It says 512 / 4096, and tears a block only as `shorn` does.
            DevicePreset::SsdSata512e => device(512, 4096, true, 32, [100 * US, 50 * US, 3 * MS]),
            DevicePreset::Nvme4kn => device(4096, 4096, true, 32, [80 * US, 20 * US, 500 * US]),
            DevicePreset::NvmePlp16k => device(4096, 16384, false, 8, [80 * US, 20 * US, 20 * US]),
            DevicePreset::RaidBbu => device(512, 4096, false, 16, [MS, 50 * US, 100 * US]),
            DevicePreset::CloudVolume => device(4096, 4096, false, 8, [MS, MS, 2 * MS]),
            DevicePreset::Liar => device(512, 512, true, 256, [500 * US, MS, 5 * MS]),
        }
    }
}

/// What a simulated disk is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskConfig {
    /// The file system.
    pub fs: FsPreset,
    /// The device below it.
    pub device: DevicePreset,
    /// Operations that may be pending before the oldest are written back.
    pub dirty_ops_max: u64,
    /// Bytes of pages that may be pending before the oldest are written back.
    pub dirty_bytes_max: u64,
    /// Virtual time after which what is pending is written back; `None` for never.
    pub writeback_ns: Option<u64>,
    /// Bytes that files may use, while `enospc` may come at all; `None` for no bound.
    pub capacity_bytes: Option<u64>,
    /// A write asks for no space; its sync does, and fails with `ENOSPC` if there is none.
    pub late_allocation: bool,
    /// Calls take virtual time.
    pub latency: bool,
    /// The survival policy of every crash; `None` draws one a crash.
    pub policy: Option<SurvivalPolicy>,
    /// A rename is two changes of names that may survive one without the other.
    pub split_rename: bool,
    /// Of the `sync_fail_*` faults only the file system's own may come.
    pub own_sync_failure: bool,
}

impl Default for DiskConfig {
    fn default() -> Self {
        DiskConfig {
            fs: FsPreset::default(),
            device: DevicePreset::default(),
            dirty_ops_max: 4096,
            dirty_bytes_max: 16 << 20,
            writeback_ns: None,
            capacity_bytes: None,
            late_allocation: false,
            latency: true,
            policy: None,
            split_rename: false,
            own_sync_failure: false,
        }
    }
}

impl DiskConfig {
    /// Draws a disk for one run: half of them ext4 with ordered data, a fifth the worst case.
    pub fn draw(choices: &mut Choices) -> Self {
        let fs = [
            FsPreset::Ext4Ordered,
            FsPreset::WorstCase,
            FsPreset::Xfs,
            FsPreset::Btrfs,
            FsPreset::Ext4Writeback,
            FsPreset::Ext4Journal,
            FsPreset::Zfs,
        ];
        let fs = fs[choices.weighted("disk_config/fs", &[50, 20, 10, 9, 5, 5, 1])];
        let device = [
            DevicePreset::Hdd512n,
            DevicePreset::SsdSata512e,
            DevicePreset::Nvme4kn,
            DevicePreset::NvmePlp16k,
            DevicePreset::RaidBbu,
            DevicePreset::CloudVolume,
            DevicePreset::Liar,
        ];
        let device = device[choices.weighted("disk_config/device", &[40, 25, 15, 5, 5, 5, 5])];
        let dirty = choices.log_uniform("disk_config/dirty", 0, 4096 - 64);
        let latency = choices.weighted("disk_config/latency", &[75, 25]) == 0;
        const MS: u64 = 1_000_000;
        let mut one_in =
            |label: &'static str, count: u32| choices.weighted(label, &[count - 1, 1]) == 1;
        let is_early = !one_in("disk_config/writeback", 2);
        let is_tight = one_in("disk_config/dirty_bytes", 4);
        let is_bounded = one_in("disk_config/capacity", 10);
        let late_allocation = one_in("disk_config/late_allocation", 3);
        // That a rename is no unit is beyond what any of the others does.
        let split_rename = one_in("disk_config/split_rename", 20) && fs == FsPreset::WorstCase;
        let own_sync_failure = one_in("disk_config/own_sync_failure", 4);
        let delay_ms = choices.range("disk_config/writeback_ms", 1, 2_000);
        let bytes_less = choices.log_uniform("disk_config/bytes", 0, (16 << 20) - (64 << 10));
        let capacity = choices.log_uniform("disk_config/capacity_bytes", 256 << 10, 16 << 20);
        DiskConfig {
            fs,
            device,
            dirty_ops_max: 4096 - dirty,
            dirty_bytes_max: (16 << 20) - if is_tight { bytes_less } else { 0 },
            writeback_ns: is_early.then_some(delay_ms * MS),
            capacity_bytes: is_bounded.then_some(capacity),
            late_allocation,
            latency,
            split_rename,
            own_sync_failure,
            policy: None,
        }
    }

    /// Operations that may be pending: the nearer of both bounds, at least 1.
    pub(super) fn pending_max(&self) -> u64 {
        let pages = self.dirty_bytes_max / super::pages::PAGE_BYTES as u64;
        self.dirty_ops_max.min(pages).max(1)
    }
}
