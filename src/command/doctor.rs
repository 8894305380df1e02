//! `meltline doctor`: what works here, what does not, and what to do about it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::DoctorArgs;
use crate::config::{self, Background, Config, Scroll};
use crate::feed::contact::{Contact, Finding, Outcome};
use crate::feed::probe::{Probe, probe};
use crate::feed::status::{LinkState, VenueStatus};
use crate::feed::{self, FeedConfig, FeedItem, Taps};
use crate::market::{Asset, Venue};
use crate::term::caps::{Caps, Colours, Ground};
use crate::term::kitty;
use crate::term::query;

use super::live;

/// Less than this is too little for a log and a capture, bytes.
const ROOM: u64 = 200 << 20;

/// Between trying sockets and watching, which opens them again: OKX counts those of a second (`exchanges.md` §1.5).
const BREATH: Duration = Duration::from_millis(1_500);

/// The lines, as they come, and whether all is well.
struct Report<W> {
    out: W,
    wrong: usize,
}

impl<W: Write> Report<W> {
    fn say(&mut self, about: &str, finding: &Finding) -> io::Result<()> {
        let word = match finding.outcome {
            Outcome::Ok => "ok",
            Outcome::NotOk => "not ok",
            Outcome::NotSeen => "not seen",
        };
        self.wrong += usize::from(finding.outcome == Outcome::NotOk);
        let colon = if finding.detail.is_empty() { "" } else { ": " };
        writeln!(self.out, "{about:<12} {word:<9} {}{colon}{}", finding.what, finding.detail)?;
        self.out.flush()
    }
}

/// Runs the command; an error if something is not ok.
pub fn run(args: &DoctorArgs, config: &Config, named: Option<&Path>) -> anyhow::Result<()> {
    let mut report = Report { out: io::stdout().lock(), wrong: 0 };
    for (about, finding) in machine(config, named) {
        report.say(about, &finding)?;
    }
    let asset = args.asset.unwrap_or(config.asset);
    let feed = live::feed_config(config);
    let venues = venues(&mut report, config.venues.enabled(), asset, feed, args.watch);
    live::on_network(|runtime| runtime.block_on(venues))?;
    if report.wrong > 0 {
        bail!("{} of the checks above are not ok", report.wrong);
    }
    Ok(())
}

/// Terminal, configuration, data folder.
fn machine(config: &Config, named: Option<&Path>) -> Vec<(&'static str, Finding)> {
    let mut caps = super::start::caps(config);
    let mut asked = "";
    let var = |name: &str| std::env::var(name).ok();
    let (is_likely, is_between) = (kitty::is_likely(var), kitty::is_between(var));
    let (question, is_open) = (query::question(&caps, !is_likely && !is_between), caps.is_open);
    let mut images = match (is_likely, is_between) {
        (true, _) => "drawn, by kitty's protocol (from TERM or the environment)",
        (_, true) => "not through tmux, screen or zellij",
        _ => "the terminal did not answer that it draws them by kitty's protocol",
    };
    if !question.is_empty() {
        match query::ask(&question, query::deadline(caps.way.is_far())) {
            Ok(Some(told)) => {
                caps = caps.answered(told);
                if told.draws_images {
                    images = "drawn, by kitty's protocol (the terminal answered)";
                }
                if caps.is_open {
                    asked = "; the terminal did not answer that it has more";
                }
            }
            _ if !is_open => {}
            Ok(None) => asked = "; standard input or output is no terminal that could be asked",
            Err(_) => asked = "; the terminal could not be asked",
        }
    }
    let colours = match caps.colours {
        Colours::True => "true colour",
        Colours::Indexed => "256 colours",
        Colours::Named => "16 colours (COLORTERM=truecolor or TERM=xterm-256color tell otherwise)",
        Colours::None => {
            "no colour: heat is drawn with characters (COLORTERM=truecolor or TERM=xterm-256color tell otherwise)"
        }
    };
    let told_by = feed::status::clean(&caps.told_by, 60);
    let size = crossterm::terminal::size().map_or("no terminal on standard output".to_owned(), |(w, h)| {
        let small = if w < 50 || h < 20 { ", too small: 50×20 is the least" } else { "" };
        format!("{w}×{h}{small}")
    });
    let terminal = [
        Finding::seen("size", true, size),
        Finding::seen("colours", true, format!("{colours} (from {told_by}{asked})")),
        Finding::seen("background", true, ground(config, &caps)),
        Finding::seen("images", true, images.to_owned()),
        Finding::seen("what is between", true, caps.way.to_string()),
        Finding::seen("how it is drawn", true, drawn(config, &caps)),
    ];

    let file = named.map(Path::to_path_buf).or_else(config::default_path).filter(|p| p.is_file());
    let told = file.map_or("none found: the defaults are used".to_owned(), |p| p.display().to_string());
    let dir = config.data_dir();
    let files = [("config", Finding::seen("file", true, told)), ("disk", disk(&dir))];
    terminal.into_iter().map(|finding| ("terminal", finding)).chain(files).collect()
}

/// What heat and text are drawn on, and what told so.
fn ground(config: &Config, caps: &Caps) -> String {
    let by = match config.screen.background {
        Background::Auto if caps.ground == Ground::Open => {
            "nobody told: z b, or background in the configuration"
        }
        Background::Auto if std::env::var_os("COLORFGBG").is_some() => "from COLORFGBG",
        Background::Auto => "as the terminal told",
        _ => "set",
    };
    format!("{} ({by})", if caps.ground == Ground::Light { "light" } else { "dark" })
}

/// Steps, frames and scrolling, and whether the program or the user chose them.
fn drawn(config: &Config, caps: &Caps) -> String {
    let (steps, fps, shifts) = super::start::pace(config, caps);
    let by = |is_auto: bool| if is_auto { "" } else { " (set)" };
    let scroll = if shifts { "shift" } else { "diff" };
    let screen = &config.screen;
    format!(
        "{steps} colour steps{}, {fps} frames a second{}, scroll by {scroll}{}",
        by(screen.colour_steps.set().is_none()),
        by(screen.fps.set().is_none()),
        by(screen.scroll == Scroll::Auto)
    )
}

/// Whether data can be written, and how much.
fn disk(dir: &Path) -> Finding {
    const WHAT: &str = "data folder";
    let shown = dir.display();
    let writable = std::fs::create_dir_all(dir).and_then(|()| {
        let probe = dir.join(format!(".doctor{}", std::process::id()));
        std::fs::write(&probe, b"x")?;
        std::fs::remove_file(&probe)
    });
    if let Err(e) = writable {
        return Finding::seen(WHAT, false, format!("{shown} cannot be written ({e}): use --data-dir"));
    }
    match rustix::fs::statvfs(dir) {
        Ok(fs) => {
            let free = fs.f_bavail.saturating_mul(fs.f_frsize);
            let words = format!("{shown}, {} MB free", free >> 20);
            Finding::seen(WHAT, free >= ROOM, words)
        }
        Err(e) => Finding::seen(WHAT, true, format!("{shown} (free space unknown: {e})")),
    }
}

async fn venues<W: Write>(
    report: &mut Report<W>,
    venues: Vec<Venue>,
    asset: Asset,
    config: FeedConfig,
    watch: u64,
) -> anyhow::Result<()> {
    if venues.is_empty() {
        report
            .say("venues", &Finding::seen("enabled", false, "none: set enabled = true under [venues.…]"))?;
    }
    let mut contacts: BTreeMap<Venue, Box<dyn Contact>> = BTreeMap::new();
    let mut probes = tokio::task::JoinSet::new();
    let config = Arc::new(config);
    for &name in &venues {
        let config = Arc::clone(&config);
        probes.spawn(async move { (name, probe(&config, name, asset).await) });
    }
    let mut probed: BTreeMap<Venue, Probe> = BTreeMap::new();
    while let Some(done) = probes.join_next().await {
        let (name, probe) = done.context("a probe failed")?;
        probed.insert(name, probe?);
    }
    for name in &venues {
        let Some(Probe { findings, adapter, listing }) = probed.remove(name) else { continue };
        for finding in &findings {
            report.say(name.as_str(), finding)?;
        }
        if let Some(listing) = listing {
            contacts.insert(*name, adapter.contact(&listing));
        }
    }
    if watch == 0 || contacts.is_empty() {
        return Ok(());
    }
    let names: Vec<Venue> = venues.into_iter().filter(|v| contacts.contains_key(v)).collect();
    tokio::time::sleep(BREATH).await;
    eprintln!("watching {asset} on {} venues for {watch} s …", names.len());
    let (statuses, contacts) =
        watch_live(&config, &names, asset, contacts, Duration::from_secs(watch)).await?;
    for name in &names {
        if let Some(status) = statuses.get(name) {
            for finding in streams(status) {
                report.say(name.as_str(), &finding)?;
            }
        }
        for finding in contacts.get(name).map(|c| c.findings()).unwrap_or_default() {
            report.say(name.as_str(), &finding)?;
        }
    }
    Ok(())
}

type Contacts = BTreeMap<Venue, Box<dyn Contact>>;

/// Follows the venues for a while, every frame shown to its venue's checks.
async fn watch_live(
    config: &Arc<FeedConfig>,
    names: &[Venue],
    asset: Asset,
    contacts: Contacts,
    time: Duration,
) -> anyhow::Result<(BTreeMap<Venue, VenueStatus>, Contacts)> {
    let contacts = Arc::new(Mutex::new(contacts));
    let seen = Arc::clone(&contacts);
    let taps = Taps {
        capture: None,
        observer: Some(Box::new(move |frame, events| {
            // A panic in a check leaves the others' counts as they were.
            let mut contacts = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(contact) = contacts.get_mut(&frame.venue) {
                contact.see(frame, events);
            }
        })),
    };
    // A short history is enough: what is looked at is live.
    let config = Arc::new(FeedConfig { backfill: Duration::from_secs(3_600), ..FeedConfig::clone(config) });
    let (items, mut received) = mpsc::channel(256);
    let stop = CancellationToken::new();
    let feed = {
        let (names, stop) = (names.to_vec(), stop.clone());
        tokio::spawn(async move { feed::run(config, &names, asset, items, taps, stop).await })
    };
    let mut statuses = BTreeMap::new();
    let listen = async {
        while let Some(item) = received.recv().await {
            if let FeedItem::Status(status) = item {
                statuses.insert(status.venue, status);
            }
        }
    };
    let _ = tokio::time::timeout(time, listen).await;
    stop.cancel();
    drop(received);
    feed.await.context("the feed failed")??;
    let contacts = std::mem::take(&mut *contacts.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((statuses, contacts))
}

/// A link's state in words.
fn in_words(state: &LinkState) -> String {
    match state {
        LinkState::Live => "live".to_owned(),
        LinkState::Connecting => "connecting".to_owned(),
        LinkState::Backfilling => "fetching history".to_owned(),
        LinkState::Silent { stream } => format!("silent: {stream}"),
        LinkState::Reconnecting { .. } => "reconnecting".to_owned(),
        LinkState::Blocked => "blocked here".to_owned(),
        LinkState::Recorded => "recorded".to_owned(),
        LinkState::Ended => "not listed".to_owned(),
    }
}

/// What the streams of a venue did.
fn streams(status: &VenueStatus) -> Vec<Finding> {
    let now = Instant::now();
    let mut findings = Vec::new();
    let state = match &status.state {
        LinkState::Live => Finding::seen("delivers", true, format!("{} events", status.counters.events)),
        state => Finding::seen("delivers", false, format!("{} {}", in_words(state), status.note)),
    };
    findings.push(state);
    let unread = status.counters.malformed + status.counters.unknown;
    findings.push(Finding::seen(
        "every frame is understood",
        unread == 0,
        format!("{} of {} frames were not", unread, status.counters.frames),
    ));
    for stream in &status.streams {
        let detail = match stream.last {
            None => stream.name.to_string(),
            Some(last) => {
                format!("{}, {:.1} s ago", stream.name, now.saturating_duration_since(last).as_secs_f64())
            }
        };
        let outcome = match (stream.last, stream.is_silent(now)) {
            (Some(_), false) => Outcome::Ok,
            (None, _) if !stream.steady => Outcome::NotSeen,
            _ => Outcome::NotOk,
        };
        findings.push(Finding { what: "stream", outcome, detail });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_names_its_subject_and_what_is_wrong_is_counted() {
        let mut report = Report { out: Vec::new(), wrong: 0 };
        report.say("okx", &Finding::seen("socket opens", true, "in 5 ms")).unwrap();
        report.say("okx", &Finding::seen("clocks agree", false, "10 min behind")).unwrap();
        report.say("okx", &Finding::unseen("a liquidated long is sold")).unwrap();
        let text = String::from_utf8(report.out).unwrap();
        assert_eq!(
            text,
            "okx          ok        socket opens: in 5 ms\n\
             okx          not ok    clocks agree: 10 min behind\n\
             okx          not seen  a liquidated long is sold\n"
        );
        assert_eq!(report.wrong, 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let finding = disk(&file.join("below"));
        assert_eq!(finding.outcome, Outcome::NotOk);
        assert!(finding.detail.contains("--data-dir"), "{}", finding.detail);
        assert_eq!(disk(folder.path()).outcome, Outcome::Ok);
    }
}
