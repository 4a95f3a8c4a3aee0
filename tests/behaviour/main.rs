//! One file per behaviour.

mod smoke;
