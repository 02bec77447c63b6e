//! What a killed process has written and not synced is served as if it were durable.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::planted;

use super::record::{SECTOR, newest, root, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "recovery_trusts_page_cache",
    family: Family::Storage,
    source: "Rebello et al., USENIX ATC 2020: recovery reads from the page cache what no sync covered",
    bug: "recovery serves what a killed process left in the page cache without syncing it",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Files::open(&*disk)?))),
};

/// A file a record, with two copies that are written in turn.
struct Files {
    files: Vec<Record>,
}

struct Record {
    file: Arc<dyn File>,
    /// The number of the version, and the value.
    words: [u64; 2],
    copy: u64,
}

impl Files {
    fn open(disk: &dyn Disk) -> io::Result<Files> {
        let mut files = Vec::new();
        for key in 0..KEYS {
            let file = disk.open(Path::new(&key.to_string()), &OpenOptions::CREATE)?;
            if !planted!("recovery_trusts_page_cache") {
                file.sync_data()?;
            }
            let (words, copy) = newest(&*file, 0)?;
            files.push(Record { file, words, copy });
        }
        disk.sync_dir(root())?;
        Ok(Files { files })
    }
}

impl Store for Files {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let record = &mut self.files[usize::from(key)];
        record.words = [record.words[0] + 1, value];
        record.copy = 1 - record.copy;
        record.file.write_all_at(&sealed(&record.words), record.copy * SECTOR)?;
        record.file.sync_data()
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.files[usize::from(key)].words[1]))
    }
}
