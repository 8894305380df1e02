//! The pages of the help: the keys, and what each way of drawing shows and is good for.

use super::keymap::{Action, Keymap, Sequence};

/// A page of words.
struct Page {
    title: &'static str,
    /// Paragraphs.
    words: &'static [&'static str],
}

/// After the keys.
const PAGES: [Page; 6] = [
    Page {
        title: "model 1: precise",
        words: &[
            "Shows the spikes of leverages (5x to 100x) and measured positions, bin by bin. The low tier (low leverage, cross \
             margin, background) has no place of its own and is left out of the heat.",
            "level = sum over components of weight × position mass × price: the USD expected to be force-closed if price \
             sweeps the bin.",
            "Good for: exact prices. Not for sums, nor for venues without spikes: Hyperliquid alone is nearly empty.",
            "The map panel and all totals count every component in every model.",
        ],
    },
    Page {
        title: "model 2: zones",
        words: &[
            "Shows every component, each bin spread over its neighbours by a Gaussian in price: sigma = 0.1% + 4% of the \
             distance from mark, one bin at least. The kernel sums to one, so no USD is made or lost; nothing crosses \
             the mark.",
            "Good for: where levels gather, when single bins are noise. Not for exact prices.",
        ],
    },
    Page {
        title: "model 3: comprehensive",
        words: &[
            "Shows every component at its own bin, and how it can be trusted:",
            "▿ ▾ ▼ (' v V without colours): longs were observed being liquidated there, little, more, much; ▵ ▴ ▲ (, ^ A): shorts. \
             From 2, 10 and 30% of the end of the colour scale.",
            "× (x): price took a pool and went so far: levels above the threshold were swept, worth half the end of the scale or \
             more. Estimated, like the levels.",
            "» beside the axis: self-feeding, R > 1. R = USD of levels / USD of resting orders in the row, over the venues \
             whose book reaches there. More would be forced than the book holds.",
            "crosshair: the estimate with its 10-90% band, widened or narrowed by how often the venue's band has held of \
             late; and R as forced / resting.",
            "Good for: a first look, and for judging a level before acting on it.",
        ],
    },
    Page {
        title: "changes",
        words: &[
            "Each column less the column so much earlier, and in the map panel this moment less that one. Blue (+ * #) was \
             built: positions opened. Orange (- ~ =) was removed: swept, closed or aged.",
            "Only venues with data at both times count, so that data that begin are not taken for levels that came.",
        ],
    },
    Page {
        title: "presets",
        words: &[
            "The published rules of other maps, to compare with, on the same data of the last seven days; named by what they do. \
             uniform: the same everywhere. oi_static: open interest now, at fixed leverages. oi_candle: growth of open interest, \
             all to the side of the candle. oi_taker: growth by who took liquidity. volume_uniform: all volume, at five \
             leverages alike. large_trades: trades of $100k and more. volume_bursts: lines from bars of unusual volume.",
            "None of them learns. While one is drawn the first line says so; the view of changes then also offers ours less the \
             preset: blue where ours has more, orange where the preset has more.",
        ],
    },
    Page {
        title: "fit",
        words: &[
            "On the first line: USD foretold over USD observed, in the whole hours of the last 24 hours and 7 days. Foretold \
             means: given the way price went, from what was known before each level was swept. 1 is right; a dash means \
             fewer than 24 whole hours.",
            "skill = 1 - var(log y - log x) / var(log y - log r): y observed, x ours, r foretold from the range of price alone; \
             hourly, both sides, after 100 whole hours. 0 is no better than the range, 1 is perfect, below 0 is worse.",
        ],
    },
];

/// A line of a page: the part that stands out, and the rest.
pub type Line = (String, String);

/// Pages there are.
pub const COUNT: usize = PAGES.len() + 1;

/// The page's title.
pub fn title(page: usize) -> &'static str {
    page.checked_sub(1).and_then(|i| PAGES.get(i)).map_or("keys", |p| p.title)
}

/// The page's lines, in so many cells.
pub fn lines(page: usize, keymap: &Keymap, width: usize) -> Vec<Line> {
    match page.checked_sub(1).and_then(|i| PAGES.get(i)) {
        None => keys(keymap),
        Some(page) => {
            let paragraphs = page.words.iter().enumerate();
            let mut lines = Vec::new();
            for (i, words) in paragraphs {
                if i > 0 {
                    lines.push(Line::default());
                }
                lines.extend(wrapped(words, width).into_iter().map(|line| (String::new(), line)));
            }
            lines
        }
    }
}

/// Cells a page would like to have.
pub fn width(page: usize, keymap: &Keymap) -> usize {
    const PROSE: usize = 72;
    if page > 0 {
        return PROSE;
    }
    let lines = keys(keymap);
    let widest = |of: fn(&Line) -> &str| lines.iter().map(|l| of(l).chars().count()).max().unwrap_or(0);
    widest(|l| &l.0) + widest(|l| &l.1)
}

/// The keys that are bound, in a column as wide as the widest.
fn keys(keymap: &Keymap) -> Vec<Line> {
    let bound: Vec<(String, &str)> = Action::ALL
        .iter()
        .map(|a| (keymap.keys(*a).iter().map(Sequence::to_string).collect::<Vec<_>>().join(", "), a.help()))
        .filter(|(keys, _)| !keys.is_empty())
        .collect();
    let widest = bound.iter().map(|(keys, _)| keys.chars().count()).max().unwrap_or(0);
    bound.into_iter().map(|(keys, help)| (format!("{keys:<widest$}  "), help.to_owned())).collect()
}

/// Words in lines of so many cells.
fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_title_and_fits_its_width() {
        let keymap = Keymap::default();
        for page in 1..COUNT {
            for width in [26, 46, 72] {
                let lines = lines(page, &keymap, width);
                assert!(lines.iter().all(|(_, words)| words.chars().count() <= width), "{}", title(page));
                assert!(lines.len() > 3 && !title(page).is_empty());
            }
        }
        assert_eq!((title(0), lines(0, &keymap, 20).len()), ("keys", Action::ALL.len()));
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }
}
