//! Calls that fail: one test a fault.

use super::*;

fn code<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().expect("an errno"),
    }
}

/// A world with a file of two pages of ones that is durable and read in.
fn world(seed: u64) -> (World, Handle) {
    let mut world = World::with(DiskConfig::default(), Choices::from_seed(seed));
    let file = world.create("a");
    world.write(file, &[1; 8192], 0).unwrap();
    world.sync(file).unwrap();
    world.admit_losses();
    (world, file)
}

/// Everything unsynced is lost: what the platter holds, the next boot reads.
fn lose_all(world: &mut World) -> Handle {
    world.disk.config.policy = Some(SurvivalPolicy::None);
    world.power_loss();
    world.call(|disk, env| disk.boot(env));
    world.open("a", OpenOptions::READ_WRITE).unwrap()
}

#[test]
fn eio_read_fails_once() {
    let (mut world, file) = world(1);
    world.always(Fault::EioRead);
    assert_eq!(code(world.read(file, 4096, 0)), libc::EIO);
    assert_eq!(world.told(), [(Fault::EioRead, 0, 4096)]);
    world.never(Fault::EioRead);
    assert_eq!(world.read(file, 4096, 0).unwrap(), vec![1; 4096]);
}

#[test]
fn eio_read_spares_bytes_that_are_only_in_the_cache() {
    let (mut world, file) = world(1);
    world.write(file, &[2; 4096], 0).unwrap();
    world.always(Fault::EioRead);
    assert_eq!(world.read(file, 4096, 0).unwrap(), vec![2; 4096]);
    assert_eq!(world.faults.delivered(Fault::EioRead), 0);
}

#[test]
fn eio_read_sticky_lasts_until_the_sector_is_written() {
    let (mut world, file) = world(1);
    world.always(Fault::EioReadSticky);
    assert_eq!(code(world.read(file, 512, 1024)), libc::EIO);
    let told = world.told();
    let [(Fault::EioReadSticky, 1024, len)] = told[..] else { panic!("{told:?}") };
    world.never(Fault::EioReadSticky);
    assert_eq!(code(world.read(file, 8192, 0)), libc::EIO, "a range with the bad sector");
    assert_eq!(world.read(file, 1024, 0).unwrap(), vec![1; 1024], "the sectors before it");
    let file = lose_all(&mut world);
    assert_eq!(code(world.read(file, 8192, 0)), libc::EIO, "a boot does not heal it");
    world.write(file, &vec![3; len as usize], 1024).unwrap();
    assert_eq!(world.read(file, 512, 1024).unwrap(), vec![3; 512]);
    assert_eq!(world.faults.delivered(Fault::EioReadSticky), 1);
}

#[test]
fn eio_read_sticky_takes_runs_of_sectors_in_a_read_and_at_rest() {
    let mut longest = 0;
    for seed in 0..40 {
        let (mut world, file) = world(seed);
        let file = match seed % 2 {
            0 => {
                world.always(Fault::EioReadSticky);
                assert_eq!(code(world.read(file, 512, 1024)), libc::EIO);
                file
            }
            _ => {
                world.power_loss();
                world.always(Fault::EioReadSticky);
                world.call(|disk, env| disk.boot(env));
                world.open("a", OpenOptions::READ_WRITE).unwrap()
            }
        };
        world.never(Fault::EioReadSticky);
        let told = world.told();
        let [(Fault::EioReadSticky, at, len)] = told[..] else { panic!("{told:?}") };
        for sector in 0..16 {
            let bad = (at..at + len).contains(&(sector * 512));
            let read = code(world.read(file, 512, sector * 512));
            assert_eq!(read, if bad { libc::EIO } else { 0 }, "seed {seed}, sector {sector}");
        }
        longest = longest.max(len / 512);
        world.write(file, &vec![3; len as usize], at).unwrap();
        assert_eq!(code(world.read(file, 8192, 0)), 0, "written again, it can be read");
    }
    assert!(longest > 8, "the longest run has {longest} sectors");
}

#[test]
fn eio_write_applies_nothing_a_part_or_all() {
    let mut seen = [0; 3];
    for seed in 0..60 {
        let (mut world, file) = world(seed);
        world.always(Fault::EioWrite);
        assert_eq!(code(world.write(file, &[2; 4096], 0)), libc::EIO);
        world.never(Fault::EioWrite);
        let bytes = world.read(file, 4096, 0).unwrap();
        let applied = bytes.iter().take_while(|byte| **byte == 2).count();
        assert!(bytes[applied..].iter().all(|byte| *byte == 1), "it is no prefix");
        assert_eq!(world.told(), [(Fault::EioWrite, 0, applied as u64)]);
        let kind = if applied == 0 { 0 } else { 1 + usize::from(applied == 4096) };
        seen[kind] += 1;
    }
    assert!(seen.iter().all(|count| *count > 5), "nothing, part, all: {seen:?}");
}

#[test]
fn sync_fail_dirty_can_be_tried_again() {
    let (mut world, file) = world(3);
    world.write(file, &[2; 4096], 0).unwrap();
    world.always(Fault::SyncFailDirty);
    assert_eq!(code(world.sync(file)), libc::EIO);
    assert_eq!(world.faults.delivered(Fault::SyncFailDirty), 1);
    assert_eq!(world.disk.durable("a").unwrap()[0], 1);
    assert_eq!(world.disk.pending().ops, 1);
    world.never(Fault::SyncFailDirty);
    world.sync(file).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[0], 2);
}

#[test]
fn sync_fail_clean_shows_new_bytes_that_are_nowhere() {
    let (mut world, file) = world(3);
    world.write(file, &[2; 4096], 0).unwrap();
    world.always(Fault::SyncFailClean);
    assert_eq!(code(world.sync(file)), libc::EIO);
    world.never(Fault::SyncFailClean);
    assert_eq!(world.read(file, 1, 0).unwrap(), [2], "the cache shows the new bytes");
    world.sync(file).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[0], 1, "success, and the platter has the old");
    let direct = OpenOptions { direct: true, ..OpenOptions::READ };
    let direct = world.open("a", direct).unwrap();
    assert_eq!(world.read(direct, 512, 0).unwrap(), [1; 512], "a direct read goes past the cache");
    let file = lose_all(&mut world);
    assert_eq!(world.read(file, 1, 0).unwrap(), [1]);
}

#[test]
fn sync_fail_clean_is_mended_by_writing_again() {
    let (mut world, file) = world(3);
    world.write(file, &[2; 4096], 0).unwrap();
    world.always(Fault::SyncFailClean);
    assert_eq!(code(world.sync(file)), libc::EIO);
    world.never(Fault::SyncFailClean);
    world.write(file, &[2; 4096], 0).unwrap();
    world.sync(file).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[..4096], [2; 4096]);
}

#[test]
fn sync_fail_dropped_shows_the_old_bytes_again() {
    let (mut world, file) = world(3);
    world.write(file, &[2; 100], 0).unwrap();
    world.write(file, &[3; 100], 4096).unwrap();
    world.always(Fault::SyncFailDropped);
    assert_eq!(code(world.sync(file)), libc::EIO);
    world.never(Fault::SyncFailDropped);
    let bytes = world.read(file, 8192, 0).unwrap();
    assert!(bytes == world.disk.durable("a").unwrap(), "cache and platter agree");
    let (first, second) = (bytes[0], bytes[4096]);
    assert!(matches!((first, second), (1, 1) | (2, 1)), "a prefix was written: {first} {second}");
    world.sync(file).unwrap();
    assert_eq!(world.disk.pending().ops, 0);
}

#[test]
fn sync_fail_late_is_reported_by_the_next_sync() {
    let (mut world, file) = world(3);
    world.write(file, &[2; 4096], 0).unwrap();
    world.always(Fault::SyncFailLate);
    world.sync(file).unwrap();
    world.never(Fault::SyncFailLate);
    assert_eq!(world.disk.durable("a").unwrap()[0], 1, "it said success");
    assert_eq!(world.read(file, 1, 0).unwrap(), [2]);
    let other = world.open("a", OpenOptions::READ_WRITE).unwrap();
    assert_eq!(code(world.sync(other)), libc::EIO, "reported on another handle");
    world.sync(file).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[0], 1, "reported once, written never");
    assert_eq!(world.faults.delivered(Fault::SyncFailLate), 1);
}

#[test]
fn a_write_after_the_sync_was_submitted_is_not_lost_with_it() {
    for fault in [Fault::SyncFailClean, Fault::SyncFailDropped, Fault::SyncFailLate] {
        let (mut world, file) = world(3);
        world.write(file, &[2; 4096], 0).unwrap();
        world.always(fault);
        let begun = world.call(|disk, env| disk.sync(env, file, DiskOp::SyncData)).unwrap();
        world.never(fault);
        world.write(file, &[3; 512], 0).unwrap();
        let _ = world.call(|disk, env| disk.sync_end(env, begun.value));
        assert_eq!(world.read(file, 512, 0).unwrap(), [3; 512], "{fault}");
        let _ = world.sync(file);
        world.sync(file).unwrap();
        let durable = world.disk.durable("a").unwrap();
        assert_eq!((durable[0], durable[512]), (3, 1), "{fault}");
    }
}

#[test]
fn enospc_by_rate_and_by_capacity() {
    let (mut full, file) = world(1);
    full.always(Fault::Enospc);
    assert_eq!(code(full.write(file, &[2; 10], 0)), libc::ENOSPC);
    assert_eq!(full.told(), [(Fault::Enospc, 0, 10)]);
    full.never(Fault::Enospc);
    assert_eq!(full.read(file, 1, 0).unwrap(), [1], "nothing was written");

    let capacity_bytes = Some(3 * 4096);
    let mut world = World::new(DiskConfig { capacity_bytes, ..DiskConfig::default() });
    world.faults.set_rate(Fault::Enospc, 1);
    let file = world.create("a");
    world.write(file, &[1; 8192], 0).unwrap();
    assert_eq!(code(world.write(file, &[1; 8192], 8192)), libc::ENOSPC);
    world.call(|disk, env| disk.allocate(env, file, 8192, 1)).unwrap();
    let other = world.create("b");
    assert_eq!(code(world.write(other, &[1; 1], 0)), libc::ENOSPC, "it is reserved");
    assert_eq!(world.read(file, 1, 8192).unwrap(), [0], "reserved bytes read as zeros");
    world.write(file, &[2; 4096], 8192).unwrap();
    assert_eq!(world.faults.delivered(Fault::Enospc), 2);
    world.call(|disk, env| disk.set_len(env, file, 4096)).unwrap();
    world.write(other, &[1; 4096], 0).unwrap();
    assert_eq!(code(world.write(other, &[1; 8192], 40960)), libc::ENOSPC);
    world.never(Fault::Enospc);
    world.write(other, &[1; 8192], 40960).expect("where the fault is off there is no bound");
}

#[test]
fn enospc_of_late_allocation_comes_with_the_sync() {
    let capacity_bytes = Some(3 * 4096);
    let config = DiskConfig { capacity_bytes, late_allocation: true, ..DiskConfig::default() };
    let mut world = World::new(config);
    world.faults.set_rate(Fault::Enospc, 1);
    let (file, old) = (world.create("a"), world.create("b"));
    world.write(old, &[1; 8192], 0).unwrap();
    world.sync(old).unwrap();
    world.write(file, &[2; 8192], 0).expect("a write asks for no space");
    assert_eq!(code(world.sync(file)), libc::ENOSPC);
    assert_eq!(code(world.sync(file)), libc::ENOSPC, "it stays full");
    assert_eq!(world.faults.delivered(Fault::Enospc), 2);
    assert_eq!(world.read(file, 8192, 0).unwrap(), [2; 8192], "the pages are kept");
    world.write(old, &[3; 8192], 0).unwrap();
    world.sync(old).expect("what has its place needs none");
    world.call(|disk, env| disk.set_len(env, old, 4096)).unwrap();
    world.sync(file).expect("there is space again");
    assert_eq!(world.disk.durable("a").unwrap(), [2; 8192]);
}

#[test]
fn enospc_of_a_sync_keeps_the_pages() {
    let (mut world, file) = world(1);
    world.write(file, &[2; 10], 0).unwrap();
    world.always(Fault::Enospc);
    assert_eq!(code(world.sync(file)), libc::ENOSPC);
    world.never(Fault::Enospc);
    world.sync(file).unwrap();
    assert_eq!(world.disk.durable("a").unwrap()[..10], [2; 10]);
}

#[test]
fn short_read_returns_fewer_bytes() {
    let (mut world, file) = world(1);
    world.always(Fault::ShortRead);
    let bytes = world.read(file, 4096, 0).unwrap();
    assert!(!bytes.is_empty() && bytes.len() < 4096);
    assert!(bytes.iter().all(|byte| *byte == 1));
    assert_eq!(world.told(), [(Fault::ShortRead, 0, bytes.len() as u64)]);
    assert_eq!(world.read(file, 1, 0).unwrap(), [1], "a byte cannot be short");
}

#[test]
fn short_write_takes_fewer_bytes() {
    let (mut world, file) = world(1);
    world.always(Fault::ShortWrite);
    let count = world.write(file, &[2; 4096], 0).unwrap();
    assert!(count > 0 && count < 4096);
    let bytes = world.read(file, 4096, 0).unwrap();
    assert!(bytes[..count].iter().all(|byte| *byte == 2));
    assert!(bytes[count..].iter().all(|byte| *byte == 1));
    assert_eq!(world.told(), [(Fault::ShortWrite, 0, count as u64)]);
}

#[test]
fn eintr_does_nothing() {
    let (mut world, file) = world(1);
    world.always(Fault::Eintr);
    assert_eq!(code(world.write(file, &[2; 10], 0)), libc::EINTR);
    assert_eq!(code(world.read(file, 10, 0)), libc::EINTR);
    assert_eq!(world.told(), [(Fault::Eintr, 0, 0), (Fault::Eintr, 0, 0)]);
    world.never(Fault::Eintr);
    assert_eq!(world.read(file, 10, 0).unwrap(), [1; 10]);
}

#[test]
fn read_only_lasts_until_the_next_boot() {
    let (mut world, file) = world(1);
    world.write(file, &[2; 10], 0).unwrap();
    world.always(Fault::ReadOnly);
    assert_eq!(code(world.write(file, &[3; 10], 0)), libc::EROFS);
    world.never(Fault::ReadOnly);
    assert_eq!(code(world.write(file, &[3; 10], 0)), libc::EROFS);
    assert_eq!(code(world.sync(file)), libc::EROFS, "it has pages that cannot be written");
    assert_eq!(code(world.open("b", OpenOptions::CREATE)), libc::EROFS);
    let removed = world.call(|disk, env| disk.remove(env, Path::new("a")).map(|_| ()));
    assert_eq!(code(removed), libc::EROFS);
    assert_eq!(world.read(file, 10, 0).unwrap(), [2; 10], "reads go on");
    assert_eq!(world.faults.delivered(Fault::ReadOnly), 1);
    let file = lose_all(&mut world);
    world.write(file, &[3; 10], 0).unwrap();
}

#[test]
fn device_gone_fails_every_call_until_the_next_boot() {
    let (mut world, file) = world(1);
    world.always(Fault::DeviceGone);
    assert_eq!(code(world.read(file, 10, 0)), libc::EIO);
    world.never(Fault::DeviceGone);
    assert_eq!(code(world.read(file, 10, 0)), libc::EIO);
    assert_eq!(code(world.write(file, &[2; 10], 0)), libc::EIO);
    assert_eq!(code(world.sync(file)), libc::EIO);
    assert_eq!(code(world.sync_dir("")), libc::EIO);
    assert_eq!(code(world.open("a", OpenOptions::READ)), libc::EIO);
    assert_eq!(world.faults.delivered(Fault::DeviceGone), 1);
    let file = lose_all(&mut world);
    assert_eq!(world.read(file, 10, 0).unwrap(), [1; 10]);
}

#[test]
fn a_sync_under_way_fails_when_the_device_goes() {
    let (mut world, file) = world(1);
    world.write(file, &[2; 10], 0).unwrap();
    let begun = world.call(|disk, env| disk.sync(env, file, DiskOp::SyncData)).unwrap();
    world.always(Fault::DeviceGone);
    assert_eq!(code(world.read(file, 10, 0)), libc::EIO);
    assert_eq!(code(world.call(|disk, env| disk.sync_end(env, begun.value))), libc::EIO);
    assert_eq!(world.disk.durable("a").unwrap()[0], 1);
}

#[test]
fn of_the_ways_to_fail_only_the_file_systems_own_if_asked() {
    let fails =
        [Fault::SyncFailDirty, Fault::SyncFailClean, Fault::SyncFailDropped, Fault::SyncFailLate];
    for fs in FsPreset::ALL {
        for fault in fails {
            let config = DiskConfig { fs, own_sync_failure: true, ..DiskConfig::default() };
            let mut world = World::with(config, Choices::from_seed(1));
            let file = world.create("a");
            world.write(file, &[1; 10], 0).unwrap();
            world.always(fault);
            let _ = world.sync(file);
            let own = fs.rules().sync_failure.is_none_or(|own| own == fault);
            assert_eq!(world.faults.delivered(fault), u64::from(own), "{fault} on {}", fs.name());
        }
    }
}

#[test]
fn bad_arguments_are_errors() {
    let mut world = World::new(DiskConfig::default());
    let file = world.create("a");
    assert_eq!(code(world.open("/a", OpenOptions::READ)), libc::EINVAL);
    assert_eq!(code(world.open("../a", OpenOptions::READ)), libc::EINVAL);
    assert_eq!(code(world.open("", OpenOptions::CREATE)), libc::EINVAL);
    assert_eq!(code(world.open("a/b", OpenOptions::CREATE)), libc::ENOTDIR);
    assert_eq!(code(world.open("x/b", OpenOptions::CREATE)), libc::ENOENT);
    assert_eq!(code(world.open("b", OpenOptions::READ)), libc::ENOENT);
    assert_eq!(code(world.open("a", OpenOptions::CREATE_NEW)), libc::EEXIST);
    assert_eq!(code(world.open(&"n".repeat(256), OpenOptions::CREATE)), libc::ENAMETOOLONG);
    assert_eq!(code(world.write(file, b"x", u64::MAX)), libc::EFBIG);
    assert_eq!(code(world.write(file, b"x", 1 << 44)), libc::EFBIG);
    let grown = world.call(|disk, env| disk.set_len(env, file, u64::MAX).map(|_| ()));
    assert_eq!(code(grown), libc::EFBIG);
    let reader = world.open("a", OpenOptions::READ).unwrap();
    assert_eq!(code(world.write(reader, b"x", 0)), libc::EBADF);
    let direct = OpenOptions { direct: true, ..OpenOptions::READ_WRITE };
    let direct = world.open("a", direct).unwrap();
    assert_eq!(code(world.write(direct, &[0; 512], 100)), libc::EINVAL);
    assert_eq!(code(world.write(direct, &[0; 100], 512)), libc::EINVAL);
    assert_eq!(code(world.sync_dir("a")), libc::ENOTDIR);
    world.call(|disk, _| disk.close(reader));
    assert_eq!(code(world.read(reader, 1, 0)), libc::EBADF);
}
