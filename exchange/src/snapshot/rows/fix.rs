//! What FIX sessions have besides what every session has.

use domain::{ClientOrderId, ClientRef, Nanos, OrderStatus};
use gateway::{FixImage, RECENT_IDS, Standing};
use serde::{Deserialize, Serialize};

/// Standings below this are no order's status.
const STATUS: u8 = 16;
const LIVE: u8 = 0;
const NO_ORDER: u8 = 1;

#[derive(Serialize, Deserialize)]
pub(in crate::snapshot) struct FixRow {
    /// Whose it is.
    pub(in crate::snapshot) session: u32,
    pub(in crate::snapshot) out_base: u64,
    pub(in crate::snapshot) ref_base: u32,
    pub(in crate::snapshot) next_in: u64,
    pub(in crate::snapshot) numbered_at: u64,
    pub(in crate::snapshot) ids: Vec<IdRow>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::snapshot) struct IdRow {
    id: [u8; 20],
    client_ref: u32,
    /// 0 a live order, 1 no order, 16 and more: an order that lives no more, and its status.
    standing: u8,
}

impl FixRow {
    pub(in crate::snapshot) fn of(session: u32, image: &FixImage) -> Self {
        Self {
            session,
            out_base: image.out_base,
            ref_base: image.ref_base.0,
            next_in: image.next_in,
            numbered_at: image.numbered_at.0,
            ids: image
                .ids
                .iter()
                .map(|(id, client_ref, standing)| IdRow {
                    id: id.0,
                    client_ref: client_ref.0,
                    standing: match standing {
                        Standing::Live => LIVE,
                        Standing::NoOrder => NO_ORDER,
                        Standing::Over(status) => STATUS + *status as u8,
                    },
                })
                .collect(),
        }
    }

    pub(in crate::snapshot) fn image(self) -> Option<FixImage> {
        let can_be = self.ids.is_sorted_by(|a, b| a.client_ref < b.client_ref)
            && self.ids.len() <= RECENT_IDS
            && self.next_in > 0;
        if !can_be {
            return None;
        }
        let ids = self.ids.into_iter().map(|IdRow { id, client_ref, standing }| {
            let standing = match standing {
                LIVE => Standing::Live,
                NO_ORDER => Standing::NoOrder,
                code => Standing::Over(OrderStatus::from_u8(code.checked_sub(STATUS)?)?),
            };
            Some((ClientOrderId(id), ClientRef(client_ref), standing))
        });
        Some(FixImage {
            out_base: self.out_base,
            ref_base: ClientRef(self.ref_base),
            next_in: self.next_in,
            numbered_at: Nanos(self.numbered_at),
            ids: ids.collect::<Option<_>>()?,
        })
    }
}
