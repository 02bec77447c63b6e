//! Which fault may come in which kind of call, and the errors that calls return.
//!
//! # Method
//!
//! Each call makes one draw over the list of its kind, whatever is enabled. What else a fault needs
//! (how many bytes, which place) is chosen only when it comes, from a component of its own, so that
//! it shifts no other choice.

use std::io;

use crate::fault::Fault;

/// What may come in a read.
pub(super) const READ: &[Fault] = &[
    Fault::EioRead,
    Fault::EioReadSticky,
    Fault::ShortRead,
    Fault::Eintr,
    Fault::MisdirectedRead,
    Fault::ReadCorruption,
    Fault::BitRot,
    Fault::BadSectorRun,
    Fault::ZeroedSector,
    Fault::DeviceGone,
    Fault::StallOp,
    Fault::StallFile,
    Fault::StallDevice,
];

/// What may come in a write.
pub(super) const WRITE: &[Fault] = &[
    Fault::EioWrite,
    Fault::ShortWrite,
    Fault::Eintr,
    Fault::Enospc,
    Fault::ReadOnly,
    Fault::DeviceGone,
    Fault::MisdirectedWrite,
    Fault::PhantomWrite,
    Fault::StallOp,
    Fault::StallFile,
    Fault::StallDevice,
];

/// What may come in a sync of a file.
pub(super) const SYNC: &[Fault] = &[
    Fault::SyncFailDirty,
    Fault::SyncFailClean,
    Fault::SyncFailDropped,
    Fault::SyncFailLate,
    Fault::LyingSync,
    Fault::Enospc,
    Fault::ReadOnly,
    Fault::DeviceGone,
    Fault::StallOp,
    Fault::StallFile,
    Fault::StallDevice,
];

/// What may come in a sync of a directory.
pub(super) const SYNC_DIR: &[Fault] = &[
    Fault::SyncFailDirty,
    Fault::ReadOnly,
    Fault::DeviceGone,
    Fault::StallOp,
    Fault::StallFile,
    Fault::StallDevice,
];

/// What may come in a call that changes names or lengths.
pub(super) const CHANGE: &[Fault] = &[
    Fault::Enospc,
    Fault::ReadOnly,
    Fault::DeviceGone,
    Fault::StallOp,
    Fault::StallFile,
    Fault::StallDevice,
];

/// What may come in a call that only looks.
pub(super) const LOOK: &[Fault] =
    &[Fault::DeviceGone, Fault::StallOp, Fault::StallFile, Fault::StallDevice];

/// An error with this errno.
pub(super) fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}
