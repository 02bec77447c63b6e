//! What recoveries say that they have found and done.

use falcon::Database;
use falconry_sim::choice::Choices;
use falconry_sim::{Machine, MachineConfig};

use crate::check_snapshot;
use crate::image_disk::{Image, ImageDisk};
use crate::sample::{End, options, read_all, sample};

/// Opens a copy of what is there. Returns what the recovery says, and what was there before the opening's last
/// write, which is the record of its checkpoint.
fn recover(image: &Image) -> (String, Image) {
    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
    machine.run(|_| {
        let disk = ImageDisk::of(image);
        disk.remember();
        let database = Database::open(&disk.shared(), &options()).expect("no fault");
        (format!("{:#?}\n", database.recovery_report()), disk.before_last_write())
    })
}

#[test]
fn recoveries_tell_what_they_have_done() {
    check_snapshot("recovery-closed", &recover(&sample(End::Closed).image).0);
    let crashed = sample(End::Crashed);
    let (told, within) = recover(&crashed.image);
    check_snapshot("recovery-crashed", &told);
    check_snapshot("recovery-in-recovery", &recover(&within).0);
    let database = Database::open(&ImageDisk::of(&within).shared(), &options()).expect("no fault");
    assert!(read_all(&database).expect("no fault") == crashed.answer);
    let mut torn = sample(End::InCheckpoint);
    check_snapshot("recovery-in-checkpoint", &recover(&torn.image).0);
    torn.tear_a_page();
    check_snapshot("recovery-torn-page", &recover(&torn.image).0);
}
