//! Opening and creating a database so that its name is as durable as its commits.
//!
//! # Method
//!
//! redb makes the content of a new file durable before it writes its magic number, and refuses a file
//! that has a length and no magic number. So a file that was created under its own name and caught by
//! a power loss would be refused for ever. Here a new file grows under another name; when redb has
//! initialised it, it is renamed, and the directory synced.
//!
//! # Invariant
//!
//! When [`open`] returns, the file's name is durable: the directory is synced each time, for the
//! rename may be older than the crash that came before the sync.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconry_seam::disk::{Disk, OpenOptions};
use redb::{Builder, Database, Durability, WriteTransaction};

use crate::backend::Backend;
use crate::failure::Failure;

/// How a database is run. The page size of redb is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of redb's cache; small ones make it write pages before their commit.
    pub cache_bytes: usize,
    /// Commits data before the header that points to it, with a sync between them.
    pub two_phase_commit: bool,
    /// Saves the allocator's state with each commit, so that opening after a crash reads little.
    pub quick_repair: bool,
    /// Verifies every page's checksum at each opening.
    pub check_on_open: bool,
}

impl Default for Settings {
    /// As redb has it, but for the cache, which is a gibibyte there.
    fn default() -> Self {
        Settings {
            cache_bytes: 1 << 20,
            two_phase_commit: false,
            quick_repair: false,
            check_on_open: false,
        }
    }
}

/// Opens the database at `path`, or creates it, and recovers what an earlier life left.
///
/// The directory of `path` exists. While a database is created, `path` with `.new` appended is used.
///
/// # Errors
///
/// As the disk failed, or as redb refuses what is there. Nothing acknowledged is lost by it.
pub fn open(disk: &Arc<dyn Disk>, path: &Path, settings: &Settings) -> Result<Database, Failure> {
    let exists = disk.exists(path).map_err(Failure::Disk)?;
    let database = if exists {
        let file = disk.open(path, &OpenOptions::READ_WRITE).map_err(Failure::Disk)?;
        builder(settings).create_with_backend(Backend::new(file, name(path)))?
    } else {
        create(disk, path, settings)?
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    disk.sync_dir(directory).map_err(Failure::Disk)?;
    Ok(database)
}

/// Begins a write transaction with the settings that redb keeps for each. It waits until no other
/// write transaction is alive.
///
/// With [`Durability::None`] the commit stays in memory and follows the next durable one.
///
/// # Errors
///
/// As redb refuses, or as an earlier call of the disk failed.
pub fn begin_write(
    database: &Database,
    durability: Durability,
    settings: &Settings,
) -> Result<WriteTransaction, Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    transaction.set_two_phase_commit(settings.two_phase_commit);
    transaction.set_quick_repair(settings.quick_repair);
    Ok(transaction)
}

/// Creates a database under another name and renames it when it can be opened.
fn create(disk: &Arc<dyn Disk>, path: &Path, settings: &Settings) -> Result<Database, Failure> {
    let new = new_path(path);
    let options = OpenOptions { truncate: true, ..OpenOptions::CREATE };
    let file = disk.open(&new, &options).map_err(Failure::Disk)?;
    let database = builder(settings).create_with_backend(Backend::new(file, name(path)))?;
    disk.rename(&new, path).map_err(Failure::Disk)?;
    Ok(database)
}

fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(settings.cache_bytes);
    builder.set_check_integrity_on_open(settings.check_on_open);
    builder
}

fn new_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
