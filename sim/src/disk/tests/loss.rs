//! What a power loss does to unsynced writes: one test a fault, and what excluding one means.

use super::*;

const SECTOR: usize = 512;

/// A file of `len` zeros under the name `a`, synced with its name.
fn synced_file(world: &mut World, len: usize) -> Handle {
    let file = world.create("a");
    world.write(file, &vec![0; len], 0).unwrap();
    world.sync(file).unwrap();
    world.sync_dir("").unwrap();
    file
}

/// One power loss a seed, after `work`, with one survival policy; all that admitted names allow.
fn lose(
    seed: u64,
    (fs, policy): (FsPreset, SurvivalPolicy),
    excluded: &[Fault],
    work: impl Fn(&mut World),
) -> (World, Loss) {
    let config = DiskConfig { fs, policy: Some(policy), ..DiskConfig::default() };
    let mut world = World::with(config, Choices::from_seed(seed));
    world.admit_losses();
    excluded.iter().for_each(|fault| world.never(*fault));
    work(&mut world);
    let loss = world.power_loss();
    (world, loss)
}

const POSIX: FsPreset = FsPreset::WorstCase;

#[test]
fn lost_write_leaves_no_byte_of_it() {
    let (world, loss) = lose(1, (POSIX, SurvivalPolicy::None), &[], |world| {
        let file = synced_file(world, 4096);
        world.write(file, &[7; 1024], 512).unwrap();
    });
    assert_eq!(world.disk.durable("a").unwrap(), vec![0; 4096]);
    assert_eq!(world.told(), [(Fault::LostWrite, 512, 1024)]);
    assert_eq!((loss.survived_writes, loss.lost_writes), (0, 1));
}

#[test]
fn torn_write_leaves_some_sectors_of_it() {
    let excluded = [Fault::GarbageSector, Fault::SubSectorTear];
    let work = |world: &mut World| {
        let file = synced_file(world, 4096);
        world.write(file, &[7; 4096], 0).unwrap();
    };
    let mut torn = 0;
    for seed in 0..40 {
        let (world, loss) = lose(seed, (POSIX, SurvivalPolicy::Sectors), &excluded, work);
        let bytes = world.disk.durable("a").unwrap();
        let new = bytes.chunks(SECTOR).filter(|sector| **sector == [7; SECTOR]).count();
        let old = bytes.chunks(SECTOR).filter(|sector| **sector == [0; SECTOR]).count();
        assert_eq!(new + old, 8, "a sector is torn");
        assert_eq!(world.faults.delivered(Fault::TornWrite), u64::from(new > 0 && old > 0));
        assert_eq!(loss.torn_writes, world.faults.delivered(Fault::TornWrite));
        torn += loss.torn_writes;
    }
    assert!(torn > 10, "{torn} of 40 torn");
}

#[test]
fn a_device_that_promises_an_atomic_unit_does_not_tear_it() {
    for seed in 0..40 {
        let (fs, policy) = (POSIX, Some(SurvivalPolicy::Sectors));
        let device = DevicePreset::NvmePlp16k;
        let config = DiskConfig { fs, device, policy, ..DiskConfig::default() };
        let mut world = World::with(config, Choices::from_seed(seed));
        world.admit_losses();
        world.never(Fault::GarbageSector);
        world.never(Fault::SubSectorTear);
        let file = synced_file(&mut world, 32768);
        world.write(file, &[7; 32768], 0).unwrap();
        world.power_loss();
        let bytes = world.disk.durable("a").unwrap();
        for unit in bytes.chunks(16384) {
            assert!(unit.iter().all(|byte| *byte == unit[0]), "seed {seed}: 16 KiB are torn");
        }
    }
}

#[test]
fn reordered_writes_leave_the_later_one_without_the_earlier() {
    let work = |world: &mut World| {
        let file = synced_file(world, 8192);
        world.write(file, &[1; 4096], 0).unwrap();
        world.write(file, &[2; 4096], 4096).unwrap();
    };
    let mut reordered = 0;
    for seed in 0..40 {
        let (world, _) = lose(seed, (POSIX, SurvivalPolicy::Calls), &[], work);
        let bytes = world.disk.durable("a").unwrap();
        let happened = bytes[0] == 0 && bytes[4096] == 2;
        assert_eq!(world.faults.delivered(Fault::ReorderedWrites), u64::from(happened));
        reordered += u64::from(happened);
    }
    assert!(reordered > 3, "{reordered} of 40 reordered");
}

#[test]
fn all_but_one_loses_exactly_one_write() {
    let work = |world: &mut World| {
        let file = synced_file(world, 4 * 4096);
        for page in 0..4 {
            world.write(file, &[7; 4096], page * 4096).unwrap();
        }
    };
    let mut victims = [0; 4];
    for seed in 0..40 {
        let (world, loss) = lose(seed, (POSIX, SurvivalPolicy::AllButOne), &[], work);
        let bytes = world.disk.durable("a").unwrap();
        let lost: Vec<usize> = (0..4).filter(|page| bytes[page * 4096] == 0).collect();
        assert_eq!(lost.len(), 1);
        victims[lost[0]] += 1;
        assert_eq!(world.faults.delivered(Fault::AllButOne), 1);
        assert!(loss.is_partial());
    }
    assert!(victims.iter().all(|count| *count > 0), "never lost: {victims:?}");
}

#[test]
fn size_without_data_shows_zeros() {
    let (world, _) = lose(1, (POSIX, SurvivalPolicy::SizeWithoutData), &[], |world| {
        let file = synced_file(world, 100);
        world.write(file, &[7; 4096], 4096).unwrap();
    });
    assert_eq!(world.disk.durable("a").unwrap(), vec![0; 8192]);
    assert_eq!(
        world.told(),
        [(Fault::LostWrite, 4096, 4096), (Fault::SizeWithoutData, 4096, 8192)]
    );
}

#[test]
fn data_without_size_is_behind_the_end() {
    let (world, _) = lose(1, (POSIX, SurvivalPolicy::DataWithoutSize), &[], |world| {
        let file = synced_file(world, 100);
        world.write(file, &[7; 4096], 4096).unwrap();
    });
    assert_eq!(world.disk.durable("a").unwrap(), vec![0; 100]);
    assert_eq!(world.told(), [(Fault::LostWrite, 4096, 4096), (Fault::DataWithoutSize, 4096, 100)]);
}

#[test]
fn file_extremes_keep_one_file_and_lose_another() {
    let work = |world: &mut World| {
        for name in ["a", "b"] {
            let file = world.create(name);
            world.write(file, &[0; 4096], 0).unwrap();
            world.sync(file).unwrap();
            world.sync_dir("").unwrap();
            world.write(file, &[7; 512], 0).unwrap();
            world.write(file, &[7; 512], 1024).unwrap();
        }
    };
    let mut extremes = 0;
    for seed in 0..40 {
        let (world, _) = lose(seed, (POSIX, SurvivalPolicy::FileExtremes), &[], work);
        let new = |name| {
            let bytes = world.disk.durable(name).unwrap();
            assert_eq!(bytes[0], bytes[1024], "a file keeps all or nothing");
            bytes[0] == 7
        };
        let happened = new("a") != new("b");
        assert_eq!(world.faults.delivered(Fault::FileExtremes), u64::from(happened));
        extremes += u64::from(happened);
    }
    assert!(extremes > 8, "{extremes} of 40");
}

#[test]
fn garbage_sector_is_neither_old_nor_new() {
    let work = |world: &mut World| {
        let file = synced_file(world, 4096);
        world.write(file, &[7; 4096], 0).unwrap();
    };
    let mut garbage = 0;
    let mut zeros = 0;
    for seed in 0..60 {
        let excluded = [Fault::SubSectorTear];
        let (world, _) = lose(seed, (POSIX, SurvivalPolicy::Sectors), &excluded, work);
        let bytes = world.disk.durable("a").unwrap();
        let told = world.faults.delivered(Fault::GarbageSector);
        let odd = bytes
            .chunks(SECTOR)
            .filter(|sector| **sector != [7; SECTOR] && **sector != [0; SECTOR]);
        let odd = odd.count() as u64;
        // Zeros are the old bytes here.
        assert!(odd <= told, "seed {seed}: {odd} sectors, {told} told");
        garbage += odd;
        zeros += told - odd;
    }
    assert!(garbage > 5 && zeros > 5, "{garbage} garbage, {zeros} zeros");
}

#[test]
fn sub_sector_tear_leaves_the_first_bytes() {
    let work = |world: &mut World| {
        let file = synced_file(world, 4096);
        world.write(file, &[7; 4096], 0).unwrap();
    };
    let mut torn = 0;
    for seed in 0..60 {
        let excluded = [Fault::GarbageSector];
        let (world, _) = lose(seed, (POSIX, SurvivalPolicy::Sectors), &excluded, work);
        let bytes = world.disk.durable("a").unwrap();
        let mut mixed = 0;
        for sector in bytes.chunks(SECTOR) {
            let new = sector.iter().take_while(|byte| **byte == 7).count();
            assert!(sector[new..].iter().all(|byte| *byte == 0), "new bytes behind old ones");
            mixed += u64::from(new > 0 && new < SECTOR);
        }
        assert_eq!(world.faults.delivered(Fault::SubSectorTear), mixed);
        torn += mixed;
    }
    assert!(torn > 5, "{torn} sectors");
}

#[test]
fn dirent_lost_takes_a_new_name_and_brings_a_removed_one_back() {
    let (world, loss) = lose(1, (POSIX, SurvivalPolicy::None), &[], |world| {
        let file = synced_file(world, 10);
        world.write(file, b"x", 0).unwrap();
        world.sync(file).unwrap();
        let fresh = world.create("b");
        world.write(fresh, b"y", 0).unwrap();
        world.sync(fresh).unwrap();
        world.call(|disk, env| disk.remove(env, Path::new("a"))).unwrap();
    });
    assert_eq!(world.disk.durable("a").unwrap(), b"x\0\0\0\0\0\0\0\0\0");
    assert_eq!(world.disk.durable("b"), None, "this file system keeps no name with a file's sync");
    assert_eq!(world.faults.delivered(Fault::DirentLost), 2);
    assert_eq!(loss.lost_names, 2);
}

#[test]
fn rename_undone_shows_the_old_names() {
    let (world, _) = lose(1, (POSIX, SurvivalPolicy::None), &[], |world| {
        synced_file(world, 3);
        let other = world.create("b");
        world.write(other, b"bbb", 0).unwrap();
        world.sync(other).unwrap();
        world.sync_dir("").unwrap();
        world.call(|disk, env| disk.rename(env, Path::new("b"), Path::new("a"))).unwrap();
        assert_eq!(world.disk.cached("a").unwrap(), b"bbb");
        assert_eq!(world.disk.cached("b"), None);
    });
    assert_eq!(world.disk.durable("a").unwrap(), b"\0\0\0");
    assert_eq!(world.disk.durable("b").unwrap(), b"bbb");
    assert_eq!(world.told(), [(Fault::RenameUndone, 0, 0)]);
}

/// Overwrites, appends, cuts and names on two files, none of them synced at the end.
fn mixed_work(world: &mut World) {
    let a = synced_file(world, 3 * 4096);
    let b = world.create("b");
    for round in 0..6u8 {
        let at = u64::from(round) * 1000;
        world.write(a, &[round + 1; 3000], at).unwrap();
        world.write(b, &[round + 1; 5000], 2 * at).unwrap();
        if round == 3 {
            world.call(|disk, env| disk.set_len(env, b, 4096)).unwrap();
            world.call(|disk, env| disk.rename(env, Path::new("b"), Path::new("c"))).unwrap();
        }
    }
    let d = world.create("d");
    world.write(d, &[9; 10_000], 0).unwrap();
}

#[test]
fn an_excluded_outcome_never_comes_and_moves_no_choice() {
    let of_loss = || Fault::ALL.iter().filter(|fault| fault.when() == When::PowerLoss);
    let policies = [SurvivalPolicy::Sectors, SurvivalPolicy::Calls, SurvivalPolicy::Prefix];
    for excluded in of_loss() {
        let mut came_otherwise = 0;
        for seed in 0..60 {
            let policy = policies[seed as usize % policies.len()];
            let (world, _) = lose(seed, (POSIX, policy), &[*excluded], mixed_work);
            assert_eq!(world.faults.delivered(*excluded), 0, "seed {seed}: {excluded} came");
            let (all, _) = lose(seed, (POSIX, policy), &[], mixed_work);
            assert_eq!(world.choices.digest(), all.choices.digest(), "{excluded} moves a choice");
            came_otherwise += all.faults.delivered(*excluded);
        }
        let by_policy = matches!(excluded, Fault::AllButOne | Fault::FileExtremes);
        assert!(came_otherwise > 0 || by_policy, "{excluded} cannot come here anyway");
    }
}

#[test]
fn nothing_is_lost_where_nothing_is_admitted() {
    for seed in 0..20 {
        let mut world = World::with(DiskConfig::default(), Choices::from_seed(seed));
        mixed_work(&mut world);
        let before = ["a", "c", "d"].map(|name| world.disk.cached(name));
        let loss = world.power_loss();
        assert!(before == ["a", "c", "d"].map(|name| world.disk.durable(name)), "seed {seed}");
        assert_eq!((loss.lost_writes, loss.lost_names), (0, 0));
        assert_eq!(world.told(), []);
    }
}

#[test]
fn boring_choices_lose_nothing() {
    let mut world = World::new(DiskConfig::default());
    world.admit_losses();
    mixed_work(&mut world);
    let before = ["a", "c", "d"].map(|name| world.disk.cached(name));
    world.power_loss();
    assert!(before == ["a", "c", "d"].map(|name| world.disk.durable(name)));
    assert_eq!(world.told(), []);
}
