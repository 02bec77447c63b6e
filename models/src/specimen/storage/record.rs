//! Records of words with a checksum, and the few steps that most stores here have in common.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, OpenOptions};

use crate::specimen::KEYS;

/// Each record has a sector of its own, so that no write endangers another record.
pub(super) const SECTOR: u64 = 512;

/// The value of each record, 0 for one that was never written.
pub(super) type Values = [u64; KEYS as usize];

/// The directory that holds the files of a store.
pub(super) fn root() -> &'static Path {
    Path::new("")
}

/// A value as the caller sees it.
pub(super) fn shown(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

/// The error for bytes that cannot be what was written.
pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the record is damaged")
}

/// FNV-1a of 64 bits; that of zeros is not 0.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The word of this index.
pub(super) fn word(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[8 * index..][..8]);
    u64::from_le_bytes(word)
}

/// Words with their checksum behind them.
pub(super) fn sealed(words: &[u64]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(checksum(&bytes).to_le_bytes());
    bytes
}

/// The words of a sealed record; `None` for anything else.
pub(super) fn unsealed<const WORDS: usize>(bytes: &[u8]) -> Option<[u64; WORDS]> {
    let (body, sum) = bytes.get(..8 * WORDS + 8)?.split_at(8 * WORDS);
    (checksum(body) == word(sum, 0)).then(|| std::array::from_fn(|index| word(body, index)))
}

/// Reads `len` bytes, or as many as the file has there.
pub(super) fn read_up_to(file: &dyn File, len: usize, offset: u64) -> io::Result<Vec<u8>> {
    let left = file.len()?.saturating_sub(offset);
    let mut bytes = vec![0; len.min(left as usize)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Reads a sealed record; `None` where there is none.
pub(super) fn read_record<const WORDS: usize>(
    file: &dyn File,
    offset: u64,
) -> io::Result<Option<[u64; WORDS]>> {
    Ok(unsealed(&read_up_to(file, 8 * WORDS + 8, offset)?))
}

/// Of two records in neighbouring sectors the one whose first word is greater, and which it is.
pub(super) fn newest<const WORDS: usize>(
    file: &dyn File,
    offset: u64,
) -> io::Result<([u64; WORDS], u64)> {
    let mut newest = ([0; WORDS], 1);
    for copy in 0..2 {
        if let Some(words) = read_record::<WORDS>(file, offset + copy * SECTOR)?
            && words[0] > newest.0[0]
        {
            newest = (words, copy);
        }
    }
    Ok(newest)
}

/// Opens a file whose name and bytes are durable from then on.
pub(super) fn open_durable(disk: &dyn Disk, name: &str) -> io::Result<Arc<dyn File>> {
    let file = disk.open(Path::new(name), &OpenOptions::CREATE)?;
    file.sync_data()?;
    disk.sync_dir(root())?;
    Ok(file)
}

/// Creates an empty file that is to be renamed; one that a crash left is removed before.
pub(super) fn create_anew(disk: &dyn Disk, name: &str) -> io::Result<Arc<dyn File>> {
    if disk.exists(Path::new(name))? {
        disk.remove(Path::new(name))?;
    }
    disk.open(Path::new(name), &OpenOptions::CREATE_NEW)
}

/// Gives a file new contents, all or nothing, and durably.
pub(super) fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<Arc<dyn File>> {
    let temporary = format!("{name}.new");
    let file = create_anew(disk, &temporary)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()?;
    disk.rename(Path::new(&temporary), Path::new(name))?;
    disk.sync_dir(root())?;
    Ok(file)
}
