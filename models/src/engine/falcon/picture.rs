//! A database as the bytes of its files, and a disk that has nothing else.
//!
//! # Method
//!
//! The pictures are those of `snapshots/formats/`: a database that was closed, and one that a crash has left with
//! a log to recover. Whoever damages one has a disk made of the bytes. It is no disk of the machine: it knows
//! neither faults nor a loss of power, so that all that is wrong with what is read there is the damage.
//!
//! # Invariant
//!
//! A picture is whole, and what it must answer is known.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use falcon::log::LogConfig;
use falcon::{Database as Falcon, Direction, Options};
use falconry_seam::disk::{Disk, File, LockKind, Metadata, OpenOptions};
use falconry_seam::sync::{Mutex, MutexGuard, PoisonError};

/// Every file with all its bytes.
pub(super) type Files = BTreeMap<&'static str, Vec<u8>>;

/// The files of the tablespaces.
pub(super) const PAGES: [&str; 2] = ["catalogue.pages", "user.pages"];
/// The files of the log.
pub(super) const LOG: [&str; 2] = ["log.1", "log.2"];
/// The file with the second copies of pages.
pub(super) const DOUBLE_WRITE: &str = "double-write";
/// The file that says how new pages are.
pub(super) const VERSIONS: &str = "versions";
/// Bytes of its pages.
pub(super) const PAGE_BYTES: usize = 1_024;
/// The alignment of its log.
pub(super) const BLOCK_BYTES: usize = 512;

/// A database of an earlier revision.
pub(super) struct Picture {
    files: &'static [(&'static str, &'static [u8])],
    /// What it must answer.
    pub(super) answer: &'static str,
}

macro_rules! picture {
    ($set:literal, $end:literal, $($more:literal)?) => {
        Picture {
            files: &[
                picture!(@file $set, $end, "catalogue.pages"),
                picture!(@file $set, $end, "user.pages"),
                picture!(@file $set, $end, "log.1"),
                picture!(@file $set, $end, "log.2"),
                picture!(@file $set, $end, "double-write"),
                picture!(@file $set, $end, "lock"),
                $(picture!(@file $set, $end, $more),)?
            ],
            answer: picture!(@path include_str, $set, $end, "answer.txt"),
        }
    };
    (@file $set:literal, $end:literal, $name:literal) => {
        ($name, picture!(@path include_bytes, $set, $end, $name))
    };
    (@path $include:ident, $set:literal, $end:literal, $name:literal) => {
        $include!(concat!("../../../../snapshots/formats/", $set, "/", $end, "/", $name))
    };
}

/// It was closed: all is on pages. It is from before the file of versions, so that nothing but a page itself tells of
/// the page.
pub(super) static CLOSED: Picture = picture!("1", "closed",);
/// A crash has left it: some is only in the log. From before the file of versions as well.
pub(super) static CRASHED: Picture = picture!("1", "crashed",);
/// The same two, with that file.
pub(super) static SEALED: [Picture; 2] =
    [picture!("2", "closed", "versions"), picture!("2", "crashed", "versions")];

impl Picture {
    /// Its files.
    pub(super) fn files(&self) -> Files {
        self.files.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect()
    }

    /// The bytes of one of its files.
    pub(super) fn bytes(&self, name: &str) -> &'static [u8] {
        let found = self.files.iter().find(|(file, _)| *file == name);
        found.expect("the picture has it").1
    }

    /// The files with their names, as they are laid out.
    pub(super) fn named(&self) -> &'static [(&'static str, &'static [u8])] {
        self.files
    }
}

/// The settings by which the engine's own tests made the pictures: the smallest, and no thread that is not needed.
pub(super) fn options() -> Options {
    Options {
        page_bytes: PAGE_BYTES as u32,
        cache_frames: 96,
        run_pages_max: 8,
        double_write_pages: 1_024,
        gopher_threads: 1,
        io_threads: 0,
        checkpoint_interval: Duration::from_secs(24 * 60 * 60),
        lock_wait_timeout: Duration::ZERO,
        double_write: true,
        sequence_batch: 8,
        make_versions_anew: false,
        log: LogConfig {
            file_bytes: 8_704,
            file_bytes_max: 128 << 10,
            window_bytes: 8_192,
            window_count: 1,
            block_bytes: BLOCK_BYTES as u32,
        },
    }
}

/// All rows by each table and each index that `expected` names, in its form. A table or an index that is not there
/// has a line that tells so.
///
/// # Errors
///
/// Those of reading.
pub(super) fn answer(falcon: &Falcon, expected: &str) -> falcon::Result<String> {
    let (txn, mut text) = (falcon.begin(), String::new());
    for name in expected.lines().filter_map(|line| line.strip_prefix("== ")) {
        text += &format!("== {name}\n");
        let (table, index) = match name.split_once(" by ") {
            Some((table, index)) => (table, Some(index)),
            None => (name, None),
        };
        let Some(table) = falcon.table(table) else {
            text += "no table\n";
            continue;
        };
        let rows = match index.map(|index| table.index(index)) {
            None => txn.scan(&table)?.collect::<falcon::Result<Vec<_>>>()?,
            Some(Some(index)) => {
                let any = Bound::Unbounded;
                let range = txn.range(&index, any, any, Direction::Forward)?;
                range.collect::<falcon::Result<Vec<_>>>()?
            }
            Some(None) => {
                text += "no index\n";
                continue;
            }
        };
        for (record, row) in rows {
            text += &format!("{}: {row:?}\n", record.0);
        }
    }
    txn.rollback();
    Ok(text)
}

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    is_locked: bool,
}

type Names = BTreeMap<PathBuf, Arc<Mutex<Inode>>>;

/// A disk that is made of bytes, in one folder.
pub(super) struct PictureDisk {
    names: Mutex<Names>,
}

struct PictureFile {
    inode: Arc<Mutex<Inode>>,
    holds_lock: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PictureDisk {
    /// A disk with these files.
    pub(super) fn of(files: Files) -> Arc<PictureDisk> {
        let inode = |bytes| Arc::new(Mutex::new(Inode { bytes, is_locked: false }));
        let names = files.into_iter().map(|(name, bytes)| (name.into(), inode(bytes))).collect();
        Arc::new(PictureDisk { names: Mutex::new(names) })
    }

    /// As [`PictureDisk::of`], as a database takes it.
    pub(super) fn shared(files: Files) -> Arc<dyn Disk> {
        PictureDisk::of(files)
    }

    /// All files of a picture and that an opening has made beside.
    pub(super) fn files(&self) -> Files {
        let names = SEALED[0].files.iter().map(|(name, _)| *name);
        names.filter_map(|name| Some((name, self.bytes(name)?))).collect()
    }

    /// How long a file is.
    pub(super) fn len(&self, name: &str) -> usize {
        lock(&self.names).get(Path::new(name)).map_or(0, |inode| lock(inode).bytes.len())
    }

    /// The bytes of a file.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let inode = Arc::clone(lock(&self.names).get(Path::new(name))?);
        let bytes = lock(&inode).bytes.clone();
        Some(bytes)
    }
}

impl Disk for PictureDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let mut names = lock(&self.names);
        let inode = match names.get(path) {
            Some(_) if options.create_new => return Err(io::ErrorKind::AlreadyExists.into()),
            Some(inode) => Arc::clone(inode),
            None if options.create || options.create_new => {
                Arc::clone(names.entry(path.into()).or_default())
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(PictureFile { inode, holds_lock: Mutex::new(false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = lock(&self.names);
        let inode = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.into(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.names).remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let names = lock(&self.names);
        let inode = names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let len = lock(inode).bytes.len() as u64;
        Ok(Metadata { len, is_dir: false, created_ns: 0 })
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(lock(&self.names).keys().map(|path| path.display().to_string()).collect())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sector_size(&self) -> u32 {
        BLOCK_BYTES as u32
    }

    fn atomic_unit(&self) -> u32 {
        BLOCK_BYTES as u32
    }
}

impl File for PictureFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inode = lock(&self.inode);
        let from = inode.bytes.len().min(offset as usize);
        let count = buffer.len().min(inode.bytes.len() - from);
        buffer[..count].copy_from_slice(&inode.bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut inode = lock(&self.inode);
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        let len = inode.bytes.len().max(to);
        inode.bytes.resize(len, 0);
        inode.bytes[from..to].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.inode).bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.inode).bytes.resize(len as usize, 0);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut inode = lock(&self.inode);
        let len = inode.bytes.len().max((offset + len) as usize);
        inode.bytes.resize(len, 0);
        Ok(())
    }

    fn try_lock(&self, _: LockKind) -> io::Result<bool> {
        let mut inode = lock(&self.inode);
        let mut holds_lock = lock(&self.holds_lock);
        let is_free = *holds_lock || !inode.is_locked;
        if is_free {
            (*holds_lock, inode.is_locked) = (true, true);
        }
        Ok(is_free)
    }

    fn unlock(&self) -> io::Result<()> {
        if std::mem::take(&mut *lock(&self.holds_lock)) {
            lock(&self.inode).is_locked = false;
        }
        Ok(())
    }
}

impl Drop for PictureFile {
    fn drop(&mut self) {
        // Nobody holds the lock of this handle any more.
        let _ = self.unlock();
    }
}
