//! What is on the disk: its layout as text, what a recovery says of it, and files of earlier revisions.
//!
//! # Method
//!
//! The database is [`sample`], which is the same to the byte each time. Pages, log and copies are written out
//! field by field, and held by snapshots in `snapshots/falcon/`. In `snapshots/formats/` there are whole
//! databases, which must be read as long as their formats are; there a README tells how they came about.
//!
//! # Invariant
//!
//! A file in `snapshots/formats/` is never changed: only a copy in memory is opened.

#![allow(clippy::disallowed_methods, reason = "snapshots are files of the real machine")]

mod accounts;
mod kept;
mod layouts;
mod newer;

#[path = "../image_disk/mod.rs"]
mod image_disk;
#[path = "../sample/mod.rs"]
mod sample;

/// Compares a text with the snapshot of that name.
fn check_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../snapshots/falcon"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
