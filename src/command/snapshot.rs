//! `meltline snapshot`: one picture of the heatmap as text or PNG.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::app::settings::Depth;
use crate::app::{App, Message};
use crate::cli::{LARGEST_PICTURE, SMALLEST_PICTURE, SnapshotArgs, Time};
use crate::config::{Colour, Config};
use crate::engine::market::VenueMarket;
use crate::engine::{Engine, Origin};
use crate::estimate::BinTable;
use crate::feed::FeedItem;
use crate::feed::recording::Recording;
use crate::feed::status::{LinkState, VenueStatus};
use crate::market::{MarketEvent, Venue};
use crate::picture::{self, Form, Pixels};

use super::live::{self, Settled};
use super::{levels, start};

/// Cells of a picture where no terminal says how many there are.
const SIZE: (u16, u16) = (160, 50);

/// Runs the command.
pub fn run(args: &SnapshotArgs, venues: &[Venue], config: &Config) -> anyhow::Result<()> {
    let (mut settings, caps) = start::screen(config)?;
    let is_terminal = std::io::stdout().is_terminal();
    settings.depth = match config.screen.colour {
        // A PNG has all colours, whatever this terminal has; a pipe gets them when they are asked for.
        Colour::Auto if args.png.is_some() => Depth::True,
        Colour::Auto if !is_terminal => Depth::None,
        _ => super::screen::depth(&caps),
    };
    // What there is to say of images is about the screen.
    settings.note.clear();
    let (width, height) = args.size.unwrap_or_else(|| of_terminal(is_terminal));
    let mut engine = match &args.input {
        Some(path) => recorded(args, path, venues, config)?,
        None => live(args, config)?,
    };
    engine.set_preset(config.screen.preset);
    let form = if settings.depth == Depth::None { Form::Plain } else { Form::Ansi };
    let mut app = App::new(settings, engine.snapshot());
    app.update(Message::Resize(width, height));
    let frame = picture::frame(&app);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = match args.png.as_deref() {
        Some(path) if path != Path::new("-") => {
            return picture::save(path, &frame).with_context(|| format!("cannot write {}", path.display()));
        }
        Some(_) => Pixels::new(&frame).write_png(&mut out),
        None => picture::write_text(&mut out, &frame, form),
    };
    written.and_then(|()| out.flush()).context("cannot write the picture")
}

/// The terminal's size less a row for the prompt that follows.
fn of_terminal(is_terminal: bool) -> (u16, u16) {
    let size = is_terminal.then(crossterm::terminal::size).and_then(Result::ok);
    size.map_or(SIZE, |(width, height)| {
        (
            width.clamp(SMALLEST_PICTURE.0, LARGEST_PICTURE.0),
            height.saturating_sub(1).clamp(SMALLEST_PICTURE.1, LARGEST_PICTURE.1),
        )
    })
}

fn live(args: &SnapshotArgs, config: &Config) -> anyhow::Result<Engine> {
    let Settled { engine, missing } = live::settled_picture(args.asset, config, live::SETTLE)?;
    for venue in missing {
        eprintln!("meltline: {venue}");
    }
    Ok(engine)
}

/// The market as a recording left it, or as it was known before a time; of all venues, or of those that are named.
fn recorded(args: &SnapshotArgs, path: &Path, venues: &[Venue], config: &Config) -> anyhow::Result<Engine> {
    let at = match args.at {
        Some(time @ Time::Back(_)) => time.resolve(levels::end_of(path, args.asset)?),
        Some(time) => time.resolve(0),
        None => i64::MAX,
    };
    let mut recording = Recording::open(path, Some(args.asset))?;
    let mut engine = Engine::new(args.asset, Origin::Replay, Arc::new(BinTable::new(config.bin_bp)), &[]);
    let is_wanted =
        |event: &MarketEvent| event.known_at() < at && (venues.is_empty() || venues.contains(&event.venue));
    while let Some(batch) = recording.next_batch()? {
        engine.apply(FeedItem::Events(batch.into_iter().filter(is_wanted).collect()));
    }
    super::report(&recording.tally())?;
    if engine.mark().is_none() {
        bail!("no price of {} in {}: a picture needs trades, marks or candles", args.asset, path.display());
    }
    let seen: Vec<Venue> = engine.venues().iter().map(VenueMarket::venue).collect();
    for venue in seen {
        let status = VenueStatus { state: LinkState::Recorded, ..VenueStatus::new(venue) };
        engine.apply(FeedItem::Status(status));
    }
    Ok(engine)
}
