//! Which processor a system's process runs on: the same for all of them, and another one each round.
//!
//! A processor may be slow for minutes, by what its neighbour on the same core does, and a process stays
//! where it is: unless all take turns on each, one system is measured on a slow processor and the other
//! on a quick one.

use std::io;

/// The processors that this process may run on.
///
/// # Errors
///
/// That of the system.
pub fn allowed() -> io::Result<Vec<usize>> {
    let mut set = empty();
    // SAFETY: the pointer is to a set of the size that is told, which lives through the call.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let count = 8 * size_of::<libc::cpu_set_t>();
    // SAFETY: every number is below the set's length.
    Ok((0..count).filter(|processor| unsafe { libc::CPU_ISSET(*processor, &set) }).collect())
}

/// Lets the process `pid` run on `processor` alone, one of those that [`allowed`] names.
///
/// # Errors
///
/// That of the system.
pub fn pin(pid: u32, processor: usize) -> io::Result<()> {
    let mut set = empty();
    // SAFETY: the number is one that the system has named, so it is below the set's length.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: the pointer is to a set of the size that is told, which lives through the call.
    let result = unsafe { libc::sched_setaffinity(pid as i32, size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn empty() -> libc::cpu_set_t {
    // SAFETY: the set is an array of numbers, for which zeros are a value: no processor.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_runs_where_it_was_put() {
        let processors = allowed().expect("every Linux tells it");
        assert!(!processors.is_empty());
        for processor in processors {
            // 0 is whoever calls.
            pin(0, processor).expect("it is allowed");
            assert_eq!(allowed().expect("as before"), [processor]);
        }
    }
}
