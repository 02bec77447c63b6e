//! The shared memory of write-ahead logging, on the heap, with its eight locks.
//!
//! # Method
//!
//! The connections of one process share a [`Shm`] for each database file. It lives from the first
//! `xShmMap` to the last `xShmUnmap`: whoever comes after finds no region, and SQLite rebuilds the
//! index from the log, as it does after a restart. A lock that cannot be had is refused at once.
//!
//! # Invariant
//!
//! A region never moves while any connection is attached: SQLite keeps its address.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use libsqlite3_sys as ffi;

use crate::lock::Busy;

/// How many locks a shared memory has.
pub(crate) const LOCK_COUNT: usize = ffi::SQLITE_SHM_NLOCK as usize;

/// A bound on regions: 2^16 of 32 KiB index 2^28 frames, more than a log can have.
const REGION_COUNT_MAX: usize = 1 << 16;

/// How one of the eight locks is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hold {
    #[default]
    Free,
    Shared(u32),
    Exclusive,
}

/// One connection's locks, a bit each.
#[derive(Debug, Default)]
pub(crate) struct ShmSeat {
    shared: u8,
    exclusive: u8,
}

/// The shared memory of one database file.
#[derive(Debug, Default)]
pub(crate) struct Shm {
    regions: Vec<Region>,
    holds: [Hold; LOCK_COUNT],
    attached: usize,
}

impl Shm {
    /// Another connection uses the memory.
    pub(crate) fn attach(&mut self) -> ShmSeat {
        self.attached += 1;
        ShmSeat::default()
    }

    /// A connection leaves, and gives its locks back. `true` when it was the last one.
    pub(crate) fn detach(&mut self, mut seat: ShmSeat) -> bool {
        let held = seat.shared | seat.exclusive;
        for index in bits(held) {
            self.release(&mut seat, index..index + 1);
        }
        self.attached -= 1;
        self.attached == 0
    }

    /// The address of a region, which is made (with all before it) when `extend` is set. `Ok(None)`
    /// when there is no such region; `Err` when there is no memory for it.
    pub(crate) fn region(
        &mut self,
        index: usize,
        bytes: usize,
        extend: bool,
    ) -> Result<Option<NonNull<u8>>, OutOfMemory> {
        if index >= REGION_COUNT_MAX {
            return Err(OutOfMemory);
        }
        while extend && self.regions.len() <= index {
            self.regions.push(Region::new(bytes)?);
        }
        Ok(self.regions.get(index).map(|region| region.start))
    }

    /// Takes one lock for reading.
    pub(crate) fn share(&mut self, seat: &mut ShmSeat, index: usize) -> Result<(), Busy> {
        if seat.shared & bit(index) != 0 {
            return Ok(());
        }
        self.holds[index] = match self.holds[index] {
            Hold::Free => Hold::Shared(1),
            Hold::Shared(count) => Hold::Shared(count + 1),
            Hold::Exclusive => return Err(Busy),
        };
        seat.shared |= bit(index);
        Ok(())
    }

    /// Takes a row of locks for writing: all of them, or none.
    pub(crate) fn exclude(
        &mut self,
        seat: &mut ShmSeat,
        range: std::ops::Range<usize>,
    ) -> Result<(), Busy> {
        if range.clone().any(|index| self.holds[index] != Hold::Free) {
            return Err(Busy);
        }
        for index in range {
            self.holds[index] = Hold::Exclusive;
            seat.exclusive |= bit(index);
        }
        Ok(())
    }

    /// Gives back what `seat` holds of a row of locks.
    pub(crate) fn release(&mut self, seat: &mut ShmSeat, range: std::ops::Range<usize>) {
        for index in range {
            let held = (seat.shared | seat.exclusive) & bit(index) != 0;
            if held {
                self.holds[index] = match self.holds[index] {
                    Hold::Shared(count) if count > 1 => Hold::Shared(count - 1),
                    _ => Hold::Free,
                };
            }
            seat.shared &= !bit(index);
            seat.exclusive &= !bit(index);
        }
    }
}

/// The process has no memory left for a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory;

fn bit(index: usize) -> u8 {
    1 << index
}

fn bits(mask: u8) -> impl Iterator<Item = usize> {
    (0..LOCK_COUNT).filter(move |index| mask & bit(*index) != 0)
}

/// A piece of zeroed heap that SQLite writes to through its address alone.
#[derive(Debug)]
struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a region is an address and a layout. What the memory holds is read and written by SQLite,
// which orders its accesses by the locks and barriers of the shared memory.
unsafe impl Send for Region {}

impl Region {
    /// SQLite lays out 64-bit counters in it.
    const ALIGN: usize = 8;

    fn new(bytes: usize) -> Result<Region, OutOfMemory> {
        let layout =
            Layout::from_size_align(bytes.max(1), Region::ALIGN).map_err(|_| OutOfMemory)?;
        // SAFETY: the layout has a size above zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(OutOfMemory)?;
        Ok(Region { start, layout })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc_zeroed` with this layout, and is freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION_BYTES: usize = 32 * 1024;

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let mut shm = Shm::default();
        let (mut a, mut b) = (shm.attach(), shm.attach());
        shm.share(&mut a, 3).unwrap();
        shm.share(&mut b, 3).unwrap();
        assert_eq!(shm.exclude(&mut a, 4..8), Ok(()));
        assert_eq!(shm.share(&mut b, 5), Err(Busy));
        shm.release(&mut a, 3..4);
        let mut c = shm.attach();
        assert_eq!(shm.exclude(&mut c, 2..4), Err(Busy), "b still reads 3, so 2 is not taken");
        assert_eq!(shm.share(&mut a, 2), Ok(()));
        shm.release(&mut b, 3..4);
        assert_eq!(shm.exclude(&mut c, 3..4), Ok(()));
    }

    #[test]
    fn leaving_gives_locks_back() {
        let mut shm = Shm::default();
        let (mut a, mut b) = (shm.attach(), shm.attach());
        shm.exclude(&mut a, 0..3).unwrap();
        shm.share(&mut a, 4).unwrap();
        assert_eq!(shm.share(&mut b, 1), Err(Busy));
        assert!(!shm.detach(a));
        assert_eq!(shm.exclude(&mut b, 0..LOCK_COUNT), Ok(()));
        assert!(shm.detach(b));
    }

    #[test]
    fn regions_stay_where_they_are() {
        let mut shm = Shm::default();
        let _seat = shm.attach();
        assert_eq!(shm.region(0, REGION_BYTES, false), Ok(None));
        let first = shm.region(0, REGION_BYTES, true).unwrap();
        for index in 1..100 {
            assert!(shm.region(index, REGION_BYTES, true).unwrap().is_some());
        }
        assert_eq!(shm.region(0, REGION_BYTES, false).unwrap(), first);
        assert_eq!(shm.region(REGION_COUNT_MAX, REGION_BYTES, true), Err(OutOfMemory));
    }
}
