//! The live proof of the estimate: what was foretold against what came, hour by hour.

use std::collections::BTreeMap;

use crate::estimate::calibrate::Tally;

const HOUR: i64 = 3_600_000;
/// Whole hours below which no ratio is stated.
const FEWEST_FOR_RATIO: f64 = 24.0;
/// Whole hours the last day must have for its own ratio: one gap does not silence it.
const FEWEST_OF_DAY: f64 = 12.0;
/// Whole hours below which no skill is stated.
const FEWEST_FOR_SKILL: f64 = 100.0;
/// What is added to an hour before its logarithm is taken, share of the side's mean.
const FLOOR: f64 = 0.01;

/// How well the estimate has foretold observed liquidations; `None` while there is too little to say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Fit {
    /// USD foretold over USD observed in the whole hours of the last day; 1 is right.
    pub day: Option<f64>,
    /// The same over the last seven days.
    pub week: Option<f64>,
    /// Share of the spread of `log(observed)` around the range-only forecast that ours explains: 0 is no better than the range of
    /// price, 1 is perfect (`estimator.md` §5.3, over the last week).
    pub skill: Option<f64>,
}

/// One hour (or bar) of the asset, USD by side, summed over the venues that have the whole of it.
#[derive(Debug, Clone, Copy, Default)]
struct Hour {
    ms: i64,
    ours: [f64; 2],
    range: [f64; 2],
    came: [f64; 2],
}

impl Fit {
    /// From the tallies of the venues that count, at `now` (UTC ms).
    pub fn new<'a>(venues: impl Iterator<Item = &'a [Tally]>, now: i64) -> Self {
        let mut hours = BTreeMap::<i64, Hour>::new();
        for tally in venues.flatten().filter(|t| t.is_whole) {
            let hour = hours.entry(tally.start).or_default();
            hour.ms = hour.ms.max(tally.ms);
            let price = tally.bar.close;
            for side in 0..2 {
                hour.ours[side] += tally.predicted[side] * price;
                hour.range[side] += tally.range_only[side] * price;
                hour.came[side] += tally.realised[side] * price;
            }
        }
        // From the last whole hour back.
        let end = now.div_euclid(HOUR) * HOUR;
        let since = |span: i64| hours.range(end - span..).map(|(_, hour)| hour);
        let length = |span: i64| since(span).map(|h| h.ms as f64 / HOUR as f64).sum::<f64>();
        let ratio = |span: i64| {
            let sum = |of: fn(&Hour) -> [f64; 2]| since(span).flat_map(of).sum::<f64>();
            let (foretold, came) = (sum(|h| h.ours), sum(|h| h.came));
            (came > 0.0).then(|| foretold / came)
        };
        let (day, week) = (24 * HOUR, 7 * 24 * HOUR);
        let known = length(week);
        let has_ratio = known >= FEWEST_FOR_RATIO;
        Self {
            day: ratio(day).filter(|_| has_ratio && length(day) >= FEWEST_OF_DAY),
            week: ratio(week).filter(|_| has_ratio),
            skill: skill(&since(week).copied().collect::<Vec<_>>()).filter(|_| known >= FEWEST_FOR_SKILL),
        }
    }
}

/// `1 − Σ var(log(y + ε) − log(x + ε)) / Σ var(log(y + ε) − log(r + ε))` over both sides: y observed, x ours, r the range's.
fn skill(hours: &[Hour]) -> Option<f64> {
    let (mut ours, mut range) = (0.0, 0.0);
    for side in 0..2 {
        let mean = hours.iter().map(|h| h.came[side]).sum::<f64>() / hours.len().max(1) as f64;
        if mean > 0.0 {
            let log = |usd: f64| libm::log(usd + FLOOR * mean);
            ours += variance(hours.iter().map(|h| log(h.came[side]) - log(h.ours[side])));
            range += variance(hours.iter().map(|h| log(h.came[side]) - log(h.range[side])));
        }
    }
    (range > 0.0).then(|| 1.0 - ours / range)
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let (sum, count) = values.clone().fold((0.0, 0.0_f64), |(sum, n), x| (sum + x, n + 1.0));
    let mean = sum / count.max(1.0);
    values.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Bar;

    fn tally(hour: i64, predicted: f64, realised: f64) -> Tally {
        Tally {
            start: hour * HOUR,
            ms: HOUR,
            bar: Bar { open: 1.0, high: 1.0, low: 1.0, close: 50.0, volume: 0.0 },
            oi: 0.0,
            predicted: [predicted, 0.0],
            range_only: [1.0, 0.0],
            realised: [realised, 0.0],
            is_whole: true,
        }
    }

    /// A venue with so many hours until hour 1000, in which 2 were foretold for each that came.
    fn venue(hours: i64) -> Vec<Tally> {
        (1_000 - hours..1_000).map(|h| tally(h, 2.0, 1.0)).collect()
    }

    const NOW: i64 = 1_000 * HOUR + 17;

    #[test]
    fn ratios_are_sums_over_venues_and_hours() {
        let mut other = venue(30);
        // Twelve hours ago, in USD: 50 × 26 foretold more on one venue.
        other[18].predicted = [20.0, 8.0];
        let fit = Fit::new([&venue(168)[..], &other].into_iter(), NOW);
        assert_eq!(fit.day, Some((24.0 * 4.0 + 26.0) / 48.0));
        assert_eq!(fit.week, Some((168.0 * 2.0 + 30.0 * 2.0 + 26.0) / 198.0));
    }

    #[test]
    fn nothing_is_stated_before_there_is_enough() {
        let fit = |hours: i64| Fit::new([&venue(hours)[..]].into_iter(), NOW);
        assert_eq!(fit(23), Fit::default());
        assert_eq!((fit(24).day, fit(24).week, fit(24).skill), (Some(2.0), Some(2.0), None));
        assert!(fit(99).skill.is_none());
        let mut spoiled = venue(48);
        spoiled[30..].iter_mut().for_each(|t| t.is_whole = false);
        let fit = Fit::new([&spoiled[..]].into_iter(), NOW);
        assert_eq!((fit.day, fit.week), (None, Some(2.0)), "six hours are no day");
        let silent: Vec<Tally> = (0..200).map(|h| tally(800 + h, 2.0, 0.0)).collect();
        assert_eq!(Fit::new([&silent[..]].into_iter(), NOW), Fit::default(), "nothing came");
    }

    #[test]
    fn skill_is_the_part_of_the_spread_that_is_explained() {
        // Came: 1 and 4 in turn. The floor is 0.025.
        let hours = |foretold: [f64; 2]| -> Vec<Tally> {
            (832..1_000)
                .map(|h| tally(h, foretold[h as usize % 2], if h % 2 == 0 { 1.0 } else { 4.0 }))
                .collect()
        };
        let skill = |foretold| Fit::new([&hours(foretold)[..]].into_iter(), NOW).skill.unwrap();
        assert!((skill([1.0, 4.0]) - 1.0).abs() < 1e-12);
        assert!(skill([1.0, 1.0]).abs() < 1e-12, "no better than the range");
        // The residuals are ±half of ln(4.025 / 1.025) − ln(2.025 / 1.025) against ±half of ln(4.025 / 1.025).
        let part: f64 = 1.0 - libm::log(2.025 / 1.025) / libm::log(4.025 / 1.025);
        assert!((skill([1.0, 2.0]) - (1.0 - part * part)).abs() < 1e-12);
        assert!(skill([4.0, 1.0]) < 0.0);
    }
}
