//! A sync that failed is called again, and its success believed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::planted;
use falconry_sim::fault::Fault;

use super::record::{SECTOR, Values, read_record, replace, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "goes_on_after_failed_sync",
    family: Family::Storage,
    source: "fsyncgate (PostgreSQL, 2018); Rebello et al., USENIX ATC 2020",
    bug: "a failed sync is repeated, though the pages that it lost are clean by then",
    faults: &[(Fault::SyncFailClean, 100_000)],
    body: Body::Store(|disk| Ok(Box::new(Log::open(&*disk)?))),
};

/// A file that begins with all values and goes on with those that changed.
///
/// Each boot writes it anew: what it reads may be in the page cache alone, and clean there.
struct Log {
    file: Arc<dyn File>,
    count: u64,
    values: Values,
    sync_failed: bool,
}

impl Log {
    fn open(disk: &dyn Disk) -> io::Result<Log> {
        let mut values = [0; KEYS as usize];
        if disk.exists(Path::new("log"))? {
            let old = disk.open(Path::new("log"), &OpenOptions::READ)?;
            values = read_record(&*old, 0)?.unwrap_or(values);
            let mut count = 1;
            while let Some([key, value]) = read_record(&*old, count * SECTOR)? {
                values[key as usize] = value;
                count += 1;
            }
        }
        let file = replace(disk, "log", &sealed(&values))?;
        Ok(Log { file, count: 1, values, sync_failed: false })
    }
}

impl Store for Log {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        if self.sync_failed {
            return Err(io::Error::other("a sync failed; open the store again"));
        }
        self.file.write_all_at(&sealed(&[u64::from(key), value]), self.count * SECTOR)?;
        if let Err(error) = self.file.sync_data() {
            if !planted!("goes_on_after_failed_sync") {
                self.sync_failed = true;
                return Err(error);
            }
            self.file.sync_data()?;
        }
        self.count += 1;
        self.values[usize::from(key)] = value;
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.values[usize::from(key)]))
    }
}
