//! How large a page is.
//!
//! # Method
//!
//! One size holds for all tablespaces of a database. It is chosen when the database is created and is
//! checked here, once: whoever holds a [`PageSize`] need not doubt it.
//!
//! # Invariant
//!
//! A power of two from 1 KiB to 32 KiB.

use crate::error::{Error, Result};

/// The size of a page: a power of two from 1 KiB to 32 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u16);

impl PageSize {
    /// The smallest: 1 KiB.
    pub const MIN: PageSize = PageSize(1 << 10);
    /// What is taken if nothing is said: 4 KiB.
    pub const DEFAULT: PageSize = PageSize(1 << 12);
    /// The largest: 32 KiB, which a `u16` still holds.
    pub const MAX: PageSize = PageSize(1 << 15);

    /// The size of `bytes` bytes, or an error that says which sizes there are.
    pub fn new(bytes: u64) -> Result<PageSize> {
        usize::try_from(bytes).ok().and_then(PageSize::of_length).ok_or(Error::Setting {
            name: "page_bytes",
            value: bytes,
            range: "a power of two from 1024 to 32768",
        })
    }

    /// The size of a buffer of `length` bytes, if it may be a page.
    pub fn of_length(length: usize) -> Option<PageSize> {
        let size = PageSize(u16::try_from(length).ok()?);
        (length.is_power_of_two() && (PageSize::MIN..=PageSize::MAX).contains(&size))
            .then_some(size)
    }

    /// All sizes, from the smallest.
    pub fn all() -> impl Iterator<Item = PageSize> {
        (10..=15).map(|shift| PageSize(1 << shift))
    }

    /// In bytes.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }
}
