//! Files of a format that is newer than what this revision knows.

use std::path::Path;

use falcon::{Database, Error, PageId, PageNumber, TablespaceId, page};

use crate::image_disk::ImageDisk;
use crate::kept::kept;
use crate::sample::{DOUBLE_WRITE, LOG, PAGES, VERSIONS, options};

type Edit = fn(&mut [u8]);

fn put(bytes: &mut [u8], at: usize, crc: u32) {
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn header_of_pages(bytes: &mut [u8]) {
    bytes[32] = 9;
}

/// A page that every opening reads: the root of the sections.
fn page_of(tablespace: u32, bytes: &mut [u8]) {
    let id = PageId { tablespace: TablespaceId(tablespace), number: PageNumber(2) };
    let bytes = &mut bytes[2_048..3_072];
    bytes[5] = 9;
    page::seal(bytes, id);
}

fn header_of_log(bytes: &mut [u8]) {
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..60]);
    put(bytes, 60, crc);
}

/// The first block of a file of the log.
fn block(file: u8, bytes: &mut [u8]) {
    let block = &mut bytes[512..];
    block[8] = 9;
    let payload = u32::from_le_bytes(block[12..16].try_into().expect("4 bytes")) as usize;
    let block = &mut block[..(64 + payload).next_multiple_of(512)];
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[file]), &512_u64.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &block[..4]);
    let crc = crc32c::crc32c_append(crc, &block[8..]);
    put(block, 4, crc);
}

/// The first entry of the double-write file.
fn entry(bytes: &mut [u8]) {
    bytes[8] = 9;
    let length = u32::from_le_bytes(bytes[44..48].try_into().expect("4 bytes")) as usize;
    let place = crc32c::crc32c(&0_u64.to_le_bytes());
    let crc = crc32c::crc32c_append(place, &bytes[8..48]);
    put(bytes, 48, crc);
    let bytes = &mut bytes[..length];
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(place, &bytes[..4]), &bytes[8..]);
    put(bytes, 4, crc);
}

/// A copy of a block of what is known of pages.
fn copy(bytes: &mut [u8]) {
    let copy = bytes.chunks_mut(4_096).find(|copy| copy[..4] != [0; 4]).expect("there is one");
    copy[24] = 9;
    let crc = crc32c::crc32c(&copy[4..]);
    put(copy, 0, crc);
}

#[test]
fn a_newer_format_of_anything_is_named() {
    let rows: [(&str, Edit); 10] = [
        (PAGES[0], header_of_pages),
        (PAGES[1], header_of_pages),
        (PAGES[0], |bytes| page_of(0, bytes)),
        (PAGES[1], |bytes| page_of(1, bytes)),
        (LOG[0], header_of_log),
        (LOG[1], header_of_log),
        (LOG[0], |bytes| block(0, bytes)),
        (LOG[1], |bytes| block(1, bytes)),
        (DOUBLE_WRITE, entry),
        (VERSIONS, copy),
    ];
    for (number, (name, edit)) in rows.into_iter().enumerate() {
        let mut image = kept("2", "crashed");
        edit(image.get_mut(name).expect("it is a file"));
        let disk = ImageDisk::of(&image);
        let opened = Database::open(&disk.shared(), &options());
        let refused = opened.and_then(|database| database.verify()).expect_err("it is newer");
        let is_named = matches!(&refused, Error::Newer { file, .. } if file == Path::new(name));
        assert!(is_named, "row {number}: {refused}");
        let known = if name == VERSIONS { 2 } else { 1 };
        let told =
            format!("{name} has format 9, newer than {known}, the newest that is known here");
        assert_eq!(refused.to_string(), told, "row {number}");
        let is_page = number == 2 || number == 3;
        assert!(is_page || disk.image() == image, "row {number}: {refused}");
    }
}
