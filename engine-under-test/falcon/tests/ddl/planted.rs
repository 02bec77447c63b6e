//! Bugs of dropped tables and of sequences, each planted: the runs of [`crash`](super::crash) find it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use falcon::Bug;
use falconry_sim::disk::FsPreset;

use crate::crash::{Met, live, sim};

/// Seeds within which a bug is to be found, of each file system.
const SEEDS: u64 = 400;

/// The file system and the hundred of seeds that find a bug first, and what is found.
fn first_find(bug: Bug) -> Option<(FsPreset, String)> {
    FsPreset::ALL.into_iter().find_map(|fs| {
        let met = Met::default();
        let sim = sim(fs, false, &[bug.name()]).seeds(0..SEEDS);
        let run = catch_unwind(AssertUnwindSafe(|| sim.run(|machine| live(machine, &met, false))));
        let told = run.err()?.downcast::<String>().expect("a report");
        Some((fs, told.lines().next().unwrap_or_default().to_string()))
    })
}

#[test]
fn bugs_of_drops_and_sequences_are_found() {
    let bugs = [
        Bug::SequenceRaisedInMemory,
        Bug::PageZeroRedone,
        Bug::FreedCountedInOnePass,
        Bug::OldOverflowNotFreed,
        Bug::RowGoesBeforePages,
        Bug::UnlinkedBeforeFreed,
        Bug::CatalogueNotReadAgain,
        Bug::DropRedoneOnNewer,
        Bug::SequenceLowered,
        Bug::DropWaitsForNobody,
        Bug::LockGrantedWithoutLook,
    ];
    for bug in bugs {
        let (fs, told) = first_find(bug).unwrap_or_else(|| panic!("{bug} is not found"));
        println!("{bug} on {fs:?}: {told}");
    }
}
