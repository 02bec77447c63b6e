//! Locks and queues of a machine: who holds them, who waits.

use falconry_seam::hook::{LockMode, Place, TaskId};

/// State of one lock or queue. A mutex is a lock that is only held exclusively; a condition variable
/// is a queue that is never held.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) holder: Option<TaskId>,
    pub(super) shared_count: u32,
    pub(super) taken_at: Option<Place>,
    pub(super) waiters: Vec<TaskId>,
}

impl Object {
    /// Takes the lock if it is free for `mode`.
    #[inline]
    pub(super) fn take(&mut self, mode: LockMode, task: TaskId, place: Place) -> bool {
        let free = self.holder.is_none() && (mode == LockMode::Shared || self.shared_count == 0);
        if free {
            match mode {
                LockMode::Exclusive => self.holder = Some(task),
                LockMode::Shared => self.shared_count += 1,
            }
            self.taken_at = Some(place);
        }
        free
    }

    /// Gives the lock back; `true` when it is free now.
    #[inline]
    pub(super) fn give_back(&mut self, mode: LockMode) -> bool {
        match mode {
            LockMode::Exclusive => self.holder = None,
            LockMode::Shared => self.shared_count = self.shared_count.saturating_sub(1),
        }
        self.shared_count == 0
    }
}

/// All objects of one boot.
#[derive(Debug, Default)]
pub(super) struct Objects {
    epoch: u32,
    all: Vec<Object>,
    free: Vec<u32>,
}

impl Objects {
    /// Forgets every object; ids of earlier epochs mean nothing from here on.
    pub(super) fn begin(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.all.clear();
        self.free.clear();
    }

    /// The number behind a packed id, if it is of this epoch.
    #[inline]
    pub(super) fn known(&self, packed: u64) -> Option<u32> {
        ((packed >> 32) as u32 == self.epoch && packed as u32 != 0).then(|| packed as u32 - 1)
    }

    /// A number for a new object, and its packed id.
    pub(super) fn add(&mut self) -> (u32, u64) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(Object::default());
            (self.all.len() - 1) as u32
        });
        (number, u64::from(self.epoch) << 32 | u64::from(number + 1))
    }

    #[inline]
    pub(super) fn get(&mut self, number: u32) -> &mut Object {
        &mut self.all[number as usize]
    }

    pub(super) fn look(&self, number: u32) -> &Object {
        &self.all[number as usize]
    }

    /// The object was dropped; its number may be used again once nobody waits for it.
    pub(super) fn forget(&mut self, number: u32) {
        let object = self.get(number);
        if object.waiters.is_empty() {
            *object = Object::default();
            self.free.push(number);
        }
    }
}
