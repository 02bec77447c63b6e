//! Nobody looks how many bytes a write took.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;
use falconry_sim::fault::Fault;

use super::record::{SECTOR, Values, open_durable, read_record, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "short_write_taken_for_whole",
    family: Family::Storage,
    source: "unchecked count of a short write (POSIX write may take fewer bytes than given)",
    bug: "the count that a write returns is ignored, and half a record is acknowledged",
    faults: &[(Fault::ShortWrite, 50_000)],
    body: Body::Store(|disk| Ok(Box::new(Log::open(&*disk)?))),
};

/// A log of key and value, a sector a record.
struct Log {
    file: Arc<dyn File>,
    count: u64,
    values: Values,
}

impl Log {
    fn open(disk: &dyn Disk) -> io::Result<Log> {
        let file = open_durable(disk, "log")?;
        let mut log = Log { file, count: 0, values: [0; KEYS as usize] };
        while let Some([key, value]) = read_record(&*log.file, log.count * SECTOR)? {
            log.values[key as usize] = value;
            log.count += 1;
        }
        Ok(log)
    }
}

impl Store for Log {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let record = sealed(&[u64::from(key), value]);
        let offset = self.count * SECTOR;
        if planted!("short_write_taken_for_whole") {
            self.file.write_at(&record, offset)?;
        } else {
            self.file.write_all_at(&record, offset)?;
        }
        self.file.sync_data()?;
        self.count += 1;
        self.values[usize::from(key)] = value;
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.values[usize::from(key)]))
    }
}
