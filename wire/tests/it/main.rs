//! What the codecs hold: golden bytes, every length and error, reports, and random messages.

mod document;
mod errors;
mod feed;
mod fix;
mod goldens;
mod properties;
mod random;
mod reports;
mod smoke;
mod soup;
