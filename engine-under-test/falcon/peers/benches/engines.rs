//! `cargo bench -p falcon`: Falcon beside redb, SQLite and fjall, on a real directory and on tmpfs.
//!
//! # Method
//!
//! This program starts itself anew for each work on each engine, round by round, so that the engines take turns
//! and no two works share a process. The works that read find what the load of their round has left.
//!
//! # Invariant
//!
//! The program fails when a figure that was planned did not come, and for no figure that did.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs};

use falcon_peers::engine::{self, Kind};
use falcon_peers::measure::{self, Answer};
use falcon_peers::report::{self, Room, Row};
use falcon_peers::work::{self, Place, Size, Work};
use falcon_peers::{Result, device};
use falconry_seam::disk::{Disk, StdDisk};

const HELP: &str = "\
Usage: cargo bench -p falcon [-- OPTIONS]

  --json        JSON Lines in place of the tables
  --quick       a small size: whether all works, not how fast
  --rounds N    rounds of each work on each engine, from 1 (default 3)
  --only TEXT   only this engine, or only works whose name contains TEXT
  --dir DIR     the real directory (default: below the target folder)
  --place P     only `directory` or only `tmpfs`
";

struct Options {
    json: bool,
    quick: bool,
    size: Size,
    only: Vec<String>,
    dir: PathBuf,
    place: Option<Place>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["--child", kind, work, dir, size] => child(kind, work, Path::new(dir), size),
        ["--help" | "-h", ..] => {
            print!("{HELP}");
            Ok(())
        }
        _ => match options(&arguments) {
            Ok(options) => compare(&options),
            Err(problem) => {
                eprint!("{problem}\n\n{HELP}");
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("engines: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> std::result::Result<Options, String> {
    let mut options = Options {
        json: false,
        quick: false,
        size: Size::FULL,
        only: Vec::new(),
        dir: env!("CARGO_TARGET_TMPDIR").into(),
        place: None,
    };
    let mut rounds = None;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--quick" => (options.quick, options.size) = (true, Size::QUICK),
            "--rounds" => {
                let count = words.next().map_or("", String::as_str);
                rounds = Some(count.parse().ok().filter(|rounds| *rounds > 0));
            }
            "--only" => options.only.push(words.next().ok_or("--only needs a name")?.clone()),
            "--dir" => options.dir = words.next().ok_or("--dir needs a folder")?.into(),
            "--place" => {
                options.place = Some(match words.next().map_or("", String::as_str) {
                    "directory" => Place::Directory,
                    "tmpfs" => Place::Tmpfs,
                    other => return Err(format!("no place is called '{other}'")),
                });
            }
            unknown => return Err(format!("unknown option '{unknown}'")),
        }
    }
    match rounds {
        None => {}
        Some(Some(rounds)) => options.size.rounds = rounds,
        Some(None) => return Err("--rounds needs a number from 1".into()),
    }
    Ok(options)
}

impl Options {
    /// Engines that are asked for; all, unless one is named.
    fn engines(&self) -> Vec<Kind> {
        let named: Vec<Kind> = self.only.iter().filter_map(|name| Kind::named(name)).collect();
        if named.is_empty() { engine::ALL.to_vec() } else { named }
    }

    fn works(&self) -> Vec<Work> {
        let parts: Vec<&String> =
            self.only.iter().filter(|name| Kind::named(name).is_none()).collect();
        let is_asked = |work: &Work| {
            parts.is_empty() || parts.iter().any(|part| work.to_string().contains(part.as_str()))
        };
        work::ALL.into_iter().filter(is_asked).collect()
    }
}

/// Does one work and prints its answer: what this program does when it was started by itself.
fn child(kind: &str, work: &str, dir: &Path, size: &str) -> Result<()> {
    let kind = Kind::named(kind).ok_or("no such engine")?;
    let size = if size == "quick" { Size::QUICK } else { Size::FULL };
    if work == "fill" {
        return measure::fill_log(kind, dir, &size);
    }
    let work = Work::named(work).ok_or("no such work")?;
    let answer = measure::measure(kind, work, dir, &size)?;
    io::stdout().write_all(answer.lines().as_bytes())?;
    Ok(())
}

fn compare(options: &Options) -> Result<()> {
    if options.works().is_empty() {
        return Err(format!(
            "no engine is called {0:?}, and no work has it in its name",
            options.only
        )
        .into());
    }
    let (mut rooms, mut rows) = (Vec::new(), Vec::new());
    let places = [(Place::Directory, options.dir.as_path()), (Place::Tmpfs, Path::new("/dev/shm"))];
    for (place, parent) in places {
        if options.place.is_some_and(|asked| asked != place) {
            continue;
        }
        // A folder of its own, for all of it is removed.
        let dir = parent.join(format!("falcon-peers-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let done = Benchmark { options, place, dir: &dir, notes: Vec::new() }.run(&mut rows);
        fs::remove_dir_all(&dir)?;
        rooms.push(done?);
    }
    let text = if options.json {
        report::json_lines(&rooms, &rows)
    } else {
        report::tables(&rooms, &rows)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let missing = report::missing(&rows);
    if missing.is_empty() { Ok(()) } else { Err(format!("no figure: {missing:?}").into()) }
}

/// All rounds at one place.
struct Benchmark<'a> {
    options: &'a Options,
    place: Place,
    dir: &'a Path,
    notes: Vec<String>,
}

impl Benchmark<'_> {
    fn run(mut self, rows: &mut Vec<Row>) -> Result<Room> {
        let place = self.place;
        let (works, engines) = (self.options.works(), self.options.engines());
        for work in &works {
            for kind in &engines {
                let figures = work.figures(*kind, place).into_iter();
                rows.extend(figures.map(|figure| Row {
                    place,
                    figure,
                    kind: *kind,
                    rounds: Vec::new(),
                }));
            }
        }
        let sync = [device::sync_latency(self.dir, 512)?, device::sync_latency(self.dir, 4_096)?];
        for round in 0..self.options.size.rounds {
            eprintln!("{place}: round {} of {}", round + 1, self.options.size.rounds);
            for work in &works {
                // Nobody is always the first.
                for turn in 0..engines.len() {
                    let kind = engines[(turn + round) % engines.len()];
                    match self.one(kind, *work) {
                        Ok(answer) => self.take(kind, answer, rows),
                        Err(error) => eprintln!("{work} of {kind} on {place}: {error}"),
                    }
                }
            }
        }
        let sector_bytes = StdDisk::open(self.dir)?.sector_size();
        let file_system = device::file_system(self.dir)?;
        let processors = device::processors();
        Ok(Room { place, file_system, processors, sector_bytes, sync, notes: self.notes })
    }

    fn take(&mut self, kind: Kind, answer: Answer, rows: &mut [Row]) {
        for (figure, value) in answer.figures {
            let is_it =
                |row: &&mut Row| (row.place, row.figure, row.kind) == (self.place, figure, kind);
            if let Some(row) = rows.iter_mut().find(is_it) {
                row.rounds.push(value);
            }
        }
        // Those of the last round stay.
        for note in answer.notes.iter().map(|note| format!("{kind}: {note}")) {
            let start = note.split(' ').take(2).collect::<Vec<_>>().join(" ");
            self.notes.retain(|other| !other.starts_with(&start));
            self.notes.push(note);
        }
    }

    fn one(&self, kind: Kind, work: Work) -> Result<Answer> {
        let loaded = self.dir.join(format!("{kind}-rows"));
        if work == Work::Load {
            renew(&loaded)?;
            return answer(self.start(kind, &work.to_string(), &loaded)?);
        }
        if work.needs_rows() {
            if !loaded.exists() {
                renew(&loaded)?;
                answer(self.start(kind, "load", &loaded)?)?;
            }
            return answer(self.start(kind, &work.to_string(), &loaded)?);
        }
        let fresh = self.dir.join(format!("{kind}-fresh"));
        renew(&fresh)?;
        let mut note = None;
        if work == Work::Reopen {
            note = Some(format!("{work}: {}", kill(self.start(kind, "fill", &fresh)?)?));
        }
        let mut answer = answer(self.start(kind, &work.to_string(), &fresh)?)?;
        answer.notes.extend(note);
        fs::remove_dir_all(&fresh)?;
        Ok(answer)
    }

    fn start(&self, kind: Kind, work: &str, dir: &Path) -> Result<Child> {
        let size = if self.options.quick { "quick" } else { "full" };
        let mut command = Command::new(env::current_exe()?);
        command.args(["--child", &kind.to_string(), work]).arg(dir).arg(size);
        // What one process has left to be written is not the next one's to wait for.
        // SAFETY: the call takes nothing and touches no memory of ours.
        unsafe { libc::sync() };
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
    }
}

fn renew(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(fs::create_dir_all(dir)?)
}

/// What a process says that ends by itself.
fn answer(child: Child) -> Result<Answer> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("its process ended with {}", output.status).into());
    }
    Answer::read(&String::from_utf8(output.stdout)?)
}

/// Waits for the line of a process that fills a log, and kills it then.
fn kill(mut child: Child) -> Result<String> {
    let out = child.stdout.take().ok_or("the process has no output")?;
    let mut line = String::new();
    let mut out = BufReader::new(out);
    out.read_line(&mut line)?;
    // Whoever is killed at work leaves more behind than one that sleeps.
    std::thread::sleep(Duration::from_millis(1));
    child.kill()?;
    out.read_to_string(&mut String::new())?;
    child.wait()?;
    if line.is_empty() { Err("it filled no log".into()) } else { Ok(line.trim().into()) }
}
