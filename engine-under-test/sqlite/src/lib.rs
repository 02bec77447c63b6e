//! SQLite on the seam's disk.
