//! The serial log.
