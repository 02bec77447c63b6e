//! What the system and the processor are told of memory: huge pages, and lines that are needed soon.

use std::mem::MaybeUninit;

/// A huge page of the system, on all processors that this runs on.
pub(super) const HUGE_BYTES: usize = 2 << 20;

/// A table of `count` entries, in huge pages where it is large.
pub(crate) fn table<T>(count: usize, entry: impl FnMut(usize) -> T) -> Box<[T]> {
    let mut entries = Vec::with_capacity(count);
    // Before anything is written there: what has its small pages already would keep them for a while.
    ask_for_huge_pages(entries.spare_capacity_mut());
    entries.extend((0..count).map(entry));
    entries.into_boxed_slice()
}

/// Asks the system to back the memory with huge pages, as far as they fit into it. It may do so or not.
pub(super) fn ask_for_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    let bytes = size_of_val(memory);
    let before = memory.as_ptr().cast::<u8>().align_offset(HUGE_BYTES);
    let whole = bytes.saturating_sub(before) / HUGE_BYTES * HUGE_BYTES;
    if whole == 0 || cfg!(miri) {
        return;
    }
    let from = memory.as_mut_ptr().cast::<u8>().wrapping_add(before);
    // SAFETY: the range lies within memory that the caller has for itself, and this advice leaves what is there as
    // it is. Where the system does not know it, the call fails, and nothing has changed.
    unsafe { libc::madvise(from.cast(), whole, libc::MADV_HUGEPAGE) };
}

/// Says that the line of the processor's cache with this address is read soon.
#[inline]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is part of x86-64. It reads nothing that a program could see, and does not fault,
        // whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_entries_whatever_the_system_does() {
        for count in [0, 3, HUGE_BYTES / 2] {
            let table = table(count, |at| at as u64);
            assert!(table.iter().enumerate().all(|(at, entry)| *entry == at as u64), "{count}");
            assert_eq!(table.len(), count);
        }
    }
}
