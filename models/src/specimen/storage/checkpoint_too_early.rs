//! The log is cut before the table that makes it superfluous is durable.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{SECTOR, newest, open_durable, read_record, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "checkpoint_too_early",
    family: Family::Storage,
    source: "checkpoint order: a log is cut before the pages it covers are synced",
    bug: "a checkpoint cuts the log before it syncs the table",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Table::open(&*disk)?))),
};

/// Records after which there is a checkpoint.
const RECORDS: u64 = 4;

/// A table in two copies, and a log of what changed since it was written.
struct Table {
    log: Arc<dyn File>,
    count: u64,
    file: Arc<dyn File>,
    copy: u64,
    /// The number of the last change, and the values.
    words: [u64; 1 + KEYS as usize],
}

impl Table {
    fn open(disk: &dyn Disk) -> io::Result<Table> {
        let (log, file) = (open_durable(disk, "log")?, open_durable(disk, "table")?);
        let (mut words, copy) = newest(&*file, 0)?;
        let mut count = 0;
        while let Some([number, key, value]) = read_record(&*log, count * SECTOR)? {
            if number > words[0] {
                words[0] = number;
                words[1 + key as usize] = value;
            }
            count += 1;
        }
        Ok(Table { log, count, file, copy, words })
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        self.copy = 1 - self.copy;
        self.file.write_all_at(&sealed(&self.words), self.copy * SECTOR)?;
        if !planted!("checkpoint_too_early") {
            self.file.sync_data()?;
        }
        self.log.set_len(0)?;
        self.log.sync_all()?;
        self.count = 0;
        self.file.sync_data()
    }
}

impl Store for Table {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        if self.count >= RECORDS {
            self.checkpoint()?;
        }
        let number = self.words[0] + 1;
        let record = sealed(&[number, u64::from(key), value]);
        self.log.write_all_at(&record, self.count * SECTOR)?;
        self.log.sync_data()?;
        self.count += 1;
        self.words[0] = number;
        self.words[1 + usize::from(key)] = value;
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.words[1 + usize::from(key)]))
    }
}
