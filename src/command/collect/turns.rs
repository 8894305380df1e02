//! Who fetches history now, and who waits for a turn: what a history takes of memory while it is fetched is taken a few times at once,
//! however many assets there are.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::engine::headless::{Summary, VenueSummary};
use crate::engine::snapshot::LinkState;
use crate::market::Asset;

/// So many assets fetch their history at once.
pub const AT_ONCE: usize = 4;
/// A venue that does not answer is waited for so long.
const UNANSWERED: Duration = Duration::from_secs(10);
/// Nobody is waited for longer.
const LONGEST: Duration = Duration::from_secs(60);

/// A feed: it does nothing before it is run.
pub type Feed = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Assets in their order.
#[derive(Default)]
pub struct Turns {
    waiting: VecDeque<(Asset, watch::Receiver<Summary>, Feed)>,
    /// Those that fetch, and since when.
    fetching: Vec<(watch::Receiver<Summary>, Instant)>,
}

impl Turns {
    /// Adds an asset behind those there are; its engine tells how it does.
    pub fn add(&mut self, asset: Asset, summary: watch::Receiver<Summary>, feed: Feed) {
        self.waiting.push_back((asset, summary, feed));
    }

    /// Whether an asset waits for its turn.
    pub fn waits(&self, asset: Asset) -> bool {
        self.waiting.iter().any(|(waiting, ..)| *waiting == asset)
    }

    /// Whether all have had their turn.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Starts those whose turn has come.
    pub fn go_on(&mut self, feeds: &mut JoinSet<anyhow::Result<()>>) {
        self.fetching.retain(|(summary, since)| is_fetching(&summary.borrow().venues, since.elapsed()));
        while self.fetching.len() < AT_ONCE
            && let Some((_, summary, feed)) = self.waiting.pop_front()
        {
            feeds.spawn(feed);
            self.fetching.push((summary, Instant::now()));
        }
    }
}

/// Whether the history of some venue is still to come, and worth waiting for.
fn is_fetching(venues: &[VenueSummary], elapsed: Duration) -> bool {
    let mut missing =
        venues.iter().filter(|v| v.course.live.is_none() && v.status.state != LinkState::Ended).peekable();
    let answers = |v: &VenueSummary| {
        matches!(v.status.state, LinkState::Connecting | LinkState::Backfilling | LinkState::Live)
    };
    missing.peek().is_some() && elapsed < if missing.any(answers) { LONGEST } else { UNANSWERED }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::snapshot::{Course, VenueStatus};

    const FETCH: Duration = Duration::from_secs(7);
    const LOOK: Duration = Duration::from_secs(1);

    fn venue(name: &str) -> VenueSummary {
        let venue = name.parse().unwrap();
        VenueSummary {
            venue,
            status: VenueStatus::new(venue),
            mark: None,
            oi_usd: None,
            course: Course::default(),
        }
    }

    /// How many fetch, and how many ever did at once.
    #[derive(Default)]
    struct Crowd {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    /// Twenty assets on two venues; `fate` says what a venue of an asset comes to after a while.
    struct Stage {
        turns: Turns,
        feeds: JoinSet<anyhow::Result<()>>,
        summaries: Vec<watch::Receiver<Summary>>,
        crowd: Arc<Crowd>,
    }

    fn stage(fate: impl Fn(usize, &mut VenueSummary) + Copy + Send + Sync + 'static) -> Stage {
        let (mut turns, mut summaries) = (Turns::default(), Vec::new());
        let crowd = Arc::new(Crowd::default());
        for n in 0..20 {
            let venues = vec![venue("binance"), venue("okx")];
            let (told, summary) = watch::channel(Summary { venues, ..Summary::default() });
            summaries.push(summary.clone());
            let crowd = Arc::clone(&crowd);
            let feed = async move {
                let now = crowd.now.fetch_add(1, Ordering::Relaxed) + 1;
                crowd.most.fetch_max(now, Ordering::Relaxed);
                tokio::time::sleep(FETCH).await;
                told.send_modify(|s| s.venues.iter_mut().for_each(|v| fate(n, v)));
                crowd.now.fetch_sub(1, Ordering::Relaxed);
                std::future::pending().await
            };
            turns.add(format!("COIN{n}").parse().unwrap(), summary, Box::pin(feed));
        }
        Stage { turns, feeds: JoinSet::new(), summaries, crowd }
    }

    impl Stage {
        /// Runs until all have had their turn and some time more; how long it took until they had.
        async fn run(&mut self) -> Duration {
            let begun = Instant::now();
            while !self.turns.is_over() {
                self.turns.go_on(&mut self.feeds);
                tokio::time::sleep(LOOK).await;
            }
            let took = begun.elapsed();
            tokio::time::sleep(FETCH).await;
            took
        }

        fn live(&self, venue: usize) -> usize {
            self.summaries.iter().filter(|s| s.borrow().venues[venue].course.live.is_some()).count()
        }
    }

    fn comes_to_life(v: &mut VenueSummary) {
        v.status.state = LinkState::Live;
        v.course.live = Some(1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_fetch_at_once_in_the_order_given_and_all_come_to_live() {
        let mut stage = stage(|_, v| comes_to_life(v));
        stage.turns.go_on(&mut stage.feeds);
        let waits = |n: usize| stage.turns.waits(format!("COIN{n}").parse().unwrap());
        assert_eq!((0..20).map(waits).collect::<Vec<_>>(), (0..20).map(|n| n >= AT_ONCE).collect::<Vec<_>>());
        stage.run().await;
        assert_eq!(stage.crowd.most.load(Ordering::Relaxed), AT_ONCE);
        assert_eq!((stage.live(0), stage.live(1)), (20, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_venue_that_is_down_holds_nobody_up_for_long() {
        let mut stage = stage(|_, v| match v.venue.as_str() {
            "binance" => comes_to_life(v),
            _ => v.status.state = LinkState::Reconnecting { at: std::time::Instant::now() },
        });
        let took = stage.run().await;
        assert_eq!((stage.live(0), stage.live(1)), (20, 0));
        let rounds = 20_usize.div_ceil(AT_ONCE) as u32;
        assert!(took <= (UNANSWERED + LOOK) * rounds, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_has_its_history_gives_its_place_up() {
        // The first few say nothing ever again; the venues of another do not list it.
        let mut stage = stage(|n, v| match n {
            0..AT_ONCE => v.status.state = LinkState::Backfilling,
            7 => v.status.state = LinkState::Ended,
            _ => comes_to_life(v),
        });
        let took = stage.run().await;
        assert_eq!(stage.live(0), 20 - AT_ONCE - 1);
        let rounds = 20_usize.div_ceil(AT_ONCE) as u32 - 1;
        assert!(took <= LONGEST + (FETCH + LOOK) * rounds, "{took:?}");
    }
}
