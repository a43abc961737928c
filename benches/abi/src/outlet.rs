//! Where reports go.

use crate::{message::Report, ring::Writer};

/// Takes reports, in order.
pub(crate) trait Outlet {
    /// Takes one. Waits while there is no room.
    fn put(&mut self, report: Report);

    /// Makes everything taken visible to the reader.
    fn publish(&mut self);
}

impl Outlet for Writer {
    #[inline(always)]
    fn put(&mut self, report: Report) {
        self.write(report);
    }

    #[inline]
    fn publish(&mut self) {
        Self::publish(self);
    }
}
