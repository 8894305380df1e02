//! One REST client for every venue: limits kept, refusals understood.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::net::{Net, obstacle};
use super::status::clean;
use super::venue::{Adapter, Pool, Request, Verdict};

/// The largest answer that is read; Binance's `exchangeInfo` is some 2 MB.
const MAX_ANSWER: usize = 32 << 20;

/// How long a wait is that the venue does not name.
const MINUTE: Duration = Duration::from_secs(60);

/// Told the weight used in this minute (`exchanges.md` §3.4).
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";

/// The shortest ban (`exchanges.md` §3.4), for one that does not say how long it lasts.
const BAN: Duration = Duration::from_secs(120);

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The venue does not serve this place.
    #[error(
        "{venue} is not available from this place (HTTP {status}). Use a proxy (HTTPS_PROXY) or another region."
    )]
    Blocked {
        /// Who.
        venue: &'static str,
        /// 451 or 403.
        status: u16,
    },
    /// Too many calls.
    #[error("{venue} asks us to slow down; next call in {}", span(*wait))]
    Slow {
        /// Who.
        venue: &'static str,
        /// How long to wait.
        wait: Duration,
    },
    /// Too many calls after being told to slow down.
    #[error("{venue} has banned this address for {} (HTTP 418) after too many requests", span(*wait))]
    Banned {
        /// Who.
        venue: &'static str,
        /// How long.
        wait: Duration,
    },
    /// The venue told us to wait, and the wait is not over; nothing was asked.
    #[error("{venue} {}; next call in {}", if *banned { "has banned this address" } else { "asks us to slow down" }, span(*wait))]
    Waiting {
        /// Who.
        venue: &'static str,
        /// How long still.
        wait: Duration,
        /// It is a ban.
        banned: bool,
    },
    /// The venue's own trouble.
    #[error("{venue} has trouble (HTTP {status}); will try again")]
    Server {
        /// Who.
        venue: &'static str,
        /// 5xx.
        status: u16,
    },
    /// The venue does not like the call.
    #[error("{venue} refuses a request (HTTP {status}){}", after_colon(body))]
    Refused {
        /// Who.
        venue: &'static str,
        /// The status.
        status: u16,
        /// The start of what it says.
        body: String,
    },
    /// An answer beyond all bounds.
    #[error("{venue} sent an answer of more than 32 MB; it was not read")]
    TooLarge {
        /// Who.
        venue: &'static str,
    },
    /// No connection, or it broke.
    #[error("cannot reach {venue}: {why}")]
    Network {
        /// Who.
        venue: &'static str,
        /// In short.
        why: String,
    },
}

impl RestError {
    /// What a status means (`exchanges.md` §1.1, §3.4); `wait` is what `Retry-After` says.
    pub fn of(venue: &'static str, status: StatusCode, wait: Option<Duration>, body: &str) -> Self {
        match status.as_u16() {
            429 => Self::Slow { venue, wait: wait.unwrap_or(MINUTE) },
            418 => Self::Banned { venue, wait: wait.unwrap_or(BAN) },
            // A refusal of the place, not a rate limit.
            status @ (451 | 403) => Self::Blocked { venue, status },
            status @ 500.. => Self::Server { venue, status },
            status => Self::Refused { venue, status, body: clean(body, 120) },
        }
    }

    /// How long the venue wants us to wait, if it says.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Slow { wait, .. } | Self::Banned { wait, .. } | Self::Waiting { wait, .. } => Some(*wait),
            _ => None,
        }
    }

    /// The venue refuses this place or this address.
    pub fn is_blocked(&self) -> bool {
        matches!(self, Self::Blocked { .. } | Self::Banned { .. } | Self::Waiting { banned: true, .. })
    }

    /// The venue said just now that we ask too much.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Slow { .. } | Self::Banned { .. })
    }
}

/// What a venue says, as the end of a sentence; nothing where it says nothing.
fn after_colon(words: &str) -> String {
    match words.trim() {
        "" => String::new(),
        words => format!(": {words}"),
    }
}

fn span(wait: Duration) -> String {
    match wait.as_secs() {
        s if s < 120 => format!("{s} s"),
        s if s < 7_140 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h", s.div_ceil(3_600)),
    }
}

/// Keeps the weight used below the venue's pool in any stretch of its length: the venue's own windows begin we know not when.
#[derive(Debug)]
struct Limiter {
    pool: Pool,
    /// Calls of the last while: when, and what they cost.
    used: VecDeque<(Instant, u32)>,
    /// No call before this time: the venue said so.
    closed_until: Instant,
    banned: bool,
}

/// Whether a call may go out.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    /// Now; it is counted.
    Now,
    /// Once enough of what was used is long enough ago.
    At(Instant),
    /// The venue forbids it for so long.
    Closed(Duration),
}

impl Limiter {
    fn admit(&mut self, weight: u32, now: Instant) -> Admission {
        if now < self.closed_until {
            return Admission::Closed(self.closed_until - now);
        }
        while self.used.front().is_some_and(|(at, _)| now >= *at + self.pool.per) {
            self.used.pop_front();
        }
        let mut sum: u32 = self.used.iter().map(|(_, cost)| cost).sum();
        // The call goes out once enough of what was used has been forgotten; one that costs more than all there is goes alone.
        for (at, cost) in &self.used {
            if sum.saturating_add(weight) <= self.pool.weight {
                break;
            }
            sum -= cost;
            if sum == 0 || sum.saturating_add(weight) <= self.pool.weight {
                return Admission::At(*at + self.pool.per);
            }
        }
        if weight > 0 {
            self.used.push_back((now, weight));
        }
        Admission::Now
    }
}

/// What was asked of each venue, whoever asks: feeds of several assets share the venues' limits.
#[derive(Debug, Clone, Default)]
pub struct Pools(Arc<std::sync::Mutex<BTreeMap<String, Arc<Mutex<Limiter>>>>>);

impl Pools {
    /// The limiter of a venue at an address.
    fn limiter(&self, address: &str, pool: Pool) -> Arc<Mutex<Limiter>> {
        let fresh = || Limiter { pool, used: VecDeque::new(), closed_until: Instant::now(), banned: false };
        let mut pools = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(pools.entry(address.to_owned()).or_insert_with(|| Arc::new(Mutex::new(fresh()))))
    }
}

impl PartialEq for Pools {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Makes calls to one venue.
pub struct Rest {
    http: reqwest::Client,
    adapter: Arc<dyn Adapter>,
    bases: Vec<String>,
    /// The base that answered last.
    base: AtomicUsize,
    venue: &'static str,
    limiter: Arc<Mutex<Limiter>>,
}

impl Rest {
    /// To a venue.
    pub fn new(net: &Net, adapter: Arc<dyn Adapter>) -> anyhow::Result<Self> {
        let bases: Vec<String> =
            adapter.rest_bases().iter().map(|b| b.trim_end_matches('/').to_owned()).collect();
        let address = bases.first().map_or("", String::as_str);
        let limiter = net.pools().limiter(address, adapter.pool());
        let venue = adapter.title();
        Ok(Self { http: net.http_client()?, adapter, bases, base: AtomicUsize::new(0), venue, limiter })
    }

    /// Makes a call, once the pool allows it, and gives the answer's text.
    pub async fn call(&self, request: &Request) -> Result<String, RestError> {
        loop {
            let mut limiter = self.limiter.lock().await;
            let admission = limiter.admit(request.weight, Instant::now());
            let banned = limiter.banned;
            drop(limiter);
            match admission {
                Admission::Now => break,
                Admission::At(later) => sleep_until(later).await,
                Admission::Closed(wait) => {
                    return Err(RestError::Waiting { venue: self.venue, wait, banned });
                }
            }
        }
        let at = self.base.load(Ordering::Relaxed);
        let base = self.bases.get(at).map_or("", String::as_str);
        let url = format!("{base}{}", request.path);
        let call = match &request.body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).header(CONTENT_TYPE, "application/json").body(body.clone()),
        };
        let answer = call.send().await.map_err(|e| {
            if e.is_connect() {
                // The next call tries the next address.
                self.base.store((at + 1) % self.bases.len().max(1), Ordering::Relaxed);
            }
            self.network(&e)
        })?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        self.learn(answer.headers()).await;
        let body = self.body(answer).await?;
        let venue = self.venue;
        let error = match self.adapter.verdict(status.as_u16(), &body) {
            Verdict::ByStatus if status.is_success() => return Ok(body),
            Verdict::ByStatus => RestError::of(venue, status, wait, &body),
            Verdict::Slow(wait) => RestError::Slow { venue, wait },
            Verdict::Refused(why) => {
                RestError::Refused { venue, status: status.as_u16(), body: clean(&why, 120) }
            }
        };
        tracing::warn!(status = status.as_u16(), path = %request.path, body = %clean(&body, 300), "{error}");
        if let Some(wait) = error.wait() {
            let mut limiter = self.limiter.lock().await;
            limiter.closed_until = Instant::now() + wait;
            limiter.banned = error.is_blocked();
        }
        Err(error)
    }

    /// Takes the venue's own count of the weight used: other programs may share the address.
    async fn learn(&self, headers: &HeaderMap) {
        let used = headers.get(USED_WEIGHT).and_then(|v| v.to_str().ok()?.parse().ok());
        if let Some(used) = used {
            self.limiter.lock().await.used = VecDeque::from([(Instant::now(), used)]);
        }
    }

    async fn body(&self, mut answer: reqwest::Response) -> Result<String, RestError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.network(&e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(RestError::TooLarge { venue: self.venue });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(body).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn network(&self, error: &reqwest::Error) -> RestError {
        let why = match error {
            e if e.is_timeout() => "no answer in time".to_owned(),
            e => obstacle(e),
        };
        tracing::warn!("{}: {}", self.venue, clean(&format!("{error:?}"), 300));
        RestError::Network { venue: self.venue, why }
    }
}

/// `Retry-After` in seconds.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    // Bans last at most 3 days (`exchanges.md` §3.4); a wilder number must not overflow a deadline.
    Some(Duration::from_secs(seconds.min(3 * 86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_of_a_while_is_kept_below_the_pool() {
        let start = Instant::now();
        let pool = Pool { weight: 1_920, per: MINUTE };
        let mut limiter = Limiter { pool, used: VecDeque::new(), closed_until: start, banned: false };
        assert_eq!(limiter.admit(1_920, start), Admission::Now);
        assert_eq!(limiter.admit(1, start), Admission::At(start + MINUTE));
        assert_eq!(limiter.admit(1, start + MINUTE), Admission::Now);
        limiter.closed_until = start + 2 * MINUTE;
        assert_eq!(limiter.admit(1, start + MINUTE), Admission::Closed(MINUTE));
    }

    #[test]
    fn a_refusal_without_words_ends_with_its_status() {
        let told = |body| RestError::of("OKX", StatusCode::NOT_FOUND, None, body).to_string();
        for nothing in ["", " \r\n", "\u{1b}"] {
            assert_eq!(told(nothing), "OKX refuses a request (HTTP 404)");
        }
        assert_eq!(told("no such page\n"), "OKX refuses a request (HTTP 404): no such page");
    }

    #[test]
    fn a_ban_is_told_with_its_length() {
        let told = |s| RestError::Banned { venue: "Binance", wait: Duration::from_secs(s) }.to_string();
        assert!(told(90).contains("90 s"));
        assert!(told(600).contains("10 min"));
        assert!(told(3 * 86_400).contains("72 h"));
    }
}
