//! Ways out: TLS with compiled-in roots, and proxies as the environment names them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, http};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::FeedConfig;
use super::rest::Pools;
use super::status::clean;

/// The largest message a socket may send. Binance's largest frames are some 100 kB; a larger one is refused unread.
pub const MAX_MESSAGE: usize = 8 << 20;

/// Bytes a socket has room for from the start; a larger frame makes room for itself. Most frames are below 1 kB, and a collector has a
/// hundred sockets: the library's 128 kB each would be much of its memory.
const READ_BUFFER: usize = 16 << 10;

/// The longest answer a proxy may give before the tunnel stands.
const MAX_PROXY_ANSWER: usize = 8 << 10;

/// A socket, whatever it runs over.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProxyKind {
    Http,
    Socks5,
}

/// A proxy. Names are resolved by the proxy, not here.
#[derive(Clone, PartialEq, Eq)]
struct Proxy {
    kind: ProxyKind,
    host: String,
    port: u16,
    user: Option<(String, String)>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the password: this ends up in logs.
        write!(f, "{:?} proxy {}:{}", self.kind, self.host, self.port)
    }
}

impl Proxy {
    /// Reads `http://user:pass@host:port`, `socks5://…`, `socks5h://…` or `host:port`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (ProxyKind::Http, 80),
            "socks5" | "socks5h" | "socks" => (ProxyKind::Socks5, 1080),
            _ => return None,
        };
        let rest = rest.split(['/', '?', '#']).next()?;
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let decode = |t: &str| super::instruments::percent_decode(t);
        let user = match user.map(|u| u.split_once(':').unwrap_or((u, ""))) {
            Some((name, password)) => Some((decode(name)?, decode(password)?)),
            None => None,
        };
        let uri: http::uri::Authority = address.parse().ok()?;
        let host = uri.host().trim_matches(['[', ']']).to_owned();
        (!host.is_empty()).then(|| Self { kind, port: uri.port_u16().unwrap_or(default_port), host, user })
    }

    fn url(&self) -> String {
        use super::instruments::percent_encode as encode;
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5h",
        };
        let user =
            self.user.as_ref().map(|(u, p)| format!("{}:{}@", encode(u), encode(p))).unwrap_or_default();
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{user}{host}:{}", self.port)
    }
}

/// What the environment says about proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyEnv {
    /// For TLS connections.
    secure: Option<Proxy>,
    /// For every connection.
    all: Option<Proxy>,
    /// Hosts that are reached directly.
    direct: Vec<String>,
}

impl ProxyEnv {
    /// Reads `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in lower case too.
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// Reads the same names from elsewhere.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| {
            [name.to_owned(), name.to_lowercase()]
                .iter()
                .find_map(|n| var(n).filter(|v| !v.trim().is_empty()))
        };
        let proxy = |name: &str| {
            let text = get(name)?;
            let proxy = Proxy::parse(&text);
            if proxy.is_none() {
                tracing::warn!("{name} is not a proxy address: write http://host:port or socks5://host:port");
            }
            proxy
        };
        let direct = get("NO_PROXY").unwrap_or_default();
        let direct = direct.split(',').map(|h| h.trim().trim_start_matches('.').to_lowercase());
        let direct = direct.filter(|h| !h.is_empty()).collect();
        Self { secure: proxy("HTTPS_PROXY"), all: proxy("ALL_PROXY"), direct }
    }

    /// The proxy for a host, if any. This machine is always reached directly.
    fn for_host(&self, secure: bool, host: &str) -> Option<&Proxy> {
        let host = host.trim_matches(['[', ']']).to_lowercase();
        let loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let inside = |name: &String| {
            name == "*" || host == *name || host.strip_suffix(name.as_str()).is_some_and(|h| h.ends_with('.'))
        };
        if loopback || self.direct.iter().any(inside) {
            return None;
        }
        self.secure.as_ref().filter(|_| secure).or(self.all.as_ref())
    }
}

/// What sockets and REST calls share.
pub struct Net {
    tls: Arc<ClientConfig>,
    proxy: ProxyEnv,
    timeout: Duration,
    pools: Pools,
}

impl Net {
    /// Over the configuration's proxies and timeout.
    pub fn new(config: &FeedConfig) -> anyhow::Result<Self> {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: Arc::new(tls),
            proxy: config.proxy.clone(),
            timeout: config.timeout,
            pools: config.pools.clone(),
        })
    }

    /// What was asked of the venues.
    pub(super) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The proxy that leads to an address, if any, in words without its password.
    pub fn proxy_of(&self, url: &str) -> Option<String> {
        let url: http::Uri = url.parse().ok()?;
        let secure = matches!(url.scheme_str(), Some("https" | "wss"));
        self.proxy.for_host(secure, url.host()?).map(|proxy| format!("{proxy:?}"))
    }

    /// A REST client over the same TLS settings and proxies.
    pub fn http_client(&self) -> reqwest::Result<reqwest::Client> {
        let proxy = self.proxy.clone();
        let by_host = move |url: &reqwest::Url| {
            proxy.for_host(url.scheme() == "https", url.host_str().unwrap_or_default()).map(Proxy::url)
        };
        reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&self.tls))
            .no_proxy()
            .proxy(reqwest::Proxy::custom(by_host))
            .connect_timeout(self.timeout)
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("meltline/", env!("CARGO_PKG_VERSION")))
            .build()
    }

    /// Opens a socket.
    ///
    /// # Errors
    /// The address is wrong, nobody answers within the timeout, a proxy refuses, or the server answers with something
    /// other than a socket ([`tungstenite::Error::Http`]).
    pub async fn connect(&self, url: &str) -> Result<Socket, tungstenite::Error> {
        let attempt = tokio::time::timeout(self.timeout, self.open(url));
        attempt.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn open(&self, url: &str) -> Result<Socket, tungstenite::Error> {
        let request = url.into_client_request()?;
        let secure = request.uri().scheme_str() == Some("wss");
        let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = request.uri().port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = match self.proxy.for_host(secure, &host) {
            None => TcpStream::connect((host.as_str(), port)).await?,
            Some(proxy) => tunnel(proxy, &host, port).await?,
        };
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connector = Connector::Rustls(Arc::clone(&self.tls));
        let (socket, _) =
            client_async_tls_with_config(request, stream, Some(config), Some(connector)).await?;
        Ok(socket)
    }
}

/// What stands in the way of a connection, in words, with the remedy where there is one.
pub fn obstacle(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    for cause in causes {
        // An I/O error may carry another error without naming it as its source.
        let io = cause.downcast_ref::<io::Error>();
        let inner = io.and_then(io::Error::get_ref).and_then(|e| e.downcast_ref::<rustls::Error>());
        if let Some(tls) = inner.or_else(|| cause.downcast_ref()) {
            return match tls {
                rustls::Error::InvalidCertificate(why) => format!(
                    "its certificate is not trusted ({}): a proxy that reads TLS stands between, or this machine's clock is wrong",
                    clean(&format!("{why:?}"), 60)
                ),
                tls => format!("TLS failed: {}", clean(&tls.to_string(), 80)),
            };
        }
        let text = cause.to_string();
        if text.contains("lookup address") || text.contains("dns error") {
            return "its name cannot be resolved: check this machine's DNS and the address".into();
        }
        if text.contains("proxy") || text.contains("tunnel") {
            return format!("{}; check HTTPS_PROXY and ALL_PROXY", clean(&text, 80));
        }
        let Some(io) = io else { continue };
        return match io.kind() {
            io::ErrorKind::TimedOut => "no answer in time".into(),
            io::ErrorKind::ConnectionRefused => "connection refused: nobody listens there".into(),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                "no way there: is this machine online?".into()
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                "the connection broke".into()
            }
            _ => clean(&text, 80),
        };
    }
    clean(&error.to_string(), 80)
}

/// A connection through a proxy to a host and port.
async fn tunnel(proxy: &Proxy, host: &str, port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((proxy.host.as_str(), proxy.port)).await?;
    match (proxy.kind, &proxy.user) {
        (ProxyKind::Socks5, None) => Socks5Stream::connect_with_socket(stream, (host, port))
            .await
            .map(Socks5Stream::into_inner)
            .map_err(|e| io::Error::other(format!("SOCKS5 proxy: {e}"))),
        (ProxyKind::Socks5, Some((user, password))) => {
            Socks5Stream::connect_with_password_and_socket(stream, (host, port), user, password)
                .await
                .map(Socks5Stream::into_inner)
                .map_err(|e| io::Error::other(format!("SOCKS5 proxy: {e}")))
        }
        (ProxyKind::Http, user) => {
            let target =
                if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            let login = user.as_ref().map(|(u, p)| basic_auth(u, p)).unwrap_or_default();
            let hello = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
            stream.write_all(hello.as_bytes()).await?;
            proxy_answer(&mut stream).await?;
            Ok(stream)
        }
    }
}

/// Reads a proxy's answer byte by byte: what follows it belongs to the tunnel.
async fn proxy_answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == MAX_PROXY_ANSWER {
            return Err(io::Error::other("HTTP proxy: endless answer"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = answer.split(|&b| b == b'\r').next().unwrap_or_default();
    let status = String::from_utf8_lossy(status);
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(io::Error::other(format!("HTTP proxy refuses: {}", super::status::clean(&status, 80)))),
    }
}

fn basic_auth(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Proxy-Authorization: Basic ");
    for chunk in format!("{user}:{password}").as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |n, &b| n << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> ProxyEnv {
        ProxyEnv::from_vars(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_proxy_is_chosen_by_scheme_and_host() {
        let env = env(&[
            ("HTTPS_PROXY", "http://u%40x:p@proxy.test:3128"),
            ("all_proxy", "socks5://[::1]:9"),
            ("NO_PROXY", "example.com, .inner.test"),
        ]);
        assert_eq!(env.for_host(true, "fapi.binance.com").unwrap().url(), "http://u%40x:p@proxy.test:3128");
        assert_eq!(env.for_host(false, "fapi.binance.com").unwrap().url(), "socks5h://[::1]:9");
        for direct in ["localhost", "127.0.0.1", "[::1]", "example.com", "www.Example.com", "a.inner.test"] {
            assert!(env.for_host(true, direct).is_none(), "{direct}");
        }
        assert!(env.for_host(true, "notexample.com").is_some());
    }

    #[test]
    fn a_broken_address_is_no_proxy_and_passwords_stay_out_of_logs() {
        assert_eq!(env(&[("HTTPS_PROXY", "ftp://x")]), ProxyEnv::default());
        assert_eq!(env(&[("HTTPS_PROXY", "  ")]), ProxyEnv::default());
        let shown = format!("{:?}", env(&[("HTTPS_PROXY", "http://me:secret@h:1")]));
        assert!(shown.contains("h:1") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn logins_are_written_in_base64() {
        for (password, expected) in [("", "dTo="), ("p", "dTpw"), ("pw", "dTpwdw==")] {
            assert_eq!(basic_auth("u", password), format!("Proxy-Authorization: Basic {expected}\r\n"));
        }
    }
}
