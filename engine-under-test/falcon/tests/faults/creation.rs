//! Each call of the disk fails in turn while a database is made.

use falcon::{Database, Error, TableSpec};

use crate::check_told;
use crate::image_disk::{EACCES, EIO, ENOSPC, Fault, ImageDisk, Kind};
use crate::sample::options;

/// Whatever a creation has left can be opened, or made anew.
fn check_usable(disk: &ImageDisk, what: &str) {
    let is_there = Database::exists(disk).expect("the disk works");
    let begin = if is_there { Database::open } else { Database::create };
    let database = begin(&disk.shared(), &options())
        .unwrap_or_else(|error| panic!("{what}, is it there {is_there}: {error}"));
    database.create_table(&TableSpec::new("first", 1)).expect("there is none yet");
    assert_eq!(database.verify().expect("the disk works").problems, Vec::<String>::new());
    database.close().expect("the disk works");
}

#[test]
fn a_creation_that_was_cut_off_at_any_call_is_none_or_whole() {
    for (kind, errno) in [(Kind::Any, EIO), (Kind::Growing, ENOSPC), (Kind::Writing, EACCES)] {
        let mut refused = 0;
        for after in 0..10_000 {
            let disk = ImageDisk::default();
            disk.set_fault(Some(Fault { kind, after, is_once: false, errno }));
            let what = format!("{kind:?} after {after}");
            let made = Database::create(&disk.shared(), &options());
            let is_made = made.as_ref().map(drop);
            if let Err(error) = is_made {
                check_told(error, errno);
                refused += 1;
            }
            let is_over = disk.failed() == 0;
            assert_eq!(is_over, made.is_ok(), "{what}");
            drop(made);
            disk.set_fault(None);
            check_usable(&ImageDisk::of(&disk.image()), &what);
            disk.cut_power();
            check_usable(&disk, &format!("{what}, and the power went"));
            if is_over {
                break;
            }
        }
        assert!(refused > 10, "{kind:?}: {refused}");
    }
}

#[test]
fn a_database_is_not_made_over_another_or_twice() {
    let disk = ImageDisk::default();
    let database = Database::create(&disk.shared(), &options()).expect("there is none");
    let before = disk.image();
    for second in [Database::create, Database::open] {
        let refused = second(&disk.shared(), &options()).expect_err("it is open");
        assert!(matches!(refused, Error::InUse { .. }), "{refused}");
        assert_eq!(refused.to_string(), "the database is in use: lock is locked");
        assert!(disk.image() == before);
    }
    drop(database);
    let before = disk.image();
    let refused = Database::create(&disk.shared(), &options()).expect_err("there is one");
    assert!(matches!(refused, Error::Exists), "{refused}");
    assert!(disk.image() == before);
}
