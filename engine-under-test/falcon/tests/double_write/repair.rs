//! What a repair puts back, and what it leaves.

use falcon::Lsn;
use falcon::cache::Repaired;

use super::*;

/// Repairs, and says which pages were not whole.
fn repair(disk: &MemoryDisk) -> Vec<Repaired> {
    let copies = copies(disk).expect("the disk works");
    copies.repair(&files(disk).expect("the disk works")).expect("the disk works")
}

/// A disk whose last generation has copies of page 1 with 10 and then 11, and of page 2 with 12.
fn written() -> MemoryDisk {
    let disk = lay_out(8);
    let cache = open(&disk).expect("the disk works");
    change(&cache, page(1), 10).expect("the disk works");
    // The other frames are in use: page 1 is written to make room.
    let guards: Vec<_> = (3..6).map(|number| cache.read(page(number))).collect();
    drop(cache.read(page(6)).expect("the disk works"));
    drop(guards);
    put(&cache, &[(1, 11), (2, 12)]);
    disk
}

#[test]
fn a_page_that_is_not_whole_gets_its_newest_copy() {
    type Edit = fn(&mut [u8]);
    let rows: [(Edit, &str); 4] = [
        (|bytes| bytes[512..].fill(0xab), "stored checksum"),
        (|bytes| bytes.fill(0), "was never written"),
        (|bytes| bytes.copy_from_slice(&image(page(2), PAGE, 5)), "page 2"),
        (|bytes| bytes[4..8].fill(0xff), "stored checksum"),
    ];
    for (edit, what) in rows {
        let disk = written();
        edit_page(&disk, 1, edit);
        let repaired = repair(&disk);
        assert_eq!(repaired.len(), 1, "{repaired:?}");
        assert_eq!((repaired[0].page, repaired[0].lsn), (page(1), Lsn(11)));
        assert!(repaired[0].what.contains(what), "{repaired:?}");
        assert_eq!((in_place(&disk, 1), in_place(&disk, 2)), (Some(11), Some(12)));
        disk.cut_power();
        assert_eq!(in_place(&disk, 1), Some(11), "it is durable");
    }
}

#[test]
fn a_page_behind_the_end_of_its_file_gets_its_copy() {
    let disk = written();
    disk.edit("user", |bytes| bytes.truncate(2 * PAGE.bytes() + 100));
    let repaired = repair(&disk);
    assert_eq!(repaired.len(), 1, "{repaired:?}");
    assert_eq!(repaired[0].what, "the file ends before it");
    assert_eq!(in_place(&disk, 2), Some(12));
}

#[test]
fn a_whole_page_keeps_its_content_whatever_its_copy_is() {
    for value in [3, 99] {
        let disk = written();
        edit_page(&disk, 1, |bytes| bytes.copy_from_slice(&image(page(1), PAGE, value)));
        assert_eq!(repair(&disk), []);
        assert_eq!(in_place(&disk, 1), Some(value));
    }
}

/// The copy of page 2 with 12 is still in the file, behind those of the next generation, in which page 2 was
/// written anew and then page 3 was not.
#[test]
fn a_copy_of_an_older_generation_is_not_put_back() {
    let disk = written();
    let cache = open(&disk).expect("the disk works");
    put(&cache, &[(2, 20)]);
    let generations: Vec<u8> = bytes_of(&disk, COPIES).chunks(ENTRY).map(|of| of[24]).collect();
    assert!(generations.len() >= 3, "{generations:?}");
    assert!(generations[1..3].iter().all(|of| *of < generations[0]), "{generations:?}");
    assert!(generations[1..3].iter().all(|of| *of > 0), "{generations:?}");
    edit_page(&disk, 2, |bytes| bytes[600] ^= 1);
    // Page 1 has copies in older generations only: nothing of the last life can have torn it.
    edit_page(&disk, 1, |bytes| bytes[600] ^= 1);
    let repaired = repair(&disk);
    assert_eq!(repaired.len(), 1, "{repaired:?}");
    assert_eq!((in_place(&disk, 2), in_place(&disk, 1)), (Some(20), None));
}

/// The first entry of a generation is torn, and there is no other one. All was whole when it was begun: what
/// is not whole now was not torn by a crash, and its copy may be older than what it had.
#[test]
fn once_a_generation_has_begun_no_older_copy_is_put_back() {
    let disk = written();
    put(&open(&disk).expect("the disk works"), &[(2, 20)]);
    disk.edit(COPIES, |bytes| bytes[ENTRY - 1] ^= 1);
    edit_page(&disk, 1, |bytes| bytes[600] ^= 1);
    edit_page(&disk, 2, |bytes| bytes[600] ^= 1);
    assert_eq!(repair(&disk), []);
    assert_eq!((in_place(&disk, 1), in_place(&disk, 2)), (None, None), "nothing is made up");
    let cache = open(&disk).expect("the disk works");
    put(&cache, &[(3, 30)]);
    edit_page(&disk, 3, |bytes| bytes[600] ^= 1);
    let repaired = repair(&disk);
    assert_eq!(repaired.len(), 1, "{repaired:?}");
    assert_eq!(in_place(&disk, 3), Some(30), "the generation after it counts");
}

/// The write of a generation's first entry failed, so that an older entry is still there, before the second.
#[test]
fn an_older_entry_before_a_later_one_does_not_count() {
    let disk = written();
    let older = bytes_of(&disk, COPIES)[..ENTRY].to_vec();
    put(&open(&disk).expect("the disk works"), &[(2, 20), (3, 30)]);
    disk.edit(COPIES, |bytes| bytes[..ENTRY].copy_from_slice(&older));
    edit_page(&disk, 1, |bytes| bytes[600] ^= 1);
    edit_page(&disk, 3, |bytes| bytes[600] ^= 1);
    assert_eq!(repair(&disk).len(), 1);
    assert_eq!((in_place(&disk, 1), in_place(&disk, 3)), (None, Some(30)));
}

#[test]
fn an_entry_that_is_not_whole_is_passed_over() {
    for at in [0, 4, 30, 64, ENTRY - 1] {
        let disk = written();
        // The copies of page 1 are the first and the second entry, that of page 2 is the third.
        disk.edit(COPIES, |bytes| bytes[ENTRY + at] ^= 0x10);
        for number in [1, 2] {
            edit_page(&disk, number, |bytes| bytes[600] ^= 1);
        }
        let repaired = repair(&disk);
        let found: Vec<_> = repaired.iter().map(|of| (of.page.number.0, of.lsn.0)).collect();
        assert_eq!(found, [(1, 10), (2, 12)], "byte {at}");
    }
    let disk = written();
    disk.edit(COPIES, |bytes| bytes.truncate(3 * ENTRY - 1));
    edit_page(&disk, 2, |bytes| bytes[600] ^= 1);
    assert_eq!(repair(&disk), []);
}

#[test]
fn files_may_be_given_one_after_another() {
    let disk = written();
    edit_page(&disk, 1, |bytes| bytes[600] ^= 1);
    let copies = copies(&disk).expect("the disk works");
    for _ in 0..2 {
        assert_eq!(copies.repair(&Files::new(PAGE)).expect("the disk works"), []);
    }
    let kept = bytes_of(&disk, COPIES);
    assert_eq!(kept.len(), 3 * ENTRY, "all copies are there, should a crash come now");
    assert!(kept.chunks(ENTRY).all(|entry| entry[40] == 1), "no generation has begun");
    let files = files(&disk).expect("the disk works");
    assert_eq!(copies.repair(&files).expect("the disk works").len(), 1);
    assert_eq!(copies.repair(&files).expect("the disk works"), [], "it is over");
    assert_eq!(in_place(&disk, 1), Some(11));
}

/// Nothing is written between the openings, so there is nothing to be kept.
#[test]
fn openings_do_not_make_the_file_longer_and_longer() {
    let disk = written();
    let lengths: Vec<usize> = (0..4)
        .map(|_| {
            drop(open(&disk).expect("the disk works"));
            bytes_of(&disk, COPIES).len()
        })
        .collect();
    assert_eq!(lengths, [5 * ENTRY; 4], "the copies of two pages anew, once");
    let calls = disk.calls();
    drop(copies(&disk).expect("the disk works").repair(&Files::new(PAGE)));
    assert!(disk.calls() - calls < 20, "{} calls to find nothing", disk.calls() - calls);
}

/// A life ends after a sync that failed, and the system shows what the disk never got. The next life finds
/// all whole, and must write it again all the same.
#[test]
fn what_a_failed_sync_may_have_lost_is_written_again() {
    use falconry_sim::choice::Choices;
    use falconry_sim::fault::Fault;
    use falconry_sim::{Machine, MachineConfig};

    let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(3));
    machine.run(|ctx| {
        let disk = ctx.disk();
        let user = disk.open(Path::new("user"), &OpenOptions::CREATE).expect("no fault is on");
        user.write_all_at(&image(page(0), PAGE, 0), 0).expect("no fault is on");
        user.sync_data().expect("no fault is on");
        disk.open(Path::new(COPIES), &OpenOptions::CREATE).expect("no fault is on");
        disk.sync_dir(Path::new("")).expect("no fault is on");
    });
    // The second sync of that life is the one of the files; the first is the one of the copy.
    machine.faults().fail_nth(Fault::SyncFailClean, 2);
    machine.run(|ctx| {
        let cache = open(&*ctx.disk()).expect("no fault came yet");
        change(&cache, page(0), 5).expect("no fault came yet");
        let error = cache.checkpoint().expect_err("the sync failed").to_string();
        assert!(error.starts_with("the engine has stopped: sync of user"), "{error}");
    });
    assert_eq!(machine.faults().delivered(Fault::SyncFailClean), 1);
    let value = |machine: &mut Machine| {
        machine.run(|ctx| {
            let mut bytes = vec![0; PAGE.bytes()];
            let user = file(&*ctx.disk(), "user").expect("no fault is on");
            user.read_exact_at(&mut bytes, 0).expect("no fault is on");
            value_of(&bytes, page(0))
        })
    };
    assert_eq!(value(&mut machine), Some(5), "the system shows what was written");
    machine.run(|ctx| {
        let copies = copies(&*ctx.disk()).expect("no fault is on");
        let repaired = copies.repair(&files(&*ctx.disk()).expect("no fault is on"));
        assert_eq!(repaired.expect("no fault is on"), [], "all is whole");
    });
    machine.cut_power();
    assert_eq!(value(&mut machine), Some(5), "the disk has it too");
}

#[test]
fn an_entry_is_laid_out_as_it_is_written_down() {
    let disk = lay_out(4);
    let files = files(&disk).expect("the disk works");
    let copies = copies(&disk).expect("the disk works");
    let config = CacheConfig { frame_count: 4, run_pages_max: 2 };
    let cache = Cache::new(config, files, Arc::new(Durable)).expect("in range");
    let cache = cache.with_double_write(copies).expect("it fits");
    put(&cache, &[(2, 8), (3, 9)]);
    let bytes = bytes_of(&disk, COPIES);
    assert_eq!(bytes.len(), 2560);
    assert_eq!(lsn_of(&bytes[64..64 + PAGE.bytes()]), Lsn(8));
    let text: String = bytes
        .chunks(16)
        .enumerate()
        .filter(|(_, line)| line.iter().any(|byte| *byte != 0))
        .map(|(index, line)| {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:4}: {}\n", 16 * index, hex.join(" "))
        })
        .collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("double_write_entry", text));
}
