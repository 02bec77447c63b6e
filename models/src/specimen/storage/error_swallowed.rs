//! A read that fails is taken for a record that was never written.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;
use falconry_sim::fault::Fault;

use super::record::{SECTOR, newest, open_durable, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "error_swallowed",
    family: Family::Storage,
    source: "swallowed error codes (EIO, Gunawi et al., FAST 2008)",
    bug: "an error of a read is answered as if the record had never been written",
    faults: &[(Fault::EioRead, 20_000)],
    body: Body::Store(|disk| Ok(Box::new(Records::open(&*disk)?))),
};

/// Two copies a record, written in turn.
struct Records {
    file: Arc<dyn File>,
}

fn offset(key: u8) -> u64 {
    u64::from(key) * 2 * SECTOR
}

impl Records {
    fn open(disk: &dyn Disk) -> io::Result<Records> {
        Ok(Records { file: open_durable(disk, "records")? })
    }
}

impl Store for Records {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let ([version, _], copy) = newest::<2>(&*self.file, offset(key))?;
        let record = sealed(&[version + 1, value]);
        self.file.write_all_at(&record, offset(key) + (1 - copy) * SECTOR)?;
        self.file.sync_data()
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        match newest::<2>(&*self.file, offset(key)) {
            Ok(([_, value], _)) => Ok(shown(value)),
            Err(_) if planted!("error_swallowed") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
