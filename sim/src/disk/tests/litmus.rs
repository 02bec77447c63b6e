//! What each file system allows: small programs, every way in which the power can leave them.
//!
//! # Method
//!
//! A program runs up to the power loss; an enumerator then takes every combination of fates. The set
//! of states in which the disk is found is compared with the set that is allowed, both ways: nothing
//! else may come, and all of it must. The device keeps pages whole unless the test says otherwise;
//! garbage is left out, as it has no end.
//!
//! What is allowed follows Pillai et al., OSDI'14, for what may be reordered and torn, and Bornholt
//! et al., ASPLOS'16, for the form; the rows of Btrfs and ZFS are our choice where those are silent.

use std::collections::BTreeSet;

use FsPreset::*;

use super::*;
use crate::choice::Enumeration;

/// Every state that `look` finds after `work` and a power loss.
fn outcomes(
    config: &DiskConfig,
    work: impl Fn(&mut World),
    look: impl Fn(&DiskModel) -> String,
) -> BTreeSet<String> {
    let policy = Some(SurvivalPolicy::Sectors);
    let mut found = BTreeSet::new();
    let complete = Enumeration::new(200_000).run(|choices| {
        let mut world = World::new(DiskConfig { policy, ..config.clone() });
        world.admit_losses();
        world.never(Fault::GarbageSector);
        world.never(Fault::SubSectorTear);
        work(&mut world);
        // Only the power loss is enumerated: what came before it is without fault.
        std::mem::swap(&mut world.choices, choices);
        world.power_loss();
        std::mem::swap(&mut world.choices, choices);
        found.insert(look(&world.disk));
    });
    assert!(complete, "more ways than the bound");
    found
}

/// Checks one program on every file system: `allowed` says which states, as words in one string.
fn litmus(
    work: impl Fn(&mut World),
    look: impl Fn(&DiskModel) -> String,
    allowed: impl Fn(FsPreset) -> &'static str,
) {
    for fs in FsPreset::ALL {
        let device = DevicePreset::Nvme4kn;
        let found = outcomes(&DiskConfig { fs, device, ..DiskConfig::default() }, &work, &look);
        let allowed: BTreeSet<String> = allowed(fs).split(' ').map(String::from).collect();
        assert_eq!(found, allowed, "on {}", fs.name());
    }
}

/// The first byte of each page of a file as a letter, `-` for zeros; `absent`, `empty`.
fn show(disk: &DiskModel, path: &str) -> String {
    let Some(bytes) = disk.durable(path) else { return "absent".into() };
    if bytes.is_empty() {
        return "empty".into();
    }
    let pages = bytes.chunks(4096).map(|page| {
        assert!(page.iter().all(|byte| *byte == page[0]), "a page is torn");
        if page[0] == 0 { '-' } else { char::from(page[0]) }
    });
    pages.collect()
}

/// A file of pages with these letters, durable with its name.
fn durable(world: &mut World, path: &str, pages: &str) -> Handle {
    let file = world.create(path);
    put(world, file, 0, pages);
    world.sync(file).unwrap();
    world.sync_dir("").unwrap();
    file
}

/// One write of pages with these letters.
fn put(world: &mut World, file: Handle, page: u64, pages: &str) {
    let bytes: Vec<u8> = pages.bytes().flat_map(|letter| [letter; 4096]).collect();
    world.write(file, &bytes, page * 4096).unwrap();
}

#[test]
fn two_overwrites_of_a_file() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "oo");
        put(world, file, 0, "n");
        put(world, file, 1, "n");
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Ordered | Ext4Writeback | Xfs | WorstCase => "oo no on nn",
            Ext4Journal | Btrfs | Zfs => "oo no nn",
        },
    );
}

#[test]
fn one_overwrite_of_two_pages() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "oo");
        put(world, file, 0, "nn");
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Ordered | Ext4Writeback | Xfs | WorstCase => "oo no on nn",
            Ext4Journal => "oo no nn",
            Btrfs | Zfs => "oo nn",
        },
    );
}

#[test]
fn one_overwrite_of_two_sectors() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "o");
        world.write(file, &[b'n'; 1024], 0).unwrap();
    };
    let look = |disk: &DiskModel| {
        let bytes = disk.durable("a").unwrap();
        [bytes[0], bytes[512]].map(char::from).iter().collect()
    };
    for fs in FsPreset::ALL {
        let found = outcomes(&DiskConfig { fs, ..DiskConfig::default() }, work, look);
        let tears = matches!(fs, Ext4Ordered | Ext4Writeback | Xfs | WorstCase);
        let allowed = if tears { "oo no on nn" } else { "oo nn" };
        assert_eq!(found, allowed.split(' ').map(String::from).collect(), "on {}", fs.name());
    }
}

#[test]
fn overwrites_of_two_files() {
    let work = |world: &mut World| {
        let (a, b) = (durable(world, "a", "o"), durable(world, "b", "o"));
        put(world, a, 0, "n");
        put(world, b, 0, "n");
    };
    litmus(
        work,
        |disk| show(disk, "a") + &show(disk, "b"),
        |fs| match fs {
            Ext4Journal | Zfs => "oo no nn",
            _ => "oo no on nn",
        },
    );
}

#[test]
fn two_versions_of_a_page() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "o");
        put(world, file, 0, "m");
        put(world, file, 0, "n");
    };
    litmus(work, |disk| show(disk, "a"), |_| "o m n");
}

#[test]
fn an_append() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "o");
        put(world, file, 1, "n");
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Writeback | Xfs | WorstCase => "o on o-",
            _ => "o on",
        },
    );
}

#[test]
fn two_appends() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "o");
        put(world, file, 1, "m");
        put(world, file, 2, "n");
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Writeback | Xfs | WorstCase => "o om o- omn o-n om- o--",
            _ => "o om omn",
        },
    );
}

#[test]
fn an_overwrite_before_an_append() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "o");
        put(world, file, 0, "n");
        put(world, file, 1, "n");
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Ordered => "o n on nn",
            Ext4Writeback | Xfs | WorstCase => "o n on nn o- n-",
            Ext4Journal | Btrfs | Zfs => "o n nn",
        },
    );
}

#[test]
fn a_file_rewritten_in_place_after_a_cut() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "o");
        world.call(|disk, env| disk.set_len(env, file, 0)).unwrap();
        put(world, file, 0, "n");
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Writeback | Xfs | WorstCase => "o empty n -",
            _ => "o empty n",
        },
    );
}

#[test]
fn a_new_file_synced_without_its_directory() {
    let work = |world: &mut World| {
        let file = world.create("a");
        put(world, file, 0, "n");
        world.sync(file).unwrap();
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            WorstCase => "absent n",
            _ => "n",
        },
    );
}

#[test]
fn a_new_file_whose_directory_alone_was_synced() {
    let work = |world: &mut World| {
        let file = world.create("a");
        put(world, file, 0, "n");
        world.sync_dir("").unwrap();
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Writeback | Xfs | WorstCase => "empty n -",
            _ => "empty n",
        },
    );
}

#[test]
fn a_file_replaced_by_rename_without_sync() {
    let work = |world: &mut World| {
        durable(world, "a", "o");
        let fresh = world.create("tmp");
        put(world, fresh, 0, "n");
        world.call(|disk, env| disk.rename(env, Path::new("tmp"), Path::new("a"))).unwrap();
    };
    litmus(
        work,
        |disk| show(disk, "a"),
        |fs| match fs {
            Ext4Writeback | Xfs | WorstCase => "o n empty -",
            _ => "o n",
        },
    );
}

#[test]
fn a_file_replaced_by_rename_after_sync() {
    let work = |world: &mut World| {
        durable(world, "a", "o");
        let fresh = world.create("tmp");
        put(world, fresh, 0, "n");
        world.sync(fresh).unwrap();
        world.call(|disk, env| disk.rename(env, Path::new("tmp"), Path::new("a"))).unwrap();
    };
    litmus(work, |disk| show(disk, "a"), |_| "o n");
    let synced = |world: &mut World| {
        work(world);
        world.sync_dir("").unwrap();
    };
    litmus(synced, |disk| show(disk, "a") + "/" + &show(disk, "tmp"), |_| "n/absent");
}

#[test]
fn a_rename_is_one_change_unless_it_is_split() {
    let work = |world: &mut World| {
        durable(world, "a", "o");
        world.call(|disk, env| disk.rename(env, Path::new("a"), Path::new("b"))).unwrap();
    };
    let look = |disk: &DiskModel| show(disk, "a") + "/" + &show(disk, "b");
    litmus(work, look, |_| "o/absent absent/o");
    let config = DiskConfig { fs: WorstCase, split_rename: true, ..DiskConfig::default() };
    let found = outcomes(&config, work, look);
    let allowed = "o/absent o/o absent/absent absent/o";
    assert_eq!(found, allowed.split(' ').map(String::from).collect());
}

#[test]
fn two_names() {
    let work = |world: &mut World| {
        world.create("a");
        world.create("b");
    };
    let look = |disk: &DiskModel| {
        ["a", "b"].map(|name| if disk.durable(name).is_some() { '+' } else { '-' }).iter().collect()
    };
    litmus(work, look, |fs| match fs {
        WorstCase => "-- +- -+ ++",
        _ => "-- +- ++",
    });
}

#[test]
fn a_removed_file() {
    let work = |world: &mut World| {
        durable(world, "a", "o");
        world.call(|disk, env| disk.remove(env, Path::new("a"))).unwrap();
    };
    litmus(work, |disk| show(disk, "a"), |_| "o absent");
    let synced = |world: &mut World| {
        work(world);
        world.sync_dir("").unwrap();
    };
    litmus(synced, |disk| show(disk, "a"), |_| "absent");
}

#[test]
fn a_file_in_a_directory_that_was_not_synced() {
    let work = |world: &mut World| {
        world.call(|disk, env| disk.create_dir(env, Path::new("d"))).unwrap();
        let file = world.create("d/a");
        put(world, file, 0, "n");
        world.sync(file).unwrap();
        world.sync_dir("d").unwrap();
    };
    litmus(
        work,
        |disk| show(disk, "d/a"),
        |fs| match fs {
            WorstCase => "absent n",
            _ => "n",
        },
    );
}

#[test]
fn what_was_synced_has_one_outcome() {
    let work = |world: &mut World| {
        let file = durable(world, "a", "oo");
        put(world, file, 1, "nn");
        world.sync(file).unwrap();
    };
    litmus(work, |disk| show(disk, "a"), |_| "onn");
}
