//! A log that begins anew at its start goes on, for recovery, into records of its last round.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{SECTOR, open_durable, read_record, replace, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "log_tail_of_an_earlier_life",
    family: Family::Storage,
    source: "stale records behind the end of a reused log",
    bug: "recovery replays sound records of an earlier round of the log behind those of this one",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Rounds::open(disk)?))),
};

/// Records of one round.
const RECORDS: u64 = 4;

/// A log that is written over and over, and what all rounds before came to.
struct Rounds {
    disk: Arc<dyn Disk>,
    log: Arc<dyn File>,
    count: u64,
    /// The number of the round's first record, and the values.
    base: [u64; 1 + KEYS as usize],
}

impl Rounds {
    fn open(disk: Arc<dyn Disk>) -> io::Result<Rounds> {
        let mut base = [0; 1 + KEYS as usize];
        if disk.exists(Path::new("base"))? {
            base = read_record(&*open_durable(&*disk, "base")?, 0)?.unwrap_or(base);
        }
        let log = open_durable(&*disk, "log")?;
        let mut count = 0;
        while count < RECORDS
            && let Some([number, key, value]) = read_record(&*log, count * SECTOR)?
            && (planted!("log_tail_of_an_earlier_life") || number == base[0] + count)
        {
            base[1 + key as usize] = value;
            count += 1;
        }
        Ok(Rounds { disk, log, count, base })
    }
}

impl Store for Rounds {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        if self.count == RECORDS {
            self.base[0] += RECORDS;
            replace(&*self.disk, "base", &sealed(&self.base))?;
            self.count = 0;
        }
        let record = sealed(&[self.base[0] + self.count, u64::from(key), value]);
        self.log.write_all_at(&record, self.count * SECTOR)?;
        self.log.sync_data()?;
        self.count += 1;
        self.base[1 + usize::from(key)] = value;
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.base[1 + usize::from(key)]))
    }
}
