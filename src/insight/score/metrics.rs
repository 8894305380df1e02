//! The measures, each a plain function of numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Bars a block of the bootstrap holds: a day of hours, so that what hangs together stays together.
pub const BLOCK: usize = 24;
/// Draws of the bootstrap.
const DRAWS: usize = 500;
/// Share of a side's mean that is added before a logarithm is taken.
const EPSILON: f64 = 0.01;
/// The seed of every draw made in a score.
const SEED: u64 = 0x6d65_6c74;

/// Draws that are the same in every run.
#[derive(Debug, Clone)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// A stream of its own for a purpose.
    pub fn new(purpose: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(SEED ^ purpose.rotate_left(32)))
    }

    /// Zero to `n - 1`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// Puts values into a random order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, self.below(i + 1));
        }
    }
}

/// Ranks from 1; values that are equal share the mean of theirs.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]).scan(0, |before, tied| {
        let first = *before;
        *before += tied.len();
        Some((first, tied))
    }) {
        let (first, tied) = tied;
        for &i in tied {
            ranks[i] = first as f64 + (tied.len() + 1) as f64 / 2.0;
        }
    }
    ranks
}

/// Spearman's rank correlation; `None` where there is nothing to correlate: fewer than three pairs, or one side constant.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() < 3 || x.len() != y.len() {
        return None;
    }
    let (x, y) = (ranks(x), ranks(y));
    let mean = (x.len() + 1) as f64 / 2.0;
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(&y) {
        xx += (a - mean) * (a - mean);
        yy += (b - mean) * (b - mean);
        xy += (a - mean) * (b - mean);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// Share of all `y` that lies in the top `share` of places by `x` (at least one place). Places that are tied at the cut count
/// in part, so that a map which is the same everywhere scores what chance does.
pub fn top_share(x: &[f64], y: &[f64], share: f64) -> Option<f64> {
    let total: f64 = y.iter().sum();
    if x.is_empty() || total <= 0.0 {
        return None;
    }
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[b].total_cmp(&x[a]));
    let mut left = ((x.len() as f64 * share) as usize).max(1) as f64;
    let mut found = 0.0;
    for tied in order.chunk_by(|&a, &b| x[a] == x[b]) {
        let part = (left / tied.len() as f64).min(1.0);
        found += part * tied.iter().map(|&i| y[i]).sum::<f64>();
        left -= part * tied.len() as f64;
        if left <= 0.0 {
            break;
        }
    }
    Some(found / total)
}

/// Bits a liquidation over uniform: `Σ count · log2(n·((1−ε)·x/Σx + ε/n))` over the places of one window; not yet divided by
/// the number of liquidations.
pub fn bits(x: &[f64], counts: &[u32], epsilon: f64) -> f64 {
    let total: f64 = x.iter().sum();
    if total <= 0.0 {
        return 0.0;
    }
    let places = x.len() as f64;
    let gain = |x: &f64| libm::log2((1.0 - epsilon) * x / total * places + epsilon);
    x.iter().zip(counts).filter(|(_, n)| **n > 0).map(|(x, n)| f64::from(*n) * gain(x)).sum()
}

/// `log(realised + ε) − log(forecast + ε)` by bar and side, ε being 1 % of the side's mean; `NaN` for bars that are not scored.
pub fn residuals(forecast: &[[f64; 2]], realised: &[Option<[f64; 2]>]) -> Vec<[f64; 2]> {
    let epsilon = [0, 1].map(|side| EPSILON * mean(realised.iter().flatten().map(|y| y[side])));
    let log = |value: f64| libm::log(value.max(f64::MIN_POSITIVE));
    let one = |(x, y): (&[f64; 2], &Option<[f64; 2]>)| match y {
        Some(y) => [0, 1].map(|s| log(y[s] + epsilon[s]) - log(x[s].max(1e-9) + epsilon[s])),
        None => [f64::NAN; 2],
    };
    forecast.iter().zip(realised).map(one).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Variance of both sides' residuals over these bars, summed.
fn variance(residuals: &[[f64; 2]], bars: &[usize]) -> f64 {
    let one = |side: usize| {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for value in bars.iter().map(|&i| residuals[i][side]).filter(|v| v.is_finite()) {
            n += 1.0;
            sum += value;
            squares += value * value;
        }
        if n > 0.0 { squares / n - (sum / n) * (sum / n) } else { 0.0 }
    };
    one(0) + one(1)
}

/// Skill over a null: `1 − variance of the residuals / variance of the null's`; both sides pooled.
pub fn skill(residuals: &[[f64; 2]], null: &[[f64; 2]]) -> Option<f64> {
    let all: Vec<usize> = (0..residuals.len()).collect();
    let base = variance(null, &all);
    (base > 0.0).then(|| 1.0 - variance(residuals, &all) / base)
}

/// By how much `a` has more skill than `b`: the 2.5th, 50th and 97.5th percentile over draws of whole days of bars.
/// `None` for less than two days.
pub fn skill_difference(a: &[[f64; 2]], b: &[[f64; 2]], null: &[[f64; 2]]) -> Option<[f64; 3]> {
    let blocks = a.len() / BLOCK;
    if blocks < 2 {
        return None;
    }
    let mut draws = Draws::new(1);
    let mut differences: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            let bars: Vec<usize> = (0..blocks)
                .flat_map(|_| {
                    let first = draws.below(blocks) * BLOCK;
                    first..first + BLOCK
                })
                .collect();
            let base = variance(null, &bars);
            (base > 0.0).then(|| (variance(b, &bars) - variance(a, &bars)) / base)
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    Some([0.025, 0.5, 0.975].map(|q| percentile(&differences, q)))
}

/// Percentile of sorted values, linear between neighbours; zero of none.
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let at = q * sorted.len().saturating_sub(1) as f64;
    let low = at as usize;
    let get = |i: usize| sorted.get(i).or(sorted.last()).copied().unwrap_or(0.0);
    get(low) + (at - low as f64) * (get(low + 1) - get(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_the_mean_of_their_ranks() {
        assert_eq!(ranks(&[10.0, 30.0, 10.0, 20.0]), [1.5, 4.0, 1.5, 3.0]);
    }

    #[test]
    fn spearman_with_ties_is_pearson_of_the_ranks() {
        // Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: deviations −1.5 0 0 1.5 and −1.5 .5 −.5 1.5, 4.5 / sqrt(4.5 · 5).
        let rho = spearman(&[1.0, 2.0, 2.0, 3.0], &[5.0, 7.0, 6.0, 8.0]).unwrap();
        assert!((rho - 4.5 / (4.5_f64 * 5.0).sqrt()).abs() < 1e-15);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0, 1.0], &[3.0, 2.0, 1.0]), None, "a constant map says nothing");
    }

    #[test]
    fn the_top_of_a_map_that_is_the_same_everywhere_holds_its_share_by_chance() {
        let y: Vec<f64> = (0..20).map(f64::from).collect();
        assert!((top_share(&[1.0; 20], &y, 0.1).unwrap() - 0.1).abs() < 1e-12);
        // The two best of twenty places are the last two: 18 + 19 of 190.
        assert!((top_share(&y, &y, 0.1).unwrap() - 37.0 / 190.0).abs() < 1e-12);
        assert_eq!(top_share(&y, &[0.0; 20], 0.1), None);
    }

    #[test]
    fn two_places_with_three_quarters_in_one_are_worth_what_the_definition_says() {
        // ε = 0: three liquidations at ¾ and one at ¼ of two places: 3·log2(1.5) + log2(0.5).
        let expected = 3.0 * 1.5_f64.log2() - 1.0;
        assert!((bits(&[3.0, 1.0], &[3, 1], 0.0) - expected).abs() < 1e-12);
        // All of it uniform: nothing gained.
        assert!(bits(&[3.0, 1.0], &[3, 1], 1.0).abs() < 1e-12);
        // A place that the map denies costs log2(ε) each.
        assert!((bits(&[1.0, 0.0], &[0, 2], 0.25) - 2.0 * 0.25_f64.log2()).abs() < 1e-12);
    }

    /// Sixty bars whose totals go up and down.
    fn totals() -> Vec<Option<[f64; 2]>> {
        (0..60).map(|i| Some([f64::from(i * 7 % 13 + 1), f64::from(i * 5 % 11 + 1)])).collect()
    }

    #[test]
    fn a_perfect_forecast_has_skill_one_and_the_null_has_none() {
        let realised = totals();
        let perfect: Vec<[f64; 2]> = realised.iter().flatten().copied().collect();
        let null = residuals(&vec![[5.0, 5.0]; 60], &realised);
        assert_eq!(skill(&residuals(&perfect, &realised), &null), Some(1.0));
        assert_eq!(skill(&null, &null), Some(0.0));
    }

    #[test]
    fn the_interval_is_the_same_in_every_run_and_holds_the_difference() {
        let realised = totals();
        let half: Vec<[f64; 2]> = realised.iter().flatten().map(|y| y.map(f64::sqrt)).collect();
        let null = residuals(&vec![[5.0, 5.0]; 60], &realised);
        let (a, b) = (residuals(&half, &realised), null.clone());
        let once = skill_difference(&a, &b, &null).unwrap();
        assert_eq!(skill_difference(&a, &b, &null), Some(once));
        assert!(once[0] <= once[1] && once[1] <= once[2]);
        assert!(once[0] > 0.0, "halving every deviation is better than none: {once:?}");
        assert_eq!(skill_difference(&a, &a, &null), Some([0.0; 3]));
        assert_eq!(skill_difference(&a[..40], &b[..40], &null[..40]), None, "less than two days");
    }

    #[test]
    fn percentiles_are_linear_between_neighbours() {
        assert_eq!(percentile(&[0.0, 10.0, 20.0], 0.25), 5.0);
        assert_eq!(percentile(&[3.0], 0.975), 3.0);
    }
}
