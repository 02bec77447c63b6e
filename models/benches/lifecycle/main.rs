//! Boots per second and core, and memory over a million seeds.
//!
//! A boot is: open, recover, check, work, and an end: by power loss, by a process that is killed, or in
//! peace; a part of them ends while the engine still opens. Those that lost their power are told beside
//! all. Each engine runs the same scenarios as in a swarm, one process, one OS thread at a time, so that a
//! figure is one of a core. No figure makes this program fail: the goals stand beside the figures.
//!
//! A life of Falcon is: create a database, 50 operations in transactions of a few, lose the power, recover,
//! check the structure and read everything. Each has a seed of its own, which draws disk and schedule.
//!
//! `-- --json` prints JSON Lines; `-- --quick` runs a fiftieth of the canary's seeds; `-- --only redb`
//! measures the boots of one engine alone, `-- --only lives` the lives, `-- --only memory` the memory alone; `-- --first 20` runs the
//! first twenty seeds of each scenario in place of ten seconds of them: the same work for a profiler that
//! counts instructions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

mod life;

use falconry::run::{Case, Counters, Wishes, properties, run_case};
use falconry_ambient::Aside;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Chosen = Chosen(Aside(MiMalloc));

/// The program's allocator; in the process that measures memory that of the C library, which gives all
/// that is free back when it is asked to. mimalloc keeps whole pages for single blocks, and so many times
/// what lives between two runs, more or less as the last of them happened to leave it.
struct Chosen(Aside<MiMalloc>);

/// The environment variable by which a process measures memory. It is read before `main`.
const OF_MEMORY: &CStr = c"FALCONRY_BENCH_MEMORY";

/// Bytes of all blocks that are allocated, in the process that measures memory.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

impl Chosen {
    /// Decided at the first allocation, and the same ever after.
    fn measures_memory() -> bool {
        static DECIDED: AtomicU8 = AtomicU8::new(0);
        match DECIDED.load(Ordering::Relaxed) {
            0 => {
                // SAFETY: the name ends with a zero, and nothing changes the environment this early.
                let is_set = unsafe { !libc::getenv(OF_MEMORY.as_ptr()).is_null() };
                DECIDED.store(1 + u8::from(is_set), Ordering::Relaxed);
                is_set
            }
            decided => decided == 2,
        }
    }
}

// SAFETY: every block goes back to the allocator that it is from, for the choice never changes.
unsafe impl GlobalAlloc for Chosen {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what the caller promises is what both ask for.
        unsafe {
            if Self::measures_memory() {
                IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
                System.alloc(layout)
            } else {
                self.0.alloc(layout)
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            if Self::measures_memory() {
                IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
                System.alloc_zeroed(layout)
            } else {
                self.0.alloc_zeroed(layout)
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            if Self::measures_memory() {
                IN_USE.fetch_add(bytes, Ordering::Relaxed);
                IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
                System.realloc(block, layout, bytes)
            } else {
                self.0.realloc(block, layout, bytes)
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            if Self::measures_memory() {
                IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
                System.dealloc(block, layout);
            } else {
                self.0.dealloc(block, layout);
            }
        }
    }
}

/// What a boot may cost at most, by engine: boots per second and core.
const GOALS: &[(&str, f64)] =
    &[("falcon", 0.0), ("redb", 1_000.0), ("sqlite", 500.0), ("canary", 0.0)];
const SCENARIOS: &[&str] = &["kv/bank", "kv/counter", "kv/cycle", "kv/ledger", "kv/range"];
const TIME_PER_ENGINE: Duration = Duration::from_secs(10);
/// The word that stands for lives alone, in place of an engine.
const LIVES: &str = "lives";
/// Lives of Falcon per second and core.
const LIVES_GOAL: f64 = 1_500.0;
/// The word that stands for the memory alone, in place of an engine.
const MEMORY: &str = "memory";
const SEEDS: u64 = 1_000_000;
const FIRST_LOOK: u64 = 10_000;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let json = words.iter().any(|word| word == "--json");
    let seeds = if words.iter().any(|word| word == "--quick") { SEEDS / 50 } else { SEEDS };
    if !json && !words.iter().any(|word| word == MEMORY) {
        let head = ["ns a boot", "boots a s", "losses a s", "goal"];
        println!("{:<12}{:>12}{:>14}{:>14}{:>12}", "engine", head[0], head[1], head[2], head[3]);
    }
    let after = |name| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let only = after("--only").map(String::as_str);
    let first: Option<u64> =
        after("--first").map(|count| count.parse().expect("a number of seeds"));
    for (engine, goal) in GOALS.iter().filter(|(engine, _)| only.is_none_or(|only| only == *engine))
    {
        boots(engine, *goal, first, json);
    }
    if only.is_none_or(|only| only == LIVES) {
        lives(first, json);
    }
    match only {
        None => memory_of_a_child(&words[1..]),
        Some(MEMORY) if Chosen::measures_memory() => memory(seeds, json),
        Some(MEMORY) => memory_of_a_child(&words[1..]),
        Some(_) => {}
    }
}

/// Measures memory in a process of its own, for its allocator is another.
fn memory_of_a_child(words: &[String]) {
    let program = std::env::current_exe().expect("the path of this program");
    let mut child = std::process::Command::new(program);
    child.args(words).args(["--only", MEMORY]).env(OF_MEMORY.to_str().expect("a plain name"), "1");
    let status = child.status().expect("this program starts once more");
    assert!(status.success(), "the measurement of memory ended with {status}");
}

fn case(engine: &str, scenario: &str, seed: u64) -> Case {
    properties::plain(engine, scenario, seed)
}

fn boots(engine: &str, goal: f64, first: Option<u64>, json: bool) {
    let start = Instant::now();
    let (mut sum, mut seed) = (Counters::default(), 0);
    while first.map_or_else(|| start.elapsed() < TIME_PER_ENGINE, |count| seed < count) {
        for scenario in SCENARIOS {
            sum.add(&run(&case(engine, scenario, seed)));
        }
        seed += 1;
    }
    let elapsed = start.elapsed();
    let ns = elapsed.as_nanos() as f64 / sum.boots as f64;
    let losses = sum.power_losses as f64 / elapsed.as_secs_f64();
    if json {
        println!(
            "{{\"work\":\"boot\",\"system\":\"{engine}\",\"ns\":{ns:.0},\"ratio_to_falconry\":1.0,\
             \"per_second\":{:.0},\"power_losses_per_second\":{losses:.0},\"goal\":{goal:.0}}}",
            1e9 / ns
        );
    } else {
        println!("{engine:<12}{ns:>12.0}{:>14.0}{losses:>14.0}{goal:>12.0}", 1e9 / ns);
        if first.is_some() {
            println!("{} boots, {} commits acknowledged", sum.boots, sum.commits_acked);
        }
    }
}

/// Lives of Falcon, one seed each.
fn lives(first: Option<u64>, json: bool) {
    let start = Instant::now();
    let (mut losses, mut seed) = (0, 0);
    while first.map_or_else(|| start.elapsed() < TIME_PER_ENGINE, |count| seed < count) {
        losses += life::live(seed);
        seed += 1;
    }
    let elapsed = start.elapsed().as_secs_f64();
    let (per_second, ns) = (seed as f64 / elapsed, elapsed * 1e9 / seed as f64);
    let losses = losses as f64 / elapsed;
    if json {
        println!(
            "{{\"work\":\"life\",\"system\":\"falcon\",\"ns\":{ns:.0},\"ratio_to_falconry\":1.0,\
             \"per_second\":{per_second:.0},\"power_losses_per_second\":{losses:.0},\
             \"goal\":{LIVES_GOAL:.0}}}"
        );
    } else {
        let name = "falcon, life";
        println!("{name:<12}{ns:>12.0}{per_second:>14.0}{losses:>14.0}{LIVES_GOAL:>12.0}");
    }
}

/// Runs one case and returns its counters.
fn run(case: &Case) -> Counters {
    let outcome = run_case(case, &Wishes::default());
    outcome.unwrap_or_else(|error| panic!("{}: {error}", case.engine)).counters
}

fn memory(seeds: u64, json: bool) {
    let mut first = None;
    let start = Instant::now();
    for seed in 0..seeds {
        run(&case("canary", SCENARIOS[(seed % 5) as usize], seed));
        if seed + 1 == FIRST_LOOK {
            first = Some(Memory::now());
        }
    }
    let (first, last) = (first.expect("so many seeds were run"), Memory::now());
    let ns = start.elapsed().as_nanos() as f64 / seeds as f64;
    if json {
        println!(
            "{{\"work\":\"canary_seed\",\"system\":\"falconry\",\"ns\":{ns:.0},\
             \"ratio_to_falconry\":1.0,\"seeds\":{seeds},\"resident_kib_at_10000\":{},\
             \"resident_kib_at_end\":{},\"heap_bytes_at_10000\":{},\"heap_bytes_at_end\":{}}}",
            first.resident_kib, last.resident_kib, first.heap_bytes, last.heap_bytes
        );
    } else {
        let growth = (last.resident_kib as f64 / first.resident_kib as f64 - 1.0) * 100.0;
        println!("\ncanary: {seeds} seeds, {ns:.0} ns each");
        println!("at seed {FIRST_LOOK}: {first}");
        println!("at seed {seeds}: {last}");
        println!("resident memory grew by {growth:.1} % (goal: within 5 %)");
    }
}

/// What this process holds between two runs.
struct Memory {
    /// All that is resident: its program, stacks and heap.
    resident_kib: u64,
    /// Of it what is no file's: heap and stacks.
    anonymous_kib: u64,
    /// Blocks that are allocated.
    heap_bytes: usize,
}

impl Memory {
    /// As the kernel tells it and this program's allocator counts it; what is free is given back first.
    fn now() -> Memory {
        // SAFETY: it has no precondition.
        unsafe { libc::malloc_trim(0) };
        let heap_bytes = IN_USE.load(Ordering::Relaxed);
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            number.and_then(|number| number.trim().parse().ok()).expect("a number of KiB")
        };
        Memory { resident_kib: kib("VmRSS:"), anonymous_kib: kib("RssAnon:"), heap_bytes }
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Memory { resident_kib, anonymous_kib, heap_bytes } = self;
        write!(
            f,
            "{resident_kib} KiB resident, of which {anonymous_kib} anonymous; {heap_bytes} bytes \
             allocated"
        )
    }
}
