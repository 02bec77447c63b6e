//! Calls of a file that a wrapper hands on as they are.
//!
//! A wrapper writes the calls that it is about, and names the others.

/// Hands the calls that it names to the field `inner`, within an `impl File`.
macro_rules! pass_on {
    ($($call:ident),+ $(,)?) => { $( pass_on!(@ $call); )+ };
    (@ read_at) => {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.inner.read_at(buffer, offset)
        }
    };
    (@ sync_data) => {
        fn sync_data(&self) -> std::io::Result<()> {
            self.inner.sync_data()
        }
    };
    (@ sync_all) => {
        fn sync_all(&self) -> std::io::Result<()> {
            self.inner.sync_all()
        }
    };
    (@ len) => {
        fn len(&self) -> std::io::Result<u64> {
            self.inner.len()
        }
    };
    (@ set_len) => {
        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.inner.set_len(len)
        }
    };
    (@ allocate) => {
        fn allocate(&self, offset: u64, len: u64) -> std::io::Result<()> {
            self.inner.allocate(offset, len)
        }
    };
    (@ try_lock) => {
        fn try_lock(&self, kind: falconry_seam::disk::LockKind) -> std::io::Result<bool> {
            self.inner.try_lock(kind)
        }
    };
    (@ unlock) => {
        fn unlock(&self) -> std::io::Result<()> {
            self.inner.unlock()
        }
    };
}
