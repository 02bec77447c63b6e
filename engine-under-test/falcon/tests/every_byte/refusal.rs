//! What an opening that ends with an error may have changed.

use std::path::Path;

use falcon::{Error, PageId, PageNumber, TablespaceId, log, page};

use crate::image_disk::{Image, ImageDisk};
use crate::log_tail::last_block;
use crate::outcome::{Damage, answer_of};
use crate::sample::{LOG, PAGES, Sample, VERSIONS};

/// Compares the files before and after, and opens the database with the damage mended.
pub fn check_unchanged(
    sample: &Sample,
    damage: Damage<'_>,
    before: &Image,
    after: &Image,
    error: &Error,
) {
    if before == after {
        return;
    }
    // Headers, log and copies are read before anything is written, other pages after that; what is known of
    // pages is compared with the log when that was opened.
    let Error::Damaged { file, place, .. } = error else {
        panic!("{damage:?}: files were changed by what was refused: {error}");
    };
    let is_of_page =
        PAGES.iter().any(|name| file == Path::new(name)) && !place.starts_with("page 0 ");
    let is_of_versions = file == Path::new(VERSIONS);
    assert!(
        is_of_page || is_of_versions,
        "{damage:?}: files were changed by what was refused: {error}"
    );
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    check_log(before, after);
    if is_of_versions {
        let others = before.keys().filter(|name| !LOG.contains(&name.as_str()));
        others.for_each(|name| assert!(before[name] == after[name], "{damage:?}: {name}: {error}"));
    }
    for (tablespace, name) in PAGES.into_iter().enumerate() {
        check_pages(tablespace as u32, &before[name], &after[name]);
    }
    // Where a log or a copy was damaged, and only a page tells, what they had is given up by then.
    if damage.at.is_multiple_of(16) && (PAGES.contains(&damage.file) || is_of_versions) {
        let mut mended = after.clone();
        let byte = sample.image[damage.file][damage.at];
        mended.get_mut(damage.file).expect("it is a file")[damage.at] = byte;
        let found = answer_of(&mended).unwrap_or_else(|error| panic!("{damage:?}: {error}"));
        assert!(found == sample.answer, "{damage:?}: the refusal has changed the answer");
    }
}

/// Of the log nothing was changed but what is behind its last block.
fn check_log(before: &Image, after: &Image) {
    let dump = log::dump(&ImageDisk::of(before), LOG.map(Path::new)).expect("it is whole");
    let (last_file, last) = last_block(&dump, LOG);
    for (number, name) in LOG.into_iter().enumerate() {
        let (before, after) = (&before[name], &after[name]);
        let is_free = |at: usize| number == last_file && at >= last.end;
        let changed = (0..before.len()).filter(|at| before[*at] != after[*at]);
        assert_eq!(changed.into_iter().find(|at| !is_free(*at)), None, "{name}: {dump}");
    }
}

/// A page that was changed was brought on by the log: it is whole, and later than before if it was whole then.
fn check_pages(tablespace: u32, before: &[u8], after: &[u8]) {
    for (number, after) in after.chunks(1_024).enumerate() {
        let before = before.get(number * 1_024..(number + 1) * 1_024).unwrap_or_default();
        if before == after {
            continue;
        }
        let id = PageId { tablespace: TablespaceId(tablespace), number: PageNumber(number as u32) };
        let written = page::check(after, id).unwrap_or_else(|error| panic!("{error}"));
        if let Ok(read) = page::check(before, id) {
            assert!(read.lsn < written.lsn, "{id}: {} to {}", read.lsn, written.lsn);
        }
    }
}
