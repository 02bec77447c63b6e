//! Memory for what is large: how it is had, and what the processor is told of it.
//!
//! # Method
//!
//! Pages of a large cache lie in one piece of memory, and that, like every large table, is asked for in huge
//! pages of the system: a random read in a gigabyte of small ones would pay for each address that it looks up.
//! Whoever knows where it will read next says so before it does something else.
//!
//! # Invariant
//!
//! None of this decides anything: without it every call has the same answer, later.

mod advice;
mod pages;

pub(crate) use advice::{prefetch, table};
pub(crate) use pages::{PageBytes, Slab};
