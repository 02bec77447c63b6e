//! Which page gives its frame to another one.
//!
//! # Method
//!
//! A hand goes round the frames. A page with credit loses some of it and stays. The first page without
//! credit, pins, changes and readers goes. If a round finds only changed ones, the first of these is written; if it
//! finds only pinned ones, the caller gives way to those who hold them, and tries again.

use falconry_seam::sync::atomic::Ordering;
use falconry_seam::sync::{MutexGuard, PoisonError};
use falconry_seam::thread;

use super::{Cache, count};
use crate::{Error, Result};

/// Rounds without any frame to be had after which the caller is told so: holders of guards that wait for
/// each other's frames would wait for ever.
const ROUNDS_MAX: usize = 10_000;

impl Cache {
    /// Takes a frame for a page.
    ///
    /// # Errors
    ///
    /// That of the write that would have made room; [`Error::CacheFull`].
    pub(super) fn claim(&self) -> Result<u32> {
        for _ in 0..ROUNDS_MAX {
            if let Some(frame) = self.free_list().pop() {
                return Ok(frame);
            }
            let (frame, changed) = self.go_round();
            if let Some(frame) = frame {
                return Ok(frame);
            }
            if let Some(changed) = changed {
                self.write_out(changed)?;
            } else {
                count(&self.counters.stalls, 1);
                thread::yield_now();
            }
        }
        Err(Error::CacheFull { frame_count: self.frames.len() })
    }

    pub(super) fn free_list(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One round of the hand, long enough for every credit to be spent: a frame that is taken, or else one
    /// whose page has to be written first.
    fn go_round(&self) -> (Option<u32>, Option<u32>) {
        let mut changed = None;
        for _ in 0..4 * self.frames.len() {
            let at = self.hand.fetch_add(1, Ordering::Relaxed) % self.frames.len();
            let frame = &self.frames[at];
            if frame.state.is_pinned() || !frame.spend_credit() {
                continue;
            }
            if frame.state.take() {
                if self.forget_page_of(at as u32) {
                    return (Some(at as u32), None);
                }
                frame.state.put_back();
                continue;
            }
            if changed.is_none() && frame.state.is_unwritten() {
                changed = Some(at as u32);
            }
        }
        (None, changed)
    }

    /// The page of a frame that was taken leaves the table; `false` when somebody looks at it, who came by a
    /// hint and has no pin.
    fn forget_page_of(&self, frame: u32) -> bool {
        let Some(mut content) = self.frames[frame as usize].try_write() else { return false };
        let page = content.page.take();
        drop(content);
        if let Some(page) = page {
            self.bucket(page).remove(page, frame);
            count(&self.counters.evictions, 1);
        }
        true
    }

    /// Writes the page of a frame that somebody needs.
    fn write_out(&self, frame: u32) -> Result<()> {
        let page = self.frames[frame as usize].try_read().and_then(|content| content.page);
        let Some(page) = page else { return Ok(()) };
        // Whoever has the latch may wait for a frame as the caller does, so nobody is waited for.
        let written = self.write_run(&[page], false)?;
        count(&self.counters.eviction_writes, written);
        if written == 0 {
            // Somebody else writes it, or has it.
            thread::yield_now();
        }
        Ok(())
    }
}
