//! Calls of the disk against a model of what they must do, with one fault at most.
//!
//! # Method
//!
//! One file of blocks is overwritten, read and synced, and small files come and go beside it. Each
//! call is compared with the model and with the counters: an error, or a call that falls short, needs
//! a fault that was delivered in it, and a fault that was delivered shows. Once bytes may be wrong, or
//! lost, by the fault's own nature, they are no longer compared.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_sim::fault::{Fault, FaultSet, When};

use super::{delivered, harness};
use crate::oracle::Breach;

const BLOCK: usize = 512;
const BLOCKS: usize = 64;
const BYTES: usize = BLOCK * BLOCKS;

/// Faults each of which shows as an error or a short call, one for one.
const ONE_FOR_ONE: &[Fault] = &[
    Fault::EioRead,
    Fault::EioWrite,
    Fault::Eintr,
    Fault::Enospc,
    Fault::ShortRead,
    Fault::ShortWrite,
    Fault::SyncFailDirty,
    Fault::SyncFailClean,
    Fault::SyncFailDropped,
];

/// Faults after which bytes that were written may not be read again.
const SPOILS: &[Fault] = &[Fault::SyncFailClean, Fault::SyncFailDropped, Fault::SyncFailLate];

/// What is known of the file, outside of the machine.
pub(super) struct Shelf {
    admitted: FaultSet,
    known: RefCell<Known>,
}

struct Known {
    /// What calls see; `None` where it is not known.
    cached: Vec<Option<u8>>,
    /// What the last successful sync made durable, for blocks that were not written since.
    durable: Vec<Option<u8>>,
    /// The file's creation is durable.
    exists: bool,
}

/// A call that did not do what it was asked: an error, or fewer bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    failed: bool,
    short: bool,
}

impl Shelf {
    pub(super) fn new(admitted: FaultSet) -> Shelf {
        let known = Known { cached: vec![None; BYTES], durable: vec![None; BYTES], exists: false };
        Shelf { admitted, known: RefCell::new(known) }
    }

    /// The process ended, or the power went.
    pub(super) fn life_ends(&self, power_lost: bool) {
        let mut known = self.known.borrow_mut();
        // With every loss switched off a power loss leaves what a killed process leaves.
        let may_lose = self.admitted.iter().any(|fault| fault.when() == When::PowerLoss);
        if power_lost && may_lose {
            known.cached = known.durable.clone();
        }
    }

    /// Makes calls, and compares.
    pub(super) fn check(&self, disk: &dyn Disk, calls: u64) -> Result<(), Breach> {
        let file = match self.open(disk) {
            Ok(file) => file,
            Err(error) => return self.explained(&error, "open"),
        };
        if !self.is_whole(&*file)? && self.create(disk, &*file)?.failed {
            return Ok(());
        }
        for _ in 0..calls {
            if falconry_sim::is_off() {
                return Ok(());
            }
            match falconry_sim::choose("shelf/call", 8) {
                0..=2 => self.write(&*file)?,
                3..=4 => self.read(&*file)?,
                5..=6 => self.sync(&*file)?,
                _ => self.names(disk)?,
            }
        }
        Ok(())
    }

    /// Whether the file is as long as it was made; if not it must never have been durable, or a fault
    /// has taken it.
    fn is_whole(&self, file: &dyn File) -> Result<bool, Breach> {
        let len = match file.len() {
            Ok(len) => len,
            Err(error) => return self.explained(&error, "len").map(|()| false),
        };
        let exists = self.known.borrow().exists;
        if falconry_sim::is_off() || !exists || len == BYTES as u64 || self.is_spoilt() {
            return Ok(exists && len == BYTES as u64);
        }
        Err(harness("a durable length is lost without a fault", "len")
            .row("expected", BYTES.to_string())
            .row("found", len.to_string()))
    }

    fn open(&self, disk: &dyn Disk) -> io::Result<Arc<dyn File>> {
        disk.open(Path::new("shelf"), &OpenOptions::CREATE)
    }

    /// Fills the file and makes it durable; what fails is tried again at the next boot.
    fn create(&self, disk: &dyn Disk, file: &dyn File) -> Result<Met, Breach> {
        let done = file
            .write_all_at(&[0; BYTES], 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| disk.sync_dir(Path::new("")));
        if falconry_sim::is_off() {
            return Ok(Met { failed: true, short: false });
        }
        if let Err(error) = done {
            self.explained(&error, "create")?;
            return Ok(Met { failed: true, short: false });
        }
        let mut known = self.known.borrow_mut();
        known.exists = true;
        // A fault that spoils bytes in silence may have come already.
        let value = (!self.is_spoilt()).then_some(0);
        known.cached = vec![value; BYTES];
        known.durable = vec![value; BYTES];
        Ok(Met::default())
    }

    fn write(&self, file: &dyn File) -> Result<(), Breach> {
        let (offset, len) = draw_range();
        let mut bytes = vec![0; len];
        falconry_sim::with_choices(|choices| choices.fill("shelf/bytes", &mut bytes));
        // Until the call has returned nobody knows what is there, should it never return.
        self.forget(offset, len);
        let before = self.counts();
        let result = file.write_at(&bytes, offset as u64);
        if falconry_sim::is_off() {
            return Ok(());
        }
        let met =
            Met { failed: result.is_err(), short: result.as_ref().is_ok_and(|count| *count < len) };
        self.compare(before, met, "write", result.as_ref().err())?;
        if let Ok(count) = result
            && !self.is_spoilt()
        {
            let mut known = self.known.borrow_mut();
            for (index, byte) in bytes[..count].iter().enumerate() {
                known.cached[offset + index] = Some(*byte);
            }
        }
        Ok(())
    }

    /// Reads all that there is, as an engine does that recovers.
    pub(super) fn recover(&self, disk: &dyn Disk) -> Result<(), Breach> {
        let file = match disk.open(Path::new("shelf"), &OpenOptions::READ) {
            Ok(file) => file,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && !self.known.borrow().exists =>
            {
                return Ok(());
            }
            Err(_) if self.is_spoilt() => return Ok(()),
            Err(error) => return self.explained(&error, "open"),
        };
        if !self.is_whole(&*file)? {
            return Ok(());
        }
        let mut offset = 0;
        while offset < BYTES && !falconry_sim::is_off() {
            self.read_range(&*file, offset, 4 * BLOCK)?;
            offset += 4 * BLOCK;
        }
        Ok(())
    }

    fn read(&self, file: &dyn File) -> Result<(), Breach> {
        let (offset, len) = draw_range();
        self.read_range(file, offset, len)
    }

    fn read_range(&self, file: &dyn File, offset: usize, len: usize) -> Result<(), Breach> {
        let mut bytes = vec![0; len];
        let before = self.counts();
        let corrupted = delivered(Fault::ReadCorruption) + delivered(Fault::MisdirectedRead);
        let result = file.read_at(&mut bytes, offset as u64);
        if falconry_sim::is_off() {
            return Ok(());
        }
        let met =
            Met { failed: result.is_err(), short: result.as_ref().is_ok_and(|count| *count < len) };
        self.compare(before, met, "read", result.as_ref().err())?;
        let Ok(count) = result else { return Ok(()) };
        let corrupted =
            delivered(Fault::ReadCorruption) + delivered(Fault::MisdirectedRead) > corrupted;
        let known = self.known.borrow();
        let differs = (0..count)
            .any(|index| known.cached[offset + index].is_some_and(|byte| byte != bytes[index]));
        if differs && !corrupted && !self.is_spoilt() {
            return Err(harness("a read returns wrong bytes without a fault", "read")
                .row("found", format!("{count} bytes at {offset}")));
        }
        let all_known = (0..count).all(|index| known.cached[offset + index].is_some());
        if corrupted && !differs && all_known {
            return Err(harness("a fault was counted that did nothing", "read"));
        }
        Ok(())
    }

    fn sync(&self, file: &dyn File) -> Result<(), Breach> {
        let before = self.counts();
        let cached = self.known.borrow().cached.clone();
        let result = file.sync_data();
        if falconry_sim::is_off() {
            return Ok(());
        }
        let met = Met { failed: result.is_err(), short: false };
        self.compare(before, met, "sync", result.as_ref().err())?;
        if result.is_ok() && !self.is_spoilt() {
            self.known.borrow_mut().durable = cached;
        }
        Ok(())
    }

    /// A small file comes, is renamed and goes: what calls see of names is never wrong.
    fn names(&self, disk: &dyn Disk) -> Result<(), Breach> {
        let (old, new) = (Path::new("slip"), Path::new("slip.new"));
        let renamed = || {
            // After a rename that a power loss cut in two both names lead to one file, and then a
            // rename of the one to the other does nothing.
            if disk.exists(new)? {
                disk.remove(new)?;
            }
            let file = disk.open(new, &OpenOptions::CREATE)?;
            file.write_all_at(b"slip", 0)?;
            disk.rename(new, old)?;
            let seen = (disk.exists(old)?, disk.exists(new)?);
            if falconry_sim::choose("shelf/remove", 2) == 1 {
                disk.remove(old)?;
            }
            Ok(seen)
        };
        match renamed() {
            _ if falconry_sim::is_off() => Ok(()),
            Ok((true, false)) => Ok(()),
            Ok(seen) => {
                Err(harness("a rename does not show", "names").row("found", format!("{seen:?}")))
            }
            Err(error) => self.explained(&error, "names"),
        }
    }

    /// From here on nobody knows what is in a range, neither in the cache nor on the platter.
    fn forget(&self, offset: usize, len: usize) {
        let mut known = self.known.borrow_mut();
        // Garbage takes whole sectors.
        let first = offset / BLOCK * BLOCK;
        let end = (offset + len).div_ceil(BLOCK) * BLOCK;
        known.cached[offset..offset + len].fill(None);
        known.durable[first..end].fill(None);
    }

    /// Whether a fault was delivered after which bytes may be wrong or lost.
    fn is_spoilt(&self) -> bool {
        let silent = Fault::ALL.iter().filter(|fault| fault.when() == When::Silent);
        let transient = [Fault::ReadCorruption, Fault::MisdirectedRead, Fault::FalseDeviceClaim];
        silent
            .chain(SPOILS)
            .filter(|fault| !transient.contains(fault))
            .any(|fault| delivered(*fault) > 0)
    }

    fn counts(&self) -> u64 {
        ONE_FOR_ONE.iter().map(|fault| delivered(*fault)).sum()
    }

    /// What a call met against what was counted in it.
    fn compare(
        &self,
        before: u64,
        met: Met,
        call: &str,
        error: Option<&io::Error>,
    ) -> Result<(), Breach> {
        let came = self.counts() - before;
        if let Some(error) = error {
            self.explained(error, call)?;
        }
        let sticky =
            [Fault::EioReadSticky, Fault::ReadOnly, Fault::DeviceGone, Fault::SyncFailLate];
        let explained_else = sticky.iter().any(|fault| delivered(*fault) > 0);
        let shows = u64::from(met.failed || met.short);
        if came == shows || (came < shows && explained_else) {
            return Ok(());
        }
        Err(harness("a fault was counted that did not show, or showed and was not counted", call)
            .row("met", format!("{met:?}"))
            .row("counted", came.to_string()))
    }

    /// An error needs a fault that makes one.
    fn explained(&self, error: &io::Error, call: &str) -> Result<(), Breach> {
        let errors = Fault::ALL.iter().filter(|fault| fault.when() == When::Error);
        let came: u64 = errors.map(|fault| delivered(*fault)).sum();
        let admits = self.admitted.iter().any(|fault| fault.when() == When::Error);
        if falconry_sim::is_off() || (came > 0 && admits) {
            return Ok(());
        }
        Err(harness("a call fails without a fault", call).row("found", error.to_string()))
    }
}

/// A range in the file: anything from two bytes to a few pages, now and then whole pages.
fn draw_range() -> (usize, usize) {
    const PAGE: u64 = 8 * BLOCK as u64;
    if falconry_sim::choose("shelf/page", 4) == 3 {
        let page = falconry_sim::choose("shelf/offset", BYTES as u64 / PAGE);
        return ((page * PAGE) as usize, PAGE as usize);
    }
    let len = falconry_sim::with_choices(|c| c.log_uniform("shelf/len", 2, 16 * BLOCK as u64));
    let offset = falconry_sim::choose("shelf/offset", BYTES as u64 - len);
    (offset as usize, len as usize)
}
