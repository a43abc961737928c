//! Who may come in, and what those who may not can do to the others: TLS, users and their passwords, guesses, crowds that
//! never log in. SECURITY.md names the test of each threat.

mod tls;
