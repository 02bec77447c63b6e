//! A bucket of the page cache's table: which frames hold its pages, under a latch of its own.
//!
//! # Method
//!
//! Whoever misses a page brings a frame that it has taken beforehand, without any latch. Under the latch
//! it looks again: if the page has come meanwhile, it takes that and keeps its frame for another use;
//! otherwise its frame gets the page, pinned, before anybody can find it. So a page has one frame, however
//! many miss it at once. A frame that is taken away leaves its bucket before it gets another page; who
//! finds it in between cannot pin it, and looks again.
//!
//! # Invariant
//!
//! A page is in the bucket once.

use super::frame::FrameState;
use super::sync::{Mutex, MutexGuard, PoisonError};

/// The pages of one bucket, by key, with their frames by number.
#[derive(Debug)]
pub(crate) struct Bucket<K> {
    entries: Mutex<Vec<(K, u32)>>,
}

/// What came of looking for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is in this frame, which is pinned now.
    Pinned(u32),
    /// Its frame is being taken away: look again.
    Leaving,
    /// It is in no frame.
    Absent,
}

impl<K: Copy + PartialEq> Bucket<K> {
    pub(crate) fn new() -> Self {
        Bucket { entries: Mutex::new(Vec::new()) }
    }

    /// Looks for a page, and pins its frame.
    pub(crate) fn find<'a>(&self, key: K, state: impl Fn(u32) -> &'a FrameState) -> Found {
        look(&self.lock(), key, state)
    }

    /// Puts the page into `frame`, which the caller has taken and made ready for it, and pins it: then
    /// this is [`Found::Absent`]. When the page is there already, what [`Bucket::find`] says; the frame
    /// stays the caller's.
    pub(crate) fn insert<'a>(
        &self,
        key: K,
        frame: u32,
        state: impl Fn(u32) -> &'a FrameState,
    ) -> Found {
        let mut entries = self.lock();
        let found = look(&entries, key, &state);
        if found == Found::Absent {
            entries.push((key, frame));
            state(frame).give();
        }
        found
    }

    /// Forgets a page whose frame the caller has taken, or has just put there and could not load: who pins
    /// that frame meanwhile finds no page in it.
    pub(crate) fn remove(&self, key: K, frame: u32) {
        let mut entries = self.lock();
        let at = entries.iter().position(|entry| *entry == (key, frame));
        entries.swap_remove(at.expect("a page is in its bucket as long as a frame holds it"));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(K, u32)>> {
        // What is locked is whole at every step, whoever panicked.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look<'a, K: PartialEq>(
    entries: &[(K, u32)],
    key: K,
    state: impl Fn(u32) -> &'a FrameState,
) -> Found {
    match entries.iter().find(|(other, _)| *other == key) {
        None => Found::Absent,
        Some((_, frame)) if state(*frame).pin() => Found::Pinned(*frame),
        Some(_) => Found::Leaving,
    }
}
