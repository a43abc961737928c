//! Links over loopback, and what strangers do to them.

mod hostile;
mod identity;
mod streams;
mod support;
