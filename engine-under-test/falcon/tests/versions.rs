//! A page whose last write the device has lost is told, although it is whole; and so is a lost write of the file
//! that knows of it.
//!
//! # Method
//!
//! The database is [`sample`], closed, and then once more with later changes. Of the later one each page that
//! differs is put back as it was, alone or together with the file of versions; of the file each copy of a block is.
//! Crashes are openings of what was there before each write of a checkpoint.
//!
//! # Invariant
//!
//! Such a database is refused, or its reading is, with file and page. What a crash can leave is not.

#[path = "image_disk/mod.rs"]
mod image_disk;
#[path = "sample/mod.rs"]
mod sample;

use std::path::Path;

use falcon::page::key::KeyValue;
use falcon::{Database, Error, Options};

use image_disk::{ENOSPC, Fault, Image, ImageDisk, Kind};
use sample::{DOUBLE_WRITE, End, LOG, PAGES, Sample, VERSIONS, answer, options, sample};

const PAGE_BYTES: usize = 1_024;
const COPY_BYTES: usize = 4_096;

/// Puts some rows, in a life of its own.
fn live(disk: &ImageDisk, numbers: std::ops::Range<u64>) {
    let database = Database::open(&disk.shared(), &options()).expect("it is whole");
    let table = database.table("letters").expect("it was made");
    let mut txn = database.begin();
    for number in numbers {
        let row = [KeyValue::U64(number), KeyValue::Bytes(vec![7; 300].into())];
        txn.insert(&table, &row).expect("no fault");
    }
    txn.commit().expect("no fault");
    database.close().expect("no fault");
}

/// The sample, and the same later.
fn earlier_and_later() -> (Sample, Image) {
    let earlier = sample(End::Closed);
    let disk = ImageDisk::of(&earlier.image);
    live(&disk, 100..112);
    let database = Database::open(&disk.shared(), &options()).expect("it is whole");
    database.create_sequence("numbers").expect("no fault");
    database.close().expect("no fault");
    (earlier, disk.image())
}

/// The refusal must name the file of versions, and say what is lost and the way out.
fn check_told(refused: &Error) {
    let Error::Damaged { file, place, what } = refused else { panic!("{refused}") };
    assert_eq!(file.as_path(), Path::new(VERSIONS));
    assert!(place.starts_with("save "), "{refused}");
    assert!(what.contains("a write is lost") && what.contains("make_versions_anew"), "{refused}");
}

#[test]
fn a_page_whose_last_write_is_lost_is_told() {
    let (earlier, later) = earlier_and_later();
    let whole = answer(&ImageDisk::of(&later).shared()).expect("it is whole");
    assert!(whole != earlier.answer, "the later one has more rows");
    let mut told = Vec::new();
    for (space, name) in PAGES.into_iter().enumerate() {
        for (number, old) in earlier.image[name].chunks(PAGE_BYTES).enumerate() {
            let at = number * PAGE_BYTES;
            if later[name][at..at + PAGE_BYTES] == *old {
                continue;
            }
            let mut image = later.clone();
            image.get_mut(name).expect("it is a file")[at..at + PAGE_BYTES].copy_from_slice(old);
            let refused = answer(&ImageDisk::of(&image).shared()).expect_err("a page is old");
            let Error::Damaged { file, place, what } = &refused else { panic!("{refused}") };
            let expected = format!("page {number} of tablespace {space}");
            assert_eq!((file.as_path(), place), (Path::new(name), &expected));
            assert!(what.ends_with("a write is lost"), "{refused}");
            // What broke: page and versions went back together, and the old page was taken for the last one. It
            // would have cost a user rows that were acknowledged, without a word. What mends it: the log says
            // what the file was at the last checkpoint.
            image.insert(VERSIONS.into(), earlier.image[VERSIONS].clone());
            check_told(&answer(&ImageDisk::of(&image).shared()).expect_err("both are old"));
            told.push((name, number));
        }
    }
    assert!(told.len() > 6 && PAGES.iter().all(|name| told.iter().any(|(of, _)| of == name)));
}

/// Each copy as it was earlier, zeros, or noise: it is told if it counts, and else nothing needs it.
#[test]
fn a_lost_write_of_the_file_itself_is_told() {
    let (earlier, later) = earlier_and_later();
    let whole = answer(&ImageDisk::of(&later).shared()).expect("it is whole");
    let [mut told, mut same] = [0; 2];
    for (number, new) in later[VERSIONS].chunks(COPY_BYTES).enumerate() {
        let at = number * COPY_BYTES;
        let old = earlier.image[VERSIONS].get(at..at + COPY_BYTES).unwrap_or(&[0; COPY_BYTES]);
        for bytes in [old, &[0; COPY_BYTES], &[0x5a; COPY_BYTES]] {
            if bytes == new {
                continue;
            }
            let mut image = later.clone();
            image.get_mut(VERSIONS).expect("it is a file")[at..at + COPY_BYTES]
                .copy_from_slice(bytes);
            match answer(&ImageDisk::of(&image).shared()) {
                Ok(found) => {
                    assert!(found == whole, "copy {number}");
                    same += 1;
                }
                Err(refused) => {
                    check_told(&refused);
                    told += 1;
                }
            }
        }
    }
    assert!(told >= 3 && same >= 2, "{told} told, {same} the same");
}

/// A refusal changes no page, and with the file as it was the database opens.
#[test]
fn a_refused_database_opens_when_the_file_is_mended() {
    let (earlier, later) = earlier_and_later();
    let whole = answer(&ImageDisk::of(&later).shared()).expect("it is whole");
    let mut image = later.clone();
    image.insert(VERSIONS.into(), earlier.image[VERSIONS].clone());
    let disk = ImageDisk::of(&image);
    check_told(&answer(&disk.shared()).expect_err("it is old"));
    let mut after = disk.image();
    for name in after.keys().filter(|name| !LOG.contains(&name.as_str())) {
        assert!(after[name] == image[name], "{name}");
    }
    after.insert(VERSIONS.into(), later[VERSIONS].clone());
    assert!(answer(&ImageDisk::of(&after).shared()).expect("it is mended") == whole);
}

#[test]
fn versions_that_the_log_does_not_reach_are_told() {
    let (earlier, later) = earlier_and_later();
    let mut image = earlier.image;
    image.insert(VERSIONS.into(), later[VERSIONS].clone());
    let refused = answer(&ImageDisk::of(&image).shared()).expect_err("the rest is old");
    assert!(
        matches!(&refused, Error::Damaged { file, .. } if LOG.iter().any(|log| file == Path::new(log))),
        "{refused}"
    );
}

#[test]
fn without_the_file_nothing_opens_unless_that_is_wanted() {
    let (_, later) = earlier_and_later();
    let whole = answer(&ImageDisk::of(&later).shared()).expect("it is whole");
    let contents = [None, Some(Vec::new()), Some(vec![0x5a; 700]), Some(vec![0; 16_384])];
    for content in contents {
        let mut image = later.clone();
        match &content {
            None => image.remove(VERSIONS),
            Some(bytes) => image.insert(VERSIONS.into(), bytes.clone()),
        };
        let disk = ImageDisk::of(&image);
        let refused = answer(&disk.shared()).expect_err("the log knows of more");
        match (&content, &refused) {
            (None, Error::Missing { file }) => assert_eq!(file.as_path(), Path::new(VERSIONS)),
            (None, _) => panic!("{refused}"),
            (Some(_), _) => check_told(&refused),
        }
        assert_eq!(disk.image().contains_key(VERSIONS), content.is_some());
        let anew = Options { make_versions_anew: true, ..options() };
        let database = Database::open(&disk.shared(), &anew).expect("it is wanted");
        database.close().expect("no fault");
        // The name is durable as well.
        disk.cut_power();
        let found = answer(&disk.shared()).unwrap_or_else(|error| panic!("{content:?}: {error}"));
        assert!(found == whole, "{content:?}");
    }
}

/// Crashes before each write of an opening and a checkpoint, and again in the openings after them, with all that
/// was written there or only what was synced.
#[test]
fn crashes_around_a_save_raise_no_alarm() {
    let earlier = sample(End::Crashed);
    let mut crashes = 0;
    for after in 0..60 {
        let disk = ImageDisk::of(&earlier.image);
        for again in 0..4 {
            let fault = Fault { kind: Kind::Growing, after, is_once: false, errno: ENOSPC };
            disk.set_fault(Some(fault));
            let ended = answer(&disk.shared());
            let what = format!("{after}, {again}: {:?}", ended.as_ref().err());
            assert!(!matches!(ended, Err(Error::Damaged { .. } | Error::Missing { .. })), "{what}");
            crashes += u32::from(ended.is_err());
            disk.set_fault(None);
            if (after + again) % 2 == 0 {
                disk.cut_power();
            }
            // Whether what is left opens, without any change of what comes next.
            let found = answer(&ImageDisk::of(&disk.image()).shared());
            assert!(found.unwrap_or_else(|error| panic!("{what}: {error}")) == earlier.answer);
        }
        live(&disk, 200..212);
        live(&disk, 300..303);
    }
    assert!(crashes > 100, "{crashes}");
}

/// What a checkpoint wrote over, torn: of its copies only those may be lost that do not count before its record is
/// durable, and at no time both of a block.
#[test]
fn a_torn_save_raises_no_alarm() {
    let sample = sample(End::InCheckpoint);
    let before = {
        let disk = ImageDisk::of(&sample.image);
        disk.remember();
        drop(Database::open(&disk.shared(), &options()).expect("no fault"));
        // The record of the opening's checkpoint is not there, and its save is.
        disk.before_last_write()
    };
    let [mut torn, mut saved] = [0; 2];
    for image in [&sample.image, &before] {
        for (number, bytes) in before[VERSIONS].chunks(COPY_BYTES).enumerate() {
            let at = number * COPY_BYTES;
            let is_written = sample.image[VERSIONS].get(at..at + COPY_BYTES) != Some(bytes);
            if !is_written || image[VERSIONS].len() < at + COPY_BYTES {
                continue;
            }
            saved += 1;
            for part in [0..512, 2_048..4_096, 0..4_096] {
                let mut image = image.clone();
                image.get_mut(VERSIONS).expect("it is a file")[at..][part].fill(0x5a);
                let found = answer(&ImageDisk::of(&image).shared()).expect("it was not sealed");
                assert!(found == sample.answer, "copy {number}");
                torn += 1;
            }
        }
    }
    assert!(saved >= 2 && torn >= 6, "{saved} copies, torn {torn} times");
}

/// Databases of the first formats have no file, and what their checkpoints say has no seal.
#[test]
fn a_database_without_a_seal_gets_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/formats/1/closed");
    for first in [None, Some(vec![0x5a; 1_536])] {
        #[allow(clippy::disallowed_methods, reason = "the files are those of the real machine")]
        let read = |name: &str| std::fs::read(folder.join(name)).expect("it is kept");
        let names = PAGES.into_iter().chain(LOG).chain([DOUBLE_WRITE, "lock"]);
        let mut image: Image = names.map(|name| (name.to_string(), read(name))).collect();
        image.extend(first.map(|bytes| (VERSIONS.to_string(), bytes)));
        let disk = ImageDisk::of(&image);
        let database = Database::open(&disk.shared(), &options()).expect("it is old, and whole");
        database.close().expect("no fault");
        disk.cut_power();
        let mut image = disk.image();
        assert!(answer(&ImageDisk::of(&image).shared()).is_ok(), "it has a seal");
        image.remove(VERSIONS);
        let refused = answer(&ImageDisk::of(&image).shared()).expect_err("it is missed");
        assert!(matches!(refused, Error::Missing { .. }), "{refused}");
    }
}
