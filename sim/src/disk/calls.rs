//! Reads, writes and lengths.

use std::io;

use super::errors::{CHANGE, LOOK, READ, WRITE, errno};
use super::file::{Entry, Flaw, Micro, Stage};
use super::latency::Kind;
use super::model::{DiskModel, Handle, delivered, traced};
use super::pages::{PAGE_BYTES, piece};
use super::platter::FileId;
use crate::env::Env;
use crate::fault::Fault;
use crate::trace::DiskOp;

/// Most bytes of a file: 16 TiB.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 44;

/// A call that has begun: what it will return, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun<T> {
    /// What it returns, or what its end needs.
    pub value: T,
    /// Virtual time until it ends.
    pub latency_ns: u64,
}

/// A write that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteTicket {
    /// How many bytes it takes.
    pub count: usize,
    file: FileId,
    call: u64,
    /// Its number among the syncs, if its bytes are durable when it returns.
    sync: Option<u64>,
    /// It brings its data to the platter: the device's cache is not volatile.
    direct: bool,
}

impl WriteTicket {
    /// The file, and the call.
    pub(super) fn place(&self) -> (FileId, u64) {
        (self.file, self.call)
    }
}

impl DiskModel {
    /// Reads up to the end of the file; the buffer is filled at once.
    pub fn read(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        out: &mut [u8],
        offset: u64,
    ) -> io::Result<Begun<usize>> {
        let file = self.opened(handle)?.file;
        let result = self.read_inner(env, handle, out, offset);
        traced(env, DiskOp::Read, file, offset, out.len() as u64, result)
    }

    fn read_inner(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        out: &mut [u8],
        offset: u64,
    ) -> io::Result<Begun<usize>> {
        let open = self.opened(handle)?;
        let (file, options) = (open.file, open.options);
        if !options.read {
            return Err(errno(libc::EBADF));
        }
        if options.direct {
            self.check_alignment(offset, out.len())?;
        }
        let fault = self.draw_fault(env, READ, file)?;
        let node = self.nodes.get(&file).expect("an open file has a node");
        let len = node.len.saturating_sub(offset).min(out.len() as u64) as usize;
        let mut count = len;
        if len > 0 {
            count = self.read_fault(env, fault, file, offset, &mut out[..len])?;
            if options.direct {
                self.show_platter(file, offset, &mut out[..len]);
            }
        }
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        let fetched = if options.direct { 1 } else { node.cold.fetch(offset, count) };
        let kind = if fetched > 0 { Kind::Read(fetched) } else { Kind::Memory };
        Ok(Begun { value: count, latency_ns: self.latency(env, fault, file, kind) })
    }

    /// Writes: the bytes show at once. [`DiskModel::write_end`] follows when its time has passed.
    pub fn write(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<Begun<WriteTicket>> {
        let file = self.opened(handle)?.file;
        let result = self.write_inner(env, handle, bytes, offset);
        traced(env, DiskOp::Write, file, offset, bytes.len() as u64, result)
    }

    fn write_inner(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<Begun<WriteTicket>> {
        let open = self.opened(handle)?;
        let (file, options) = (open.file, open.options);
        if !options.write {
            return Err(errno(libc::EBADF));
        }
        if options.direct {
            self.check_alignment(offset, bytes.len())?;
        }
        let end = offset.checked_add(bytes.len() as u64).ok_or_else(|| errno(libc::EFBIG))?;
        if end > FILE_BYTES_MAX {
            return Err(errno(libc::EFBIG));
        }
        let fault = self.draw_fault(env, WRITE, file)?;
        self.writable()?;
        let (count, result, flaw) = self.write_fault(env, fault, file, offset, bytes.len())?;
        let is_late = self.config.late_allocation && !options.direct && !options.dsync;
        if !is_late {
            self.check_space(env, file, offset, count as u64)?;
        }

        let call = self.new_call();
        let stage = if options.direct { Stage::Device } else { Stage::Cache };
        if count > 0 {
            self.write_pages(env, file, &bytes[..count], offset, Entry { call, stage, flaw });
        }
        result?;
        let kind = match (options.direct, options.dsync) {
            (false, false) => Kind::Memory,
            (true, false) => Kind::Write(bytes.len().div_ceil(PAGE_BYTES) as u64),
            (_, true) => Kind::Flush(bytes.len().div_ceil(PAGE_BYTES) as u64),
        };
        let latency_ns = self.latency(env, fault, file, kind);
        let sync = options.dsync.then(|| env.power.sync_begins());
        let direct = options.direct && !self.device.volatile_cache;
        if latency_ns > 0 {
            let node = self.nodes.get_mut(&file).expect("an open file has a node");
            node.in_flight.push(call);
        }
        Ok(Begun { value: WriteTicket { count, file, call, sync, direct }, latency_ns })
    }

    /// The time of a write has passed: a later sync covers it.
    pub fn write_end(&mut self, env: &mut Env<'_>, ticket: WriteTicket) -> io::Result<usize> {
        if let Some(node) = self.nodes.get_mut(&ticket.file) {
            node.in_flight.retain(|call| *call != ticket.call);
        }
        if let Some(sync) = ticket.sync {
            self.write_through(env, &ticket, sync)?;
        } else if ticket.direct {
            self.commit_direct(env, &ticket);
        }
        Ok(ticket.count)
    }

    /// Writes into the cache and the log, below the bound of what may be pending.
    fn write_pages(
        &mut self,
        env: &mut Env<'_>,
        file: FileId,
        bytes: &[u8],
        offset: u64,
        entry: Entry,
    ) {
        if entry.stage == Stage::Device {
            self.promote(file, offset, bytes.len());
            self.in_device.insert(file);
        }
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        if node.live == 0 {
            self.dirty.insert(file);
        }
        self.pending_ops += node.write(bytes, offset, &entry, &mut self.next_seq, &mut self.pool);
        self.write_back(env);
    }

    /// A direct write follows the cached pages of its range into the device's cache.
    fn promote(&mut self, file: FileId, offset: u64, len: usize) {
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        let first = offset / PAGE_BYTES as u64;
        let last = (offset + len as u64 - 1) / PAGE_BYTES as u64;
        for op in &mut node.log {
            if let Micro::Data(data) = &op.micro
                && (first..=last).contains(&data.page)
            {
                op.stage = Stage::Device;
            }
        }
    }

    /// Cuts or extends a file.
    pub fn set_len(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        len: u64,
    ) -> io::Result<Begun<()>> {
        let file = self.opened(handle)?.file;
        let result = self.set_len_inner(env, handle, len);
        traced(env, DiskOp::SetLen, file, 0, len, result)
    }

    fn set_len_inner(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        len: u64,
    ) -> io::Result<Begun<()>> {
        let open = self.opened(handle)?;
        let file = open.file;
        if !open.options.write {
            return Err(errno(libc::EINVAL));
        }
        if len > FILE_BYTES_MAX {
            return Err(errno(libc::EFBIG));
        }
        let fault = self.draw_fault(env, CHANGE, file)?;
        self.writable()?;
        if fault == Some(Fault::Enospc) {
            delivered(env, Fault::Enospc, file, 0, len);
            return Err(errno(libc::ENOSPC));
        }
        self.cut(env, file, len);
        Ok(Begun { value: (), latency_ns: self.latency(env, fault, file, Kind::Memory) })
    }

    /// Changes a length as a call of its own.
    pub(super) fn cut(&mut self, env: &mut Env<'_>, file: FileId, len: u64) {
        let call = self.new_call();
        let entry = Entry { call, stage: Stage::Cache, flaw: Flaw::None };
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        let logged = node.set_len(len, &entry, &mut self.next_seq, &mut self.pool);
        if logged > 0 {
            self.pending_ops += logged;
            self.dirty.insert(file);
            self.write_back(env);
        }
    }

    /// Reserves space. The reservation itself holds until the power goes (our choice).
    pub fn allocate(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        offset: u64,
        len: u64,
    ) -> io::Result<Begun<()>> {
        let file = self.opened(handle)?.file;
        let result = self.allocate_inner(env, handle, offset, len);
        traced(env, DiskOp::Allocate, file, offset, len, result)
    }

    fn allocate_inner(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        offset: u64,
        len: u64,
    ) -> io::Result<Begun<()>> {
        let open = self.opened(handle)?;
        let file = open.file;
        if !open.options.write {
            return Err(errno(libc::EBADF));
        }
        let end = offset.checked_add(len).ok_or_else(|| errno(libc::EFBIG))?;
        if len == 0 {
            return Err(errno(libc::EINVAL));
        }
        if end > FILE_BYTES_MAX {
            return Err(errno(libc::EFBIG));
        }
        let fault = self.draw_fault(env, CHANGE, file)?;
        self.writable()?;
        if fault == Some(Fault::Enospc) {
            delivered(env, Fault::Enospc, file, offset, len);
            return Err(errno(libc::ENOSPC));
        }
        self.check_space(env, file, offset, len)?;
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        // Without a capacity there is nothing to reserve from.
        if self.config.capacity_bytes.is_some() {
            node.reserve(offset, len);
        }
        if end > node.len {
            self.cut(env, file, end);
        }
        Ok(Begun { value: (), latency_ns: self.latency(env, fault, file, Kind::Memory) })
    }

    /// Length in bytes.
    pub fn len(&mut self, env: &mut Env<'_>, handle: Handle) -> io::Result<Begun<u64>> {
        let file = self.opened(handle)?.file;
        let result = self.draw_fault(env, LOOK, file).map(|fault| {
            let len = self.nodes[&file].len;
            Begun { value: len, latency_ns: self.latency(env, fault, file, Kind::Memory) }
        });
        traced(env, DiskOp::Len, file, 0, 0, result)
    }

    fn check_alignment(&self, offset: u64, len: usize) -> io::Result<()> {
        let sector = u64::from(self.honest_sector_bytes());
        if offset.is_multiple_of(sector) && (len as u64).is_multiple_of(sector) {
            Ok(())
        } else {
            Err(errno(libc::EINVAL))
        }
    }

    /// `ENOSPC` if the pages that a write needs do not fit.
    fn check_space(
        &mut self,
        env: &mut Env<'_>,
        file: FileId,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        let Some(capacity) = self.capacity(env) else { return Ok(()) };
        let new_pages = self.nodes[&file].absent_pages(offset, len);
        let needed = new_pages * PAGE_BYTES as u64;
        if needed > 0 && self.used_bytes() + needed > capacity {
            delivered(env, Fault::Enospc, file, offset, len);
            return Err(errno(libc::ENOSPC));
        }
        Ok(())
    }

    /// What a fault does to a write: how many bytes it takes, what it returns, how it is flawed.
    fn write_fault(
        &mut self,
        env: &mut Env<'_>,
        fault: Option<Fault>,
        file: FileId,
        offset: u64,
        len: usize,
    ) -> io::Result<(usize, io::Result<()>, Flaw)> {
        match fault {
            Some(Fault::Eintr) => {
                delivered(env, Fault::Eintr, file, offset, 0);
                Err(errno(libc::EINTR))
            }
            Some(Fault::Enospc) => {
                delivered(env, Fault::Enospc, file, offset, len as u64);
                Err(errno(libc::ENOSPC))
            }
            Some(Fault::EioWrite) => {
                let part = env.choices.choose("disk_eio_write/applied", 3);
                let count = match part {
                    0 => 0,
                    1 => env.choices.choose("disk_eio_write/bytes", len.max(1) as u64) as usize,
                    _ => len,
                };
                delivered(env, Fault::EioWrite, file, offset, count as u64);
                Ok((count, Err(errno(libc::EIO)), Flaw::None))
            }
            Some(Fault::ShortWrite) if len > 1 => {
                let most = len as u64 - 1;
                let count = most - env.choices.choose("disk_short_write/missing", most);
                delivered(env, Fault::ShortWrite, file, offset, count);
                Ok((count as usize, Ok(()), Flaw::None))
            }
            Some(Fault::PhantomWrite) => Ok((len, Ok(()), Flaw::Phantom)),
            Some(Fault::MisdirectedWrite) => {
                let (page, _, _) = piece(offset, 1);
                let flaw = match self.other_place(env, file, page) {
                    Some((other, at)) => Flaw::Misdirected(other, at),
                    None => Flaw::None,
                };
                Ok((len, Ok(()), flaw))
            }
            _ => Ok((len, Ok(()), Flaw::None)),
        }
    }
}
