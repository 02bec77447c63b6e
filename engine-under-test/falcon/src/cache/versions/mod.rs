//! The file of versions: of every page, how new it is on the disk.
//!
//! # Method
//!
//! A checksum tells a page that is damaged, and its number one that is in the wrong place. Neither tells a page
//! whose last write the device has lost: what is there then is whole, and was right once. So this file has for
//! each page the place in the log of the change that was written last, as far as a checkpoint has seen to it. A
//! page that is older when it is read is told. The idea is that of the block tags of parity arrays (Krioukov and
//! others, *Parity Lost and Parity Regained*, FAST 2008), which call it version mirroring.
//!
//! Each block of pages has two copies in the file ([`copy`]), sixteen bytes a page for both.
//!
//! A checkpoint takes the places that are new before it syncs the pages, and saves them after that: what the
//! file says of a page was durable before. A crash may leave older places than the pages have, which is nothing
//! to tell of, and so may an eviction.
//!
//! # Bound to the log
//!
//! A device that forgets writes may forget those of a page and of its block together. So saves have numbers, a
//! copy has that of the save which wrote it, and when a save is durable the record of its checkpoint seals it in
//! the log: with its number and the sum of a hash of all copies that count ([`Seal`]). A copy counts as of a save
//! if it is the later of its block's two, up to that save. An opening adds up those that count as of the last
//! seal in the log; if the sum is another, a write of this file is lost, and it is refused.
//!
//! A save writes each block over the copy that does not count, and the next one begins when this one is sealed,
//! durably. So whatever a crash leaves of a save that was not sealed, old, new, torn or nothing, all copies that
//! count are as they were; each copy has 4,096 bytes to itself, the largest sector that there is. What an opening
//! finds of such a save is saved again by its own checkpoint, before that is sealed, under a number that is
//! higher than any in the file: none of it can come to count.
//!
//! What cannot be known: where log, pages and this file have all gone back to what they were at an earlier time,
//! it is as if the database had not lived since.
//!
//! # Invariant
//!
//! All copies that count as of the last seal in the log are durable, and none of them is written over.

mod copy;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconry_seam::disk::File;
use falconry_seam::sync::{Mutex, MutexGuard, PoisonError};

use crate::read_ahead::ReadAhead;
use crate::{Error, Lsn, PageId, PageNumber, Result, TablespaceId};
use copy::{Block, COPY_BYTES, FORMAT, InFile, PAGES, decode, encode, offset_of};

/// What the log says of the file: which save a checkpoint has made durable, and what all copies come to that
/// count as of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// The number of the save, from 1; 0 before the first.
    pub save: u64,
    /// The hashes of the copies, added up without regard to overflow.
    pub sum: u64,
}

/// How new the pages of some tablespaces are on the disk.
pub struct Versions {
    file: Arc<dyn File>,
    path: PathBuf,
    database: u64,
    tablespaces: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocks: BTreeMap<u32, Block>,
    /// Those with places that the copy which counts does not have, or none does.
    new: BTreeSet<u32>,
    /// The other copies, as far as an opening found any and has not yet heard what the log says.
    other: BTreeMap<u32, Block>,
    /// The highest number of a save.
    save: u64,
    /// Whether a save begins only when the one before it is sealed,
    is_bound: bool,
    /// and whether that is so.
    is_sealed: bool,
}

/// Blocks as they are to be written.
pub(super) struct Taken(Vec<(u32, InFile, Vec<u8>)>);

impl Versions {
    /// Opens the file, new and empty or with what a life before this one left in it, for pages of the
    /// tablespaces below that number. The later copy of each block counts, until the log is heard. Nothing is
    /// written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Newer`].
    pub fn open(
        file: Arc<dyn File>,
        path: &Path,
        database: u64,
        tablespaces: u32,
    ) -> Result<Versions> {
        let mut state = State { is_sealed: true, ..State::default() };
        let len = file.len().map_err(|error| Error::io("measure", path, error))?;
        let mut reader = ReadAhead::new(len, |buffer, offset| {
            let read = file.read_exact_at(buffer, offset);
            read.map_err(|error| Error::io("read", path, error))
        });
        for place in 0..(len / COPY_BYTES as u64).try_into().unwrap_or(u32::MAX) {
            let bytes = reader.at(offset_of(place), COPY_BYTES as u64)?;
            let Some((format, block)) = decode(place, database, bytes) else { continue };
            if format > FORMAT {
                return Err(Error::Newer { file: path.into(), found: format, known: FORMAT });
            }
            state.found(place / 2, block);
        }
        let path = path.to_path_buf();
        Ok(Versions { file, path, database, tablespaces, state: Mutex::new(state) })
    }

    /// From now on those copies count that did as of the last seal in the log, and each save waits for the seal
    /// of the one before. Without a seal nothing counts: the log is an earlier Falcon's or has no checkpoint yet, or a
    /// user wants the file anew.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if they are not what was sealed.
    pub(crate) fn bind(&self, seal: Option<Seal>) -> Result<()> {
        let mut state = self.state();
        state.is_bound = true;
        let Some(seal) = seal else {
            state.forget();
            return Ok(());
        };
        state.go_back_to(seal.save);
        let found = state.sum();
        if found == seal.sum {
            return Ok(());
        }
        let what = format!(
            "its blocks come to {found:#018x}, and the log says {:#018x}: a write is lost, and pages may have \
             lost theirs with it; without a backup, make_versions_anew opens what there is",
            seal.sum
        );
        let place = format!("save {}", seal.save);
        Err(Error::Damaged { file: self.path.clone(), place, what })
    }

    /// What the record of a checkpoint says of the last save.
    pub(crate) fn seal(&self) -> Seal {
        let state = self.state();
        Seal { save: state.save, sum: state.sum() }
    }

    /// The log has that, durably.
    pub(crate) fn sealed(&self) {
        self.state().is_sealed = true;
    }

    /// The page whose place in the log is the latest, by whatever copy. The log was durable up to there.
    pub(crate) fn latest(&self) -> Option<(PageId, Lsn)> {
        let state = self.state();
        let of_blocks = state.blocks.iter().chain(&state.other).flat_map(|(number, block)| {
            (0..).zip(&*block.places).map(|(slot, lsn)| (self.page(*number, slot), *lsn))
        });
        of_blocks.filter(|(_, lsn)| *lsn > Lsn(0)).max_by_key(|(_, lsn)| *lsn)
    }

    /// The place in the log that a page has at least; 0 if nothing is known of it.
    pub(super) fn of(&self, page: PageId) -> Lsn {
        let (number, slot) = self.place(page);
        self.state().blocks.get(&number).map_or(Lsn(0), |block| block.places[slot])
    }

    /// Pages were written, each with the changes up to that place in the log. They need not be durable.
    pub(super) fn written(&self, pages: impl Iterator<Item = (PageId, Lsn)>) {
        let mut state = self.state();
        for (page, lsn) in pages {
            let (number, slot) = self.place(page);
            state.blocks.entry(number).or_insert_with(Block::unknown).places[slot] = lsn;
            state.new.insert(number);
        }
    }

    /// Takes what the file does not have. All of it must be durable on the pages before it is saved.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] if the log is bound and does not have the last seal: what counts is not known.
    pub(super) fn take(&self) -> Result<Taken> {
        let mut state = self.state();
        if state.is_bound && !state.is_sealed {
            return Err(Error::Stopped(
                "the log does not tell of the last save of versions".into(),
            ));
        }
        let new = std::mem::take(&mut state.new);
        if !new.is_empty() {
            state.save += 1;
            state.is_sealed = false;
        }
        let blocks = new.into_iter().map(|number| {
            let Block { places, copy } = &state.blocks[&number];
            // The other one of the two.
            let place = copy.map_or(number * 2, |copy| copy.place ^ 1);
            let (copy, bytes) = encode(place, self.database, state.save, places);
            (number, copy, bytes)
        });
        Ok(Taken(blocks.collect()))
    }

    /// Writes what was taken, durably.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: what the file has of this save is unknown, and nothing else is wrong.
    pub(super) fn save(&self, taken: &Taken) -> Result<()> {
        let Taken(blocks) = taken;
        if blocks.is_empty() {
            return Ok(());
        }
        for (_, copy, bytes) in blocks {
            let written = self.file.write_all_at(bytes, offset_of(copy.place));
            written.map_err(|error| Error::io("write", &self.path, error))?;
        }
        self.file.sync_data().map_err(|error| Error::io("sync", &self.path, error))?;
        let mut state = self.state();
        for (number, copy, _) in blocks {
            state.blocks.get_mut(number).expect("it was taken").copy = Some(*copy);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block and the slot in it.
    fn place(&self, page: PageId) -> (u32, usize) {
        let PageId { tablespace, number } = page;
        (number.0 / PAGES * self.tablespaces + tablespace.0, (number.0 % PAGES) as usize)
    }

    fn page(&self, block: u32, slot: u32) -> PageId {
        let number =
            PageNumber((block / self.tablespaces).saturating_mul(PAGES).saturating_add(slot));
        PageId { tablespace: TablespaceId(block % self.tablespaces), number }
    }
}

impl State {
    /// Takes a copy that is in the file; of two the later one counts.
    fn found(&mut self, number: u32, block: Block) {
        self.save = self.save.max(block.save());
        match self.blocks.get(&number) {
            Some(first) if first.save() >= block.save() => self.other.insert(number, block),
            _ => {
                let first = self.blocks.insert(number, block);
                first.and_then(|first| self.other.insert(number, first))
            }
        };
    }

    /// Makes those copies count that did as of a save. What is later is to be written over.
    fn go_back_to(&mut self, save: u64) {
        let mut other = std::mem::take(&mut self.other);
        for (number, block) in &mut self.blocks {
            if block.save() > save {
                let earlier = other.remove(number).filter(|block| block.save() <= save);
                *block = earlier.unwrap_or_else(Block::unknown);
                self.new.insert(*number);
            }
        }
        self.save = self.save.max(save);
    }

    /// Makes no copy count. All are to be written over.
    fn forget(&mut self) {
        self.other.clear();
        for (number, block) in &mut self.blocks {
            *block = Block::unknown();
            self.new.insert(*number);
        }
    }

    fn sum(&self) -> u64 {
        let hashes = self.blocks.values().filter_map(|block| block.copy).map(|copy| copy.hash);
        hashes.fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use falconry_seam::disk::OpenOptions;
    use falconry_sim::choice::Choices;
    use falconry_sim::{Machine, MachineConfig};

    use super::*;

    fn with_file(test: impl Fn(&dyn Fn() -> Versions) + 'static) {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(move |ctx| {
            let path = Path::new("versions");
            let disk = ctx.disk();
            test(&|| {
                let file = disk.open(path, &OpenOptions::CREATE).expect("no fault");
                Versions::open(file, path, 0xDB, 2).expect("no fault")
            });
        });
    }

    fn page(number: u32) -> PageId {
        PageId { tablespace: TablespaceId(1), number: PageNumber(number) }
    }

    /// Says that pages were written up to that place, and saves that.
    fn save(versions: &Versions, lsn: u64, numbers: &[u32]) -> Seal {
        versions.written(numbers.iter().map(|number| (page(*number), Lsn(lsn))));
        let taken = versions.take().expect("the last save was sealed");
        versions.save(&taken).expect("no fault");
        versions.seal()
    }

    #[test]
    fn a_save_waits_for_the_seal_of_the_one_before() {
        with_file(|open| {
            let versions = open();
            versions.bind(None).expect("there is nothing");
            save(&versions, 5, &[1]);
            versions.written([(page(1), Lsn(6))].into_iter());
            assert!(matches!(versions.take(), Err(Error::Stopped(_))));
            versions.sealed();
            assert!(versions.take().is_ok());
        });
    }

    #[test]
    fn what_was_not_sealed_does_not_count_and_is_written_over() {
        with_file(|open| {
            let versions = open();
            versions.bind(None).expect("there is nothing");
            let mut last = save(&versions, 5, &[1, 600, 1_200]);
            for lsn in 6..10 {
                let bound = |seal| {
                    let versions = open();
                    versions.bind(Some(seal)).expect("it is there still");
                    let of = [1, 600, 1_200].map(|number| versions.of(page(number)));
                    assert_eq!(of, [Lsn(5); 3]);
                    versions
                };
                // A crash comes before the seal of this save,
                save(&bound(last), lsn, &[1, 2_000 + lsn as u32 * 508]);
                assert_eq!(open().latest().map(|(_, lsn)| lsn), Some(Lsn(lsn)));
                // and before that of the next opening, which has something else to save.
                save(&bound(last), 5, &[600]);
                let next = save(&bound(last), 5, &[1_200]);
                // The log has the last seal, or this one.
                bound(last);
                bound(next);
                assert!(open().bind(Some(Seal { sum: next.sum ^ 1, ..next })).is_err());
                last = next;
            }
        });
    }
}
