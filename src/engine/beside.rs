//! For a screen in another process: what closed columns do not tell, and when an engine tells it.
//!
//! The writer of a store knows whether somebody follows it and passes that on as [`Wishes`]; an engine's loop keeps its `Duties`. Nothing is
//! told while nobody looks.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time;

use crate::estimate::Column;
use crate::estimate::calibrate::Tally;
use crate::estimate::measured::Fit;
use crate::market::event::Book;
use crate::market::{Asset, Sampled, Venue};

use super::depth;
use super::record::Record;
use super::snapshot::{
    AssetInfo, Counters, Course, History, LinkState, Snapshot, StreamStatus, VenueStatus, VenueView,
};
use super::{CHECKPOINT_EVERY, Engine, FIRST_CHECKPOINT};

/// How often readers beside are told how things stand.
pub const TELL_EVERY: Duration = Duration::from_millis(400);

/// What readers beside ask of an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Somebody follows.
    pub followed: bool,
    /// How often the whole state was asked for.
    pub states: u64,
}

/// A market as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveMarket {
    /// What is true of all venues.
    pub head: LiveHead,
    /// The assets a user may pick.
    pub assets: Arc<[AssetInfo]>,
    /// The venues.
    pub venues: Vec<LiveParts>,
}

/// What is told of a venue.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveParts {
    /// What changes all the time.
    pub now: LiveVenue,
    /// What changes now and then.
    pub week: LiveWeek,
    /// What rests, in brief ([`depth::in_brief`]).
    pub book: Option<Book>,
}

/// What is true of all venues.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveHead {
    /// Time of the newest event, UTC ms.
    pub now: i64,
    /// Mark price weighted by open interest over the venues, USD per coin.
    pub mark: Option<f64>,
    /// Events taken in since the start.
    pub events: u64,
    /// The venues, in their order.
    pub venues: Vec<Venue>,
}

/// What of a venue changes all the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveVenue {
    /// Which.
    pub venue: Venue,
    status: LiveStatus,
    mark: Option<f64>,
    last: Option<f64>,
    oi_usd: Option<f64>,
    funding: Option<f64>,
    funding_hours: Option<u32>,
    held_until: Option<i64>,
    odd_prints: u64,
    band_coverage: Option<f64>,
    course: Course,
    /// The running column.
    pub column: Option<Arc<Column>>,
}

/// What of a venue changes now and then.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveWeek {
    distances: Option<Fit>,
    tallies: Arc<[Tally]>,
}

/// [`VenueStatus`] with ages in place of moments, which mean nothing in another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LiveStatus {
    state: LiveState,
    note: String,
    streams: Vec<LiveStream>,
    lag_ms: Option<i64>,
    clock_ms: Option<i64>,
    liquidations: Option<Sampled>,
    counters: Counters,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum LiveState {
    Connecting,
    Backfilling,
    Live,
    Silent { stream: String },
    Reconnecting { in_ms: u64 },
    Blocked,
    Recorded,
    Ended,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LiveStream {
    name: String,
    age_ms: Option<u64>,
    steady: bool,
    limit_ms: Option<u64>,
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl LiveStatus {
    fn new(status: &VenueStatus, now: Instant) -> Self {
        let state = match &status.state {
            LinkState::Connecting => LiveState::Connecting,
            LinkState::Backfilling => LiveState::Backfilling,
            LinkState::Live => LiveState::Live,
            LinkState::Silent { stream } => LiveState::Silent { stream: stream.clone() },
            LinkState::Reconnecting { at } => {
                LiveState::Reconnecting { in_ms: ms(at.saturating_duration_since(now)) }
            }
            LinkState::Blocked => LiveState::Blocked,
            LinkState::Recorded => LiveState::Recorded,
            LinkState::Ended => LiveState::Ended,
        };
        let stream = |s: &StreamStatus| LiveStream {
            name: s.name.to_string(),
            age_ms: s.last.map(|last| ms(now.saturating_duration_since(last))),
            steady: s.steady,
            limit_ms: s.limit.map(ms),
        };
        Self {
            state,
            note: status.note.clone(),
            streams: status.streams.iter().map(stream).collect(),
            lag_ms: status.lag_ms,
            clock_ms: status.clock_ms,
            liquidations: status.liquidations,
            counters: status.counters,
        }
    }

    /// As of the moment at which it was told.
    fn status(&self, venue: Venue, told: Instant) -> VenueStatus {
        let state = match &self.state {
            LiveState::Connecting => LinkState::Connecting,
            LiveState::Backfilling => LinkState::Backfilling,
            LiveState::Live => LinkState::Live,
            LiveState::Silent { stream } => LinkState::Silent { stream: stream.clone() },
            LiveState::Reconnecting { in_ms } => {
                let wait = Duration::from_millis(*in_ms);
                LinkState::Reconnecting { at: told.checked_add(wait).unwrap_or(told) }
            }
            LiveState::Blocked => LinkState::Blocked,
            LiveState::Recorded => LinkState::Recorded,
            LiveState::Ended => LinkState::Ended,
        };
        let stream = |s: &LiveStream| StreamStatus {
            name: Cow::Owned(s.name.clone()),
            // Longer ago than this machine runs: as long ago as can be told.
            last: s.age_ms.map(|age| told.checked_sub(Duration::from_millis(age)).unwrap_or(told)),
            steady: s.steady,
            limit: s.limit_ms.map(Duration::from_millis),
        };
        VenueStatus {
            venue,
            state,
            note: self.note.clone(),
            streams: self.streams.iter().map(stream).collect(),
            lag_ms: self.lag_ms,
            clock_ms: self.clock_ms,
            liquidations: self.liquidations,
            counters: self.counters,
        }
    }
}

impl LiveMarket {
    /// Of a picture.
    pub fn new(snapshot: &Snapshot) -> Self {
        let told = Instant::now();
        let venue = |view: &VenueView| {
            let now = LiveVenue {
                venue: view.venue,
                status: LiveStatus::new(&view.status, told),
                mark: view.mark,
                last: view.last,
                oi_usd: view.oi_usd,
                funding: view.funding,
                funding_hours: view.funding_hours,
                held_until: view.held_until,
                odd_prints: view.odd_prints,
                band_coverage: view.band_coverage,
                course: view.course,
                column: view.live.clone(),
            };
            let week = LiveWeek { distances: view.distances, tallies: Arc::clone(&view.tallies) };
            LiveParts { now, week, book: view.book.as_deref().map(depth::in_brief) }
        };
        Self {
            head: LiveHead {
                now: snapshot.now,
                mark: snapshot.mark,
                events: snapshot.events,
                venues: snapshot.venues.iter().map(|v| v.venue).collect(),
            },
            assets: Arc::clone(&snapshot.assets),
            venues: snapshot.venues.iter().map(venue).collect(),
        }
    }
}

impl LiveVenue {
    /// How its feed does, as of the moment at which it was told.
    pub fn status(&self, told: Instant) -> VenueStatus {
        self.status.status(self.venue, told)
    }

    /// The picture of the venue, with what else is known of it. Other maps' columns are not told.
    pub fn view(
        &self,
        week: &LiveWeek,
        book: Option<Arc<Book>>,
        history: &Arc<History>,
        told: Instant,
    ) -> VenueView {
        VenueView {
            venue: self.venue,
            status: self.status(told),
            distances: week.distances,
            mark: self.mark,
            last: self.last,
            oi_usd: self.oi_usd,
            funding: self.funding,
            funding_hours: self.funding_hours,
            coverage: self.column.as_ref().map_or(0.0, |c| c.coverage),
            held_until: self.held_until,
            odd_prints: self.odd_prints,
            band_coverage: self.band_coverage,
            tallies: Arc::clone(&week.tallies),
            book,
            course: self.course,
            history: Arc::clone(history),
            live: self.column.clone(),
            preset: None,
        }
    }
}

impl VenueView {
    /// A venue of which only the closed columns are known.
    pub fn of_history(status: VenueStatus, history: &Arc<History>) -> Self {
        let newest = history.ladder.iter().find_map(|columns| columns.last());
        Self::of_columns(status, Arc::clone(history), newest.map(|c| &**c))
    }

    /// A venue of which only columns are known, the newest of which may stand apart from its history.
    pub fn of_columns(status: VenueStatus, history: Arc<History>, newest: Option<&Column>) -> Self {
        Self {
            venue: status.venue,
            status,
            distances: None,
            mark: newest.map(|c| c.mark),
            last: None,
            oi_usd: newest.map(|c| c.oi * c.mark),
            funding: None,
            funding_hours: None,
            coverage: newest.map_or(0.0, |c| c.coverage),
            held_until: None,
            odd_prints: 0,
            band_coverage: None,
            tallies: Arc::from([]),
            book: None,
            course: Course { restored: newest.map(Column::end), ..Course::default() },
            history,
            live: None,
            preset: None,
        }
    }
}

/// Up to a minute, by the asset's name: a state being kept takes several times the memory it is made of, and the engines of a collector,
/// which begin together, would all want it at once.
fn stagger(asset: Asset) -> Duration {
    let sum = asset.as_str().bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 60);
    Duration::from_secs(sum)
}

/// What an engine's loop does beside taking in events: its state is kept now and then, and readers beside get what they ask for.
#[derive(Debug)]
pub(super) struct Duties {
    keep_at: time::Instant,
    wishes: Option<watch::Receiver<Wishes>>,
    states: u64,
    tell_at: time::Instant,
}

impl Duties {
    /// Those of an engine, from now on.
    pub fn new(engine: &mut Engine) -> Self {
        let (now, wishes) = (time::Instant::now(), engine.wishes.take());
        let states = wishes.as_ref().map_or(0, |w| w.borrow().states);
        let mut duties = Self { keep_at: now, wishes, states, tell_at: now };
        duties.begin(engine.asset);
        duties
    }

    /// The first items have come, perhaps long after the start: the state is worth keeping some time from now.
    pub fn begin(&mut self, asset: Asset) {
        self.keep_at = time::Instant::now() + FIRST_CHECKPOINT + stagger(asset);
    }

    /// Comes back when readers beside are owed something.
    pub async fn due(&mut self) {
        let Some(wishes) = &mut self.wishes else { return std::future::pending().await };
        let told = wishes.borrow().followed.then_some(self.tell_at);
        let tell = async {
            match told {
                Some(at) => time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = wishes.changed() => if changed.is_err() {
                self.wishes = None;
            },
            () = tell => {}
        }
    }

    /// Does what is due.
    pub fn perform(&mut self, engine: &mut Engine) {
        let now = time::Instant::now();
        let wishes = self.wishes.as_mut().map(|w| *w.borrow_and_update()).unwrap_or_default();
        if now >= self.keep_at || (self.wishes.is_some() && wishes.states != self.states) {
            engine.keep_checkpoint();
            self.keep_at = now + CHECKPOINT_EVERY;
            self.states = wishes.states;
        }
        if wishes.followed && now >= self.tell_at {
            let live = LiveMarket::new(&engine.snapshot());
            engine.sink.send(Record::Live(Box::new(live)));
            self.tell_at = now + TELL_EVERY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_comes_through_with_its_ages() {
        let now = Instant::now();
        let before = |ms| now.checked_sub(Duration::from_millis(ms));
        let stream = |name: &'static str, last| StreamStatus {
            name: name.into(),
            last,
            steady: true,
            limit: Some(Duration::from_secs(15)),
        };
        let status = VenueStatus {
            state: LinkState::Reconnecting { at: now + Duration::from_secs(3) },
            note: "connection refused".to_owned(),
            streams: vec![stream("trades", before(250)), stream("marks", None)],
            lag_ms: Some(12),
            clock_ms: Some(-4),
            liquidations: Some(Sampled::Largest),
            counters: Counters { frames: 7, gaps: 1, ..Counters::default() },
            ..VenueStatus::new("okx".parse().unwrap())
        };
        let bytes = postcard::to_stdvec(&LiveStatus::new(&status, now)).unwrap();
        let back: LiveStatus = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back.status(status.venue, now), status);
        // A second later by the clock of the one who told it.
        let told = now + Duration::from_secs(1);
        let later = back.status(status.venue, told);
        assert_eq!(later.last_frame(), told.checked_sub(Duration::from_millis(250)));
    }
}
