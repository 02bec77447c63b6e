//! What comes of an opening of a database with one damaged byte.

use std::path::Path;

use falcon::{Database, Error};

use crate::image_disk::{Image, ImageDisk};
use crate::refusal::check_unchanged;
use crate::sample::{Answer, Sample, options, read_all, read_rows};

/// Which byte is damaged, and what it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Damage<'a> {
    pub file: &'a str,
    pub at: usize,
    pub byte: u8,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was the same.
    Same,
    /// The answer was that of the database without its last transaction.
    WithoutLast,
    /// There was an error, which named the file.
    Named,
}

/// How often each outcome was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub same: usize,
    pub without_last: usize,
    pub named: usize,
}

impl Count {
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Same => self.same += 1,
            Outcome::WithoutLast => self.without_last += 1,
            Outcome::Named => self.named += 1,
        }
    }
}

/// Opens the sample with that damage, and judges what comes of it. An error may name one of the `others` in place
/// of the file that is damaged.
pub fn outcome(sample: &Sample, damage: Damage<'_>, others: &[&str]) -> Outcome {
    let mut image = sample.image.clone();
    image.get_mut(damage.file).expect("it is a file")[damage.at] = damage.byte;
    let disk = ImageDisk::of(&image);
    match answer(&disk, damage.at.is_multiple_of(64)) {
        Ok(found) if found == sample.answer => Outcome::Same,
        Ok(found) if Some(&found) == sample.before.last() => Outcome::WithoutLast,
        Ok(_) => panic!("{damage:?}: another answer"),
        Err(error) => {
            check_named(damage, others, &error);
            check_unchanged(sample, damage, &image, &disk.image(), &error);
            Outcome::Named
        }
    }
}

/// All rows; and, if it is to be looked at closely, also whether the structure is good, and the end of it.
fn answer(disk: &ImageDisk, closely: bool) -> Result<Answer, Error> {
    let database = Database::open(&disk.shared(), &options())?;
    if !closely {
        return read_rows(&database);
    }
    let answer = read_all(&database)?;
    database.close()?;
    Ok(answer)
}

/// The error names the file that is damaged, or one of the others, and the place in it.
fn check_named(damage: Damage<'_>, others: &[&str], error: &Error) {
    let (file, place) = match error {
        Error::Damaged { file, place, .. } => (file, place.as_str()),
        // The first bytes of a file tell whose it is and of which format, before anything else is believed.
        Error::Foreign { file, .. } | Error::Newer { file, .. } => (file, "its beginning"),
        other => panic!("{damage:?}: {other}"),
    };
    assert!(!place.is_empty(), "{damage:?}: {error}");
    let is_named = |name: &&str| file == Path::new(name);
    assert!(is_named(&damage.file) || others.iter().any(is_named), "{damage:?}: {error}");
}

/// What the mended database answers.
pub fn answer_of(image: &Image) -> Result<Answer, Error> {
    answer(&ImageDisk::of(image), true)
}
