//! Recovery adds a logged difference once more to a table that has it.

use std::io;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File};
use falconry_seam::planted;

use super::record::{SECTOR, newest, open_durable, read_record, sealed, shown};
use crate::specimen::{Body, Family, KEYS, Specimen, Store};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "recovery_is_not_idempotent",
    family: Family::Storage,
    source: "redo that is not idempotent (ARIES, Mohan et al., TODS 1992, on why pages carry an LSN)",
    bug: "redo adds a difference without asking whether the table has it already",
    faults: &[],
    body: Body::Store(|disk| Ok(Box::new(Table::open(&*disk)?))),
};

/// A table in two copies, and a journal of the one change that is under way.
struct Table {
    journal: Arc<dyn File>,
    file: Arc<dyn File>,
    /// The number of the last change in it, and the values.
    words: [u64; 1 + KEYS as usize],
}

impl Table {
    fn open(disk: &dyn Disk) -> io::Result<Table> {
        let (journal, file) = (open_durable(disk, "journal")?, open_durable(disk, "table")?);
        let (words, _) = newest(&*file, 0)?;
        let mut table = Table { journal, file, words };
        if let Some([number, key, difference]) = read_record(&*table.journal, 0)?
            && (planted!("recovery_is_not_idempotent") || number > words[0])
        {
            table.apply(number, key, difference)?;
        }
        Ok(table)
    }

    /// Brings a change from the journal into the table.
    fn apply(&mut self, number: u64, key: u64, difference: u64) -> io::Result<()> {
        let slot = &mut self.words[1 + key as usize];
        *slot = slot.wrapping_add(difference);
        self.words[0] = number;
        self.file.write_all_at(&sealed(&self.words), number % 2 * SECTOR)?;
        self.file.sync_data()?;
        self.journal.set_len(0)?;
        self.journal.sync_all()
    }
}

impl Store for Table {
    fn put(&mut self, key: u8, value: u64) -> io::Result<()> {
        let number = self.words[0] + 1;
        let difference = value.wrapping_sub(self.words[1 + usize::from(key)]);
        self.journal.write_all_at(&sealed(&[number, u64::from(key), difference]), 0)?;
        self.journal.sync_data()?;
        self.apply(number, u64::from(key), difference)
    }

    fn get(&mut self, key: u8) -> io::Result<Option<u64>> {
        Ok(shown(self.words[1 + usize::from(key)]))
    }
}
