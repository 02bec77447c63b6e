//! What is asked of the readers of texts: no panic, and what was read is written and read the same.

use falconry_sim::choice::{Capsule, Recording};

use crate::run::properties;
use crate::shrink;

/// The reader of capsules.
pub(super) fn capsule(input: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
    let Ok(read) = Capsule::from_text(text) else { return Ok(()) };
    let written = read.to_text();
    let again = Capsule::from_text(&written)
        .map_err(|error| format!("a capsule is refused that was written: {error}\n{written}"))?;
    if again.to_text() != written || again.properties != read.properties {
        return Err(format!("a capsule changes when it is written:\n{written}"));
    }
    // Of what there is no such engine or value, it says so.
    let (Ok(case), Ok(other)) = (shrink::case_of(&read), shrink::case_of(&again)) else {
        return Ok(());
    };
    if case == other { Ok(()) } else { Err(format!("two cases of one capsule:\n{written}")) }
}

/// The reader of recordings. A text with a wrong checksum is refused at once, so each is read with the right
/// one as well.
pub(super) fn recording(input: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
    one_recording(text)?;
    one_recording(&Recording::sealed(text))
}

fn one_recording(text: &str) -> Result<(), String> {
    let Ok(read) = Recording::from_text(text) else { return Ok(()) };
    let written = read.to_text();
    let again = Recording::from_text(&written)
        .map_err(|error| format!("a recording is refused that was written: {error}\n{written}"))?;
    let is_same = again.iter().eq(read.iter()) && again.properties == read.properties;
    if !is_same || again.to_text() != written {
        return Err(format!("a recording changes when it is written:\n{written}"));
    }
    if properties::case_of(&read) == properties::case_of(&again) {
        return Ok(());
    }
    Err(format!("two cases of one recording:\n{written}"))
}
