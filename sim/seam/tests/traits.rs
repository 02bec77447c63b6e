//! What may cross threads and panics: as with std's types, whatever the feature.

use std::cell::Cell;
use std::panic::RefUnwindSafe;

use falconry_seam::sync::{self, atomic, mpsc};
use falconry_seam::{thread, time};

fn crosses_threads<T: Send + Sync>() {}
fn is_sent<T: Send>() {}
fn is_shared<T: Sync>() {}
fn crosses_panics<T: RefUnwindSafe>() {}

#[test]
fn locks_make_what_is_sent_shareable() {
    crosses_threads::<sync::Mutex<Cell<u8>>>();
    is_shared::<sync::MutexGuard<'static, u8>>();
    crosses_threads::<sync::RwLock<u8>>();
    is_shared::<sync::RwLockWriteGuard<'static, u8>>();
    crosses_threads::<(sync::Condvar, sync::Barrier, sync::Once)>();
    crosses_threads::<(sync::OnceLock<u8>, sync::LazyLock<u8>)>();
    crosses_threads::<(atomic::AtomicBool, atomic::AtomicPtr<Cell<u8>>)>();
    crosses_panics::<(sync::Mutex<Cell<u8>>, sync::RwLock<Cell<u8>>, sync::Condvar)>();
    crosses_panics::<(atomic::AtomicU64, sync::OnceLock<u8>, sync::Once)>();
}

#[test]
fn channels_and_handles_are_sent() {
    crosses_threads::<mpsc::Sender<Cell<u8>>>();
    crosses_threads::<mpsc::SyncSender<Cell<u8>>>();
    is_sent::<mpsc::Receiver<Cell<u8>>>();
    crosses_threads::<(thread::JoinHandle<u8>, thread::Thread, thread::ThreadId)>();
    crosses_threads::<(thread::Scope<'static, 'static>, thread::ScopedJoinHandle<'static, u8>)>();
    crosses_threads::<(time::Instant, time::SystemTime, thread::AccessError)>();
}

#[test]
fn a_lock_of_something_unsized_is_a_lock() {
    let lock: Box<sync::Mutex<[u8]>> = Box::new(sync::Mutex::new([1, 2]));
    lock.lock().unwrap()[0] = 5;
    assert_eq!(*lock.lock().unwrap(), [5, 2]);
    let lock: Box<sync::RwLock<dyn Fn() -> u8>> = Box::new(sync::RwLock::new(|| 7));
    assert_eq!((lock.read().unwrap())(), 7);
}
