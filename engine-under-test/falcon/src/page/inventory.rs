//! Inventory pages: which pages of a tablespace are free.
//!
//! # Method
//!
//! ```text
//!  24        28           32
//! +---------+------------+------------------------------------------+
//! | ordinal | free count | one bit a page, 1 = free, low bit first  |
//! | u32     | u32        |                                          |
//! +---------+------------+------------------------------------------+
//! ```
//!
//! The n-th inventory page keeps the pages from n × [`InventoryMap::pages_per_inventory`]. It lies within
//! that range itself, as its first page; only the first lies at page 1, behind the header of the file. It is
//! made when the first page of its range is wanted: a range without an inventory page has no page in use.
//!
//! # Invariant
//!
//! A reserved page (the fixed ones of the file, and the inventory page itself) is never free. The free count
//! is the number of bits that are set.

use super::bytes::{put_u32, u32_at};
use super::error::PageError;
use super::header::{self, Header, PageKind, assert_kind, id_of};
use super::size::PageSize;
use crate::ids::{PageId, PageNumber, TablespaceId};

const ORDINAL: usize = 24;
const FREE_COUNT: usize = 28;
const BITS: usize = 32;

/// The fixed pages of every file: its header, the first inventory page, the root of its sections and the
/// root of its indexes.
pub const RESERVED_PAGES: u32 = 4;

/// Where the inventory pages of a tablespace lie, and what each keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InventoryMap {
    size: PageSize,
}

impl InventoryMap {
    /// The map for pages of `size`.
    pub fn new(size: PageSize) -> InventoryMap {
        InventoryMap { size }
    }

    /// How many pages one inventory page keeps.
    pub fn pages_per_inventory(&self) -> u32 {
        (self.size.bytes() - BITS) as u32 * 8
    }

    /// How many inventory pages a tablespace may have.
    pub fn inventories_max(&self) -> u32 {
        u32::MAX / self.pages_per_inventory() + 1
    }

    /// Which inventory page keeps `page`, by its ordinal.
    pub fn ordinal_of(&self, page: PageNumber) -> u32 {
        page.0 / self.pages_per_inventory()
    }

    /// Where the inventory page with `ordinal` lies.
    pub fn page_of(&self, ordinal: u32) -> PageNumber {
        let max = self.inventories_max();
        assert!(ordinal < max, "inventory page {ordinal} was asked for, of {max}");
        PageNumber(if ordinal == 0 { 1 } else { ordinal * self.pages_per_inventory() })
    }

    /// Whether `page` can never be given to anybody.
    pub fn is_reserved(&self, page: PageNumber) -> bool {
        page.0 < RESERVED_PAGES || self.page_of(self.ordinal_of(page)) == page
    }

    /// The pages that the inventory page with `ordinal` keeps, first and last. The last one keeps fewer, for
    /// page numbers end.
    pub fn range_of(&self, ordinal: u32) -> (PageNumber, PageNumber) {
        let first = ordinal * self.pages_per_inventory();
        (PageNumber(first), PageNumber(first.saturating_add(self.pages_per_inventory() - 1)))
    }
}

/// An inventory page, for reading.
#[derive(Clone, Copy, Debug)]
pub struct InventoryPage<'a> {
    bytes: &'a [u8],
    map: InventoryMap,
}

impl<'a> InventoryPage<'a> {
    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<InventoryPage<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::Inventory)?;
        let checker = header.checker();
        let map = InventoryMap::new(header.size);
        let (ordinal, max) = (u32_at(bytes, ORDINAL), map.inventories_max());
        checker.ensure(ordinal < max, ORDINAL, "ordinal", ordinal, || format!("below {max}"))?;
        let place = map.page_of(ordinal);
        checker.ensure(place == header.id.number, ORDINAL, "ordinal", ordinal, || {
            format!("that of an inventory page which lies here, but {place} is its place")
        })?;
        // Eight bytes at a time: a page's size is a multiple of them, and so is where the bits begin.
        let (words, []) = bytes[BITS..].as_chunks::<8>() else { unreachable!("an odd page") };
        let set: u32 = words.iter().map(|word| u64::from_le_bytes(*word).count_ones()).sum();
        let count = u32_at(bytes, FREE_COUNT);
        checker.ensure(count == set, FREE_COUNT, "free count", count, || {
            format!("{set}, the bits that are set")
        })?;
        let page = InventoryPage { bytes, map };
        let (first, last) = map.range_of(ordinal);
        let reserved = (first.0..=last.0.min(first.0 + RESERVED_PAGES - 1)).map(PageNumber);
        for number in reserved.filter(|number| map.is_reserved(*number)) {
            checker.ensure(!page.is_free(number), BITS, "free page", number.0, || {
                "none of the reserved ones".to_string()
            })?;
        }
        let kept = last.0 - first.0 + 1;
        let beyond = (kept..map.pages_per_inventory()).find(|bit| page.bit(*bit));
        match beyond {
            Some(bit) => Err(checker.refuse(BITS, "free bit", bit, format!("below {kept}"))),
            None => Ok(page),
        }
    }

    /// Takes a page that has passed [`InventoryPage::view`].
    pub fn of_checked(bytes: &'a [u8]) -> InventoryPage<'a> {
        assert_kind(bytes, PageKind::Inventory);
        let size = PageSize::of_length(bytes.len()).expect("a checked page has a page's size");
        InventoryPage { bytes, map: InventoryMap::new(size) }
    }

    /// Which of the tablespace's inventory pages it is.
    pub fn ordinal(&self) -> u32 {
        u32_at(self.bytes, ORDINAL)
    }

    /// The pages that it keeps, first and last.
    pub fn range(&self) -> (PageNumber, PageNumber) {
        self.map.range_of(self.ordinal())
    }

    /// How many of them are free.
    pub fn free_count(&self) -> u32 {
        u32_at(self.bytes, FREE_COUNT)
    }

    /// Whether `page`, which must be one of them, is free.
    pub fn is_free(&self, page: PageNumber) -> bool {
        self.bit(self.bit_of(page))
    }

    /// The first free page at or behind `from`, if any. `from` may lie before the range.
    pub fn first_free(&self, from: PageNumber) -> Option<PageNumber> {
        let (first, last) = self.range();
        if from > last {
            return None;
        }
        let start = from.max(first).0 - first.0;
        let (byte, bit) = (start as usize / 8, start % 8);
        // In the first byte only the bits from `from` on count.
        let masks = std::iter::once(u8::MAX << bit).chain(std::iter::repeat(u8::MAX));
        self.bytes[BITS + byte..].iter().zip(masks).position(|(bits, mask)| bits & mask != 0).map(
            |skipped| {
                let mask = if skipped == 0 { u8::MAX << bit } else { u8::MAX };
                let found = (self.bytes[BITS + byte + skipped] & mask).trailing_zeros();
                PageNumber(first.0 + (byte + skipped) as u32 * 8 + found)
            },
        )
    }

    /// The pages that are in use, reserved ones among them, in ascending order.
    pub fn used(&self) -> impl Iterator<Item = PageNumber> + use<'a> {
        let (first, last) = self.range();
        let bytes = self.bytes[BITS..].iter().enumerate();
        // Most of an inventory is free, eight pages at a time.
        let begun = bytes.filter(|(_, bits)| **bits != u8::MAX);
        let bits = begun.flat_map(|(byte, bits)| {
            (0..8).filter(move |bit| bits & (1 << bit) == 0).map(move |bit| byte as u32 * 8 + bit)
        });
        bits.map(move |bit| first.0.saturating_add(bit))
            .take_while(move |number| *number <= last.0)
            .map(PageNumber)
    }

    fn bit(&self, bit: u32) -> bool {
        self.bytes[BITS + bit as usize / 8] & (1 << (bit % 8)) != 0
    }

    fn bit_of(&self, page: PageNumber) -> u32 {
        let (first, last) = self.range();
        assert!(
            first <= page && page <= last,
            "{page} is none of {first} to {last}, which {} keeps",
            id_of(self.bytes)
        );
        page.0 - first.0
    }
}

/// An inventory page, for changing.
#[derive(Debug)]
pub struct InventoryPageMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> InventoryPageMut<'a> {
    /// Makes the inventory page with `ordinal`: all but the reserved pages are free.
    pub fn format(bytes: &'a mut [u8], space: TablespaceId, ordinal: u32) -> InventoryPageMut<'a> {
        let size = PageSize::of_length(bytes.len());
        let map = InventoryMap::new(size.unwrap_or_else(|| panic!("{} bytes", bytes.len())));
        let id = PageId { tablespace: space, number: map.page_of(ordinal) };
        header::format(bytes, id, PageKind::Inventory);
        put_u32(bytes, ORDINAL, ordinal);
        let (first, last) = map.range_of(ordinal);
        let kept = last.0 - first.0 + 1;
        bytes[BITS..].fill(u8::MAX);
        put_u32(bytes, FREE_COUNT, map.pages_per_inventory());
        let mut page = InventoryPageMut { bytes };
        let reserved = (0..RESERVED_PAGES).filter(|bit| map.is_reserved(PageNumber(first.0 + bit)));
        for bit in reserved.chain(kept..map.pages_per_inventory()) {
            page.flip(bit, page.read().free_count() - 1);
        }
        page
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a mut [u8]) -> Result<InventoryPageMut<'a>, PageError> {
        InventoryPage::view(bytes)?;
        Ok(InventoryPageMut { bytes })
    }

    /// Takes a page that has passed [`InventoryPage::view`].
    pub fn of_checked(bytes: &'a mut [u8]) -> InventoryPageMut<'a> {
        assert_kind(bytes, PageKind::Inventory);
        InventoryPageMut { bytes }
    }

    /// The same page, for reading.
    pub fn read(&self) -> InventoryPage<'_> {
        InventoryPage::of_checked(self.bytes)
    }

    /// Marks `page` as used and tells whether it was free.
    pub fn mark_used(&mut self, page: PageNumber) -> bool {
        let bit = self.read().bit_of(page);
        let was_free = self.read().bit(bit);
        if was_free {
            self.flip(bit, self.read().free_count() - 1);
        }
        was_free
    }

    /// Marks `page`, which must not be a reserved one, as free and tells whether it was used.
    pub fn mark_free(&mut self, page: PageNumber) -> bool {
        assert!(!self.read().map.is_reserved(page), "{page} is reserved and cannot be freed");
        let bit = self.read().bit_of(page);
        let was_used = !self.read().bit(bit);
        if was_used {
            self.flip(bit, self.read().free_count() + 1);
        }
        was_used
    }

    fn flip(&mut self, bit: u32, free_count: u32) {
        self.bytes[BITS + bit as usize / 8] ^= 1 << (bit % 8);
        put_u32(self.bytes, FREE_COUNT, free_count);
    }
}
