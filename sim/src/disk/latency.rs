//! How long a call takes, and what it waits for first.
//!
//! # Method
//!
//! A call's own time is the device's middle for its kind, times a factor that is close to log-normal
//! and chosen once a call; the boring factor is 1. A call of the page cache takes no time, or now and
//! then a little. A stall keeps one call, all calls of its file, or all calls of the device waiting:
//! what comes later begins behind it.
//!
//! # Invariant
//!
//! With `latency` off nothing is drawn here, and only stalls take time.

use super::model::{DiskModel, delivered};
use super::platter::FileId;
use crate::choice::Label;
use crate::env::Env;
use crate::fault::Fault;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The page cache.
    Memory,
    /// The device reads so many times.
    Read(u64),
    /// The device writes this many pages.
    Write(u64),
    /// The device writes this many pages and flushes.
    Flush(u64),
}

/// 2^(k/4) in 1/1024, for k = 0, 1, -1, 2, -2 … 8, -8: the boring one first.
const FACTORS: [u64; 17] =
    [1024, 1218, 861, 1448, 724, 1722, 609, 2048, 512, 2435, 431, 2896, 362, 3444, 304, 4096, 256];

/// One call of the page cache in this many takes time.
const MEMORY_ONE_IN: u32 = 8;
const MEMORY_NS: u64 = 2_000;
/// How much slower a slow device is.
const SLOW: u64 = 100;
const MS: u64 = 1_000_000;
/// A write and a flush of the disks behind a controller that does not cache.
const MEDIUM_NS: [u64; 2] = [8 * MS, 15 * MS];

impl DiskModel {
    /// Nanoseconds until the call that begins now ends.
    pub(super) fn latency(
        &mut self,
        env: &mut Env<'_>,
        fault: Option<Fault>,
        file: FileId,
        kind: Kind,
    ) -> u64 {
        let now = env.trace.time_ns();
        let own = if self.config.latency { self.own_time(env, kind) } else { 0 };
        let slow = if self.boot.slow { SLOW } else { 1 };
        let file_busy = self.nodes.get(&file).map_or(0, |node| node.busy_until_ns);
        let begin = now.max(self.boot.busy_until_ns).max(file_busy);
        let mut end = begin + own * slow;
        if let Some(fault @ (Fault::StallOp | Fault::StallFile | Fault::StallDevice)) = fault {
            end += stall_ns(env);
            match fault {
                Fault::StallDevice => self.boot.busy_until_ns = end,
                Fault::StallFile => {
                    if let Some(node) = self.nodes.get_mut(&file) {
                        node.busy_until_ns = end;
                    }
                }
                _ => {}
            }
            delivered(env, fault, file, end - now, 0);
        }
        end - now
    }

    fn own_time(&self, env: &mut Env<'_>, kind: Kind) -> u64 {
        let [read, mut write, mut flush] = self.device.latency_ns;
        if self.boot.write_through {
            [write, flush] = MEDIUM_NS;
        }
        // Pages of one sync are in flight together: eight at a time (our choice).
        let middle = match kind {
            Kind::Memory => MEMORY_NS,
            Kind::Read(times) => read * times,
            Kind::Write(pages) => write * pages.div_ceil(8).max(1),
            Kind::Flush(pages) => flush + write * pages.div_ceil(8),
        };
        let factor = env.choices.decide(Label::DISK_LATENCY, FACTORS.len() as u64, |draws| {
            let bits = draws.bits();
            if kind == Kind::Memory && !bits.is_multiple_of(MEMORY_ONE_IN) {
                return 0;
            }
            // The number of ones among 16 bits is close to normal, with a deviation of 2.
            let off = i64::from((bits >> 16).count_ones()) - 8;
            if off > 0 { 2 * off.unsigned_abs() - 1 } else { 2 * off.unsigned_abs() }
        });
        if kind == Kind::Memory && factor == 0 {
            return 0;
        }
        middle * FACTORS[factor as usize] / 1024
    }
}

/// How long a stall is: garbage collection, a cloud volume, a path that fails over.
fn stall_ns(env: &mut Env<'_>) -> u64 {
    let (low, high) = match env.choices.weighted("disk_stall/scale", &[6, 3, 1]) {
        0 => (MS, 50 * MS),
        1 => (100 * MS, 2_000 * MS),
        _ => (5_000 * MS, 60_000 * MS),
    };
    env.choices.log_uniform("disk_stall/time", low, high)
}
