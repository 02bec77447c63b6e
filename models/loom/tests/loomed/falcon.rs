//! Falcon's protocols, as they are.

#[path = "../../../../engine-under-test/falcon/src/lockfree/bucket.rs"]
pub mod bucket;
#[path = "../../../../engine-under-test/falcon/src/lockfree/frame.rs"]
pub mod frame;
#[path = "../../../../engine-under-test/falcon/src/lockfree/hand_over.rs"]
pub mod hand_over;

mod sync {
    pub use std::sync::PoisonError;

    pub use loom::sync::atomic::{AtomicU8, AtomicU64, Ordering};
    pub use loom::sync::{Arc, Mutex, MutexGuard};
    pub use loom::thread::{self, Thread};
}
