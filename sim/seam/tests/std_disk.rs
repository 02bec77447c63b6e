//! `StdDisk` on the file system of the temporary directory.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use falconry_seam::disk::{Disk, DiskError, File, LockKind, OpenOptions, StdDisk, errno};

/// A directory of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("falconry-seam-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn disk(&self) -> StdDisk {
        StdDisk::open(&self.0).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn path(name: &str) -> &Path {
    Path::new(name)
}

#[test]
fn bytes_are_read_back_and_lengths_are_kept() {
    let folder = Folder::new();
    let disk = folder.disk();
    let file = disk.open(path("a"), &OpenOptions::CREATE_NEW).unwrap();
    assert!(file.is_empty().unwrap());
    file.write_all_at(b"hello", 3).unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.len().unwrap(), 8);
    let mut bytes = [9; 8];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"\0\0\0hello");
    assert_eq!(file.read_at(&mut bytes, 6).unwrap(), 2);
    assert_eq!(file.read_at(&mut bytes, 100).unwrap(), 0);

    file.set_len(4).unwrap();
    assert_eq!(file.read_exact_at(&mut bytes, 0).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    file.allocate(2, 10).unwrap();
    assert_eq!(file.len().unwrap(), 12);
    file.read_exact_at(&mut bytes, 4).unwrap();
    assert_eq!(bytes, [0; 8]);
    let metadata = disk.metadata(path("a")).unwrap();
    assert_eq!((metadata.len, metadata.is_dir), (12, false));
}

#[test]
fn opening_obeys_its_options() {
    let folder = Folder::new();
    let disk = folder.disk();
    let missing = disk.open(path("a"), &OpenOptions::READ_WRITE).err().unwrap();
    assert_eq!((missing.kind(), errno(&missing)), (ErrorKind::NotFound, Some(libc::ENOENT)));
    disk.open(path("a"), &OpenOptions::CREATE).unwrap().write_all_at(b"abc", 0).unwrap();
    let taken = disk.open(path("a"), &OpenOptions::CREATE_NEW).err().unwrap();
    assert_eq!((taken.kind(), errno(&taken)), (ErrorKind::AlreadyExists, Some(libc::EEXIST)));
    let read_only = disk.open(path("a"), &OpenOptions::READ).unwrap();
    assert_eq!(errno(&read_only.write_at(b"x", 0).unwrap_err()), Some(libc::EBADF));
    let cut = OpenOptions { truncate: true, ..OpenOptions::READ_WRITE };
    assert_eq!(disk.open(path("a"), &cut).unwrap().len().unwrap(), 0);
    disk.create_dir(path("d")).unwrap();
    let directory = disk.open(path("d"), &OpenOptions::READ).err().unwrap();
    assert_eq!(errno(&directory), Some(libc::EISDIR));
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let folder = Folder::new();
    let disk = folder.disk();
    disk.create_dir(path("d")).unwrap();
    for name in ["d/b", "d/a", "d/B", "c"] {
        disk.open(path(name), &OpenOptions::CREATE_NEW).unwrap();
    }
    disk.sync_dir(path("d")).unwrap();
    disk.sync_dir(path("")).unwrap();
    assert_eq!(disk.list(path("d")).unwrap(), ["B", "a", "b"]);
    assert_eq!(disk.list(path("")).unwrap(), ["c", "d"]);
    assert!(disk.metadata(path("d")).unwrap().is_dir);

    let old = disk.open(path("d/a"), &OpenOptions::READ_WRITE).unwrap();
    old.write_all_at(b"old", 0).unwrap();
    disk.rename(path("c"), path("d/a")).unwrap();
    assert_eq!(disk.metadata(path("d/a")).unwrap().len, 0);
    assert_eq!(old.len().unwrap(), 3, "an open handle keeps what its name lost");
    assert_eq!(errno(&disk.remove_dir(path("d")).unwrap_err()), Some(libc::ENOTEMPTY));
    for name in ["d/a", "d/b", "d/B"] {
        disk.remove(path(name)).unwrap();
    }
    disk.remove_dir(path("d")).unwrap();
    assert!(!disk.exists(path("d")).unwrap());
    assert_eq!(disk.remove(path("d")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn paths_stay_below_the_root() {
    let folder = Folder::new();
    let disk = folder.disk();
    for outside in ["/etc/passwd", "../a", "a/../b", "./a"] {
        let error = disk.open(path(outside), &OpenOptions::CREATE).err().unwrap();
        assert_eq!((error.kind(), errno(&error)), (ErrorKind::InvalidInput, Some(libc::EINVAL)));
        assert_eq!(errno(&disk.rename(path("a"), path(outside)).unwrap_err()), Some(libc::EINVAL));
        assert_eq!(errno(&disk.list(path(outside)).unwrap_err()), Some(libc::EINVAL));
    }
    let nul = disk.metadata(path("a\0b")).unwrap_err();
    assert_eq!(errno(&nul), Some(libc::EINVAL));
}

#[test]
fn an_error_says_what_failed_where_and_why() {
    let folder = Folder::new();
    let disk = folder.disk();
    let root = disk.root().display().to_string();
    let error = disk.rename(path("from"), path("to")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("rename {root}/from to {root}/to: No such file or directory (os error 2)")
    );
    let file = disk.open(path("f"), &OpenOptions::READ_WRITE).err().unwrap();
    let inner = file.get_ref().unwrap().downcast_ref::<DiskError>().unwrap();
    assert_eq!((inner.operation(), inner.errno()), ("open", libc::ENOENT));
    assert_eq!((inner.path(), inner.target()), (disk.root().join("f").as_path(), None));

    let missing = StdDisk::open(folder.0.join("none")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    disk.open(path("f"), &OpenOptions::CREATE).unwrap();
    assert_eq!(errno(&StdDisk::open(folder.0.join("f")).unwrap_err()), Some(libc::ENOTDIR));
}

#[test]
fn an_allocation_that_cannot_be_is_refused() {
    let folder = Folder::new();
    let file = folder.disk().open(path("a"), &OpenOptions::CREATE).unwrap();
    assert_eq!(errno(&file.allocate(0, u64::MAX).unwrap_err()), Some(libc::EFBIG));
    assert_eq!(errno(&file.allocate(0, 0).unwrap_err()), Some(libc::EINVAL));
    assert_eq!(file.len().unwrap(), 0);
}

#[test]
fn a_lock_belongs_to_its_handle() {
    let folder = Folder::new();
    let disk = folder.disk();
    let open = || disk.open(path("a"), &OpenOptions::CREATE).unwrap();
    let (first, second) = (open(), open());
    assert!(first.try_lock(LockKind::Shared).unwrap());
    assert!(second.try_lock(LockKind::Shared).unwrap());
    assert!(!first.try_lock(LockKind::Exclusive).unwrap());
    // The change failed and has left the shared lock in place.
    second.unlock().unwrap();
    assert!(!second.try_lock(LockKind::Exclusive).unwrap());
    assert!(first.try_lock(LockKind::Exclusive).unwrap());
    assert!(!second.try_lock(LockKind::Shared).unwrap());
    // Closing another handle of the file gives nothing back.
    drop(open());
    assert!(!second.try_lock(LockKind::Shared).unwrap());
    drop(first);
    assert!(second.try_lock(LockKind::Exclusive).unwrap());

    let read_only = disk.open(path("a"), &OpenOptions::READ).unwrap();
    second.unlock().unwrap();
    assert_eq!(errno(&read_only.try_lock(LockKind::Exclusive).unwrap_err()), Some(libc::EBADF));
}

#[test]
fn the_device_says_sizes_that_can_be() {
    let disk_folder = Folder::new();
    let disk = disk_folder.disk();
    for bytes in [disk.sector_size(), disk.atomic_unit()] {
        assert!(bytes.is_power_of_two() && (512..=1 << 16).contains(&bytes), "{bytes}");
    }
}

#[test]
fn dsync_writes_are_read_back() {
    let folder = Folder::new();
    let options = OpenOptions { dsync: true, ..OpenOptions::CREATE_NEW };
    let file = folder.disk().open(path("a"), &options).unwrap();
    file.write_all_at(b"durable", 0).unwrap();
    assert_eq!(fs::read(folder.0.join("a")).unwrap(), b"durable");
}

#[test]
fn direct_writes_work_in_whole_sectors() {
    #[repr(align(65536))]
    struct Aligned([u8; 1 << 16]);

    let folder = Folder::new();
    let disk = folder.disk();
    let options = OpenOptions { direct: true, ..OpenOptions::CREATE_NEW };
    let file = match disk.open(path("a"), &options) {
        Ok(file) => file,
        // A file system in memory may know no direct access; it has to say so.
        Err(error) => return assert_eq!(errno(&error), Some(libc::EINVAL), "{error}"),
    };
    let sector = disk.sector_size() as usize;
    let mut page = Box::new(Aligned([7; 1 << 16]));
    file.write_all_at(&page.0[..sector], sector as u64).unwrap();
    page.0.fill(0);
    file.read_exact_at(&mut page.0[..2 * sector], 0).unwrap();
    assert!(page.0[..sector].iter().all(|byte| *byte == 0));
    assert!(page.0[sector..2 * sector].iter().all(|byte| *byte == 7));
    // Some file systems take odd lengths as well; the others have to refuse them.
    if let Err(error) = file.write_at(&page.0[..sector - 1], 0) {
        assert_eq!(errno(&error), Some(libc::EINVAL), "{error}");
    }
}

#[test]
fn a_handle_is_shared_by_threads() {
    let folder = Folder::new();
    let disk: Box<dyn Disk> = Box::new(folder.disk());
    let file = disk.open(path("a"), &OpenOptions::CREATE).unwrap();
    std::thread::scope(|scope| {
        for n in 0..4u8 {
            let file: &dyn File = &*file;
            scope.spawn(move || file.write_all_at(&[n; 100], u64::from(n) * 100).unwrap());
        }
    });
    let mut bytes = [0; 400];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 100));
}
