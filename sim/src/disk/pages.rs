//! Pages shared by pointer, and the sparse table that holds a file's pages.
//!
//! # Method
//!
//! A page is never changed once it is shared: a write makes a new one. A table is a map of chunks of
//! 64 pages, themselves shared, so that cloning a table costs one pointer for 256 KiB of file. Pages
//! that nobody holds any more go to a pool and are filled again, those of a disk that is gone by the next
//! disk of its OS thread. What was in them is never seen.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a page of the page cache, and of a block of the file system.
pub const PAGE_BYTES: usize = 4096;
/// Bytes of the smallest sector of a device.
pub const SECTOR_BYTES: usize = 512;
/// Sectors of a page.
pub const PAGE_SECTORS: usize = PAGE_BYTES / SECTOR_BYTES;
/// All sectors of a page.
pub const WHOLE: u8 = u8::MAX;

const CHUNK_PAGES: usize = 64;
/// Most pages that wait to be used again: 4 MiB.
const POOL_PAGES_MAX: usize = 1024;

/// The bytes of one page at one time.
pub type PageRef = Arc<[u8; PAGE_BYTES]>;

type Chunk = [Option<PageRef>; CHUNK_PAGES];

thread_local! {
    /// The free pages of a disk that is gone.
    static SPARE: Cell<Vec<PageRef>> = const { Cell::new(Vec::new()) };
}

/// Pages that nobody holds any more.
#[derive(Debug, Default)]
pub struct PagePool {
    free: Vec<PageRef>,
}

impl Clone for PagePool {
    // Free pages carry nothing: a copy of a disk starts without.
    fn clone(&self) -> Self {
        PagePool::default()
    }
}

impl PagePool {
    /// The pages that the last disk of this OS thread has left, if no other took them.
    pub fn take_spare() -> PagePool {
        PagePool { free: SPARE.try_with(Cell::take).unwrap_or_default() }
    }

    /// Leaves the pages to the next disk of this OS thread, unless more wait for it.
    pub fn leave(&mut self) {
        let free = std::mem::take(&mut self.free);
        let _ = SPARE.try_with(|spare| {
            let other = spare.take();
            spare.set(if free.len() > other.len() { free } else { other });
        });
    }

    /// A page of its own with `bytes` written at `at` over what `base` holds; no base reads as zeros.
    #[inline]
    pub fn overlay(&mut self, base: Option<&PageRef>, at: usize, bytes: &[u8]) -> PageRef {
        let mut page = self.free.pop().unwrap_or_else(|| Arc::new([0; PAGE_BYTES]));
        let fresh = Arc::get_mut(&mut page).expect("a free page is held by the pool alone");
        let end = at + bytes.len();
        match base {
            Some(base) => {
                fresh[..at].copy_from_slice(&base[..at]);
                fresh[end..].copy_from_slice(&base[end..]);
            }
            None => {
                fresh[..at].fill(0);
                fresh[end..].fill(0);
            }
        }
        fresh[at..end].copy_from_slice(bytes);
        page
    }

    /// Takes a page back if nobody else holds it.
    #[inline]
    pub fn give(&mut self, page: Option<PageRef>) {
        if let Some(mut page) = page
            && self.free.len() < POOL_PAGES_MAX
            && Arc::get_mut(&mut page).is_some()
        {
            self.free.push(page);
        }
    }
}

/// The sectors of a page that a range of its bytes touches.
#[inline]
pub fn sector_mask(at: usize, len: usize) -> u8 {
    debug_assert!(len > 0 && at + len <= PAGE_BYTES);
    let first = at / SECTOR_BYTES;
    let last = (at + len - 1) / SECTOR_BYTES;
    let upto_last = u16::MAX >> (15 - last);
    (upto_last as u8) & (u8::MAX << first)
}

/// The sectors of a mask, in order.
pub fn sectors_of(mask: u8) -> impl Iterator<Item = usize> {
    (0..PAGE_SECTORS).filter(move |sector| mask >> sector & 1 == 1)
}

/// The bytes of one sector of a page; a hole is zeros.
pub fn sector(page: Option<&PageRef>, index: usize) -> &[u8] {
    const ZEROS: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];
    match page {
        Some(page) => &page[index * SECTOR_BYTES..(index + 1) * SECTOR_BYTES],
        None => &ZEROS,
    }
}

/// Copies the sectors of `mask` from one page over another.
pub fn copy_sectors(to: &mut PageRef, from: Option<&PageRef>, mask: u8) {
    let to = Arc::make_mut(to);
    for index in sectors_of(mask) {
        let range = index * SECTOR_BYTES..(index + 1) * SECTOR_BYTES;
        to[range].copy_from_slice(sector(from, index));
    }
}

/// A file's pages by their number; a page that is absent reads as zeros.
#[derive(Clone, Debug, Default)]
pub struct PageTable {
    chunks: BTreeMap<u64, Arc<Chunk>>,
}

impl PageTable {
    /// The page, if it was ever written.
    #[inline]
    pub fn get(&self, page: u64) -> Option<&PageRef> {
        let chunk = self.chunks.get(&(page / CHUNK_PAGES as u64))?;
        chunk[(page % CHUNK_PAGES as u64) as usize].as_ref()
    }

    /// The place of a page, to be filled.
    #[inline]
    pub fn slot(&mut self, page: u64) -> &mut Option<PageRef> {
        let chunk = self
            .chunks
            .entry(page / CHUNK_PAGES as u64)
            .or_insert_with(|| Arc::new([const { None }; CHUNK_PAGES]));
        &mut Arc::make_mut(chunk)[(page % CHUNK_PAGES as u64) as usize]
    }

    /// Copies bytes out.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() {
            let (page, at, len) = piece(offset + done as u64, out.len() - done);
            let out = &mut out[done..done + len];
            match self.get(page) {
                Some(bytes) => out.copy_from_slice(&bytes[at..at + len]),
                None => out.fill(0),
            }
            done += len;
        }
    }

    /// Gives every page back that nobody else holds.
    pub fn give_to(self, pool: &mut PagePool) {
        for chunk in self.chunks.into_values().filter_map(Arc::into_inner) {
            for page in chunk {
                pool.give(page);
            }
        }
    }

    /// Forgets all bytes from `len` on.
    pub fn truncate(&mut self, len: u64, pool: &mut PagePool) {
        let (last, at, _) = piece(len, 1);
        if at > 0
            && let Some(page) = self.get(last)
            && page[at..].iter().any(|byte| *byte != 0)
        {
            let cut = pool.overlay(Some(page), at, &[0; PAGE_BYTES][at..]);
            *self.slot(last) = Some(cut);
        }
        let first_gone = len.div_ceil(PAGE_BYTES as u64);
        let chunk_gone = first_gone.div_ceil(CHUNK_PAGES as u64);
        self.chunks.split_off(&chunk_gone);
        if !first_gone.is_multiple_of(CHUNK_PAGES as u64)
            && let Some(chunk) = self.chunks.get_mut(&(first_gone / CHUNK_PAGES as u64))
        {
            let from = (first_gone % CHUNK_PAGES as u64) as usize;
            if chunk[from..].iter().any(Option::is_some) {
                Arc::make_mut(chunk)[from..].fill(None);
            }
        }
    }

    /// How many pages of `first..end` exist.
    pub fn present(&self, first: u64, end: u64) -> u64 {
        let chunks = first / CHUNK_PAGES as u64..end.div_ceil(CHUNK_PAGES as u64);
        let mut count = 0;
        for (number, chunk) in self.chunks.range(chunks) {
            let base = number * CHUNK_PAGES as u64;
            let pages = (base..).zip(chunk.iter());
            count +=
                pages.filter(|(page, slot)| (first..end).contains(page) && slot.is_some()).count();
        }
        count as u64
    }

    /// Whether both show the same bytes; shared chunks are not looked at.
    pub fn same_bytes(&self, other: &PageTable) -> bool {
        let numbers = self.chunks.keys().chain(other.chunks.keys());
        numbers.copied().all(|number| match (self.chunks.get(&number), other.chunks.get(&number)) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => true,
            (a, b) => (0..CHUNK_PAGES).all(|index| {
                let page =
                    |chunk: Option<&Arc<Chunk>>| chunk.and_then(|chunk| chunk[index].clone());
                match (page(a), page(b)) {
                    (Some(a), Some(b)) => a == b,
                    (Some(page), None) | (None, Some(page)) => page.iter().all(|byte| *byte == 0),
                    (None, None) => true,
                }
            }),
        })
    }

    /// Which pages exist: 64 of them a number, a bit a page.
    pub fn occupied(&self) -> impl Iterator<Item = (u64, u64)> {
        const { assert!(CHUNK_PAGES == u64::BITS as usize) };
        self.chunks.iter().map(|(number, chunk)| {
            let bits = chunk.iter().enumerate();
            let bits = bits.fold(0, |all, (index, page)| all | u64::from(page.is_some()) << index);
            (*number, bits)
        })
    }

    /// The pages that exist, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &PageRef)> {
        self.chunks.iter().flat_map(|(number, chunk)| {
            let first = number * CHUNK_PAGES as u64;
            let pages = chunk.iter().enumerate();
            pages.filter_map(move |(index, page)| Some((first + index as u64, page.as_ref()?)))
        })
    }
}

/// The first piece of a range that lies within one page: page, first byte in it, length.
#[inline]
pub fn piece(offset: u64, len: usize) -> (u64, usize, usize) {
    let at = (offset % PAGE_BYTES as u64) as usize;
    (offset / PAGE_BYTES as u64, at, len.min(PAGE_BYTES - at))
}

/// Whether two places hold the very same page.
#[inline]
pub fn same_page(a: Option<&PageRef>, b: Option<&PageRef>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
