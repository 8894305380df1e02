//! The configuration as the screen wants it.

use anyhow::Context;

use crate::app::keymap::Keymap;
use crate::app::scale::Limit;
use crate::app::settings::{Images, Settings};
use crate::config::{Background, Colour, Config, Graphics, Scroll};
use crate::estimate::TierSet;
use crate::term::caps::{Caps, Colours, Ground};
use crate::term::kitty;

/// What the terminal can do, as far as the user leaves that open.
pub fn caps(config: &Config) -> Caps {
    let caps = Caps::detect(match config.screen.colour {
        Colour::Auto => None,
        Colour::None => Some(Colours::None),
        Colour::Named => Some(Colours::Named),
        Colour::Indexed => Some(Colours::Indexed),
        Colour::True => Some(Colours::True),
    });
    match config.screen.background {
        Background::Auto => caps,
        set => Caps { ground: (set == Background::Light).into(), ..caps },
    }
}

/// Steps of the ramp, frames a second, and whether the terminal shifts rows.
pub fn pace(config: &Config, caps: &Caps) -> (usize, u32, bool) {
    let screen = &config.screen;
    let shifts = match screen.scroll {
        Scroll::Auto => caps.shifts(),
        Scroll::Diff => false,
        Scroll::Shift => true,
    };
    let steps = screen.colour_steps.set().map_or_else(|| caps.colour_steps(), usize::from);
    (steps, screen.fps.set().map_or_else(|| caps.fps(), u32::from), shifts)
}

/// What the screen starts with, and what the terminal can do.
pub fn screen(config: &Config) -> anyhow::Result<(Settings, Caps)> {
    let screen = &config.screen;
    let caps = caps(config);
    let (colour_steps, fps, shifts) = pace(config, &caps);
    let palettes = config.palettes();
    let bound = config.keys.iter().map(|(action, keys)| (action.as_str(), keys.iter().map(String::as_str)));
    let (images, note) = images(screen.graphics, &caps);
    let settings = Settings {
        range: config.range,
        model: screen.model,
        preset: screen.preset,
        difference: screen.difference,
        candle_interval: screen.candle_interval.set(),
        candles: screen.candles,
        threshold: Limit { unit: screen.threshold_unit, value: screen.threshold },
        cut: Limit { unit: screen.cut_unit, value: screen.cut },
        curve: screen.scale,
        relative_scale: screen.relative_scale,
        palette: palettes.iter().position(|p| p.name == screen.palette).unwrap_or(0),
        palettes,
        light: caps.ground == Ground::Light,
        candle_colours: screen.candle_colours,
        sides: screen.sides,
        mouse: screen.mouse,
        colour_steps,
        fps,
        shifts,
        tiers: screen.tiers.iter().copied().collect::<TierSet>(),
        watchlist: config.watchlist.clone(),
        images,
        note,
        snapshot_dir: screen.snapshot_dir.clone(),
        keymap: Keymap::with(bound).context("in the [keys] of the configuration")?,
        ..Settings::default()
    };
    Ok((settings, caps))
}

/// What is said while the terminal has not answered whether it draws images.
pub const UNANSWERED: &str = "the heatmap is text: this terminal has not said that it draws images";

/// Whether the heatmap is an image, and what is to be said if it is not though it was asked for.
fn images(graphics: Graphics, caps: &Caps) -> (Images, String) {
    let var = |name: &str| std::env::var(name).ok();
    match graphics {
        _ if caps.colours == Colours::None => (Images::No, String::new()),
        Graphics::Auto | Graphics::Kitty if kitty::is_likely(var) => (Images::Yes, String::new()),
        Graphics::None | Graphics::Auto => (Images::No, String::new()),
        Graphics::Kitty if kitty::is_between(var) => {
            (Images::No, "no images through tmux, screen or zellij: the heatmap is text".to_owned())
        }
        Graphics::Kitty => (Images::Asked, UNANSWERED.to_owned()),
    }
}
