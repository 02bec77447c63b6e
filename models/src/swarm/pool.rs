//! The workers of a swarm, as their parent sees them.
//!
//! # Method
//!
//! Each worker is a child process with a thread here that reads its lines. The thread keeps the
//! announced seed and the last sign of life in atomics; everything else goes to one channel. When the
//! pipe ends, whoever asks gets the cause: a signal, an exit status, a machine that stood still.
//!
//! # Invariant
//!
//! A worker has at most one order at a time, so a lost worker loses one order.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::protocol::{Blocked, FromWorker, ToWorker};
use crate::run::Case;

/// The only argument of a worker.
const WORKER: &str = "worker";

/// Set for workers alone: typed by somebody, the word is no verb.
const WORKER_MARK: &str = "FALCONRY_WORKER";

/// A busy worker that gives no sign of life for so long is ended.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Lines of a worker's stderr that are kept.
const STDERR_LINES_MAX: usize = 8;

/// Whether this process was started as a worker.
pub fn is_worker() -> bool {
    let word = std::env::args_os().nth(1);
    word.is_some_and(|word| word == WORKER) && std::env::var_os(WORKER_MARK).is_some()
}

/// What a worker did.
pub enum Happening {
    /// It answered its order.
    Answer(FromWorker),
    /// It is gone.
    Lost(Lost),
}

/// A worker that is gone.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The seed that it had announced, if any.
    pub seed: Option<u64>,
    /// In a few words, the same for the same bug.
    pub cause: String,
    /// The task and the engine's call, where a watchdog saw them.
    pub call: String,
    /// Its process id.
    pub pid: u32,
    /// The last lines that it wrote to stderr.
    pub stderr: Vec<String>,
}

/// The workers.
pub struct Pool {
    parts: Vec<Case>,
    workers: Vec<Worker>,
    /// How long a busy worker may be silent.
    silence: Duration,
    sender: Sender<(usize, u64, Option<FromWorker>)>,
    receiver: Receiver<(usize, u64, Option<FromWorker>)>,
    /// Numbers the children, so that a late word of a lost one is not taken for its successor's.
    births: u64,
}

struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    shared: Arc<Shared>,
    birth: u64,
    is_busy: bool,
    blocked: Option<Blocked>,
    heard: (u64, Instant),
}

#[derive(Default)]
struct Shared {
    /// The announced seed, valid when `has_announced`.
    seed: AtomicU64,
    has_announced: AtomicBool,
    /// Goes on by one with every line.
    lines: AtomicU64,
    stderr: Mutex<VecDeque<String>>,
}

impl Pool {
    /// Starts `count` workers that know `parts`, and are ended when they are busy and silent for longer
    /// than `silence`, as a rule [`SILENCE_MAX`].
    ///
    /// # Errors
    ///
    /// As the system refuses to start a process.
    pub fn start(count: usize, parts: Vec<Case>, silence: Duration) -> std::io::Result<Pool> {
        let (sender, receiver) = mpsc::channel();
        let mut pool = Pool { parts, workers: Vec::new(), silence, sender, receiver, births: 0 };
        for index in 0..count {
            let worker = pool.spawn(index)?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// How many workers there are.
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// A worker without an order.
    pub fn idle(&self) -> Option<usize> {
        self.workers.iter().position(|worker| !worker.is_busy)
    }

    /// Whether no worker has an order.
    pub fn is_idle(&self) -> bool {
        self.workers.iter().all(|worker| !worker.is_busy)
    }

    /// Gives an order to an idle worker.
    pub fn give(&mut self, index: usize, order: &ToWorker) {
        let worker = &mut self.workers[index];
        assert!(!worker.is_busy, "worker {index} has an order already");
        worker.is_busy = true;
        worker.heard = (worker.shared.lines.load(Ordering::Relaxed), Instant::now());
        worker.shared.has_announced.store(false, Ordering::Relaxed);
        // A worker that died while idle is noticed as lost, by its pipe.
        send(worker.stdin.as_mut(), order);
    }

    /// Waits at most `timeout` for something to happen to an order; says to whom. A lost worker has
    /// been replaced.
    ///
    /// # Errors
    ///
    /// As the system refuses to start a process.
    pub fn next(&mut self, timeout: Duration) -> std::io::Result<Option<(usize, Happening)>> {
        let (index, birth, message) = match self.receiver.recv_timeout(timeout) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => {
                self.end_the_silent();
                return Ok(None);
            }
            Err(RecvTimeoutError::Disconnected) => unreachable!("the pool holds a sender itself"),
        };
        if self.workers[index].birth != birth {
            return Ok(None);
        }
        match message {
            Some(FromWorker::Blocked(blocked)) => {
                self.workers[index].blocked = Some(blocked);
                Ok(None)
            }
            Some(FromWorker::Done(done)) if done.retires => {
                self.replace(index)?;
                Ok(Some((index, Happening::Answer(FromWorker::Done(done)))))
            }
            Some(answer) => {
                self.workers[index].is_busy = false;
                Ok(Some((index, Happening::Answer(answer))))
            }
            None => {
                let was_busy = self.workers[index].is_busy;
                let lost = self.replace(index)?;
                Ok(was_busy.then_some((index, Happening::Lost(lost))))
            }
        }
    }

    /// Kills a busy worker that has not said anything for long: its own watchdog did not help.
    fn end_the_silent(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.is_busy) {
            let lines = worker.shared.lines.load(Ordering::Relaxed);
            if lines != worker.heard.0 {
                worker.heard = (lines, Instant::now());
            } else if worker.heard.1.elapsed() > self.silence {
                worker.blocked =
                    Some(Blocked { verdict: "gave no sign of life".into(), call: String::new() });
                // It may have ended meanwhile; then its pipe tells.
                let _ = worker.child.kill();
            }
        }
    }

    fn replace(&mut self, index: usize) -> std::io::Result<Lost> {
        let fresh = self.spawn(index)?;
        let mut old = std::mem::replace(&mut self.workers[index], fresh);
        old.stdin = None;
        let status = old.child.wait()?;
        let shared = &old.shared;
        let stderr = shared.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let has_announced = shared.has_announced.load(Ordering::Relaxed);
        let stderr: Vec<String> = stderr.iter().cloned().collect();
        let (cause, call) = match old.blocked {
            Some(blocked) => (blocked.verdict, blocked.call),
            None => (cause_of(status, &stderr), String::new()),
        };
        Ok(Lost {
            seed: has_announced.then(|| shared.seed.load(Ordering::Relaxed)),
            cause,
            call,
            pid: old.child.id(),
            stderr,
        })
    }

    fn spawn(&mut self, index: usize) -> std::io::Result<Worker> {
        self.births += 1;
        let birth = self.births;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(WORKER)
            .env(WORKER_MARK, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the parent alone.
            .process_group(0)
            .spawn()?;
        let shared = Arc::new(Shared::default());
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let hears = Arc::clone(&shared);
        let sender = self.sender.clone();
        let named = |name: &str| thread::Builder::new().name(name.into());
        let errors = Arc::clone(&shared);
        let errors = named("stderr").spawn(move || keep_last(BufReader::new(stderr), &errors))?;
        named("worker").spawn(move || {
            listen(BufReader::new(stdout), &hears, |message| {
                let _ = sender.send((index, birth, Some(message)));
            });
            // The pool may be gone; then nobody asks.
            let _ = errors.join();
            let _ = sender.send((index, birth, None));
        })?;
        let mut stdin = child.stdin.take();
        send(stdin.as_mut(), &ToWorker::Parts(self.parts.clone()));
        let heard = (0, Instant::now());
        Ok(Worker { child, stdin, shared, birth, is_busy: false, blocked: None, heard })
    }
}

impl Drop for Pool {
    /// Ends all workers: idle ones by their pipe, busy ones at once.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.stdin = None;
            if worker.is_busy {
                let _ = worker.child.kill();
            }
        }
        for worker in &mut self.workers {
            let _ = worker.child.wait();
        }
    }
}

fn send(stdin: Option<&mut ChildStdin>, order: &ToWorker) {
    let mut text = serde_json::to_string(order).expect("orders are plain data");
    text.push('\n');
    if let Some(stdin) = stdin {
        // A closed pipe means a lost worker, and its other pipe tells that.
        let _ = stdin.write_all(text.as_bytes());
    }
}

fn listen(lines: impl BufRead, shared: &Shared, mut tell: impl FnMut(FromWorker)) {
    for line in lines.lines() {
        let Ok(line) = line else { return };
        shared.lines.fetch_add(1, Ordering::Relaxed);
        match serde_json::from_str(&line) {
            Ok(FromWorker::At(seed)) => {
                shared.seed.store(seed, Ordering::Relaxed);
                shared.has_announced.store(true, Ordering::Relaxed);
            }
            Ok(FromWorker::Alive) => {}
            Ok(message) => tell(message),
            // Nobody but the worker writes there, so this is a line that its end cut short.
            Err(_) => {}
        }
    }
}

fn keep_last(lines: impl BufRead, shared: &Shared) {
    for line in lines.lines() {
        let Ok(line) = line else { return };
        // Frames of a backtrace would push out the line that says what happened.
        if line.starts_with(' ') || line == "stack backtrace:" {
            continue;
        }
        let mut kept = shared.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == STDERR_LINES_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

/// Why a process ended, in a few words.
fn cause_of(status: ExitStatus, stderr: &[String]) -> String {
    let overflow = stderr.iter().any(|line| line.contains("overflowed its stack"));
    match (status.signal(), status.code()) {
        _ if overflow => "a thread overflowed its stack".into(),
        (Some(signal), _) => format!("killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => "ended for an unknown reason".into(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGXCPU => "SIGXCPU",
        other => return format!("signal {other}"),
    };
    name.into()
}
