//! A market's state as it is kept between runs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Minutes, VenueMarket};
use crate::engine::ladder::{Ladder, Partial};
use crate::engine::record::{RestoreError, Stored, VenueState};
use crate::engine::snapshot::{Course, LinkState};
use crate::estimate::{Bar, BinTable, Estimator};
use crate::market::event::Gap;
use crate::market::{EventKind, Interval, MarketEvent, Venue};

/// What is kept beside what [`VenueState`] names.
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    estimator: Cow<'a, Estimator>,
    partial: Cow<'a, Partial>,
    begun: bool,
    base: Interval,
    bars: Cow<'a, BTreeMap<i64, Bar>>,
    traded: bool,
    gaps: Cow<'a, [(i64, i64)]>,
    held: Cow<'a, [(i64, i64)]>,
    held_until: Option<i64>,
    last: Option<f64>,
    funding: Option<f64>,
    funding_hours: Option<u32>,
    minutes: Cow<'a, Minutes>,
}

impl VenueMarket {
    /// The state; nothing before the first event.
    pub fn state(&self) -> Option<VenueState> {
        let body = Body {
            estimator: Cow::Borrowed(&self.estimator),
            partial: Cow::Borrowed(self.ladder.partial()),
            begun: !self.ladder.is_empty(),
            base: self.base,
            bars: Cow::Borrowed(&self.bars),
            traded: self.traded,
            gaps: Cow::Borrowed(&self.gaps),
            held: Cow::Borrowed(&self.held),
            held_until: self.held_until,
            last: self.last,
            funding: self.funding,
            funding_hours: self.funding_hours,
            minutes: Cow::Borrowed(&self.minutes),
        };
        // Only what is made of maps with keys of unknown length can fail, and nothing here is.
        let body = postcard::to_stdvec(&body).ok().filter(|_| self.is_present())?;
        Some(VenueState { venue: self.venue, seen: self.seen, open: self.open, body })
    }

    /// A market that goes on from a state and the columns that were closed; those closed later than the state stay as they are.
    pub fn restored(
        state: &VenueState,
        stored: Option<Stored>,
        bins: Arc<BinTable>,
    ) -> Result<Self, RestoreError> {
        let body: Body<'_> =
            postcard::from_bytes(&state.body).map_err(|_| RestoreError::Unreadable(state.venue))?;
        let unsound = || RestoreError::Unsound(state.venue);
        let fresh = Self::new(state.venue, Arc::clone(&bins));
        // Vectors that were read have up to twice the room they need; a copy has what it needs, and the estimator's are most of what
        // an engine keeps in memory.
        let estimator = Estimator::clone(&body.estimator).revived(bins).ok_or_else(unsound)?;
        let (history, since) = stored.map(|s| (s.history, s.since)).unwrap_or_default();
        if body.base.ms() <= 0 || state.open.is_some_and(|open| open > state.seen) {
            return Err(unsound());
        }
        let closed_until = since.last().map(|c| c.end()).or(state.open).unwrap_or(i64::MIN);
        Ok(Self {
            estimator,
            ladder: Ladder::restored(history, body.partial.into_owned(), body.begun, &since),
            base: body.base,
            open: state.open,
            seen: state.seen,
            closed_until,
            taken_until: state.seen,
            course: Course { restored: Some(state.seen.max(closed_until)), ..Course::default() },
            bars: body.bars.into_owned(),
            traded: body.traded,
            gaps: body.gaps.into_owned(),
            held: body.held.into_owned(),
            held_until: body.held_until,
            last: body.last,
            funding: body.funding,
            funding_hours: body.funding_hours,
            minutes: body.minutes.into_owned(),
            ..fresh
        })
    }

    /// A market without a state whose columns were closed in an earlier run.
    pub fn after(stored: Stored, bins: Arc<BinTable>) -> Self {
        let fresh = Self::new(stored.venue, bins);
        let Some(last) = stored.since.last() else { return fresh };
        let (base, closed_until) = (last.interval, last.end());
        let ladder = Ladder::restored(stored.history, Partial::default(), true, &stored.since);
        let course = Course { restored: Some(closed_until), ..Course::default() };
        Self { ladder, base, closed_until, course, ..fresh }
    }

    /// Nobody has listened since the newest event: what the streams would have told is missing.
    pub fn interrupted(&mut self) {
        self.unheard_since = Some(self.seen).filter(|_| self.is_present());
    }

    /// How the feed is doing has been told anew: once its streams are heard again, the stretch in which nobody listened is known.
    /// History fills in its bars, but no marks and no liquidations.
    pub fn heard(&mut self, event_of: impl Fn(Venue, Gap) -> MarketEvent) {
        if self.status.state != LinkState::Live || !self.is_present() {
            return;
        }
        if self.course.live.is_none() {
            self.course.live = Some(self.seen);
        }
        let Some(from) = self.unheard_since.take_if(|from| *from < self.seen) else { return };
        for stream in ["mark", "liquidation"] {
            let gap = Gap { stream: stream.into(), from, to: self.seen };
            let event = event_of(self.venue, gap);
            debug_assert!(matches!(event.kind, EventKind::Gap(_)));
            self.apply(&event);
        }
    }
}
