//! Concurrent programs, each with one bug of the known small benchmark families.

mod lost_update;

use super::Specimen;

/// All of them.
pub(super) static ALL: &[&Specimen] = &[&lost_update::SPECIMEN];
