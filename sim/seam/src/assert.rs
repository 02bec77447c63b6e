//! Assertions that a swarm counts: sites with names.
//!
//! # Method
//!
//! Each use of a macro declares a static [`Site`], which the linker collects. On a simulated machine
//! each evaluation is told to it. Without one, `always!` and `unreachable!` are `assert!` and
//! `unreachable!` that name their site, and all others do nothing; without the feature `simulate` the
//! others are not even evaluated, so their conditions must have no effects.
//!
//! # Invariant
//!
//! A broken invariant stops the program in production as it stops a run.

mod macros;

#[cfg(feature = "simulate")]
use std::fmt;

#[cfg(feature = "simulate")]
use crate::hook;

/// What a site asserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// Holds each time it is evaluated.
    Always,
    /// Holds at least once in a good swarm.
    Sometimes,
    /// Is evaluated at least once in a good swarm.
    Reachable,
    /// Is never evaluated.
    Unreachable,
    /// A place where the engine offers to take its rare path.
    Buggify,
}

/// One assertion in the engine's source.
#[derive(Debug)]
pub struct Site {
    /// Its name, unique in the program, stable under unrelated change.
    pub name: &'static str,
    /// What it asserts.
    pub kind: SiteKind,
    /// The source file.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
}

/// All sites of the program, sorted by name and place; none without the feature `simulate`.
pub fn sites() -> Vec<&'static Site> {
    #[cfg(feature = "simulate")]
    let mut sites: Vec<&'static Site> = SITES.iter().collect();
    #[cfg(not(feature = "simulate"))]
    let mut sites: Vec<&'static Site> = Vec::new();
    // The linker's order is no order of ours.
    sites.sort_by_key(|site| (site.name, site.file, site.line));
    sites
}

/// What the macros collect.
#[cfg(feature = "simulate")]
#[doc(hidden)]
#[linkme::distributed_slice]
pub static SITES: [Site];

/// An evaluation of `always!`.
#[cfg(feature = "simulate")]
#[doc(hidden)]
#[inline]
#[track_caller]
pub fn always(site: &'static Site, holds: bool, detail: fmt::Arguments<'_>) {
    if let Some(machine) = hook::current() {
        machine.assertion(site, holds, detail);
    }
    if !holds {
        panic!("always {:?} does not hold{}", site.name, Appended(detail));
    }
}

/// An evaluation of `unreachable!`.
#[cfg(feature = "simulate")]
#[doc(hidden)]
#[cold]
#[track_caller]
pub fn unreachable(site: &'static Site, detail: fmt::Arguments<'_>) -> ! {
    if let Some(machine) = hook::current() {
        machine.assertion(site, false, detail);
    }
    panic!("unreachable {:?} is reached{}", site.name, Appended(detail));
}

/// An evaluation of `sometimes!` or `reachable!`.
#[cfg(feature = "simulate")]
#[doc(hidden)]
#[inline]
pub fn mark(site: &'static Site, holds: bool) {
    if let Some(machine) = hook::current() {
        machine.assertion(site, holds, format_args!(""));
    }
}

/// Whether to take the rare path.
#[cfg(feature = "simulate")]
#[doc(hidden)]
#[inline]
pub fn buggify(site: &'static Site, ppm: u32) -> bool {
    hook::current().is_some_and(|machine| machine.buggify(site, ppm))
}

/// Whether a bug is planted.
#[cfg(feature = "simulate")]
#[doc(hidden)]
#[inline]
pub fn planted(bug: impl FnOnce() -> &'static str) -> bool {
    hook::current().is_some_and(|machine| machine.planted(bug()))
}

/// What is checked by the compiler, and not evaluated without the feature `simulate`.
#[cfg(not(feature = "simulate"))]
#[doc(hidden)]
#[inline(always)]
pub fn unused<T>(_: impl FnOnce() -> T) -> bool {
    false
}

/// A detail behind a sentence, if there is one.
#[cfg(feature = "simulate")]
struct Appended<'a>(fmt::Arguments<'a>);

#[cfg(feature = "simulate")]
impl fmt::Display for Appended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.as_str() == Some("") { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}
