//! Many coins of one process on a venue that gives an address ten sockets: they share one, and what happens to it happens to all.

use std::sync::Arc;
use std::time::Duration;

use meltline::feed::status::{LinkState, VenueStatus};
use meltline::feed::{self, FeedConfig, FeedItem, HyperliquidConfig, Taps};
use meltline::market::EventKind;
use meltline::sim::{self, Scenario, SimConfig, SimServer};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(240);

/// More than the ten sockets that the simulated venue allows, as the real one does.
const COINS: [&str; 11] = ["BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "ADA", "AVAX", "LINK", "SUI", "LTC"];

/// What is known of a coin's feed.
struct Coin {
    name: &'static str,
    items: mpsc::Receiver<FeedItem>,
    status: Option<VenueStatus>,
    /// Events of each of the streams that should speak.
    books: usize,
    marks: usize,
    gaps: usize,
}

impl Coin {
    fn take(&mut self, item: FeedItem) {
        match item {
            FeedItem::Status(status) => self.status = Some(status),
            FeedItem::Assets(_) => {}
            FeedItem::Events(events) => {
                for event in events {
                    match event.kind {
                        EventKind::Book(_) => self.books += 1,
                        EventKind::Mark(_) => self.marks += 1,
                        EventKind::Gap(_) => self.gaps += 1,
                        _ => {}
                    }
                }
            }
        }
    }

    /// Listens until the feed is live and books and marks have come since.
    async fn goes_on(&mut self, so: impl Fn(&VenueStatus) -> bool) {
        let (books, marks) = (self.books, self.marks);
        let end = tokio::time::Instant::now() + HANG;
        while !(self.books > books && self.marks > marks && self.status.as_ref().is_some_and(&so)) {
            let item = tokio::time::timeout_at(end, self.items.recv()).await;
            let item = item.unwrap_or_else(|_| panic!("{} does not go on: {:#?}", self.name, self.status));
            self.take(item.expect("the feed runs"));
        }
    }
}

fn is_live(status: &VenueStatus) -> bool {
    status.state == LinkState::Live
}

async fn server(stop: &CancellationToken) -> SimServer {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = SimConfig { scenario: Scenario::Cascade, seed: 7, speed: 10.0, listen };
    sim::start(config, stop.clone()).await.unwrap()
}

/// Follows coins, each with a feed of its own.
fn follow(
    coins: &[&'static str],
    server: &SimServer,
    config: FeedConfig,
    stop: &CancellationToken,
) -> Vec<Coin> {
    let at = server.endpoints().hyperliquid;
    let config = Arc::new(FeedConfig {
        hyperliquid: HyperliquidConfig { ws: at.ws, rest: at.rest },
        backfill: Duration::from_secs(600),
        ..config
    });
    let begin = |&name: &&'static str| {
        let (out, items) = mpsc::channel(1_024);
        let (config, stop) = (Arc::clone(&config), stop.clone());
        tokio::spawn(async move {
            let venue = "hyperliquid".parse().unwrap();
            feed::run(config, &[venue], name.parse().unwrap(), out, Taps::default(), stop).await
        });
        Coin { name, items, status: None, books: 0, marks: 0, gaps: 0 }
    };
    coins.iter().map(begin).collect()
}

fn stop() -> (CancellationToken, DropGuard) {
    let stop = CancellationToken::new();
    (stop.clone(), stop.drop_guard())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eleven_coins_are_live_together_where_ten_sockets_are_allowed() {
    let (stop, _ended) = stop();
    let server = server(&stop).await;
    for coin in &mut follow(&COINS, &server, FeedConfig::default(), &stop) {
        coin.goes_on(is_live).await;
        let counters = coin.status.as_ref().unwrap().counters;
        let odd = (counters.malformed, counters.unknown, counters.rate_limited, counters.reconnects);
        assert_eq!(odd, (0, 0, 0, 0), "{}: {counters:?}", coin.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_socket_is_relieved_for_all_without_a_gap_and_its_loss_is_made_good_for_all() {
    let (stop, _ended) = stop();
    let server = server(&stop).await;
    let config = FeedConfig {
        planned_reconnect: Duration::from_secs(4),
        overlap: Duration::from_millis(200),
        ..FeedConfig::default()
    };
    let mut coins = follow(&COINS[..4], &server, config, &stop);
    for coin in &mut coins {
        coin.goes_on(is_live).await;
        let at_first = coin.gaps;
        // What two sockets tell at the same time is told twice: it shows that one relieved the other.
        coin.goes_on(|status| is_live(status) && status.counters.duplicates > 0).await;
        coin.goes_on(is_live).await;
        let reconnects = coin.status.as_ref().unwrap().counters.reconnects;
        assert_eq!((coin.gaps, reconnects), (at_first, 0), "{}", coin.name);
    }
    server.faults("hyperliquid").unwrap().kill_connections();
    for coin in &mut coins {
        coin.goes_on(|status| is_live(status) && status.counters.reconnects > 0).await;
    }
}
