//! How lives end, and what is counted of it: power losses, killed processes, ends within recovery.

use std::cell::Cell;
use std::path::Path;

use falconry_seam::disk::{Disk, OpenOptions};
use falconry_sim::choice::{Choices, PPM};
use falconry_sim::fault::Fault;
use falconry_sim::{At, Ctx, End, Ending, Machine, MachineConfig, PowerDraw};

/// Writes and syncs a file again and again; more calls than any drawn end of recovery lies behind.
fn work(disk: &dyn Disk, rounds: u64) -> std::io::Result<()> {
    let file = disk.open(Path::new("log"), &OpenOptions::CREATE)?;
    for round in 0..rounds {
        for page in 0..4 {
            file.write_all_at(&[round as u8; 512], page * 4096)?;
        }
        file.sync_data()?;
    }
    Ok(())
}

fn machine(seed: u64) -> Machine {
    Machine::new(MachineConfig::default(), Choices::from_seed(seed))
}

fn drawn(recovery_ppm: u32) -> Ending {
    Ending::Drawn(PowerDraw { recovery_ppm, ..PowerDraw::default() })
}

#[test]
fn every_end_of_a_life_is_counted_once() {
    for seed in 0..20 {
        let mut machine = machine(seed);
        let (mut cuts, mut kills) = (0, 0);
        for boot in 0..6 {
            let at = At::DiskOp(5 + boot * 7);
            let ending = match (seed + boot) % 3 {
                0 => Ending::PowerLoss(at),
                1 => Ending::ProcessCrash(at),
                _ => Ending::Never,
            };
            match machine.boot(ending, |ctx: &Ctx| work(&*ctx.disk(), 20).is_ok()).end {
                End::PowerLoss => cuts += 1,
                End::ProcessCrash => kills += 1,
                End::Returned(done) => assert!(done),
                End::Exited => panic!("nobody exits"),
                End::Verdict(verdict) => panic!("{verdict}"),
            }
        }
        assert_eq!((cuts, kills), (2, 2), "each end comes where it was asked for");
        machine.cut_power();
        let counters = machine.counters();
        assert_eq!((counters.power_losses, counters.process_crashes), (cuts + 1, kills));
        let faults = machine.faults();
        assert_eq!(faults.delivered(Fault::PowerLoss), cuts + 1);
        assert_eq!(faults.delivered(Fault::ProcessCrash), kills);
        assert_eq!(faults.delivered(Fault::CrashInRecovery), 0, "no boot told recovery apart");
    }
}

#[test]
fn crash_in_recovery_is_counted_when_a_boot_ends_before_it_opened() {
    let (mut in_recovery, mut later) = (0, 0);
    for seed in 0..60 {
        let mut machine = machine(seed);
        let mut expected = 0;
        for _ in 0..4 {
            let opened = Cell::new(false);
            let boot = machine.boot(drawn(PPM / 2), |ctx| {
                let disk = ctx.disk();
                if work(&*disk, 3).is_ok() {
                    falconry_sim::opened();
                    opened.set(true);
                    let _ = work(&*disk, 20);
                }
            });
            assert_eq!(boot.opened, opened.get());
            let ended = matches!(boot.end, End::PowerLoss | End::ProcessCrash);
            expected += u64::from(ended && !opened.get());
            later += u64::from(ended && opened.get());
        }
        assert_eq!(machine.faults().delivered(Fault::CrashInRecovery), expected, "seed {seed}");
        in_recovery += expected;
    }
    assert!(in_recovery > 60 && later > 60, "{in_recovery} in recovery, {later} later");
}

#[test]
fn an_end_after_the_engine_has_opened_is_no_crash_in_recovery() {
    let mut ended = 0;
    for seed in 0..40 {
        let mut machine = machine(seed);
        let boot = machine.boot(drawn(PPM), |ctx| {
            falconry_sim::opened();
            let _ = work(&*ctx.disk(), 40);
        });
        ended += u64::from(!matches!(boot.end, End::Returned(_)));
        assert_eq!(machine.faults().delivered(Fault::CrashInRecovery), 0, "seed {seed}");
    }
    assert!(ended > 20, "{ended} of 40 boots ended early");
}

/// Says on the disk that it was dropped.
struct Loud<'a>(&'a dyn Disk);

impl Drop for Loud<'_> {
    fn drop(&mut self) {
        let _ = self.0.open(Path::new("dropped"), &OpenOptions::CREATE);
    }
}

#[test]
fn a_process_that_exits_runs_no_destructor_to_any_effect() {
    for by_main in [true, false] {
        for seed in 0..20 {
            let mut machine = machine(seed);
            let booted = machine.boot(Ending::Never, |ctx| {
                let disk = ctx.disk();
                let _loud = Loud(&*disk);
                work(&*disk, 1).unwrap();
                let other = falconry_seam::thread::spawn(move || {
                    if !by_main {
                        falconry_sim::exit();
                    }
                    falconry_seam::thread::park();
                });
                if by_main {
                    falconry_sim::exit();
                }
                other.join()
            });
            assert!(matches!(booted.end, End::Exited), "{:?}", booted.end);
            let names = machine.run(|ctx| ctx.disk().list(Path::new("")).unwrap());
            assert_eq!(names, ["log"], "what was written is there");
            let counters = machine.counters();
            assert_eq!((counters.process_crashes, counters.power_losses), (0, 0));
            assert_eq!(counters.abandoned, 0);
        }
    }
}
