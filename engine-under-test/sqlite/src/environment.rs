//! An environment: one disk, and SQLite's way to it.

use std::ffi::{CStr, c_int};
use std::fmt;
use std::sync::Arc;

use falconry_seam::disk::Disk;

use crate::error::Error;
use crate::vfs::Registration;
use crate::world::World;

/// What the device under a disk promises, beyond what the disk itself can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// When the power goes while a range is overwritten, the bytes beside the range are as before.
    ///
    /// SQLite's own adapters promise it by default. Without it SQLite takes the sector for what one
    /// write may damage: it journals whole sectors, and pads its log to them at each commit.
    pub powersafe_overwrite: bool,
}

/// A disk on which SQLite databases may be opened. Clones are the same environment.
///
/// It lives until its last connection is closed.
#[derive(Clone)]
pub struct Environment {
    registration: Arc<Registration>,
}

impl Environment {
    /// Makes a disk known to SQLite.
    ///
    /// # Errors
    ///
    /// When SQLite cannot be initialised, or has no memory.
    pub fn new(disk: Arc<dyn Disk>, device: Device) -> Result<Environment, Error> {
        let world = World::new(disk, device.powersafe_overwrite);
        let registration = Registration::new(world).map_err(Error::of_code)?;
        Ok(Environment { registration: Arc::new(registration) })
    }

    /// The name under which SQLite finds the disk.
    pub(crate) fn vfs_name(&self) -> &CStr {
        self.registration.name()
    }

    /// How many calls of the disk have failed.
    pub(crate) fn disk_failures(&self) -> u64 {
        self.registration.world().failures()
    }

    /// The errno of the disk's last failure.
    pub(crate) fn last_errno(&self) -> c_int {
        self.registration.world().last_errno()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("vfs", &self.vfs_name()).finish_non_exhaustive()
    }
}
