//! With every order of memory weakened to none: the models must notice.

#[path = "../../../../engine-under-test/falcon/src/lockfree/frame.rs"]
pub mod frame;
#[path = "../../../../sim/seam/src/thread/half.rs"]
pub mod half;

mod sync {
    pub use loom::sync::atomic::{AtomicBool, AtomicU64};

    #[expect(non_snake_case, non_upper_case_globals, reason = "they stand for an enum's variants")]
    pub mod Ordering {
        use loom::sync::atomic::Ordering;

        pub const Acquire: Ordering = Ordering::Relaxed;
        pub const AcqRel: Ordering = Ordering::Relaxed;
    }
}
