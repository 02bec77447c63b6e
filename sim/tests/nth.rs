//! A sweep of errors: each call of a small program fails once, and nothing that it acknowledged goes.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_sim::choice::Choices;
use falconry_sim::disk::DiskConfig;
use falconry_sim::fault::Fault;
use falconry_sim::{Ending, Machine, MachineConfig};

const RECORDS: u64 = 12;
/// A record has a number, its complement, and padding up to here.
const RECORD_BYTES: usize = 700;

/// A log of numbered records in the shortest form that is right: it stops at the first error.
struct Log {
    file: Arc<dyn File>,
    records: u64,
}

impl Log {
    fn open(disk: &dyn Disk) -> io::Result<Log> {
        let file = disk.open(Path::new("log"), &OpenOptions::CREATE)?;
        disk.sync_dir(Path::new(""))?;
        let mut log = Log { file, records: 0 };
        let whole = log.file.len()? / RECORD_BYTES as u64;
        while log.records < whole && log.read(log.records)? == Some(log.records) {
            log.records += 1;
        }
        Ok(log)
    }

    fn read(&self, index: u64) -> io::Result<Option<u64>> {
        let mut bytes = [0; RECORD_BYTES];
        self.file.read_exact_at(&mut bytes, index * RECORD_BYTES as u64)?;
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Ok((word(0) == !word(RECORD_BYTES - 8)).then(|| word(0)))
    }

    fn append(&mut self) -> io::Result<()> {
        let mut bytes = [0x55; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.records.to_le_bytes());
        bytes[RECORD_BYTES - 8..].copy_from_slice(&(!self.records).to_le_bytes());
        self.file.write_all_at(&bytes, self.records * RECORD_BYTES as u64)?;
        self.file.sync_data()?;
        self.records += 1;
        Ok(())
    }
}

/// Opens the log and appends until it has all records. Returns how many are acknowledged now, and
/// whether all went well.
fn work(disk: &dyn Disk, acknowledged: u64) -> (u64, bool) {
    let Ok(mut log) = Log::open(disk) else { return (acknowledged, false) };
    assert!(log.records >= acknowledged, "{} of {acknowledged} are there", log.records);
    while log.records < RECORDS {
        if log.append().is_err() {
            return (log.records, false);
        }
    }
    (log.records, true)
}

/// The `nth` call at which `fault` may come fails in a boot that recovers half of a log and writes the
/// rest. Returns whether there was such a call, whether an error was seen, and how often the fault
/// was delivered.
fn fail(fault: Fault, nth: u64, power_goes: bool) -> (bool, bool, u64) {
    let disk = DiskConfig { latency: false, ..DiskConfig::default() };
    let config = MachineConfig { disk, ..MachineConfig::default() };
    let mut machine = Machine::new(config, Choices::from_seed(nth));
    machine.run(|ctx| {
        let mut log = Log::open(&*ctx.disk()).expect("no fault came yet");
        (0..RECORDS / 2).for_each(|_| log.append().expect("no fault came yet"));
    });
    machine.cut_power();
    machine.faults().fail_nth(fault, nth);
    let (acknowledged, well) = machine.run(|ctx| work(&*ctx.disk(), RECORDS / 2));
    let reached = machine.faults().nth_left() == 0;
    machine.faults().hold_back(true);
    if power_goes {
        machine.cut_power();
    }
    let after = machine.boot(Ending::Never, |ctx| work(&*ctx.disk(), acknowledged));
    let falconry_sim::End::Returned(after) = after.end else { panic!("{:?}", after.end) };
    assert_eq!(after, (RECORDS, true), "{fault} at call {nth}: not live without faults");
    (reached, !well, machine.faults().delivered(fault))
}

#[test]
fn every_call_fails_once_and_no_acknowledged_record_is_lost() {
    let sweeps = [
        (Fault::EioRead, true),
        (Fault::EioWrite, true),
        (Fault::SyncFailDirty, true),
        (Fault::Enospc, true),
        (Fault::ReadOnly, true),
        (Fault::DeviceGone, true),
        (Fault::ShortRead, false),
        (Fault::ShortWrite, false),
        (Fault::Eintr, false),
        (Fault::StallOp, false),
    ];
    for (fault, fails) in sweeps {
        let (mut calls, mut came, mut errors) = (0, 0, 0);
        for nth in 1.. {
            let (reached, error, delivered) = fail(fault, nth, nth % 2 == 0);
            assert!(
                delivered <= u64::from(reached),
                "{fault} at call {nth} came {delivered} times"
            );
            assert!(!error || delivered == 1, "{fault} at call {nth}: an error without a fault");
            assert!(!error || fails, "{fault} at call {nth}: the log gave up");
            if !reached {
                break;
            }
            (calls, came, errors) = (calls + 1, came + delivered, errors + u64::from(error));
        }
        assert!(calls >= 6, "{fault} met {calls} calls");
        assert!(came >= 6, "{fault} came {came} times in {calls} calls");
        assert!(!fails || errors >= 6, "{fault} gave {errors} errors in {calls} calls");
    }
}
