//! A record of the log: CRC-32, length, changes.

use std::io;

use crate::{Batch, Content};

/// The length that stands for no value: the key is deleted.
const DELETED: u32 = u32::MAX;

/// The record of a batch.
pub(crate) fn encode(batch: &Batch) -> io::Result<Vec<u8>> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
    let mut record = vec![0; 8];
    for (key, value) in batch {
        let value_len = value.as_ref().map_or(Ok(DELETED), |value| len(value))?;
        record.extend(len(key)?.to_le_bytes());
        record.extend(value_len.to_le_bytes());
        record.extend(key);
        record.extend(value.as_deref().unwrap_or_default());
    }
    let payload_len = len(&record[8..])?;
    record[4..8].copy_from_slice(&payload_len.to_le_bytes());
    let crc = crc32(&record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
    Ok(record)
}

/// Makes the changes of the first record of `log` and says what follows it; nothing when it is torn or
/// damaged.
pub(crate) fn redo<'a>(content: &mut Content, mut log: &'a [u8]) -> Option<&'a [u8]> {
    let (crc, body, len) = (take_u32(&mut log)?, log, take_u32(&mut log)?);
    let mut payload = take(&mut log, len)?;
    let whole = crc32(&body[..body.len() - log.len()]) == crc;
    while whole && !payload.is_empty() {
        let (key_len, value_len) = (take_u32(&mut payload)?, take_u32(&mut payload)?);
        let key = take(&mut payload, key_len)?;
        if value_len == DELETED {
            content.remove(key);
        } else {
            content.insert(key.to_vec(), take(&mut payload, value_len)?.to_vec());
        }
    }
    whole.then_some(log)
}

fn take<'a>(bytes: &mut &'a [u8], len: u32) -> Option<&'a [u8]> {
    bytes.split_off(..len as usize)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes, 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

/// CRC-32 as zlib computes it, eight bytes at a time.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLES: [[u32; 256]; 8] = crc_tables();
    let (words, rest) = bytes.as_chunks();
    let crc = words.iter().fold(!0, |crc, word| {
        let word = u64::from_le_bytes(*word) ^ u64::from(crc);
        (0..8).fold(0, |crc, at| crc ^ TABLES[7 - at][(word >> (8 * at)) as usize & 0xff])
    });
    !rest.iter().fold(crc, |crc, byte| crc >> 8 ^ TABLES[0][(crc as u8 ^ byte) as usize])
}

/// What a byte adds to the sum, by how many bytes follow it in its word.
const fn crc_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut at = 0;
    while at < 8 * 256 {
        let (table, index) = (at / 256, at % 256);
        let mut crc = if table == 0 { index as u32 } else { tables[table - 1][index] };
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        tables[table][index] = crc;
        at += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sum_is_that_of_zlib() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::crc32(b"abc"), 0x3524_41c2);
    }
}
