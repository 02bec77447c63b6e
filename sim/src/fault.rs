//! Every fault by its name: how often it is asked for, whether it may come, how often it came.
//!
//! # Method
//!
//! A decision point names the faults that may come there and calls [`Faults::pick`] once. One draw is
//! made whatever is enabled; each fault looks at it through its own hash, so that switching one off
//! never moves another. The outcome alone is recorded: 0, or the place of the fault in the list.
//!
//! # Invariant
//!
//! A fault is counted where it takes effect, not where it is drawn.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::choice::{Choices, IntoLabel, PPM};
use crate::trace::{Trace, What};

macro_rules! faults {
    ($($variant:ident $name:literal $when:ident $doc:literal;)*) => {
        /// A fault of the simulated machine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        #[repr(u8)]
        pub enum Fault { $(#[doc = $doc] $variant),* }

        impl Fault {
            /// All of them, in the order of the table.
            pub const ALL: &[Fault] = &[$(Fault::$variant),*];

            /// The one word that names it in code, flag, counter and report.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name),* }
            }

            /// When it may come.
            pub fn when(self) -> When {
                match self { $(Fault::$variant => When::$when),* }
            }

            /// What it does, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Fault::$variant => $doc),* }
            }
        }
    };
}

/// When a fault may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It ends a boot.
    Life,
    /// At power loss, to what was not synced.
    PowerLoss,
    /// A call of the disk fails.
    Error,
    /// Something is wrong and no call says so.
    Silent,
    /// A call of the disk takes long.
    Slow,
    /// The clock misbehaves.
    Clock,
    /// The scheduler does what it is allowed to and rarely does.
    Scheduler,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            When::Life => "ends of a life",
            When::PowerLoss => "at power loss, to what was not synced",
            When::Error => "errors",
            When::Silent => "silent",
            When::Slow => "slow",
            When::Clock => "clock",
            When::Scheduler => "scheduler",
        })
    }
}

faults! {
    PowerLoss "power_loss" Life "The power goes: what was not synced has an uncertain fate.";
    ProcessCrash "process_crash" Life "The process is killed: the page cache stays.";
    CrashInRecovery "crash_in_recovery" Life "A boot ends while the engine is still opening.";
    LostWrite "lost_write" PowerLoss "An unsynced write leaves no trace.";
    TornWrite "torn_write" PowerLoss "Some sectors of an unsynced write survive, others do not.";
    ReorderedWrites "reordered_writes" PowerLoss "A later unsynced write survives, an earlier one does not.";
    AllButOne "all_but_one" PowerLoss "Every unsynced write survives but one.";
    SizeWithoutData "size_without_data" PowerLoss "A file is long enough, but the bytes written there are not.";
    DataWithoutSize "data_without_size" PowerLoss "Bytes reached the device, but the file's length does not cover them.";
    FileExtremes "file_extremes" PowerLoss "One file keeps all its unsynced writes, another none.";
    GarbageSector "garbage_sector" PowerLoss "An unsynced sector holds neither old nor new bytes.";
    SubSectorTear "sub_sector_tear" PowerLoss "Of an unsynced sector only the first bytes are new.";
    DirentLost "dirent_lost" PowerLoss "A name that was created or removed without a directory sync is as before.";
    RenameUndone "rename_undone" PowerLoss "A rename without a directory sync did not happen.";
    EioRead "eio_read" Error "A read fails once with EIO.";
    EioReadSticky "eio_read_sticky" Error "A sector, or a run of them, cannot be read until it is written again.";
    EioWrite "eio_write" Error "A write fails with EIO; nothing, a part or all of it was applied.";
    SyncFailDirty "sync_fail_dirty" Error "A sync fails with EIO; the pages stay dirty and a later sync may write them.";
    SyncFailClean "sync_fail_clean" Error "A sync fails with EIO; the pages are marked clean, the cache shows the new bytes, the platter has the old.";
    SyncFailDropped "sync_fail_dropped" Error "A sync fails with EIO; the pages are marked clean and the cache shows the old bytes again.";
    SyncFailLate "sync_fail_late" Error "A sync loses its writes and says success; the next sync reports it.";
    Enospc "enospc" Error "The device is full.";
    ShortRead "short_read" Error "A read returns fewer bytes than asked, before the end of the file.";
    ShortWrite "short_write" Error "A write takes fewer bytes than given.";
    Eintr "eintr" Error "A read or write is interrupted and did nothing.";
    ReadOnly "read_only" Error "The file system turns read-only.";
    DeviceGone "device_gone" Error "Every call fails with EIO until the next boot.";
    LyingSync "lying_sync" Silent "A sync is acknowledged, its last writes stay in the device's cache.";
    MisdirectedWrite "misdirected_write" Silent "A write lands on another place of the device.";
    MisdirectedRead "misdirected_read" Silent "A read returns the bytes of another place.";
    PhantomWrite "phantom_write" Silent "A write is acknowledged and never done.";
    BitRot "bit_rot" Silent "One bit of the platter flips.";
    BadSectorRun "bad_sector_run" Silent "A run of neighbouring sectors turns into garbage.";
    ReadCorruption "read_corruption" Silent "A read returns a flipped bit; the platter is sound.";
    ZeroedSector "zeroed_sector" Silent "A sector of the platter turns to zeros.";
    OldImage "old_image" Silent "The whole device shows an earlier state, as a restored snapshot does.";
    Shorn "shorn" Silent "Of a synced 4 KiB write only the first eighths are there after power loss.";
    Unserializable "unserializable" Silent "Of two synced writes of a place the older is there after power loss.";
    MetadataLoss "metadata_loss" Silent "Many unrelated recent sectors revert after power loss.";
    FalseDeviceClaim "false_device_claim" Silent "The device tells a larger sector or atomic unit than it honours.";
    StallOp "stall_op" Slow "One call takes long; others go on.";
    StallFile "stall_file" Slow "Calls of one file wait.";
    StallDevice "stall_device" Slow "All calls of the device wait.";
    SlowDevice "slow_device" Slow "The device is a hundred times slower for this boot.";
    WallForward "wall_forward" Clock "The wall clock steps forward.";
    WallBack "wall_back" Clock "The wall clock steps back.";
    WallCoarse "wall_coarse" Clock "The wall clock counts whole seconds.";
    WallDrift "wall_drift" Clock "The wall clock runs too fast or too slow.";
    Suspend "suspend" Clock "The machine sleeps: the monotonic clock jumps over it, the wall clock stands still.";
    SpuriousWake "spurious_wake" Scheduler "A wait on a condition variable or a park ends for no reason.";
    WeakCasFail "weak_cas_fail" Scheduler "A weak compare-exchange fails for no reason.";
    SpawnFail "spawn_fail" Scheduler "A thread cannot be spawned.";
    Starve "starve" Scheduler "A runnable task gets no turn for a while.";
}

/// How many faults there are.
pub const FAULT_COUNT: usize = Fault::ALL.len();
const _: () = assert!(FAULT_COUNT <= 64);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault '{name}'")]
pub struct UnknownFault {
    /// The word.
    pub name: String,
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Fault::ALL.iter().find(|fault| fault.name() == name);
        found.copied().ok_or_else(|| UnknownFault { name: name.into() })
    }
}

impl TryFrom<String> for Fault {
    type Error = UnknownFault;

    fn try_from(name: String) -> Result<Self, UnknownFault> {
        name.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> String {
        fault.name().into()
    }
}

/// A set of faults: what an engine claims to survive, or what a run admits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSet(u64);

impl FaultSet {
    /// No fault.
    pub const NONE: FaultSet = FaultSet(0);
    /// Every fault.
    pub const ALL: FaultSet = FaultSet(u64::MAX >> (64 - FAULT_COUNT));

    /// The faults of a list.
    pub const fn of(faults: &[Fault]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < faults.len() {
            bits |= 1 << faults[index] as u8;
            index += 1;
        }
        FaultSet(bits)
    }

    /// Whether it has `fault`.
    #[inline]
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 >> fault as u8 & 1 == 1
    }

    /// Both sets together.
    pub const fn union(self, other: FaultSet) -> Self {
        FaultSet(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    pub const fn minus(self, other: FaultSet) -> Self {
        FaultSet(self.0 & !other.0)
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its faults in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |fault| self.contains(*fault))
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<T: IntoIterator<Item = Fault>>(faults: T) -> Self {
        faults.into_iter().fold(FaultSet::NONE, |set, fault| set.union(FaultSet::of(&[fault])))
    }
}

/// The rates of one run's faults, and how often each was delivered.
#[derive(Clone, Debug)]
pub struct Faults {
    rate_ppm: [u32; FAULT_COUNT],
    delivered: [u64; FAULT_COUNT],
    /// While they are held back no fault comes, and the draws are made all the same.
    held_back: bool,
    /// The fault that comes at a decision point given by its number, and how many are left to it.
    nth: Option<(Fault, u64)>,
}

impl Faults {
    /// No fault at all.
    pub fn none() -> Self {
        Faults {
            rate_ppm: [0; FAULT_COUNT],
            delivered: [0; FAULT_COUNT],
            held_back: false,
            nth: None,
        }
    }

    /// As [`Faults::none`].
    pub(crate) fn reset(&mut self) {
        let Faults { rate_ppm, delivered, held_back, nth } = self;
        rate_ppm.fill(0);
        delivered.fill(0);
        (*held_back, *nth) = (false, None);
    }

    /// Sets one rate, in millionths of its decision points.
    pub fn set_rate(&mut self, fault: Fault, ppm: u32) {
        assert!(ppm <= PPM, "{fault} at {ppm} millionths");
        self.rate_ppm[fault as usize] = ppm;
    }

    /// The rate of `fault`, 0 while faults are held back.
    #[inline]
    pub fn rate_ppm(&self, fault: Fault) -> u32 {
        if self.held_back { 0 } else { self.rate_ppm[fault as usize] }
    }

    /// Holds all faults back, or lets them come again: after the last boot faults stop.
    pub fn hold_back(&mut self, held_back: bool) {
        self.held_back = held_back;
    }

    /// Lets `fault` come at the `nth` decision point, from 1, at which it may come at all, and at no
    /// other for that reason: for a sweep of errors over every call of a program. The choice there is
    /// made all the same; it does not hold, so a recording needs this setting too.
    pub fn fail_nth(&mut self, fault: Fault, nth: u64) {
        assert!(nth > 0, "decision points are counted from 1");
        self.nth = Some((fault, nth));
    }

    /// How many decision points are left until that of [`Faults::fail_nth`]; 0 when it is over.
    pub fn nth_left(&self) -> u64 {
        self.nth.map_or(0, |(_, left)| left)
    }

    /// The fault that was asked for at this decision point, if it is the one.
    #[cold]
    fn at_nth(&mut self, among: &[Fault]) -> Option<Fault> {
        let (fault, left) = self.nth.as_mut()?;
        if self.held_back || *left == 0 || !among.contains(fault) {
            return None;
        }
        *left -= 1;
        (*left == 0).then_some(*fault)
    }

    /// Decides which fault of `among`, if any, comes at this decision point: the first one that the
    /// draw hits. The caller counts it with [`Faults::delivered`] when it takes effect.
    #[inline]
    pub fn pick(
        &mut self,
        choices: &mut Choices,
        label: impl IntoLabel,
        among: &[Fault],
    ) -> Option<Fault> {
        let allowed = |value: u64| value == 0 || self.rate_ppm(among[value as usize - 1]) > 0;
        let picked = choices.decide_among(label, among.len() as u64 + 1, allowed, |draws| {
            let draw = draws.bits();
            let hit = among.iter().position(|fault| {
                let ppm = self.rate_ppm(*fault);
                ppm > 0 && look(draw, *fault) < ppm
            });
            hit.map_or(0, |index| index as u64 + 1)
        });
        if self.nth.is_some()
            && let Some(fault) = self.at_nth(among)
        {
            return Some(fault);
        }
        // Only exceptions that are moved could have one here.
        picked.checked_sub(1).filter(|_| !self.held_back).map(|index| among[index as usize])
    }

    /// Whether `fault` comes at a decision point of its own.
    pub fn comes(&mut self, choices: &mut Choices, label: impl IntoLabel, fault: Fault) -> bool {
        self.pick(choices, label, &[fault]).is_some()
    }

    /// Counts a fault that took effect.
    #[inline]
    pub fn deliver(&mut self, fault: Fault) {
        self.delivered[fault as usize] += 1;
    }

    /// Counts a fault that took effect, and adds it to the trace: `amount` is in its own unit.
    pub(crate) fn deliver_in(&mut self, trace: &mut Trace, fault: Fault, amount: u64) {
        self.deliver(fault);
        trace.event(None, What::Fault { fault, file: 0, offset: amount, len: 0 });
    }

    /// How often `fault` took effect.
    pub fn delivered(&self, fault: Fault) -> u64 {
        self.delivered[fault as usize]
    }
}

/// The draw as `fault` sees it: a number below one million, independent of what others see.
fn look(draw: u32, fault: Fault) -> u32 {
    let seen = crate::choice::mix(u64::from(draw) << 8 | fault as u64);
    (((seen >> 32) * u64::from(PPM)) >> 32) as u32
}
