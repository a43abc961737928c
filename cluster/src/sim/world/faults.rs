//! What goes wrong, and when all is well again.

use rand::RngExt;

use super::{Event, MS, SECOND, STORE, World};

impl World {
    pub(super) fn fault(&mut self) {
        let me = self.random.random_range(0..2usize);
        let down = self.random.random_range(10 * MS..3 * SECOND);
        match self.random.random_range(0..19) {
            0 | 1 => {
                self.kill(me, false);
                self.after(down, Event::Restart(me));
            }
            2 | 3 => {
                self.kill(me, true);
                self.after(down, Event::Restart(me));
            }
            4 => {
                // The lights go out.
                for me in 0..2 {
                    self.kill(me, true);
                    let down = self.random.random_range(10 * MS..3 * SECOND);
                    self.after(down, Event::Restart(me));
                }
            }
            5 | 6 => {
                let until = self.now + self.random.random_range(MS..4 * SECOND);
                self.trace(|| format!("node {} stops until {}", me + 1, until / MS));
                self.machines[me].paused_until = until;
                self.coverage.pauses += 1;
            }
            7 | 8 => self.cut(&[(0, 1), (1, 0)]),
            9 => {
                let way = if self.random.random() { (0, 1) } else { (1, 0) };
                self.cut(&[way]);
            }
            10 => {
                // Alone with its clients, and with a coordinator or without.
                let other = 1 - me;
                self.cut(&[(me, other), (other, me), (me, STORE), (STORE, me)]);
            }
            11 => {
                if self.random.random() {
                    self.cut(&[(me, STORE), (STORE, me)]);
                } else {
                    self.cut(&[(STORE, me)]);
                }
            }
            12 => {
                let long = self.random.random_range(100 * MS..4 * SECOND);
                self.coverage.coordinator_faults += 1;
                match self.random.random_range(0..3) {
                    0 => self.store_down_until = self.now + long,
                    1 => self.store_slow_until = self.now + long,
                    _ => {
                        self.store_down_until = self.now + long / 4;
                        self.store.change_leader(self.now + long / 4);
                    }
                }
                self.trace(|| format!("coordinator in trouble for {} ms", long / MS));
            }
            13 => {
                let jump = self.random.random_range(-3_600_000_000_000i64..=3_600_000_000_000);
                self.machines[me].wall_offset = jump;
                self.coverage.clock_jumps += 1;
            }
            14 => {
                for me in 0..2 {
                    self.with_node(me, |node, io| node.hand_over(io));
                }
            }
            15 => {
                let long = self.random.random_range(100 * MS..2 * SECOND);
                self.machines[me].slow_disk_until = self.now + long;
                // Much is on its way to such a disk when the power goes.
                if self.random.random() {
                    let dies = self.random.random_range(0..long);
                    self.after(dies, Event::Kill(me, true));
                    self.after(dies + down, Event::Restart(me));
                }
            }
            18 => self.slow_way_back(),
            16 => self.usurper_dies(),
            _ => self.usurper_comes_back(),
        }
        if self.random.random_range(0..4) == 0 {
            for me in 0..2 {
                self.with_node(me, |node, io| node.retain(io));
            }
        }
        // Troubles like company.
        if self.random.random_range(0..3) == 0 {
            let soon = self.random.random_range(MS..700 * MS);
            self.after(soon, Event::Fault);
        }
    }

    /// The primary is cut off until the standby leads; that one dies, and when its lease is over the first is back.
    pub(super) fn usurper_dies(&mut self) {
        let Some(me) = self.last_leader else { return };
        let other = 1 - me;
        let away = self.random.random_range(2_200 * MS..4 * SECOND);
        self.cut_for(&[(me, other), (other, me), (me, STORE), (STORE, me)], away);
        let dies = away.saturating_sub(self.random.random_range(MS..SECOND));
        let machine = self.random.random();
        self.after(dies, Event::Kill(other, machine));
        let comes_back = dies + self.random.random_range(2 * SECOND..5 * SECOND);
        self.after(comes_back, Event::Restart(other));
    }

    /// The coordinator's answers take long to the primary, then nothing comes through any more.
    pub(super) fn slow_way_back(&mut self) {
        let Some(me) = self.last_leader else { return };
        let other = 1 - me;
        let slow = self.random.random_range(500 * MS..2 * SECOND);
        self.slow_replies_to = Some((me, self.now + slow));
        self.after(slow, Event::CutOff(me, other));
    }

    /// The primary is cut off until the standby leads; then the two see each other again, the first one still without
    /// its coordinator, and the second one begins anew.
    pub(super) fn usurper_comes_back(&mut self) {
        let Some(me) = self.last_leader else { return };
        let other = 1 - me;
        let away = self.random.random_range(2_200 * MS..4 * SECOND);
        self.cut_for(&[(me, other), (other, me)], away);
        self.cut_for(&[(me, STORE), (STORE, me)], away + 2 * SECOND);
        let dies = away + self.random.random_range(0..20 * MS);
        self.after(dies, Event::Kill(other, false));
        let comes_back = dies + self.random.random_range(MS..50 * MS);
        self.after(comes_back, Event::Restart(other));
    }

    /// Everything works again and nothing new is asked for.
    pub(super) fn heal(&mut self) {
        self.trace(|| "all is well".into());
        self.is_over = true;
        self.cut.clear();
        self.store_down_until = 0;
        self.store_slow_until = 0;
        self.slow_replies_to = None;
        for me in 0..2 {
            self.machines[me].slow_disk_until = 0;
            if self.machines[me].node.is_none() {
                self.after(MS, Event::Restart(me));
            }
        }
    }
}
