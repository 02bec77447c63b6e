//! A record is acknowledged before its bytes are synced.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::planted;

use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "no_sync_before_ack",
    family: Family::Storage,
    source: "ALICE (Pillai et al., OSDI 2014): missing durability point",
    bug: "put returns before the record's bytes are synced",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Slots::open(&*disk)?))),
};

/// One sector a record: value, and value inverted as its check.
struct Slots {
    file: Arc<dyn File>,
}

const SECTOR: u64 = 512;

impl Slots {
    fn open(disk: &dyn Disk) -> io::Result<Slots> {
        let file = disk.open(Path::new("slots"), &OpenOptions::CREATE)?;
        file.sync_data()?;
        disk.sync_dir(Path::new(""))?;
        Ok(Slots { file })
    }
}

impl Store for Slots {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&value.to_le_bytes());
        bytes[8..].copy_from_slice(&(!value).to_le_bytes());
        self.file.write_all_at(&bytes, u64::from(key) * SECTOR)?;
        if !planted!("no_sync_before_ack") {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        if self.file.len()? < u64::from(key) * SECTOR + 16 {
            return Ok(None);
        }
        let mut bytes = [0; 16];
        self.file.read_exact_at(&mut bytes, u64::from(key) * SECTOR)?;
        let (value, check) = bytes.split_at(8);
        let (value, check) =
            (value.try_into().unwrap_or([0; 8]), check.try_into().unwrap_or([0; 8]));
        let (value, check) = (u64::from_le_bytes(value), u64::from_le_bytes(check));
        Ok((check == !value).then_some(value))
    }
}
