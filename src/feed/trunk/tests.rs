//! Places on shared sockets, against a server on loopback.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::feed::venue::hyperliquid::Hyperliquid;

/// Nothing takes this long; it only keeps a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server was sent, and on which of its sockets; `None` when a socket has ended.
type Seen = (usize, Option<String>);

/// Sockets on loopback, each of which says what it is told to.
struct Server {
    url: String,
    seen: mpsc::UnboundedReceiver<Seen>,
    /// By socket; dropping one closes it.
    says: mpsc::UnboundedReceiver<mpsc::UnboundedSender<String>>,
}

impl Server {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (see, seen) = mpsc::unbounded_channel();
        let (hand, says) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for n in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                let (say, mut said) = mpsc::unbounded_channel::<String>();
                let (see, _) = (see.clone(), hand.send(say));
                tokio::spawn(async move {
                    loop {
                        tokio::select! {
                            text = said.recv() => match text {
                                Some(text) => socket.send(Message::text(text)).await.unwrap(),
                                None => break,
                            },
                            message = socket.next() => match message {
                                Some(Ok(Message::Text(text))) => see.send((n, Some(text.to_string()))).unwrap(),
                                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                                _ => break,
                            },
                        }
                    }
                    let _ = see.send((n, None));
                });
            }
        });
        Self { url, seen, says }
    }

    async fn seen(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.expect("the server hears nothing").unwrap()
    }

    /// What makes the next socket speak.
    async fn says(&mut self) -> mpsc::UnboundedSender<String> {
        timeout(PATIENCE, self.says.recv()).await.expect("nobody opens a socket").unwrap()
    }
}

/// A dial that sends a ping every so often and waits for its answer for so long.
fn dial(url: &str, every: Duration, patience: Duration) -> Dial {
    let config = FeedConfig {
        backoff_first: Duration::from_millis(10),
        backoff_most: Duration::from_millis(20),
        ..FeedConfig::default()
    };
    let rule = KeepAlive { every, text: r#"{"method":"ping"}"#.into(), patience };
    Dial {
        net: Arc::new(Net::new(&config).unwrap()),
        adapter: Arc::new(Hyperliquid::new(&config)),
        config: Arc::new(config),
        url: url.into(),
        keep_alive: Some(rule),
    }
}

fn coin(name: &str) -> Shared {
    Shared { name: name.into(), goodbye: vec![format!("no more {name}")] }
}

fn book(coin: &str, n: usize) -> String {
    format!(r#"{{"channel":"l2Book","data":{{"coin":"{coin}","n":{n}}}}}"#)
}

async fn next(place: &mut Place) -> Result<String, Lost> {
    timeout(PATIENCE, place.next()).await.expect("nothing is told").map(|(text, _)| text)
}

#[tokio::test]
async fn instruments_share_a_socket_and_each_hears_what_is_its_own() {
    let mut server = Server::new().await;
    let (trunks, dial) = (Trunks::default(), dial(&server.url, PATIENCE, PATIENCE));
    // All at once, as they start.
    let (btc, eth) = (coin("BTC"), coin("ETH"));
    let (btc, eth) = tokio::join!(trunks.join(&dial, &btc), trunks.join(&dial, &eth));
    let (mut btc, mut eth) = (btc.unwrap(), eth.unwrap());
    assert_eq!(btc.opened(), eth.opened());
    btc.send("I am BTC").await.unwrap();
    assert_eq!(server.seen().await, (0, Some("I am BTC".into())));
    eth.send("I am ETH").await.unwrap();
    assert_eq!(server.seen().await, (0, Some("I am ETH".into())));
    let says = server.says().await;
    let all = r#"{"channel":"notice","data":"for everybody"}"#;
    for text in
        [&book("ETH", 1), &book("SOL", 1), r#"{"channel":"pong"}"#, all, &book("BTC", 1), &book("ETH", 2)]
    {
        says.send(text.to_owned()).unwrap();
    }
    for expected in [all.to_owned(), book("BTC", 1)] {
        assert_eq!(next(&mut btc).await.as_deref(), Ok(expected.as_str()));
    }
    for expected in [book("ETH", 1), all.to_owned(), book("ETH", 2)] {
        assert_eq!(next(&mut eth).await.as_deref(), Ok(expected.as_str()));
    }
}

#[tokio::test]
async fn an_instrument_that_leaves_is_unsubscribed_and_may_come_back_and_the_last_closes_the_socket() {
    let mut server = Server::new().await;
    let (trunks, dial) = (Trunks::default(), dial(&server.url, PATIENCE, PATIENCE));
    let btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    let eth = trunks.join(&dial, &coin("ETH")).await.unwrap();
    let says = server.says().await;
    drop(btc);
    says.send(book("BTC", 1)).unwrap();
    assert_eq!(server.seen().await, (0, Some("no more BTC".into())), "its next frame tells that it has gone");
    let btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    drop(btc);
    let btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    btc.send("I am BTC").await.unwrap();
    assert_eq!(server.seen().await, (0, Some("no more BTC".into())), "before it subscribes anew");
    assert_eq!(server.seen().await, (0, Some("I am BTC".into())));
    drop((btc, eth));
    assert_eq!(server.seen().await, (0, None));
    let btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    btc.send("I am BTC").await.unwrap();
    assert_eq!(server.seen().await, (1, Some("I am BTC".into())));
}

#[tokio::test]
async fn who_asks_for_a_second_place_gets_it_on_another_socket_and_the_others_follow_there() {
    let mut server = Server::new().await;
    let (trunks, dial) = (Trunks::default(), dial(&server.url, PATIENCE, PATIENCE));
    let (old_btc, old_eth) =
        (trunks.join(&dial, &coin("BTC")).await.unwrap(), trunks.join(&dial, &coin("ETH")).await.unwrap());
    let new_btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    let new_eth = trunks.join(&dial, &coin("ETH")).await.unwrap();
    for (place, socket) in [(&old_btc, 0), (&old_eth, 0), (&new_btc, 1), (&new_eth, 1)] {
        place.send("where am I").await.unwrap();
        assert_eq!(server.seen().await, (socket, Some("where am I".into())));
    }
    drop((old_btc, old_eth));
    assert_eq!(server.seen().await, (0, None));
}

#[tokio::test]
async fn a_lost_socket_is_told_to_all_and_one_new_one_serves_them() {
    let mut server = Server::new().await;
    let (trunks, dial) = (Trunks::default(), dial(&server.url, PATIENCE, PATIENCE));
    let mut btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    let mut eth = trunks.join(&dial, &coin("ETH")).await.unwrap();
    drop(server.says().await);
    for place in [&mut btc, &mut eth] {
        assert!(matches!(next(place).await, Err(Lost::Closed | Lost::Broken(_))));
    }
    assert_eq!(server.seen().await, (0, None));
    let (btc, eth) = (coin("BTC"), coin("ETH"));
    let (btc, eth) = tokio::join!(trunks.join(&dial, &btc), trunks.join(&dial, &eth));
    for place in [btc.unwrap(), eth.unwrap()] {
        place.send("again").await.unwrap();
        assert_eq!(server.seen().await, (1, Some("again".into())));
    }
}

#[tokio::test]
async fn nobody_waits_for_one_who_does_not_listen() {
    let mut server = Server::new().await;
    let (trunks, dial) = (Trunks::default(), dial(&server.url, PATIENCE, PATIENCE));
    let mut idle = trunks.join(&dial, &coin("IDLE")).await.unwrap();
    let mut busy = trunks.join(&dial, &coin("BUSY")).await.unwrap();
    let says = server.says().await;
    for n in 0..2 * WAITING {
        says.send(book("IDLE", n)).unwrap();
    }
    says.send(book("BUSY", 0)).unwrap();
    assert_eq!(next(&mut busy).await, Ok(book("BUSY", 0)));
    assert_eq!(server.seen().await, (0, Some("no more IDLE".into())));
    for n in 0..WAITING - 1 {
        assert_eq!(next(&mut idle).await, Ok(book("IDLE", n)));
    }
    assert_eq!(next(&mut idle).await, Err(Lost::Broken("frames were not read in time".into())));
    assert_eq!(next(&mut idle).await, Err(Lost::Closed));
}

#[tokio::test]
async fn one_ping_keeps_the_socket_for_all_and_an_unanswered_one_ends_it() {
    let mut server = Server::new().await;
    let (trunks, dial) =
        (Trunks::default(), dial(&server.url, Duration::from_millis(100), Duration::from_secs(4)));
    let mut btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    let mut eth = trunks.join(&dial, &coin("ETH")).await.unwrap();
    let says = server.says().await;
    for _ in 0..3 {
        assert_eq!(server.seen().await, (0, Some(r#"{"method":"ping"}"#.into())));
        says.send(r#"{"channel":"pong"}"#.into()).unwrap();
    }
    for place in [&mut btc, &mut eth] {
        assert_eq!(next(place).await, Err(Lost::Dead));
    }
}

#[tokio::test]
async fn a_socket_on_which_only_pings_are_answered_is_given_up() {
    let mut server = Server::new().await;
    let (trunks, mut dial) = (Trunks::default(), dial(&server.url, Duration::from_millis(100), PATIENCE));
    Arc::get_mut(&mut dial.config).unwrap().idle = Duration::from_secs(2);
    let mut btc = trunks.join(&dial, &coin("BTC")).await.unwrap();
    let mut eth = trunks.join(&dial, &coin("ETH")).await.unwrap();
    let says = server.says().await;
    let answers = tokio::spawn(async move {
        while let (0, Some(_)) = server.seen().await {
            // The last pings are read when the socket is closed already.
            let _ = says.send(r#"{"channel":"pong"}"#.into());
        }
    });
    for place in [&mut btc, &mut eth] {
        assert_eq!(next(place).await, Err(Lost::Broken("nothing comes any more".into())));
    }
    timeout(PATIENCE, answers).await.expect("the socket is not closed").unwrap();
}

#[tokio::test]
async fn all_who_wait_for_an_attempt_are_told_how_it_failed_and_the_next_is_not_made_at_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let (trunks, mut dial) = (Trunks::default(), dial(&url, PATIENCE, PATIENCE));
    Arc::get_mut(&mut dial.config).unwrap().backoff_first = Duration::from_secs(3600);
    let (btc, eth) = (coin("BTC"), coin("ETH"));
    let (btc, eth) = tokio::join!(trunks.join(&dial, &btc), trunks.join(&dial, &eth));
    assert!(matches!((btc, eth), (Err(a), Err(b)) if Arc::ptr_eq(&a, &b)));
    assert!(trunks.at(&dial, |address| address.not_before) > Instant::now());
}
