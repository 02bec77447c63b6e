//! The two files of the log: their headers, and calls that name the file when they fail.
//!
//! # Method
//!
//! A file begins with a header, which is written when the log is created and never again. It tells
//! whose the file is before anything else in it is believed. Blocks follow from the first aligned place.
//!
//! ```text
//! byte  0..8   8..10   10..12  12..16       16..24    24..60  60..64
//!      "falcnLog" format  file   block_bytes  database  zero    CRC-32C of bytes 0..60
//! ```
//!
//! # Invariant
//!
//! A file whose header was not read is not written to.

use std::io;
use std::path::{Path, PathBuf};

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::sync::Arc;

use super::LogConfig;
use super::block::FORMAT;
use crate::{Error, Result};

/// Bytes of a file's header. The rest up to the first aligned place belongs to nobody.
const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"falcnLog";

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    First,
    Second,
}

impl Which {
    pub(super) const BOTH: [Which; 2] = [Which::First, Which::Second];

    pub(super) fn index(self) -> usize {
        self as usize
    }

    pub(super) fn other(self) -> Which {
        match self {
            Which::First => Which::Second,
            Which::Second => Which::First,
        }
    }
}

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Which,
    pub(super) offset: u64,
}

/// The first place of a file that a block may have.
pub(super) fn first_place(file: Which, block_bytes: u32) -> Place {
    Place { file, offset: block_bytes.into() }
}

/// Both files, open.
pub(super) struct Files {
    names: [PathBuf; 2],
    files: [Arc<dyn File>; 2],
}

impl Files {
    /// Creates both, with their headers and the room that they want; their names are not durable yet.
    pub(super) fn create(
        disk: &dyn Disk,
        names: [&Path; 2],
        config: &LogConfig,
        database: u64,
    ) -> Result<Files> {
        // Both are looked for first: a name that is taken leaves nothing behind.
        for name in names {
            if disk.exists(name).map_err(|error| Error::io("look for", name, error))? {
                return Err(Error::io("create", name, io::ErrorKind::AlreadyExists.into()));
            }
        }
        let files = Files::open_with(disk, names, &OpenOptions::CREATE_NEW, "create")?;
        for which in Which::BOTH {
            let file = &files.files[which.index()];
            file.allocate(0, config.file_bytes)
                .map_err(|error| files.error("allocate", which, error))?;
            let header = encode(which, config.block_bytes, database);
            files.write(Place { file: which, offset: 0 }, &header)?;
        }
        Ok(files)
    }

    /// Opens both and believes their headers, or says why not.
    pub(super) fn open(disk: &dyn Disk, names: [&Path; 2], database: u64) -> Result<(Files, u32)> {
        let files = Files::open_with(disk, names, &OpenOptions::READ_WRITE, "open")?;
        let block_bytes = files.headers(Some(database))?.0;
        Ok((files, block_bytes))
    }

    /// Opens both for reading, whose ever they are. Returns their alignment and their database.
    pub(super) fn open_any(disk: &dyn Disk, names: [&Path; 2]) -> Result<(Files, u32, u64)> {
        let files = Files::open_with(disk, names, &OpenOptions::READ, "open")?;
        let (block_bytes, database) = files.headers(None)?;
        Ok((files, block_bytes, database))
    }

    fn open_with(
        disk: &dyn Disk,
        names: [&Path; 2],
        options: &OpenOptions,
        op: &'static str,
    ) -> Result<Files> {
        let open = |name: &Path| {
            disk.open(name, options).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound if !options.create_new => {
                    Error::Missing { file: name.into() }
                }
                _ => Error::io(op, name, error),
            })
        };
        let files = [open(names[0])?, open(names[1])?];
        Ok(Files { names: names.map(PathBuf::from), files })
    }

    /// The alignment and the database that both headers agree on.
    fn headers(&self, database: Option<u64>) -> Result<(u32, u64)> {
        let (block_bytes, found) = self.header(Which::First, database)?;
        let second = self.header(Which::Second, database.or(Some(found)))?;
        if second.0 != block_bytes {
            let what =
                format!("blocks are aligned to {}, in the other file to {block_bytes}", second.0);
            return Err(self.damaged(Which::Second, "its header".into(), what));
        }
        Ok((block_bytes, found))
    }

    fn header(&self, which: Which, expected: Option<u64>) -> Result<(u32, u64)> {
        let mut bytes = [0; HEADER_BYTES];
        let len = self.len(which)?;
        let there = bytes.len().min(len as usize);
        self.read(Place { file: which, offset: 0 }, &mut bytes[..there])?;
        let foreign = |what: String| Err(Error::Foreign { file: self.name(which).into(), what });
        if bytes[..8] != MAGIC {
            return foreign("it does not begin as a file of the log does".into());
        }
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let (stored, computed) = (half(60), crc32c::crc32c(&bytes[..60]));
        if stored != computed {
            let what = format!("its checksum is {computed:#010x}, not {stored:#010x} as it says");
            return Err(self.damaged(which, "its header".into(), what));
        }
        let format = u16::from_le_bytes([bytes[8], bytes[9]]);
        if format > FORMAT {
            return Err(self.newer(which, format));
        }
        let database = u64::from_le_bytes(bytes[16..24].try_into().expect("8 bytes"));
        if let Some(expected) = expected.filter(|expected| *expected != database) {
            return foreign(format!("it belongs to database {database:#x}, not to {expected:#x}"));
        }
        if usize::from(bytes[10]) != which.index() {
            return foreign("it is the other file of the log".into());
        }
        let block_bytes = half(12);
        if !block_bytes.is_power_of_two() || block_bytes < HEADER_BYTES as u32 {
            let what = format!("blocks cannot be aligned to {block_bytes}");
            return Err(self.damaged(which, "its header".into(), what));
        }
        Ok((block_bytes, database))
    }

    pub(super) fn name(&self, which: Which) -> &Path {
        &self.names[which.index()]
    }

    pub(super) fn len(&self, which: Which) -> Result<u64> {
        self.files[which.index()].len().map_err(|error| self.error("length", which, error))
    }

    pub(super) fn read(&self, place: Place, buffer: &mut [u8]) -> Result<()> {
        let file = &self.files[place.file.index()];
        let read = file.read_exact_at(buffer, place.offset);
        read.map_err(|error| self.error("read", place.file, error))
    }

    pub(super) fn write(&self, place: Place, bytes: &[u8]) -> Result<()> {
        let file = &self.files[place.file.index()];
        let written = file.write_all_at(bytes, place.offset);
        written.map_err(|error| self.error("write", place.file, error))
    }

    /// Makes a file's blocks durable. Who gets an error must not try again: what the sync lost may look
    /// as if it were there.
    pub(super) fn sync(&self, which: Which) -> Result<()> {
        let synced = self.files[which.index()].sync_data();
        synced.map_err(|error| self.error("sync", which, error))
    }

    /// Cuts a file that grew beyond what it wants.
    pub(super) fn cut(&self, which: Which, bytes: u64) -> Result<()> {
        if self.len(which)? <= bytes {
            return Ok(());
        }
        let cut = self.files[which.index()].set_len(bytes);
        cut.map_err(|error| self.error("cut", which, error))
    }

    /// Makes both files durable, and their names.
    pub(super) fn sync_names(&self, disk: &dyn Disk) -> Result<()> {
        for which in Which::BOTH {
            let synced = self.files[which.index()].sync_all();
            synced.map_err(|error| self.error("sync", which, error))?;
        }
        for which in Which::BOTH {
            let folder = self.name(which).parent().unwrap_or(Path::new(""));
            disk.sync_dir(folder)
                .map_err(|error| Error::io("sync of the folder", folder, error))?;
        }
        Ok(())
    }

    pub(super) fn newer(&self, which: Which, found: u16) -> Error {
        Error::Newer { file: self.name(which).into(), found, known: FORMAT }
    }

    pub(super) fn damaged(&self, which: Which, place: String, what: String) -> Error {
        Error::Damaged { file: self.name(which).into(), place, what }
    }

    fn error(&self, op: &'static str, which: Which, error: io::Error) -> Error {
        Error::io(op, self.name(which), error)
    }
}

fn encode(which: Which, block_bytes: u32, database: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[10] = which.index() as u8;
    bytes[12..16].copy_from_slice(&block_bytes.to_le_bytes());
    bytes[16..24].copy_from_slice(&database.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    bytes
}
