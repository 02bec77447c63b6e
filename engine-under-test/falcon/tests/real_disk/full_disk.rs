//! A disk that is full after so many writes: what was acknowledged stays, and with room all goes on.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falcon::{Database, Error, Result};
use falconry_seam::disk::{Disk, File, Metadata, OpenOptions, StdDisk};
use falconry_seam::sync::atomic::{AtomicU64, Ordering};

use super::refusals::FILES;
use super::{Folder, closed, numbers, options, put, table};

/// No space left on device.
const ENOSPC: i32 = 28;

/// A folder on a device that takes so many more writes.
struct Full {
    disk: StdDisk,
    left: Arc<AtomicU64>,
}

/// A file there.
struct FullFile {
    inner: Arc<dyn File>,
    left: Arc<AtomicU64>,
}

fn full(folder: &Folder, writes: u64) -> Arc<dyn Disk> {
    let disk = StdDisk::open(folder.path()).expect("it is there");
    Arc::new(Full { disk, left: Arc::new(AtomicU64::new(writes)) })
}

/// Takes one of the writes that are left.
fn take(left: &AtomicU64) -> io::Result<()> {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    taken.map(drop).map_err(|_| io::Error::from_raw_os_error(ENOSPC))
}

#[test]
fn a_database_that_finds_no_room_is_made_later() {
    for writes in 0..1_000 {
        let folder = Folder::new("no-room-to-create");
        let made = Database::create(&full(&folder, writes), &options());
        let database = match made {
            Ok(database) => {
                assert!(writes > 10, "a database in {writes} writes");
                drop(database);
                let database = Database::open(&folder.disk(), &options()).expect("it was made");
                assert_eq!(numbers(&database).expect("there is room"), Vec::<u64>::new());
                return;
            }
            Err(error) => {
                check_told(&error);
                let is_there = Database::exists(&*folder.disk()).expect("the disk works");
                let open = if is_there { Database::open } else { Database::create };
                open(&folder.disk(), &options()).unwrap_or_else(|error| {
                    panic!("after {writes} writes, is it there {is_there}: {error}")
                })
            }
        };
        put(&database, 7).expect("there is room");
        assert_eq!(numbers(&database).expect("the disk works"), [7]);
        database.close().expect("the disk works");
    }
    panic!("a thousand writes are not enough for a database");
}

#[test]
fn what_was_acknowledged_before_the_disk_was_full_stays() {
    let mut finished = 0;
    for writes in (0..20).chain((20..200).step_by(15)) {
        let folder = closed("no-room-to-commit");
        let mut acknowledged = 10;
        let ended = work(&full(&folder, writes), &mut acknowledged);
        if let Err(error) = &ended {
            check_told(error);
        }
        finished += u64::from(ended.is_ok());
        let database = Database::open(&folder.disk(), &options())
            .unwrap_or_else(|error| panic!("after {writes} writes: {error}"));
        let there = numbers(&database).expect("the disk works");
        // The last commit may be durable although it was not acknowledged.
        let count = there.len() as u64;
        assert!(
            (acknowledged..=acknowledged + 1).contains(&count),
            "{acknowledged} were acknowledged, and {there:?} are there, after {writes} writes"
        );
        assert_eq!(there, Vec::from_iter(0..count));
        put(&database, 1_000).expect("there is room again");
        database.close().expect("the disk works");
    }
    assert!(finished > 0, "no run had room enough");
}

/// Commits and checkpoints until it is over, or the disk is full; then nothing goes on.
fn work(disk: &Arc<dyn Disk>, acknowledged: &mut u64) -> Result<()> {
    let database = Database::open(disk, &options())?;
    for number in 10..40 {
        if let Err(error) = put(&database, number) {
            let later = put(&database, 2_000).expect_err("the engine has stopped");
            assert!(matches!(later, Error::Stopped(_)), "{later}, after {error}");
            return Err(error);
        }
        *acknowledged += 1;
        if number % 10 == 0 {
            database.checkpoint()?;
        }
    }
    table(&database)?;
    database.close()
}

/// The error says what is wrong, and with which file.
fn check_told(error: &Error) {
    let told = error.to_string();
    assert!(told.contains("No space left on device"), "{told}");
    let mut files = FILES.into_iter().chain(["versions", "lock", "creating"]);
    assert!(files.any(|file| told.contains(file)), "{told}");
}

impl Disk for Full {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let is_new = (options.create || options.create_new) && !self.disk.exists(path)?;
        if is_new {
            take(&self.left)?;
        }
        let inner = self.disk.open(path, options)?;
        Ok(Arc::new(FullFile { inner, left: Arc::clone(&self.left) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        take(&self.left)?;
        self.disk.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn sector_size(&self) -> u32 {
        self.disk.sector_size()
    }

    fn atomic_unit(&self) -> u32 {
        self.disk.atomic_unit()
    }
}

impl File for FullFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        take(&self.left)?;
        self.inner.write_at(bytes, offset)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        take(&self.left)?;
        self.inner.allocate(offset, len)
    }

    pass_on!(read_at, sync_data, sync_all, len, set_len, try_lock, unlock);
}
