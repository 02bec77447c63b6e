//! A lock is the existence of a file, which outlives who made it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, LockKind, OpenOptions};
use falconry_seam::planted;

use super::record::{SECTOR, newest, open_durable, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lock_file_left",
    family: Family::Storage,
    source: "stale lock files after a crash",
    bug: "the lock is a file that must not exist, and after a crash it does",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Locked::open(disk)?))),
};

const LOCK: &str = "lock";

/// Two copies a record, written in turn by one process alone.
struct Locked {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    _lock: Arc<dyn File>,
}

fn lock(disk: &dyn Disk) -> io::Result<Arc<dyn File>> {
    if planted!("lock_file_left") {
        return disk.open(Path::new(LOCK), &OpenOptions::CREATE_NEW);
    }
    let lock = disk.open(Path::new(LOCK), &OpenOptions::CREATE)?;
    if lock.try_lock(LockKind::Exclusive)? {
        Ok(lock)
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

fn offset(key: u8) -> u64 {
    u64::from(key) * 2 * SECTOR
}

impl Locked {
    fn open(disk: Arc<dyn Disk>) -> io::Result<Locked> {
        let lock = lock(&*disk)?;
        let file = open_durable(&*disk, "records")?;
        Ok(Locked { disk, file, _lock: lock })
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if planted!("lock_file_left") {
            self.disk.remove(Path::new(LOCK)).ok();
        }
    }
}

impl Store for Locked {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let ([version, _], copy) = newest::<2>(&*self.file, offset(key))?;
        let record = sealed(&[version + 1, value]);
        self.file.write_all_at(&record, offset(key) + (1 - copy) * SECTOR)?;
        self.file.sync_data()
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        let ([_, value], _) = newest::<2>(&*self.file, offset(key))?;
        Ok(shown(value))
    }
}
