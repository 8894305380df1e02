//! Every venue × every fault, against the simulated exchanges: no panic, the right state shown, recovery, and events that
//! add up to what the server sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meltline::feed::status::{LinkState, VenueStatus};
use meltline::feed::{
    self, BinanceConfig, BybitConfig, FeedConfig, FeedItem, HyperliquidConfig, OkxConfig, Taps,
};
use meltline::market::{EventKind, MarketEvent, Venue};
use meltline::sim::hub::Kind;
use meltline::sim::{self, Directory, Faults, KeepAlive, Scenario, SimConfig, SimServer};
use rstest::rstest;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(240);

/// What a test must know of a venue: its name, and the streams of trades and of the book as the simulator calls them.
struct Named {
    name: &'static str,
    symbol: &'static str,
    trades: &'static str,
    book: &'static str,
}

const BINANCE: Named =
    Named { name: "binance", symbol: "BTCUSDT", trades: "@aggTrade", book: "@depth@100ms" };
const BYBIT: Named = Named { name: "bybit", symbol: "BTCUSDT", trades: "publicTrade", book: "orderbook" };
const OKX: Named = Named { name: "okx", symbol: "BTC-USDT-SWAP", trades: "trades", book: "books" };
const HYPERLIQUID: Named = Named { name: "hyperliquid", symbol: "BTC", trades: "trades", book: "l2Book" };

/// A venue, and a client that follows it.
struct Bench {
    server: SimServer,
    venue: &'static Named,
    config: FeedConfig,
    client: Option<Client>,
    _stop: DropGuard,
}

struct Client {
    items: mpsc::Receiver<FeedItem>,
    events: Vec<MarketEvent>,
    statuses: Vec<VenueStatus>,
    feed: tokio::task::JoinHandle<anyhow::Result<()>>,
    _stop: DropGuard,
}

impl Bench {
    async fn start(venue: &'static Named) -> Self {
        let stop = CancellationToken::new();
        let listen = "127.0.0.1:0".parse().unwrap();
        // Fast enough that every stream speaks soon, slow enough for a busy machine.
        let config = SimConfig { scenario: Scenario::Cascade, seed: 7, speed: 10.0, listen };
        let server = sim::start(config, stop.clone()).await.unwrap();
        let at = server.endpoints();
        let ms = Duration::from_millis;
        let config = FeedConfig {
            binance: BinanceConfig {
                ws_market: at.binance.ws_market,
                ws_public: at.binance.ws_public,
                rest: at.binance.rest,
            },
            bybit: BybitConfig { ws: at.bybit.ws, rest: at.bybit.rest },
            okx: OkxConfig {
                ws_public: at.okx.ws_public,
                ws_business: at.okx.ws_business,
                rest: at.okx.rest,
            },
            hyperliquid: HyperliquidConfig { ws: at.hyperliquid.ws, rest: at.hyperliquid.rest },
            timeout: ms(8_000),
            // Longer than a busy machine stalls: tests of silence set their own.
            first_data: ms(20_000),
            idle: ms(15_000),
            idle_trades: ms(15_000),
            pong: ms(5_000),
            backoff_first: ms(20),
            backoff_most: ms(200),
            overlap: ms(100),
            oi_poll: ms(200),
            backfill: Duration::from_secs(1_800),
            backfill_patience: Duration::from_secs(20),
            blocked_retry: ms(200),
            relist_silent: ms(100),
            status_every: ms(10),
            ..FeedConfig::default()
        };
        Self { server, venue, config, client: None, _stop: stop.drop_guard() }
    }

    /// Silence is noticed soon: for tests to which a false alarm does no harm.
    fn hurries(&mut self) {
        let patience = Duration::from_millis(2_500);
        (self.config.idle, self.config.idle_trades) = (patience, patience);
        self.config.first_data = Duration::from_secs(6);
        self.config.pong = Duration::from_secs(1);
    }

    fn faults(&self) -> Faults {
        self.server.faults(self.venue.name).unwrap()
    }

    /// Begins to follow.
    fn follow(&mut self) -> &mut Client {
        let (out, items) = mpsc::channel(1_024);
        let stop = CancellationToken::new();
        let (config, stopped) = (Arc::new(self.config.clone()), stop.clone());
        let venue: Venue = self.venue.name.parse().unwrap();
        let feed = tokio::spawn(async move {
            feed::run(config, &[venue], "BTC".parse().unwrap(), out, Taps::default(), stopped).await
        });
        self.client.insert(Client {
            items,
            events: Vec::new(),
            statuses: Vec::new(),
            feed,
            _stop: stop.drop_guard(),
        })
    }

    /// Follows until everything delivers.
    async fn live(&mut self) -> &mut Client {
        let client = self.follow();
        client.until("everything delivers", Client::delivers).await;
        client
    }

    /// Lets nothing more be said on sockets, and waits until all trades the server sent are accounted for.
    async fn adds_up(mut self, what: &str) {
        let faults = self.faults();
        let client = self.client.as_mut().unwrap();
        faults.mute("");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            client.listen(Duration::from_millis(50)).await;
            let sent = faults.sent().get(Kind::Trade);
            let (got, counters) = (client.live_trades(), client.last().counters);
            // What a venue repeats or tells of the past is counted, not told.
            if got + counters.duplicates + counters.history >= sent && got <= sent {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{what}: {sent} trades sent, {got} told, {counters:?} on {}",
                self.venue.name
            );
        }
    }
}

impl Client {
    /// Listens for a while.
    async fn listen(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while let Ok(item) = tokio::time::timeout_at(end, self.items.recv()).await {
            self.take(item.expect("the feed runs"));
        }
    }

    fn take(&mut self, item: FeedItem) {
        match item {
            FeedItem::Events(events) => self.events.extend(events),
            FeedItem::Status(status) => self.statuses.push(status),
            FeedItem::Assets(_) => {}
        }
    }

    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end = tokio::time::Instant::now() + HANG;
        while !so(self) {
            match tokio::time::timeout_at(end, self.items.recv()).await {
                Ok(item) => self.take(item.expect("the feed runs")),
                Err(late) => {
                    panic!(
                        "never: {what} ({late}); {:#?}; feed ended: {}",
                        self.last(),
                        self.feed.is_finished()
                    )
                }
            }
        }
    }

    fn last(&self) -> VenueStatus {
        self.statuses.last().cloned().unwrap_or_else(|| VenueStatus::new("none".parse().unwrap()))
    }

    fn state(&self) -> LinkState {
        self.last().state
    }

    fn count(&self, so: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|e| so(&e.kind)).count()
    }

    fn live_trades(&self) -> u64 {
        self.count(|k| matches!(k, EventKind::Trade(_))) as u64
    }

    fn books(&self) -> usize {
        self.count(|k| matches!(k, EventKind::Book(_)))
    }

    fn gaps(&self, stream: &str) -> usize {
        self.count(|k| matches!(k, EventKind::Gap(g) if &*g.stream == stream))
    }

    /// Live, with something of each kind that comes at once.
    fn delivers(&self) -> bool {
        self.state() == LinkState::Live
            && self.live_trades() > 0
            && self.books() > 0
            && self.count(|k| matches!(k, EventKind::Mark(_))) > 0
            && self.count(|k| matches!(k, EventKind::OpenInterest(_))) > 0
            && self.count(|k| matches!(k, EventKind::Candle(_))) > 0
    }

    /// Whether a state was shown at some time from the n-th status on.
    fn showed(&self, from: usize, so: impl Fn(&VenueStatus) -> bool) -> bool {
        self.statuses[from.min(self.statuses.len())..].iter().any(so)
    }

    /// Waits until it delivers again: more trades, marks and books than now.
    async fn goes_on(&mut self) {
        let (trades, books) = (self.live_trades(), self.books());
        let marks = self.count(|k| matches!(k, EventKind::Mark(_)));
        self.until("it goes on", |c| {
            c.state() == LinkState::Live
                && c.live_trades() > trades
                && c.books() > books
                && c.count(|k| matches!(k, EventKind::Mark(_))) > marks
        })
        .await;
    }
}

fn is_down(status: &VenueStatus) -> bool {
    matches!(status.state, LinkState::Reconnecting { .. } | LinkState::Silent { .. })
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_shown_and_its_stretch_is_a_gap(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    let client = bench.live().await;
    let from = client.statuses.len();
    faults.kill_connections();
    client.until("reconnecting", |c| c.showed(from, is_down)).await;
    client.goes_on().await;
    assert!(client.last().counters.reconnects >= 1);
    assert!(client.gaps("mark") >= 1, "the stretch without marks is told");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_noticed_by_its_silence(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    bench.hurries();
    let faults = bench.faults();
    let client = bench.live().await;
    let from = client.statuses.len();
    faults.freeze_connections();
    client.until("silent or reconnecting", |c| c.showed(from, is_down)).await;
    client.goes_on().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bytes_are_late_and_none_is_lost(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    let client = bench.live().await;
    faults.slow(Some((500, Duration::from_millis(5))));
    client.listen(Duration::from_millis(500)).await;
    faults.slow(None);
    client.goes_on().await;
    let counters = client.last().counters;
    assert_eq!((counters.malformed, counters.unknown, counters.reconnects), (0, 0, 0), "{counters:?}");
    bench.adds_up("slow").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_in_pieces_are_put_together(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    faults.split_frames(true);
    let client = bench.live().await;
    client.goes_on().await;
    let counters = client.last().counters;
    assert_eq!((counters.malformed, counters.unknown, counters.reconnects), (0, 0, 0), "{counters:?}");
    bench.adds_up("split").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_counted_and_costs_nothing_else(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    let client = bench.live().await;
    for text in
        ["{\"half\":", "\u{1b}[2J", "[[[[[[[[", "null", "", "{\"e\":5,\"topic\":[],\"channel\":{},\"arg\":1}"]
    {
        faults.inject(text);
    }
    client
        .until("counted", |c| {
            let counters = c.last().counters;
            counters.malformed + counters.unknown >= 5
        })
        .await;
    client.goes_on().await;
    assert_eq!(client.last().counters.reconnects, 0);
    bench.adds_up("garbage").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_frame_is_refused_unread_and_told(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    let client = bench.live().await;
    let from = client.statuses.len();
    faults.inject(&" ".repeat(10 << 20));
    client
        .until("told", |c| {
            c.showed(from, |s| is_down(s) && s.note.contains("8 MB") && s.counters.malformed >= 1)
        })
        .await;
    client.goes_on().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_never_speaks_is_called_by_its_name(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    bench.hurries();
    bench.config.first_data = Duration::from_secs(2);
    let faults = bench.faults();
    faults.mute(venue.trades);
    let client = bench.follow();
    let silent = |s: &VenueStatus| matches!(&s.state, LinkState::Silent { stream } if stream.to_lowercase().contains("trade"));
    client.until("silent", |c| c.showed(0, silent)).await;
    assert_eq!(client.count(|k| matches!(k, EventKind::Trade(_))), 0);
    faults.unmute();
    client.until("everything delivers", Client::delivers).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_ping_ends_the_connection(#[values(&BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named) {
    let mut bench = Bench::start(venue).await;
    bench.config.ping_most = Duration::from_secs(1);
    let faults = bench.faults();
    let client = bench.live().await;
    client.listen(Duration::from_secs(3)).await;
    assert_eq!(client.last().counters.reconnects, 0, "answered pings keep it");
    let from = client.statuses.len();
    faults.ignore_pings(true);
    client.until("told", |c| c.showed(from, |s| is_down(s) && s.note.contains("ping"))).await;
    faults.ignore_pings(false);
    client.goes_on().await;
}

/// Binance pings us (exchanges.md §1.5).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_venues_own_pings_are_answered() {
    let mut bench = Bench::start(&BINANCE).await;
    let (ping, silence) = (Some(Duration::from_millis(200)), Duration::from_secs(2));
    bench.faults().keep_alive(Some(KeepAlive { ping, silence, life: None, inbound: None }));
    let client = bench.live().await;
    client.listen(Duration::from_secs(3)).await;
    assert_eq!(client.last().counters.reconnects, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_in_the_book_is_told_and_the_book_is_built_anew(
    #[values(&BINANCE, &BYBIT, &OKX)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    let client = bench.live().await;
    faults.lose_next(venue.book, 1);
    client.until("a gap in the book", |c| c.gaps("book") >= 1).await;
    client.goes_on().await;
    assert_eq!(client.last().counters.reconnects, 0, "one stream's hole costs no connection");
    bench.adds_up("book").await;
}

/// Hyperliquid sends whole books (exchanges.md §6.2): one that is lost leaves no hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_whole_book_is_no_hole() {
    let mut bench = Bench::start(&HYPERLIQUID).await;
    let faults = bench.faults();
    let client = bench.live().await;
    faults.lose_next(HYPERLIQUID.book, 1);
    client.goes_on().await;
    assert_eq!(client.gaps("book"), 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_sent_twice_count_once_and_late_rows_still_count(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    let client = bench.live().await;
    let before = client.last().counters.duplicates;
    faults.double_next(venue.trades, 3);
    client.until("repeats are counted", |c| c.last().counters.duplicates >= before + 3).await;
    faults.delay_next(venue.trades, 2);
    client.goes_on().await;
    let mut ids: Vec<String> = Vec::new();
    for event in &client.events {
        if let EventKind::Trade(t) = &event.kind {
            ids.push(format!("{:?}", (&t.id, event.ts, t.price, t.qty)));
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "no trade twice");
    assert_eq!(client.last().counters.reconnects, 0);
    bench.adds_up("doubled and late").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_whose_clock_is_ten_minutes_off_is_followed_and_the_difference_told(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    bench.faults().skew_clock(600_000);
    let client = bench.live().await;
    client.goes_on().await;
    // The simulated clock runs ten times as fast as ours as well.
    client.until("told", |c| c.last().clock_ms.is_some_and(|ms| ms < -590_000)).await;
    let counters = client.last().counters;
    assert_eq!((counters.malformed, counters.unknown), (0, 0), "{counters:?}");
    bench.adds_up("clock").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limit_is_told_and_waited_out(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    bench.faults().rate_limit_next(1, 1);
    let client = bench.follow();
    client
        .until("told", |c| c.showed(0, |s| s.note.contains("slow down") && s.counters.rate_limited >= 1))
        .await;
    match venue.name {
        // Ten minutes, as Bybit wants it (exchanges.md §4.3), and a minute where no time is told (OKX, Hyperliquid).
        "binance" => client.until("everything delivers", Client::delivers).await,
        name => {
            let least = if name == "bybit" { 590 } else { 1 };
            let LinkState::Reconnecting { at } = client.state() else { panic!("{:?}", client.last()) };
            assert!(at.saturating_duration_since(Instant::now()).as_secs() >= least);
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_place_is_told_in_plain_words_and_tried_again(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
    #[values(451, 403)] status: u16,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    faults.block(Some(status));
    let client = bench.follow();
    client.until("blocked", |c| c.state() == LinkState::Blocked).await;
    let note = client.last().note;
    assert!(note.contains("not available from this place") && !note.contains('<'), "{note}");
    faults.block(None);
    client.until("everything delivers", Client::delivers).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_makes_no_sense_is_told_and_one_odd_row_hides_no_other(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    faults.spoil_directory(Directory::Cut);
    let client = bench.follow();
    client.until("told", |c| c.showed(0, |s| is_down(s) && !s.note.is_empty())).await;
    faults.spoil_directory(Directory::OneRow);
    client.until("everything delivers", Client::delivers).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_open_interest_the_rest_is_followed(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    faults.no_open_interest(true);
    let client = bench.follow();
    client
        .until("trades, marks and books", |c| {
            c.live_trades() > 0 && c.books() > 0 && c.count(|k| matches!(k, EventKind::Mark(_))) > 1
        })
        .await;
    assert_eq!(client.count(|k| matches!(k, EventKind::OpenInterest(_))), 0);
    faults.no_open_interest(false);
    client.until("everything delivers", Client::delivers).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbol_that_is_delisted_ends_with_a_plain_word(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    bench.hurries();
    let faults = bench.faults();
    let client = bench.live().await;
    faults.delist(venue.symbol);
    client.until("ended", |c| c.state() == LinkState::Ended).await;
    assert!(client.last().note.contains("does not list BTC any more"), "{}", client.last().note);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_restart_is_survived(
    #[values(&BINANCE, &BYBIT, &OKX, &HYPERLIQUID)] venue: &'static Named,
) {
    let mut bench = Bench::start(venue).await;
    let faults = bench.faults();
    let client = bench.live().await;
    // Time for the next connection to take over where a notice is given (OKX 64008, exchanges.md §5.1).
    faults.restart(Duration::from_secs(3));
    client.listen(Duration::from_secs(4)).await;
    client.goes_on().await;
    if venue.name == "okx" {
        assert_eq!(client.gaps("trade") + client.gaps("mark"), 0, "announced, so nothing is missed");
    }
}
