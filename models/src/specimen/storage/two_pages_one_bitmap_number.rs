//! Two records have one bit of the map that says which of two copies counts.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{SECTOR, newest, open_durable, read_record, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "two_pages_one_bitmap_number",
    family: Family::Storage,
    source: "bitmap arithmetic, an off-by-one that shows when a store grows by a group",
    bug: "the first page of the second group has the bit of the last page of the first",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Shadow::open(&*disk)?))),
};

/// Pages of a group.
const GROUP: u64 = 4;

/// Two copies a page; a put writes the one that does not count, then turns the page's bit.
struct Shadow {
    pages: Arc<dyn File>,
    map: Arc<dyn File>,
    /// The number of the version, and the bits.
    words: [u64; 2],
    copy: u64,
}

/// The number of a page's bit.
fn number(page: u64) -> u64 {
    let of_a_group = if planted!("two_pages_one_bitmap_number") { GROUP - 1 } else { GROUP };
    page / GROUP * of_a_group + page % GROUP
}

/// Where the copy is that counts by these bits.
fn offset(page: u64, bits: u64) -> u64 {
    (2 * page + (bits >> number(page) & 1)) * SECTOR
}

impl Shadow {
    fn open(disk: &dyn Disk) -> io::Result<Shadow> {
        let (pages, map) = (open_durable(disk, "pages")?, open_durable(disk, "map")?);
        let (words, copy) = newest(&*map, 0)?;
        Ok(Shadow { pages, map, words, copy })
    }
}

impl Store for Shadow {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let page = u64::from(key);
        let [version, bits] = self.words;
        let turned = bits ^ 1 << number(page);
        self.pages.write_all_at(&sealed(&[value]), offset(page, turned))?;
        self.pages.sync_data()?;
        self.words = [version + 1, turned];
        self.copy = 1 - self.copy;
        self.map.write_all_at(&sealed(&self.words), self.copy * SECTOR)?;
        self.map.sync_data()
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        let offset = offset(u64::from(key), self.words[1]);
        let record: Option<[u64; 1]> = read_record(&*self.pages, offset)?;
        Ok(record.and_then(|[value]| shown(value)))
    }
}
