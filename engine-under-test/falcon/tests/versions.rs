//! A page whose last write the device has lost is told, although it is whole.
//!
//! # Method
//!
//! The database is [`sample`], closed, and then once more with later changes. Of the later one each page that
//! differs is put back as it was, one at a time.
//!
//! # Invariant
//!
//! Such a database is refused, or its reading is, with file and page. Without the file of versions everything is
//! as it was, and the file is made anew.

#[path = "image_disk/mod.rs"]
mod image_disk;
#[path = "sample/mod.rs"]
mod sample;

use std::path::Path;

use falcon::page::key::KeyValue;
use falcon::{Database, Error};

use image_disk::{Image, ImageDisk};
use sample::{End, LOG, PAGES, Sample, answer, options, sample};

const VERSIONS: &str = "versions";
const PAGE_BYTES: usize = 1_024;

/// The sample, and the same later.
fn earlier_and_later() -> (Sample, Image) {
    let earlier = sample(End::Closed);
    let disk = ImageDisk::of(&earlier.image);
    let database = Database::open(&disk.shared(), &options()).expect("it is whole");
    let table = database.table("letters").expect("it was made");
    let mut txn = database.begin();
    for number in 100..112 {
        let row = [KeyValue::U64(number), KeyValue::Bytes(vec![7; 300].into())];
        txn.insert(&table, &row).expect("no fault");
    }
    txn.commit().expect("no fault");
    database.create_sequence("numbers").expect("no fault");
    database.close().expect("no fault");
    (earlier, disk.image())
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
            told.push((name, number));
        }
    }
    assert!(told.len() > 6 && PAGES.iter().all(|name| told.iter().any(|(of, _)| of == name)));
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
fn without_the_file_everything_is_as_it_was() {
    let (_, later) = earlier_and_later();
    let whole = answer(&ImageDisk::of(&later).shared()).expect("it is whole");
    let contents = [None, Some(Vec::new()), Some(vec![0x5a; 700]), Some(vec![0; 4_096])];
    for content in contents {
        let mut image = later.clone();
        match &content {
            None => image.remove(VERSIONS),
            Some(bytes) => image.insert(VERSIONS.into(), bytes.clone()),
        };
        let disk = ImageDisk::of(&image);
        let found = answer(&disk.shared()).unwrap_or_else(|error| panic!("{content:?}: {error}"));
        assert!(found == whole, "{content:?}");
        assert!(disk.image().contains_key(VERSIONS), "{content:?}");
    }
}
