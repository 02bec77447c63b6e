//! Page operations: every change that a page can undergo, in the form that the log has of it.
//!
//! # Method
//!
//! A change of a page is a list of operations, each applied by the function that redo applies it with. In
//! the log an operation is a tag and its fields:
//!
//! ```text
//! 0x01 image             head u16, tail u16, bytes            all between head and tail is zero
//! 0x02 format inventory  ordinal u32
//! 0x03 mark used         page u32
//! 0x04 mark free         page u32
//! 0x05 format section    section u32, sequence u32, level u8
//! 0x06 set child         slot u16, page u32                   0 = none
//! 0x07 format locator    section u32, sequence u32
//! 0x08 set locator       slot u16, page u32, line u16         as the slot itself has it
//! 0x09 set space         page u32, bytes u16
//! 0x0A format data       section u32
//! 0x0B put record        line u16, tail u32, content          0 = no tail
//! 0x0C delete record     line u16
//! 0x0D format overflow   section u32, next u32, content       0 = no next
//! 0x0E format leaf       index u32
//! 0x0F insert entry      record u64, child u32, length u16, key    0 = no child
//! 0x10 delete entry      record u64, length u16, key
//! 0x11 format sequences  ordinal u32
//! 0x12 start sequence    slot u16
//! 0x13 raise sequence    slot u16, value i64                  a value that is higher already stays
//!
//! content: 0, length u32, bytes | 1, place u64, from u32, length u32
//! ```
//!
//! The content of a row is in the log already, in the record of its commit: an operation refers to it there,
//! by the place of that record and the bytes within.
//!
//! # Invariant
//!
//! Applied to the same bytes an operation gives the same bytes. One that formats a page gives them
//! whatever the page held before.

use std::borrow::Cow;

use crate::page::index::{IndexId, IndexKey, IndexPageMut};
use crate::page::{
    DataPageMut, Header, InventoryPageMut, Line, Locator, LocatorPageMut, OverflowPage, PageError,
    PageKind, Record, RecordNumber, SectionId, SectionPageMut, SequencePageMut,
};
use crate::{Lsn, PageId, PageNumber};

/// Bytes of a record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where the record begins.
    pub lsn: Lsn,
    /// The first of the bytes, counted from the record's own first.
    pub from: u32,
    /// How many.
    pub bytes: u32,
}

/// What a row has in one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// The bytes.
    pub bytes: Cow<'a, [u8]>,
    /// Where the log has them already, if it has.
    pub source: Option<Source>,
}

/// One change of one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageOp<'a> {
    /// The whole page, whatever it held before.
    Image(Cow<'a, [u8]>),
    /// An inventory page all of whose pages are free, but for the reserved ones.
    FormatInventory {
        /// Which one of its tablespace.
        ordinal: u32,
    },
    /// In an inventory page: the page is in use.
    MarkUsed(PageNumber),
    /// In an inventory page: the page is free.
    MarkFree(PageNumber),
    /// A node of a section tree, without children.
    FormatSection {
        /// Whose.
        section: SectionId,
        /// Which of its level, from the left.
        sequence: u32,
        /// How many levels lie below.
        level: u8,
    },
    /// In a section page: what a slot leads to.
    SetChild {
        /// The slot.
        slot: u16,
        /// Where it leads.
        child: Option<PageNumber>,
    },
    /// A locator page all of whose slots are free.
    FormatLocator {
        /// Whose.
        section: SectionId,
        /// Which one of the section.
        sequence: u32,
    },
    /// In a locator page: where a record is.
    SetLocator {
        /// The record's slot.
        slot: u16,
        /// Where it is.
        locator: Locator,
    },
    /// In a locator page: how much room a data page has.
    SetSpace {
        /// The data page.
        page: PageNumber,
        /// Its room.
        bytes: u16,
    },
    /// A data page without records.
    FormatData {
        /// Whose.
        section: SectionId,
    },
    /// In a data page: a record, in place of the one that the line has, if any.
    PutRecord {
        /// The line.
        line: Line,
        /// The overflow page where the record goes on.
        tail: Option<PageNumber>,
        /// What of it is here.
        content: Content<'a>,
    },
    /// In a data page: the line's record goes.
    DeleteRecord {
        /// The line.
        line: Line,
    },
    /// A page of an overflow chain.
    FormatOverflow {
        /// Whose record it is.
        section: SectionId,
        /// The page that goes on.
        next: Option<PageNumber>,
        /// What is here.
        content: Content<'a>,
    },
    /// A leaf without entries, and the root of an index.
    FormatLeaf {
        /// Which index.
        index: IndexId,
    },
    /// In an index page: a new entry, which has room.
    InsertEntry {
        /// Its key.
        key: Cow<'a, [u8]>,
        /// Its record.
        record: RecordNumber,
        /// In a branch, the child.
        child: Option<PageNumber>,
    },
    /// In an index page: the entry goes.
    DeleteEntry {
        /// Its key.
        key: Cow<'a, [u8]>,
        /// Its record.
        record: RecordNumber,
    },
    /// A sequence page all of whose values are 0.
    FormatSequences {
        /// Which one of its tablespace.
        ordinal: u32,
    },
    /// In a sequence page: a new sequence begins at 0, whatever the slot held before.
    StartSequence {
        /// Its slot.
        slot: u16,
    },
    /// In a sequence page: the value is this, unless it is higher already.
    RaiseSequence {
        /// The slot.
        slot: u16,
        /// The value.
        value: i64,
    },
}

impl PageOp<'_> {
    /// Whether the page is made anew, so that nothing it held before counts.
    pub fn is_birth(&self) -> bool {
        matches!(
            self,
            PageOp::Image(_)
                | PageOp::FormatInventory { .. }
                | PageOp::FormatSection { .. }
                | PageOp::FormatLocator { .. }
                | PageOp::FormatData { .. }
                | PageOp::FormatOverflow { .. }
                | PageOp::FormatLeaf { .. }
                | PageOp::FormatSequences { .. }
        )
    }

    /// The kind of page that it is for.
    pub fn kind(&self) -> Option<PageKind> {
        match self {
            PageOp::Image(_) => None,
            PageOp::FormatInventory { .. } | PageOp::MarkUsed(_) | PageOp::MarkFree(_) => {
                Some(PageKind::Inventory)
            }
            PageOp::FormatSection { .. } | PageOp::SetChild { .. } => Some(PageKind::Section),
            PageOp::FormatLocator { .. } | PageOp::SetLocator { .. } | PageOp::SetSpace { .. } => {
                Some(PageKind::Locator)
            }
            PageOp::FormatData { .. } | PageOp::PutRecord { .. } | PageOp::DeleteRecord { .. } => {
                Some(PageKind::Data)
            }
            PageOp::FormatOverflow { .. } => Some(PageKind::Overflow),
            PageOp::FormatLeaf { .. } | PageOp::InsertEntry { .. } | PageOp::DeleteEntry { .. } => {
                Some(PageKind::Index)
            }
            PageOp::FormatSequences { .. }
            | PageOp::StartSequence { .. }
            | PageOp::RaiseSequence { .. } => Some(PageKind::Sequence),
        }
    }

    /// Changes the bytes of the page `id`.
    ///
    /// # Errors
    ///
    /// When the page is not the one that this was made for: the disk has an older one than it said, or
    /// another. The page is as it was.
    pub fn apply(&self, id: PageId, bytes: &mut [u8]) -> Result<(), Misfit> {
        if self.is_birth() {
            return self.format(id, bytes);
        }
        let found = Header::read(bytes).map_err(|error| Misfit(error.to_string()))?;
        ensure(found.id == id, || format!("the page holds {}", found.id))?;
        if let Some(expected) = self.kind().filter(|kind| *kind != found.kind) {
            let error = PageError::Kind { page: id, found: found.kind, expected };
            return Err(Misfit(error.to_string()));
        }
        match self {
            PageOp::MarkUsed(page) | PageOp::MarkFree(page) => {
                let mut inventory = InventoryPageMut::of_checked(bytes);
                let (first, last) = inventory.read().range();
                ensure(first <= *page && *page <= last, || format!("{page} is not kept here"))?;
                match self {
                    PageOp::MarkUsed(_) => {
                        ensure(inventory.mark_used(*page), || format!("{page} is in use already"))
                    }
                    _ => ensure(inventory.mark_free(*page), || format!("{page} is free already")),
                }
            }
            PageOp::SetChild { slot, child } => {
                let mut section = SectionPageMut::of_checked(bytes);
                let slots = section.read().slot_count();
                ensure(*slot < slots, || format!("slot {slot} of {slots}"))?;
                section.set_child(*slot, *child);
                Ok(())
            }
            PageOp::SetLocator { .. } | PageOp::SetSpace { .. } => self.locate(bytes),
            PageOp::PutRecord { .. } | PageOp::DeleteRecord { .. } => self.change_data(bytes),
            PageOp::StartSequence { .. } | PageOp::RaiseSequence { .. } => self.count(bytes),
            _ => self.change_index(bytes),
        }
    }

    fn format(&self, id: PageId, bytes: &mut [u8]) -> Result<(), Misfit> {
        match self {
            PageOp::Image(image) => {
                ensure(image.len() == bytes.len(), || format!("an image of {}", image.len()))?;
                bytes.copy_from_slice(image);
            }
            PageOp::FormatInventory { ordinal } => {
                InventoryPageMut::format(bytes, id.tablespace, *ordinal);
            }
            PageOp::FormatSection { section, sequence, level } => {
                SectionPageMut::format(bytes, id, *section, *sequence, *level);
            }
            PageOp::FormatLocator { section, sequence } => {
                LocatorPageMut::format(bytes, id, *section, *sequence);
            }
            PageOp::FormatData { section } => {
                DataPageMut::format(bytes, id, *section);
            }
            PageOp::FormatOverflow { section, next, content } => {
                OverflowPage::format(bytes, id, *section, *next, &content.bytes);
            }
            PageOp::FormatLeaf { index } => {
                IndexPageMut::format_leaf(bytes, id, *index);
            }
            PageOp::FormatSequences { ordinal } => {
                SequencePageMut::format(bytes, id, *ordinal);
            }
            other => return Err(Misfit(format!("{other:?} formats no page"))),
        }
        Ok(())
    }

    fn locate(&self, bytes: &mut [u8]) -> Result<(), Misfit> {
        let mut page = LocatorPageMut::of_checked(bytes);
        match self {
            PageOp::SetLocator { slot, locator } => {
                let slots = page.read().slot_count();
                ensure(*slot < slots, || format!("slot {slot} of {slots}"))?;
                page.set(*slot, *locator);
            }
            PageOp::SetSpace { page: data, bytes: room } => {
                ensure(page.read().record_count(*data) > 0, || format!("no slot leads to {data}"))?;
                page.set_space(*data, *room);
            }
            other => return Err(Misfit(format!("{other:?} locates nothing"))),
        }
        Ok(())
    }

    fn count(&self, bytes: &mut [u8]) -> Result<(), Misfit> {
        let mut page = SequencePageMut::of_checked(bytes);
        let (slot, value) = match self {
            PageOp::StartSequence { slot } => (*slot, None),
            PageOp::RaiseSequence { slot, value } => (*slot, Some(*value)),
            other => return Err(Misfit(format!("{other:?} changes no sequence"))),
        };
        let slots = page.read().slot_count();
        ensure(slot < slots, || format!("slot {slot} of {slots}"))?;
        match value {
            None => page.set(slot, 0),
            Some(value) => drop(page.raise(slot, value)),
        }
        Ok(())
    }

    fn change_data(&self, bytes: &mut [u8]) -> Result<(), Misfit> {
        let mut page = DataPageMut::of_checked(bytes);
        match self {
            PageOp::PutRecord { line, tail, content } => {
                let record = Record { head: &content.bytes, tail: *tail };
                page.put(*line, record).map_err(|no_room| Misfit(no_room.to_string()))
            }
            PageOp::DeleteRecord { line } => {
                ensure(page.delete(*line), || format!("line {} has no record", line.0))
            }
            other => Err(Misfit(format!("{other:?} changes no data"))),
        }
    }

    fn change_index(&self, bytes: &mut [u8]) -> Result<(), Misfit> {
        let mut page = IndexPageMut::of_checked(bytes);
        match self {
            PageOp::InsertEntry { key, record, child } => {
                let key = IndexKey { key, record: *record };
                let is_branch = page.read().level() > 0;
                ensure(is_branch == child.is_some(), || format!("a child {child:?}"))?;
                let beyond = page.read().right_for(key);
                ensure(beyond.is_none(), || format!("{key:?} belongs to {beyond:?}"))?;
                page.insert(key, *child).map_err(|error| Misfit(error.to_string()))
            }
            PageOp::DeleteEntry { key, record } => {
                let key = IndexKey { key, record: *record };
                ensure(page.delete(key), || format!("there is no entry {key:?}"))
            }
            other => Err(Misfit(format!("{other:?} changes no index"))),
        }
    }
}

/// Why an operation does not fit to the page that was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub String);

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Misfit> {
    if holds { Ok(()) } else { Err(Misfit(what())) }
}
