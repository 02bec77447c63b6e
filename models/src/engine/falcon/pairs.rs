//! Pairs as rows of Falcon's tables.
//!
//! # Method
//!
//! A pair is a row of one of a few tables, by a sum of its key: the key, a tag made of the value's first bytes,
//! the value. The key has a unique index, and tag and key may have another. A transaction that may write locks
//! what it reads for writing at once, so that two that read the same do not end in a deadlock each time. Where
//! several calls of the engine must come to the same answer, the run's choices say which is made; where two
//! are made, they are compared.
//!
//! # Invariant
//!
//! Nothing is repaired: an answer of the engine is passed on as it came, or two that differ are told.

use std::ops::Bound;

use falcon::page::RecordNumber;
use falcon::page::key::KeyValue;
use falcon::{Database as Falcon, Direction, Error, Row, TableSpec, Transaction as Txn};

use super::{bounds, damaged, failure, kinds, origin, pick, refusals, shown};
use crate::engine::{Access, Database, EngineError, Order, Pair, Promise, Settings, Transaction};

const BY_KEY: &str = "by_key";
const BY_TAG: &str = "by_tag";
const TAG_BYTES: usize = 2;
/// Tables that upkeep makes.
const SCRATCH_COUNT: u64 = 2;
/// Sequences that it makes.
const SEQUENCE_COUNT: u64 = 2;
/// Numbers that it takes of one at a time, at most.
const NUMBERS_MAX: u64 = 8;
/// The table of numbers that a sequence has given.
const GIVEN: &str = "given";
/// Rows that such a table gets at a time, at most, their bytes, and how many different ones there are.
const SCRATCH_ROWS_MAX: u64 = 24;
const SCRATCH_BYTES: usize = 100;
const SCRATCH_ROWS: u64 = 64;
/// The table whose rows come and go, its different rows, and what is done to them at a time, at most.
const CLAIMS: &str = "claims";
const CLAIM_ROWS: u64 = 3;
const CLAIM_STEPS_MAX: u64 = 3;

/// How the engine is used.
#[derive(Clone, Debug)]
pub(super) struct Use {
    tables: u64,
    tag_index: bool,
    insert_first: bool,
    range_by: String,
    /// Of a value that no page takes as a whole.
    long_bytes: usize,
}

impl Use {
    pub(super) fn of(settings: &Settings) -> Use {
        Use {
            tables: settings.number("tables"),
            tag_index: settings.flag("tag_index"),
            insert_first: settings.flag("insert_first"),
            range_by: settings.text("range_by").into(),
            long_bytes: 2 * settings.number("page_bytes") as usize,
        }
    }

    fn spec(&self, table: u64) -> TableSpec {
        let spec = TableSpec::new(name(table), 3).index(BY_KEY, &[0], true);
        if self.tag_index { spec.index(BY_TAG, &[1, 0], false) } else { spec }
    }

    /// The table of a key: neighbours are in different ones.
    fn table_of(&self, key: &[u8]) -> usize {
        let sum: u64 = key.iter().map(|byte| u64::from(*byte)).sum();
        (sum % self.tables) as usize
    }

    fn is_mixed(&self) -> bool {
        self.range_by == "mixed"
    }

    fn way(&self) -> Way {
        match self.range_by.as_str() {
            "index" => Way::Forward,
            "backward" => Way::Backward,
            "scan" => Way::Scan,
            _ => [Way::Forward, Way::Backward, Way::Scan][pick("falcon/range", 3) as usize],
        }
    }
}

/// How a range is read.
#[derive(Clone, Copy)]
enum Way {
    Forward,
    Backward,
    Scan,
}

fn name(table: u64) -> String {
    format!("pair-{table}")
}

pub(super) struct FalconDatabase {
    falcon: Falcon,
    used: Use,
    /// Whether it has rows that an earlier revision has left.
    is_old: bool,
}

/// A table of pairs with its index.
struct Place {
    table: falcon::Table,
    by_key: falcon::Index,
}

impl FalconDatabase {
    /// Makes the tables that are not there yet.
    pub(super) fn new(
        falcon: Falcon,
        used: Use,
        is_old: bool,
    ) -> Result<FalconDatabase, EngineError> {
        for table in (0..used.tables).filter(|table| falcon.table(&name(*table)).is_none()) {
            falcon.create_table(&used.spec(table)).map_err(failure)?;
        }
        Ok(FalconDatabase { falcon, used, is_old })
    }

    fn place(&self, table: u64) -> Result<Place, EngineError> {
        let gone = || EngineError::Corrupt { what: format!("table {} is gone", name(table)) };
        let table = self.falcon.table(&name(table)).ok_or_else(gone)?;
        let by_key = table.index(BY_KEY).ok_or_else(gone)?;
        Ok(Place { table, by_key })
    }

    /// A table of its own that gets more rows, is read, loses some, or goes.
    fn scratch(&self) -> Result<(), Error> {
        // Most often the first, so that clients meet.
        let which = pick("falcon/scratch", 2 * SCRATCH_COUNT).saturating_sub(SCRATCH_COUNT);
        let name = format!("scratch-{which}");
        let spec = TableSpec::new(name.clone(), 2).index("all", &[0], false);
        let table = match self.falcon.table(&name) {
            Some(table) => match pick("falcon/drop", 6) {
                0..=1 => table,
                kind @ 2..=3 => return self.read_scratch(&table, kind == 3),
                _ => return self.falcon.drop_table(&name),
            },
            None => self.falcon.create_table(&spec)?,
        };
        let mut txn = self.falcon.begin();
        for _ in 0..=pick("falcon/rows", SCRATCH_ROWS_MAX) {
            // A zero would take two bytes of a key.
            let row = [1 + pick("falcon/row", SCRATCH_ROWS) as u8; SCRATCH_BYTES];
            txn.insert(&table, &[bytes(&row), KeyValue::Null])?;
        }
        if pick("falcon/long", 8) == 7 {
            // Longer than a page.
            let long = vec![1; self.used.long_bytes];
            txn.insert(&table, &[KeyValue::Null, bytes(&long)])?;
        }
        txn.commit()
    }

    /// Reads all rows of a table of its own, and deletes the first ones.
    fn read_scratch(&self, table: &falcon::Table, deletes: bool) -> Result<(), Error> {
        let all = table.index("all").expect("it was made with it");
        let (mut txn, any) = (self.falcon.begin(), Bound::Unbounded);
        let found = txn
            .range(&all, any, any, Direction::Forward)?
            .map(|found| found.map(|(record, _)| record))
            .collect::<Result<Vec<_>, _>>()?;
        let count = if deletes { pick("falcon/deleted", SCRATCH_ROWS_MAX) } else { 0 };
        for record in found.into_iter().take(count as usize) {
            txn.delete(table, record)?;
        }
        txn.commit()
    }

    /// Rows with few unique keys are inserted, deleted and read, all by whoever comes. What a transaction has
    /// read it must read again.
    fn claim(&self) -> Result<(), EngineError> {
        let spec = TableSpec::new(CLAIMS, 1).index(BY_KEY, &[0], true);
        let Some(table) = found_or_made(&self.falcon, &spec)? else { return Ok(()) };
        let by_key = table.index(BY_KEY).expect("it was made with it");
        let mut txn = self.falcon.begin();
        for _ in 0..=pick("falcon/claims", CLAIM_STEPS_MAX) {
            let row = [KeyValue::U64(pick("falcon/claimed", CLAIM_ROWS))];
            let done = match pick("falcon/claim", 3) {
                0 => match txn.insert(&table, &row) {
                    Err(Error::Duplicate { .. }) => Ok(()),
                    inserted => inserted.map(drop),
                },
                1 => txn.get_for_update(&by_key, &row).and_then(|found| match found {
                    Some((record, _)) => txn.delete(&table, record).map(drop),
                    None => Ok(()),
                }),
                _ => {
                    let found = txn.get(&by_key, &row).map_err(failure)?;
                    let again = txn.get(&by_key, &row).map_err(failure)?;
                    if found != again {
                        let what = format!("one transaction has read {found:?}, then {again:?}");
                        return Err(EngineError::Corrupt { what });
                    }
                    Ok(())
                }
            };
            done.map_err(failure)?;
        }
        txn.commit().map_err(failure)
    }

    /// No count of the engine's ever falls.
    fn counts(&self) -> Result<(), EngineError> {
        let (before, now) = (self.falcon.statistics(), self.falcon.statistics());
        let fallen = before
            .iter()
            .zip(now.iter())
            .find(|(before, now)| before.0 != now.0 || before.1 > now.1);
        match fallen {
            None => Ok(()),
            Some((before, now)) => {
                let what = format!("a count was {before:?}, and is {now:?}");
                Err(EngineError::Corrupt { what })
            }
        }
    }

    /// What is shown, what is refused, or what is just too much.
    fn looked(&self) -> Result<(), EngineError> {
        match pick("falcon/looked", 60) {
            0..=19 => shown::upkeep(&self.falcon),
            20 => bounds::upkeep(&self.falcon, &self.place(0)?.table),
            _ => refusals::upkeep(&self.falcon, &self.place(0)?.table),
        }
    }

    /// A number of a sequence, or a sequence goes. The numbers of one, which never goes, are kept in a table:
    /// none may come twice.
    fn number(&self) -> Result<(), Error> {
        // Most often the one whose numbers are kept.
        let which = pick("falcon/sequence", 2 * SEQUENCE_COUNT).saturating_sub(SEQUENCE_COUNT);
        let name = format!("numbers-{which}");
        let Some(sequence) = self.falcon.sequence(&name) else {
            return self.falcon.create_sequence(&name).map(drop);
        };
        if which > 0 && pick("falcon/drop_sequence", 4) == 3 {
            return self.falcon.drop_sequence(&name);
        }
        let count = 1 + pick("falcon/numbers", NUMBERS_MAX);
        let numbers = (0..count).map(|_| sequence.next()).collect::<Result<Vec<i64>, Error>>()?;
        if which > 0 {
            return Ok(());
        }
        let given = match self.falcon.table(GIVEN) {
            Some(given) => given,
            None => {
                let spec = TableSpec::new(GIVEN, 1).index("number", &[0], true);
                self.falcon.create_table(&spec)?
            }
        };
        let mut txn = self.falcon.begin();
        for number in numbers {
            txn.insert(&given, &[KeyValue::U64(number as u64)])?;
        }
        txn.commit()
    }
}

/// The table of this name; nothing if another client makes it at the same time.
pub(super) fn found_or_made(
    falcon: &Falcon,
    spec: &TableSpec,
) -> Result<Option<falcon::Table>, EngineError> {
    if let Some(table) = falcon.table(&spec.name) {
        return Ok(Some(table));
    }
    match falcon.create_table(spec) {
        Err(Error::Schema { .. }) => Ok(None),
        made => made.map(Some).map_err(failure),
    }
}

impl Database for FalconDatabase {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let places = (0..self.used.tables).map(|table| self.place(table));
        let places = places.collect::<Result<_, _>>()?;
        let txn = self.falcon.begin();
        Ok(Box::new(FalconTransaction { txn, access, places, used: &self.used }))
    }

    fn upkeep(&self) -> Result<(), EngineError> {
        let done = match pick("falcon/upkeep", 22) {
            0 => self.falcon.checkpoint(),
            1 => {
                self.counts()?;
                let place = self.place(pick("falcon/locked", self.used.tables))?;
                let is_exclusive = pick("falcon/exclusive", 2) == 1;
                self.falcon.begin().lock_table(&place.table, is_exclusive)
            }
            2..=8 => self.number(),
            9..=10 => return self.claim(),
            11..=16 => self.scratch(),
            17..=18 => return kinds::upkeep(&self.falcon),
            19..=20 => return damaged::upkeep(),
            _ => return self.looked(),
        };
        match done {
            // Another client has made or dropped it first.
            Err(Error::Schema { .. } | Error::Dropped { .. } | Error::Unknown { .. }) => Ok(()),
            // Of all tables that upkeep writes the numbers' alone has unique keys.
            Err(Error::Duplicate { .. }) => {
                Err(EngineError::Corrupt { what: "a sequence has given a number twice".into() })
            }
            done => done.map_err(failure),
        }
    }

    fn check(&mut self) -> Result<(), EngineError> {
        if self.is_old {
            origin::check(&self.falcon)?;
        }
        let report = self.falcon.verify().map_err(failure)?;
        match report.problems.as_slice() {
            [] => Ok(()),
            problems => Err(EngineError::Corrupt { what: problems.join("; ") }),
        }
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        self.falcon.close().map_err(failure)?;
        Ok(Promise::Durable)
    }
}

struct FalconTransaction<'d> {
    txn: Txn<'d>,
    access: Access,
    places: Vec<Place>,
    used: &'d Use,
}

impl FalconTransaction<'_> {
    fn find(&self, key: &[u8]) -> Result<Option<(RecordNumber, Row)>, EngineError> {
        let Place { table, by_key } = &self.places[self.used.table_of(key)];
        let key = [bytes(key)];
        let found = match self.access {
            Access::Write => self.txn.get_for_update(by_key, &key),
            Access::Read if self.used.is_mixed() => {
                return self.find_again(table, by_key, &key);
            }
            Access::Read => self.txn.get(by_key, &key),
        };
        found.map_err(failure)
    }

    /// By a batch of one key twice, then by the record's number.
    fn find_again(
        &self,
        table: &falcon::Table,
        by_key: &falcon::Index,
        key: &[KeyValue<'_>],
    ) -> Result<Option<(RecordNumber, Row)>, EngineError> {
        let found = self.txn.get_many(by_key, &[key.to_vec(), key.to_vec()]).map_err(failure)?;
        let again = match &found[0] {
            Some((record, _)) => {
                let row = self.txn.read(table, *record).map_err(failure)?;
                row.map(|row| (*record, row))
            }
            None => None,
        };
        if found[0] != found[1] || found[0] != again {
            let what = format!("one row was read as {found:?} and as {again:?}");
            return Err(EngineError::Corrupt { what });
        }
        Ok(again)
    }

    fn may_write(&self) -> Result<(), EngineError> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(EngineError::Refused { what: "the transaction only reads".into() }),
        }
    }

    /// The pairs of one table in a range.
    fn of_table(
        &self,
        place: &Place,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Vec<Pair>, EngineError> {
        let direction = match self.used.way() {
            Way::Forward => Direction::Forward,
            Way::Backward => Direction::Backward,
            Way::Scan => return self.scanned(place, from, to),
        };
        let (from, to) = ([bytes(from)], to.map(|to| [bytes(to)]));
        let to = to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        let range = self.txn.range(&place.by_key, Bound::Included(&from[..]), to, direction);
        let found = range.map_err(failure)?;
        let mut pairs = found.map(of_found).collect::<Result<Vec<_>, _>>()?;
        if direction == Direction::Backward {
            pairs.reverse();
        }
        // The order of the index is the engine's promise; the merge of tables would hide it.
        if !pairs.is_sorted_by(|(one, _), (other, _)| one < other) {
            let keys: Vec<_> = pairs.into_iter().map(|(key, _)| key).collect();
            return Err(EngineError::Corrupt {
                what: format!("a range is out of order: {keys:?}"),
            });
        }
        Ok(pairs)
    }

    fn scanned(
        &self,
        place: &Place,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Vec<Pair>, EngineError> {
        let scan = self.txn.scan(&place.table).map_err(failure)?;
        let pairs = scan.map(of_found).collect::<Result<Vec<_>, _>>()?;
        let is_in = |key: &[u8]| from <= key && to.is_none_or(|to| key < to);
        Ok(pairs.into_iter().filter(|(key, _)| is_in(key)).collect())
    }
}

impl Transaction for FalconTransaction<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.find(key)?.map(|(_, row)| pair(row).map(|(_, value)| value)).transpose()
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.may_write()?;
        let tag = &value[..value.len().min(TAG_BYTES)];
        let row = [bytes(key), bytes(tag), bytes(value)];
        let place = self.used.table_of(key);
        if self.used.insert_first {
            match self.txn.insert(&self.places[place].table, &row) {
                Err(Error::Duplicate { .. }) => {}
                inserted => return inserted.map(drop).map_err(failure),
            }
        }
        let found = self.find(key)?;
        let table = &self.places[place].table;
        let put = match found {
            Some((record, _)) => self.txn.update(table, record, &row).map(drop),
            None => self.txn.insert(table, &row).map(drop),
        };
        put.map_err(failure)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.may_write()?;
        if let Some((record, _)) = self.find(key)? {
            let table = &self.places[self.used.table_of(key)].table;
            self.txn.delete(table, record).map_err(failure)?;
        }
        Ok(())
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let mut pairs = Vec::new();
        for place in &self.places {
            pairs.extend(self.of_table(place, from, to)?);
        }
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(pairs)
    }

    fn some(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, EngineError> {
        let (from, to) = ([bytes(from)], to.map(|to| [bytes(to)]));
        let to = to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        let direction = match order {
            Order::Ascending => Direction::Forward,
            Order::Descending => Direction::Backward,
        };
        let mut pairs = Vec::new();
        for place in &self.places {
            let range = self.txn.range(&place.by_key, Bound::Included(&from[..]), to, direction);
            // No more of any table is read than all may need.
            for found in range.map_err(failure)?.take(limit) {
                pairs.push(of_found(found)?);
            }
        }
        pairs.sort_by(|(one, _), (other, _)| match order {
            Order::Ascending => one.cmp(other),
            Order::Descending => other.cmp(one),
        });
        pairs.truncate(limit);
        Ok(pairs)
    }

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        self.txn.commit().map_err(failure)?;
        Ok(Promise::Durable)
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        self.txn.rollback();
        Ok(())
    }
}

fn bytes(bytes: &[u8]) -> KeyValue<'_> {
    KeyValue::Bytes(bytes.into())
}

fn of_found(found: falcon::Result<(RecordNumber, Row)>) -> Result<Pair, EngineError> {
    pair(found.map_err(failure)?.1)
}

/// The key and the value of a row, whose tag must be its value's.
fn pair(row: Row) -> Result<Pair, EngineError> {
    match <[KeyValue<'_>; 3]>::try_from(row) {
        Ok([KeyValue::Bytes(key), KeyValue::Bytes(tag), KeyValue::Bytes(value)])
            if *tag == value[..value.len().min(TAG_BYTES)] =>
        {
            Ok((key.into_owned(), value.into_owned()))
        }
        Ok(other) => Err(EngineError::Corrupt { what: format!("a row is no pair: {other:?}") }),
        Err(other) => Err(EngineError::Corrupt { what: format!("a row is no pair: {other:?}") }),
    }
}
