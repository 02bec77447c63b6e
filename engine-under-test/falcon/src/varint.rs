//! Numbers in as few bytes as they need.
//!
//! # Method
//!
//! Seven bits a byte, low ones first, the top bit set in all bytes but the last.
//!
//! # Invariant
//!
//! Every number has one form, and no other is read.

/// Appends a number.
pub(crate) fn append(out: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The number at `at`, which moves behind it; none where there is none, or the bytes end before it does.
pub(crate) fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(first.into());
    }
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let bits = u64::from(byte & 0x7F);
        value |= bits << shift;
        // Bits beyond the 64th, or a last byte that adds nothing, are never written.
        if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
            return None;
        }
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_written_and_in_one_form_only() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            append(&mut bytes, value);
            let mut at = 0;
            assert_eq!(read(&bytes, &mut at), Some(value));
            assert_eq!(at, bytes.len());
            assert_eq!(read(&bytes[..bytes.len() - 1], &mut 0), None, "cut off");
        }
        assert_eq!(read(&[0x80, 0x00], &mut 0), None, "0 in two bytes");
        assert_eq!(read(&[0xFF; 11], &mut 0), None, "more than 64 bits");
        let mut large = [0xFF; 10];
        large[9] = 0x02;
        assert_eq!(read(&large, &mut 0), None, "the 65th bit");
    }
}
