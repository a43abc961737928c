//! The engine from outside: one binary, so that it links once.

mod agreement;
mod balance;
mod conversations;
mod coverage;
mod flow;
mod fuzz;
mod gate;
mod hashes;
mod health;
mod restore;
mod runtime;
mod script;
mod shrink;
mod special;
mod support;
