//! Every page, every block of the log and every copy of the small database, as text.

use std::fmt::Write as _;
use std::path::Path;

use falcon::{log, page};

use crate::check_snapshot;
use crate::image_disk::ImageDisk;
use crate::sample::{DOUBLE_WRITE, End, LOG, PAGES, sample};

const PAGE_BYTES: usize = 1_024;

#[test]
fn pages_are_laid_out_like_this() {
    let image = sample(End::Closed).image;
    for name in PAGES {
        let mut text = String::new();
        for (number, bytes) in image[name].chunks(PAGE_BYTES).enumerate() {
            match page::dump(bytes) {
                Ok(dumped) => writeln!(text, "{dumped}").expect("a string takes all"),
                Err(error) => writeln!(text, "page {number}: {error}\n").expect("likewise"),
            }
        }
        check_snapshot(&name.replace('.', "-"), &text);
    }
}

#[test]
fn the_log_is_laid_out_like_this() {
    for (end, name) in [(End::Closed, "log-closed"), (End::Crashed, "log-crashed")] {
        let disk = ImageDisk::of(&sample(end).image);
        let text = log::dump(&disk, LOG.map(Path::new)).expect("it is whole");
        check_snapshot(name, &text);
    }
}

/// Entries are told by their fields; that they are whole is told by the openings of other tests.
#[test]
fn copies_of_pages_are_laid_out_like_this() {
    let image = sample(End::InCheckpoint).image;
    let bytes = &image[DOUBLE_WRITE];
    let mut text = format!("{} bytes\n", bytes.len());
    for at in (0..bytes.len()).step_by(512).filter(|at| bytes[*at..].starts_with(b"fDbl")) {
        let half = |from: usize| {
            let bytes = bytes[at + from..at + from + 4].try_into().expect("4 bytes");
            u32::from_le_bytes(bytes)
        };
        let fields = [
            ("checksum", format!("{:#010x}", half(4))),
            ("format", (half(8) & 0xffff).to_string()),
            ("page bytes", half(12).to_string()),
            ("database", format!("{:#x}", u64::from(half(20)) << 32 | u64::from(half(16)))),
            ("generation", half(24).to_string()),
            ("tablespace", half(32).to_string()),
            ("first page", half(36).to_string()),
            ("pages", half(40).to_string()),
            ("entry bytes", half(44).to_string()),
            ("header checksum", format!("{:#010x}", half(48))),
        ];
        let fields = fields.map(|(name, value)| format!("{name}: {value}")).join(", ");
        writeln!(text, "entry at {at}: {fields}").expect("a string takes all");
    }
    check_snapshot("double-write", &text);
}
