//! A task that reads under a shared lock takes it once more; a writer that waits between the two
//! keeps the second out.

use falconry_seam::sync::{PoisonError, RwLock};
use falconry_seam::{always, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "read_within_read",
    family: Family::Concurrency,
    source: "a shared lock taken twice by one task, as std::sync::RwLock's documentation warns",
    bug: "a shared lock is taken again while it is held",
    faults: &[],
    body: Body::Program(program),
};

type Table = RwLock<Vec<u64>>;

fn row(table: &Table, index: usize) -> u64 {
    let rows = table.read().unwrap_or_else(PoisonError::into_inner);
    rows.get(index).copied().unwrap_or_default()
}

fn sum(table: &Table) -> u64 {
    let rows = table.read().unwrap_or_else(PoisonError::into_inner);
    if planted!("read_within_read") {
        (0..rows.len()).map(|index| row(table, index)).sum()
    } else {
        rows.iter().sum()
    }
}

fn program() {
    let table = RwLock::new(vec![1, 2]);
    thread::scope(|scope| {
        scope.spawn(|| {
            let sum = sum(&table);
            always!(sum == 3 || sum == 6, "a sum is of one state", "{sum}");
        });
        scope.spawn(|| table.write().unwrap_or_else(PoisonError::into_inner).push(3));
    });
}
