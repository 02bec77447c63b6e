//! What is no good database is refused, by the name of the file, and stays as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use falcon::log::LogConfig;
use falcon::{Database, Error, Options, PageNumber};
use falconry_seam::disk::{Disk, File, Metadata, OpenOptions, StdDisk};

use super::{Folder, closed, numbers, options, put};

/// The files that a database must have.
pub(super) const FILES: [&str; 5] =
    ["catalogue.pages", "user.pages", "log.1", "log.2", "double-write"];

/// Opens what is there, which must be refused and stay as it is.
fn refusal(folder: &Folder, disk: &Arc<dyn Disk>, options: &Options) -> Error {
    let before = folder.bytes();
    let refused = Database::open(disk, options).expect_err("it cannot be opened");
    let after = folder.bytes();
    let names = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        files.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after), "{refused}");
    for (name, bytes) in before {
        assert!(bytes == after[&name], "{name} was changed by what was refused: {refused}");
    }
    refused
}

/// After what was wrong is mended all is there.
fn check_whole(folder: &Folder) {
    let database = Database::open(&folder.disk(), &options()).expect("it is whole again");
    assert_eq!(numbers(&database).expect("the disk works"), Vec::from_iter(0..10));
    database.close().expect("the disk works");
}

/// Changes a file, and puts the old one back afterwards.
fn with_edited(folder: &Folder, name: &str, edit: impl Fn(&mut Vec<u8>), then: impl Fn(Error)) {
    let path = folder.path().join(name);
    let good = fs::read(&path).expect("it is there");
    let mut bytes = good.clone();
    edit(&mut bytes);
    fs::write(&path, bytes).expect("the disk works");
    then(refusal(folder, &folder.disk(), &options()));
    fs::write(&path, good).expect("the disk works");
}

#[test]
fn a_database_is_not_made_over_another() {
    let folder = closed("exists");
    let before = folder.bytes();
    let refused = Database::create(&folder.disk(), &options()).expect_err("there is one");
    assert!(matches!(refused, Error::Exists), "{refused}");
    assert!(before == folder.bytes());
    // One that has lost a file is still one.
    for name in FILES {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).expect("it is there");
        fs::remove_file(&path).expect("it is there");
        let before = folder.bytes();
        let refused = Database::create(&folder.disk(), &options()).expect_err("the rest is there");
        assert!(matches!(refused, Error::Exists), "without {name}: {refused}");
        assert!(before == folder.bytes(), "without {name}");
        fs::write(&path, bytes).expect("the disk works");
    }
    check_whole(&folder);
}

#[test]
fn a_folder_without_a_database_is_not_opened() {
    let folder = Folder::new("nothing");
    let refused = refusal(&folder, &folder.disk(), &options());
    assert_eq!(refused.to_string(), "catalogue.pages is missing");
    assert!(folder.bytes().is_empty());
}

#[test]
fn each_missing_file_is_named() {
    let folder = closed("missing");
    for name in FILES {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).expect("it is there");
        fs::remove_file(&path).expect("it is there");
        let refused = refusal(&folder, &folder.disk(), &options());
        let is_named = matches!(&refused, Error::Missing { file } if file == Path::new(name));
        assert!(is_named, "without {name}: {refused}");
        fs::write(&path, bytes).expect("the disk works");
    }
    check_whole(&folder);
}

#[test]
fn each_file_of_another_database_is_named() {
    let (folder, other) = (closed("ours"), closed("theirs"));
    for name in FILES {
        let theirs = fs::read(other.path().join(name)).expect("it is there");
        with_edited(
            &folder,
            name,
            |bytes| bytes.clone_from(&theirs),
            |refused| {
                // Whose the others are is told by the catalogue, so that they are what does not fit to it.
                let named = if name == "catalogue.pages" { "user.pages" } else { name };
                let is_named =
                    matches!(&refused, Error::Foreign { file, .. } if file == Path::new(named));
                assert!(is_named, "with another {name}: {refused}");
            },
        );
    }
    check_whole(&folder);
}

#[test]
fn a_file_of_something_else_is_named() {
    let folder = closed("else");
    let text = "This is a letter, and no file of a database.\n".repeat(500);
    for name in ["catalogue.pages", "user.pages", "log.1", "log.2"] {
        with_edited(
            &folder,
            name,
            |bytes| *bytes = text.clone().into(),
            |refused| {
                let is_named =
                    matches!(&refused, Error::Foreign { file, .. } if file == Path::new(name));
                assert!(is_named, "a letter as {name}: {refused}");
            },
        );
        with_edited(&folder, name, Vec::clear, |refused| {
            let is_named = match &refused {
                Error::Damaged { file, .. } | Error::Foreign { file, .. } => {
                    file == Path::new(name)
                }
                _ => false,
            };
            assert!(is_named, "nothing in {name}: {refused}");
        });
    }
    check_whole(&folder);
}

#[test]
fn a_newer_format_is_named() {
    let folder = closed("newer");
    let newer = |name: &str| {
        let expected = PathBuf::from(name);
        move |refused: Error| {
            let is_named = matches!(
                &refused,
                Error::Newer { file, found: 9, known: 1 } if *file == expected
            );
            assert!(is_named, "{}: {refused}", expected.display());
        }
    };
    for name in ["catalogue.pages", "user.pages"] {
        // Where every format has its number, whatever else has changed with it.
        with_edited(&folder, name, |bytes| bytes[32] = 9, newer(name));
    }
    for name in ["log.1", "log.2"] {
        let edit = |bytes: &mut Vec<u8>| {
            bytes[8] = 9;
            let crc = crc32c::crc32c(&bytes[..60]);
            bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        };
        with_edited(&folder, name, edit, newer(name));
    }
    check_whole(&folder);
}

#[test]
fn each_page_that_was_changed_is_repaired_or_named() {
    let folder = closed("rotten");
    let page_bytes = options().page_bytes as usize;
    let good = folder.bytes();
    let (mut repaired, mut named) = (0, 0);
    for name in ["catalogue.pages", "user.pages"] {
        for page in 0..good[name].len() / page_bytes {
            let mut bytes = good[name].clone();
            bytes[page * page_bytes + page_bytes / 2] ^= 0x10;
            fs::write(folder.path().join(name), bytes).expect("the disk works");
            let opened = Database::open(&folder.disk(), &options());
            let looked = opened.and_then(|database| {
                assert_eq!(numbers(&database)?, Vec::from_iter(0..10));
                Ok(database.recovery_report().repaired.clone())
            });
            match looked {
                // Its second copy, in the double-write file, was whole.
                Ok(pages) => {
                    assert_eq!(pages.len(), 1, "page {page} of {name}: {pages:?}");
                    assert_eq!(pages[0].page.number, PageNumber(page as u32), "{name}");
                    repaired += 1;
                }
                Err(told) => {
                    let is_named =
                        matches!(&told, Error::Damaged { file, .. } if file == Path::new(name));
                    assert!(is_named, "page {page} of {name}: {told}");
                    named += 1;
                }
            }
            for (name, bytes) in &good {
                fs::write(folder.path().join(name), bytes).expect("the disk works");
            }
        }
    }
    assert!(repaired > 0 && named > 0, "{repaired} pages were repaired, {named} named");
    check_whole(&folder);
}

#[test]
fn settings_out_of_range_touch_nothing() {
    let good = options();
    let rows = [
        ("page_bytes", Options { page_bytes: 5_000, ..good }),
        ("gopher_threads", Options { gopher_threads: 0, ..good }),
        ("cache_frames", Options { cache_frames: 10, ..good }),
        ("checkpoint_interval", Options { checkpoint_interval: Duration::ZERO, ..good }),
        ("file_bytes", Options { log: LogConfig { file_bytes: 1, ..good.log }, ..good }),
    ];
    let (empty, folder) = (Folder::new("no-settings"), closed("settings"));
    let is_named = |refused: &Error, expected| matches!(refused, Error::Setting { name, .. } if *name == expected);
    for (name, options) in rows {
        let refused = Database::create(&empty.disk(), &options).expect_err("it is out of range");
        assert!(is_named(&refused, name), "{refused}");
        assert_eq!(empty.disk().list(Path::new("")).expect("it is there"), Vec::<String>::new());
        let refused = refusal(&folder, &folder.disk(), &options);
        assert!(is_named(&refused, name), "{refused}");
    }
    // In range, but not what the database was made with: it goes by its files.
    let log = LogConfig { block_bytes: 8_192, ..good.log };
    let options = Options { page_bytes: 8_192, log, ..good };
    let database = Database::open(&folder.disk(), &options).expect("the files know");
    put(&database, 10).expect("the disk works");
    assert_eq!(numbers(&database).expect("the disk works"), Vec::from_iter(0..11));
    database.close().expect("the disk works");
}

#[test]
fn a_file_system_that_cannot_be_written_is_told() {
    let folder = closed("read-only-system");
    let disk: Arc<dyn Disk> =
        Arc::new(ReadOnly(StdDisk::open(folder.path()).expect("it is there")));
    let told = "open of lock: Read-only file system (os error 30)";
    assert_eq!(refusal(&folder, &disk, &options()).to_string(), told);
    check_whole(&folder);
    let empty = Folder::new("read-only-empty");
    let disk: Arc<dyn Disk> = Arc::new(ReadOnly(StdDisk::open(empty.path()).expect("it is there")));
    let refused = Database::create(&disk, &options()).expect_err("nothing can be made");
    assert_eq!(refused.to_string(), told);
    assert_eq!(empty.disk().list(Path::new("")).expect("it is there"), Vec::<String>::new());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_unless_it_is_no_matter() {
    let folder = Folder::new("read-only-folder");
    let mut mode = fs::metadata(folder.path()).expect("it is there").permissions();
    mode.set_readonly(true);
    fs::set_permissions(folder.path(), mode).expect("it is ours");
    // To the superuser such a folder is as any other.
    match Database::create(&folder.disk(), &options()) {
        Ok(database) => put(&database, 0).expect("it can be written"),
        Err(refused) => {
            let is_named = matches!(&refused, Error::Io { file, .. } if file == Path::new("lock"));
            assert!(is_named, "{refused}");
            assert!(folder.bytes().is_empty());
        }
    }
    let mut mode = fs::metadata(folder.path()).expect("it is there").permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "it is removed next")]
    mode.set_readonly(false);
    fs::set_permissions(folder.path(), mode).expect("it is ours");
}

/// A file system that was mounted for reading.
struct ReadOnly(StdDisk);

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(30))
}

impl Disk for ReadOnly {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let writes = options.write || options.create || options.create_new || options.truncate;
        if writes { refuse() } else { self.0.open(path, options) }
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.0.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn sector_size(&self) -> u32 {
        self.0.sector_size()
    }

    fn atomic_unit(&self) -> u32 {
        self.0.atomic_unit()
    }
}
