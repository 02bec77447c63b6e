//! An open file, as SQLite's callbacks use it: all of their logic, without a raw pointer.
//!
//! # Method
//!
//! SQLite's interface knows no short read or write, so reads and writes are called again until they
//! are whole. A file that SQLite opens without a name is temporary and lives in memory: nothing but
//! the database, its journals and its log ever reaches the disk.
//!
//! The directory of a journal or log is synced with the first sync of the file: without its name the
//! file would be of no use after the power has gone.

use std::ffi::c_int;
use std::io;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use falconry_seam::disk::{File, OpenOptions};
use libsqlite3_sys as ffi;

use crate::ambient::{Point, is_off, point};
use crate::code::{Failure, Outcome, is_read_only};
use crate::lock::{Level, Seat};
use crate::name;
use crate::shm::{LOCK_COUNT, ShmSeat};
use crate::world::World;

/// One handle of SQLite's on a file.
pub(crate) struct OpenFile {
    world: Arc<World>,
    body: Body,
    /// The file's name; empty when it lives in memory.
    name: String,
    /// Set until the first sync of a file whose name must become durable with it.
    directory_unsynced: bool,
    powersafe_overwrite: bool,
    /// The place in the locks, for a database file.
    seat: Option<Seat>,
    shm: Option<ShmSeat>,
}

enum Body {
    Disk(Arc<dyn File>),
    Memory(Vec<u8>),
}

impl OpenFile {
    /// Opens a file as SQLite's `flags` ask, and returns it with the flags that hold.
    pub(crate) fn open(
        world: Arc<World>,
        name: Option<&str>,
        flags: c_int,
    ) -> Outcome<(OpenFile, c_int)> {
        let mut open = OpenFile {
            powersafe_overwrite: world.powersafe_overwrite(),
            world,
            body: Body::Memory(Vec::new()),
            name: String::new(),
            directory_unsynced: false,
            seat: None,
            shm: None,
        };
        let Some(name) = name else { return Ok((open, flags)) };
        let name = name::normal(name).ok_or(Failure::of(ffi::SQLITE_CANTOPEN))?;
        let (file, held) = open_on_disk(&open.world, &name, flags)?;
        open.body = Body::Disk(file);
        let journals =
            ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
        open.directory_unsynced = held & journals != 0 && held & ffi::SQLITE_OPEN_CREATE != 0;
        if held & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            open.world.enter(&name);
            open.seat = Some(Seat::default());
        }
        open.name = name;
        Ok((open, held))
    }

    /// The world the file belongs to.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Fills `buffer` from `offset`. What lies past the end of the file is zero, and reported.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Outcome {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_some(&mut buffer[done..], offset + done as u64) {
                Ok(0) => {
                    buffer[done..].fill(0);
                    return Err(Failure::of(ffi::SQLITE_IOERR_SHORT_READ));
                }
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::disk(ffi::SQLITE_IOERR_READ, &error)),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) -> Outcome {
        match &mut self.body {
            Body::Disk(file) => file
                .write_all_at(bytes, offset)
                .map_err(|error| Failure::disk(ffi::SQLITE_IOERR_WRITE, &error)),
            Body::Memory(memory) => {
                let end = resize(memory, offset + bytes.len() as u64, false)?;
                memory[end - bytes.len()..end].copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Cuts or extends the file.
    pub(crate) fn truncate(&mut self, len: u64) -> Outcome {
        match &mut self.body {
            Body::Disk(file) => {
                file.set_len(len).map_err(|error| Failure::disk(ffi::SQLITE_IOERR_TRUNCATE, &error))
            }
            Body::Memory(memory) => resize(memory, len, true).map(drop),
        }
    }

    /// Makes the file durable, and its name if that is still owed.
    pub(crate) fn sync(&mut self, data_only: bool) -> Outcome {
        let Body::Disk(file) = &self.body else { return Ok(()) };
        let synced = if data_only { file.sync_data() } else { file.sync_all() };
        synced.map_err(|error| Failure::disk(ffi::SQLITE_IOERR_FSYNC, &error))?;
        if self.directory_unsynced {
            let synced = self.world.disk().sync_dir(name::directory(&self.name));
            synced.map_err(|error| Failure::disk(ffi::SQLITE_IOERR_DIR_FSYNC, &error))?;
            self.directory_unsynced = false;
        }
        Ok(())
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> Outcome<u64> {
        match &self.body {
            Body::Disk(file) => {
                file.len().map_err(|error| Failure::disk(ffi::SQLITE_IOERR_FSTAT, &error))
            }
            Body::Memory(memory) => Ok(memory.len() as u64),
        }
    }

    /// Raises the lock on a database file, or says that another connection is in the way.
    pub(crate) fn lock(&mut self, wanted: c_int) -> Outcome {
        let wanted = Level::from_code(wanted).ok_or(Failure::of(ffi::SQLITE_MISUSE))?;
        let (Some(seat), Body::Disk(file)) = (&mut self.seat, &self.body) else { return Ok(()) };
        point(Point::Lock);
        if seat.level() == Level::None && wanted != Level::None {
            let held = self.world.hold_process_lock(&self.name, file);
            held.map_err(|failure| match failure.code {
                ffi::SQLITE_BUSY => refused(ffi::SQLITE_IOERR_LOCK),
                _ => failure,
            })?;
        }
        let raised = self.world.with(&self.name, |database| database.locks.raise(seat, wanted));
        raised.map_err(|_| refused(ffi::SQLITE_IOERR_LOCK))
    }

    /// Lowers the lock on a database file.
    pub(crate) fn unlock(&mut self, wanted: c_int) -> Outcome {
        let wanted = Level::from_code(wanted).ok_or(Failure::of(ffi::SQLITE_MISUSE))?;
        if let Some(seat) = &mut self.seat {
            self.world.with(&self.name, |database| database.locks.lower(seat, wanted));
        }
        Ok(())
    }

    /// How strongly this handle holds the file, as SQLite's number.
    pub(crate) fn level(&self) -> c_int {
        self.seat.as_ref().map_or(Level::None, Seat::level).code()
    }

    /// Whether any connection holds more than a shared lock.
    pub(crate) fn is_reserved(&self) -> bool {
        self.seat.is_some() && self.world.with(&self.name, |database| database.locks.is_reserved())
    }

    /// The address of a region of the shared memory, `None` when it is not there and `extend` is off.
    pub(crate) fn shm_map(
        &mut self,
        index: usize,
        bytes: usize,
        extend: bool,
    ) -> Outcome<Option<NonNull<u8>>> {
        if self.seat.is_none() {
            return Err(Failure::of(ffi::SQLITE_IOERR_SHMMAP));
        }
        let seat = &mut self.shm;
        self.world.with(&self.name, |database| {
            let shm = database.shm.get_or_insert_default();
            if seat.is_none() {
                *seat = Some(shm.attach());
            }
            let region = shm.region(index, bytes, extend);
            region.map_err(|_| Failure::of(ffi::SQLITE_IOERR_NOMEM))
        })
    }

    /// Takes or gives back a row of the shared memory's locks.
    pub(crate) fn shm_lock(&mut self, first: usize, count: usize, flags: c_int) -> Outcome {
        let misused = Failure::of(ffi::SQLITE_IOERR_SHMLOCK);
        let Some(seat) = &mut self.shm else { return Err(misused) };
        point(Point::Lock);
        if count == 0 || first >= LOCK_COUNT || count > LOCK_COUNT - first {
            return Err(misused);
        }
        if is_off() && flags & ffi::SQLITE_SHM_UNLOCK == 0 {
            // Nobody will finish what stands half-done in the index, so asking again is of no use.
            return Err(refused(ffi::SQLITE_IOERR_SHMLOCK));
        }
        self.world.with(&self.name, |database| {
            let shm = database.shm.as_mut().ok_or(misused)?;
            if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
                shm.release(seat, first..first + count);
                Ok(())
            } else if flags & ffi::SQLITE_SHM_SHARED != 0 {
                shm.share(seat, first).map_err(|_| refused(ffi::SQLITE_IOERR_SHMLOCK))
            } else {
                let excluded = shm.exclude(seat, first..first + count);
                excluded.map_err(|_| refused(ffi::SQLITE_IOERR_SHMLOCK))
            }
        })
    }

    /// Leaves the shared memory.
    pub(crate) fn shm_unmap(&mut self) {
        if let Some(seat) = self.shm.take() {
            self.world.with(&self.name, |database| database.leave_shm(seat));
        }
    }

    /// Bytes of a sector, as the device tells it: what one write may damage when the power goes.
    pub(crate) fn sector_size(&self) -> c_int {
        c_int::try_from(self.world.disk().sector_size()).unwrap_or(c_int::MAX)
    }

    /// Whether bytes beside an overwritten range of this file are safe when the power goes.
    pub(crate) fn powersafe_overwrite(&mut self) -> &mut bool {
        &mut self.powersafe_overwrite
    }

    /// What the device promises beyond a plain one, in SQLite's bits.
    pub(crate) fn characteristics(&self) -> c_int {
        // A read of any range is whole, whatever page it lies in.
        let promised = ffi::SQLITE_IOCAP_SUBPAGE_READ;
        let powersafe =
            if self.powersafe_overwrite { ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE } else { 0 };
        promised | powersafe
    }

    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.body {
            Body::Disk(file) => file.read_at(buffer, offset),
            Body::Memory(memory) => {
                let start = usize::try_from(offset).map_or(memory.len(), |at| at.min(memory.len()));
                let count = buffer.len().min(memory.len() - start);
                buffer[..count].copy_from_slice(&memory[start..start + count]);
                Ok(count)
            }
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.world.leave(&self.name, seat, self.shm.take());
        }
    }
}

/// Another connection holds what was asked for: SQLite may ask again, unless the power has gone.
fn refused(code_when_off: c_int) -> Failure {
    if is_off() {
        return Failure { code: code_when_off, errno: libc::EIO };
    }
    Failure::of(ffi::SQLITE_BUSY)
}

/// Opens a file on the disk; for reading alone when nothing else is permitted.
fn open_on_disk(world: &World, name: &str, flags: c_int) -> Outcome<(Arc<dyn File>, c_int)> {
    let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
    let options = OpenOptions {
        read: true,
        write: flags & ffi::SQLITE_OPEN_READWRITE != 0,
        create,
        create_new: create && flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0,
        ..OpenOptions::READ
    };
    let path = Path::new(name);
    let cannot = |error| Failure::disk(ffi::SQLITE_CANTOPEN, &error);
    match world.disk().open(path, &options) {
        Ok(file) => Ok((file, flags)),
        Err(error) if options.write && is_read_only(&error) => {
            let file = world.disk().open(path, &OpenOptions::READ).map_err(cannot)?;
            let dropped = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;
            Ok((file, flags & !dropped | ffi::SQLITE_OPEN_READONLY))
        }
        Err(error) => Err(cannot(error)),
    }
}

/// Gives a file in memory the length `len`, or at least that when it may not shrink.
fn resize(memory: &mut Vec<u8>, len: u64, shrink: bool) -> Outcome<usize> {
    let no_memory = Failure::of(ffi::SQLITE_IOERR_NOMEM);
    let len = usize::try_from(len).map_err(|_| no_memory)?;
    if len > memory.len() {
        memory.try_reserve(len - memory.len()).map_err(|_| no_memory)?;
    }
    if shrink || len > memory.len() {
        memory.resize(len, 0);
    }
    Ok(len)
}
