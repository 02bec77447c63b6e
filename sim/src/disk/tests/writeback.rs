//! What comes to the platter without a sync.

use super::*;

const MS: u64 = 1_000_000;

fn world(fs: FsPreset, seed: u64) -> World {
    let policy = Some(SurvivalPolicy::None);
    let config = DiskConfig { fs, policy, writeback_ns: Some(1000 * MS), ..DiskConfig::default() };
    let mut world = World::with(config, Choices::from_seed(seed));
    world.admit_losses();
    world
}

/// Time passes, and a call notices.
fn pass(world: &mut World, ms: u64) {
    world.trace.time_ns += ms * MS;
    world.call(|disk, env| disk.metadata(env, Path::new(""))).unwrap();
}

#[test]
fn nothing_is_written_before_the_delay_and_all_is_after_it() {
    let mut world = world(FsPreset::default(), 1);
    world.choices = Choices::zeros();
    let file = world.create("a");
    world.write(file, &[1; 8192], 0).unwrap();
    pass(&mut world, 900);
    world.write(file, &[2; 4096], 0).unwrap();
    pass(&mut world, 99);
    assert_eq!(world.disk.durable("a"), None, "not even its name");
    pass(&mut world, 300);
    let durable = world.disk.durable("a").expect("the journal has its name");
    assert!(durable == [1; 8192], "the younger write waits");
    pass(&mut world, 1300);
    assert_eq!(world.disk.durable("a").unwrap()[0], 2);
    assert_eq!(world.disk.pending(), Pending::default());
}

#[test]
fn a_power_loss_finds_what_time_had_written_although_no_call_came() {
    let mut world = world(FsPreset::default(), 1);
    world.choices = Choices::zeros();
    let file = world.create("a");
    world.write(file, &[1; 4096], 0).unwrap();
    world.trace.time_ns += 5000 * MS;
    let loss = world.power_loss();
    assert_eq!((loss.lost_writes, loss.lost_names), (0, 0));
    assert_eq!(world.disk.durable("a").unwrap(), [1; 4096]);
}

#[test]
fn a_write_that_time_brought_to_the_platter_is_an_unsynced_survivor_of_its_life() {
    for (synced, killed, survived) in [(false, false, 1), (true, false, 0), (false, true, 0)] {
        let mut world = world(FsPreset::default(), 1);
        world.choices = Choices::zeros();
        let file = world.create("a");
        world.write(file, &[1; 8192], 0).unwrap();
        pass(&mut world, 2000);
        assert_eq!(world.disk.pending().ops, 0);
        if synced {
            world.sync(file).unwrap();
        }
        if killed {
            world.call(|disk, env| disk.process_crash(env));
        }
        let file = world.open("a", OpenOptions::READ_WRITE).unwrap();
        world.write(file, &[2; 512], 0).unwrap();
        world.choices = Choices::from_seed(1);
        let loss = world.power_loss();
        assert_eq!((loss.survived_writes, loss.lost_writes), (survived, 1));
        assert_eq!(loss.is_partial(), survived > 0);
    }
}

#[test]
fn without_a_delay_nothing_is_written_by_time() {
    let mut world = World::new(DiskConfig::default());
    let file = world.create("a");
    world.write(file, &[1; 4096], 0).unwrap();
    pass(&mut world, 1 << 40);
    assert_eq!(world.disk.pending().ops, 2);
}

#[test]
fn a_device_that_is_gone_or_read_only_takes_nothing() {
    for fault in [Fault::DeviceGone, Fault::ReadOnly] {
        let mut world = world(FsPreset::default(), 1);
        let file = world.create("a");
        world.write(file, &[1; 4096], 0).unwrap();
        world.always(fault);
        world.write(file, &[1; 4096], 0).unwrap_err();
        world.never(fault);
        world.trace.time_ns += 9000 * MS;
        world.read(file, 1, 0).ok();
        assert_eq!(world.disk.pending().ops, 2, "{fault}");
    }
}

/// Two files written in turn, at all ages, with few or many operations pending; then the power goes
/// and takes all that is pending. What is left must be in order.
fn survivors(fs: FsPreset, seed: u64, dirty_ops_max: u64) -> Vec<u64> {
    let mut world = world(fs, seed);
    world.disk.config.dirty_ops_max = dirty_ops_max;
    let files = ["a", "b"].map(|name| world.create(name));
    files.iter().for_each(|file| world.sync(*file).unwrap());
    world.sync_dir("").unwrap();
    for round in 1..=60u64 {
        let file = files[(round % 2) as usize];
        // Two pages a call, each with the number of its round.
        let bytes = vec![round as u8; 8192];
        world.write(file, &bytes, round * 8192).unwrap();
        let ms = round * 31 % 97;
        pass(&mut world, ms);
    }
    world.power_loss();
    let files = ["a", "b"].map(|name| world.disk.durable(name).unwrap());
    let there = |round: &u64| {
        let page = |page: u64| {
            let at = (round * 8192 + page * 4096) as usize;
            files[(round % 2) as usize].get(at).is_some_and(|byte| *byte == *round as u8)
        };
        assert_eq!(page(0), page(1), "a call is written as a whole");
        page(0)
    };
    (1..=60).filter(there).collect()
}

#[test]
fn writeback_keeps_the_order_of_a_file() {
    for fs in FsPreset::ALL {
        let mut some = 0;
        for seed in 0..20 {
            for (dirty_ops_max, of_all) in [(4096, false), (40, true)] {
                let kept = survivors(fs, seed, dirty_ops_max);
                for file in 0..2 {
                    let of_file: Vec<u64> =
                        kept.iter().copied().filter(|r| r % 2 == file).collect();
                    let first = if file == 0 { 2 } else { 1 };
                    let expected: Vec<u64> = (first..).step_by(2).take(of_file.len()).collect();
                    assert_eq!(of_file, expected, "{}, seed {seed}", fs.name());
                }
                assert!(!of_all || kept.len() >= 40, "the limit holds: {kept:?}");
                some += u64::from(!kept.is_empty() && kept.len() < 60);
            }
        }
        assert!(some > 20, "{}: {some} of 40 are partial", fs.name());
    }
}

#[test]
fn writeback_keeps_one_order_of_all_files_where_there_is_one() {
    for fs in [FsPreset::Ext4Journal, FsPreset::Zfs] {
        for seed in 0..20 {
            for dirty_ops_max in [4096, 40] {
                let kept = survivors(fs, seed, dirty_ops_max);
                let prefix: Vec<u64> = (1..=kept.len() as u64).collect();
                assert_eq!(kept, prefix, "{}, seed {seed}, {dirty_ops_max}", fs.name());
            }
        }
    }
}

#[test]
fn writeback_tears_no_overwrite() {
    const CALL: usize = 3 * 4096;
    for fs in FsPreset::ALL {
        let mut partial = 0;
        for seed in 0..10 {
            let mut world = world(fs, seed);
            // A batch of two operations, and calls of three.
            world.disk.config.dirty_ops_max = 16;
            let file = world.create("a");
            world.write(file, &[0; 40 * CALL], 0).unwrap();
            world.sync(file).unwrap();
            world.sync_dir("").unwrap();
            for round in 0..40 {
                world.write(file, &[1; CALL], (round * CALL) as u64).unwrap();
                pass(&mut world, (round * 31 % 97) as u64);
            }
            world.power_loss();
            let durable = world.disk.durable("a").unwrap();
            let pages = |call: &[u8]| call.chunks(4096).filter(|page| page[0] == 1).count();
            let written: Vec<usize> = durable.chunks(CALL).map(pages).collect();
            assert!(written.iter().all(|pages| pages % 3 == 0), "{}: {written:?}", fs.name());
            partial += u64::from(written.contains(&0) && written.contains(&3));
        }
        assert!(partial > 5, "{}: {partial} of 10 are partial", fs.name());
    }
}
