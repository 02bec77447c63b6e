//! Names of decision points, interned for the length of a run.

/// A decision point's name as a number of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(pub(super) u16);

/// Most labels of a run: an entry of a recording has 12 bits for them.
pub(super) const LABELS_MAX: usize = 1 << 12;

macro_rules! built_in {
    ($($constant:ident = $name:literal, $doc:literal;)*) => {
        impl Label {
            built_in!(@constants 0u16; $($constant $doc,)*);
        }
        pub(super) const BUILT_IN: &[&str] = &[$($name),*];
    };
    (@constants $n:expr; $constant:ident $doc:literal, $($rest:tt)*) => {
        #[doc = $doc]
        pub const $constant: Label = Label($n);
        built_in!(@constants $n + 1; $($rest)*);
    };
    (@constants $n:expr;) => {};
}

built_in! {
    SCHED_NEXT = "sched/next", "Which task goes on at a scheduling point.";
    SCHED_GAP = "sched/gap", "How many accesses of atomics and cells pass before the next scheduling point.";
    SCHED_SPURIOUS = "sched/spurious_wake", "Whether a wait ends for no reason.";
    SCHED_WEAK = "sched/weak_cas_fail", "Whether a weak compare-exchange fails for no reason.";
    SCHED_SPAWN = "sched/spawn_fail", "Whether a spawn fails.";
    SCHED_ATOMICS = "sched/atomics", "How often accesses of atomics and cells are scheduling points.";
    SCHED_NOTIFY = "sched/notify", "Which waiter of a queue is woken.";
    SCHED_READER = "sched/reader", "Whether a reader waits for a writer that waits.";
    SCHED_STARVE = "sched/starve", "Whether a task gets no turn for a while.";
    POWER_PLAN = "power/plan", "How a boot ends.";
    POWER_AT = "power/at", "When it ends.";
    BOOT_IMAGE = "disk_boot/image", "Whether the platter shows an earlier state.";
    BOOT_ROT = "disk_boot/rot", "Which damage at rest shows.";
    BOOT_BATTERY = "disk_boot/battery", "Whether a controller's battery charges until the next boot.";
    BOOT_CLAIM = "disk_boot/claim", "Whether the device tells more than it honours.";
    BOOT_SLOW = "disk_boot/slow", "Whether the device is slow until the next boot.";
    DISK_OP = "disk/op", "What goes wrong with one call of the disk.";
    DISK_LATENCY = "disk/latency", "How long one call of the disk takes.";
    DISK_FATE = "disk_fate/sector", "What the platter holds of one unsynced sector after the power has gone.";
    DISK_WRITEBACK = "disk_writeback/next", "Which write the kernel writes back by itself.";
    DISK_EXPIRED = "disk_writeback/expired", "How much of what is old enough a file writes back.";
    RANDOM = "ambient/random", "Randomness that third-party code asked the OS for.";
}

/// For each built-in label the first one of its component.
const FIRST_OF_COMPONENT: [u16; BUILT_IN.len()] = {
    let mut first = [0; BUILT_IN.len()];
    let mut label = 0;
    while label < BUILT_IN.len() {
        let mut other = 0;
        while !is_same_component(BUILT_IN[other].as_bytes(), BUILT_IN[label].as_bytes()) {
            other += 1;
        }
        first[label] = other as u16;
        label += 1;
    }
    first
};

/// Whether both are the same up to the last `/`.
const fn is_same_component(a: &[u8], b: &[u8]) -> bool {
    let mut length = a.len();
    while a[length - 1] != b'/' {
        length -= 1;
    }
    let mut at = 0;
    while at < length {
        if at >= b.len() || a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    while at < b.len() {
        if b[at] == b'/' {
            return false;
        }
        at += 1;
    }
    true
}

impl Label {
    /// A built-in label of the same component: the same one for all of them.
    pub(super) fn first_of_component(self) -> Option<Label> {
        FIRST_OF_COMPONENT.get(usize::from(self.0)).copied().map(Label)
    }
}

/// What may name a decision point: a [`Label`], or its path, which is looked up.
pub trait IntoLabel {
    /// The label in this run.
    #[doc(hidden)]
    fn into_label(self, labels: &mut Labels) -> Label;
}

impl IntoLabel for Label {
    #[inline]
    fn into_label(self, _labels: &mut Labels) -> Label {
        self
    }
}

impl IntoLabel for &'static str {
    #[inline]
    fn into_label(self, labels: &mut Labels) -> Label {
        labels.intern(self)
    }
}

/// The labels of one run, in the order of their first use, after the built-in ones.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Labels {
    more: Vec<&'static str>,
    /// Open addressing over `more`, by a hash of the name; 0 is empty.
    slots: Vec<u16>,
}

impl Labels {
    /// Forgets every label but the built-in ones, and keeps the memory.
    pub(super) fn clear(&mut self) {
        if !self.more.is_empty() {
            self.more.clear();
            self.slots.fill(0);
        }
    }

    pub(super) fn name(&self, label: Label) -> &'static str {
        let index = usize::from(label.0);
        BUILT_IN.get(index).copied().unwrap_or_else(|| self.more[index - BUILT_IN.len()])
    }

    pub(super) fn names(&self) -> Vec<String> {
        BUILT_IN.iter().chain(&self.more).map(|name| (*name).to_string()).collect()
    }

    fn intern(&mut self, name: &'static str) -> Label {
        if self.more.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = slot_hash(name) & mask;
        while self.slots[slot] != 0 {
            let index = usize::from(self.slots[slot]) - 1;
            if self.more[index] == name {
                return Label((BUILT_IN.len() + index) as u16);
            }
            slot = (slot + 1) & mask;
        }
        if let Some(index) = BUILT_IN.iter().position(|built_in| *built_in == name) {
            return Label(index as u16);
        }
        assert!(BUILT_IN.len() + self.more.len() < LABELS_MAX, "too many labels, at {name}");
        self.more.push(name);
        self.slots[slot] = self.more.len() as u16;
        Label((BUILT_IN.len() + self.more.len() - 1) as u16)
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        self.slots = vec![0; size];
        for (index, name) in self.more.iter().enumerate() {
            let mut slot = slot_hash(name) & (size - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = index as u16 + 1;
        }
    }
}

/// What stands before the last `/` of a label.
pub(super) fn component(name: &'static str) -> &'static str {
    name.rsplit_once('/').map_or(name, |(component, _)| component)
}

/// Where a name is looked for first: by its length and its last bytes, in which names differ.
#[inline]
fn slot_hash(name: &str) -> usize {
    let bytes = name.as_bytes();
    let last = match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    };
    let mixed = (last ^ (bytes.len() as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize
}

/// FNV-1a, 64 bits: the same in every build.
pub(super) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_labels_of_one_component_share_their_first_one() {
        for (index, name) in BUILT_IN.iter().enumerate() {
            let first = BUILT_IN.iter().position(|other| component(other) == component(name));
            let expected = first.map(|first| Label(first as u16));
            assert_eq!(Label(index as u16).first_of_component(), expected, "{name}");
        }
        assert_eq!(Label(BUILT_IN.len() as u16).first_of_component(), None);
    }
}
