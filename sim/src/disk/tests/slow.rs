//! Calls that take long: one test a fault.

use super::*;

/// A world in which calls take time, with two files.
fn world(latency: bool) -> (World, Handle, Handle) {
    let mut world = World::with(DiskConfig::default(), Choices::from_seed(1));
    let (a, b) = (world.create("a"), world.create("b"));
    world.disk.config.latency = latency;
    (world, a, b)
}

fn read_latency(world: &mut World, file: Handle) -> u64 {
    world.call(|disk, env| disk.len(env, file)).unwrap().latency_ns
}

#[test]
fn stall_op_holds_one_call() {
    let (mut world, a, b) = world(false);
    world.always(Fault::StallOp);
    let stalled = read_latency(&mut world, a);
    world.never(Fault::StallOp);
    assert!(stalled >= 1_000_000, "{stalled} ns");
    assert_eq!(world.told(), [(Fault::StallOp, stalled, 0)]);
    assert_eq!((read_latency(&mut world, a), read_latency(&mut world, b)), (0, 0));
}

#[test]
fn stall_file_holds_the_calls_of_one_file() {
    let (mut world, a, b) = world(false);
    world.always(Fault::StallFile);
    let stalled = read_latency(&mut world, a);
    world.never(Fault::StallFile);
    assert_eq!(read_latency(&mut world, a), stalled, "a call behind it ends with it");
    assert_eq!(read_latency(&mut world, b), 0);
    world.trace.time_ns += stalled / 2;
    assert_eq!(read_latency(&mut world, a), stalled - stalled / 2);
    world.trace.time_ns += stalled;
    assert_eq!(read_latency(&mut world, a), 0, "it is over");
    assert_eq!(world.told(), [(Fault::StallFile, stalled, 0)]);
}

#[test]
fn stall_device_holds_all_calls() {
    let (mut world, a, b) = world(false);
    world.always(Fault::StallDevice);
    let stalled = read_latency(&mut world, a);
    world.never(Fault::StallDevice);
    assert_eq!(read_latency(&mut world, b), stalled);
    let listed = world.call(|disk, env| disk.list(env, Path::new(""))).unwrap();
    assert_eq!(listed.latency_ns, stalled);
    assert_eq!(world.told(), [(Fault::StallDevice, stalled, 0)]);
}

#[test]
fn slow_device_takes_a_hundred_times_as_long() {
    let sync = |slow: bool| {
        let (mut world, a, _) = world(true);
        world.faults.set_rate(Fault::SlowDevice, if slow { PPM } else { 0 });
        world.call(|disk, env| disk.boot(env));
        world.write(a, &[1; 4096], 0).unwrap();
        let begun = world.call(|disk, env| disk.sync(env, a, DiskOp::SyncAll)).unwrap();
        assert_eq!(world.faults.delivered(Fault::SlowDevice), u64::from(slow));
        begun.latency_ns
    };
    assert!(sync(false) > 0);
    assert_eq!(sync(true), 100 * sync(false));
}

/// Virtual time of a read of `len` bytes at `offset`, as a call that has begun tells it.
fn read_ns(world: &mut World, file: Handle, offset: u64, len: usize) -> u64 {
    let mut bytes = vec![0; len];
    world.call(|disk, env| disk.read(env, file, &mut bytes, offset)).unwrap().latency_ns
}

#[test]
fn the_first_read_of_a_cold_page_takes_the_devices_time() {
    let mut world = World::new(DiskConfig::default());
    let file = world.create("a");
    world.write(file, &vec![1; 100 * 4096], 0).unwrap();
    world.sync(file).unwrap();
    world.disk.config.latency = true;
    let [read, ..] = DevicePreset::default().rules().latency_ns;
    assert_eq!(read_ns(&mut world, file, 0, 4096), 0, "what was written is in the cache");
    world.call(|disk, env| disk.process_crash(env));
    let file = world.open("a", OpenOptions::READ_WRITE).unwrap();
    assert_eq!(read_ns(&mut world, file, 0, 4096), 0, "a killed process leaves the cache");
    world.power_loss();
    let file = world.open("a", OpenOptions::READ_WRITE).unwrap();
    assert_eq!(read_ns(&mut world, file, 4096, 4096), read);
    assert_eq!(read_ns(&mut world, file, 0, 32 * 4096), 0, "its neighbours came along");
    assert_eq!(read_ns(&mut world, file, 31 * 4096, 34 * 4096), 2 * read, "two windows more");
    assert_eq!(read_ns(&mut world, file, 0, 96 * 4096), 0);
    for page in 96..100 {
        world.write(file, &[2; 4096], page * 4096).unwrap();
    }
    assert_eq!(read_ns(&mut world, file, 96 * 4096, 4 * 4096), 0, "written pages are warm");
    assert!(world.disk.nodes.values().all(|node| node.cold.count() == 0));
}

#[test]
fn slow_device_slows_the_reads_of_recovery() {
    let time = |slow: bool| {
        let mut world = World::new(DiskConfig::default());
        let file = world.create("a");
        world.write(file, &[1; 4096], 0).unwrap();
        world.sync(file).unwrap();
        world.power_loss();
        world.disk.config.latency = true;
        world.faults.set_rate(Fault::SlowDevice, if slow { PPM } else { 0 });
        world.choices = Choices::from_seed(1);
        world.call(|disk, env| disk.boot(env));
        let file = world.open("a", OpenOptions::READ_WRITE).unwrap();
        read_ns(&mut world, file, 0, 4096)
    };
    assert!(time(false) > 0);
    assert_eq!(time(true), 100 * time(false));
}

#[test]
fn a_controller_whose_battery_charges_writes_through() {
    let mut slower = 0;
    for seed in 0..64 {
        let config = DiskConfig { device: DevicePreset::RaidBbu, ..DiskConfig::default() };
        let mut world = World::with(config, Choices::from_seed(seed));
        world.call(|disk, env| disk.boot(env));
        world.choices = Choices::zeros();
        let file = world.create("a");
        world.disk.config.latency = true;
        let begun = world.call(|disk, env| disk.sync(env, file, DiskOp::SyncAll)).unwrap();
        match begun.latency_ns {
            100_000 => {}
            15_000_000 => slower += 1,
            other => panic!("a flush takes {other} ns"),
        }
    }
    assert!((1..16).contains(&slower), "{slower} of 64 boots");
}

#[test]
fn latencies_lie_around_the_devices_own() {
    let (mut world, a, _) = world(true);
    let mut times: Vec<u64> = Vec::new();
    for _ in 0..200 {
        world.write(a, &[1; 512], 0).unwrap();
        let begun = world.call(|disk, env| disk.sync(env, a, DiskOp::SyncAll)).unwrap();
        times.push(begun.latency_ns);
        world.call(|disk, env| disk.sync_end(env, begun.value)).unwrap();
    }
    times.sort_unstable();
    let [_, write, flush] = DevicePreset::default().rules().latency_ns;
    let middle = write + flush;
    assert!(times[60] < middle && middle < times[140], "middle {middle}, {times:?}");
    assert!(times[0] >= middle / 4 && times[199] <= middle * 4);
}
