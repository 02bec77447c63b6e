//! Recovery puts the page of an old version on the free list twice.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{SECTOR, damaged, open_durable, read_record, sealed};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "page_freed_twice",
    family: Family::Storage,
    source: "double free of a page in a copy-on-write store",
    bug: "recovery frees the page of a superseded version, and once more as a page without a record",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Pages::open(&*disk)?))),
};

const PAGES: u64 = KEYS as u64 + 2;

/// A new version of a record goes to a free page, and frees the page of the old one.
struct Pages {
    file: Arc<dyn File>,
    free: VecDeque<u64>,
    place: [Option<u64>; KEYS as usize],
    version: u64,
}

impl Pages {
    fn open(disk: &dyn Disk) -> io::Result<Pages> {
        let file = open_durable(disk, "pages")?;
        let mut place = [None; KEYS as usize];
        let mut versions = [0; KEYS as usize];
        let mut free = VecDeque::new();
        for page in 0..PAGES {
            let Some([version, key, _]) = read_record::<3>(&*file, page * SECTOR)? else {
                continue;
            };
            let key = key as usize;
            let superseded = if version > versions[key] {
                versions[key] = version;
                place[key].replace(page)
            } else {
                Some(page)
            };
            if planted!("page_freed_twice") {
                free.extend(superseded);
            }
        }
        free.extend((0..PAGES).filter(|page| !place.contains(&Some(*page))));
        let version = versions.into_iter().max().unwrap_or(0);
        Ok(Pages { file, free, place, version })
    }
}

impl Store for Pages {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let page = self.free.pop_front().ok_or(io::ErrorKind::StorageFull)?;
        self.version += 1;
        let record = sealed(&[self.version, u64::from(key), value]);
        self.file.write_all_at(&record, page * SECTOR)?;
        self.file.sync_data()?;
        self.free.extend(self.place[usize::from(key)].replace(page));
        Ok(())
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        let Some(page) = self.place[usize::from(key)] else { return Ok(None) };
        let [_, _, value] = read_record(&*self.file, page * SECTOR)?.ok_or_else(damaged)?;
        Ok(Some(value))
    }
}
