//! The feed from outside: one binary, so that it links once.

mod market;
mod proxy;
mod published;
mod served;
mod support;
mod web;
