//! Which record numbers of a table can be given to new rows.
//!
//! # Method
//!
//! A number is free when no row has it on a page and no transaction has taken it. The numbers behind the
//! last row were never used; those between are found when the table is first asked for one, and come back
//! when a deleted row has left its page. A transaction that rolls back gives its numbers back at once.
//!
//! # Invariant
//!
//! A number is handed out again only when the row that had it is gone from its page and nobody holds it.

use std::collections::BTreeSet;

use crate::page::RecordNumber;

/// The free numbers of one table.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Free numbers below the next one.
    free: BTreeSet<RecordNumber>,
    /// All from here on are free.
    next: RecordNumber,
    /// Whether the pages were looked at.
    is_known: bool,
}

impl Numbers {
    /// Whether the pages were looked at.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// What a look at the pages gave: the number behind the last row, and the free ones below.
    pub(crate) fn know(
        &mut self,
        next: RecordNumber,
        free: impl IntoIterator<Item = RecordNumber>,
    ) {
        self.next = next;
        self.free.extend(free);
        self.is_known = true;
    }

    /// A number for a new row.
    pub(crate) fn take(&mut self) -> RecordNumber {
        if let Some(record) = self.free.pop_first() {
            return record;
        }
        let record = self.next;
        self.next = RecordNumber(record.0 + 1);
        record
    }

    /// The row of that number is gone, or never came.
    pub(crate) fn give_back(&mut self, record: RecordNumber) {
        if self.is_known {
            let is_new = self.free.insert(record);
            assert!(is_new, "record {} was given back twice", record.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_numbers_come_first_and_come_back() {
        let mut numbers = Numbers::default();
        numbers.know(RecordNumber(3), [RecordNumber(1)]);
        assert_eq!([numbers.take().0, numbers.take().0, numbers.take().0], [1, 3, 4]);
        numbers.give_back(RecordNumber(3));
        assert_eq!([numbers.take().0, numbers.take().0], [3, 5]);
    }
}
