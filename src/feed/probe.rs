//! Can a venue be reached from here, and if not, what stands in the way?

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::market::{Asset, Venue};

use super::FeedConfig;
use super::contact::{Finding, Outcome};
use super::frame::now_ns;
use super::instruments::{Listing, guess};
use super::net::{Net, obstacle};
use super::rest::Rest;
use super::status::clean;
use super::venue::{self, Adapter, ConnSpec, Reading};

/// This machine's clock may differ from the venue's by so much before it is said: lag and ages are still right, but times
/// of files are not.
const CLOCK_LEEWAY_MS: i64 = 2_000;

/// Calls made for a list of instruments.
const PAGES: usize = 40;

/// What was found about the way to a venue.
pub struct Probe {
    /// The steps, in the order in which a connection takes them.
    pub findings: Vec<Finding>,
    /// The venue's knowledge.
    pub adapter: Arc<dyn Adapter>,
    /// The asset's listing, if the list could be had and holds it.
    pub listing: Option<Listing>,
}

/// Tries a venue's REST calls and sockets, once each, for an asset.
///
/// # Errors
/// There is no adapter for the venue, or no client can be built. Whatever the venue or the way to it does is a finding.
pub async fn probe(config: &FeedConfig, name: Venue, asset: Asset) -> anyhow::Result<Probe> {
    let adapter =
        venue::adapter(name, config).ok_or_else(|| anyhow::anyhow!("no adapter for venue {name}"))?;
    let net = Net::new(config)?;
    let rest = Rest::new(&net, Arc::clone(&adapter))?;
    let mut findings = Vec::new();
    let base = adapter.rest_bases().into_iter().next().unwrap_or_default();
    if let Some(proxy) = net.proxy_of(&base) {
        findings.push(Finding::seen("goes through a proxy", true, proxy));
    }
    let listing = list(&adapter, &rest, asset, &mut findings).await;
    // Where there is no list, the addresses are tried all the same.
    let stand_in = listing.clone().or_else(|| guess(&format!("{asset}USDT")));
    if let Some(listing) = &stand_in {
        clock(&adapter, &rest, listing, &mut findings).await;
        for spec in adapter.connections(listing) {
            socket(&net, &spec, &mut findings).await;
        }
    }
    Ok(Probe { findings, adapter, listing })
}

async fn list(
    adapter: &Arc<dyn Adapter>,
    rest: &Rest,
    asset: Asset,
    findings: &mut Vec<Finding>,
) -> Option<Listing> {
    const ANSWERS: &str = "REST answers";
    const LISTS: &str = "lists the asset";
    let began = Instant::now();
    let mut first = None;
    let mut answers = Vec::new();
    let mut calls = adapter.directory();
    while answers.len() < PAGES {
        for call in &calls {
            match rest.call(call).await {
                Ok(text) => answers.push((call.name(), text)),
                Err(e) => {
                    findings.push(Finding::seen(ANSWERS, false, e.to_string()));
                    return None;
                }
            }
            first.get_or_insert_with(|| began.elapsed());
        }
        match adapter.read_directory(&answers) {
            Ok(Reading::More(next)) if !next.is_empty() => calls = next,
            Ok(Reading::More(_)) => break,
            Ok(Reading::Done(directory)) => {
                let took = first.unwrap_or_default().as_millis();
                let count = directory.listings.len();
                findings.push(Finding::seen(
                    ANSWERS,
                    true,
                    format!("first answer in {took} ms, {count} perpetuals"),
                ));
                let found = directory.listings.into_iter().find(|l| l.asset == asset);
                let detail = match &found {
                    Some(listing) => clean(&listing.symbol, 40),
                    None => format!("{asset} is not among them"),
                };
                findings.push(Finding::seen(LISTS, found.is_some(), detail));
                return found;
            }
            Err(e) => {
                findings.push(Finding::seen(LISTS, false, clean(&format!("{e:#}"), 160)));
                return None;
            }
        }
    }
    findings.push(Finding::seen(LISTS, false, "the list does not end"));
    None
}

async fn clock(adapter: &Arc<dyn Adapter>, rest: &Rest, listing: &Listing, findings: &mut Vec<Finding>) {
    const CLOCK: &str = "clocks agree";
    let before = now_ns() / 1_000_000;
    let Ok(text) = rest.call(&adapter.clock(listing)).await else {
        findings.push(Finding::unseen(CLOCK));
        return;
    };
    // The venue read its clock somewhere between our two readings.
    let ours = i64::midpoint(before, now_ns() / 1_000_000);
    findings.push(match adapter.read_clock(&text) {
        None => Finding::seen(CLOCK, false, "its answer does not tell the time"),
        Some(theirs) => {
            let off = ours.saturating_sub(theirs);
            let direction = if off >= 0 { "ahead of" } else { "behind" };
            let detail = format!("this machine is {} ms {direction} {}", off.abs(), adapter.title());
            let ok = off.abs() <= CLOCK_LEEWAY_MS;
            let remedy = if ok { "" } else { ": set this machine's clock (NTP)" };
            Finding::seen(CLOCK, ok, detail + remedy)
        }
    });
}

async fn socket(net: &Net, spec: &ConnSpec, findings: &mut Vec<Finding>) {
    for (n, url) in spec.urls.iter().enumerate() {
        let what = if n == 0 { "socket opens" } else { "its other address opens" };
        let began = Instant::now();
        let shown = clean(url.split('?').next().unwrap_or(url), 80);
        let finding = match net.connect(url).await {
            Ok(mut socket) => {
                let took = began.elapsed().as_millis();
                // A venue that does not take the goodbye is left.
                let _ = tokio::time::timeout(Duration::from_secs(1), socket.close(None)).await;
                Finding::seen(what, true, format!("{shown} in {took} ms"))
            }
            Err(e) => {
                let ok = Outcome::NotOk;
                // An old address need not answer any more.
                let outcome = if n == 0 { ok } else { Outcome::NotSeen };
                let words = match &e {
                    tokio_tungstenite::tungstenite::Error::Http(answer) => {
                        let status = answer.status().as_u16();
                        match status {
                            451 | 403 => format!(
                                "HTTP {status}: not available from this place; use a proxy (HTTPS_PROXY) or another region"
                            ),
                            status => format!("HTTP {status}"),
                        }
                    }
                    e => obstacle(e),
                };
                Finding { what, outcome, detail: format!("{shown}: {words}") }
            }
        };
        findings.push(finding);
    }
}
