//! The engine from outside: one binary, so that it links once.

mod agreement;
mod conversations;
mod flow;
mod gate;
mod hashes;
mod restore;
mod runtime;
mod script;
mod support;
