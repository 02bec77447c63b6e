//! Pages that lead to records and hold them, against plain models.
//!
//! # Method
//!
//! Random operations are done on a page and on a collection that means the same; after each one both must
//! tell the same, and the page must pass its own check.
//!
//! # Invariant
//!
//! The model knows no offsets, bits or bytes.

mod data;
mod inventory;
mod section;

use falcon::page::SectionId;
use falcon::{PageId, PageNumber, TablespaceId};
use proptest::prelude::ProptestConfig;

const SPACE: TablespaceId = TablespaceId(3);

const ID: PageId = PageId { tablespace: SPACE, number: PageNumber(17) };

const SECTION: SectionId = SectionId(5);

/// How often each model is tried.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}
