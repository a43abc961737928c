//! Where reports go.

use engine::runtime::ring::{Consumer, Producer, ring};

use crate::message::Report;

/// Reports after which the ring's reader sees them, unless the batch ends before. A power of two.
const PUBLISH_EVERY: u32 = 64;

/// Takes reports, in order.
pub(crate) trait Outlet {
    /// Takes one. Waits while there is no room.
    fn put(&mut self, report: Report);

    /// Makes everything taken visible to the reader.
    fn publish(&mut self);
}

/// The writing end of a ring of reports.
pub(crate) struct RingOutlet {
    ring: Producer<Report>,
    /// Reports since the last publication.
    unseen: u32,
}

impl RingOutlet {
    pub(crate) const fn new(ring: Producer<Report>) -> Self {
        Self { ring, unseen: 0 }
    }

    #[cold]
    #[inline(never)]
    fn put_when_there_is_room(&mut self, mut report: Report) {
        self.publish();
        while let Err(back) = self.ring.push(report) {
            report = back;
            core::hint::spin_loop();
        }
    }
}

impl Outlet for RingOutlet {
    #[inline(always)] // so that a report is written into its slot, and not to the stack first
    fn put(&mut self, report: Report) {
        if let Err(report) = self.ring.push(report) {
            self.put_when_there_is_room(report);
        }
        self.unseen += 1;
        if self.unseen == PUBLISH_EVERY {
            self.publish();
        }
    }

    #[inline]
    fn publish(&mut self) {
        self.unseen = 0;
        self.ring.publish();
    }
}

/// Both ends of a ring whose memory is there: every slot has been written once.
pub(crate) fn touched_ring(slots: usize) -> (Producer<Report>, Consumer<Report>) {
    let (mut producer, mut consumer) = ring(slots);
    while producer.push(Report::of_order(0, 0, 0, 0, 0, 0)).is_ok() {}
    producer.publish();
    while consumer.pop().is_some() {}
    consumer.release();
    (producer, consumer)
}
