//! Behaviour tests live in `behaviour/`, one file per behaviour; this library is empty.

#![forbid(unsafe_code)]
