//! Where the locator pages of an open table are: what was found once need not be looked for again.
//!
//! # Method
//!
//! A table of page numbers by the locator's ordinal, which grows as locators are met. Who finds its locator there
//! passes the pages by that lead to it.
//!
//! # Invariant
//!
//! A locator page keeps its place and its ordinal for as long as its table is there, so what is known stays
//! true. The page itself says whose it is, and is looked at each time.

use falconry_seam::sync::{PoisonError, RwLock};

use crate::PageNumber;

/// No locator lies in the header of a file.
const UNKNOWN: u32 = 0;
/// Locators beyond this ordinal are looked for each time: with pages of 4 KiB, billions of records.
const ORDINAL_MAX: u64 = 1 << 24;

/// The locator pages of one section that are known.
#[derive(Default)]
pub(crate) struct Known {
    pages: RwLock<Vec<u32>>,
}

impl Known {
    /// The page of the locator with this ordinal, if it is known.
    pub(super) fn get(&self, ordinal: u64) -> Option<PageNumber> {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        let page = *pages.get(usize::try_from(ordinal).ok()?)?;
        (page != UNKNOWN).then_some(PageNumber(page))
    }

    /// Notes where a locator is.
    pub(super) fn put(&self, ordinal: u64, page: PageNumber) {
        if ordinal > ORDINAL_MAX {
            return;
        }
        let at = ordinal as usize;
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        if pages.len() <= at {
            pages.resize(at + 1, UNKNOWN);
        }
        pages[at] = page.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_known_and_nothing_else() {
        let known = Known::default();
        assert_eq!(known.get(0), None);
        known.put(2, PageNumber(7));
        known.put(ORDINAL_MAX + 1, PageNumber(8));
        let found = [0, 1, 2, 3, ORDINAL_MAX + 1].map(|ordinal| known.get(ordinal));
        assert_eq!(found, [None, None, Some(PageNumber(7)), None, None]);
    }
}
