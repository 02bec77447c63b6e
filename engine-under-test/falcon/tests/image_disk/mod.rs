//! A disk in memory that is made of bytes, tells its bytes, and fails as it is told.
//!
//! # Method
//!
//! A file has the bytes that calls see and those that its last sync made durable; names likewise. Calls are
//! counted, those that change something apart, and from one of them on all of a kind may fail, or that one
//! alone.
//!
//! # Invariant
//!
//! A call that fails changes nothing.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]
#![allow(dead_code, reason = "each test that includes this uses another part of it")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falconry_seam::disk::{Disk, File, LockKind, Metadata, OpenOptions};

/// Every file with all its bytes.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Numbers of errors, as Linux has them.
pub const EIO: i32 = 5;
/// Permission denied.
pub const EACCES: i32 = 13;
/// Is a directory.
pub const EISDIR: i32 = 21;
/// No space left on device.
pub const ENOSPC: i32 = 28;
/// Read-only file system.
pub const EROFS: i32 = 30;

/// Calls that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All of them.
    Any,
    /// Those that take room: writes, new names and longer files.
    Growing,
    /// Those that a disk refuses which is only for reading: what changes anything, and opening for that.
    Writing,
}

/// What fails, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which calls.
    pub kind: Kind,
    /// How many of them succeed first.
    pub after: u64,
    /// Whether one fails, or all from there on.
    pub is_once: bool,
    /// The error.
    pub errno: i32,
}

#[derive(Default)]
struct Bytes {
    seen: Vec<u8>,
    durable: Vec<u8>,
    is_locked: bool,
}

type Inode = Arc<Mutex<Bytes>>;

#[derive(Default)]
struct Folder {
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    /// Names that are folders.
    folders: Vec<PathBuf>,
    fault: Option<Fault>,
    /// Calls of the fault's kind so far.
    met: u64,
    failed: u64,
    /// What was there before the last write, if that is to be remembered.
    before_last_write: Option<Image>,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct ImageDisk {
    folder: Arc<Mutex<Folder>>,
}

struct ImageFile {
    disk: ImageDisk,
    bytes: Inode,
    holds_lock: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ImageDisk {
    /// A disk with these files, all of them durable.
    pub fn of(image: &Image) -> ImageDisk {
        let disk = ImageDisk::default();
        for (name, bytes) in image {
            let bytes = Bytes { seen: bytes.clone(), durable: bytes.clone(), is_locked: false };
            lock(&disk.folder).names.insert(name.into(), Arc::new(Mutex::new(bytes)));
        }
        let mut folder = lock(&disk.folder);
        folder.durable_names = folder.names.clone();
        drop(folder);
        disk
    }

    /// It, as a database takes it.
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// All bytes that calls see.
    pub fn image(&self) -> Image {
        let folder = lock(&self.folder);
        let of = |(name, inode): (&PathBuf, &Inode)| {
            (name.display().to_string(), lock(inode).seen.clone())
        };
        folder.names.iter().map(of).collect()
    }

    /// The power goes: names and files are as their last sync left them.
    pub fn cut_power(&self) {
        let mut folder = lock(&self.folder);
        folder.names = folder.durable_names.clone();
        for inode in folder.names.values() {
            let mut file = lock(inode);
            file.seen = file.durable.clone();
        }
    }

    /// Puts a folder in the place of a file.
    pub fn make_folder(&self, name: &str) {
        let mut folder = lock(&self.folder);
        folder.names.remove(Path::new(name));
        folder.folders.push(name.into());
    }

    /// Remembers from now on what was there before the last write.
    pub fn remember(&self) {
        let image = self.image();
        lock(&self.folder).before_last_write = Some(image);
    }

    /// What was there before the last write.
    pub fn before_last_write(&self) -> Image {
        lock(&self.folder).before_last_write.clone().expect("it was to be remembered")
    }

    /// What fails from now on.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut folder = lock(&self.folder);
        (folder.fault, folder.met, folder.failed) = (fault, 0, 0);
    }

    /// Calls of the kind of the present fault.
    pub fn met(&self) -> u64 {
        lock(&self.folder).met
    }

    /// Calls that failed by the present fault.
    pub fn failed(&self) -> u64 {
        lock(&self.folder).failed
    }

    /// A call of that kind, which may be one that fails.
    fn call(&self, kind: Kind) -> io::Result<MutexGuard<'_, Folder>> {
        let mut folder = lock(&self.folder);
        let Some(fault) = folder.fault else { return Ok(folder) };
        let is_met = match fault.kind {
            Kind::Any => true,
            Kind::Growing => kind == Kind::Growing,
            Kind::Writing => kind != Kind::Any,
        };
        if !is_met {
            return Ok(folder);
        }
        folder.met += 1;
        let fails = match fault.is_once {
            true => folder.met == fault.after + 1,
            false => folder.met > fault.after,
        };
        if !fails {
            return Ok(folder);
        }
        folder.failed += 1;
        Err(io::Error::from_raw_os_error(fault.errno))
    }
}

impl Disk for ImageDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let is_new = !lock(&self.folder).names.contains_key(path);
        let kind = match options.write {
            true if is_new && (options.create || options.create_new) => Kind::Growing,
            true => Kind::Writing,
            false => Kind::Any,
        };
        let mut folder = self.call(kind)?;
        if folder.folders.iter().any(|name| name == path) {
            return Err(io::Error::from_raw_os_error(EISDIR));
        }
        if is_new {
            if !options.create && !options.create_new {
                return Err(io::ErrorKind::NotFound.into());
            }
            folder.names.insert(path.into(), Inode::default());
        } else if options.create_new {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = Arc::clone(&folder.names[path]);
        if options.truncate {
            lock(&bytes).seen.clear();
        }
        Ok(Arc::new(ImageFile { disk: self.clone(), bytes, holds_lock: Mutex::new(false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut folder = self.call(Kind::Writing)?;
        let inode = folder.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        folder.names.insert(to.into(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if lock(&self.folder).folders.iter().any(|name| name == path) {
            return Err(io::Error::from_raw_os_error(EISDIR));
        }
        if !lock(&self.folder).names.contains_key(path) {
            // Nothing is to be done, which needs no leave.
            return Err(io::ErrorKind::NotFound.into());
        }
        self.call(Kind::Writing)?.names.remove(path);
        Ok(())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let folder = self.call(Kind::Any)?;
        if folder.folders.iter().any(|name| name == path) {
            return Ok(Metadata { len: 0, is_dir: true, created_ns: 0 });
        }
        let file = folder.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let len = lock(file).seen.len() as u64;
        Ok(Metadata { len, is_dir: false, created_ns: 0 })
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        let folder = self.call(Kind::Any)?;
        let mut names: Vec<&PathBuf> = folder.names.keys().chain(&folder.folders).collect();
        names.sort();
        Ok(names.into_iter().map(|path| path.display().to_string()).collect())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut folder = self.call(Kind::Any)?;
        folder.durable_names = folder.names.clone();
        Ok(())
    }

    fn sector_size(&self) -> u32 {
        512
    }

    fn atomic_unit(&self) -> u32 {
        512
    }
}

impl ImageFile {
    fn bytes(&self, kind: Kind) -> io::Result<MutexGuard<'_, Bytes>> {
        self.disk.call(kind).map(drop)?;
        Ok(lock(&self.bytes))
    }
}

impl File for ImageFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.bytes(Kind::Any)?;
        let from = file.seen.len().min(offset as usize);
        let count = buffer.len().min(file.seen.len() - from);
        buffer[..count].copy_from_slice(&file.seen[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if lock(&self.disk.folder).before_last_write.is_some() {
            self.disk.remember();
        }
        let mut file = self.bytes(Kind::Growing)?;
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        let len = file.seen.len().max(to);
        file.seen.resize(len, 0);
        file.seen[from..to].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut file = self.bytes(Kind::Any)?;
        let Bytes { seen, durable, .. } = &mut *file;
        durable.clone_from(seen);
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes(Kind::Any)?.seen.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes(Kind::Writing)?.seen.resize(len as usize, 0);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut file = self.bytes(Kind::Growing)?;
        let len = file.seen.len().max((offset + len) as usize);
        file.seen.resize(len, 0);
        Ok(())
    }

    fn try_lock(&self, _: LockKind) -> io::Result<bool> {
        let mut file = self.bytes(Kind::Any)?;
        let mut holds_lock = lock(&self.holds_lock);
        let is_free = *holds_lock || !file.is_locked;
        if is_free {
            (*holds_lock, file.is_locked) = (true, true);
        }
        Ok(is_free)
    }

    fn unlock(&self) -> io::Result<()> {
        if std::mem::take(&mut *lock(&self.holds_lock)) {
            lock(&self.bytes).is_locked = false;
        }
        Ok(())
    }
}

impl Drop for ImageFile {
    fn drop(&mut self) {
        self.unlock().expect("unlocking does not fail");
    }
}
