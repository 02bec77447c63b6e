//! Faults that no call reports, and what a read may meet.
//!
//! # Method
//!
//! Damage hits the platter; the cache follows where it is clean, as if the page had been dropped and
//! read again. What undoes a flush works on the last flushed writes, which are remembered only while
//! such a fault may come. A fault that finds nothing to damage does nothing and is not counted.

use std::io;

use super::errors::errno;
use super::file::Data;
use super::model::{DiskModel, delivered};
use super::pages::{
    PAGE_BYTES, PAGE_SECTORS, SECTOR_BYTES, copy_sectors, piece, same_page, sector,
};
use super::platter::FileId;
use super::settle::garbage;
use crate::env::Env;
use crate::fault::Fault;

/// Sectors of the longest run that goes bad together.
const RUN_SECTORS_MAX: u64 = 32;
const BITS: u64 = 8 * SECTOR_BYTES as u64;

/// A write that was flushed not long ago.
#[derive(Clone, Debug)]
pub(super) struct Flushed {
    pub(super) file: FileId,
    pub(super) data: Data,
}

/// A sector of the platter: file, page, index in the page.
type Place = (FileId, u64, usize);

impl DiskModel {
    /// Fills the buffer of a read, with what a fault makes of it. The range ends within the file.
    pub(super) fn read_fault(
        &mut self,
        env: &mut Env<'_>,
        fault: Option<Fault>,
        file: FileId,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<usize> {
        let clean = |disk: &Self| disk.first_clean(file, offset, out.len());
        match fault {
            Some(Fault::Eintr) => {
                delivered(env, Fault::Eintr, file, offset, 0);
                return Err(errno(libc::EINTR));
            }
            // Bytes that are only in the cache need no device to be read.
            Some(Fault::EioRead) if clean(self).is_some() => {
                delivered(env, Fault::EioRead, file, offset, out.len() as u64);
                return Err(errno(libc::EIO));
            }
            Some(Fault::EioReadSticky) => {
                if let Some(place) = clean(self) {
                    self.damage(env, Fault::EioReadSticky, place);
                }
            }
            Some(fault @ (Fault::BitRot | Fault::BadSectorRun | Fault::ZeroedSector)) => {
                if let Some(place) = clean(self) {
                    self.damage(env, fault, place);
                    self.refresh(file);
                }
            }
            _ => {}
        }
        if self.is_bad(file, offset, out.len()) {
            return Err(errno(libc::EIO));
        }
        let node = &self.nodes[&file];
        node.read(offset, out);
        Ok(self.spoil_read(env, fault, file, offset, out))
    }

    /// A direct read goes past pages that are clean in the cache and not on the platter.
    pub(super) fn show_platter(&self, file: FileId, offset: u64, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() && !self.nodes[&file].lost.is_empty() {
            let (page, at, len) = piece(offset + done as u64, out.len() - done);
            let lost = self.nodes[&file].lost.get(&page).copied().unwrap_or(0);
            let old = self.platter.files.get(&file).and_then(|file| file.pages.get(page));
            for index in super::pages::sectors_of(lost) {
                let start = (index * SECTOR_BYTES).max(at);
                let end = ((index + 1) * SECTOR_BYTES).min(at + len);
                if start < end {
                    let from = &sector(old, index)[start % SECTOR_BYTES..][..end - start];
                    out[done + start - at..done + end - at].copy_from_slice(from);
                }
            }
            done += len;
        }
    }

    /// What a fault does to the bytes that were read. Returns how many are returned.
    fn spoil_read(
        &mut self,
        env: &mut Env<'_>,
        fault: Option<Fault>,
        file: FileId,
        offset: u64,
        out: &mut [u8],
    ) -> usize {
        match fault {
            Some(Fault::ShortRead) if out.len() > 1 => {
                let most = out.len() as u64 - 1;
                let count = most - env.choices.choose("disk_short_read/missing", most);
                delivered(env, Fault::ShortRead, file, offset, count);
                return count as usize;
            }
            Some(Fault::ReadCorruption) => {
                let bit = env.choices.choose("disk_read_corruption/bit", 8 * out.len() as u64);
                out[(bit / 8) as usize] ^= 1 << (bit % 8);
                delivered(env, Fault::ReadCorruption, file, offset + bit / 8, 1);
            }
            Some(Fault::MisdirectedRead) => {
                let (page, at, len) = piece(offset, out.len());
                if let Some((other, other_page)) = self.other_place(env, file, page) {
                    let from = self.platter.file(other).pages.get(other_page);
                    let wrong = from.map_or(&[0; PAGE_BYTES][..], |page| &page[..]);
                    if out[..len] != wrong[at..at + len] {
                        out[..len].copy_from_slice(&wrong[at..at + len]);
                        delivered(env, Fault::MisdirectedRead, file, offset, len as u64);
                    }
                }
            }
            _ => {}
        }
        out.len()
    }

    /// The first sector of a range that the platter holds and no pending write covers.
    fn first_clean(&self, file: FileId, offset: u64, len: usize) -> Option<Place> {
        let durable = self.platter.files.get(&file)?.len;
        let node = &self.nodes[&file];
        let end = (offset + len as u64).min(durable);
        let mut at = offset - offset % SECTOR_BYTES as u64;
        let mut dirty = None;
        while at < end {
            let (page, byte, _) = piece(at, SECTOR_BYTES);
            let mask = match dirty {
                Some((of, mask)) if of == page => mask,
                _ => node.dirty_mask(page),
            };
            dirty = Some((page, mask));
            if mask >> (byte / SECTOR_BYTES) & 1 == 0 {
                return Some((file, page, byte / SECTOR_BYTES));
            }
            at += SECTOR_BYTES as u64;
        }
        None
    }

    fn is_bad(&self, file: FileId, offset: u64, len: usize) -> bool {
        let Some(platter) = self.platter.files.get(&file).filter(|file| !file.bad.is_empty())
        else {
            return false;
        };
        let mut done = 0;
        while done < len {
            let (page, at, count) = piece(offset + done as u64, len - done);
            let mask = super::pages::sector_mask(at, count);
            // Sectors that were written since then are read from the cache.
            if let Some(bad) = platter.bad.get(&page)
                && bad & mask & !self.nodes[&file].dirty_mask(page) != 0
            {
                return true;
            }
            done += count;
        }
        false
    }

    /// Damages the platter from a sector on.
    fn damage(&mut self, env: &mut Env<'_>, fault: Fault, (file, page, index): Place) {
        let platter = self.platter.file(file);
        let first = page * PAGE_SECTORS as u64 + index as u64;
        let at = first * SECTOR_BYTES as u64;
        let there = platter.len.div_ceil(SECTOR_BYTES as u64) - first;
        let most = there.min(RUN_SECTORS_MAX);
        let mut bytes: [u8; SECTOR_BYTES] =
            platter.sector(page, index).try_into().expect("a sector has its size");
        match fault {
            Fault::BitRot => {
                let bit = env.choices.choose("disk_bit_rot/bit", BITS) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
                platter.overwrite(page, index * SECTOR_BYTES, &bytes, &mut self.pool);
                delivered(env, fault, file, at + bit as u64 / 8, 1);
            }
            Fault::ZeroedSector if bytes.iter().any(|byte| *byte != 0) => {
                let zeros = [0; SECTOR_BYTES];
                platter.overwrite(page, index * SECTOR_BYTES, &zeros, &mut self.pool);
                delivered(env, fault, file, at, SECTOR_BYTES as u64);
            }
            Fault::EioReadSticky => {
                let count = env.choices.log_uniform("disk_eio_read_sticky/sectors", 1, most);
                for number in first..first + count {
                    let bad = platter.bad.entry(number / PAGE_SECTORS as u64).or_default();
                    *bad |= 1 << (number % PAGE_SECTORS as u64);
                }
                delivered(env, fault, file, at, count * SECTOR_BYTES as u64);
            }
            Fault::BadSectorRun => {
                let count = env.choices.log_uniform("disk_bad_sector_run/sectors", 1, most);
                for number in first..first + count {
                    let (page, index) =
                        (number / PAGE_SECTORS as u64, (number % PAGE_SECTORS as u64) as usize);
                    let bytes = garbage(number ^ u64::from(file) << 32);
                    platter.overwrite(page, index * SECTOR_BYTES, &bytes, &mut self.pool);
                }
                delivered(env, fault, file, at, count * SECTOR_BYTES as u64);
            }
            _ => {}
        }
    }

    /// The cache shows the platter where it is clean.
    fn refresh(&mut self, file: FileId) {
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        let platter = self.platter.file(file);
        let pages: Vec<u64> = platter.pages.iter().map(|(page, _)| page).collect();
        for page in pages.into_iter().filter(|page| page * (PAGE_BYTES as u64) < node.len) {
            let kept = node.dirty_mask(page) | node.lost.get(&page).copied().unwrap_or(0);
            if same_page(node.pages.get(page), platter.pages.get(page)) || kept == u8::MAX {
                continue;
            }
            let fresh =
                node.pages.slot(page).get_or_insert_with(|| self.pool.overlay(None, 0, &[]));
            copy_sectors(fresh, platter.pages.get(page), !kept);
        }
    }

    /// A page of the platter other than this one, for what goes astray.
    pub(super) fn other_place(
        &self,
        env: &mut Env<'_>,
        file: FileId,
        page: u64,
    ) -> Option<(FileId, u64)> {
        let (other, at) = self.any_page(env, "disk_misdirect/page")?;
        if (other, at) != (file, page) {
            return Some((other, at));
        }
        let pages = self.platter.files[&file].len.div_ceil(PAGE_BYTES as u64);
        (pages > 1).then(|| (file, (page + 1) % pages))
    }

    /// Any page of the platter.
    fn any_page(&self, env: &mut Env<'_>, label: &'static str) -> Option<(FileId, u64)> {
        let pages = |len: u64| len.div_ceil(PAGE_BYTES as u64);
        let total: u64 = self.platter.files.values().map(|file| pages(file.len)).sum();
        if total == 0 {
            return None;
        }
        let mut index = env.choices.choose(label, total);
        for (file, platter) in &self.platter.files {
            if index < pages(platter.len) {
                return Some((*file, index));
            }
            index -= pages(platter.len);
        }
        unreachable!("page {index} behind the last of {total}")
    }

    /// Damage at rest, somewhere.
    pub(super) fn rot(&mut self, env: &mut Env<'_>, fault: Fault) {
        let Some((file, page)) = self.any_page(env, "disk_rot/page") else { return };
        let bytes = self.platter.files[&file].len - page * PAGE_BYTES as u64;
        let sectors = bytes.div_ceil(SECTOR_BYTES as u64).min(PAGE_SECTORS as u64);
        let index = env.choices.choose("disk_rot/sector", sectors) as usize;
        self.damage(env, fault, (file, page, index));
    }

    /// Whether flushed writes are remembered: only for faults that may come.
    #[inline]
    pub(super) fn keeps_flushed(&self, env: &Env<'_>) -> bool {
        UNDO.iter().any(|fault| env.faults.rate_ppm(*fault) > 0)
    }

    /// Remembers a flushed write; the oldest is forgotten.
    pub(super) fn keep_flushed(&mut self, file: FileId, data: &Data) {
        self.flushed.push_back(Flushed { file, data: data.clone() });
        while self.flushed.len() > self.device.flushed_kept {
            self.flushed.pop_front();
        }
    }

    /// At power loss: a flush turns out not to have kept its promise.
    pub(super) fn undo_flushed(&mut self, env: &mut Env<'_>) {
        let fault = env.faults.pick(env.choices, "disk_flushed/undo", UNDO);
        let mut flushed: Vec<Flushed> = self.flushed.drain(..).collect();
        flushed.retain(|write| self.platter.files.contains_key(&write.file));
        match fault {
            Some(Fault::Shorn) => self.shear(env, &flushed),
            Some(Fault::Unserializable) => self.exchange(env, &flushed),
            Some(Fault::MetadataLoss) => self.revert(env, &flushed),
            _ => {}
        }
    }

    /// The newest write of its page, as the platter shows it.
    fn is_shown(&self, write: &Flushed) -> bool {
        let page = self.platter.files[&write.file].pages.get(write.data.page);
        super::pages::sectors_of(write.data.mask)
            .all(|index| sector(page, index) == sector(Some(&write.data.after), index))
    }

    /// Sectors of a page get the bytes that another version has there. Says whether any changed.
    fn set_back(&mut self, write: &Flushed, mask: u8, to: Option<&super::pages::PageRef>) -> bool {
        let platter = self.platter.file(write.file);
        let now = platter.pages.get(write.data.page);
        let differs =
            super::pages::sectors_of(mask).any(|index| sector(now, index) != sector(to, index));
        if differs {
            platter.put(write.data.page, mask, to, &mut self.pool);
        }
        differs
    }

    fn shear(&mut self, env: &mut Env<'_>, flushed: &[Flushed]) {
        let whole = flushed.iter().filter(|write| {
            let data = &write.data;
            let last = sector(data.before.as_ref(), PAGE_SECTORS - 1);
            data.mask == u8::MAX
                && self.is_shown(write)
                && last != sector(Some(&data.after), PAGE_SECTORS - 1)
        });
        let whole: Vec<&Flushed> = whole.collect();
        if whole.is_empty() {
            return;
        }
        let victim = whole[env.choices.choose("disk_flushed/victim", whole.len() as u64) as usize];
        let kept = 7 - env.choices.choose("disk_flushed/eighths", 7);
        if self.set_back(victim, u8::MAX << kept, victim.data.before.as_ref()) {
            let at = victim.data.offset() + kept * SECTOR_BYTES as u64;
            let len = (8 - kept) * SECTOR_BYTES as u64;
            delivered(env, Fault::Shorn, victim.file, at, len);
        }
    }

    fn exchange(&mut self, env: &mut Env<'_>, flushed: &[Flushed]) {
        let mut pairs = Vec::new();
        for (index, newer) in flushed.iter().enumerate().filter(|(_, newer)| self.is_shown(newer)) {
            let older = flushed[..index].iter().rfind(|older| {
                older.file == newer.file
                    && older.data.page == newer.data.page
                    && older.data.mask & newer.data.mask != 0
            });
            pairs.extend(older.map(|older| (older, newer)));
        }
        if pairs.is_empty() {
            return;
        }
        let (older, newer) =
            pairs[env.choices.choose("disk_flushed/victim", pairs.len() as u64) as usize];
        let mask = older.data.mask & newer.data.mask;
        if self.set_back(newer, mask, Some(&older.data.after)) {
            let (at, len) = (newer.data.offset(), newer.data.len());
            delivered(env, Fault::Unserializable, newer.file, at, len);
        }
    }

    fn revert(&mut self, env: &mut Env<'_>, flushed: &[Flushed]) {
        let mut reverted = 0;
        for write in flushed.iter().rev() {
            // Half of them, and all where nothing else is chosen.
            let stays = env.choices.choose("disk_flushed/stays", 2) == 1;
            if !stays && self.is_shown(write) {
                let before = write.data.before.clone();
                reverted += u64::from(self.set_back(write, write.data.mask, before.as_ref()));
            }
        }
        if reverted > 0 {
            delivered(env, Fault::MetadataLoss, 0, 0, reverted);
        }
    }
}

const UNDO: &[Fault] = &[Fault::Shorn, Fault::Unserializable, Fault::MetadataLoss];
