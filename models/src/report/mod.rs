//! The report of a failure: what was promised, what came, the path that led there, how to see it again.
//!
//! Always in the same order: what, path, bytes, seen, trust, commands. ASCII only; colour never carries
//! meaning alone.

mod bytes;
mod events;
mod text;

pub use events::{Told, is_end, tell};
pub use text::{Report, Trust};
