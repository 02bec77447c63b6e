//! The disk against a naive one: a vector of bytes a file, and a list of what was ever in each sector.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECTOR: usize = 512;
const FILES: usize = 3;

/// One step of a random program.
#[derive(Clone, Debug)]
enum Step {
    Write { file: usize, offset: u64, len: usize, byte: u8, direct: bool },
    SetLen { file: usize, len: u64 },
    Read { file: usize, offset: u64, len: usize },
    Sync { file: usize },
    ProcessCrash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let file = 0..FILES;
    let step = prop_oneof![
        6 => (file.clone(), 0..30_000u64, 1..9000usize, 1..=255u8, prop::bool::weighted(0.2))
            .prop_map(|(file, offset, len, byte, direct)| {
                let round = |value: u64| value.next_multiple_of(SECTOR as u64);
                let (offset, len) = match direct {
                    true => (round(offset), round(len as u64) as usize),
                    false => (offset, len),
                };
                Step::Write { file, offset, len, byte, direct }
            }),
        1 => (file.clone(), 0..40_000u64).prop_map(|(file, len)| Step::SetLen { file, len }),
        3 => (file.clone(), 0..45_000u64, 0..9000usize)
            .prop_map(|(file, offset, len)| Step::Read { file, offset, len }),
        2 => file.prop_map(|file| Step::Sync { file }),
        1 => Just(Step::ProcessCrash),
    ];
    prop::collection::vec(step, 1..60)
}

/// A file as the naive disk has it.
#[derive(Clone, Default)]
struct Naive {
    bytes: Vec<u8>,
    /// What was in each sector since the last sync, zero-padded; first the durable bytes.
    versions: BTreeMap<usize, Vec<Vec<u8>>>,
    durable: Vec<u8>,
    lens: Vec<usize>,
}

impl Naive {
    fn note(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let now = padded(&self.bytes, sector);
            self.versions.entry(sector).or_default().push(now);
        }
        self.lens.push(self.bytes.len());
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        let grown = self.bytes.len().min(offset);
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset..end].copy_from_slice(bytes);
        self.note(grown, end);
    }

    fn set_len(&mut self, len: usize) {
        let from = self.bytes.len().min(len);
        let to = self.bytes.len().max(len);
        self.bytes.resize(len, 0);
        self.note(from, to);
    }

    fn sync(&mut self) {
        self.durable = self.bytes.clone();
        self.versions.clear();
        self.lens.clear();
    }

    /// Whether a power loss may leave the file like this.
    fn allows(&self, found: &[u8]) -> Result<(), String> {
        if found.len() != self.durable.len() && !self.lens.contains(&found.len()) {
            return Err(format!("length {} was never the file's", found.len()));
        }
        for sector in 0..found.len().div_ceil(SECTOR) {
            let now = padded(found, sector);
            let kept = found.len().min((sector + 1) * SECTOR) - sector * SECTOR;
            let same = |version: &Vec<u8>| version[..kept] == now[..kept];
            let durable = padded(&self.durable, sector);
            let versions = self.versions.get(&sector);
            // A cut leaves zeros behind it, also within a sector whose other bytes are older.
            let cut = |version: &Vec<u8>| {
                let mut lens = self.lens.iter().copied().chain([self.durable.len()]);
                lens.any(|len| {
                    let keep = len.saturating_sub(sector * SECTOR).min(kept);
                    version[..keep] == now[..keep] && now[keep..kept].iter().all(|b| *b == 0)
                })
            };
            let known = same(&durable)
                || cut(&durable)
                || versions.into_iter().flatten().any(|version| same(version) || cut(version));
            if !known {
                return Err(format!("sector {sector} holds what it never held"));
            }
        }
        Ok(())
    }
}

fn padded(bytes: &[u8], sector: usize) -> Vec<u8> {
    let start = (sector * SECTOR).min(bytes.len());
    let end = ((sector + 1) * SECTOR).min(bytes.len());
    let mut padded = bytes[start..end].to_vec();
    padded.resize(SECTOR, 0);
    padded
}

struct Pair {
    world: World,
    naive: Vec<Naive>,
    handles: Vec<[Handle; 2]>,
}

impl Pair {
    fn new(config: DiskConfig, seed: u64) -> Self {
        let mut world = World::with(config, Choices::from_seed(seed));
        world.admit_losses();
        for file in 0..FILES {
            world.create(&file.to_string());
        }
        world.sync_dir("").unwrap();
        let mut pair = Pair { world, naive: vec![Naive::default(); FILES], handles: Vec::new() };
        pair.open();
        pair
    }

    fn open(&mut self) {
        let direct = OpenOptions { direct: true, ..OpenOptions::READ_WRITE };
        let open = |file: usize| {
            [OpenOptions::READ_WRITE, direct]
                .map(|options| self.world.open(&file.to_string(), options).unwrap())
        };
        self.handles = (0..FILES).map(open).collect();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { file, offset, len, byte, direct } => {
                let bytes = vec![byte; len];
                let handle = self.handles[file][usize::from(direct)];
                assert_eq!(self.world.write(handle, &bytes, offset).unwrap(), len);
                self.naive[file].write(offset as usize, &bytes);
            }
            Step::SetLen { file, len } => {
                let handle = self.handles[file][0];
                self.world.call(|disk, env| disk.set_len(env, handle, len)).unwrap();
                self.naive[file].set_len(len as usize);
            }
            Step::Read { file, offset, len } => {
                let found = self.world.read(self.handles[file][0], len, offset).unwrap();
                let bytes = &self.naive[file].bytes;
                let from = bytes.len().min(offset as usize);
                let to = bytes.len().min(offset as usize + len);
                assert!(found == bytes[from..to], "a read of file {file} differs");
            }
            Step::Sync { file } => {
                self.world.sync(self.handles[file][0]).unwrap();
                self.naive[file].sync();
                let durable = self.world.disk.durable(&file.to_string()).unwrap();
                assert!(durable == self.naive[file].bytes, "file {file} is not all durable");
            }
            Step::ProcessCrash => {
                self.world.call(|disk, env| disk.process_crash(env));
                self.open();
            }
        }
    }

    fn check_power_loss(mut self, pure: bool) {
        self.world.power_loss();
        for (file, naive) in self.naive.iter().enumerate() {
            let found = self.world.disk.durable(&file.to_string()).unwrap();
            let cached = self.world.disk.cached(&file.to_string()).unwrap();
            assert!(found == cached, "the cache shows the platter");
            // Garbage and torn sectors hold what no version held.
            if pure && let Err(why) = naive.allows(&found) {
                panic!("file {file}: {why}");
            }
        }
        assert_eq!(self.world.disk.pending(), Pending::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_syncs_and_power_losses_are_those_of_the_naive_disk(
        steps in steps(),
        seed in 0..u64::MAX,
        fs in 0..7usize,
        device in 0..3usize,
        dirty_ops_max in 1..200u64,
        garbage in prop::bool::ANY,
    ) {
        let device = [DevicePreset::Hdd512n, DevicePreset::SsdSata512e, DevicePreset::RaidBbu][device];
        let config = DiskConfig { fs: FsPreset::ALL[fs], device, dirty_ops_max, ..DiskConfig::default() };
        let mut pair = Pair::new(config, seed);
        if !garbage {
            pair.world.never(Fault::GarbageSector);
            pair.world.never(Fault::SubSectorTear);
        }
        for step in &steps {
            pair.step(step);
        }
        pair.check_power_loss(!garbage);
    }
}
