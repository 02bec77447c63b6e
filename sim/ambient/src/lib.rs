//! Interposed libc symbols that bring third-party code's clock, randomness and futexes onto a simulated machine.
