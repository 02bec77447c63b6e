//! Group commit: one thread at a time writes for all who wait, and hands the role on.
//!
//! # Method
//!
//! Whoever needs the log up to some place asks for it. If nobody writes, it becomes the writer and writes
//! whatever has been appended by then, for others too. Otherwise it queues up and sleeps. A writer that
//! has finished wakes those whose place it has reached, and makes the first of the others the next writer:
//! nobody else is woken. A writer that fails, or leaves without a word, stops the log for good: everybody
//! gets the same error, now and later.
//!
//! # Invariant
//!
//! While anybody waits there is a writer, or one has just been chosen and woken.

use std::collections::VecDeque;

use super::sync::{Arc, AtomicU8, Mutex, MutexGuard, Ordering, PoisonError, Thread, thread};

/// Hands the writer's role from one thread to the next. `E` is why the log has stopped.
pub(crate) struct HandOver<E> {
    state: Mutex<State<E>>,
    /// Whether there is a reason in the state: who asks for it seldom finds one.
    has_stopped: AtomicU8,
}

struct State<E> {
    /// All before this place is durable.
    durable: u64,
    /// Somebody is the writer, or was chosen to be the next.
    has_writer: bool,
    stopped: Option<E>,
    queue: VecDeque<Arc<Waiter>>,
}

struct Waiter {
    upto: u64,
    thread: Thread,
    /// One of the numbers below.
    news: AtomicU8,
}

/// Nothing yet.
const NONE: u8 = 0;
/// Its place is durable.
const DURABLE: u8 = 1;
/// It is the writer.
const WRITES: u8 = 2;
/// The log has stopped, and its place is not durable.
const STOPPED: u8 = 3;

/// What becomes of a thread that waits for a place.
pub(crate) enum Turn<'a, E: Clone> {
    /// All up to its place is durable.
    Durable,
    /// It is the writer, and nobody else is.
    Writer(Writer<'a, E>),
    /// The log has stopped.
    Stopped(E),
}

/// The writer's role. Dropped without [`Writer::finish`] it stops the log.
pub(crate) struct Writer<'a, E: Clone> {
    of: &'a HandOver<E>,
    /// Why the log stops if this is dropped.
    abandoned: Option<E>,
}

impl<E: Clone> HandOver<E> {
    /// A log that is durable up to `durable`.
    pub(crate) fn new(durable: u64) -> Self {
        let queue = VecDeque::new();
        let state = State { durable, has_writer: false, stopped: None, queue };
        HandOver { state: Mutex::new(state), has_stopped: AtomicU8::new(0) }
    }

    /// Waits until all up to `upto` is durable, until the caller is to write, or until the log stops.
    /// `abandoned` is what everybody gets if the caller becomes the writer and leaves, by a panic say.
    pub(crate) fn wait(&self, upto: u64, abandoned: E) -> Turn<'_, E> {
        let waiter = {
            let mut state = lock(&self.state);
            if state.durable >= upto {
                return Turn::Durable;
            }
            if let Some(why) = &state.stopped {
                return Turn::Stopped(why.clone());
            }
            if !state.has_writer {
                state.has_writer = true;
                return Turn::Writer(Writer { of: self, abandoned: Some(abandoned) });
            }
            let (thread, news) = (thread::current(), AtomicU8::new(NONE));
            let waiter = Arc::new(Waiter { upto, thread, news });
            state.queue.push_back(Arc::clone(&waiter));
            waiter
        };
        match waiter.sleep() {
            WRITES => Turn::Writer(Writer { of: self, abandoned: Some(abandoned) }),
            DURABLE => Turn::Durable,
            _ => Turn::Stopped(self.stopped().unwrap_or(abandoned)),
        }
    }

    /// All before this place is durable.
    pub(crate) fn durable(&self) -> u64 {
        lock(&self.state).durable
    }

    /// Why the log has stopped, if it has.
    pub(crate) fn stopped(&self) -> Option<E> {
        // Acquire: who sees that it has stopped sees all that was done before.
        if self.has_stopped.load(Ordering::Acquire) == 0 {
            return None;
        }
        lock(&self.state).stopped.clone()
    }

    /// Stops the log: whoever waits, or comes later for a place that is not durable, gets `why`. The
    /// first reason stands.
    pub(crate) fn stop(&self, why: E) {
        let woken = {
            let mut state = lock(&self.state);
            state.stopped.get_or_insert(why);
            self.has_stopped.store(1, Ordering::Release);
            std::mem::take(&mut state.queue)
        };
        woken.iter().for_each(|waiter| waiter.tell(STOPPED));
    }

    fn pass_on(&self, durable: u64) {
        let (woken, next) = {
            let mut state = lock(&self.state);
            state.durable = state.durable.max(durable);
            let durable = state.durable;
            let all = std::mem::take(&mut state.queue);
            let (woken, mut waiting): (VecDeque<_>, VecDeque<_>) =
                all.into_iter().partition(|waiter| waiter.upto <= durable);
            let next = waiting.pop_front();
            (state.queue, state.has_writer) = (waiting, next.is_some());
            (woken, next)
        };
        // The next writer first: what the others do now can wait, its write cannot.
        if let Some(next) = next {
            next.tell(WRITES);
        }
        woken.iter().for_each(|waiter| waiter.tell(DURABLE));
    }
}

impl<E: Clone> Writer<'_, E> {
    /// The write is over: all before the place is durable now, or the log stops.
    pub(crate) fn finish(mut self, result: Result<u64, E>) {
        match result {
            Ok(durable) => {
                self.abandoned = None;
                self.of.pass_on(durable);
            }
            Err(why) => self.abandoned = Some(why),
        }
    }
}

impl<E: Clone> Drop for Writer<'_, E> {
    fn drop(&mut self) {
        if let Some(why) = self.abandoned.take() {
            self.of.stop(why);
        }
    }
}

impl Waiter {
    fn sleep(&self) -> u8 {
        loop {
            match self.news.load(Ordering::Acquire) {
                NONE => thread::park(),
                news => return news,
            }
        }
    }

    fn tell(&self, news: u8) {
        self.news.store(news, Ordering::Release);
        self.thread.unpark();
    }
}

/// Locks, whoever panicked before: what is locked here is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
