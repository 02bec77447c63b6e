//! The log goes on in a new file whose name is never made durable.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::planted;

use super::record::{SECTOR, Values, read_record, root, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "create_without_dir_sync",
    family: Family::Storage,
    source: "ALICE (Pillai et al., OSDI 2014): a new log file without a sync of its directory",
    bug: "a new segment of the log gets records before its name is durable",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Segments::open(disk)?))),
};

const RECORDS: u64 = 3;

/// A log in files of a few records; each boot begins a file of its own.
struct Segments {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    number: usize,
    count: u64,
    values: Values,
}

impl Segments {
    fn open(disk: Arc<dyn Disk>) -> io::Result<Segments> {
        let mut values = [0; KEYS as usize];
        let names = disk.list(root())?;
        for name in &names {
            let file = disk.open(Path::new(name), &OpenOptions::READ_WRITE)?;
            file.sync_data()?;
            for index in 0..RECORDS {
                let Some([key, value]) = read_record(&*file, index * SECTOR)? else { break };
                values[key as usize] = value;
            }
        }
        disk.sync_dir(root())?;
        let number = names.len();
        let file = Segments::create(&*disk, number)?;
        Ok(Segments { disk, file, number, count: 0, values })
    }

    fn create(disk: &dyn Disk, number: usize) -> io::Result<Arc<dyn File>> {
        let name = format!("{number:04}.log");
        let file = disk.open(Path::new(&name), &OpenOptions::CREATE)?;
        if !planted!("create_without_dir_sync") {
            disk.sync_dir(root())?;
        }
        Ok(file)
    }
}

impl Store for Segments {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        if self.count == RECORDS {
            self.number += 1;
            self.file = Segments::create(&*self.disk, self.number)?;
            self.count = 0;
        }
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
