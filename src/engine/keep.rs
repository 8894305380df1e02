//! What the engine hands on to be kept, and how it goes on from what was kept.

use std::sync::Arc;

use tokio::sync::watch;

use crate::estimate::BinTable;
use crate::market::event::Gap;
use crate::market::{Asset, EventKind, MarketEvent, Venue};

use super::beside::Wishes;
use super::market::VenueMarket;
use super::record::{Checkpoint, Outlet, Record, RestoreError, Sink, Stored};
use super::{Engine, History, Origin, place};

impl Engine {
    /// An engine that goes on from a checkpoint and the columns that were closed until it stopped, bit for bit as if it had not. Of venues
    /// without a state only the columns are taken up: they stay as they are, and history makes the state anew.
    pub fn restored(
        asset: Asset,
        origin: Origin,
        bins: &Arc<BinTable>,
        venues: &[Venue],
        checkpoint: &Checkpoint,
        mut stored: Vec<Stored>,
    ) -> Result<Self, RestoreError> {
        let mut engine = Self::new(asset, origin, Arc::clone(bins), venues);
        for state in &checkpoint.venues {
            let of_it = stored.iter().position(|s| s.venue == state.venue);
            let of_it = of_it.map(|at| stored.swap_remove(at));
            let market = VenueMarket::restored(state, of_it, Arc::clone(bins))?;
            if let Some(at) = engine.venues.iter().position(|m| m.venue() == state.venue) {
                engine.venues[at] = market;
            } else {
                let at = engine.venues.partition_point(|m| place(m.venue()) <= place(state.venue));
                engine.venues.insert(at, market);
            }
        }
        for stored in stored {
            if let Some(market) = engine.venues.iter_mut().find(|m| m.venue() == stored.venue) {
                *market = VenueMarket::after(stored, Arc::clone(bins));
            }
        }
        engine.now = checkpoint.now;
        engine.shared_at = checkpoint.shared_at;
        engine.tape = checkpoint.tape.iter().copied().collect();
        Ok(engine)
    }

    /// Puts closed columns of earlier times before those that are here.
    pub fn add_older(&mut self, older: Vec<(Venue, History)>) {
        for (venue, history) in older {
            if let Some(market) = self.venues.iter_mut().find(|m| m.venue() == venue) {
                market.add_older(history);
            }
        }
    }

    /// It as it stands, to go on from again; nothing of what comes after that is kept anywhere.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            bins: Arc::clone(&self.bins),
            venues: self.venues.clone(),
            tape: self.tape.clone(),
            assets: Arc::clone(&self.assets),
            sink: Outlet::default(),
            wishes: None,
            ..*self
        }
    }

    /// Bytes of its state, roughly; without its columns, which others share.
    pub fn bytes(&self) -> usize {
        self.venues.iter().map(|market| market.estimator().bytes()).sum()
    }

    /// Everything worth keeping goes there from now on.
    pub fn set_sink(&mut self, sink: Sink) {
        self.sink = Outlet(Some(sink));
    }

    /// Readers beside ask through this.
    pub fn set_wishes(&mut self, wishes: watch::Receiver<Wishes>) {
        self.wishes = Some(wishes);
    }

    /// Closed columns are handed on and forgotten: nobody looks at them here.
    pub fn forget_columns(&mut self) {
        self.forgets = true;
        self.venues.iter_mut().for_each(VenueMarket::forget_columns);
    }

    /// Minutes that are received when they are older than they are kept are not made from now on, only what they are rolled up to: most of the minutes of a
    /// history are such. For those who keep no minutes longer, and do not look at how things stood before they began.
    pub fn skip_outlived(&mut self) {
        self.skips_outlived = true;
        self.venues.iter_mut().for_each(VenueMarket::skip_outlived);
    }

    /// Nobody has listened since the newest event of each venue.
    pub fn interrupted(&mut self) {
        self.venues.iter_mut().for_each(VenueMarket::interrupted);
    }

    /// The state as it is.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            now: self.now,
            shared_at: self.shared_at,
            tape: self.tape.iter().copied().collect(),
            venues: self.venues.iter().filter_map(VenueMarket::state).collect(),
        }
    }

    /// Hands the state on, where there is somebody to keep it and something to keep.
    pub fn keep_checkpoint(&mut self) {
        if self.sink.0.is_some() && self.now > 0 {
            let checkpoint = self.checkpoint();
            self.sink.send(Record::Checkpoint(checkpoint));
        }
    }

    /// A venue's status has been told: where its streams are heard again, what was missed in between is known.
    pub(super) fn heard(&mut self, venue: Venue) {
        let asset = self.asset;
        self.market(venue).heard(|venue, gap: Gap| MarketEvent {
            venue,
            asset,
            ts: gap.to,
            recv: None,
            kind: EventKind::Gap(gap),
        });
        let market = self.place_of(venue);
        self.hand_on_columns(market);
    }

    /// Hands on what an event that was just taken in by a market tells and closed.
    pub(super) fn hand_on(&mut self, market: usize, event: &MarketEvent) {
        self.hand_on_columns(market);
        let (venue, ts) = (event.venue, event.ts);
        let record = match &event.kind {
            EventKind::Liquidation(liquidation) => {
                Record::Liquidation { venue, ts, liquidation: *liquidation }
            }
            EventKind::OpenInterest(qty) => Record::OpenInterest { venue, ts, qty: *qty },
            EventKind::Mark(mark) => match mark.funding {
                Some(rate) => Record::Funding { venue, ts, rate, hours: mark.funding_hours },
                None => return,
            },
            _ => return,
        };
        self.sink.send(record);
    }

    fn hand_on_columns(&mut self, market: usize) {
        let market = &mut self.venues[market];
        let (venue, columns) = (market.venue(), market.take_closed());
        if !columns.is_empty() {
            self.sink.send(Record::Columns { venue, columns });
        }
    }
}
