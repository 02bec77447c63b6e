//! Shows a log to a person.
//!
//! # Method
//!
//! Both files are read as an opening reads them, and nothing is written: every block with its place,
//! numbers and records, and whether it is the log's, of an earlier round, or superseded.
//!
//! # Invariant
//!
//! A log that cannot be opened can be shown, as long as its headers are whole.

use std::fmt::Write as _;
use std::path::Path;

use falconry_seam::disk::Disk;

use super::files::{Files, Place, Which};
use super::scan::Scan;
use super::state::Block;
use super::{block, record, scan, tail};
use crate::Result;

/// Bytes of a record that are shown.
const BYTES_SHOWN: usize = 24;

/// What the two files of a log hold, one line a block and one a record.
///
/// # Errors
///
/// As of [`Log::open`](super::Log::open), but for damage behind the headers: that is shown.
pub fn dump(disk: &dyn Disk, names: [&Path; 2]) -> Result<String> {
    let (files, block_bytes, database) = Files::open_any(disk, names)?;
    let found = scan::scan(&files, block_bytes, database)?;
    let mut text = format!("log of database {database:#x}, blocks aligned to {block_bytes}\n");
    let log = match tail::find(&files, &found, block_bytes) {
        Ok(tail) => {
            let last = tail.blocks.back().expect("a tail has a block").header;
            let (start, end) = (last.recovery_start, last.end());
            let torn = if tail.is_torn { ", a torn block behind it" } else { "" };
            let _ = writeln!(text, "recovery from {start}, end at {end}{torn}");
            Vec::from(tail.blocks)
        }
        Err(error) => {
            let _ = writeln!(text, "{error}");
            Vec::new()
        }
    };
    for which in Which::BOTH {
        let _ = writeln!(text, "\n{}: {} bytes", files.name(which).display(), files.len(which)?);
        show_file(&mut text, &files, &found, &log, which)?;
    }
    Ok(text)
}

fn show_file(
    text: &mut String,
    files: &Files,
    found: &Scan,
    log: &[Block],
    which: Which,
) -> Result<()> {
    let mut begun: Vec<(u64, String)> = Vec::new();
    for (header, Place { file, offset }) in &found.begun {
        if *file == which {
            let (number, epoch) = (header.number.0, header.epoch.0);
            begun.push((
                *offset,
                format!("  {offset:>8}  block {number} epoch {epoch}, not whole\n"),
            ));
        }
    }
    for block in found.blocks.iter().filter(|block| block.place.file == which) {
        begun.push((block.place.offset, show_block(files, block, log)?));
    }
    begun.sort();
    text.extend(begun.into_iter().map(|(_, line)| line));
    Ok(())
}

fn show_block(files: &Files, block: &Block, log: &[Block]) -> Result<String> {
    let header = &block.header;
    let mut bytes = vec![0; block.bytes as usize];
    files.read(block.place, &mut bytes)?;
    let state = match log.iter().find(|of| of.header.number == header.number) {
        Some(of) if of == block => "",
        Some(_) => ", superseded",
        None => ", not needed",
    };
    let mut text = format!(
        "  {:>8}  block {} epoch {}, {} to {}, recovery from {}{state}\n",
        block.place.offset,
        header.number.0,
        header.epoch.0,
        header.first,
        header.end(),
        header.recovery_start,
    );
    let payload = &bytes[block::HEADER_BYTES..][..header.payload_bytes as usize];
    let mut at = 0;
    while at < payload.len() {
        let lsn = header.first.0 + at as u64;
        let Some((kind, range)) = record::header(payload, at) else {
            let _ = writeln!(text, "            {lsn:>8}  a record that does not end");
            break;
        };
        let shown = &payload[range.clone()][..range.len().min(BYTES_SHOWN)];
        let more = if range.len() > BYTES_SHOWN { "…" } else { "" };
        let _ = writeln!(
            text,
            "            {lsn:>8}  kind {:>3}, {:>4} bytes  {}{more}",
            kind.0,
            range.len(),
            shown.escape_ascii()
        );
        at = range.end;
    }
    Ok(text)
}
