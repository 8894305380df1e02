//! From USD to steps of the ramp: thresholds, and a colour scale that hardly ever moves.

use super::settings::Curve;

/// Liquidations of a cell are small, large, very large from these shares of the scale's end on. Less is not marked: it would hide the candles.
pub const PRINT_SIZES: [f64; 3] = [0.02, 0.1, 0.3];
/// A side's sweep in a column that takes less than this share of the scale's end took no pool.
pub const LEAST_SWEEP: f64 = 0.5;

/// The units a threshold can be given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Percentile of the non-zero cells in view.
    Percentile,
    /// Percent of the largest cell in view.
    ShareOfMax,
    /// USD.
    Usd,
    /// Percent of the open interest.
    ShareOfOi,
}

impl Unit {
    /// The next unit, round and round.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Percentile => Self::ShareOfMax,
            Self::ShareOfMax => Self::Usd,
            Self::Usd => Self::ShareOfOi,
            Self::ShareOfOi => Self::Percentile,
        }
    }
}

/// What a threshold needs to know of the view.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    /// The non-zero cells in view, USD, rising.
    sorted: Vec<f64>,
    /// Open interest of the venues drawn, USD.
    pub oi: f64,
}

impl Cells {
    /// Takes the cells in any order; those that are not above zero are left out.
    pub fn new(values: impl Iterator<Item = f64>, oi: f64) -> Self {
        let mut sorted: Vec<f64> = values.filter(|v| *v > 0.0 && v.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { sorted, oi }
    }

    /// The smallest cell that at least `p` percent of the cells do not exceed (nearest rank); 0 without cells.
    pub fn percentile(&self, p: f64) -> f64 {
        let n = self.sorted.len();
        let rank = (p / 100.0 * n as f64).ceil() as usize;
        self.sorted.get(rank.clamp(1, n.max(1)) - 1).copied().unwrap_or(0.0)
    }

    /// Percent of the cells that do not exceed `usd`.
    fn rank(&self, usd: f64) -> f64 {
        let n = self.sorted.len().max(1);
        100.0 * self.sorted.partition_point(|v| *v <= usd) as f64 / n as f64
    }

    /// The largest cell, USD.
    pub fn max(&self) -> f64 {
        self.sorted.last().copied().unwrap_or(0.0)
    }
}

/// An amount in one of several units: the threshold, or the upper cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The unit.
    pub unit: Unit,
    /// The amount in that unit: percentile, percent or USD.
    pub value: f64,
}

impl Limit {
    /// The amount in USD per cell.
    pub fn usd(self, cells: &Cells) -> f64 {
        match self.unit {
            Unit::Percentile if self.value <= 0.0 => 0.0,
            Unit::Percentile => cells.percentile(self.value),
            Unit::ShareOfMax => cells.max() * self.value / 100.0,
            Unit::Usd => self.value,
            Unit::ShareOfOi => cells.oi * self.value / 100.0,
        }
    }

    /// About the same amount in another unit, so that the picture stays.
    #[must_use]
    pub fn in_unit(self, unit: Unit, cells: &Cells) -> Self {
        let usd = self.usd(cells);
        let percent_of =
            |whole: f64| if whole > 0.0 { two_digits(100.0 * usd / whole).min(100.0) } else { 1.0 };
        let value = match unit {
            Unit::Percentile => (cells.rank(usd) * 2.0).round() / 2.0,
            Unit::ShareOfMax => percent_of(cells.max()),
            Unit::Usd => two_digits(usd),
            Unit::ShareOfOi => percent_of(cells.oi),
        };
        Self { unit, value }
    }

    /// An amount as a number before a key tells it: in the limit's unit, USD in millions.
    #[must_use]
    pub fn set(self, number: f64) -> Self {
        let value = if self.unit == Unit::Usd { 1e6 * number } else { number };
        Self { value, ..self }.clamped()
    }

    /// One step up or down; percentiles in fives up to 90 and finer above, shares of the maximum in fives
    /// from 10 %, everything else 1-2-5.
    #[must_use]
    pub fn stepped(self, up: bool) -> Self {
        let value = match self.unit {
            Unit::Percentile => {
                let ladder = (0..18).map(|i| f64::from(i) * 5.0).chain((90..100).map(f64::from));
                let mut ladder = ladder.chain([99.5, 99.9, 100.0]);
                if up {
                    ladder.find(|v| *v > self.value).unwrap_or(100.0)
                } else {
                    ladder.take_while(|v| *v < self.value).last().unwrap_or(0.0)
                }
            }
            Unit::ShareOfMax if up && self.value >= 10.0 => ((self.value / 5.0).floor() + 1.0) * 5.0,
            Unit::ShareOfMax if !up && self.value > 10.0 => {
                (((self.value / 5.0).ceil() - 1.0) * 5.0).max(10.0)
            }
            _ if up => nice_above(self.value * 1.001),
            _ => nice_below(self.value * 0.999),
        };
        Self { value, ..self }.clamped()
    }

    /// Within what its unit allows.
    fn clamped(self) -> Self {
        let range = match self.unit {
            Unit::Usd => (1.0, 1e12),
            Unit::Percentile => (0.0, 100.0),
            Unit::ShareOfMax | Unit::ShareOfOi => (1e-6, 100.0),
        };
        Self { value: self.value.clamp(range.0, range.1), ..self }
    }
}

/// Rounded to two digits.
fn two_digits(value: f64) -> f64 {
    if !(value > 0.0 && value.is_finite()) {
        return 0.0;
    }
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    (value / unit).round() * unit
}

/// The smallest of 1, 2, 5 × 10ⁿ that is not below `value`; 1 for nothing.
pub fn nice_above(value: f64) -> f64 {
    if !(value > 0.0 && value.is_finite()) {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    // A hair of slack, so that a nice number is its own answer in spite of rounding.
    let slack = value * (1.0 - 1e-9);
    [1.0, 2.0, 5.0].into_iter().map(|m| m * decade).find(|v| *v >= slack).unwrap_or(10.0 * decade)
}

/// The largest of 1, 2, 5 × 10ⁿ that is not above `value`; 1 for nothing.
pub fn nice_below(value: f64) -> f64 {
    let above = nice_above(value);
    if above <= value * (1.0 + 1e-9) { above } else { nice_above(above * 0.999 / 2.5) }
}

/// The end of a scale that starts at nothing: it moves to the next 1-2-5 step when `largest` does not fit any more, and falls only
/// once that is well inside the step below.
pub fn steady_top(top: f64, largest: f64) -> f64 {
    let falls = largest < 0.8 * nice_below(top * 0.999);
    if largest > top || falls && largest > 0.0 { nice_above(largest) } else { top }
}

/// The colour scale: USD per cell at both ends of the ramp.
///
/// The ends move in 1-2-5 steps only, and come together only once the view is well inside the next step: a moving end
/// repaints the screen, and a locked scale compares two symbols or two days.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scale {
    /// USD at the start of the ramp.
    pub base: f64,
    /// USD at the end of the ramp; 0 before anything was seen.
    pub top: f64,
    /// Whether both stay where they are.
    pub locked: bool,
    /// Whether it spreads from the threshold to the cut, wherever they are, instead of standing on round USD.
    pub relative: bool,
}

/// All that makes an amount a step of the ramp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shading {
    /// The colour scale.
    pub scale: Scale,
    /// Levels below it are ground, USD.
    pub threshold: f64,
    /// How USD becomes intensity.
    pub curve: Curve,
    /// Steps of the ramp.
    pub steps: usize,
}

impl Shading {
    /// The step of the ramp for an amount in a cell: 0 is the ground, below it is what was removed.
    pub fn step(&self, usd: f64) -> i32 {
        let step = self.scale.step(usd.abs(), self.threshold, self.curve, self.steps) as i32;
        if usd < 0.0 { -step } else { step }
    }
}

/// A logarithmic scale reaches down to this share of its top.
const LOG_REACH: f64 = 1e-3;
/// An end of a relative scale that would move by less than this share stays.
const RELATIVE_STILL: f64 = 0.05;

impl Scale {
    /// Follows the view's threshold and upper cut in USD.
    pub fn follow(&mut self, threshold: f64, cut: f64) {
        if self.locked && self.top > 0.0 || cut <= 0.0 {
            return;
        }
        if self.relative {
            let moved = |old: f64, new: f64| (new - old).abs() > RELATIVE_STILL * old.max(f64::MIN_POSITIVE);
            if moved(self.top, cut) || moved(self.base, threshold) {
                // A ramp must have a length.
                (self.base, self.top) = (threshold.min(0.9 * cut), cut);
            }
            return;
        }
        // A little more than the top is shown as the top: better than a ramp whose upper half is never reached.
        let cut = cut / 1.25;
        let wanted = nice_above(cut);
        let falls = cut < 0.8 * nice_below(self.top * 0.999);
        if wanted > self.top || falls {
            self.top = wanted;
        }
        // One step below the top at most, or the ramp would have no length.
        let highest = nice_below(self.top * 0.999);
        let floor = |usd: f64| if usd > 0.0 { nice_below(usd).min(highest) } else { 0.0 };
        if threshold < self.base || floor(0.8 * threshold) > self.base || self.base > highest {
            self.base = floor(threshold);
        }
    }

    /// Forgets what it has seen, unless locked: the view changed.
    pub fn reset(&mut self) {
        if !self.locked {
            *self = Self { relative: self.relative, ..Self::default() };
        }
    }

    /// An amount as the curve bends it.
    fn bend(self, usd: f64, curve: Curve) -> f64 {
        match curve {
            Curve::Sqrt => usd.sqrt(),
            Curve::Linear => usd,
            Curve::Log => usd.max(self.base).max(LOG_REACH * self.top).ln(),
        }
    }

    /// How far up the ramp an amount lies, 0 to 1.
    pub fn intensity(self, usd: f64, curve: Curve) -> f64 {
        let (base, top) = (self.bend(self.base, curve), self.bend(self.top, curve));
        ((self.bend(usd, curve) - base) / (top - base)).clamp(0.0, 1.0)
    }

    /// The amount that lies so far up the ramp, USD.
    pub fn usd_at(self, intensity: f64, curve: Curve) -> f64 {
        let (base, top) = (self.bend(self.base, curve), self.bend(self.top, curve));
        let bent = base + intensity * (top - base);
        match curve {
            Curve::Sqrt => bent.powi(2),
            Curve::Linear => bent,
            Curve::Log => bent.exp(),
        }
    }

    /// The step of the ramp for a cell: 0 is the ground, 1 to `steps` the ramp.
    pub fn step(self, usd: f64, threshold: f64, curve: Curve, steps: usize) -> usize {
        if !(usd > 0.0 && usd >= threshold && self.top > 0.0) {
            return 0;
        }
        ((self.intensity(usd, curve) * steps as f64) as usize + 1).min(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_the_nearest_rank_of_the_non_zero_cells() {
        let cells = Cells::new([0.0, 40.0, 10.0, 0.0, 30.0, 20.0, f64::NAN].into_iter(), 1000.0);
        assert_eq!(cells.percentile(25.0), 10.0);
        assert_eq!(cells.percentile(26.0), 20.0);
        assert_eq!(cells.percentile(85.0), 40.0);
        assert_eq!(cells.percentile(0.0), 10.0);
        assert_eq!(Cells::default().percentile(85.0), 0.0);
        let limit = |unit, value| Limit { unit, value }.usd(&cells);
        assert_eq!(limit(Unit::Percentile, 50.0), 20.0);
        assert_eq!(limit(Unit::ShareOfMax, 50.0), 20.0);
        assert_eq!(limit(Unit::Usd, 12.0), 12.0);
        assert_eq!(limit(Unit::ShareOfOi, 2.5), 25.0);
    }

    #[test]
    fn limits_step_on_round_numbers_and_keep_their_size_when_the_unit_changes() {
        let p = Limit { unit: Unit::Percentile, value: 85.0 };
        assert_eq!(p.stepped(true).value, 90.0);
        assert_eq!(p.stepped(true).stepped(true).value, 91.0);
        assert_eq!(p.stepped(false).value, 80.0);
        let usd = Limit { unit: Unit::Usd, value: 2e6 };
        assert_eq!(usd.stepped(true).value, 5e6);
        assert_eq!(usd.stepped(false).value, 1e6);
        assert_eq!(Limit { unit: Unit::Usd, value: 5e6 }.stepped(false).value, 2e6);
        let cells = Cells::new((1..=100).map(|i| f64::from(i) * 1e5), 1e9);
        let there = p.in_unit(Unit::Usd, &cells);
        assert_eq!(there.value, 8.5e6);
        assert_eq!(there.in_unit(Unit::ShareOfMax, &cells).value, 85.0);
        assert_eq!(there.in_unit(Unit::Percentile, &cells).value, 85.0);
        let share = |value| Limit { unit: Unit::ShareOfMax, value };
        let up: Vec<f64> = [5.0, 10.0, 73.0, 98.0, 100.0].map(|v| share(v).stepped(true).value).into();
        assert_eq!(up, [10.0, 15.0, 75.0, 100.0, 100.0]);
        let down: Vec<f64> = [100.0, 73.0, 12.0, 10.0, 1.0].map(|v| share(v).stepped(false).value).into();
        assert_eq!(down, [95.0, 70.0, 10.0, 5.0, 0.5]);
    }

    #[test]
    fn the_top_moves_in_1_2_5_steps_and_falls_late() {
        let mut scale = Scale::default();
        let mut ends = Vec::new();
        for cut in [3.1e6, 4.9e6, 5.1e6, 4.5e6, 4.1e6, 3.9e6, 1.7e6, 1.5e6] {
            scale.follow(0.3 * cut, 1.25 * cut);
            ends.push((scale.base, scale.top));
        }
        let expected = [
            (5e5, 5e6), // 930 k lies above 500 k
            (1e6, 5e6), // 1.47 M by more than a quarter above 1 M
            (1e6, 1e7),
            (1e6, 1e7),
            (1e6, 1e7), // 4.1 M is not yet well below 5 M
            (1e6, 5e6),
            (5e5, 5e6),
            (2e5, 2e6),
        ];
        assert_eq!(ends, expected);
        scale.locked = true;
        scale.follow(1e9, 9e9);
        scale.reset();
        assert_eq!(scale.top, 2e6);
    }

    #[test]
    fn a_relative_scale_runs_from_the_threshold_to_the_cut_and_ignores_small_moves() {
        let mut scale = Scale { relative: true, ..Scale::default() };
        let mut ends = Vec::new();
        for (threshold, cut) in [(1.1e6, 3.7e6), (1.12e6, 3.8e6), (1.1e6, 4.4e6), (9e6, 5e6)] {
            scale.follow(threshold, cut);
            ends.push((scale.base, scale.top));
        }
        assert_eq!(ends, [(1.1e6, 3.7e6), (1.1e6, 3.7e6), (1.1e6, 4.4e6), (4.5e6, 5e6)]);
        scale.reset();
        assert!(scale.relative);
    }

    #[test]
    fn a_log_scale_gives_equal_factors_equal_steps_over_three_decades() {
        let scale = Scale { base: 0.0, top: 1e6, ..Scale::default() };
        let at = |usd| scale.intensity(usd, Curve::Log);
        for (usd, share) in
            [(1e2, 0.0), (1e3, 0.0), (1e4, 1.0 / 3.0), (1e5, 2.0 / 3.0), (1e6, 1.0), (1e7, 1.0)]
        {
            assert!((at(usd) - share).abs() < 1e-9, "{usd}: {}", at(usd));
        }
        assert!((scale.usd_at(2.0 / 3.0, Curve::Log) / 1e5 - 1.0).abs() < 1e-9);
        let raised = Scale { base: 1e4, ..scale };
        assert!((raised.intensity(1e5, Curve::Log) - 0.5).abs() < 1e-9);
        assert_eq!([Curve::Sqrt, Curve::Linear, Curve::Log].map(Curve::name), ["sqrt", "linear", "log"]);
        assert_eq!(Curve::Sqrt.next().next().next(), Curve::Sqrt);
    }

    #[test]
    fn a_steady_top_grows_at_once_and_falls_late() {
        let tops: Vec<f64> = [3.0, 5.1, 4.5, 3.9, 0.0, 12.0]
            .into_iter()
            .scan(0.0, |top, largest| {
                *top = steady_top(*top, largest);
                Some(*top)
            })
            .collect();
        assert_eq!(tops, [5.0, 10.0, 10.0, 5.0, 5.0, 20.0]);
    }

    #[test]
    fn steps_cover_the_ramp_and_the_threshold_is_ground() {
        let scale = Scale { base: 0.0, top: 100.0, ..Scale::default() };
        let step = |usd| scale.step(usd, 4.0, Curve::Sqrt, 10);
        assert_eq!([0.0, 3.9, 4.0, 25.0, 99.0, 100.0, 500.0].map(step), [0, 0, 3, 6, 10, 10, 10]);
        assert_eq!(scale.step(50.0, 0.0, Curve::Linear, 10), 6);
        let raised = Scale { base: 25.0, ..scale };
        assert_eq!(raised.intensity(56.25, Curve::Sqrt), 0.5);
        assert_eq!(raised.usd_at(0.5, Curve::Sqrt), 56.25);
        assert_eq!((raised.intensity(9.0, Curve::Sqrt), raised.intensity(999.0, Curve::Linear)), (0.0, 1.0));
        assert_eq!([0.9, 1.0, 1.9, 20.0, 99.0].map(nice_below), [0.5, 1.0, 1.0, 20.0, 50.0]);
    }
}
