//! The sweeps: which bytes of which files.

use std::ops::Range;
use std::path::Path;

use falcon::log;

use crate::image_disk::ImageDisk;
use crate::log_tail::last_block;
use crate::outcome::{Count, Damage, Outcome, answer_of, outcome};
use crate::sample::{DOUBLE_WRITE, End, LOG, PAGES, Sample, VERSIONS, sample};

/// Damages each byte of `files` that becomes another by `to`, and counts what came of it.
fn sweep(sample: &Sample, files: &[&str], to: impl Fn(usize, u8) -> Option<u8>) -> Count {
    sweep_with(sample, files, &[], to)
}

/// As [`sweep`]; errors may also name the `others`.
fn sweep_with(
    sample: &Sample,
    files: &[&str],
    others: &[&str],
    to: impl Fn(usize, u8) -> Option<u8>,
) -> Count {
    let whole = answer_of(&sample.image);
    assert!(whole.is_ok_and(|whole| whole == sample.answer), "the sample is whole");
    let (last_file, last) = end_of_log(sample);
    let mut count = Count::default();
    for file in files {
        for (at, byte) in sample.image[*file].iter().enumerate() {
            let Some(byte) = to(at, *byte).filter(|damaged| damaged != byte) else { continue };
            let damage = Damage { file, at, byte };
            let found = outcome(sample, damage, others);
            let is_last = LOG[last_file] == *file && last.contains(&at);
            assert!(is_last || found != Outcome::WithoutLast, "{damage:?}: a commit is lost");
            count.add(found);
        }
    }
    println!("{files:?}: {count:?}");
    count
}

/// File and bytes of the log's last block.
fn end_of_log(sample: &Sample) -> (usize, Range<usize>) {
    let disk = ImageDisk::of(&sample.image);
    last_block(&log::dump(&disk, LOG.map(Path::new)).expect("it is whole"), LOG)
}

/// Each byte, and of each another bit.
fn flip(at: usize, byte: u8) -> Option<u8> {
    Some(byte ^ 1 << (at % 8))
}

/// Every seventh byte, and of each another bit.
fn every_seventh(at: usize, byte: u8) -> Option<u8> {
    flip(at, byte).filter(|_| at.is_multiple_of(7))
}

/// Every thirteenth byte, and of each another bit.
fn every_thirteenth(at: usize, byte: u8) -> Option<u8> {
    flip(at, byte).filter(|_| at.is_multiple_of(13))
}

/// Few bytes, which lose all their bits, or get all.
fn clear_or_set(at: usize, _: u8) -> Option<u8> {
    match at % 31 {
        0 => Some(0),
        1 => Some(0xff),
        _ => None,
    }
}

#[test]
fn each_byte_of_the_pages_that_a_crash_has_left() {
    let count = sweep(&sample(End::Crashed), &PAGES, flip);
    assert!(count.same > 1_000, "{count:?}");
    assert!(count.named > 10_000, "{count:?}");
}

#[test]
fn each_byte_of_the_log_that_a_crash_has_left() {
    let sample = sample(End::Crashed);
    let count = sweep(&sample, &LOG, flip);
    // Every byte of the last block counts; see there why it has to be so.
    assert_eq!(count.without_last, end_of_log(&sample).1.len());
    assert!(count.same > 1_000 && count.named > 1_000, "{count:?}");
}

#[test]
fn bytes_of_the_copies_of_pages_that_a_crash_has_left() {
    let sample = sample(End::Crashed);
    let count = sweep(&sample, &[DOUBLE_WRITE], every_seventh);
    // All pages are whole, so that none of them is needed.
    assert_eq!(count.same, sample.image[DOUBLE_WRITE].len().div_ceil(7));
}

/// Of the two copies of each block every byte of the one that counts is needed, and none of the other one.
#[test]
fn bytes_of_what_is_known_of_pages() {
    for end in [End::Closed, End::Crashed, End::InCheckpoint] {
        let sample = sample(end);
        let count = sweep(&sample, &[VERSIONS], every_seventh);
        assert_eq!(count.without_last, 0);
        assert!(count.same > 500 && count.named > 500, "{end:?}: {count:?}");
    }
}

#[test]
fn bytes_of_a_database_that_was_closed() {
    let sample = sample(End::Closed);
    let files = [PAGES[0], PAGES[1], LOG[0], LOG[1], DOUBLE_WRITE];
    let count = sweep(&sample, &files, every_thirteenth);
    // All is on pages: without the log's last block there is the one before, and its start of recovery.
    assert_eq!(count.without_last, 0);
    assert!(count.same > 1_000 && count.named > 1_000, "{count:?}");
}

#[test]
fn bytes_that_lose_all_their_bits_or_get_all() {
    let sample = sample(End::Crashed);
    let count = sweep(&sample, &[PAGES[0], PAGES[1], LOG[0], LOG[1], DOUBLE_WRITE], clear_or_set);
    assert!(count.same > 100 && count.named > 100, "{count:?}");
}

/// What broke: a page that was written with changes of the log's last block was taken as it was after that block
/// had been damaged, which ended the log before it. A transaction could come back in part, and a later change of
/// the page panicked, for it went back in the log. What mends it: copies of pages, and pages that are read, must
/// not be later than the log's end.
#[test]
fn a_page_tells_that_the_log_has_lost_its_end() {
    let mut sample = sample(End::InCheckpoint);
    let (file, last) = end_of_log(&sample);
    let of_last = |at, byte| flip(at, byte).filter(|_| last.contains(&at));
    let count = sweep(&sample, &[LOG[file]], of_last);
    assert_eq!(count, Count { named: last.len(), ..Count::default() });
    // It is told by pages too, where there are no copies.
    sample.image.insert(DOUBLE_WRITE.into(), Vec::new());
    let some_of_last = |at, byte| every_seventh(at, byte).filter(|_| last.contains(&at));
    let count = sweep_with(&sample, &[LOG[file]], &PAGES, some_of_last);
    assert!(count.named > 50, "{count:?}");
    assert_eq!(count.same + count.without_last, 0, "{count:?}");
}

/// Where a page is torn its copy is needed, every byte of it.
#[test]
fn each_byte_of_the_copy_of_a_torn_page() {
    let mut sample = sample(End::InCheckpoint);
    let torn = sample.tear_a_page();
    let count = sweep_with(&sample, &[DOUBLE_WRITE], &PAGES, flip);
    assert!(count.named >= 1_024, "{count:?}, without the copy of {torn:?}");
    assert!(count.same > 1_000, "{count:?}");
}
