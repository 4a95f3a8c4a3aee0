//! What the two measuring programs share: the work that children do, and how results are written.
//!
//! Timings and allocation counts come from different programs, since an allocator that counts is
//! slower than one that does not. They meet in one table of [`Row`]s.

#![forbid(unsafe_code)]

pub mod report;
pub mod spread;
pub mod work;

pub use report::{Row, Unit};
pub use spread::Spread;
