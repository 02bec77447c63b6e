//! A header of two sectors is overwritten in place.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{open_durable, read_record, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "torn_header",
    family: Family::Storage,
    source: "ALICE (Pillai et al., OSDI 2014): an overwrite of several sectors taken for atomic",
    bug: "the only copy of the header is overwritten, which power loss may tear",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Header::open(&*disk)?))),
};

/// Words of a header; with its checksum it fills two sectors.
const WORDS: usize = 127;

/// A header lies across the border of two blocks.
const COPIES: [u64; 2] = [4096 - 512, 3 * 4096 - 512];

/// The number of the version, and the records from the first sector to the last.
struct Header {
    file: Arc<dyn File>,
    words: [u64; WORDS],
}

/// The word that holds a record.
fn place(key: u8) -> usize {
    1 + 25 * usize::from(key)
}

impl Header {
    fn open(disk: &dyn Disk) -> io::Result<Header> {
        let file = open_durable(disk, "header")?;
        let mut words = [0; WORDS];
        for copy in COPIES {
            if let Some(found) = read_record::<WORDS>(&*file, copy)?
                && found[0] > words[0]
            {
                words = found;
            }
        }
        Ok(Header { file, words })
    }
}

impl Store for Header {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        self.words[0] += 1;
        self.words[place(key)] = value;
        let copy = if planted!("torn_header") { 0 } else { self.words[0] as usize % 2 };
        self.file.write_all_at(&sealed(&self.words), COPIES[copy])?;
        self.file.sync_data()
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.words[place(key)]))
    }
}
