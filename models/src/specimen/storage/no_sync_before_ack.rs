//! A record is acknowledged before its bytes are synced.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::File;
use falconry_seam::planted;

use super::record::{SECTOR, newest, open_durable, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "no_sync_before_ack",
    family: Family::Storage,
    source: "ALICE (Pillai et al., OSDI 2014): missing durability point",
    bug: "put returns before the record's bytes are synced",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Slots { file: open_durable(&*disk, "slots")? }))),
};

/// Two copies of each record; the older one is written over. The value of a record only grows, so it is
/// its own version.
struct Slots {
    file: Arc<dyn File>,
}

impl Slots {
    fn newest(&self, key: u8) -> io::Result<(u64, u64)> {
        let ([value], copy) = newest(&*self.file, place(key, 0))?;
        Ok((value, copy))
    }
}

fn place(key: u8, copy: u64) -> u64 {
    (2 * u64::from(key) + copy) * SECTOR
}

impl Store for Slots {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let (_, newest) = self.newest(key)?;
        self.file.write_all_at(&sealed(&[value]), place(key, 1 - newest))?;
        if !planted!("no_sync_before_ack") {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.newest(key)?.0))
    }
}
