//! Order books, matching, and the threads that run them. Books are pure: what they say depends on their commands
//! and on nothing else. The threads decide where and when a book runs, never what it says.

pub mod book;
pub mod hash;
pub mod runtime;
mod sync;
