//! Every way in which the log refuses, waits or stops.
//!
//! # Method
//!
//! Most of it happens on a disk in memory, whose calls can be made to fail from any of them on; what
//! needs threads that wait for each other happens on a simulated machine.
//!
//! # Invariant
//!
//! An error names the file or the setting, and after it the log is as the error says.

#[path = "../../canary/tests/support/mod.rs"]
mod support;

use std::path::Path;

use falcon::log::{BlockNumber, Epoch, Log, LogConfig, LogTail, Record, RecordKind, dump};
use falcon::{Error, Lsn};
use falconry_seam::disk::Disk;
use falconry_seam::thread;
use falconry_seam::time::Duration;
use falconry_sim::check::Sim;
use falconry_sim::choice::Choices;
use falconry_sim::fault::Fault;
use falconry_sim::{Machine, MachineConfig};
use support::MemoryDisk;

const DATABASE: u64 = 7;
const NAMES: [&str; 2] = ["log1", "log2"];
const KIND: RecordKind = RecordKind(1);

const CONFIG: LogConfig = LogConfig {
    file_bytes: 2048,
    file_bytes_max: 4096,
    window_bytes: 1024,
    window_count: 1,
    block_bytes: 512,
};

fn names() -> [&'static Path; 2] {
    NAMES.map(Path::new)
}

fn create(disk: &dyn Disk) -> Log {
    Log::create(disk, names(), CONFIG, DATABASE).expect("the disk works")
}

fn open(disk: &dyn Disk) -> Result<(Log, LogTail), Error> {
    Log::open(disk, names(), CONFIG, DATABASE)
}

fn refusal(disk: &dyn Disk) -> Error {
    match open(disk) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// Appends a record of so many bytes and makes it durable.
fn put(log: &Log, bytes: usize) -> Result<Lsn, Error> {
    let end = log.append(KIND, &[&vec![b'a'; bytes]])?;
    log.flush(end)?;
    Ok(end)
}

fn places(log: &Log, from: Lsn) -> Vec<Lsn> {
    let records: Result<Vec<Record>, Error> = log.records(from).collect();
    records.expect("the log is whole").iter().map(Record::lsn).collect()
}

fn bytes_of(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    disk.edit(name, |bytes| found = bytes.clone());
    found
}

/// Gives a header a checksum that fits what was changed in it.
fn reseal(bytes: &mut [u8]) {
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn settings_out_of_range_and_taken_names_leave_nothing() {
    let disk = MemoryDisk::default();
    let config = LogConfig { window_count: 0, ..CONFIG };
    let error = Log::create(&disk, names(), config, DATABASE).err().expect("out of range");
    assert!(matches!(error, Error::Setting { name: "window_count", .. }), "{error}");
    assert_eq!(disk.list(Path::new("")).expect("the disk works"), [""; 0]);
    disk.open(names()[1], &falconry_seam::disk::OpenOptions::CREATE).expect("the disk works");
    let error = Log::create(&disk, names(), CONFIG, DATABASE).err().expect("a name is taken");
    assert!(
        matches!(&error, Error::Io { op: "create", file, .. } if file == names()[1]),
        "{error}"
    );
    assert_eq!(disk.list(Path::new("")).expect("the disk works"), ["log2"]);
}

#[test]
fn a_file_that_is_missing_is_named() {
    for missing in names() {
        let disk = MemoryDisk::default();
        drop(create(&disk));
        disk.remove(missing).expect("the disk works");
        let error = refusal(&disk);
        assert!(matches!(&error, Error::Missing { file } if file == missing), "{error}");
    }
}

/// The settings of an opening once had to have the alignment of the creation: whoever had changed theirs could
/// not open what they had made. The file knows it.
#[test]
fn the_alignment_is_the_one_of_the_creation() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    let end = put(&log, 10).expect("the disk works");
    drop(log);
    let opened = |config| Log::open(&disk, names(), config, DATABASE);
    for block_bytes in [1024, 512] {
        let config = LogConfig { block_bytes, file_bytes: 4096, file_bytes_max: 8192, ..CONFIG };
        let (log, tail) = opened(config).expect("the file knows");
        assert!(tail.end >= end);
        put(&log, 10).expect("the disk works");
    }
    let text = dump(&disk, names()).expect("it is whole");
    assert!(text.starts_with("log of database 0x7, blocks aligned to 512\n"), "{text}");
    // The other sizes have to fit to what the file has.
    let larger = LogConfig { block_bytes: 1024, file_bytes: 4096, file_bytes_max: 8192, ..CONFIG };
    let disk = MemoryDisk::default();
    drop(Log::create(&disk, names(), larger, DATABASE).expect("the disk works"));
    let before = NAMES.map(|name| bytes_of(&disk, name));
    let config = LogConfig { window_bytes: 1536, ..CONFIG };
    let error = Log::open(&disk, names(), config, DATABASE).err().expect("it does not fit");
    assert_eq!(
        error.to_string(),
        "window_bytes is 1536, and must be a multiple of block_bytes, from it to 64 MiB"
    );
    assert_eq!(NAMES.map(|name| bytes_of(&disk, name)), before);
}

#[test]
fn headers_are_believed_only_when_they_are_ours() {
    type Edit = fn(&mut Vec<u8>);
    let rows: [(Edit, &str); 7] = [
        (|bytes| bytes[0] = b'x', "log2 is not a file of this database: it does not begin"),
        (|bytes| bytes.clear(), "log2 is not a file of this database: it does not begin"),
        (|bytes| bytes[40] = 1, "log2 is damaged at its header: its checksum is"),
        (
            |bytes| {
                bytes[16] = 9;
                reseal(bytes);
            },
            "log2 is not a file of this database: it belongs to database 0x9, not to 0x7",
        ),
        (
            |bytes| {
                bytes[10] = 0;
                reseal(bytes);
            },
            "log2 is not a file of this database: it is the other file of the log",
        ),
        (
            |bytes| {
                bytes[8] = 2;
                reseal(bytes);
            },
            "log2 has format 2, newer than 1",
        ),
        (
            |bytes| {
                bytes[13] = 3;
                reseal(bytes);
            },
            "log2 is damaged at its header: blocks cannot be aligned to 768",
        ),
    ];
    for (edit, expected) in rows {
        let disk = MemoryDisk::default();
        drop(create(&disk));
        disk.edit(NAMES[1], edit);
        let told = refusal(&disk).to_string();
        assert!(told.starts_with(expected), "{told}");
    }
    let disk = MemoryDisk::default();
    drop(create(&disk));
    disk.edit(NAMES[1], |bytes| {
        bytes[13] = 4;
        reseal(bytes);
    });
    let told = refusal(&disk).to_string();
    assert!(told.contains("blocks are aligned to 1024, in the other file to 512"), "{told}");
}

/// Changes a block at a place of the first file and gives it a checksum that fits.
fn edit_block(disk: &MemoryDisk, offset: usize, edit: impl FnOnce(&mut [u8])) {
    disk.edit(NAMES[0], |bytes| {
        let block = &mut bytes[offset..offset + 512];
        edit(block);
        let crc = crc32c::crc32c(&[0]);
        let crc = crc32c::crc32c_append(crc, &(offset as u64).to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &block[..4]);
        let crc = crc32c::crc32c_append(crc, &block[8..]);
        block[4..8].copy_from_slice(&crc.to_le_bytes());
    });
}

#[test]
fn blocks_that_no_falcon_of_this_format_wrote_are_refused() {
    let rows: [(usize, u8, &str); 4] = [
        (8, 2, "log1 has format 2, newer than 1"),
        (48, 200, "log1 is damaged at block 2 at byte 1024: recovery would start at 200"),
        (56, 1, "log1 is damaged at block 1 at byte 512: it is not there whole, but block 2"),
        (65, 200, "log1 is damaged at block 2 at byte 1536: the record at 0 does not end"),
    ];
    for (at, value, expected) in rows {
        let disk = MemoryDisk::default();
        let log = create(&disk);
        put(&log, 10).expect("the disk works");
        drop(log);
        edit_block(&disk, 1024, |block| {
            // Where the block before is looked for, recovery has to start before this one.
            block[40] = u8::from(at == 56);
            block[at] = value;
        });
        let told = match open(&disk) {
            Ok((log, tail)) => {
                let mut records = log.records(tail.recovery_start);
                let told = records.next().expect("an item").expect_err("a bad record").to_string();
                assert!(records.next().is_none(), "an error is the last item");
                told
            }
            Err(error) => error.to_string(),
        };
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_log_without_a_block_is_damaged() {
    let disk = MemoryDisk::default();
    drop(create(&disk));
    disk.edit(NAMES[0], |bytes| bytes[512..].fill(0));
    let told = refusal(&disk).to_string();
    assert_eq!(told, "log1 is damaged at byte 512: there is no block in either file");
}

#[test]
fn a_record_has_a_longest_length() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    let bytes_max = CONFIG.record_bytes_max();
    let error = put(&log, bytes_max + 1).expect_err("too long");
    assert!(matches!(error, Error::TooLong { .. }), "{error}");
    assert_eq!(log.end(), Lsn(0), "nothing was appended");
    put(&log, bytes_max).expect("it fits");
    assert_eq!(log.read(Lsn(0)).expect("it is there").bytes().len(), bytes_max);
}

#[test]
fn places_where_no_record_begins_are_refused() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    let durable = put(&log, 10).expect("the disk works");
    let end = log.append(KIND, &[b"open"]).expect("there is room");
    assert_eq!(log.read(durable).expect("it is there").bytes(), b"open");
    assert_eq!(places(&log, Lsn(0)), [Lsn(0), durable]);
    for lsn in [Lsn(1), Lsn(durable.0 + 1), end] {
        let error = log.read(lsn).expect_err("no record begins there");
        assert_eq!(
            error.to_string(),
            format!("the log has no record at {lsn}: it goes from 0 to {end}")
        );
    }
    assert!(log.records(end).next().is_none(), "the end is a place to read from");
    assert!(matches!(log.records(Lsn(3)).next(), Some(Err(Error::NotInLog { .. }))));
    log.set_recovery_start(durable);
    put(&log, 1).expect("the disk works");
    assert_eq!(log.retained_from(), durable);
    let error = log.read(Lsn(0)).expect_err("it is given up");
    assert!(matches!(error, Error::NotInLog { from, .. } if from == durable), "{error}");
}

#[test]
fn what_is_not_in_memory_any_more_is_read_and_checked() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    let ends: Vec<Lsn> = (0..4).map(|_| put(&log, 200).expect("the disk works")).collect();
    let before = disk.calls();
    assert_eq!(log.read(ends[2]).expect("it is there").bytes().len(), 200);
    assert_eq!(disk.calls(), before, "the last blocks are in memory");
    assert_eq!(log.read(Lsn(0)).expect("it is there").bytes().len(), 200);
    assert!(disk.calls() > before, "the first is not");
    assert_eq!(places(&log, Lsn(0)).len(), 4);
    disk.edit(NAMES[0], |bytes| bytes[1024 + 100] ^= 1);
    log.read(ends[1]).expect("another block");
    log.read(ends[2]).expect("another block");
    let told = log.read(Lsn(0)).expect_err("damaged").to_string();
    assert!(told.starts_with("log1 is damaged at block 2 at byte 1024"), "{told}");
    disk.fail_after(0);
    assert!(matches!(log.read(Lsn(0)), Err(Error::Io { op: "read", .. })));
}

/// One call fails, whichever, and all that come after it: what was acknowledged is there afterwards, and
/// from the failure on everybody gets the same error.
#[test]
fn after_any_failed_call_the_log_has_stopped() {
    for power_goes in [true, false] {
        for calls in 0.. {
            let disk = MemoryDisk::default();
            let log = create(&disk);
            disk.fail_after(calls);
            let mut acknowledged = Vec::new();
            let mut failed = None;
            // What recovery needs lags behind, so that files grow and are cut again.
            for _ in 0..24 {
                let lsn = log.end();
                log.set_recovery_start(Lsn(lsn.0.saturating_sub(205 * 4)));
                match put(&log, 200) {
                    Ok(_) => acknowledged.push(lsn),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            let Some(Error::Stopped(why)) = failed else {
                assert!(failed.is_none(), "{failed:?}");
                assert!(calls > 100, "{calls} calls");
                assert!(log.counters().switches > 3, "{:?}", log.counters());
                break;
            };
            let later = [log.append(KIND, &[b"x"]).err(), log.flush(log.end()).err()];
            for error in later {
                assert!(matches!(&error, Some(Error::Stopped(of)) if *of == why), "{error:?}");
            }
            log.flush(log.durable()).expect("what is durable stays so");
            drop(log);
            if power_goes {
                disk.cut_power();
            } else {
                disk.crash_process();
            }
            let (log, tail) = open(&disk).expect("the disk works");
            let found = places(&log, tail.recovery_start);
            let needed = acknowledged.iter().filter(|lsn| **lsn >= tail.recovery_start);
            assert!(needed.copied().all(|lsn| found.contains(&lsn)), "after {calls} calls");
            assert!(found.len() <= acknowledged.len() + 1, "after {calls} calls");
        }
    }
}

/// Opening fails at any call; the next opening answers as if nothing had been.
#[test]
fn an_opening_that_fails_changes_nothing() {
    for calls in 0.. {
        let disk = MemoryDisk::default();
        let log = create(&disk);
        for _ in 0..3 {
            put(&log, 300).expect("the disk works");
        }
        drop(log);
        disk.fail_after(calls);
        match open(&disk) {
            Ok(_) => {
                assert!(calls > 10, "{calls} calls");
                break;
            }
            Err(Error::Io { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        disk.crash_process();
        let (log, tail) = open(&disk).expect("the disk works");
        assert_eq!(places(&log, tail.recovery_start), [Lsn(0), Lsn(305), Lsn(610)]);
        assert_eq!(tail.last_block, BlockNumber(4));
    }
}

/// The disk returns a flipped bit once, at each read of an opening in turn. What matters was read twice
/// or has a checksum; the end of the log alone may seem torn.
#[test]
fn a_read_that_lies_is_seen() {
    let mut told = Vec::new();
    for nth in 1..10 {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(nth));
        let end = machine.run(|ctx| put(&create(&*ctx.disk()), 900).expect("no fault came yet"));
        machine.faults().fail_nth(Fault::ReadCorruption, nth);
        let tail = machine.run(|ctx| open(&*ctx.disk()).map(|(_, tail)| tail));
        match tail {
            Ok(tail) if machine.faults().delivered(Fault::ReadCorruption) == 0 => {
                assert_eq!(tail.end, end);
            }
            Ok(tail) => assert!([Lsn(0), end].contains(&tail.end), "{tail:?}"),
            Err(error) => told.push(error.to_string()),
        }
    }
    let expected = "log1 is damaged at block 2 at byte 1024: it was whole when it was read before";
    assert!(told.iter().any(|text| text == expected), "{told:#?}");
}

/// A block that an opening did not find turns out whole later, as a write that the disk had held back
/// does. Its number fits behind the tail, its epoch does not. Were it taken, a record would come back
/// that an opening has told to be lost.
#[test]
fn a_block_of_an_earlier_epoch_does_not_come_back() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    let mut before = NAMES.map(|name| bytes_of(&disk, name));
    while log.counters().switches == 0 {
        before = NAMES.map(|name| bytes_of(&disk, name));
        log.set_recovery_start(log.end());
        put(&log, 200).expect("the disk works");
    }
    drop(log);
    let held_back = bytes_of(&disk, NAMES[1]);
    disk.edit(NAMES[1], |bytes| *bytes = before[1].clone());
    let (log, first) = open(&disk).expect("the disk works");
    assert_eq!(first.epoch, Epoch(2));
    drop(log);
    disk.edit(NAMES[1], |bytes| *bytes = held_back);
    let (log, second) = open(&disk).expect("the disk works");
    assert_eq!(second, LogTail { epoch: Epoch(3), ..first });
    assert_eq!(log.end(), first.end);
}

#[test]
fn a_file_that_grew_is_cut_when_its_turn_comes() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    let fill = |upto: u64| {
        while log.counters().switches < upto {
            // What recovery needs lags behind, so that the file has to grow.
            log.set_recovery_start(Lsn(log.end().0.saturating_sub(4 * 305)));
            put(&log, 300).expect("the disk works");
        }
    };
    fill(2);
    let grown = NAMES.map(|name| bytes_of(&disk, name).len());
    assert!(grown.iter().any(|bytes| *bytes > 2048), "{grown:?}");
    while log.counters().switches < 4 {
        log.set_recovery_start(log.end());
        put(&log, 10).expect("the disk works");
    }
    assert_eq!(NAMES.map(|name| bytes_of(&disk, name).len()), [2048, 2048]);
}

/// Two threads fill the log; where it is full they wait, until the start of recovery moves on.
#[test]
fn a_full_log_waits_for_recovery_to_need_less() {
    Sim::new("a_full_log_waits_for_recovery_to_need_less").seeds(0..60).run(|machine| {
        machine.run(|ctx| {
            let log = create(&*ctx.disk());
            thread::scope(|scope| {
                let fill = || {
                    for _ in 0..12 {
                        put(&log, 300).expect("the disk works");
                    }
                };
                let threads = [scope.spawn(fill), scope.spawn(fill)];
                while threads.iter().any(|thread| !thread.is_finished()) {
                    thread::sleep(Duration::from_millis(1));
                    let (stalls, durable) = (log.counters().stalls, log.durable());
                    if stalls > 0 {
                        log.set_recovery_start(durable);
                    }
                }
            });
            let counters = log.counters();
            assert!(counters.stalls > 0, "{counters:?}");
            assert!(counters.switches > 0, "{counters:?}");
            assert_eq!(counters.appends, 24, "{counters:?}");
            assert!(counters.padding_bytes < counters.bytes, "{counters:?}");
        });
    });
}

#[test]
fn who_waits_for_room_is_told_when_the_log_stops() {
    Sim::new("who_waits_for_room_is_told_when_the_log_stops").seeds(0..60).run(|machine| {
        machine.run(|ctx| {
            let log = create(&*ctx.disk());
            thread::scope(|scope| {
                let fill = || loop {
                    if let Err(error) = put(&log, 300) {
                        return error;
                    }
                };
                let threads = [scope.spawn(fill), scope.spawn(fill)];
                while log.counters().stalls < 2 {
                    thread::sleep(Duration::from_millis(1));
                }
                log.stop("the first reason");
                log.stop("the second reason");
                for thread in threads {
                    let told = thread.join().expect("no thread panics").to_string();
                    assert_eq!(told, "the engine has stopped: the first reason");
                }
            });
        });
    });
}

/// Fills the log with records of so many bytes while it promises not to wait.
fn fill(log: &Log, bytes: usize) {
    while log.used_bytes() <= log.capacity_bytes() {
        put(log, bytes).expect("the disk works");
    }
}

/// However long records are, nobody waits below the capacity; beyond it only urgent records go on. They are
/// there after an opening, and the log goes back within its bounds when recovery needs less.
#[test]
fn an_urgent_record_does_not_wait_where_the_log_is_full() {
    for bytes in [1, 100, 300, 447, 448, 900, CONFIG.record_bytes_max()] {
        let disk = MemoryDisk::default();
        let config = LogConfig { file_bytes_max: 8192, ..CONFIG };
        let log = Log::create(&disk, names(), config, DATABASE).expect("the disk works");
        assert_eq!(log.capacity_bytes(), 8192 - 1024 - 512);
        fill(&log, bytes);
        assert_eq!(log.counters().stalls, 0, "{bytes} bytes");
        let (before, mut ends) = (log.counters().appends, Vec::new());
        for _ in 0..64 {
            let end = log.append_urgent(KIND, &[&vec![b'u'; bytes]]).expect("the disk works");
            log.flush(end).expect("the disk works");
            ends.push(end);
        }
        let counters = log.counters();
        assert!(counters.overruns > 0, "{bytes} bytes: {counters:?}");
        assert_eq!((counters.stalls, counters.appends), (0, before + 64), "{counters:?}");
        let longest = NAMES.map(|name| bytes_of(&disk, name).len()).into_iter().max();
        assert!(longest > Some(8192), "{bytes} bytes: {longest:?}");
        drop(log);

        disk.cut_power();
        let (log, tail) =
            Log::open(&disk, names(), config, DATABASE).expect("a long file is no damage");
        assert_eq!(tail.end, *ends.last().expect("there are records"));
        assert_eq!(places(&log, Lsn(0)).len() as u64, before + 64, "{bytes} bytes");
        assert!(log.used_bytes() > 8192, "{} used", log.used_bytes());
        log.set_recovery_start(tail.end);
        put(&log, bytes).expect("the disk works");
        assert!(log.used_bytes() <= 3 * 1024, "{} used", log.used_bytes());
        assert_eq!(log.retained_from(), tail.end);
    }
}

/// What is used is what lies between the durable start of recovery and the end, in both files.
#[test]
fn used_bytes_are_those_of_the_files_that_recovery_reads() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    assert_eq!(log.used_bytes(), 1024, "the first block and the open one");
    let mut ends = Vec::new();
    for count in 1..=4 {
        ends.push(put(&log, 300).expect("the disk works"));
        // A durable block without records is not needed once there is another one.
        assert_eq!(log.used_bytes(), 512 + 512 * count);
    }
    assert!(log.counters().switches > 0, "the last of them are in the other file");
    log.set_recovery_start(ends[1]);
    assert_eq!(log.used_bytes(), 2560, "no durable block says so yet");
    put(&log, 300).expect("the disk works");
    assert_eq!(log.used_bytes(), 2560 + 512 - 2 * 512, "two blocks are not needed, one came");
    drop(log);
    let (log, _) = open(&disk).expect("the disk works");
    assert_eq!(log.used_bytes(), 2048 + 512, "the last block is there twice");
}

#[test]
fn a_log_says_why_it_has_stopped() {
    let disk = MemoryDisk::default();
    let log = create(&disk);
    put(&log, 10).expect("the disk works");
    assert!(log.is_stopped().is_none());
    disk.fail_after(0);
    let told = put(&log, 10).expect_err("the disk fails").to_string();
    assert_eq!(log.is_stopped().map(|why| why.to_string()), Some(told.clone()));
    let urgent = log.append_urgent(KIND, &[b"x"]).expect_err("it has stopped");
    assert_eq!(urgent.to_string(), told);
    let long = log.append_urgent(KIND, &[&[0; 2000]]).expect_err("too long");
    assert!(matches!(long, Error::TooLong { bytes: 2000, .. }), "{long}");
}
