//! Builds the fuzz targets and runs them one after the other.
fn main() {}
