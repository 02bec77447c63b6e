//! SQLite's view of the operating system: registration, and the methods that need no open file.
//!
//! # Method
//!
//! Each environment registers a VFS of its own under a name of its own, never as the default, and
//! takes it back when the last connection is gone. So several disks live side by side in a process,
//! and whatever else uses SQLite there does not notice.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libsqlite3_sys as ffi;

use crate::ambient;
use crate::code::{Failure, Outcome};
use crate::file;
use crate::name;
use crate::open_file::OpenFile;
use crate::world::World;

/// A registered VFS. Dropping it takes the registration back.
pub(crate) struct Registration {
    vfs: *mut ffi::sqlite3_vfs,
    name: CString,
    world: Arc<World>,
}

// SAFETY: after registration the struct behind `vfs` is read and changed by SQLite alone, under its
// own mutex; the rest is `Send` and `Sync` by itself.
unsafe impl Send for Registration {}
// SAFETY: as above; no method changes anything through a shared reference.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers a VFS for `world`.
    ///
    /// # Errors
    ///
    /// SQLite's code when it has no memory or could not be initialised.
    pub(crate) fn new(world: World) -> Result<Registration, c_int> {
        // Names must differ within the process. Nothing else hangs on the number.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("falconry-{number:016x}")).unwrap_or_default();

        let world = Arc::new(world);
        let vfs = Box::into_raw(Box::new(methods(&name, Arc::as_ptr(&world))));
        // From here on a failure drops the registration, which frees the struct.
        let registration = Registration { vfs, name, world };
        // SAFETY: the struct and all it points to live until `drop` unregisters it.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        if code == ffi::SQLITE_OK { Ok(registration) } else { Err(code) }
    }

    /// The name under which it is registered.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// The world behind it.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: no connection uses the VFS any more, for each one keeps its environment; after
        // this SQLite does not know the struct, and it may be freed.
        unsafe {
            ffi::sqlite3_vfs_unregister(self.vfs);
            drop(Box::from_raw(self.vfs));
        }
    }
}

fn methods(name: &CStr, world: *const World) -> ffi::sqlite3_vfs {
    ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: file::SLOT_BYTES as c_int,
        mxPathname: name::NAME_BYTES_MAX as c_int,
        pNext: ptr::null_mut(),
        zName: name.as_ptr(),
        pAppData: world.cast_mut().cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        xDlSym: Some(dl_sym),
        xDlClose: Some(dl_close),
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(get_last_error),
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

/// The world behind SQLite's pointer.
///
/// # Safety
///
/// `vfs` is the struct of a [`Registration`] that is alive for `'a`.
unsafe fn world<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a World {
    // SAFETY: as the caller promises; the registration keeps the world.
    unsafe { &*(*vfs).pAppData.cast::<World>() }
}

/// A name that SQLite passes, `None` when it is not text.
///
/// # Safety
///
/// `name` is a string that ends with NUL and lives for `'a`.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes the registered struct and room for a file.
    let world = unsafe {
        file::place_nothing(file);
        let world = (*vfs).pAppData.cast::<World>().cast_const();
        Arc::increment_strong_count(world);
        Arc::from_raw(world)
    };
    let name = if name.is_null() {
        None
    } else {
        // SAFETY: SQLite passes a name, or null for a temporary file.
        match unsafe { text(name) } {
            Some(name) => Some(name),
            None => return ffi::SQLITE_CANTOPEN,
        }
    };
    match OpenFile::open(Arc::clone(&world), name, flags) {
        Ok((open, held)) => {
            // SAFETY: SQLite passes room of `szOsFile` bytes, and a place for the flags or null.
            unsafe {
                file::place(file, open);
                if !flags_out.is_null() {
                    *flags_out = held;
                }
            }
            ffi::SQLITE_OK
        }
        Err(failure) => world.code(Err(failure)),
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    // SAFETY: SQLite passes the registered struct and a name.
    let (world, name) = unsafe { (world(vfs), text(name)) };
    let deleted = name
        .and_then(name::normal)
        .ok_or(Failure::of(ffi::SQLITE_IOERR_DELETE))
        .and_then(|name| delete_file(world, &name, sync_dir != 0));
    world.code(deleted)
}

fn delete_file(world: &World, name: &str, sync_dir: bool) -> Outcome {
    let disk = world.disk();
    disk.remove(Path::new(name)).map_err(|error| {
        let absent = error.kind() == std::io::ErrorKind::NotFound;
        let code = if absent { ffi::SQLITE_IOERR_DELETE_NOENT } else { ffi::SQLITE_IOERR_DELETE };
        Failure::disk(code, &error)
    })?;
    if sync_dir {
        let synced = disk.sync_dir(name::directory(name));
        synced.map_err(|error| Failure::disk(ffi::SQLITE_IOERR_DIR_FSYNC, &error))?;
    }
    Ok(())
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes the registered struct and a name.
    let (world, name) = unsafe { (world(vfs), text(name)) };
    let found = match name.and_then(name::normal) {
        Some(name) => is_there(world, &name, flags == ffi::SQLITE_ACCESS_EXISTS),
        None => Ok(false),
    };
    let outcome = found.map(|found| {
        // SAFETY: SQLite passes a place for the answer.
        unsafe { *result = c_int::from(found) };
    });
    world.code(outcome)
}

/// Whether a file is there; with `with_content`, whether there is anything in it besides: an empty
/// journal or log says no more than an absent one.
fn is_there(world: &World, name: &str, with_content: bool) -> Outcome<bool> {
    match world.disk().metadata(Path::new(name)) {
        Ok(metadata) => Ok(!with_content || metadata.is_dir || metadata.len > 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        // "Absent" would be a wrong answer: SQLite would not roll a hot journal back.
        Err(error) => Err(Failure::disk(ffi::SQLITE_IOERR_ACCESS, &error)),
    }
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes a name.
    let Some(name) = unsafe { text(name) }.and_then(name::normal) else {
        return ffi::SQLITE_CANTOPEN;
    };
    if name.len() >= usize::try_from(room).unwrap_or(0) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: `out` has room for `room` bytes, more than the name with its NUL.
    unsafe {
        ptr::copy_nonoverlapping(name.as_ptr(), out.cast::<u8>(), name.len());
        *out.add(name.len()) = 0;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn dl_open(_: *mut ffi::sqlite3_vfs, _: *const c_char) -> *mut c_void {
    // Extensions would be code from outside the disk.
    ptr::null_mut()
}

unsafe extern "C" fn dl_error(_: *mut ffi::sqlite3_vfs, room: c_int, message: *mut c_char) {
    if room > 0 {
        // SAFETY: SQLite passes `room` bytes.
        unsafe { *message = 0 };
    }
}

unsafe extern "C" fn dl_sym(
    _: *mut ffi::sqlite3_vfs,
    _: *mut c_void,
    _: *const c_char,
) -> Option<unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *mut c_void, *const c_char)> {
    None
}

unsafe extern "C" fn dl_close(_: *mut ffi::sqlite3_vfs, _: *mut c_void) {}

unsafe extern "C" fn randomness(
    _vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    let count = usize::try_from(bytes).unwrap_or(0);
    // SAFETY: SQLite passes room for `bytes` bytes.
    let out = unsafe { slice::from_raw_parts_mut(out.cast::<u8>(), count) };
    ambient::fill_random(out);
    bytes
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    ambient::sleep_us(u64::try_from(microseconds).unwrap_or(0));
    microseconds
}

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, days: *mut f64) -> c_int {
    const MS_PER_DAY: f64 = 86_400_000.0;
    // SAFETY: SQLite passes a place for the time.
    unsafe { *days = ambient::julian_ms() as f64 / MS_PER_DAY };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_vfs: *mut ffi::sqlite3_vfs, ms: *mut i64) -> c_int {
    // SAFETY: SQLite passes a place for the time.
    unsafe { *ms = ambient::julian_ms() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn get_last_error(
    vfs: *mut ffi::sqlite3_vfs,
    _room: c_int,
    _message: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes the registered struct.
    unsafe { world(vfs) }.last_errno()
}
