//! What can be wrong with a page.
//!
//! # Method
//!
//! A page does not know the file it lies in. Whoever read it does, and turns the error into one of the
//! engine by [`PageError::in_file`].
//!
//! # Invariant
//!
//! Every error names the page, and where it can the byte, what was found and what should be there.

use std::fmt;
use std::path::PathBuf;

use super::header::PageKind;
use crate::error::Error;
use crate::ids::PageId;

/// Why the bytes of a page were refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// All bytes are zero: the file was extended over this page, which nobody has written since. Whether
    /// that is a loss depends on what the log says of the page.
    #[error("{page}{}", Unwritten(*.expected))]
    NeverWritten {
        /// The page that was asked for.
        page: PageId,
        /// The kind that was looked for, where it was known.
        expected: Option<PageKind>,
    },
    /// The file ends before the page does: it was never written, or the file has lost its end.
    #[error("{}", NotInFile(*.expected))]
    NotInFile {
        /// The page that was asked for.
        page: PageId,
        /// The kind that was looked for, where it was known.
        expected: Option<PageKind>,
    },
    /// The page is not the one that was written: torn, rotten or overwritten. Recovery may repair it.
    #[error("{page}: stored checksum {stored:#010x}, computed {computed:#010x}")]
    Checksum {
        /// The page that was asked for.
        page: PageId,
        /// What the page holds.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A whole page that belongs elsewhere. Recovery may repair it.
    #[error("{page} holds {found}")]
    Misplaced {
        /// The page that was asked for.
        page: PageId,
        /// The page that is there.
        found: PageId,
    },
    /// The buffer is not of a page's size.
    #[error("a page of {bytes} bytes")]
    Size {
        /// Its length.
        bytes: usize,
    },
    /// The page is of another kind, so that the link which led here is wrong.
    #[error("{page}: wrong page type, expected {expected}, got {found}")]
    Kind {
        /// The page.
        page: PageId,
        /// Its kind.
        found: PageKind,
        /// The kind that was looked for.
        expected: PageKind,
    },
    /// The page was written in a newer form.
    #[error("{page} has form {found}, newer than {known}")]
    Newer {
        /// The page.
        page: PageId,
        /// Its form.
        found: u16,
        /// The newest form that is known here.
        known: u16,
    },
    /// The file does not begin as one of Falcon does.
    #[error("{page} does not begin with the mark of a Falcon file")]
    Magic {
        /// The page, number 0 of its tablespace.
        page: PageId,
    },
    /// A field holds what none of ours can.
    #[error("{page}: {field} at byte {at} is {found}, must be {expected}")]
    Field {
        /// The page.
        page: PageId,
        /// Where in the page.
        at: usize,
        /// Which field.
        field: &'static str,
        /// What it holds.
        found: u64,
        /// What it may be.
        expected: String,
    },
}

/// What is said where a page of that kind was looked for and there is none; the reason follows.
struct GotNone(PageKind);

impl fmt::Display for GotNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrong page type, expected {}, got none, for", self.0)
    }
}

/// What is said of a page of no kind, where one was expected or was not.
struct Unwritten(Option<PageKind>);

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kind) => {
                write!(f, ": {} it was never written", GotNone(kind))
            }
            None => f.write_str(" was never written"),
        }
    }
}

/// What is said of a page that the file does not reach.
struct NotInFile(Option<PageKind>);

impl fmt::Display for NotInFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = self.0 {
            write!(f, "{} ", GotNone(kind))?;
        }
        f.write_str("the file ends before it")
    }
}

impl PageError {
    /// The same, of a page that was read in the belief that it is of that kind.
    pub(crate) fn expecting(self, kind: Option<PageKind>) -> PageError {
        match self {
            PageError::NeverWritten { page, .. } => {
                PageError::NeverWritten { page, expected: kind }
            }
            other => other,
        }
    }

    /// The engine's error for a page of `file`.
    pub fn in_file(self, file: impl Into<PathBuf>) -> Error {
        let file = file.into();
        match self {
            PageError::Newer { found, known, .. } => Error::Newer { file, found, known },
            PageError::Magic { .. } => Error::Foreign { file, what: self.to_string() },
            PageError::Size { bytes } => Error::Damaged {
                file,
                place: "its end".to_string(),
                what: format!("a page of {bytes} bytes"),
            },
            PageError::NotInFile { page, .. } => {
                Error::Damaged { file, place: page.number.to_string(), what: self.to_string() }
            }
            PageError::NeverWritten { page, .. }
            | PageError::Checksum { page, .. }
            | PageError::Misplaced { page, .. }
            | PageError::Kind { page, .. }
            | PageError::Field { page, .. } => {
                Error::Damaged { file, place: page.to_string(), what: self.to_string() }
            }
        }
    }
}

/// The page cannot take what it was given. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needed_bytes} bytes are needed, {free_bytes} are free")]
pub struct NoRoom {
    /// What it would take.
    pub needed_bytes: usize,
    /// What there is.
    pub free_bytes: usize,
}
