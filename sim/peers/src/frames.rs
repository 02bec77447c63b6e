//! Call frames that are really entered and left, for threads and for futures, and the lengths of sleeps.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Frames below which [`crate::work::Work::YieldFrames`] gives way.
pub const FRAMES: u32 = 8;

/// Calls `bottom` below `depth` frames.
#[inline(never)]
pub fn below_frames(depth: u32, bottom: &dyn Fn()) {
    match depth {
        0 => bottom(),
        _ => below_frames(depth - 1, bottom),
    }
    // Something is left to do after the call, so that it cannot become a jump.
    black_box(depth);
}

/// A future whose poll is one more call, never inlined.
struct Frame<F>(F);

impl<F: Future + Unpin> Future for Frame<F> {
    type Output = F::Output;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let result = Pin::new(&mut self.0).poll(context);
        // As above: without it the call would become a jump.
        black_box(context as *const _);
        result
    }
}

/// Awaits `bottom` below [`FRAMES`] polls: what call frames are to a thread.
pub async fn await_below_frames<F: Future>(bottom: F) -> F::Output {
    let bottom = pin!(bottom);
    Frame(Frame(Frame(Frame(Frame(Frame(Frame(Frame(bottom)))))))).await
}

/// How long task `task` sleeps in its `turn`-th sleep: whole milliseconds, since tokio's timer knows
/// nothing finer, and of several lengths, so that the tasks do not march in step.
pub fn sleep_length(task: u64, turn: u64) -> Duration {
    Duration::from_millis(1 + (task * 3 + turn) % 5)
}
