//! A table is overwritten in place before the journal that could undo this is durable.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{open_durable, read_record, sealed, shown};
use crate::specimen::{Body, Family, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "write_ahead_rule_broken",
    family: Family::Storage,
    source: "the write-ahead rule (ARIES, Mohan et al., TODS 1992), broken",
    bug: "the table is overwritten in place before its old contents are durable in the journal",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Table::open(&*disk)?))),
};

const BLOCK: u64 = 4096;

/// A table in two blocks of one version, and a journal of what it held before the last put.
struct Table {
    journal: Arc<dyn File>,
    file: Arc<dyn File>,
    /// The number of the version, and the values.
    words: [u64; 7],
}

impl Table {
    fn open(disk: &dyn Disk) -> io::Result<Table> {
        let (journal, file) = (open_durable(disk, "journal")?, open_durable(disk, "table")?);
        let mut table = Table { journal, file, words: [0; 7] };
        let first: Option<[u64; 4]> = read_record(&*table.file, 0)?;
        let second: Option<[u64; 4]> = read_record(&*table.file, BLOCK)?;
        match (first, second) {
            (Some(first), Some(second)) if first[0] == second[0] => {
                table.words[..4].copy_from_slice(&first);
                table.words[4..].copy_from_slice(&second[1..]);
            }
            _ => {
                table.words = read_record(&*table.journal, 0)?.unwrap_or([0; 7]);
                table.write()?;
            }
        }
        Ok(table)
    }

    fn write(&self) -> io::Result<()> {
        let [version, a, b, c, d, e, f] = self.words;
        self.file.write_all_at(&sealed(&[version, a, b, c]), 0)?;
        self.file.write_all_at(&sealed(&[version, d, e, f]), BLOCK)?;
        self.file.sync_data()
    }
}

impl Store for Table {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        self.journal.write_all_at(&sealed(&self.words), 0)?;
        if !planted!("write_ahead_rule_broken") {
            self.journal.sync_data()?;
        }
        self.words[0] += 1;
        self.words[1 + usize::from(key)] = value;
        self.write()
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.words[1 + usize::from(key)]))
    }
}
