//! How bytes come to the platter: syncs, direct and dsync writes, writeback, the power inside a sync.

use super::*;

fn none_survives(fs: FsPreset, device: DevicePreset) -> World {
    let policy = Some(SurvivalPolicy::None);
    let config = DiskConfig { fs, device, policy, ..DiskConfig::default() };
    let mut world = World::with(config, Choices::from_seed(1));
    world.admit_losses();
    world
}

/// A durable file `a` of `len` ones.
fn durable(world: &mut World, len: usize) -> Handle {
    let file = world.create("a");
    world.write(file, &vec![1; len], 0).unwrap();
    world.sync(file).unwrap();
    world.sync_dir("").unwrap();
    file
}

const DIRECT: OpenOptions = OpenOptions { direct: true, ..OpenOptions::READ_WRITE };
const DSYNC: OpenOptions = OpenOptions { dsync: true, ..OpenOptions::READ_WRITE };

#[test]
fn a_sync_covers_only_what_had_completed_when_it_was_submitted() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 12288);
    // The first write takes time and has not returned when the sync is submitted.
    world.always(Fault::StallOp);
    let slow = world.call(|disk, env| disk.write(env, file, &[2; 512], 0)).unwrap();
    assert!(slow.latency_ns > 0);
    world.never(Fault::StallOp);
    world.write(file, &[2; 512], 4096).unwrap();
    let sync = world.call(|disk, env| disk.sync(env, file, DiskOp::SyncData)).unwrap();
    world.write(file, &[2; 512], 8192).unwrap();
    world.call(|disk, env| disk.write_end(env, slow.value)).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[4096], 1, "not before its end");
    world.call(|disk, env| disk.sync_end(env, sync.value)).unwrap();
    let bytes = world.disk.durable("a").unwrap();
    assert_eq!((bytes[0], bytes[4096], bytes[8192]), (1, 2, 1));
    world.sync(file).unwrap();
    let bytes = world.disk.durable("a").unwrap();
    assert_eq!((bytes[0], bytes[4096], bytes[8192]), (2, 2, 2));
}

#[test]
fn an_older_write_that_a_sync_passed_over_does_not_come_back_over_a_newer() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 4096);
    world.always(Fault::StallOp);
    let slow = world.call(|disk, env| disk.write(env, file, &[2; 1024], 0)).unwrap();
    world.never(Fault::StallOp);
    world.write(file, &[3; 512], 0).unwrap();
    world.sync(file).unwrap();
    world.call(|disk, env| disk.write_end(env, slow.value)).unwrap();
    world.sync(file).unwrap();
    let bytes = world.disk.durable("a").unwrap();
    assert_eq!((bytes[0], bytes[512], bytes[1024]), (3, 2, 1));
    assert_eq!(world.disk.pending().ops, 0);
}

#[test]
fn the_power_goes_after_each_write_of_a_sync() {
    for writes in 0..=4 {
        let mut world = none_survives(FsPreset::default(), DevicePreset::default());
        let file = durable(&mut world, 3 * 4096);
        let sync = world.power.syncs;
        world.power = PowerPlan { in_sync: Some(sync), after_writes: writes, ..world.power };
        for page in 0..3 {
            world.write(file, &[2; 4096], page * 4096).unwrap();
        }
        let error = world.sync(file).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert!(world.power.cut);
        let loss = world.power_loss();
        let bytes = world.disk.durable("a").unwrap();
        let new = bytes.chunks(4096).take_while(|page| page[0] == 2).count() as u64;
        assert_eq!(new, writes.min(3), "in the order of the calls");
        assert!(bytes[new as usize * 4096..].iter().all(|byte| *byte == 1));
        assert_eq!(loss.is_partial(), (1..3).contains(&writes));
    }
}

#[test]
fn what_a_killed_process_had_synced_does_not_make_a_later_power_loss_partial() {
    // The writes that a sync had done when the process was killed in it were counted as survivors of
    // the next power loss, so that one which lost everything was told to be partial.
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 3 * 4096);
    let sync = world.power.syncs;
    world.power = PowerPlan { in_sync: Some(sync), after_writes: 2, ..world.power };
    for page in 0..3 {
        world.write(file, &[2; 4096], page * 4096).unwrap();
    }
    world.sync(file).unwrap_err();
    world.call(|disk, env| disk.process_crash(env));
    world.power = PowerPlan::default();
    let file = world.open("a", OpenOptions::READ_WRITE).unwrap();
    world.sync(file).unwrap();
    world.write(file, &[3; 512], 0).unwrap();
    let loss = world.power_loss();
    assert_eq!((loss.survived_writes, loss.lost_writes), (0, 1));
}

#[test]
fn only_whole_writes_survive_in_a_sync_that_the_power_cuts() {
    // Operations were counted: a length, or each page of a write, as if it were one.
    for (writes, survived) in [(0, 0), (1, 1), (2, 1), (5, 1), (6, 2)] {
        let mut world = none_survives(FsPreset::default(), DevicePreset::default());
        let file = durable(&mut world, 512);
        world.power.in_sync = Some(world.power.syncs);
        world.power.after_writes = writes;
        // One page; then four with the length that shows them.
        world.write(file, &[2; 512], 0).unwrap();
        world.write(file, &[2; 3 * 4096], 4096 - 512).unwrap();
        world.sync(file).unwrap_err();
        let loss = world.power_loss();
        assert_eq!(loss.survived_writes, survived, "after {writes} operations");
    }
}

#[test]
fn the_power_goes_before_or_after_a_sync_of_a_directory() {
    for (writes, survives) in [(0, false), (1, true)] {
        let mut world = none_survives(FsPreset::default(), DevicePreset::default());
        world.create("a");
        world.power = PowerPlan { in_sync: Some(0), after_writes: writes, ..PowerPlan::default() };
        world.sync_dir("").unwrap_err();
        world.power_loss();
        assert_eq!(world.disk.durable("a").is_some(), survives);
    }
}

#[test]
fn a_direct_write_is_kept_by_any_flush_of_the_device() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::Hdd512n);
    durable(&mut world, 4096);
    let other = world.create("b");
    let direct = world.open("a", DIRECT).unwrap();
    world.write(direct, &[2; 512], 512).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[512], 1, "it is in the device's cache");
    world.sync(other).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[512], 2);
    world.write(direct, &[3; 512], 512).unwrap();
    world.sync_dir("").unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[512], 3, "a sync of a directory flushes as well");
}

#[test]
fn a_direct_write_takes_dirty_pages_of_its_range_along() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::Hdd512n);
    let file = durable(&mut world, 8192);
    let (other, direct) = (world.create("b"), world.open("a", DIRECT).unwrap());
    world.write(file, &[2; 1024], 0).unwrap();
    world.write(file, &[2; 1024], 4096).unwrap();
    world.write(direct, &[3; 512], 512).unwrap();
    world.sync(other).unwrap();
    let bytes = world.disk.durable("a").unwrap();
    assert_eq!((bytes[0], bytes[512], bytes[4096]), (2, 3, 1));
}

#[test]
fn a_direct_write_is_durable_at_once_where_no_cache_is_volatile() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::NvmePlp16k);
    durable(&mut world, 8192);
    let direct = world.open("a", DIRECT).unwrap();
    world.write(direct, &[2; 4096], 4096).unwrap();
    world.power_loss();
    assert_eq!(world.disk.durable("a").unwrap()[4096], 2);
    let error = {
        let direct = world.open("a", DIRECT).unwrap();
        world.write(direct, &[2; 512], 0).unwrap_err()
    };
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "its sectors have 4 KiB");
}

#[test]
fn a_dsync_write_is_durable_and_promotes_no_other() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 4096);
    let dsync = world.open("a", DSYNC).unwrap();
    world.write(file, &[2; 1024], 0).unwrap();
    world.write(dsync, &[3; 512], 512).unwrap();
    let bytes = world.disk.durable("a").unwrap();
    assert_eq!((bytes[0], bytes[512], bytes[1024]), (1, 3, 1));
    world.sync(file).unwrap();
    let bytes = world.disk.durable("a").unwrap();
    assert_eq!((bytes[0], bytes[512], bytes[1024]), (2, 3, 1), "the newer bytes stay");
}

#[test]
fn a_dsync_write_brings_the_length_that_shows_it() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 4096);
    let dsync = world.open("a", DSYNC).unwrap();
    world.call(|disk, env| disk.set_len(env, file, 1024)).unwrap();
    world.write(file, &[2; 4096], 4096).unwrap();
    world.write(dsync, &[3; 4096], 8192).unwrap();
    world.power_loss();
    let bytes = world.disk.durable("a").unwrap();
    assert_eq!(bytes.len(), 12288);
    assert_eq!((bytes[0], bytes[1023], bytes[1024], bytes[4096]), (1, 1, 0, 0));
    assert_eq!(bytes[8192], 3);
}

#[test]
fn what_is_pending_is_bounded() {
    let dirty_ops_max = 100;
    let mut world = World::new(DiskConfig { dirty_ops_max, ..DiskConfig::default() });
    let file = world.create("a");
    for round in 0..1000u64 {
        world.write(file, &[(round % 250) as u8; 4096], round % 50 * 4096).unwrap();
        assert!(world.disk.pending().ops <= dirty_ops_max);
    }
    world.sync_dir("").unwrap();
    let (durable, cached) = (world.disk.durable("a").unwrap(), world.disk.cached("a").unwrap());
    let behind = (0..50).filter(|page| durable[page * 4096] != cached[page * 4096]).count();
    assert!(behind <= 50 && durable.len() == cached.len());
    assert!(durable.iter().any(|byte| *byte != 0), "the oldest were written back");
    world.sync(file).unwrap();
    assert!(world.disk.durable("a").unwrap() == cached);
}

#[test]
fn a_file_that_was_removed_lives_while_it_is_open() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 10);
    world.call(|disk, env| disk.remove(env, Path::new("a"))).unwrap();
    world.sync_dir("").unwrap();
    world.write(file, &[2; 5], 0).unwrap();
    assert_eq!(world.read(file, 6, 0).unwrap(), [2, 2, 2, 2, 2, 1]);
    assert!(world.open("a", OpenOptions::READ).is_err());
    world.call(|disk, env| disk.process_crash(env));
    assert_eq!(world.disk.nodes.len(), 0, "nothing can lead to it any more");
    assert_eq!(world.disk.pending().ops, 0);
}

#[test]
fn locks_belong_to_handles_and_end_with_the_process() {
    use falconry_seam::disk::LockKind::{Exclusive, Shared};
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let (a, b) = (durable(&mut world, 1), world.open("a", OpenOptions::READ_WRITE).unwrap());
    let lock = |world: &mut World, file, kind| {
        world.call(|disk, env| disk.try_lock(env, file, kind)).unwrap().value
    };
    assert!(lock(&mut world, a, Exclusive));
    assert!(!lock(&mut world, b, Shared));
    assert!(lock(&mut world, a, Shared), "the lock is changed");
    assert!(lock(&mut world, b, Shared));
    assert!(!lock(&mut world, a, Exclusive));
    world.call(|disk, env| disk.unlock(env, b)).unwrap();
    assert!(lock(&mut world, a, Exclusive));
    world.call(|disk, _| disk.close(a));
    assert!(lock(&mut world, b, Exclusive));
    world.call(|disk, env| disk.process_crash(env));
    let c = world.open("a", OpenOptions::READ_WRITE).unwrap();
    assert!(lock(&mut world, c, Exclusive));
}

#[test]
fn a_fork_stays_as_it_was() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 100_000);
    let fork = world.disk.fork();
    world.write(file, &[2; 100_000], 0).unwrap();
    world.sync(file).unwrap();
    world.call(|disk, env| disk.set_len(env, file, 5)).unwrap();
    world.sync(file).unwrap();
    assert!(fork.read("a").unwrap() == vec![1; 100_000]);
    assert_eq!(fork.paths(), [("a".to_string(), 100_000)]);
    let again = DiskModel::from_platter(DiskConfig::default(), fork);
    assert!(again.cached("a").unwrap() == vec![1; 100_000]);
}

#[test]
fn files_are_sparse() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = world.create("a");
    let far = (1 << 44) - 4096;
    world.write(file, &[1; 4096], far).unwrap();
    world.sync(file).unwrap();
    assert_eq!(world.read(file, 4096, far).unwrap(), [1; 4096]);
    assert_eq!(world.read(file, 100, 1 << 40).unwrap(), [0; 100]);
    assert_eq!(world.disk.nodes.values().map(|node| node.pages_used).sum::<u64>(), 1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the export is looked at on the host")]
fn an_export_is_what_the_platter_holds() {
    let mut world = none_survives(FsPreset::default(), DevicePreset::default());
    let file = durable(&mut world, 5000);
    world.call(|disk, env| disk.create_dir(env, Path::new("d"))).unwrap();
    let inner = world.create("d/b");
    world.sync(inner).unwrap();
    world.write(file, &[2; 10], 0).unwrap();
    let host = std::env::temp_dir().join(format!("falconry-export-{}", std::process::id()));
    world.disk.export(&host).unwrap();
    assert!(std::fs::read(host.join("a")).unwrap() == vec![1; 5000]);
    assert!(std::fs::read(host.join("d/b")).unwrap().is_empty());
    std::fs::remove_dir_all(&host).unwrap();
    let taken = host.join("x");
    std::fs::write(&host, b"").unwrap();
    let error = world.disk.export(&taken).unwrap_err().to_string();
    assert!(error.contains("falconry-export-"), "{error} names the path");
    std::fs::remove_file(&host).unwrap();
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let run = |seed| {
        let mut choices = Choices::from_seed(seed);
        let config = DiskConfig::draw(&mut choices);
        let mut world = World::with(config, choices);
        world.disk.config.latency = true;
        Fault::ALL.iter().for_each(|fault| world.faults.set_rate(*fault, 50_000));
        for round in 0..20u64 {
            let Ok(file) = world.open("a", OpenOptions::CREATE) else { continue };
            let _ = world.write(file, &[round as u8; 3000], round * 700);
            let _ = world.read(file, 9000, 0);
            let _ = world.sync(file);
            let _ = world.sync_dir("");
            if round % 5 == 4 {
                world.power_loss();
                world.call(|disk, env| disk.boot(env));
            }
        }
        (world.choices.digest(), world.trace.digest(), world.disk.durable("a"))
    };
    for seed in 0..30 {
        assert!(run(seed) == run(seed), "seed {seed}");
    }
}
