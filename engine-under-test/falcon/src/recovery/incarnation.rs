//! Incarnations: which changes of a page still count.
//!
//! # Method
//!
//! A page begins an incarnation when it is made anew and when it is freed. The first pass counts them; the
//! second counts again, in the same way, and knows by the count whether it is at the last one.
//!
//! # Invariant
//!
//! Both passes meet the same records, and count the same.

use std::collections::BTreeMap;

use falconry_seam::planted;

use crate::PageId;
use crate::store::code::PageChange;
use crate::store::op::PageOp;

/// One page's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Incarnation {
    /// How many there are, by the first pass.
    total: u32,
    /// How many were met in this pass.
    met: u32,
    /// Whether the page is free in this one.
    is_free: bool,
}

/// The incarnations of all pages that the log changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Incarnations {
    pages: BTreeMap<PageId, Incarnation>,
}

/// What to do with the changes that one record has for one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They count.
    Live,
    /// They count, and what the page held before does not.
    Born,
    /// The page was made anew or freed since.
    Dead,
}

impl Incarnations {
    /// How many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    /// Meets a record, in the first or the second pass, and says for each of its pages what to do, which is
    /// only known in the second.
    pub(crate) fn meet(&mut self, changes: &[PageChange<'_>]) -> Vec<Fate> {
        for page in changes.iter().flat_map(freed) {
            let incarnation = self.pages.entry(page).or_default();
            if planted!("freed_counted_in_one_pass") && incarnation.total > 0 {
                continue;
            }
            incarnation.met += 1;
            incarnation.is_free = true;
        }
        changes.iter().map(|change| self.fate(change)).collect()
    }

    fn fate(&mut self, change: &PageChange<'_>) -> Fate {
        let incarnation = self.pages.entry(change.page).or_default();
        let is_birth = change.ops.first().is_some_and(PageOp::is_birth);
        if is_birth {
            incarnation.met += 1;
            incarnation.is_free = false;
        }
        match (incarnation.met == incarnation.total && !incarnation.is_free, is_birth) {
            (true, true) => Fate::Born,
            (true, false) => Fate::Live,
            (false, _) => Fate::Dead,
        }
    }

    /// Ends the first pass: what was met is what there is.
    pub(crate) fn begin_second_pass(&mut self) {
        for incarnation in self.pages.values_mut() {
            *incarnation = Incarnation { total: incarnation.met, met: 0, is_free: false };
        }
    }

    /// The pages.
    pub(crate) fn all(&self) -> impl Iterator<Item = PageId> + '_ {
        self.pages.keys().copied()
    }
}

/// The pages that a change frees.
fn freed<'a>(change: &'a PageChange<'_>) -> impl Iterator<Item = PageId> + 'a {
    change.ops.iter().filter_map(move |op| match op {
        PageOp::MarkFree(number) => {
            Some(PageId { tablespace: change.page.tablespace, number: *number })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::SectionId;
    use crate::{PageNumber, TablespaceId};

    fn page(number: u32) -> PageId {
        PageId { tablespace: TablespaceId(1), number: PageNumber(number) }
    }

    fn change(number: u32, ops: Vec<PageOp<'static>>) -> PageChange<'static> {
        PageChange { page: page(number), ops }
    }

    fn passes(records: &[Vec<PageChange<'static>>]) -> Vec<Vec<Fate>> {
        let mut incarnations = Incarnations::default();
        records.iter().for_each(|record| drop(incarnations.meet(record)));
        incarnations.begin_second_pass();
        records.iter().map(|record| incarnations.meet(record)).collect()
    }

    #[test]
    fn only_the_last_incarnation_counts() {
        let born = || vec![PageOp::FormatData { section: SectionId(1) }];
        let deleted = || vec![PageOp::DeleteRecord { line: crate::page::Line(0) }];
        let free = |number| change(1, vec![PageOp::MarkFree(PageNumber(number))]);
        let used = |number| change(1, vec![PageOp::MarkUsed(PageNumber(number))]);
        let fates = passes(&[
            vec![change(9, deleted())],
            vec![free(9)],
            vec![used(9), change(9, born())],
            vec![change(9, deleted()), free(9)],
            vec![used(9), change(9, born())],
            vec![change(9, deleted())],
            vec![change(8, deleted())],
        ]);
        use Fate::{Born, Dead, Live};
        let expected: [&[Fate]; 7] =
            [&[Dead], &[Live], &[Live, Dead], &[Dead, Live], &[Live, Born], &[Live], &[Live]];
        assert_eq!(fates, expected);
    }

    #[test]
    fn a_page_that_is_changed_and_freed_by_one_record_is_dead_before_it_is_free() {
        let deleted = vec![PageOp::DeleteRecord { line: crate::page::Line(0) }];
        let free = change(1, vec![PageOp::MarkFree(PageNumber(9))]);
        assert_eq!(passes(&[vec![free, change(9, deleted)]]), [[Fate::Live, Fate::Dead]]);
    }
}
