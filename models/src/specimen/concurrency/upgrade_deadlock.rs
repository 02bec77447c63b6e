//! Two readers want to become the writer; each keeps its share and waits until the other has gone.

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::{always, planted, thread};

use super::{lock, wait};
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "upgrade_deadlock",
    family: Family::Concurrency,
    source: "conversion deadlock (Gray and Reuter, Transaction Processing, 1993)",
    bug: "a reader that waits to become the writer keeps its share though another does the same",
    faults: &[],
    body: Body::Program(program),
};

#[derive(Default)]
struct Sharing {
    readers: u32,
    upgrading: bool,
    value: u64,
}

#[derive(Default)]
struct Record {
    sharing: Mutex<Sharing>,
    left: Condvar,
}

struct Refused;

impl Record {
    fn read(&self) -> u64 {
        let mut sharing = lock(&self.sharing);
        while sharing.upgrading {
            sharing = wait(&self.left, sharing);
        }
        sharing.readers += 1;
        sharing.value
    }

    /// Gives up the share in any case.
    fn upgrade_and_write(&self, value: u64) -> Result<(), Refused> {
        let mut sharing = lock(&self.sharing);
        let is_refused = sharing.upgrading && !planted!("upgrade_deadlock");
        if !is_refused {
            sharing.upgrading = true;
            while sharing.readers > 1 {
                sharing = wait(&self.left, sharing);
            }
            sharing.value = value;
            sharing.upgrading = false;
        }
        sharing.readers -= 1;
        self.left.notify_all();
        if is_refused { Err(Refused) } else { Ok(()) }
    }
}

fn program() {
    let record = Record::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| while record.upgrade_and_write(record.read() + 1).is_err() {});
        }
    });
    let value = lock(&record.sharing).value;
    always!(value == 2, "both have counted", "{value}");
}
