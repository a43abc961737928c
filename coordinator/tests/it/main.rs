//! The client against a server that follows a script: everything that etcd would not do.

mod answers;
mod server;
