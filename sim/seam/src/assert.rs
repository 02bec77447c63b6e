//! Assertions that a swarm counts: sites with names.

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
