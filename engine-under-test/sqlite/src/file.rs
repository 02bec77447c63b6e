//! SQLite's I/O methods: from its raw pointers to an [`OpenFile`] and back.
//!
//! # Invariant
//!
//! Nothing here unwinds: a callback returns SQLite's own code for every outcome, and whatever the
//! disk does after the power has gone comes back as an error.

use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::ptr;
use std::slice;
use std::sync::atomic::{Ordering, fence};

use libsqlite3_sys as ffi;

use crate::ambient::{Point, point};
use crate::code::{Failure, Outcome};
use crate::open_file::OpenFile;

/// What SQLite reserves for each open file: its own head, and ours behind it.
#[repr(C)]
struct Slot {
    base: ffi::sqlite3_file,
    open: *mut OpenFile,
}

/// Bytes of what SQLite must reserve for an open file.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

/// Puts an open file where SQLite will look for it.
///
/// # Safety
///
/// `file` points to [`SLOT_BYTES`] bytes that are ours until `xClose`.
pub(crate) unsafe fn place(file: *mut ffi::sqlite3_file, open: OpenFile) {
    let slot = file.cast::<Slot>();
    let base = ffi::sqlite3_file { pMethods: &METHODS };
    // SAFETY: the caller hands over room for a slot, aligned as SQLite aligns every file.
    unsafe { slot.write(Slot { base, open: Box::into_raw(Box::new(open)) }) };
}

/// Marks the room of a file that was not opened, so that SQLite does not close it.
///
/// # Safety
///
/// `file` points to a `sqlite3_file` that may be written.
pub(crate) unsafe fn place_nothing(file: *mut ffi::sqlite3_file) {
    // SAFETY: as the caller promises.
    unsafe { (*file).pMethods = ptr::null() };
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Version 2 has shared memory; memory-mapped reads came with version 3.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Runs `f` on the open file behind SQLite's pointer, and returns the code of its outcome.
///
/// # Safety
///
/// `file` was filled by [`place`] and not closed since. SQLite uses a file from one thread at a time
/// and calls no second callback on it before the first has returned.
unsafe fn with(file: *mut ffi::sqlite3_file, f: impl FnOnce(&mut OpenFile) -> Outcome) -> c_int {
    // SAFETY: the slot is filled, and nothing else refers to the open file during the callback.
    let open = unsafe { &mut *(*file.cast::<Slot>()).open };
    let outcome = f(open);
    open.world().code(outcome)
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the slot was filled by `place`, and SQLite closes a file once.
    let open = unsafe { Box::from_raw((*file.cast::<Slot>()).open) };
    drop(open);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    bytes: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite hands over `bytes` bytes that it will only read after this call; they come from
    // its own allocator, where every byte has some value.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), unsigned(bytes)) };
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, |open| open.read(buffer, position(offset)?)) }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite hands over `count` bytes that it does not change during this call.
    let bytes = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), unsigned(count)) };
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, |open| open.write(bytes, position(offset)?)) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, |open| open.truncate(position(len)?)) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let data_only = flags & ffi::SQLITE_SYNC_DATAONLY != 0;
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, |open| open.sync(data_only)) }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, len: *mut i64) -> c_int {
    let found = |open: &mut OpenFile| {
        let bytes = i64::try_from(open.len()?).unwrap_or(i64::MAX);
        // SAFETY: SQLite passes a place for the length.
        unsafe { *len = bytes };
        Ok(())
    };
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, found) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, |open| open.lock(level)) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, |open| open.unlock(level)) }
}

unsafe extern "C" fn check_reserved_lock(
    file: *mut ffi::sqlite3_file,
    result: *mut c_int,
) -> c_int {
    let check = |open: &mut OpenFile| {
        // SAFETY: SQLite passes a place for the answer.
        unsafe { *result = c_int::from(open.is_reserved()) };
        Ok(())
    };
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, check) }
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    let control = |open: &mut OpenFile| {
        let argument = argument.cast::<c_int>();
        match operation {
            // SAFETY: these operations pass a place for an int.
            ffi::SQLITE_FCNTL_LOCKSTATE => unsafe { *argument = open.level() },
            // SAFETY: as above.
            ffi::SQLITE_FCNTL_LAST_ERRNO => unsafe { *argument = open.world().last_errno() },
            ffi::SQLITE_FCNTL_POWERSAFE_OVERWRITE => {
                // SAFETY: the operation passes an int: negative asks, 0 and 1 set.
                let wanted = unsafe { *argument };
                if wanted >= 0 {
                    *open.powersafe_overwrite() = wanted != 0;
                }
                // SAFETY: as above.
                unsafe { *argument = c_int::from(*open.powersafe_overwrite()) };
            }
            _ => return Err(Failure::of(ffi::SQLITE_NOTFOUND)),
        }
        Ok(())
    };
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, control) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite passes a file that it opened, and calls nothing else on it meanwhile.
    unsafe { (*(*file.cast::<Slot>()).open).sector_size() }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite passes a file that it opened, and calls nothing else on it meanwhile.
    unsafe { (*(*file.cast::<Slot>()).open).characteristics() }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    bytes: c_int,
    extend: c_int,
    address: *mut *mut c_void,
) -> c_int {
    let map = |open: &mut OpenFile| {
        let region = open.shm_map(unsigned(index), unsigned(bytes), extend != 0);
        let found = region.as_ref().ok().copied().flatten();
        // SAFETY: SQLite passes a place for the address, which is null when there is no region.
        unsafe { *address = found.map_or(ptr::null_mut(), |start| start.as_ptr().cast()) };
        region.map(drop)
    };
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, map) }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, |open| open.shm_lock(unsigned(first), unsigned(count), flags)) }
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
    point(Point::Memory);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    let unmap = |open: &mut OpenFile| {
        open.shm_unmap();
        Ok(())
    };
    // SAFETY: SQLite passes a file that it opened.
    unsafe { with(file, unmap) }
}

/// A count or index, which SQLite never makes negative; 0 if it did.
fn unsigned(value: c_int) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// An offset or length within a file.
fn position(offset: i64) -> Outcome<u64> {
    u64::try_from(offset).map_err(|_| Failure::of(ffi::SQLITE_IOERR_SEEK))
}
