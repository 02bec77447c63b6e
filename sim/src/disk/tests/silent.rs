//! What goes wrong without a word: one test a fault.

use super::*;

fn config() -> DiskConfig {
    // The device remembers enough of what it flushed.
    DiskConfig { device: DevicePreset::SsdSata512e, ..DiskConfig::default() }
}

/// A world with a file of two pages, page 0 of ones and page 1 of twos, durable with its name.
fn world(seed: u64) -> (World, Handle) {
    let mut world = World::with(config(), Choices::from_seed(seed));
    let file = world.create("a");
    world.write(file, &[1; 4096], 0).unwrap();
    world.write(file, &[2; 4096], 4096).unwrap();
    world.sync(file).unwrap();
    (world, file)
}

/// Power loss and boot, with `fault` at a rate of one million in the boot.
fn restart(world: &mut World, fault: Fault) -> Handle {
    world.power_loss();
    world.always(fault);
    world.call(|disk, env| disk.boot(env));
    world.never(fault);
    world.open("a", OpenOptions::READ_WRITE).unwrap()
}

fn differing(a: &[u8], b: &[u8]) -> Vec<usize> {
    assert_eq!(a.len(), b.len());
    (0..a.len()).filter(|at| a[*at] != b[*at]).collect()
}

#[test]
fn lying_sync_leaves_the_last_writes_in_the_devices_cache() {
    let mut held = 0;
    for seed in 0..20 {
        let (mut world, file) = world(seed);
        world.write(file, &[3; 512], 0).unwrap();
        world.write(file, &[4; 512], 4096).unwrap();
        world.always(Fault::LyingSync);
        world.sync(file).unwrap();
        world.never(Fault::LyingSync);
        let durable = world.disk.durable("a").unwrap();
        let written = match (durable[0], durable[4096]) {
            (1, 2) => 0,
            (3, 2) => 1,
            other => panic!("seed {seed}: not a prefix: {other:?}"),
        };
        assert_eq!(world.told(), [(Fault::LyingSync, written, 2 - written)]);
        held += 2 - written;
        let mut lost = World { disk: world.disk.clone(), ..World::new(config()) };
        lost.admit_losses();
        lost.disk.config.policy = Some(SurvivalPolicy::None);
        lost.choices = Choices::from_seed(seed);
        lost.power_loss();
        assert!(lost.disk.durable("a").unwrap() == durable, "an acknowledged write is lost");
        let other = world.create("b");
        world.sync(other).unwrap();
        let durable = world.disk.durable("a").unwrap();
        assert_eq!((durable[0], durable[4096]), (3, 4), "an honest flush of any file keeps it");
    }
    assert!(held > 25, "{held} of 40 held back");
}

#[test]
fn lying_sync_holds_for_a_while_and_lets_go() {
    for seed in 0..20 {
        let (mut world, file) = world(seed);
        world.write(file, &[3; 4096], 0).unwrap();
        world.always(Fault::LyingSync);
        world.sync(file).unwrap();
        world.never(Fault::LyingSync);
        world.trace.time_ns += 49_000_000;
        world.read(file, 1, 0).unwrap();
        assert_eq!(world.disk.durable("a").unwrap()[0], 1, "no sooner than after 50 ms");
        world.trace.time_ns += 652_000_000;
        world.read(file, 1, 0).unwrap();
        assert_eq!(world.disk.durable("a").unwrap()[0], 3, "no later than after 700 ms");
        assert_eq!(world.disk.pending().ops, 0);
    }
}

#[test]
fn misdirected_write_has_two_victims() {
    let (mut world, file) = world(1);
    world.always(Fault::MisdirectedWrite);
    world.write(file, &[3; 512], 1024).unwrap();
    world.never(Fault::MisdirectedWrite);
    assert_eq!(world.told(), [], "it has not happened yet");
    world.sync(file).unwrap();
    let mut expected = vec![1; 8192];
    expected[4096..].fill(2);
    expected[4096 + 1024..][..512].fill(3);
    assert!(world.disk.durable("a").unwrap() == expected, "the other page got it");
    assert_eq!(world.told(), [(Fault::MisdirectedWrite, 1024, 512)]);
    assert_eq!(world.read(file, 512, 1024).unwrap(), [3; 512], "the cache knows nothing");
    let file = restart(&mut world, Fault::WallBack);
    assert!(world.read(file, 8192, 0).unwrap() == expected);
}

#[test]
fn misdirected_read_shows_another_place() {
    let (mut world, file) = world(1);
    world.always(Fault::MisdirectedRead);
    assert_eq!(world.read(file, 512, 1024).unwrap(), [2; 512]);
    world.never(Fault::MisdirectedRead);
    assert_eq!(world.told(), [(Fault::MisdirectedRead, 1024, 512)]);
    assert_eq!(world.read(file, 512, 1024).unwrap(), [1; 512], "nothing was changed");
}

#[test]
fn phantom_write_is_never_done() {
    let (mut world, file) = world(1);
    world.always(Fault::PhantomWrite);
    world.write(file, &[3; 4096], 0).unwrap();
    world.never(Fault::PhantomWrite);
    world.sync(file).unwrap();
    assert_eq!(world.read(file, 1, 0).unwrap(), [3]);
    assert_eq!(world.told(), [(Fault::PhantomWrite, 0, 4096)]);
    let file = restart(&mut world, Fault::WallBack);
    assert_eq!(world.read(file, 1, 0).unwrap(), [1]);
}

#[test]
fn a_flawed_write_that_no_sync_covered_is_as_flawed_when_it_survives() {
    for (fault, elsewhere) in [(Fault::PhantomWrite, 2), (Fault::MisdirectedWrite, 3)] {
        let (mut world, file) = world(1);
        world.disk.config.policy = Some(SurvivalPolicy::All);
        world.always(fault);
        world.write(file, &[3; 512], 1024).unwrap();
        world.never(fault);
        world.power_loss();
        let durable = world.disk.durable("a").unwrap();
        assert_eq!(durable[1024..][..512], [1; 512], "{fault}: its own place");
        assert_eq!(durable[4096 + 1024..][..512], [elsewhere; 512], "{fault}: the other page");
        assert_eq!(world.told(), [(fault, 1024, 512)]);
    }
}

#[test]
fn bit_rot_flips_one_bit_of_the_platter() {
    let (mut in_read, file) = world(1);
    let before = in_read.disk.durable("a").unwrap();
    in_read.always(Fault::BitRot);
    let read = in_read.read(file, 8192, 0).unwrap();
    let changed = differing(&before, &read);
    assert_eq!(changed.len(), 1);
    assert_eq!((before[changed[0]] ^ read[changed[0]]).count_ones(), 1);
    assert!(in_read.disk.durable("a").unwrap() == read);
    assert_eq!(in_read.told(), [(Fault::BitRot, changed[0] as u64, 1)]);

    let (mut at_rest, _) = world(1);
    let file = restart(&mut at_rest, Fault::BitRot);
    let read = at_rest.read(file, 8192, 0).unwrap();
    assert_eq!(differing(&before, &read).len(), 1);
    assert_eq!(at_rest.faults.delivered(Fault::BitRot), 1);
}

#[test]
fn bad_sector_run_turns_neighbours_into_garbage() {
    let mut longest = 0;
    for seed in 0..20 {
        let (mut world, _) = world(seed);
        let before = world.disk.durable("a").unwrap();
        let file = restart(&mut world, Fault::BadSectorRun);
        let read = world.read(file, 8192, 0).unwrap();
        let told = world.told();
        let [(Fault::BadSectorRun, at, len)] = told[..] else { panic!("{told:?}") };
        assert_eq!((at % 512, len % 512), (0, 0));
        let bad: Vec<usize> = (0..16)
            .filter(|sector| before[sector * 512..][..512] != read[sector * 512..][..512])
            .collect();
        let expected: Vec<usize> = (at as usize / 512..(at + len) as usize / 512).collect();
        assert_eq!(bad, expected, "seed {seed}");
        longest = longest.max(bad.len());
    }
    assert!(longest > 2, "the longest run has {longest} sectors");
}

#[test]
fn read_corruption_spares_the_platter() {
    let (mut world, file) = world(1);
    let before = world.disk.durable("a").unwrap();
    world.always(Fault::ReadCorruption);
    let read = world.read(file, 8192, 0).unwrap();
    world.never(Fault::ReadCorruption);
    let changed = differing(&before, &read);
    assert_eq!(changed.len(), 1);
    assert_eq!((before[changed[0]] ^ read[changed[0]]).count_ones(), 1);
    assert_eq!(world.told(), [(Fault::ReadCorruption, changed[0] as u64, 1)]);
    assert!(world.read(file, 8192, 0).unwrap() == before);
}

#[test]
fn zeroed_sector_is_zeros() {
    let (mut world, _) = world(1);
    let before = world.disk.durable("a").unwrap();
    let file = restart(&mut world, Fault::ZeroedSector);
    let read = world.read(file, 8192, 0).unwrap();
    let told = world.told();
    let [(Fault::ZeroedSector, at, 512)] = told[..] else { panic!("{told:?}") };
    let mut expected = before;
    expected[at as usize..][..512].fill(0);
    assert!(read == expected);
}

#[test]
fn damage_spares_what_is_only_in_the_cache() {
    for fault in [Fault::BitRot, Fault::BadSectorRun, Fault::ZeroedSector] {
        let (mut world, file) = world(1);
        world.write(file, &[3; 8192], 0).unwrap();
        world.always(fault);
        assert_eq!(world.read(file, 8192, 0).unwrap(), vec![3; 8192]);
        assert_eq!(world.told(), []);
        world.never(fault);
        world.sync(file).unwrap();
        assert_eq!(world.disk.durable("a").unwrap(), vec![3; 8192]);
    }
}

#[test]
fn old_image_brings_back_an_earlier_state_of_everything() {
    let (mut world, file) = world(1);
    world.faults.set_rate(Fault::OldImage, 1);
    world.call(|disk, env| disk.boot(env));
    let before = world.disk.durable("a").unwrap();
    world.write(file, &[9; 8192], 0).unwrap();
    world.sync(file).unwrap();
    let other = world.create("b");
    world.sync(other).unwrap();
    let file = restart(&mut world, Fault::OldImage);
    assert!(world.read(file, 8192, 0).unwrap() == before);
    assert_eq!(world.disk.durable("b"), None);
    assert_eq!(world.faults.delivered(Fault::OldImage), 1);
}

#[test]
fn old_image_brings_back_a_file_that_was_removed() {
    // The bytes of such a file were dropped with its name still there, and opening it panicked.
    let (mut world, _) = world(1);
    let removed = world.create("b");
    world.write(removed, &[7; 4096], 0).unwrap();
    world.sync(removed).unwrap();
    world.sync_dir("").unwrap();
    world.faults.set_rate(Fault::OldImage, 1);
    world.call(|disk, env| disk.boot(env));
    world.call(|disk, env| disk.remove(env, std::path::Path::new("b"))).unwrap();
    world.sync_dir("").unwrap();
    restart(&mut world, Fault::OldImage);
    assert_eq!(world.faults.delivered(Fault::OldImage), 1);
    let back = world.open("b", OpenOptions::READ_WRITE).unwrap();
    assert_eq!(world.read(back, 4096, 0).unwrap(), [7; 4096]);
}

#[test]
fn shorn_keeps_the_first_eighths_of_a_synced_page() {
    for seed in 0..20 {
        let (mut world, file) = world(seed);
        world.always(Fault::Shorn);
        world.write(file, &[3; 4096], 0).unwrap();
        world.sync(file).unwrap();
        world.power_loss();
        let durable = world.disk.durable("a").unwrap();
        let kept = durable.iter().take_while(|byte| **byte == 3).count();
        assert!((512..4096).contains(&kept) && kept % 512 == 0, "{kept} bytes kept");
        assert!(durable[kept..4096].iter().all(|byte| *byte == 1));
        assert_eq!(world.told(), [(Fault::Shorn, kept as u64, 4096 - kept as u64)]);
    }
}

#[test]
fn unserializable_lets_the_older_of_two_synced_writes_win() {
    let (mut world, file) = world(1);
    world.always(Fault::Unserializable);
    for byte in [3, 4] {
        world.write(file, &[byte; 4096], 0).unwrap();
        world.sync(file).unwrap();
    }
    world.power_loss();
    let durable = world.disk.durable("a").unwrap();
    assert_eq!(durable[..4096], [3; 4096]);
    assert_eq!(world.told(), [(Fault::Unserializable, 0, 4096)]);
}

#[test]
fn metadata_loss_reverts_many_recent_sectors() {
    let mut several = 0;
    for seed in 0..20 {
        let (mut world, file) = world(seed);
        world.always(Fault::MetadataLoss);
        for sector in 0..8 {
            world.write(file, &[3; 512], sector * 1024).unwrap();
            world.sync(file).unwrap();
        }
        world.power_loss();
        let durable = world.disk.durable("a").unwrap();
        let reverted = (0..8).filter(|sector| durable[sector * 1024] != 3).count() as u64;
        for (at, byte) in durable.iter().enumerate() {
            let old = if at < 4096 { 1 } else { 2 };
            assert!(*byte == old || (*byte == 3 && at % 1024 < 512));
        }
        let told: Vec<_> = [(Fault::MetadataLoss, 0, reverted)].into();
        assert_eq!(world.told(), if reverted > 0 { told } else { vec![] });
        several += u64::from(reverted > 1);
    }
    assert!(several > 10, "{several} of 20");
}

#[test]
fn false_device_claim_tears_what_it_promised_to_keep_whole() {
    let mut torn = 0;
    for seed in 0..40 {
        let policy = Some(SurvivalPolicy::Calls);
        let fs = FsPreset::WorstCase;
        let mut world =
            World::with(DiskConfig { policy, fs, ..config() }, Choices::from_seed(seed));
        world.admit_losses();
        world.never(Fault::GarbageSector);
        assert_eq!((world.disk.sector_size(), world.disk.atomic_unit()), (512, 4096));
        world.always(Fault::FalseDeviceClaim);
        world.call(|disk, env| disk.boot(env));
        assert_eq!((world.disk.sector_size(), world.disk.atomic_unit()), (4096, 16384));
        assert_eq!(world.told(), [(Fault::FalseDeviceClaim, 0, 16384)]);
        let file = world.create("a");
        world.write(file, &[0; 16384], 0).unwrap();
        world.sync(file).unwrap();
        world.sync_dir("").unwrap();
        world.disk.config.policy = Some(SurvivalPolicy::Sectors);
        world.write(file, &[1; 16384], 0).unwrap();
        world.power_loss();
        let durable = world.disk.durable("a").unwrap();
        let pages: Vec<u8> = durable.chunks(4096).map(|page| page[0]).collect();
        torn += u64::from(pages.contains(&0) && pages.contains(&1));
        assert!(durable.chunks(4096).all(|page| page.iter().all(|byte| *byte == page[0])));
    }
    assert!(torn > 5, "{torn} of 40 torn");
}
