//! What the parts of a machine share: choices, faults, trace, and the plan of the power.

use crate::choice::Choices;
use crate::fault::Faults;
use crate::trace::Trace;

/// Borrowed by a part of the machine (the disk, a clock) for the length of one decision.
pub struct Env<'a> {
    /// The source of every decision.
    pub choices: &'a mut Choices,
    /// Rates and counters.
    pub faults: &'a mut Faults,
    /// Where events go; it also knows virtual time.
    pub trace: &'a mut Trace,
    /// When the power goes.
    pub power: &'a mut PowerPlan,
}

/// When the power goes, as far as the disk has a say in it.
#[derive(Clone, Debug, Default)]
pub struct PowerPlan {
    /// The power goes inside this sync (numbered from 0 within the boot) …
    pub in_sync: Option<u64>,
    /// … after this many of its pending writes have reached the platter.
    pub after_writes: u64,
    /// Moves the point to the first sync from `in_sync` on that has at least three pending writes of
    /// two calls, and between the first whole call and the last write, `after_writes` being
    /// sixteenths: a drawn point cannot know how many there will be.
    pub fits: bool,
    /// Syncs begun in this boot.
    pub syncs: u64,
    /// Set by the disk when the power goes inside a sync; the machine acts on it.
    pub cut: bool,
}

impl PowerPlan {
    /// A sync begins; returns its number for [`PowerPlan::cuts_after`].
    pub fn sync_begins(&mut self) -> u64 {
        self.syncs += 1;
        self.syncs - 1
    }

    /// The `writes` pending writes of sync `sync` are about to reach the platter, the first `whole` of
    /// them being those of its first call: a point that fits itself does so.
    pub fn reaches_platter(&mut self, sync: u64, writes: u64, whole: u64) {
        let Some(at) = self.in_sync.filter(|at| self.fits && *at <= sync) else { return };
        if writes >= 3 && (1..writes).contains(&whole) {
            self.in_sync = Some(sync);
            self.after_writes = whole + self.after_writes.min(15) * (writes - whole) / 16;
            self.fits = false;
        } else if at == sync {
            self.in_sync = Some(sync + 1);
        }
    }

    /// Whether the power goes in sync `sync` now that `writes` of its pending writes are on the
    /// platter. If so the sync stops there and fails with EIO; the rest stays pending.
    pub fn cuts_after(&mut self, sync: u64, writes: u64) -> bool {
        let cuts = self.in_sync == Some(sync) && writes == self.after_writes;
        self.cut |= cuts;
        cuts
    }
}
