//! Guards: a page that somebody looks at or changes stays where it is, and as it is.

use falconry_seam::planted;
use falconry_seam::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::Cache;
use super::frame::{Content, Frame};
use crate::{Lsn, PageId, Result};

/// A pin, given back when it is dropped.
struct Pin<'a>(&'a Frame);

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.0.state.unpin();
    }
}

/// A page with its latch held shared.
pub struct PageRead<'a> {
    // The latch goes before the pin.
    content: RwLockReadGuard<'a, Content>,
    /// None when the frame was found by a hint: the latch alone keeps the page there.
    _pin: Option<Pin<'a>>,
    page: PageId,
}

/// A page with its latch held exclusively.
pub struct PageWrite<'a> {
    content: RwLockWriteGuard<'a, Content>,
    pin: Pin<'a>,
    cache: &'a Cache,
    page: PageId,
}

/// Whether the frame holds the page; an error when it could not be read, and `false` when another one
/// has come there since, so that it must be looked for again.
fn holds(content: &Content, page: PageId) -> Result<bool> {
    match content.failed.as_deref() {
        Some((failed, error)) if *failed == page && content.page.is_none() => Err(error.clone()),
        _ => Ok(content.page == Some(page)),
    }
}

impl<'a> PageRead<'a> {
    /// Latches a frame that is pinned for the caller.
    pub(super) fn latch(cache: &'a Cache, frame: u32, page: PageId) -> Result<Option<Self>> {
        let frame = &cache.frames[frame as usize];
        let pin = Pin(frame);
        let content = frame.read();
        Ok(holds(&content, page)?.then_some(PageRead { content, _pin: Some(pin), page }))
    }

    /// Latches a frame that may hold the page, if it does and can be had at once.
    pub(super) fn try_latch(frame: &'a Frame, page: PageId) -> Option<Self> {
        let content = frame.try_read()?;
        (content.page == Some(page)).then_some(PageRead { content, _pin: None, page })
    }

    /// Which page it is.
    pub fn page(&self) -> PageId {
        self.page
    }

    /// The page.
    pub fn bytes(&self) -> &[u8] {
        &self.content.bytes
    }

    /// Its last change.
    pub fn lsn(&self) -> Lsn {
        self.content.lsn
    }
}

impl<'a> PageWrite<'a> {
    /// Latches a frame that is pinned for the caller.
    pub(super) fn latch(cache: &'a Cache, frame: u32, page: PageId) -> Result<Option<Self>> {
        let frame = &cache.frames[frame as usize];
        let pin = Pin(frame);
        let content = frame.write();
        Ok(holds(&content, page)?.then_some(PageWrite { content, pin, cache, page }))
    }

    /// Which page it is.
    pub fn page(&self) -> PageId {
        self.page
    }

    /// The page.
    pub fn bytes(&self) -> &[u8] {
        &self.content.bytes
    }

    /// Its last change.
    pub fn lsn(&self) -> Lsn {
        self.content.lsn
    }

    /// The page, to be changed as the log says before `lsn`: it is dirty from here on, and is not written
    /// before the log is durable up to there.
    pub fn change(&mut self, lsn: Lsn) -> &mut [u8] {
        self.content.lsn = self.content.lsn.max(lsn);
        let counts_as_marked =
            planted!("mark_lost_while_written") && self.pin.0.state.is_unwritten();
        if !counts_as_marked && self.pin.0.state.mark_dirty() {
            self.cache.dirty.add(self.page);
        }
        &mut self.content.bytes
    }
}
