//! Links over loopback, and what strangers do to them.

mod frames;
mod hostile;
mod identity;
mod streams;
mod support;
