//! Files that are cut, replaced, or no files.

use std::path::Path;

use falcon::{Database, Error};

use crate::FILES;
use crate::image_disk::{EISDIR, Image, ImageDisk};
use crate::sample::{
    Answer, DOUBLE_WRITE, End, LOG, PAGES, Sample, VERSIONS, options, read_all, sample,
};

fn answer(disk: &ImageDisk) -> Result<Answer, Error> {
    let database = Database::open(&disk.shared(), &options())?;
    let answer = read_all(&database)?;
    database.close()?;
    Ok(answer)
}

fn with(sample: &Sample, name: &str, bytes: Vec<u8>) -> Image {
    let mut image = sample.image.clone();
    image.insert(name.into(), bytes);
    image
}

/// An error, which must name `name`.
fn refusal(image: &Image, name: &str, what: &str) -> Error {
    let refused = answer(&ImageDisk::of(image)).expect_err("it cannot be opened");
    let file = match &refused {
        Error::Damaged { file, .. } | Error::Foreign { file, .. } | Error::Newer { file, .. } => {
            file
        }
        other => panic!("{what}: {other}"),
    };
    // Which file of the log has lost its end only the order of its blocks could tell.
    let is_log = LOG.contains(&name) && LOG.iter().any(|log| file == Path::new(log));
    assert!(is_log || file == Path::new(name), "{what}: {refused}");
    refused
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named() {
    let sample = sample(End::Crashed);
    for name in FILES.into_iter().filter(|name| *name != ".") {
        let disk = ImageDisk::of(&sample.image);
        disk.make_folder(name);
        let before = disk.image();
        let refused = answer(&disk).expect_err("it is no file");
        let said = std::io::Error::from_raw_os_error(EISDIR).to_string();
        let is_named = matches!(&refused, Error::Io { file, source, .. }
            if file == Path::new(name) && source.to_string() == said);
        assert!(is_named, "{name}: {refused}");
        assert!(disk.image() == before, "{name}: {refused}");
        let refused = Database::create(&disk.shared(), &options()).expect_err("it is no file");
        assert!(matches!(refused, Error::Exists | Error::Io { .. }), "{name}: {refused}");
        assert!(disk.image() == before, "{name}: {refused}");
    }
}

#[test]
fn what_is_no_file_of_a_database_is_named() {
    let sample = sample(End::Crashed);
    let random = (0_u64..20_000).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8);
    let contents = [
        ("nothing", Vec::new()),
        ("one byte", vec![7]),
        ("a text", "A letter, and no database.\n".repeat(400).into_bytes()),
        ("noise", random.collect()),
        ("zeros", vec![0; 20_000]),
    ];
    for (what, bytes) in contents {
        for name in PAGES.into_iter().chain(LOG) {
            let image = with(&sample, name, bytes.clone());
            let disk = ImageDisk::of(&image);
            refusal(&image, name, what);
            assert!(answer(&disk).is_err() && disk.image() == image, "{what} as {name}");
        }
        refusal(&with(&sample, VERSIONS, bytes.clone()), VERSIONS, what);
        // Pages are whole, so that nobody needs their copies, whatever is in their place.
        let image = with(&sample, DOUBLE_WRITE, bytes);
        let found =
            answer(&ImageDisk::of(&image)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(found == sample.answer, "{what}");
    }
}

/// Files of one tablespace or of the log in the place of each other.
#[test]
fn files_that_were_exchanged_are_named() {
    let sample = sample(End::Crashed);
    let pairs =
        [(PAGES[0], PAGES[1]), (LOG[0], LOG[1]), (PAGES[1], LOG[0]), (DOUBLE_WRITE, LOG[0])];
    for (one, other) in pairs {
        let mut image = sample.image.clone();
        image.insert(one.into(), sample.image[other].clone());
        image.insert(other.into(), sample.image[one].clone());
        let disk = ImageDisk::of(&image);
        let refused = answer(&disk).expect_err("they are not in their places");
        let told = refused.to_string();
        assert!(told.contains(one) || told.contains(other), "{one} and {other}: {told}");
        assert!(disk.image() == image, "{one} and {other}: {told}");
    }
}

/// What is behind the cut is missed, or was not needed. Of the log's end nothing can tell but pages that were
/// written with it: it may be one that a crash has left.
#[test]
fn a_file_that_was_cut_is_named_or_not_needed() {
    for end in [End::Closed, End::Crashed, End::InCheckpoint] {
        let sample = sample(end);
        let [mut same, mut before, mut named] = [0; 3];
        for name in PAGES.into_iter().chain(LOG).chain([DOUBLE_WRITE, VERSIONS]) {
            let bytes = &sample.image[name];
            for length in (0..bytes.len()).step_by(256) {
                let what = format!("{end:?}, {name} of {length} bytes");
                let image = with(&sample, name, bytes[..length].to_vec());
                match answer(&ImageDisk::of(&image)) {
                    Ok(found) if found == sample.answer => same += 1,
                    Ok(found) => {
                        let is_log = LOG.contains(&name) && end == End::Crashed;
                        assert!(is_log && sample.before.contains(&found), "{what}: another answer");
                        before += 1;
                    }
                    Err(_) => {
                        refusal(&image, name, &what);
                        named += 1;
                    }
                }
            }
        }
        println!("{end:?}: {same} the same, {before} without the end, {named} named");
        assert!(same > 10 && named > 10, "{end:?}: {same} the same, {named} named");
    }
}
