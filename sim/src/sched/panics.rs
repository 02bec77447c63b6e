//! Panics of tasks: kept silent, remembered, attributed.

#![expect(
    clippy::disallowed_types,
    reason = "the process has one of it, for all machines: taken outside of any machine"
)]

use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::ptr;
use std::sync::Once;

use falconry_seam::hook;

use super::kernel::Kernel;
use super::task::PanicNote;

thread_local! {
    static KERNEL: Cell<*const Kernel> = const { Cell::new(ptr::null()) };
}

/// Says whose tasks run on this OS thread; null for nobody's.
pub(super) fn watch(kernel: *const Kernel) -> *const Kernel {
    KERNEL.replace(kernel)
}

/// Whose tasks run on this OS thread.
pub(super) fn watched() -> *const Kernel {
    KERNEL.get()
}

/// Installs the panic hook; later calls do nothing. While a machine is current it remembers the panic
/// for its task and prints nothing; otherwise the hook that was there before is called.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let kernel = KERNEL.get();
            if !hook::is_simulated() || kernel.is_null() {
                return previous(info);
            }
            // SAFETY: the kernel takes the pointer back before it goes, and it never leaves this OS
            // thread.
            let aborts = unsafe { &*kernel }.note_panic(note(info));
            if aborts {
                // Nobody will ask the machine any more: this is all that will be known of it.
                previous(info);
            }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) -> PanicNote {
    let message = info.payload_as_str().unwrap_or("a payload that is no text").to_string();
    let place = info.location().map_or(String::new(), |at| format!("{}:{}", at.file(), at.line()));
    PanicNote { message, place }
}
