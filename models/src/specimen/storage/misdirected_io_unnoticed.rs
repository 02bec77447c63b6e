//! A block that belongs elsewhere has a sound checksum, and is taken.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, OpenOptions};
use falconry_seam::planted;
use falconry_sim::fault::Fault;

use super::record::{damaged, read_record, replace, root, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "misdirected_io_unnoticed",
    family: Family::Storage,
    source: "misdirected reads and writes (Bairavasundaram et al., FAST 2008)",
    bug: "a block with a sound checksum is taken without asking which block it is",
    faults: &[(Fault::MisdirectedRead, 20_000)],
    body: Body::Store(|disk| Ok(Box::new(Blocks::open(disk)?))),
};

/// A file of one block a record: its number, and the value.
struct Blocks {
    disk: Arc<dyn Disk>,
}

impl Blocks {
    fn open(disk: Arc<dyn Disk>) -> io::Result<Blocks> {
        for name in disk.list(root())? {
            if name.ends_with(".new") {
                disk.remove(Path::new(&name))?;
            } else {
                disk.open(Path::new(&name), &OpenOptions::READ_WRITE)?.sync_data()?;
            }
        }
        disk.sync_dir(root())?;
        Ok(Blocks { disk })
    }
}

impl Store for Blocks {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        replace(&*self.disk, &key.to_string(), &sealed(&[u64::from(key), value])).map(drop)
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        let name = key.to_string();
        if !self.disk.exists(Path::new(&name))? {
            return Ok(None);
        }
        let file = self.disk.open(Path::new(&name), &OpenOptions::READ)?;
        let [number, value] = read_record(&*file, 0)?.ok_or_else(damaged)?;
        if number != u64::from(key) && !planted!("misdirected_io_unnoticed") {
            return Err(damaged());
        }
        Ok(shown(value))
    }
}
