//! Memory is given back as it was taken.
//!
//! # Method
//!
//! The allocator of this test keeps the layout of each block in front of it, and compares it when the block comes
//! back: allocators that look at no layout, as most do, would never tell.
//!
//! # Invariant
//!
//! A block goes back to the system by the layout that it was taken with, whatever its owner says.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use falcon::page::key::KeyValue;
use falcon::{Database, Options, TableSpec};
use falconry_seam::disk::Disk;
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

/// What stands in front of a block: its size and its alignment.
const FRONT_BYTES: usize = 2 * size_of::<usize>();

static GIVEN_BACK: AtomicUsize = AtomicUsize::new(0);
static OTHERWISE: AtomicUsize = AtomicUsize::new(0);

struct Checked;

#[global_allocator]
static CHECKED: Checked = Checked;

/// The layout with its front, and how many bytes the front takes.
fn with_front(layout: Layout) -> Option<(Layout, usize)> {
    let align = layout.align().max(FRONT_BYTES);
    let whole = Layout::from_size_align(layout.size().checked_add(align)?, align).ok()?;
    Some((whole, align))
}

// SAFETY: a block of the system's is larger than asked for by its front, a multiple of the alignment, and so
// is aligned behind it; it goes back to the system from its begin and by its own layout.
unsafe impl GlobalAlloc for Checked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, front)) = with_front(layout) else { return std::ptr::null_mut() };
        // SAFETY: the layout has a size, for the front has.
        let begin = unsafe { System.alloc(whole) };
        if begin.is_null() {
            return begin;
        }
        // SAFETY: the front has room for two numbers at its end, and the block begins behind it.
        unsafe {
            let block = begin.add(front);
            block.sub(FRONT_BYTES).cast::<[usize; 2]>().write([layout.size(), layout.align()]);
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `alloc` has put the two numbers there, of a layout that is valid.
        let taken = unsafe {
            let [size, align] = block.sub(FRONT_BYTES).cast::<[usize; 2]>().read();
            Layout::from_size_align_unchecked(size, align)
        };
        GIVEN_BACK.fetch_add(1, Ordering::Relaxed);
        if taken != layout {
            OTHERWISE.fetch_add(1, Ordering::Relaxed);
        }
        let (whole, front) = with_front(taken).expect("it was taken so");
        // SAFETY: the block of the system's begins there, and was taken by this layout.
        unsafe { System.dealloc(block.sub(front), whole) };
    }
}

/// Creates a database or opens it, changes rows, and closes it.
fn live(disk: &Arc<dyn Disk>) -> falcon::Result<()> {
    let options = Options { cache_frames: 512, ..Options::default() };
    let database = match Database::exists(&**disk)? {
        true => Database::open(disk, &options)?,
        false => Database::create(disk, &options)?,
    };
    let table = match database.table("pair") {
        Some(table) => table,
        None => database.create_table(&TableSpec::new("pair", 2).index("by_key", &[0], false))?,
    };
    for number in 0..20 {
        let mut txn = database.begin();
        // The longest need pages of their own.
        let value = vec![number as u8; 700 * number as usize];
        txn.insert(&table, &[KeyValue::U64(number), KeyValue::Bytes(value.into())])?;
        txn.commit()?;
    }
    database.close()
}

#[test]
fn every_block_is_given_back_by_the_layout_it_was_taken_with() {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(1));
    for _ in 0..2 {
        machine.run(|ctx| live(&ctx.disk())).expect("no fault is on");
    }
    drop(machine);
    assert!(GIVEN_BACK.load(Ordering::Relaxed) > 1_000, "the allocator is not asked");
    assert_eq!(OTHERWISE.load(Ordering::Relaxed), 0, "blocks were given back by another layout");
}
