//! Files and settings that are refused, each with its error.

use falcon::Error;
use falcon::log::{Log, LogConfig};

use super::*;

fn refusal<T>(result: falcon::Result<T>) -> String {
    match result {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

/// A disk with one entry of page 1, whose bytes are edited and get checksums that fit.
fn edited(edit: impl FnOnce(&mut [u8])) -> MemoryDisk {
    let disk = lay_out(4);
    put(&open(&disk).expect("the disk works"), &[(1, 10)]);
    disk.edit(COPIES, |bytes| {
        edit(bytes);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&0_u64.to_le_bytes()), &bytes[8..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32c::crc32c(&0_u64.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &bytes[..4]);
        let crc = crc32c::crc32c_append(crc, &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    });
    disk
}

#[test]
fn settings_have_ranges() {
    let disk = lay_out(1);
    let open = |config, size| {
        let file = file(&disk, COPIES).expect("the disk works");
        DoubleWrite::open(file, Path::new(COPIES), size, DATABASE, config)
    };
    open(DoubleWriteConfig::default(), PAGE).expect("the default is in range");
    let rows = [
        (DoubleWriteConfig { capacity_pages: 0, ..CONFIG }, "capacity_pages is 0, and must be"),
        (DoubleWriteConfig { capacity_pages: 65_537, ..CONFIG }, "capacity_pages is 65537"),
        (DoubleWriteConfig { align_bytes: 256, ..CONFIG }, "align_bytes is 256, and must be"),
        (DoubleWriteConfig { align_bytes: 768, ..CONFIG }, "align_bytes is 768"),
        (DoubleWriteConfig { align_bytes: 1 << 17, ..CONFIG }, "align_bytes is 131072"),
    ];
    for (config, expected) in rows {
        let told = refusal(open(config, PAGE));
        assert!(told.starts_with(expected), "{told}");
    }
    let cache = |run_pages_max| {
        let config = CacheConfig { frame_count: 4, run_pages_max };
        Cache::new(config, Files::new(PAGE), Arc::new(Durable)).expect("in range")
    };
    let told = refusal(cache(5).with_double_write(open(CONFIG, PAGE).expect("in range")));
    assert_eq!(told, "capacity_pages is 4, and must be at least run_pages_max");
    let other = open(CONFIG, PageSize::MAX).expect("in range");
    let told = refusal(cache(4).with_double_write(other));
    assert!(told.starts_with("page_bytes is 1024, and must be the same"), "{told}");
    let cache = cache(4).with_double_write(open(CONFIG, PAGE).expect("in range"));
    assert!(cache.expect("it fits").double_write().is_some());
}

#[test]
fn a_whole_entry_that_is_not_for_us_is_refused() {
    copies(&edited(|_| {})).expect("the test edits as it should");
    type Edit = fn(&mut [u8]);
    let rows: [(Edit, &str); 4] = [
        (|bytes| bytes[8] = 2, "double_write has format 2, newer than 1"),
        (
            |bytes| bytes[16] = 9,
            "double_write is not a file of this database: it belongs to database 0x9, not to 0x7",
        ),
        (
            |bytes| bytes[600] ^= 1,
            "double_write is damaged at the entry at byte 0: page 1 of tablespace 0: stored",
        ),
        (
            |bytes| bytes[36] = 2,
            "double_write is damaged at the entry at byte 0: page 2 of tablespace 0 holds page 1",
        ),
    ];
    for (edit, expected) in rows {
        let told = refusal(copies(&edited(edit)));
        assert!(told.starts_with(expected), "{told}");
    }
    let disk = edited(|_| {});
    let file = file(&disk, COPIES).expect("the disk works");
    let other = DoubleWrite::open(file, Path::new(COPIES), PageSize::MAX, DATABASE, CONFIG);
    let expected = "page_bytes is 32768, and must be that of the pages in the double-write file";
    assert_eq!(refusal(other), expected);
}

#[test]
fn a_copy_that_changes_after_the_opening_is_noticed() {
    let disk = edited(|_| {});
    let (copies, files) = (copies(&disk).expect("whole"), files(&disk).expect("the disk works"));
    disk.edit(COPIES, |bytes| bytes[600] ^= 1);
    let told = refusal(copies.repair(&files));
    let expected =
        "double_write is damaged at the copy of page 1 of tablespace 0 at byte 64: it was";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_whole_page_that_is_not_known_here_is_left_alone() {
    type Edit = fn(&mut [u8]);
    let rows: [(Edit, &str); 2] = [
        (|bytes| bytes[5] = 9, "user has format 9, newer than 1"),
        (|bytes| bytes[4] = 99, "user is damaged at page 1"),
    ];
    for (edit, expected) in rows {
        let disk = edited(|_| {});
        edit_page(&disk, 1, |bytes| {
            edit(bytes);
            seal(bytes, page(1));
        });
        let before = bytes_of(&disk, "user");
        let copies = copies(&disk).expect("whole");
        let told = refusal(copies.repair(&files(&disk).expect("the disk works")));
        assert!(told.starts_with(expected), "{told}");
        assert_eq!(bytes_of(&disk, "user"), before);
    }
}

#[test]
fn a_page_that_was_changed_without_its_record_is_never_written() {
    let disk = lay_out(4);
    let names = [Path::new("log1"), Path::new("log2")];
    let log = Log::create(&disk, names, LogConfig::default(), DATABASE).expect("the disk works");
    let config = CacheConfig { frame_count: 4, run_pages_max: 1 };
    let cache = Cache::new(config, files(&disk).expect("the disk works"), Arc::new(log));
    let cache = cache.expect("in range");
    change(&cache, page(1), u64::MAX).expect("only memory is changed");
    for _ in 0..2 {
        let error = cache.checkpoint().expect_err("no record will ever be there");
        assert!(matches!(error, Error::Stopped(_)), "{error}");
        let told = error.to_string();
        assert_eq!(told, "the engine has stopped: a page was changed without its log record");
    }
    assert_eq!((in_place(&disk, 1), cache.dirty_count()), (Some(0), 1));
    assert_eq!(cache.read(page(1)).expect("it is in memory").page(), page(1));
    assert_eq!(cache.write(page(1)).expect("it is in memory").page(), page(1));
}

#[test]
#[should_panic(expected = "pages are written before the repair")]
fn writing_before_the_repair_is_a_mistake() {
    let disk = edited(|_| {});
    let config = CacheConfig { frame_count: 4, run_pages_max: 1 };
    let cache = Cache::new(config, files(&disk).expect("the disk works"), Arc::new(Durable));
    let cache = cache.expect("in range").with_double_write(copies(&disk).expect("whole"));
    put(&cache.expect("it fits"), &[(2, 20)]);
}

#[test]
#[should_panic(expected = "pages were written before the repair")]
fn repairing_after_a_write_is_a_mistake() {
    let disk = lay_out(4);
    let cache = open(&disk).expect("the disk works");
    put(&cache, &[(2, 20)]);
    let copies = cache.double_write().expect("it has one");
    let _ = copies.repair(cache.files());
}
