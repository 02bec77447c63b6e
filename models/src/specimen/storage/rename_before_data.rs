//! A file takes the place of the old one before its own bytes are durable.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, OpenOptions};
use falconry_seam::planted;

use super::record::{create_anew, damaged, read_record, root, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "rename_before_data",
    family: Family::Storage,
    source: "ALICE (Pillai et al., OSDI 2014): replacing by rename without a sync of the new file",
    bug: "the new file is renamed over the old one before its bytes are synced",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Files::open(disk)?))),
};

/// A file a record.
struct Files {
    disk: Arc<dyn Disk>,
}

impl Files {
    fn open(disk: Arc<dyn Disk>) -> io::Result<Files> {
        for name in disk.list(root())? {
            disk.open(Path::new(&name), &OpenOptions::READ_WRITE)?.sync_data()?;
        }
        disk.sync_dir(root())?;
        Ok(Files { disk })
    }
}

impl Store for Files {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let (name, temporary) = (key.to_string(), format!("{key}.new"));
        let file = create_anew(&*self.disk, &temporary)?;
        file.write_all_at(&sealed(&[value]), 0)?;
        if !planted!("rename_before_data") {
            file.sync_data()?;
        }
        self.disk.rename(Path::new(&temporary), Path::new(&name))?;
        file.sync_data()?;
        self.disk.sync_dir(root())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        let name = key.to_string();
        if !self.disk.exists(Path::new(&name))? {
            return Ok(None);
        }
        let file = self.disk.open(Path::new(&name), &OpenOptions::READ)?;
        let [value] = read_record(&*file, 0)?.ok_or_else(damaged)?;
        Ok(shown(value))
    }
}
