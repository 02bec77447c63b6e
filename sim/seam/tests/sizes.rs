//! What the hooks cost in memory: nothing without the feature `simulate`, 8 bytes a lock with it.

use std::mem::size_of;

use falconry_seam::cell::UnsafeCell;
use falconry_seam::sync::{Condvar, Mutex, Once, OnceLock, RwLock, atomic};

fn extra<Ours, Std>() -> usize {
    size_of::<Ours>() - size_of::<Std>()
}

#[test]
fn a_lock_is_at_most_8_bytes_larger_than_stds() {
    let allowed = if cfg!(feature = "simulate") { 8 } else { 0 };
    let sizes = [
        extra::<Mutex<()>, std::sync::Mutex<()>>(),
        extra::<Mutex<u8>, std::sync::Mutex<u8>>(),
        extra::<Mutex<u64>, std::sync::Mutex<u64>>(),
        extra::<RwLock<()>, std::sync::RwLock<()>>(),
        extra::<RwLock<u8>, std::sync::RwLock<u8>>(),
        extra::<RwLock<u64>, std::sync::RwLock<u64>>(),
        extra::<Once, std::sync::Once>(),
        extra::<OnceLock<u32>, std::sync::OnceLock<u32>>(),
        extra::<OnceLock<u64>, std::sync::OnceLock<u64>>(),
    ];
    assert!(sizes.iter().all(|size| *size <= allowed), "{sizes:?}");
    // In production it counts its waiters.
    let condition = extra::<Condvar, std::sync::Condvar>();
    assert_eq!(condition, if cfg!(feature = "simulate") { 8 } else { 4 });
}

#[test]
fn atomics_and_cells_are_as_large_as_stds() {
    assert_eq!(extra::<atomic::AtomicBool, std::sync::atomic::AtomicBool>(), 0);
    assert_eq!(extra::<atomic::AtomicU64, std::sync::atomic::AtomicU64>(), 0);
    assert_eq!(extra::<atomic::AtomicPtr<u8>, std::sync::atomic::AtomicPtr<u8>>(), 0);
    assert_eq!(extra::<UnsafeCell<u8>, std::cell::UnsafeCell<u8>>(), 0);
}
