//! What is counted was told: for every fault of the disk, as many events as the counter says.

use super::*;
use crate::fault::FAULT_COUNT;

const RUNS: u64 = 400;
const SHELF_BYTES: u64 = 40_000;

/// A world with drawn disk and rates, and a program that does a little of everything.
fn run(seed: u64) -> World {
    let mut choices = Choices::from_seed(seed);
    let config = DiskConfig::draw(&mut choices);
    let mut world = World::with(config, choices);
    for fault in Fault::ALL.iter().copied().filter(|fault| is_of_the_disk(*fault)) {
        let rates = [0, 0, 20_000, 200_000];
        let rate = rates[world.choices.choose("test/rate", rates.len() as u64) as usize];
        world.faults.set_rate(fault, if fault.when() == When::PowerLoss { PPM } else { rate });
    }
    for _ in 0..4 {
        world.call(|disk, env| disk.boot(env));
        for _ in 0..24 {
            let _ = step(&mut world);
            world.trace.time_ns += world.choices.choose("test/pause", 200_000_000);
        }
        match world.choices.choose("test/end", 4) {
            0 => world.call(|disk, env| disk.process_crash(env)),
            _ => drop(world.power_loss()),
        }
    }
    world
}

/// One call, or a few; what fails, fails.
fn step(world: &mut World) -> io::Result<()> {
    let kind = world.choices.choose("test/step", 10);
    let name = ["a", "b"][world.choices.choose("test/file", 2) as usize];
    let direct = world.choices.choose("test/direct", 6) == 5;
    let unit = if direct { 4096 } else { 1 };
    let offset = world.choices.choose("test/offset", SHELF_BYTES) / unit * unit;
    let len = (1 + world.choices.choose("test/len", 9000)).next_multiple_of(unit);
    let file = world.open(name, OpenOptions { direct, ..OpenOptions::CREATE })?;
    match kind {
        0..=3 => drop(world.write(file, &vec![seedling(offset); len as usize], offset)?),
        4..=5 => drop(world.read(file, len as usize, offset)?),
        6..=7 => world.sync(file)?,
        8 => world.sync_dir("")?,
        _ => world.call(|disk, env| disk.rename(env, Path::new("a"), Path::new("b"))).map(drop)?,
    }
    world.call(|disk, _| disk.close(file));
    Ok(())
}

fn seedling(offset: u64) -> u8 {
    1 + (offset % 251) as u8
}

#[test]
fn a_fault_is_counted_as_often_as_it_is_told() {
    let mut came = [0; FAULT_COUNT];
    for seed in 0..RUNS {
        let world = run(seed);
        let mut told = [0; FAULT_COUNT];
        for (fault, ..) in world.told() {
            told[fault as usize] += 1;
        }
        for fault in Fault::ALL.iter().copied().filter(|fault| is_of_the_disk(*fault)) {
            let counted = world.faults.delivered(fault);
            assert_eq!(counted, told[fault as usize], "seed {seed}: {fault}");
            came[fault as usize] += counted;
        }
    }
    for fault in Fault::ALL.iter().copied().filter(|fault| is_of_the_disk(*fault)) {
        assert!(came[fault as usize] > 0, "{fault} never came in {RUNS} runs");
    }
}

#[test]
fn a_call_that_fails_is_told_with_its_error() {
    for seed in 0..RUNS / 4 {
        let mut choices = Choices::from_seed(seed);
        let config = DiskConfig::draw(&mut choices);
        let mut world = World::with(config, choices);
        for fault in Fault::ALL.iter().filter(|fault| fault.when() == When::Error) {
            world.faults.set_rate(*fault, 30_000);
        }
        world.call(|disk, env| disk.boot(env));
        let mut failed = 0;
        for _ in 0..60 {
            failed += u64::from(step(&mut world).is_err());
        }
        let told = world.trace.events().iter();
        let told =
            told.filter(|event| matches!(event.what, What::Disk { errno, .. } if errno != 0));
        assert_eq!(told.count() as u64, failed, "seed {seed}");
    }
}
