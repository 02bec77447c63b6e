//! A new version takes the old one's name, and the directory is not synced.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, OpenOptions};
use falconry_seam::planted;

use super::record::{Values, create_anew, damaged, read_record, root, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "rename_without_dir_sync",
    family: Family::Storage,
    source: "ALICE (Pillai et al., OSDI 2014): a rename without a sync of its directory",
    bug: "put returns after the rename, before the directory is synced",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Image::open(disk)?))),
};

const NAME: &str = "image";
const TEMPORARY: &str = "image.new";

/// All records in one file, which each put writes anew.
struct Image {
    disk: Arc<dyn Disk>,
    values: Values,
}

impl Image {
    fn open(disk: Arc<dyn Disk>) -> io::Result<Image> {
        let mut values = [0; KEYS as usize];
        if disk.exists(Path::new(NAME))? {
            let file = disk.open(Path::new(NAME), &OpenOptions::READ_WRITE)?;
            file.sync_data()?;
            values = read_record(&*file, 0)?.ok_or_else(damaged)?;
        }
        disk.sync_dir(root())?;
        Ok(Image { disk, values })
    }
}

impl Store for Image {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let mut values = self.values;
        values[usize::from(key)] = value;
        let file = create_anew(&*self.disk, TEMPORARY)?;
        file.write_all_at(&sealed(&values), 0)?;
        file.sync_data()?;
        self.disk.rename(Path::new(TEMPORARY), Path::new(NAME))?;
        if !planted!("rename_without_dir_sync") {
            self.disk.sync_dir(root())?;
        }
        self.values = values;
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.values[usize::from(key)]))
    }
}
