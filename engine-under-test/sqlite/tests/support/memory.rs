//! A disk in memory that knows what a power loss takes.
//!
//! # Method
//!
//! Each file has its content and the content of its last sync; the directory has its names and those
//! of its last sync. [`MemoryDisk::power_loss`] keeps what was synced and nothing else, the harshest
//! of the outcomes that are allowed; [`MemoryDisk::process_crash`] keeps everything but locks.

#![expect(clippy::disallowed_types, reason = "this disk is for the threads of a real machine")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use falconry_seam::disk::{Disk, File, LockKind, Metadata, OpenOptions};

type Names = BTreeMap<PathBuf, Arc<Inode>>;

/// The disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
    sector_size: u32,
}

#[derive(Default)]
struct Tree {
    names: Names,
    synced_names: Names,
}

#[derive(Default)]
struct Inode {
    content: Mutex<Content>,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    locked: bool,
}

struct Handle {
    inode: Arc<Inode>,
    holds_lock: Mutex<bool>,
}

impl MemoryDisk {
    /// An empty disk with sectors of 512 bytes.
    pub fn new() -> MemoryDisk {
        MemoryDisk::with_sectors(512)
    }

    /// An empty disk with sectors of `sector_size` bytes.
    pub fn with_sectors(sector_size: u32) -> MemoryDisk {
        MemoryDisk { tree: Arc::default(), sector_size }
    }

    /// The disk after the power has gone: what was synced.
    pub fn power_loss(&self) -> MemoryDisk {
        let tree = self.tree();
        self.rebuilt(&tree.synced_names, |content| content.synced.clone())
    }

    /// The disk as a restarted process finds it: everything.
    pub fn process_crash(&self) -> MemoryDisk {
        let tree = self.tree();
        self.rebuilt(&tree.names, |content| content.now.clone())
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.tree().names.keys().map(|path| path.display().to_string()).collect()
    }

    fn rebuilt(&self, names: &Names, kept: impl Fn(&Content) -> Vec<u8>) -> MemoryDisk {
        let rebuild = |inode: &Inode| {
            let bytes = kept(&inode.content());
            let content = Content { now: bytes.clone(), synced: bytes, locked: false };
            Arc::new(Inode { content: Mutex::new(content) })
        };
        let names: Names =
            names.iter().map(|(path, inode)| (path.clone(), rebuild(inode))).collect();
        let tree = Tree { synced_names: names.clone(), names };
        MemoryDisk { tree: Arc::new(Mutex::new(tree)), sector_size: self.sector_size }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap()
    }
}

impl Inode {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let mut tree = self.tree();
        let inode = match tree.names.get(path) {
            Some(_) if options.create_new => return Err(io::ErrorKind::AlreadyExists.into()),
            Some(inode) => Arc::clone(inode),
            None if options.create || options.create_new => {
                let inode = Arc::<Inode>::default();
                tree.names.insert(path.into(), Arc::clone(&inode));
                inode
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        if options.truncate {
            inode.content().now.clear();
        }
        Ok(Arc::new(Handle { inode, holds_lock: Mutex::new(false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        let inode = tree.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        tree.names.insert(to.into(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.tree().names.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let tree = self.tree();
        let inode = tree.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let len = inode.content().now.len() as u64;
        Ok(Metadata { len, is_dir: false, created_ns: 0 })
    }

    fn list(&self, _dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_dir(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        assert_eq!(dir, Path::new(""), "these disks have one directory");
        let mut tree = self.tree();
        tree.synced_names = tree.names.clone();
        Ok(())
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn atomic_unit(&self) -> u32 {
        self.sector_size
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.inode.content();
        let start = content.now.len().min(offset as usize);
        let count = buffer.len().min(content.now.len() - start);
        buffer[..count].copy_from_slice(&content.now[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut content = self.inode.content();
        let end = offset as usize + bytes.len();
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[end - bytes.len()..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut content = self.inode.content();
        content.synced = content.now.clone();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.inode.content().now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inode.content().now.resize(len as usize, 0);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = (offset + len).max(self.len()?);
        self.set_len(end)
    }

    fn try_lock(&self, _kind: LockKind) -> io::Result<bool> {
        let mut holds_lock = self.holds_lock.lock().unwrap();
        let mut content = self.inode.content();
        if content.locked && !*holds_lock {
            return Ok(false);
        }
        content.locked = true;
        *holds_lock = true;
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        let mut holds_lock = self.holds_lock.lock().unwrap();
        if *holds_lock {
            self.inode.content().locked = false;
        }
        *holds_lock = false;
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.unlock().unwrap();
    }
}
