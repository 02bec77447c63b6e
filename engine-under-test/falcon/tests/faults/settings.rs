//! Settings out of range, each of them.

use std::time::Duration;

use falcon::log::LogConfig;
use falcon::{Database, Error, Options};

use crate::image_disk::ImageDisk;
use crate::sample::{End, options, sample};

/// Each setting with a value below and above what it may be.
fn out_of_range() -> Vec<(&'static str, Options)> {
    let good = options();
    let with_log = |log| Options { log, ..good };
    let LogConfig { window_bytes, .. } = good.log;
    let day = Duration::from_secs(24 * 60 * 60) + Duration::from_millis(1);
    vec![
        ("page_bytes", Options { page_bytes: 512, ..good }),
        ("page_bytes", Options { page_bytes: 65_536, ..good }),
        ("page_bytes", Options { page_bytes: 5_000, ..good }),
        ("cache_frames", Options { cache_frames: 95, ..good }),
        ("cache_frames", Options { cache_frames: (1 << 24) + 1, ..good }),
        ("run_pages_max", Options { run_pages_max: 0, ..good }),
        ("run_pages_max", Options { run_pages_max: 1_025, ..good }),
        ("double_write_pages", Options { double_write_pages: 7, ..good }),
        ("double_write_pages", Options { double_write_pages: 65_537, ..good }),
        ("gopher_threads", Options { gopher_threads: 0, ..good }),
        ("gopher_threads", Options { gopher_threads: 21, ..good }),
        ("io_threads", Options { io_threads: 21, ..good }),
        ("checkpoint_interval", Options { checkpoint_interval: Duration::ZERO, ..good }),
        ("checkpoint_interval", Options { checkpoint_interval: day, ..good }),
        ("lock_wait_timeout", Options { lock_wait_timeout: day, ..good }),
        ("block_bytes", with_log(LogConfig { block_bytes: 256, ..good.log })),
        ("block_bytes", with_log(LogConfig { block_bytes: 768, ..good.log })),
        ("block_bytes", with_log(LogConfig { block_bytes: 1 << 17, ..good.log })),
        ("window_bytes", with_log(LogConfig { window_bytes: 4_096, ..good.log })),
        ("window_bytes", with_log(LogConfig { window_bytes: 8_193, ..good.log })),
        ("window_bytes", with_log(LogConfig { window_bytes: (64 << 20) + 512, ..good.log })),
        ("window_count", with_log(LogConfig { window_count: 0, ..good.log })),
        ("window_count", with_log(LogConfig { window_count: 4_097, ..good.log })),
        ("file_bytes", with_log(LogConfig { file_bytes: window_bytes.into(), ..good.log })),
        ("file_bytes", with_log(LogConfig { file_bytes: 8_705, ..good.log })),
        ("file_bytes_max", with_log(LogConfig { file_bytes_max: 16_384, ..good.log })),
        ("file_bytes_max", with_log(LogConfig { file_bytes_max: 65_535, ..good.log })),
        ("file_bytes_max", with_log(LogConfig { file_bytes_max: (1 << 40) + 512, ..good.log })),
    ]
}

#[test]
fn each_setting_out_of_range_is_named_and_touches_nothing() {
    let closed = sample(End::Closed).image;
    for (expected, options) in out_of_range() {
        let (empty, disk) = (ImageDisk::default(), ImageDisk::of(&closed));
        for (begin, disk) in
            [(Database::create as fn(&_, &_) -> _, &empty), (Database::open, &disk)]
        {
            let before = disk.image();
            let refused: Error = begin(&disk.shared(), &options).expect_err("out of range");
            let Error::Setting { name, value, range } = &refused else { panic!("{refused}") };
            assert_eq!(*name, expected, "{refused}");
            let told = format!("{expected} is {value}, and must be {range}");
            assert_eq!(refused.to_string(), told);
            assert!(disk.image() == before, "{refused}");
        }
    }
}

/// What broke: an opening asked for room for the pages of its settings, and not for those of the files. With a
/// small window of the log a change of large pages could be too long for it, which stopped the engine.
#[test]
fn settings_must_fit_to_what_the_files_have() {
    let disk = ImageDisk::default();
    let large = |options: Options| Options {
        page_bytes: 32_768,
        log: LogConfig {
            window_bytes: 262_144,
            file_bytes: 524_288,
            file_bytes_max: 4 << 20,
            block_bytes: 4_096,
            ..options.log
        },
        ..options
    };
    let database = Database::create(&disk.shared(), &large(options())).expect("in range");
    database.close().expect("the disk works");
    let before = disk.image();
    let refused = Database::open(&disk.shared(), &options()).expect_err("the window is too small");
    assert_eq!(refused.to_string(), "window_bytes is 8192, and must be at least eight pages");
    assert!(disk.image() == before);
    // What the files have stands, whatever the settings say of it.
    let log = LogConfig { block_bytes: 512, ..large(options()).log };
    let options = Options { page_bytes: 1_024, log, ..options() };
    let database = Database::open(&disk.shared(), &options).expect("in range");
    database.close().expect("the disk works");
}
