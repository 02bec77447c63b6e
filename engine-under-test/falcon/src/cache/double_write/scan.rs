//! Finds the copies that a crash left.
//!
//! # Method
//!
//! Every place that an entry may have is looked at. Where a whole entry of this database is, the scan goes
//! on behind it, so nothing within a page can pass for an entry; elsewhere it goes on at the next place. The
//! entries of the highest generation count. An entry that is not whole is passed over; but if its header is,
//! then its generation has begun, and no older one counts.
//!
//! # Invariant
//!
//! Every copy that is found lies in a whole entry, and is a whole page itself.

use std::collections::BTreeMap;

use super::entry::{self, Generation, Header};
use super::{ALIGNMENT_MIN, Home};
use crate::read_ahead::ReadAhead;
use crate::{Error, Lsn, PageId, Result, page};

/// Where the newest copy of a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) lsn: Lsn,
    /// Of the image in the file.
    pub(super) offset: u64,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The copies of the last generation.
    pub(super) copies: BTreeMap<PageId, Copy>,
    /// That generation, the last one that was begun; 0 if none was.
    pub(super) generation: Generation,
    /// Where its last whole entry ends.
    pub(super) end: u64,
}

/// Looks through the whole file.
pub(super) fn scan(home: &Home) -> Result<Found> {
    let len = home.file.len().map_err(home.io("length"))?;
    let mut reader = ReadAhead::new(len, |buffer, offset| {
        home.file.read_exact_at(buffer, offset).map_err(home.io("read"))
    });
    let mut found = Found::default();
    let mut offset = 0;
    while offset + entry::HEADER_BYTES as u64 <= len {
        let mut step = u64::from(ALIGNMENT_MIN);
        let bytes = reader.at(offset, entry::HEADER_BYTES as u64)?;
        if let Some(header) = entry::peek(bytes, offset) {
            if header.database == home.database {
                found.begin(header.generation);
            }
            let entry_bytes = u64::from(header.entry_bytes);
            let is_there = entry_bytes <= len - offset;
            if is_there && entry::check(reader.at(offset, entry_bytes)?, offset) {
                found.add(home, &header, reader.at(offset, entry_bytes)?, offset)?;
                step = entry_bytes;
            }
        }
        offset += step;
    }
    Ok(found)
}

impl Found {
    /// There is an entry of this generation, whole or not.
    fn begin(&mut self, generation: Generation) {
        if generation > self.generation {
            self.copies.clear();
            self.generation = generation;
        }
    }

    /// Takes a whole entry into account.
    fn add(&mut self, home: &Home, header: &Header, bytes: &[u8], offset: u64) -> Result<()> {
        believe(home, header)?;
        if header.generation < self.generation {
            return Ok(());
        }
        self.end = offset + u64::from(header.entry_bytes);
        for (page, at) in header.images() {
            let image = &bytes[at..at + home.page_size.bytes()];
            let checked = page::check(image, page);
            let lsn = checked.map_err(|error| home.damaged(offset, error.to_string()))?.lsn;
            // Of two copies with the same place in the log the later one is as good.
            if self.copies.get(&page).is_none_or(|before| before.lsn <= lsn) {
                let offset = offset + at as u64;
                self.copies.insert(page, Copy { lsn, offset });
            }
        }
        Ok(())
    }
}

/// Refuses a whole entry that is not for us.
fn believe(home: &Home, header: &Header) -> Result<()> {
    let file = || home.path.clone();
    if header.format > entry::FORMAT {
        return Err(Error::Newer { file: file(), found: header.format, known: entry::FORMAT });
    }
    if header.database != home.database {
        let (found, expected) = (header.database, home.database);
        let what = format!("it belongs to database {found:#x}, not to {expected:#x}");
        return Err(Error::Foreign { file: file(), what });
    }
    if header.page_size != home.page_size {
        let (name, value) = ("page_bytes", home.page_size.bytes() as u64);
        return Err(Error::Setting {
            name,
            value,
            range: "that of the pages in the double-write file",
        });
    }
    Ok(())
}
