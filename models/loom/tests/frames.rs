//! Frames of the page cache (`engine-under-test/falcon/src/lockfree/frame.rs`, `bucket.rs`): a pinned page
//! stays, a change is never lost between its writer and the disk, and a page that two miss at once gets one
//! frame.

#![expect(clippy::duplicate_mod, reason = "a file is checked as it is, and with weaker orders")]

mod loomed;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::RwLock;
use loom::thread;
use loomed::executions;
use loomed::falcon::bucket::{Bucket, Found};
use loomed::falcon::frame::FrameState;
use loomed::relaxed::frame as relaxed;

/// A frame with the name of the page that it holds.
struct Frame<S> {
    state: S,
    page: UnsafeCell<u32>,
    bytes: RwLock<u32>,
}

type Real = Frame<FrameState>;

macro_rules! frames_of {
    ($state:ty) => {
        impl Frame<$state> {
            fn taken() -> Self {
                let (page, bytes) = (UnsafeCell::new(0), RwLock::new(0));
                Frame { state: <$state>::taken(), page, bytes }
            }

            /// A frame that holds `page`, and is pinned by nobody.
            fn holding(page: u32) -> Self {
                let frame = Self::taken();
                frame.name(page);
                frame.state.give();
                frame.state.unpin();
                frame
            }
        }
    };
}

frames_of!(FrameState);
frames_of!(relaxed::FrameState);

impl<S> Frame<S> {
    fn name(&self, page: u32) {
        // SAFETY: the frame is taken; loom reports whoever reads it meanwhile.
        self.page.with_mut(|name| unsafe { *name = page });
    }

    fn page(&self) -> u32 {
        // SAFETY: the frame is pinned; loom reports whoever writes it meanwhile.
        self.page.with(|name| unsafe { *name })
    }
}

// SAFETY: loom reports whoever touches the cell while another does.
unsafe impl<S: Sync> Sync for Frame<S> {}
// SAFETY: as above.
unsafe impl<S: Send> Send for Frame<S> {}

/// One pins a frame and reads which page it holds, while one gives it another page.
macro_rules! pin_against_evict {
    ($state:ty) => {
        executions(|| {
            let frame = Arc::new(Frame::<$state>::holding(1));
            let evicts = Arc::clone(&frame);
            let evictor = thread::spawn(move || {
                if evicts.state.take() {
                    evicts.name(2);
                    evicts.state.give();
                    evicts.state.unpin();
                }
            });
            if frame.state.pin() {
                let page = frame.page();
                assert!(!frame.state.take(), "a pinned frame is taken");
                assert_eq!(frame.page(), page, "the page went while it was pinned");
                frame.state.unpin();
            }
            evictor.join().expect("the evictor does not panic");
            assert!(!frame.state.is_pinned());
        })
    };
}

#[test]
fn a_pinned_page_stays_where_it_is() {
    assert_eq!(pin_against_evict!(FrameState), 36);
}

#[test]
fn the_model_notices_an_order_that_is_too_weak() {
    let weak = catch_unwind(|| pin_against_evict!(relaxed::FrameState));
    let payload = weak.expect_err("without any order who pins need not see what the frame holds");
    let message = payload.downcast_ref::<String>().map_or("", String::as_str);
    assert!(message.contains("Causality violation"), "{message}");
}

/// One reads a page as it is told by a hint, with the latch and no pin, while two would evict it. The latch's
/// content is the page's name here.
fn hint_against_evict() -> u64 {
    executions(|| {
        let frame = Arc::new(Real::holding(1));
        *frame.bytes.write().expect("nobody panics") = 1;
        let evict = |frame: &Real, page: u32| {
            if !frame.state.take() {
                return false;
            }
            let Ok(mut content) = frame.bytes.try_write() else {
                frame.state.put_back();
                return false;
            };
            *content = page;
            drop(content);
            frame.state.give();
            frame.state.unpin();
            true
        };
        let evicts = Arc::clone(&frame);
        let evictor = thread::spawn(move || evict(&evicts, 2));
        let reads = Arc::clone(&frame);
        let reader = thread::spawn(move || {
            if let Ok(content) = reads.bytes.try_read() {
                let page = *content;
                thread::yield_now();
                assert_eq!(*content, page, "the page went while it was latched");
            }
        });
        let is_ours = evict(&frame, 3);
        let is_theirs = evictor.join().expect("the evictor does not panic");
        reader.join().expect("the reader does not panic");
        let page = *frame.bytes.read().expect("nobody panics");
        assert_eq!(page == 1, !is_ours && !is_theirs, "evicted, or as it was");
        assert!(frame.state.take(), "whoever took the frame has given it back");
    })
}

#[test]
fn a_page_that_is_latched_without_a_pin_stays_where_it_is() {
    assert_eq!(hint_against_evict(), 399);
}

/// One changes the page, one writes it (the first write fails or not), one would evict it.
fn change_against_write(write_fails: bool) -> u64 {
    executions(move || {
        let frame = Arc::new(Real::holding(1));
        let disk = Arc::new(AtomicU64::new(0));
        // It is dirty from an earlier change, so that there is something to write.
        assert!(frame.state.pin());
        *frame.bytes.write().expect("nobody panics") = 1;
        assert!(frame.state.mark_dirty());
        frame.state.unpin();

        let changes = Arc::clone(&frame);
        let changer = thread::spawn(move || {
            if changes.state.pin() {
                let mut bytes = changes.bytes.write().expect("nobody panics");
                *bytes += 1;
                let _ = changes.state.mark_dirty();
                drop(bytes);
                changes.state.unpin();
            }
        });
        let (writes, to) = (Arc::clone(&frame), Arc::clone(&disk));
        let writer = thread::spawn(move || {
            if writes.state.pin() {
                if writes.state.begin_write() {
                    let copy = *writes.bytes.read().expect("nobody panics");
                    if !write_fails {
                        to.store(u64::from(copy), Ordering::SeqCst);
                    }
                    writes.state.end_write(!write_fails);
                }
                writes.state.unpin();
            }
        });
        if frame.state.take() {
            let bytes = u64::from(*frame.bytes.read().expect("nobody panics"));
            assert_eq!(
                disk.load(Ordering::SeqCst),
                bytes,
                "a page goes that the disk does not have"
            );
            frame.state.give();
            frame.state.unpin();
        }
        changer.join().expect("the changer does not panic");
        writer.join().expect("the writer does not panic");
        let bytes = u64::from(*frame.bytes.read().expect("nobody panics"));
        let is_on_disk = disk.load(Ordering::SeqCst) == bytes;
        assert!(is_on_disk || frame.state.is_unwritten(), "a change was lost");
    })
}

#[test]
fn no_change_is_lost_between_its_writer_and_the_disk() {
    assert_eq!(change_against_write(false), 5_922);
}

#[test]
fn a_write_that_fails_leaves_the_page_dirty() {
    assert_eq!(change_against_write(true), 5_916);
}

/// One looks for page 7 as the cache does, with a frame of its own if it must; says which frame it is in.
fn fetch(bucket: &Bucket<u32>, frames: &[Real], own: u32, loads: &AtomicU64) -> u32 {
    let state = |frame: u32| &frames[frame as usize].state;
    let found = match bucket.find(7, state) {
        Found::Absent => {
            // Whoever is first loads the page under the frame's latch, before it can be found.
            let mut bytes = frames[own as usize].bytes.write().expect("nobody panics");
            frames[own as usize].name(7);
            let found = bucket.insert(7, own, state);
            if found == Found::Absent {
                *bytes = 70;
                loads.fetch_add(1, Ordering::Relaxed);
                Found::Pinned(own)
            } else {
                found
            }
        }
        found => found,
    };
    let Found::Pinned(frame) = found else { panic!("nothing takes a frame away: {found:?}") };
    let holds = &frames[frame as usize];
    assert_eq!(*holds.bytes.read().expect("nobody panics"), 70, "found before it was loaded");
    assert_eq!(holds.page(), 7);
    holds.state.unpin();
    frame
}

#[test]
fn a_page_that_two_miss_at_once_gets_one_frame() {
    let count = executions(|| {
        let shared = Arc::new((Bucket::new(), [Real::taken(), Real::taken()]));
        let loads = Arc::new(AtomicU64::new(0));
        let (other, counted) = (Arc::clone(&shared), Arc::clone(&loads));
        let second = thread::spawn(move || fetch(&other.0, &other.1, 1, &counted));
        let first = fetch(&shared.0, &shared.1, 0, &loads);
        assert_eq!(second.join().expect("it does not panic"), first, "two frames for one page");
        assert_eq!(loads.load(Ordering::Relaxed), 1, "loaded once");
    });
    assert_eq!(count, 333);
}
