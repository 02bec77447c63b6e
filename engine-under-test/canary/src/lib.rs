//! A naive key-value file with a known bug, which every swarm must convict.
