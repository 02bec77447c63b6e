//! The files of a database: making them, and finding them again.
//!
//! # Method
//!
//! | file              | what                                                    |
//! |-------------------|---------------------------------------------------------|
//! | `catalogue.pages` | tablespace 0                                            |
//! | `user.pages`      | tablespace 1                                            |
//! | `log.1`, `log.2`  | the serial log                                          |
//! | `double-write`    | second copies of pages that are being written           |
//! | `versions`        | how new each page is, as the log seals it               |
//! | `lock`            | held by the process that has the database open          |
//! | `creating`        | there from before the first of the others until all are |
//!
//! A creation first makes `creating` durable, then everything else, marks the page files complete, and
//! removes it. What a creation that was cut off has left is told by it, and is made anew.
//!
//! # Invariant
//!
//! A database that is complete is never made anew: its catalogue says so, whatever other files are there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, LockKind, OpenOptions};
use falconry_seam::planted;
use falconry_seam::time::SystemTime;

use crate::page::{self, Creation, DatabaseId, FileHeader, FileIdentity, PageSize};
use crate::store::format;
use crate::{Error, PageId, PageNumber, Result, TablespaceId};

pub(crate) const CATALOGUE: &str = "catalogue.pages";
pub(crate) const USER: &str = "user.pages";
pub(crate) const LOG: [&str; 2] = ["log.1", "log.2"];
pub(crate) const DOUBLE_WRITE: &str = "double-write";
pub(crate) const VERSIONS: &str = "versions";
const LOCK: &str = "lock";
const CREATING: &str = "creating";

/// Files that a database consists of.
const ALL: [&str; 6] = [CATALOGUE, USER, LOG[0], LOG[1], DOUBLE_WRITE, VERSIONS];
/// The files of the tablespaces, by their numbers.
pub(crate) const TABLESPACES: [&str; 2] = [CATALOGUE, USER];

/// Whether there is a database, whole or damaged; what a creation that was cut off has left is none.
///
/// # Errors
///
/// [`Error::Io`].
pub(crate) fn exists(disk: &dyn Disk) -> Result<bool> {
    let there = |name: &str| {
        disk.exists(Path::new(name)).map_err(|error| Error::io("look for", name, error))
    };
    if there(CREATING)? {
        return Ok(!planted!("recreated_over_itself") && is_complete(disk)?);
    }
    for name in ALL {
        if there(name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the catalogue says that its creation was completed.
fn is_complete(disk: &dyn Disk) -> Result<bool> {
    match read_header(disk, TablespaceId::CATALOGUE) {
        Ok((_, _, creation)) => Ok(creation == Creation::Complete),
        Err(error @ Error::Io { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Takes the lock of the database's folder; it goes with the file.
///
/// # Errors
///
/// [`Error::InUse`], [`Error::Io`].
pub(crate) fn lock(disk: &dyn Disk) -> Result<Arc<dyn File>> {
    let file = open(disk, LOCK, &OpenOptions::CREATE)?;
    match file.try_lock(LockKind::Exclusive) {
        Ok(true) => Ok(file),
        Ok(false) => Err(Error::InUse { file: LOCK.into() }),
        Err(error) => Err(Error::io("lock", LOCK, error)),
    }
}

pub(crate) fn open(disk: &dyn Disk, name: &str, options: &OpenOptions) -> Result<Arc<dyn File>> {
    disk.open(Path::new(name), options).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Missing { file: name.into() },
        _ => Error::io("open", name, error),
    })
}

/// Makes the page files and an empty double-write file; the log is the caller's to make in between.
///
/// # Errors
///
/// [`Error::Io`]. What is there then is known by `creating`, and may be made anew.
pub(crate) fn create(
    disk: &dyn Disk,
    page_size: PageSize,
    make_log: impl FnOnce(DatabaseId) -> Result<()>,
) -> Result<()> {
    let marker = open(disk, CREATING, &OpenOptions::CREATE)?;
    marker.sync_all().map_err(|error| Error::io("sync", CREATING, error))?;
    sync_names(disk)?;
    for name in ALL {
        match disk.remove(Path::new(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", name, error));
            }
            _ => {}
        }
    }
    sync_names(disk)?;
    let created_ns = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let created_ns = created_ns.map_or(0, |since| since.as_nanos() as u64);
    let database = DatabaseId(u128::from(created_ns));
    let made = OpenOptions { create_new: true, ..OpenOptions::READ_WRITE };
    let mut files = Vec::new();
    for (number, name) in TABLESPACES.into_iter().enumerate() {
        let tablespace = TablespaceId(number as u32);
        let identity = FileIdentity { database, tablespace, created_ns };
        let file = open(disk, name, &made)?;
        format::format_file(&*file, Path::new(name), identity, page_size)?;
        files.push((name, identity, file));
    }
    open(disk, DOUBLE_WRITE, &made)?;
    open(disk, VERSIONS, &made)?;
    make_log(database)?;
    sync(&files)?;
    sync_names(disk)?;
    for (name, identity, file) in files.iter().rev() {
        format::complete(&**file, Path::new(name), *identity, page_size)?;
        file.sync_all().map_err(|error| Error::io("sync", *name, error))?;
    }
    remove_marker(disk)
}

fn sync(files: &[(&'static str, FileIdentity, Arc<dyn File>)]) -> Result<()> {
    for (name, _, file) in files {
        file.sync_all().map_err(|error| Error::io("sync", *name, error))?;
    }
    Ok(())
}

/// Ends a creation that was complete when something cut it off, if its mark is there still. What the headers
/// say may be known to the system alone: whoever wrote it did not live to sync it, or its sync failed, and the
/// system takes it for written. So it is written again.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Io`], and those of a header that is not whole.
pub(crate) fn end_creation(disk: &dyn Disk) -> Result<()> {
    let is_marked = disk.exists(Path::new(CREATING));
    if !is_marked.map_err(|error| Error::io("look for", CREATING, error))? {
        return Ok(());
    }
    for (number, name) in TABLESPACES.into_iter().enumerate() {
        let (identity, page_size, _) = read_header(disk, TablespaceId(number as u32))?;
        let file = open(disk, name, &OpenOptions::READ_WRITE)?;
        format::complete(&*file, Path::new(name), identity, page_size)?;
        file.sync_all().map_err(|error| Error::io("sync", name, error))?;
    }
    remove_marker(disk)
}

/// The creation is complete: nothing has to tell of it any more.
fn remove_marker(disk: &dyn Disk) -> Result<()> {
    match disk.remove(Path::new(CREATING)) {
        Ok(()) if planted!("recreated_over_itself") => Ok(()),
        Ok(()) => sync_names(disk),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", CREATING, error)),
    }
}

/// Makes the names of all files durable.
///
/// # Errors
///
/// [`Error::Io`].
pub(crate) fn sync_names(disk: &dyn Disk) -> Result<()> {
    disk.sync_dir(Path::new("")).map_err(|error| Error::io("sync", "", error))
}

/// What the header of a tablespace's file says, which must be whole.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Damaged`], [`Error::Foreign`], [`Error::Newer`], [`Error::Io`].
pub(crate) fn read_header(
    disk: &dyn Disk,
    tablespace: TablespaceId,
) -> Result<(FileIdentity, PageSize, Creation)> {
    let name = TABLESPACES[tablespace.0 as usize];
    let file = open(disk, name, &OpenOptions::READ)?;
    let id = PageId { tablespace, number: PageNumber(0) };
    let mut start = vec![0; PageSize::MIN.bytes()];
    read(&*file, name, &mut start)?;
    let size = FileHeader::page_size(&start).map_err(|error| error.in_file(name))?;
    let mut bytes = vec![0; size.bytes()];
    read(&*file, name, &mut bytes)?;
    page::check(&bytes, id).map_err(|error| error.in_file(name))?;
    let header = FileHeader::view(&bytes).map_err(|error| error.in_file(name))?;
    Ok((header.identity(), size, header.creation()))
}

fn read(file: &dyn File, name: &str, bytes: &mut [u8]) -> Result<()> {
    file.read_exact_at(bytes, 0).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Damaged {
            file: name.into(),
            place: "page 0".into(),
            what: "the file ends before it".into(),
        },
        _ => Error::io("read", name, error),
    })
}
