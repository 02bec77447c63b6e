//! Inventory pages against a vector of bits.
//!
//! # Method
//!
//! Pages are marked at both ends of a range, where the fixed pages and the last numbers are.
//!
//! # Invariant
//!
//! No reserved page is ever free.

use falcon::PageNumber;
use falcon::page::{InventoryMap, InventoryPage, InventoryPageMut, PageSize, RESERVED_PAGES};
use proptest::prelude::*;

use super::SPACE;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_inventory_page_is_a_vector_of_bits(
        size in prop::sample::select(PageSize::all().collect::<Vec<_>>()),
        ordinal in 0u32..4,
        changes in prop::collection::vec((any::<bool>(), 0u32..300, any::<bool>()), 0..60),
    ) {
        let map = InventoryMap::new(size);
        let (first, last) = map.range_of(ordinal);
        let mut bytes = vec![0xAA; size.bytes()];
        let mut page = InventoryPageMut::format(&mut bytes, SPACE, ordinal);
        let mut free: Vec<bool> =
            (first.0..=last.0).map(|page| !map.is_reserved(PageNumber(page))).collect();
        for (is_at_end, near, is_free) in changes {
            let number = PageNumber(if is_at_end { last.0 - near } else { first.0 + near });
            if map.is_reserved(number) {
                continue;
            }
            let bit = &mut free[(number.0 - first.0) as usize];
            let changed = if is_free { page.mark_free(number) } else { page.mark_used(number) };
            prop_assert_eq!(changed, *bit != is_free);
            *bit = is_free;
        }
        let page = InventoryPage::view(&bytes).unwrap();
        prop_assert_eq!(page.free_count() as usize, free.iter().filter(|bit| **bit).count());
        for from in (0..300).chain(last.0 - first.0 - 300..=last.0 - first.0 + 1) {
            let found = free.iter().enumerate().skip(from as usize).find(|(_, bit)| **bit);
            let found = found.map(|(at, _)| PageNumber(first.0 + at as u32));
            prop_assert_eq!(page.first_free(PageNumber(first.0 + from)), found);
        }
        prop_assert_eq!(page.ordinal(), ordinal);
    }
}

/// The reserved pages came up for allocation once: they are never free, wherever the inventory page lies.
#[test]
fn inventory_pages_keep_all_pages_and_their_own_place() {
    for size in PageSize::all() {
        let map = InventoryMap::new(size);
        let per = map.pages_per_inventory();
        assert_eq!(per as usize, (size.bytes() - 32) * 8);
        assert_eq!(map.page_of(0), PageNumber(1));
        assert_eq!(map.page_of(1), PageNumber(per));
        assert_eq!(map.ordinal_of(PageNumber(per - 1)), 0);
        assert_eq!(map.ordinal_of(PageNumber(u32::MAX)), map.inventories_max() - 1);
        assert!((0..RESERVED_PAGES).all(|page| map.is_reserved(PageNumber(page))));
        assert!(!map.is_reserved(PageNumber(4)) && map.is_reserved(PageNumber(per)));

        let last = map.inventories_max() - 1;
        let mut bytes = vec![0; size.bytes()];
        let page = InventoryPageMut::format(&mut bytes, SPACE, last);
        let (first, end) = page.read().range();
        assert_eq!(end, PageNumber(u32::MAX));
        assert_eq!(page.read().free_count(), end.0 - first.0);
        assert_eq!(page.read().first_free(end), Some(end));
        assert_eq!(page.read().first_free(PageNumber(0)), Some(PageNumber(first.0 + 1)));
        InventoryPage::view(&bytes).unwrap();

        // A bit beyond the last page number would be a page that does not exist.
        let kept = (end.0 - first.0 + 1) as usize;
        if kept < per as usize {
            bytes[32 + kept / 8] |= 1 << (kept % 8);
            bytes[28..32].copy_from_slice(&(end.0 - first.0 + 1).to_le_bytes());
            let refused = InventoryPage::view(&bytes).unwrap_err().to_string();
            assert!(refused.contains("free bit"), "{refused}");
        }
    }
}

#[test]
#[should_panic(expected = "page 1 is reserved and cannot be freed")]
fn a_reserved_page_is_not_freed() {
    InventoryPageMut::format(&mut [0; 1024], SPACE, 0).mark_free(PageNumber(1));
}

#[test]
#[should_panic(expected = "page 9000 is none of page 0 to page 7935")]
fn a_page_is_not_looked_for_in_another_ones_inventory() {
    InventoryPageMut::format(&mut [0; 1024], SPACE, 0).mark_used(PageNumber(9000));
}
