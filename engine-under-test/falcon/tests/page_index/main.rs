//! Index pages alone, split, and as a tree.
//!
//! # Method
//!
//! Random entries come and go in a page and in a sorted set ([`leaf`]). When a page is full it is split, and
//! the halves must hold what the set holds on either side of the bound. A small tree ([`tree`]), with a map of
//! buffers as its disk, shows that pages, siblings and bounds fit together. What must not be done or
//! found is in [`refusals`].
//!
//! # Invariant
//!
//! After every operation the page passes its own check.

mod leaf;
mod refusals;
mod tree;

use falcon::page::index::{IndexId, IndexKeyBuf, IndexPage};
use falcon::page::{PageSize, RecordNumber};
use falcon::{PageId, PageNumber, TablespaceId};
use proptest::prelude::*;

const INDEX: IndexId = IndexId(6);

fn id(number: u32) -> PageId {
    PageId { tablespace: TablespaceId(3), number: PageNumber(number) }
}

fn key(bytes: &[u8], record: u64) -> IndexKeyBuf {
    IndexKeyBuf { key: bytes.to_vec(), record: RecordNumber(record) }
}

/// Keys that share much, of all lengths up to the greatest of the smallest page.
fn keys() -> impl Strategy<Value = IndexKeyBuf> {
    let max = IndexPage::key_bytes_max(PageSize::MIN);
    let bytes = prop_oneof![
        prop::collection::vec(prop::sample::select(vec![0u8, 7, 255]), 0..6),
        (0..=max, any::<u8>()).prop_map(|(length, last)| {
            let mut bytes = vec![7; length];
            bytes.extend((length < 104).then_some(last));
            bytes
        }),
        prop::collection::vec(any::<u8>(), 0..=max),
    ];
    let record = prop_oneof![0u64..4, any::<u64>()];
    (bytes, record).prop_map(|(bytes, record)| key(&bytes, record))
}

fn collect(bytes: &[u8]) -> Vec<(IndexKeyBuf, Option<PageNumber>)> {
    let page = IndexPage::view(bytes).unwrap();
    let mut cursor = page.entries();
    let mut entries = Vec::new();
    while let Some(entry) = cursor.advance() {
        entries.push((entry.key.to_buf(), entry.child));
    }
    assert_eq!(entries.len(), usize::from(page.entry_count()));
    entries
}
