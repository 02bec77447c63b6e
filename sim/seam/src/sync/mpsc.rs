//! Channels in the shape of [`std::sync::mpsc`], built on the seam's own lock and condition variables.
//!
//! # Method
//!
//! One queue under one lock. A channel of capacity 0 has a queue of one place whose sender waits until
//! its value has been taken; it may put a value there without waiting (`try_send`) only while the
//! receiver waits for one.
//!
//! # Invariant
//!
//! A value is received once, or given back to its sender, or dropped with the channel.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

use super::condvar::Condvar;
use super::mutex::{Mutex, MutexGuard};
use crate::time::Instant;

/// A channel without a bound: sending never waits.
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Channel::new(None);
    (Sender { channel: Arc::clone(&channel) }, Receiver::new(channel))
}

/// A channel that holds `bound` values: sending waits while it is full. With 0 a sender waits until its
/// value has been received.
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let channel = Channel::new(Some(bound));
    (SyncSender { channel: Arc::clone(&channel) }, Receiver::new(channel))
}

/// The sending half of [`channel`].
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

/// The sending half of [`sync_channel`].
pub struct SyncSender<T> {
    channel: Arc<Channel<T>>,
}

/// The receiving half of a channel.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    // One thread at a time, as std's.
    not_sync: PhantomData<std::cell::Cell<()>>,
}

/// Values of a [`Receiver`], until all senders are gone.
#[derive(Debug)]
pub struct Iter<'a, T: 'a>(&'a Receiver<T>);

/// Values that are in a [`Receiver`] now.
#[derive(Debug)]
pub struct TryIter<'a, T: 'a>(&'a Receiver<T>);

/// Values of a [`Receiver`] that it owns, until all senders are gone.
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Sender<T> {
    /// Sends a value.
    ///
    /// # Errors
    ///
    /// Gives the value back when the receiver is gone.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.channel.send(value)
    }
}

impl<T> SyncSender<T> {
    /// Sends a value, waiting for a place (or, at capacity 0, for the receiver).
    ///
    /// # Errors
    ///
    /// Gives the value back when the receiver is gone.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.channel.send(value)
    }

    /// Sends a value if that needs no waiting.
    ///
    /// # Errors
    ///
    /// Gives the value back when the channel is full, or the receiver is gone.
    #[track_caller]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut state = self.channel.lock();
        if !state.receiver_alive {
            return Err(TrySendError::Disconnected(value));
        }
        let has_place = match self.channel.bound {
            Some(0) => state.queue.is_empty() && state.receiver_waits,
            _ => self.channel.has_place(&state),
        };
        if !has_place {
            return Err(TrySendError::Full(value));
        }
        self.channel.push(&mut state, value);
        Ok(())
    }
}

impl<T> Receiver<T> {
    fn new(channel: Arc<Channel<T>>) -> Self {
        Receiver { channel, not_sync: PhantomData }
    }

    /// Receives a value, waiting for it.
    ///
    /// # Errors
    ///
    /// When the channel is empty and all senders are gone.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        // Without a deadline a wait does not time out.
        self.channel.receive(None).map_err(|_| RecvError)
    }

    /// Receives a value, waiting `timeout` at most.
    ///
    /// # Errors
    ///
    /// When the time is over, or the channel is empty and all senders are gone.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A deadline beyond the clock's end never comes.
        self.channel.receive(Instant::now().checked_add(timeout))
    }

    /// Receives a value if there is one.
    ///
    /// # Errors
    ///
    /// When the channel is empty; `Disconnected` when it also stays so.
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.channel.lock();
        match self.channel.take(&mut state) {
            Some(value) => Ok(value),
            None if state.sender_count == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Values until all senders are gone.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// Values that are there now.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.lock().sender_count += 1;
        Sender { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        self.channel.lock().sender_count += 1;
        SyncSender { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.drop_sender();
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        self.channel.drop_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.receiver_alive = false;
        // At capacity 0 the value's sender still waits, and takes it back itself.
        let unread = match self.channel.bound {
            Some(0) => VecDeque::new(),
            _ => std::mem::take(&mut state.queue),
        };
        drop(state);
        self.channel.taken.notify_all();
        // The values' destructors are the engine's code: the lock is free by now.
        drop(unread);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

struct Channel<T> {
    state: Mutex<State<T>>,
    /// A value was put into the queue, or the last sender went.
    put: Condvar,
    /// A value was taken from the queue, or the receiver went.
    taken: Condvar,
    bound: Option<usize>,
}

struct State<T> {
    queue: VecDeque<T>,
    sender_count: usize,
    receiver_alive: bool,
    receiver_waits: bool,
    /// Values ever put, and ever taken: the number of a value says whether it has been received.
    put_count: u64,
    taken_count: u64,
}

impl<T> Channel<T> {
    fn new(bound: Option<usize>) -> Arc<Self> {
        let state = State {
            queue: VecDeque::new(),
            sender_count: 1,
            receiver_alive: true,
            receiver_waits: false,
            put_count: 0,
            taken_count: 0,
        };
        Arc::new(Channel {
            state: Mutex::new(state),
            put: Condvar::new(),
            taken: Condvar::new(),
            bound,
        })
    }

    /// Nothing here panics while it holds the lock, so poison would mean nothing.
    #[track_caller]
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_place(&self, state: &State<T>) -> bool {
        self.bound.is_none_or(|bound| state.queue.len() < bound.max(1))
    }

    fn push(&self, state: &mut State<T>, value: T) {
        state.queue.push_back(value);
        state.put_count += 1;
        self.put.notify_one();
    }

    fn take(&self, state: &mut State<T>) -> Option<T> {
        let value = state.queue.pop_front()?;
        state.taken_count += 1;
        match self.bound {
            // The value's own sender and the next one both wait here.
            Some(0) => self.taken.notify_all(),
            Some(_) => self.taken.notify_one(),
            None => {}
        }
        Some(value)
    }

    #[track_caller]
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut state = self.lock();
        while state.receiver_alive && !self.has_place(&state) {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.receiver_alive {
            return Err(SendError(value));
        }
        self.push(&mut state, value);
        if self.bound != Some(0) {
            return Ok(());
        }
        let number = state.put_count;
        while state.receiver_alive && state.taken_count < number {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.taken_count >= number {
            return Ok(());
        }
        match state.queue.pop_front() {
            Some(value) => Err(SendError(value)),
            None => unreachable!("value {number} was neither taken nor left in the queue"),
        }
    }

    #[track_caller]
    fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let mut state = self.lock();
        loop {
            if let Some(value) = self.take(&mut state) {
                return Ok(value);
            }
            if state.sender_count == 0 {
                return Err(RecvTimeoutError::Disconnected);
            }
            state.receiver_waits = true;
            let timed_out;
            (state, timed_out) = match deadline {
                None => (self.put.wait(state).unwrap_or_else(PoisonError::into_inner), false),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let result = self.put.wait_timeout(state, left);
                    let (state, result) = result.unwrap_or_else(PoisonError::into_inner);
                    (state, result.timed_out())
                }
            };
            state.receiver_waits = false;
            if timed_out {
                return self.take(&mut state).ok_or(RecvTimeoutError::Timeout);
            }
        }
    }

    #[track_caller]
    fn drop_sender(&self) {
        let mut state = self.lock();
        state.sender_count -= 1;
        if state.sender_count == 0 {
            drop(state);
            self.put.notify_all();
        }
    }
}
