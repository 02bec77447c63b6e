//! Channels on real threads: the same with and without the feature `simulate`.

use std::time::Duration;

use falconry_seam::sync::Arc;
use falconry_seam::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use falconry_seam::sync::mpsc::{
    RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError, channel, sync_channel,
};
use falconry_seam::thread;

#[test]
fn values_come_in_order_until_the_senders_are_gone() {
    let (sender, receiver) = channel();
    let other = sender.clone();
    let first = thread::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
    first.join().unwrap();
    let second = thread::spawn(move || (100..200).for_each(|n| other.send(n).unwrap()));
    assert!(receiver.iter().eq(0..200));
    second.join().unwrap();
    assert_eq!(receiver.recv(), Err(RecvError));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn an_empty_channel_says_so() {
    let (sender, receiver) = channel::<u8>();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    let short = Duration::from_millis(2);
    assert_eq!(receiver.recv_timeout(short), Err(RecvTimeoutError::Timeout));
    assert_eq!(receiver.try_iter().count(), 0);
    sender.send(1).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(1));
    drop(sender);
    assert_eq!(receiver.recv_timeout(short), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn sending_to_nobody_gives_the_value_back() {
    let (sender, receiver) = channel();
    drop(receiver);
    assert_eq!(sender.send(4), Err(SendError(4)));
    let (sender, receiver) = sync_channel(0);
    drop(receiver);
    assert_eq!(sender.send(5), Err(SendError(5)));
    assert_eq!(sender.try_send(6), Err(TrySendError::Disconnected(6)));
}

#[test]
fn a_bound_holds_senders_back() {
    let (sender, receiver) = sync_channel(2);
    sender.send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    let waiting = thread::spawn(move || sender.send(3));
    assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    waiting.join().unwrap().unwrap();
}

#[test]
fn at_capacity_0_a_sender_waits_for_the_receiver() {
    let (sender, receiver) = sync_channel(0);
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    let received = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&received);
    let waiting = thread::spawn(move || {
        sender.send(1).unwrap();
        // The flag is set before the value is taken, and the value before `send` returns.
        seen.load(Ordering::SeqCst)
    });
    thread::sleep(Duration::from_millis(5));
    received.store(true, Ordering::SeqCst);
    assert_eq!(receiver.recv(), Ok(1));
    assert!(waiting.join().unwrap());
}

#[test]
fn at_capacity_0_many_senders_take_turns() {
    let (sender, receiver) = sync_channel(0);
    let sum = thread::scope(|scope| {
        for n in 0..4u64 {
            let sender = sender.clone();
            scope.spawn(move || (0..50).for_each(|k| sender.send(n * 50 + k).unwrap()));
        }
        drop(sender);
        receiver.iter().sum::<u64>()
    });
    assert_eq!(sum, (0..200).sum());
}

#[test]
fn at_capacity_0_a_receiver_that_leaves_gives_the_value_back() {
    let (sender, receiver) = sync_channel(0);
    let waiting = thread::spawn(move || sender.send(String::from("kept")));
    thread::sleep(Duration::from_millis(5));
    drop(receiver);
    assert_eq!(waiting.join().unwrap(), Err(SendError(String::from("kept"))));
}

#[test]
fn values_that_nobody_receives_are_dropped_with_the_receiver() {
    struct Counted(Arc<AtomicU64>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicU64::new(0));
    let (sender, receiver) = channel();
    for _ in 0..3 {
        assert!(sender.send(Counted(Arc::clone(&dropped))).is_ok());
    }
    drop(receiver);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}
