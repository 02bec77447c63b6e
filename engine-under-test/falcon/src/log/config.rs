//! The settings of the log, and their ranges.
//!
//! # Method
//!
//! Sizes are multiples of the alignment of blocks, and each has room for the next smaller thing: a file
//! for its header and the largest block, the bound of a file for one such block beyond its wanted size.
//!
//! # Invariant
//!
//! A setting out of range is refused before the disk is touched.

use super::block;
use crate::{Error, Result};

/// How large the parts of the log are. The fields may be changed from one opening to the next;
/// [`block_bytes`](LogConfig::block_bytes) then changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The size of a file at which the log wants to go on in the other one.
    pub file_bytes: u64,
    /// The size that a file may reach while the other one is still needed. There, appends wait. The
    /// block that tells where recovery starts now, and the one that an opening states again, may lie
    /// behind it: a crash in recovery, again and again, makes the file longer by a block each time.
    pub file_bytes_max: u64,
    /// The largest block: what is appended before it is written, and what one record must fit into.
    pub window_bytes: u32,
    /// How many windows' worth of written blocks stay in memory, for reading.
    pub window_count: u32,
    /// The alignment of blocks: a power of two from 512 to 65,536, at least a sector of the disk. Fixed at
    /// creation; an opening goes by the file, and the sizes above must be multiples of what it has.
    pub block_bytes: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            file_bytes: 16 << 20,
            file_bytes_max: 1 << 30,
            window_bytes: 1 << 20,
            window_count: 10,
            block_bytes: 4096,
        }
    }
}

/// The largest alignment.
const BLOCK_BYTES_MAX: u32 = 1 << 16;
/// The largest file.
const FILE_BYTES_MAX: u64 = 1 << 40;
/// The most windows.
const WINDOW_COUNT_MAX: u32 = 4096;

impl LogConfig {
    /// Whether all is in range, on a disk with such sectors.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] with the first setting that is not.
    pub fn check(&self, sector_bytes: u32) -> Result<()> {
        let block = self.block_bytes;
        if !block.is_power_of_two() || !(512..=BLOCK_BYTES_MAX).contains(&block) {
            return refuse("block_bytes", block, "a power of two from 512 to 65536");
        }
        if block < sector_bytes {
            return refuse("block_bytes", block, "at least a sector of the disk");
        }
        let window = self.window_bytes;
        if !window.is_multiple_of(block) || !(block..=block::BYTES_MAX).contains(&window) {
            return refuse("window_bytes", window, "a multiple of block_bytes, from it to 64 MiB");
        }
        if !(1..=WINDOW_COUNT_MAX).contains(&self.window_count) {
            return refuse("window_count", self.window_count, "from 1 to 4096");
        }
        let least = u64::from(block) + u64::from(window);
        if !self.file_bytes.is_multiple_of(block.into()) || self.file_bytes < least {
            let range = "a multiple of block_bytes, at least window_bytes + block_bytes";
            return refuse("file_bytes", self.file_bytes, range);
        }
        let most = self.file_bytes_max;
        if most > FILE_BYTES_MAX || self.file_bytes.saturating_add(window.into()) > most {
            let range = "at least file_bytes + window_bytes, and at most 1 TiB";
            return refuse("file_bytes_max", most, range);
        }
        Ok(())
    }

    /// The most bytes that one record may have.
    pub fn record_bytes_max(&self) -> usize {
        self.window_bytes as usize - block::HEADER_BYTES - super::record::HEADER_BYTES
    }

    /// What a block with so many bytes of header and payload takes in the file.
    pub(super) fn padded(&self, bytes: usize) -> u64 {
        (bytes as u64).next_multiple_of(self.block_bytes.into())
    }
}

fn refuse(name: &'static str, value: impl Into<u64>, range: &'static str) -> Result<()> {
    Err(Error::Setting { name, value: value.into(), range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_in_range() {
        LogConfig::default().check(4096).expect("in range");
    }

    #[test]
    fn every_setting_has_a_range() {
        let good = LogConfig {
            file_bytes: 2048,
            file_bytes_max: 3072,
            window_bytes: 1024,
            window_count: 1,
            block_bytes: 512,
        };
        good.check(512).expect("in range");
        let rows = [
            ("block_bytes", LogConfig { block_bytes: 256, ..good }),
            ("block_bytes", LogConfig { block_bytes: 768, ..good }),
            ("block_bytes", LogConfig { block_bytes: 1 << 17, ..good }),
            ("window_bytes", LogConfig { window_bytes: 0, ..good }),
            ("window_bytes", LogConfig { window_bytes: 1000, ..good }),
            ("window_bytes", LogConfig { window_bytes: (64 << 20) + 512, ..good }),
            ("window_count", LogConfig { window_count: 0, ..good }),
            ("window_count", LogConfig { window_count: 4097, ..good }),
            ("file_bytes", LogConfig { file_bytes: 1024, ..good }),
            ("file_bytes", LogConfig { file_bytes: 2049, ..good }),
            ("file_bytes_max", LogConfig { file_bytes_max: 3071, ..good }),
            ("file_bytes_max", LogConfig { file_bytes_max: (1 << 40) + 1, ..good }),
        ];
        for (expected, config) in rows {
            match config.check(512) {
                Err(Error::Setting { name, .. }) => assert_eq!(name, expected, "{config:?}"),
                other => panic!("{config:?}: {other:?}"),
            }
        }
        let error = good.check(4096).expect_err("sectors are larger");
        assert_eq!(
            error.to_string(),
            "block_bytes is 512, and must be at least a sector of the disk"
        );
    }
}
