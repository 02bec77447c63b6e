//! Stores of records, each with one bug of the published crash-consistency literature.

mod no_sync;

use super::Specimen;

/// All of them.
pub(super) static ALL: &[&Specimen] = &[&no_sync::SPECIMEN];
