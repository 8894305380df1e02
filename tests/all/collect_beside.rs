//! Beside a process that writes the history a screen opens no sockets: it shows what that one receives, and takes its place when it ends.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use meltline::engine::snapshot::LinkState;
use meltline::engine::{Engine, Origin, Snapshot, headless};
use meltline::estimate::BinTable;
use meltline::feed::FeedItem;
use meltline::feed::status::VenueStatus;
use meltline::market::event::{Book, EventKind};
use meltline::market::{MarketEvent, Price, Qty, Side, Venue};
use meltline::store::{Follower, Identity, Reader, StoreConfig, StorePath, codec, open_writer};
use tokio::sync::{mpsc, watch};

use crate::collect_killed::{collect, exchanges, is_live, meltline, store, until};
use crate::support::{event, liquidation, mark, open_interest, price, qty, trade};
use crate::terminal::{PATIENCE, Terminal, hot_cells};

const MINUTE: i64 = 60_000;

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn identity() -> Identity {
    Identity { asset: "BTC".parse().unwrap(), simulated: true, bin_bp: 5.0 }
}

/// Follows the store of a folder as a screen does.
fn follower(at: &StorePath, venues: &[&str]) -> Follower {
    let venues: Vec<Venue> = venues.iter().map(|v| v.parse().unwrap()).collect();
    let bins = Arc::new(BinTable::new(5.0));
    let owner = meltline::store::Owner("process 7 (collect) since then".to_owned());
    wait("a history", || {
        Follower::open(at, &identity(), (&bins, &venues), owner.clone(), |_| Ok(i64::MIN)).unwrap()
    })
}

/// Closed columns by venue, interval and start, each with its digest.
fn digests(snapshot: &Snapshot) -> BTreeMap<(Venue, i64, i64), i64> {
    let of = |v: &meltline::engine::VenueView| {
        let (venue, history) = (v.venue, Arc::clone(&v.history));
        let columns: Vec<_> = history.ladder.iter().flatten().cloned().collect();
        columns.into_iter().map(move |c| ((venue, c.interval.ms(), c.start), codec::column_digest(&c)))
    };
    snapshot.venues.iter().flat_map(of).collect()
}

/// The same as the file has them.
fn kept(reader: &Reader) -> BTreeMap<(Venue, i64, i64), i64> {
    let keys = reader.column_keys().unwrap();
    keys.iter().map(|k| ((k.venue, k.interval.ms(), k.start), k.digest)).collect()
}

/// A market without a screen, and what goes into it.
struct Collector {
    at: StorePath,
    items: mpsc::Sender<FeedItem>,
    engine: std::thread::JoinHandle<()>,
}

impl Collector {
    fn start(dir: &Path) -> Self {
        let at = StorePath::new(dir, identity().asset);
        let writer = open_writer(&at, &identity(), StoreConfig::default()).unwrap().writer;
        let bins = Arc::new(BinTable::new(5.0));
        let mut engine = Engine::new(identity().asset, Origin::Simulated, bins, &["test".parse().unwrap()]);
        engine.set_wishes(writer.wishes());
        engine.set_sink(writer.into_sink());
        engine.forget_columns();
        let (items, received) = mpsc::channel(16);
        let summaries = watch::channel(headless::Summary::default()).0;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let engine =
            std::thread::spawn(move || runtime.block_on(headless::run(engine, received, summaries)).unwrap());
        Self { at, items, engine }
    }

    fn send(&self, events: impl IntoIterator<Item = MarketEvent>) {
        self.items.blocking_send(FeedItem::Events(events.into_iter().collect())).unwrap();
    }

    fn end(self) {
        drop(self.items);
        self.engine.join().unwrap();
    }
}

/// So many minutes of a market from a time on.
fn minutes(from: i64, count: i64) -> Vec<MarketEvent> {
    let second = |i: i64| {
        let (ts, at) = (from + i * 5_000, 60_000.0 + f64::from(u8::try_from(i % 40).unwrap()) * 15.0);
        [trade(ts, at, 1.5), mark(ts + 1, at), open_interest(ts + 2, 5_000.0)]
    };
    (0..count * 12).flat_map(second).collect()
}

fn rows_told(at: &StorePath) -> i64 {
    let conn = rusqlite::Connection::open(at.database()).unwrap();
    conn.query_row("SELECT count(*) FROM live", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_comes_in_is_shown_beside_and_nothing_is_told_while_nobody_looks() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    let start = 1_795_341_600_000;
    collector.send(minutes(start, 10));
    let reader = wait("a history", || Reader::open(&collector.at).unwrap());
    wait("columns", || reader.span("test".parse().unwrap(), meltline::market::Interval::M1).unwrap());
    assert_eq!(rows_told(&collector.at), 0, "nobody follows");

    let mut follower = follower(&collector.at, &["test", "okx"]);
    wait("how things stand", || follower.poll().unwrap().then(|| follower.is_told()).filter(|told| *told));
    let first = follower.snapshot();
    assert_eq!(first.followed.as_deref(), Some("collect 7"));
    assert_eq!((first.venues.len(), first.origin, first.asset), (1, Origin::Simulated, identity().asset));
    assert_eq!(first.now, start + 10 * MINUTE - 5_000 + 2);
    let view = &first.venues[0];
    assert_eq!((view.mark, view.last), (Some(60_585.0), Some(60_585.0)));
    assert_eq!(view.oi_usd, Some(5_000.0 * 60_585.0));
    let running = view.live.as_ref().unwrap();
    assert_eq!((running.start, running.mark), (start + 9 * MINUTE, 60_585.0));

    // A liquidation, the state of the feed, and columns that close.
    collector.send([liquidation(start + 10 * MINUTE, Side::Long, 60_100.0, 2.0)]);
    // A basis point is six dollars.
    let rows = |rows: &[(f64, f64)]| -> Vec<(Price, Qty)> {
        rows.iter().map(|(p, q)| (price(*p), qty(*q))).collect()
    };
    let bids = rows(&[(60_100.0, 1.0), (60_099.0, 2.0), (60_098.0, 3.0), (60_090.0, 4.0)]);
    let book = Book { bids, asks: rows(&[(60_101.0, 5.0)]) };
    collector.send([event(start + 10 * MINUTE + 1, EventKind::Book(Box::new(book)))]);
    let status = VenueStatus {
        state: LinkState::Silent { stream: "trades".to_owned() },
        note: "nothing on trades".to_owned(),
        ..VenueStatus::new("test".parse().unwrap())
    };
    collector.items.blocking_send(FeedItem::Status(status.clone())).unwrap();
    collector.send(minutes(start + 10 * MINUTE, 10));
    let last = wait("what came after", || {
        let is_new = follower.poll().unwrap();
        let snapshot = is_new.then(|| follower.snapshot())?;
        (snapshot.now == start + 20 * MINUTE - 5_000 + 2 && snapshot.tape.len() == 1).then_some(snapshot)
    });
    let print = last.tape[0];
    assert_eq!(
        (print.ts, print.side, print.price, print.usd),
        (start + 10 * MINUTE, Side::Long, 60_100.0, 120_200.0)
    );
    assert_eq!((&last.venues[0].status.state, &last.venues[0].status.note), (&status.state, &status.note));
    assert_eq!(last.venues[0].live.as_ref().unwrap().start, start + 19 * MINUTE);
    let brief = rows(&[(60_100.0, 1.0), (60_099.0, 5.0), (60_090.0, 4.0)]);
    let book = last.venues[0].book.as_ref().expect("the book is told");
    assert_eq!((&book.bids, book.asks.len()), (&brief, 1));
    assert_eq!(digests(&last), kept(&reader));
    assert!(digests(&last).len() >= 19 + 3);

    // Who goes is told nothing any more.
    let at = collector.at.clone();
    drop(follower);
    wait("an end of it", || {
        let before = reader.data_version().unwrap();
        std::thread::park_timeout(Duration::from_millis(1_500));
        (reader.data_version().unwrap() == before).then_some(())
    });
    collector.end();
    assert!(at.database().exists());
}

/// A way to each of the exchanges that counts who takes it, and a configuration that knows only these ways.
fn counted_ways(dir: &Path) -> Arc<AtomicUsize> {
    let text = std::fs::read_to_string(dir.join("config.toml")).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let mut ports: Vec<u16> = Vec::new();
    for part in text.split("127.0.0.1:").skip(1) {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        ports.push(part[..end].parse().unwrap());
    }
    ports.sort_unstable();
    ports.dedup();
    assert!(!ports.is_empty());
    let mut other = text;
    for port in ports {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = listener.local_addr().unwrap().port();
        other = other.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{way}"));
        let count = Arc::clone(&count);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)]
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    });
                }
            }
        });
    }
    // The markets of the watchlist are not collected here: a screen would open feeds for them.
    let alone = other.replace("follow_watchlist = true", "follow_watchlist = false");
    assert_ne!(other, alone);
    std::fs::write(dir.join("ways.toml"), alone).unwrap();
    count
}

#[test]
fn a_screen_beside_a_collector_opens_no_sockets_and_takes_its_place_when_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let _exchanges = exchanges(dir.path(), "3");
    let ways = counted_ways(dir.path());
    let (mut collector, told) = collect(dir.path(), &dir.path().join("capture"));
    until(&told, |asset| is_live(asset) && asset["store"]["columns"].as_i64() > Some(0));
    let [config, data] = ["ways.toml", "data"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    let place = ["--venues", "binance,bybit", "--config", &config, "--data-dir", &data];

    let screen = [&[env!("CARGO_BIN_EXE_meltline"), "BTC", "--range", "12h"], &place[..]].concat();
    let mut screen =
        Terminal::run(&screen, &[("TERM", "xterm-256color")], (50, 180), tempfile::tempdir().unwrap());
    let follows = format!("follows collect {}", collector.0.id());
    screen.wait("a screen that follows", |s| {
        let text = s.contents();
        text.contains(&follows) && text.contains("SIMULATED") && hot_cells(s) > 10
    });
    // The clock of the picture goes on.
    let clock = |text: &str| text.lines().next().map(|l| l.trim_end()[l.trim_end().len() - 9..].to_owned());
    let before = clock(&screen.text());
    screen.wait("a later picture", |s| clock(&s.contents()) != before);

    for (command, wanted) in [
        (["levels", "BTC", "--format", "json"], "\"state\":\"live\""),
        (["snapshot", "BTC", "--size", "120x40"], "SIMULATED"),
    ] {
        let out = meltline(&[&command[..], &place[..]].concat()).stdout(Stdio::piped()).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success() && text.contains(wanted), "{command:?}: {text}");
    }
    assert_eq!(ways.load(Ordering::SeqCst), 0, "somebody opened a socket");

    let at = StorePath::new(Path::new(&data), identity().asset);
    let closed = kept(&store(dir.path()));
    collector.0.kill().unwrap();
    collector.0.wait().unwrap();
    screen.wait("a screen on its own", |s| {
        let text = s.contents();
        !text.contains("follows") && text.contains("LIVE") && hot_cells(s) > 10
    });
    wait("feeds of its own", || (ways.load(Ordering::SeqCst) > 0).then_some(()));
    let holder = meltline::store::Lock::holder(&at.lock()).unwrap();
    assert!(holder.0.contains("(screen)"), "{holder}");
    wait("a column of its own", || {
        let now = kept(&store(dir.path()));
        assert!(closed.iter().all(|(key, digest)| now.get(key) == Some(digest)), "what was closed stays");
        (now.len() > closed.len()).then_some(())
    });
    // A collector that starts later is told who writes, and the screen goes on.
    let late =
        meltline(&[&["collect", "BTC"][..], &place[..]].concat()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(late.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&late.stderr).contains("(screen)"));
    screen.press("q");
    assert_eq!(screen.ended(), 0);
}
