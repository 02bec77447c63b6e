//! The file of versions at an opening: found, and bound to the log.
//!
//! # Method
//!
//! What there is of the file is read before anything is written, and compared with the log when that was read.
//! Where the last checkpoint in the log says that there is such a file, it must be there: a file system that has
//! lost it may have lost writes of pages with it, and nobody but this file tells of those. A user who takes the
//! database as it is says so by [`Options::make_versions_anew`](super::Options::make_versions_anew), not by
//! removing a file, for that is what a fault does as well.
//!
//! # Invariant
//!
//! When the log first says of the file, its name is durable.

use std::path::Path;

use falconry_seam::disk::{Disk, OpenOptions};

use super::files::{self, TABLESPACES, VERSIONS};
use crate::cache::{Seal, Versions};
use crate::{Error, Result};

/// The file, if it is there. It is not in the database of an early Falcon.
///
/// # Errors
///
/// [`Error::Newer`], [`Error::Io`].
pub(super) fn find(disk: &dyn Disk, database: u64) -> Result<Option<Versions>> {
    match open(disk, database, &OpenOptions::READ_WRITE) {
        Err(Error::Missing { .. }) => Ok(None),
        versions => versions.map(Some),
    }
}

/// The file that was found, as the last seal in the log has it; made anew where there is no seal, or where
/// `is_anew` says that it may be.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Damaged`]: nothing was done. [`Error::Io`]: the file may be there, empty.
pub(super) fn bound(
    disk: &dyn Disk,
    database: u64,
    found: Option<Versions>,
    seal: Option<Seal>,
    is_anew: bool,
) -> Result<Versions> {
    let versions = match found {
        Some(versions) => versions,
        None if seal.is_some() && !is_anew => return Err(Error::Missing { file: VERSIONS.into() }),
        None => open(disk, database, &OpenOptions::CREATE)?,
    };
    match versions.bind(seal) {
        Err(_) if is_anew => versions.bind(None)?,
        bound => bound?,
    }
    Ok(versions)
}

/// Makes the name of the file durable, unless the log has said of it before. An opening may have made it, just now
/// or before it came to nothing.
///
/// # Errors
///
/// [`Error::Io`].
pub(super) fn name(disk: &dyn Disk, seal: Option<Seal>, is_anew: bool) -> Result<()> {
    if seal.is_none() || is_anew {
        files::sync_names(disk)?;
    }
    Ok(())
}

fn open(disk: &dyn Disk, database: u64, options: &OpenOptions) -> Result<Versions> {
    let file = files::open(disk, VERSIONS, options)?;
    Versions::open(file, Path::new(VERSIONS), database, TABLESPACES.len() as u32)
}
