//! redb on the seam's disk.
