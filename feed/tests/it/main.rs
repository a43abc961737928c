//! The feed from outside: one binary, so that it links once.

mod doors;
mod market;
mod proxy;
mod published;
mod served;
mod support;
mod web;
