//! A database whose files are damaged, opened and read in the middle of a run.
//!
//! # Method
//!
//! A picture of a database is damaged at a drawn place and opened beside the database of the run. What comes of it
//! is the answer that the picture must give, or an error that names file and place. Where the damage is such that
//! one error alone is right, as that of a file which is another's, that one is demanded, and that nothing was
//! changed.
//!
//! # Invariant
//!
//! Never another answer; and never a panic, which the machine tells by itself.

use std::path::Path;

use falcon::{Database as Falcon, Error, PageId, PageNumber, TablespaceId, page};

use super::picture::{
    BLOCK_BYTES, DOUBLE_WRITE, Files, LOG, PAGE_BYTES, PAGES, Picture, PictureDisk, SEALED,
    VERSIONS, answer, options,
};
use super::{blocks, forged, parts, pick};
use crate::engine::EngineError;

/// All files that an opening looks at before it writes anything.
const FILES: [&str; 5] = [PAGES[0], PAGES[1], LOG[0], LOG[1], DOUBLE_WRITE];

/// Damages one thing: most often a part by itself, for a whole database takes its time.
pub(super) fn upkeep() -> Result<(), EngineError> {
    match pick("falcon/damaged", 64) {
        0..=1 => spoiled(picked()),
        2 => refused(picked()),
        3..=4 => forged::upkeep(),
        5..=6 => forged::at_random(),
        _ => parts::upkeep(),
    }
}

/// A drawn picture, with a file of versions or without.
fn picked() -> &'static Picture {
    match pick("falcon/sealed", 2) {
        0 => parts::picked(),
        _ => &SEALED[pick("falcon/picture", 2) as usize],
    }
}

pub(super) fn corrupt(what: String) -> Result<(), EngineError> {
    Err(EngineError::Corrupt { what })
}

/// What was damaged, in words.
#[derive(Debug)]
struct Damage {
    file: &'static str,
    at: usize,
    is_cut: bool,
    /// A page whose second half was not written.
    torn: Option<usize>,
}

/// Opens and reads it all, as well as what it says of its structure.
fn looked(disk: &std::sync::Arc<PictureDisk>, picture: &Picture) -> falcon::Result<String> {
    let falcon = Falcon::open(&(disk.clone() as _), &options())?;
    let mut text = answer(&falcon, picture.answer)?;
    for problem in falcon.verify()?.problems {
        text += &format!("problem: {problem}\n");
    }
    falcon.close()?;
    Ok(text)
}

/// A byte of a file is another, or its end is cut off.
fn spoiled(picture: &Picture) -> Result<(), EngineError> {
    let mut files = picture.files();
    let damage = spoil(&mut files);
    let disk = PictureDisk::of(files);
    match looked(&disk, picture) {
        Ok(found) if found == picture.answer => Ok(()),
        Ok(found) if LOG.contains(&damage.file) => without_last(picture, &damage, &found),
        Ok(_) => corrupt(format!("{damage:?}: another answer")),
        Err(error) if !is_named(&error, &damage) => corrupt(format!("{damage:?}: {error}")),
        Err(error) => mended(picture, &disk, &damage, &error),
    }
}

fn spoil(files: &mut Files) -> Damage {
    let mut names = FILES.to_vec();
    names.extend(files.contains_key(VERSIONS).then_some(VERSIONS));
    let file = names[pick("falcon/spoiled", names.len() as u64) as usize];
    let bytes = files.get_mut(file).expect("every picture has it");
    let sectors = (bytes.len() / BLOCK_BYTES) as u64;
    let at = pick("falcon/sector", sectors) as usize * BLOCK_BYTES + parts::place(BLOCK_BYTES);
    let is_cut = pick("falcon/cut", 4) == 3;
    match is_cut {
        true => bytes.truncate(at),
        false => bytes[at] = parts::another(bytes[at]),
    }
    // Where nothing says how new pages are, a damaged copy may let an older one count, and nobody can know.
    let is_told = file == DOUBLE_WRITE && files.contains_key(VERSIONS);
    let is_torn = is_told && pick("falcon/torn", 2) == 1;
    let torn = is_torn.then(|| {
        let pages = files.get_mut(PAGES[1]).expect("every picture has it");
        // Not the header, which has no copy.
        let count = (pages.len() / PAGE_BYTES - 1) as u64;
        let page = 1 + pick("falcon/page", count) as usize;
        pages[page * PAGE_BYTES + PAGE_BYTES / 2..][..PAGE_BYTES / 2].fill(0);
        page
    });
    Damage { file, at, is_cut, torn }
}

/// The file and the place in it that an error of what is damaged names.
pub(super) fn placed(error: &Error) -> Option<(&Path, &str)> {
    match error {
        Error::Damaged { file, place, .. } => Some((file, place)),
        // The first bytes of a file tell whose it is, before anything else is believed.
        Error::Foreign { file, .. } | Error::Newer { file, .. } => Some((file, "its beginning")),
        _ => None,
    }
}

/// An error names the file that is damaged, and the place in it; of a torn page whose copy is damaged, the page; of
/// a log whose end is gone, where it ends now.
fn is_named(error: &Error, damage: &Damage) -> bool {
    let Some((file, place)) = placed(error) else { return false };
    let is_of = |name: &str| file == Path::new(name);
    let is_of_other = match damage.torn {
        Some(_) => is_of(PAGES[1]),
        None => damage.is_cut && LOG.contains(&damage.file) && LOG.into_iter().any(is_of),
    };
    !place.is_empty() && (is_of(damage.file) || is_of_other)
}

/// Where the log's last block is damaged it is as if that had never been written; where the end of its file is
/// gone, as if that had not.
fn without_last(picture: &Picture, damage: &Damage, found: &str) -> Result<(), EngineError> {
    let mut files = picture.files();
    let blocks = blocks::all(&files);
    let is_hit = |block: &&blocks::Block| {
        let is_behind = damage.at < block.range.end;
        let is_of = damage.is_cut || block.range.start <= damage.at;
        LOG[block.file] == damage.file && is_behind && is_of
    };
    if !blocks.last().is_some_and(|last| is_hit(&last)) {
        return corrupt(format!("{damage:?}: a commit is lost"));
    }
    let log = files.get_mut(damage.file).expect("it is there");
    blocks.iter().filter(is_hit).for_each(|block| log[block.range.clone()].fill(0));
    match looked(&PictureDisk::of(files), picture) {
        Ok(without) if without == found => Ok(()),
        Ok(_) => corrupt(format!("{damage:?}: another answer than without the log's end")),
        Err(error) => corrupt(format!("{damage:?}: an answer, and without the end {error}")),
    }
}

/// What was refused for a page can be opened when the damage is mended.
fn mended(
    picture: &Picture,
    disk: &PictureDisk,
    damage: &Damage,
    error: &Error,
) -> Result<(), EngineError> {
    if !PAGES.contains(&damage.file) || damage.is_cut || pick("falcon/mended", 4) < 3 {
        return Ok(());
    }
    let mut files = disk.files();
    let whole = picture.bytes(damage.file)[damage.at];
    files.get_mut(damage.file).expect("it is there")[damage.at] = whole;
    match looked(&PictureDisk::of(files), picture) {
        Ok(found) if found == picture.answer => Ok(()),
        Ok(_) => corrupt(format!("{damage:?} was mended after {error}: another answer")),
        Err(again) => corrupt(format!("{damage:?} was mended after {error}: {again}")),
    }
}

/// What a damage must come to.
type Expected = fn(&Error) -> bool;

/// Files of which an opening must tell one thing.
fn refused(picture: &Picture) -> Result<(), EngineError> {
    let mut files = picture.files();
    let ways = WAYS.len() as u64;
    let (what, name, expected) = WAYS[pick("falcon/refused", ways) as usize](&mut files);
    let disk = PictureDisk::of(files.clone());
    let opened = Falcon::open(&(disk.clone() as _), &options());
    let told = match &opened {
        Err(
            error @ (Error::Damaged { file, .. }
            | Error::Foreign { file, .. }
            | Error::Newer { file, .. }
            | Error::Missing { file }),
        ) => expected(error) && file == Path::new(name) && error.to_string().contains(name),
        _ => false,
    };
    let is_same = |name: &&str| disk.bytes(name).as_ref() == files.get(*name);
    match FILES.iter().find(|name| !is_same(name)) {
        None if told => Ok(()),
        None => corrupt(format!("{name}, {what}: {opened:?}")),
        Some(changed) => corrupt(format!("{name}, {what}: {changed} was changed")),
    }
}

/// One way to make files that are refused: what was done, to which file, and what must be told.
type Way = fn(&mut Files) -> (&'static str, &'static str, Expected);

const WAYS: [Way; 13] = [
    |files| {
        let name = FILES[pick("falcon/file", FILES.len() as u64) as usize];
        files.remove(name);
        ("missing", name, |error| matches!(error, Error::Missing { .. }))
    },
    |files| {
        let name = head(files, |bytes| bytes.truncate(100));
        ("cut within its header", name, |error| matches!(error, Error::Damaged { .. }))
    },
    |files| {
        let name = head(files, |bytes| bytes[24] ^= 1);
        ("of another kind", name, |error| matches!(error, Error::Foreign { .. }))
    },
    |files| {
        let name = head(files, |bytes| bytes[32] = 9);
        ("of a later format", name, |error| matches!(error, Error::Newer { found: 9, .. }))
    },
    |files| {
        let name = head(files, |bytes| bytes[32] = 0);
        ("of no format", name, |error| told(error, "format"))
    },
    |files| {
        let name = head(files, |bytes| bytes[36..40].copy_from_slice(&999_u32.to_le_bytes()));
        ("of pages of another size", name, |error| told(error, "page size"))
    },
    |files| {
        head(files, |bytes| bytes[40] ^= 1);
        // The file of the catalogue is the first, and the others are of another database then.
        ("of another database", PAGES[1], |error| told(error, "it is of another database"))
    },
    |files| {
        let name = head(files, |bytes| bytes[34] = 0);
        ("not completed", name, |error| matches!(error, Error::Foreign { .. }))
    },
    |files| {
        let name = log(files, |bytes| bytes[0] ^= 1);
        ("of another kind", name, |error| told(error, "begin as a file of the log"))
    },
    |files| {
        let name = log(files, |bytes| bytes[8] = 9);
        ("of a later format", name, |error| matches!(error, Error::Newer { found: 9, .. }))
    },
    |files| {
        let name = log(files, |bytes| bytes[16] ^= 1);
        ("of another database", name, |error| told(error, "it belongs to database"))
    },
    |files| {
        let name = log(files, |bytes| bytes[10] ^= 1);
        ("the other one", name, |error| told(error, "it is the other file"))
    },
    |files| match pick("falcon/aligned", 3) {
        0 => {
            let name = log(files, |bytes| bytes[12..16].copy_from_slice(&48_u32.to_le_bytes()));
            ("with blocks of 48 bytes", name, |error| told(error, "cannot be aligned to 48"))
        }
        1 => {
            log(files, |bytes| bytes[12..16].copy_from_slice(&1_024_u32.to_le_bytes()));
            ("with other blocks than the other", LOG[1], |error| told(error, "blocks are aligned"))
        }
        _ => {
            for name in LOG {
                let bytes = files.get_mut(name).expect("it is there");
                bytes[BLOCK_BYTES..].fill(0);
            }
            ("empty, as the other one", LOG[0], |error| told(error, "there is no block"))
        }
    },
];

fn told(error: &Error, what: &str) -> bool {
    error.to_string().contains(what)
}

/// Changes the header of a drawn file of pages, and seals it.
fn head(files: &mut Files, change: impl FnOnce(&mut Vec<u8>)) -> &'static str {
    let tablespace = pick("falcon/tablespace", 2) as usize;
    let name = PAGES[tablespace];
    let tablespace = TablespaceId(tablespace as u32);
    let bytes = files.get_mut(name).expect("every picture has it");
    change(bytes);
    if let Some(header) = bytes.get_mut(..PAGE_BYTES) {
        page::seal(header, PageId { tablespace, number: PageNumber(0) });
    }
    name
}

/// Changes the header of a drawn file of the log, and seals it.
fn log(files: &mut Files, change: impl FnOnce(&mut Vec<u8>)) -> &'static str {
    let name = LOG[pick("falcon/log", 2) as usize];
    let bytes = files.get_mut(name).expect("every picture has it");
    change(bytes);
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    name
}

#[cfg(test)]
mod tests {
    use super::super::picture::{CLOSED, CRASHED};
    use super::super::tests::on_machines;
    use super::*;

    const SEEDS: u64 = 200;

    #[test]
    fn pictures_are_whole() {
        on_machines("pictures_are_whole", SEEDS, || {
            for picture in [&CLOSED, &CRASHED].into_iter().chain(&SEALED) {
                let found = looked(&PictureDisk::of(picture.files()), picture).expect("whole");
                assert_eq!(found, picture.answer);
            }
            Ok(())
        });
    }

    #[test]
    fn what_is_spoiled_is_told() {
        on_machines("what_is_spoiled_is_told", SEEDS, || spoiled(picked()));
    }

    #[test]
    fn what_must_be_refused_is_refused() {
        on_machines("what_must_be_refused_is_refused", SEEDS, || refused(picked()));
    }
}
