//! A checksum ends one byte before the page does.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{checksum, open_durable, read_up_to, shown, word};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "checksum_skips_a_byte",
    family: Family::Storage,
    source: "incomplete checksum coverage, an off-by-one at the end of a page",
    bug: "the last byte of a page is not in its checksum, so a tear before it goes unnoticed",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Pages::open(&*disk)?))),
};

/// Two sectors: checksum, number of the version, zeros, and the value with its high byte first.
const PAGE: usize = 1024;

/// Two pages a record, written in turn.
struct Pages {
    file: Arc<dyn File>,
    /// Version and value of each record, zeros for one that was never written.
    newest: [(u64, u64); KEYS as usize],
}

fn covered(page: &[u8]) -> &[u8] {
    let end = if planted!("checksum_skips_a_byte") { PAGE - 1 } else { PAGE };
    &page[8..end]
}

/// A page lies across the border of two blocks.
fn offset(key: usize, version: u64) -> u64 {
    (2 * key as u64 + version % 2 + 1) * 4096 - 512
}

impl Pages {
    fn open(disk: &dyn Disk) -> io::Result<Pages> {
        let file = open_durable(disk, "pages")?;
        let mut newest = [(0, 0); KEYS as usize];
        for (key, newest) in newest.iter_mut().enumerate() {
            for copy in 0..2 {
                let page = read_up_to(&*file, PAGE, offset(key, copy))?;
                if page.len() == PAGE && checksum(covered(&page)) == word(&page, 0) {
                    let value = word(&page, PAGE / 8 - 1).swap_bytes();
                    *newest = (word(&page, 1), value).max(*newest);
                }
            }
        }
        Ok(Pages { file, newest })
    }
}

impl Store for Pages {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let key = usize::from(key);
        let version = self.newest[key].0 + 1;
        let mut page = [0; PAGE];
        page[8..16].copy_from_slice(&version.to_le_bytes());
        page[PAGE - 8..].copy_from_slice(&value.to_be_bytes());
        let sum = checksum(covered(&page));
        page[..8].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all_at(&page, offset(key, version))?;
        self.file.sync_data()?;
        self.newest[key] = (version, value);
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.newest[usize::from(key)].1))
    }
}
