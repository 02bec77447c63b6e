//! Who holds which of SQLite's five locks on a database file, among the connections of a process.
//!
//! # Method
//!
//! Each database file has one [`FileLocks`], each connection a [`Seat`] in it. The rules are those
//! that SQLite states for `xLock`: many may hold `Shared`; one of them may besides hold `Reserved`;
//! `Pending` keeps new readers out while the writer waits for the old ones to leave; `Exclusive` has
//! the file alone. A request that cannot be met is refused at once, and SQLite's busy handler decides
//! whether to ask again.
//!
//! # Invariant
//!
//! There is at most one writer, it is counted among `shared`, and when it is `Exclusive` it is the
//! only one counted.

use std::ffi::c_int;

use libsqlite3_sys as ffi;

/// How strongly a connection holds a database file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Not at all.
    #[default]
    None,
    /// It reads.
    Shared,
    /// It reads, and it alone will write.
    Reserved,
    /// It waits for readers to leave, and no new ones may come.
    Pending,
    /// It writes, alone.
    Exclusive,
}

impl Level {
    /// The level of SQLite's number for it.
    pub(crate) fn from_code(code: c_int) -> Option<Level> {
        Some(match code {
            ffi::SQLITE_LOCK_NONE => Level::None,
            ffi::SQLITE_LOCK_SHARED => Level::Shared,
            ffi::SQLITE_LOCK_RESERVED => Level::Reserved,
            ffi::SQLITE_LOCK_PENDING => Level::Pending,
            ffi::SQLITE_LOCK_EXCLUSIVE => Level::Exclusive,
            _ => return None,
        })
    }

    /// SQLite's number for the level.
    pub(crate) fn code(self) -> c_int {
        match self {
            Level::None => ffi::SQLITE_LOCK_NONE,
            Level::Shared => ffi::SQLITE_LOCK_SHARED,
            Level::Reserved => ffi::SQLITE_LOCK_RESERVED,
            Level::Pending => ffi::SQLITE_LOCK_PENDING,
            Level::Exclusive => ffi::SQLITE_LOCK_EXCLUSIVE,
        }
    }
}

/// Another connection holds what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// One connection's place in the locks of a file.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    level: Level,
}

impl Seat {
    /// What the connection holds.
    pub(crate) fn level(&self) -> Level {
        self.level
    }
}

/// The locks of one database file.
#[derive(Debug, Default)]
pub(crate) struct FileLocks {
    /// Seats at `Shared` or above.
    shared: usize,
    /// The highest level above `Shared` that any seat holds.
    writer: Option<Level>,
}

impl FileLocks {
    /// Raises `seat` to `wanted`, or says at once that another connection is in the way. A seat that
    /// was `Reserved` and may not become `Exclusive` yet is `Pending` afterwards.
    pub(crate) fn raise(&mut self, seat: &mut Seat, wanted: Level) -> Result<(), Busy> {
        if seat.level >= wanted {
            return Ok(());
        }
        let writes = seat.level > Level::Shared;
        if !writes && wanted > Level::Shared && self.writer.is_some() {
            return Err(Busy);
        }
        match wanted {
            Level::None => Ok(()),
            Level::Shared => {
                if self.writer >= Some(Level::Pending) {
                    return Err(Busy);
                }
                self.shared += 1;
                seat.level = Level::Shared;
                Ok(())
            }
            Level::Reserved => {
                self.set_writer(seat, Level::Reserved);
                Ok(())
            }
            Level::Pending | Level::Exclusive => self.raise_to_exclusive(seat),
        }
    }

    /// Lowers `seat` to `wanted`, which is `Shared` or `None`.
    pub(crate) fn lower(&mut self, seat: &mut Seat, wanted: Level) {
        if seat.level <= wanted {
            return;
        }
        if seat.level > Level::Shared {
            self.writer = None;
            seat.level = Level::Shared;
        }
        if wanted == Level::None {
            self.shared -= 1;
            seat.level = Level::None;
        }
    }

    /// Whether any connection holds more than `Shared`.
    pub(crate) fn is_reserved(&self) -> bool {
        self.writer.is_some()
    }

    fn raise_to_exclusive(&mut self, seat: &mut Seat) -> Result<(), Busy> {
        // A reader that comes straight from `Shared` rolls a hot journal back. If it left `Pending`
        // behind, two of them would keep each other out for ever.
        if seat.level >= Level::Reserved {
            self.set_writer(seat, Level::Pending);
        }
        if self.shared > 1 {
            return Err(Busy);
        }
        self.set_writer(seat, Level::Exclusive);
        Ok(())
    }

    fn set_writer(&mut self, seat: &mut Seat, level: Level) {
        self.writer = Some(level);
        seat.level = level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats<const N: usize>() -> (FileLocks, [Seat; N]) {
        (FileLocks::default(), std::array::from_fn(|_| Seat::default()))
    }

    #[test]
    fn one_writer_beside_many_readers() {
        let (mut locks, [mut a, mut b, mut c]) = seats();
        locks.raise(&mut a, Level::Shared).unwrap();
        locks.raise(&mut b, Level::Shared).unwrap();
        locks.raise(&mut a, Level::Reserved).unwrap();
        assert!(locks.is_reserved());
        assert_eq!(locks.raise(&mut b, Level::Reserved), Err(Busy));
        assert_eq!(locks.raise(&mut c, Level::Shared), Ok(()));
    }

    #[test]
    fn a_waiting_writer_keeps_new_readers_out() {
        let (mut locks, [mut writer, mut old, mut new]) = seats();
        locks.raise(&mut writer, Level::Shared).unwrap();
        locks.raise(&mut old, Level::Shared).unwrap();
        locks.raise(&mut writer, Level::Reserved).unwrap();
        assert_eq!(locks.raise(&mut writer, Level::Exclusive), Err(Busy));
        assert_eq!(writer.level(), Level::Pending);
        assert_eq!(locks.raise(&mut new, Level::Shared), Err(Busy));
        locks.lower(&mut old, Level::None);
        assert_eq!(locks.raise(&mut writer, Level::Exclusive), Ok(()));
        assert_eq!(locks.raise(&mut new, Level::Shared), Err(Busy));
        locks.lower(&mut writer, Level::None);
        assert!(!locks.is_reserved());
        assert_eq!(locks.raise(&mut new, Level::Shared), Ok(()));
    }

    #[test]
    fn two_that_roll_back_a_hot_journal_do_not_lock_each_other_out() {
        let (mut locks, [mut a, mut b]) = seats();
        locks.raise(&mut a, Level::Shared).unwrap();
        locks.raise(&mut b, Level::Shared).unwrap();
        assert_eq!(locks.raise(&mut a, Level::Exclusive), Err(Busy));
        assert_eq!(a.level(), Level::Shared);
        assert_eq!(locks.raise(&mut b, Level::Exclusive), Err(Busy));
        locks.lower(&mut b, Level::None);
        assert_eq!(locks.raise(&mut a, Level::Exclusive), Ok(()));
    }

    #[test]
    fn lowering_to_shared_keeps_the_reader() {
        let (mut locks, [mut a, mut b]) = seats();
        locks.raise(&mut a, Level::Shared).unwrap();
        locks.raise(&mut a, Level::Reserved).unwrap();
        locks.raise(&mut a, Level::Exclusive).unwrap();
        locks.lower(&mut a, Level::Shared);
        assert_eq!((a.level(), locks.is_reserved()), (Level::Shared, false));
        locks.raise(&mut b, Level::Shared).unwrap();
        locks.raise(&mut b, Level::Reserved).unwrap();
        assert_eq!(locks.raise(&mut b, Level::Exclusive), Err(Busy));
    }

    #[test]
    fn codes_are_there_and_back() {
        for code in 0..=4 {
            assert_eq!(Level::from_code(code).map(Level::code), Some(code));
        }
        assert_eq!(Level::from_code(5), None);
    }
}
