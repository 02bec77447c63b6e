//! The double-write file: a whole copy of every page that a crash may tear.
//!
//! # Method
//!
//! Before a run of neighbouring pages is written in place, their sealed images are written to this file,
//! as one entry behind the last one, and synced. An opening after a crash looks at each page that has a
//! copy: one that is torn in place gets its copy. When the file is full the pages in place are synced;
//! with that no copy is needed any more, and a new *generation* of entries begins at the file's start.
//!
//! ```text
//! an entry  byte 0..4   4..8    8..10   10..12  12..16      16..24    24..32      32..36      36..40
//!                "fDbl"  CRC-32C format  zero    page_bytes  database  generation  tablespace  page
//!                40..44  44..48       48..52             52..64  64..
//!                pages   entry_bytes  CRC of the header  zero    the images of the pages, and zeros
//!                                                                up to the alignment
//! ```
//!
//! Numbers are little-endian. `page` is the first of the neighbours, `pages` how many they are; each image
//! has its own place in the log and its own checksum. The entry's checksum covers the offset of the entry
//! in the file (eight bytes), and the whole entry but for itself; that of the header covers the offset and
//! bytes 8..48. The alignment is at least a sector, so
//! that no write touches a sector of another entry. An entry without pages, at the start of the file, says
//! that its generation has begun.
//!
//! # Why no older copy goes over newer content
//!
//! A repair takes, of the last generation that was begun, the newest copy of each page that is not whole in
//! place. Say that a crash tore page P.
//!
//! 1. A write in place begins when its copy is durable. So the last one of P, the one that tore it, has a
//!    durable copy C, of some generation G.
//! 2. No generation after G was begun. For that, all writes in place that rely on G would have ended, those
//!    that failed would have been done again, and a sync of all files would have succeeded after that. Then
//!    P would have been whole on the disk, and nothing has been written there since. So G is the last
//!    generation, and nothing has overwritten C, for within a generation each entry has a place of its own.
//! 3. A page is written by one thread at a time, and its place in the log never goes back. So the newest
//!    copy of P in G is C, or that of a write in place which had not begun yet. Both are at least as new as
//!    all that ever was in place, and the log tells of both: it was durable before they were made.
//!
//! A whole page keeps its content, whatever its copy is. Entries that are not whole were being written when
//! the crash came, so nothing in place relied on them.
//!
//! # Invariant
//!
//! Of every page that may not be whole on the disk there is a durable copy in the present generation.

mod copies;
mod entry;
mod repair;
mod scan;

use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::File;

pub use copies::{DoubleWrite, DoubleWriteCounters};
pub use repair::Repaired;

use crate::page::PageSize;
use crate::{Error, Result};

/// The most pages that a generation may hold.
const CAPACITY_PAGES_MAX: usize = 1 << 16;
/// The smallest alignment of entries, at which all of them are looked for.
const ALIGNMENT_MIN: u32 = 512;
/// The largest.
const ALIGNMENT_MAX: u32 = 1 << 16;

/// How large a double-write file is. Both fields may be changed from one opening to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoubleWriteConfig {
    /// Pages of one generation, 1 to 65,536: so many are copied before the files have to be synced. At least
    /// as many as one run may have.
    pub capacity_pages: usize,
    /// What entries are aligned to: a power of two from 512 to 65,536, at least a sector of the disk.
    pub align_bytes: u32,
}

impl Default for DoubleWriteConfig {
    /// 1,024 pages, aligned to 4 KiB.
    fn default() -> Self {
        DoubleWriteConfig { capacity_pages: 1_024, align_bytes: 4_096 }
    }
}

impl DoubleWriteConfig {
    fn validate(&self) -> Result<()> {
        let DoubleWriteConfig { capacity_pages, align_bytes } = *self;
        if !(1..=CAPACITY_PAGES_MAX).contains(&capacity_pages) {
            let (name, range) = ("capacity_pages", "from 1 to 65,536");
            return Err(Error::Setting { name, value: capacity_pages as u64, range });
        }
        if !align_bytes.is_power_of_two() || !(ALIGNMENT_MIN..=ALIGNMENT_MAX).contains(&align_bytes)
        {
            let (name, range) = ("align_bytes", "a power of two from 512 to 65,536");
            return Err(Error::Setting { name, value: align_bytes.into(), range });
        }
        Ok(())
    }
}

/// The file, and what is the same in all its entries.
struct Home {
    file: Arc<dyn File>,
    path: std::path::PathBuf,
    page_size: PageSize,
    database: u64,
}

impl Home {
    fn io(&self, op: &'static str) -> impl Fn(std::io::Error) -> Error {
        move |error| Error::io(op, &self.path, error)
    }

    fn damaged(&self, offset: u64, what: String) -> Error {
        Error::Damaged {
            file: self.path.clone(),
            place: format!("the entry at byte {offset}"),
            what,
        }
    }
}

impl DoubleWrite {
    /// Opens the file, new and empty or with what a life before this one left in it. Nothing is written.
    /// The file is one that nobody else writes, and its name is durable.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a configuration out of range, or a page size that the entries in the file do
    /// not have; [`Error::Foreign`] for the file of another database, [`Error::Newer`] for one of a newer
    /// Falcon; [`Error::Damaged`] for a whole entry that no Falcon wrote; [`Error::Io`].
    pub fn open(
        file: Arc<dyn File>,
        path: &Path,
        page_size: PageSize,
        database: u64,
        config: DoubleWriteConfig,
    ) -> Result<DoubleWrite> {
        config.validate()?;
        let home = Home { file, path: path.into(), page_size, database };
        let found = scan::scan(&home)?;
        Ok(DoubleWrite::with(home, config, found))
    }
}
