//! Standard output. Whoever reads it may have had enough (`exchange journal dump | head`): that is no error.

/// Prints a line to standard output, if anyone still reads it.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($text)*);
    }};
}
pub(crate) use say;
