//! What stands below the length of a log is taken for records, whatever it is.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{SECTOR, Values, open_durable, read_up_to, sealed, shown, unsealed, word};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "append_size_without_data",
    family: Family::Storage,
    source: "ALICE (Pillai et al., OSDI 2014): an append whose length survives without its bytes",
    bug: "recovery takes as many records from the log as its length has room for",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Log::open(&*disk)?))),
};

/// A log of key and value, a sector a record.
struct Log {
    file: Arc<dyn File>,
    count: u64,
    values: Values,
}

/// Bytes of a record.
const RECORD: usize = 24;

impl Log {
    fn open(disk: &dyn Disk) -> io::Result<Log> {
        let file = open_durable(disk, "log")?;
        let mut log = Log { file, count: 0, values: [0; KEYS as usize] };
        while let Some([key, value]) = log.read(log.count)? {
            if let Some(slot) = log.values.get_mut(key as usize) {
                *slot = value;
            }
            log.count += 1;
        }
        Ok(log)
    }

    fn read(&self, index: u64) -> io::Result<Option<[u64; 2]>> {
        let bytes = read_up_to(&*self.file, RECORD, index * SECTOR)?;
        if planted!("append_size_without_data") {
            return Ok((bytes.len() == RECORD).then(|| [word(&bytes, 0), word(&bytes, 1)]));
        }
        Ok(unsealed(&bytes))
    }
}

impl Store for Log {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        self.file.write_all_at(&sealed(&[u64::from(key), value]), self.count * SECTOR)?;
        self.file.sync_data()?;
        self.count += 1;
        self.values[usize::from(key)] = value;
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.values[usize::from(key)]))
    }
}
