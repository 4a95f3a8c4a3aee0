//! What the measuring programs share: the work that children do, and what is made of the results.
//!
//! Timings and allocation counts come from different programs, since an allocator that counts is
//! slower than one that does not. They meet in one list of [`Row`]s.

#![forbid(unsafe_code)]

pub mod bell;
pub mod clock;
pub mod machine;
pub mod page;
pub mod plot;
pub mod report;
pub mod spread;
pub mod subjects;
pub mod table;
pub mod work;

pub use machine::Machine;
pub use report::{Note, Results, Row, Unit};
pub use spread::Spread;
