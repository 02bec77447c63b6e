//! Little-endian numbers at a place in a page.
//!
//! # Method
//!
//! A place outside the buffer panics: whoever asks has checked the page, or asks for a fixed field.
//!
//! # Invariant
//!
//! What was put is got, and no other byte is touched.

/// The `N` bytes at `at`.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().unwrap_or_else(|| {
        panic!("{N} bytes at {at} were asked of a buffer of {} bytes", bytes.len())
    })
}

/// The number at `at`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

/// The number at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// The number at `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Puts `values` at `at`.
pub(super) fn put(bytes: &mut [u8], at: usize, values: &[u8]) {
    bytes[at..at + values.len()].copy_from_slice(values);
}

/// Puts a number at `at`.
pub(super) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_le_bytes());
}

/// Puts a number at `at`.
pub(super) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

/// Puts a number at `at`.
pub(super) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    put(bytes, at, &value.to_le_bytes());
}

/// An offset or a length within a page. The largest page has 32,768 bytes, so every one fits.
pub(super) fn offset(value: usize) -> u16 {
    u16::try_from(value).unwrap_or_else(|_| panic!("{value} is no offset within a page"))
}
