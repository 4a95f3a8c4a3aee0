//! What the program does, before and after it is converted.

mod forms;
mod handles;
mod panics;
mod runtimes;
mod server;
mod surroundings;
