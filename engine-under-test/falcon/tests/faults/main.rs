//! What is wrong with a disk, with files or with settings is told, and nothing that was acknowledged is lost.
//!
//! # Method
//!
//! The database is [`sample`], on a disk in memory: each file is cut, replaced or gone; each setting is out of
//! range; and each call of the disk fails in turn, for a moment or from there on, in a life on the simulated
//! machine, whose end may be one of the power too.
//!
//! # Invariant
//!
//! An error names the file or the setting. When what was wrong is mended, all is there that was acknowledged, and
//! nothing that was not asked for.

mod calls;
mod creation;
mod files;
mod settings;

#[path = "../image_disk/mod.rs"]
mod image_disk;
#[path = "../sample/mod.rs"]
mod sample;

use falcon::Error;

/// Files that an error may name.
const FILES: [&str; 9] = [
    "catalogue.pages",
    "user.pages",
    "log.1",
    "log.2",
    "double-write",
    "versions",
    "lock",
    "creating",
    ".",
];

/// The error says what the disk has said, and of which file.
fn check_told(error: &Error, errno: i32) {
    let told = error.to_string();
    let said = std::io::Error::from_raw_os_error(errno).to_string();
    assert!(told.contains(&said), "{told}");
    assert!(FILES.iter().any(|file| told.contains(&format!(" of {file}: "))), "{told}");
}
