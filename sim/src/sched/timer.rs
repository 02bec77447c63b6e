//! Timers in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use falconry_seam::hook::TaskId;

/// Who is woken when. Two timers of one instant go off in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(u64, u64, TaskId, u32)>>,
    set: u64,
    /// When the first goes off; `u64::MAX` without any.
    pub(super) next_ns: u64,
}

impl Timers {
    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.set = 0;
        self.next_ns = u64::MAX;
    }

    /// Wakes `task` at `at_ns`, unless its wait number `generation` is over by then.
    pub(super) fn set(&mut self, at_ns: u64, task: TaskId, generation: u32) {
        self.set += 1;
        self.heap.push(Reverse((at_ns, self.set, task, generation)));
        self.next_ns = self.next_ns.min(at_ns);
    }

    /// Takes the first timer if it is due at `now_ns`.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<(TaskId, u32)> {
        let due = self.heap.peek().is_some_and(|Reverse((at_ns, ..))| *at_ns <= now_ns);
        let taken = if due { self.heap.pop() } else { None };
        self.next_ns = self.heap.peek().map_or(u64::MAX, |Reverse((at_ns, ..))| *at_ns);
        taken.map(|Reverse((_, _, task, generation))| (task, generation))
    }
}
