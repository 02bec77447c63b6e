//! As they are.

#[path = "../../../../sim/seam/src/thread/half.rs"]
pub mod half;

mod sync {
    pub use loom::sync::atomic::{AtomicBool, Ordering};
}
