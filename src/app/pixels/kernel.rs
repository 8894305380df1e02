//! Smoothing in price: the farther a level is from price, the less is known of its place.

/// Standard deviation of a level's place at the mark, as a logarithm of price.
const AT_MARK: f64 = 0.001;
/// Its growth with the distance from the mark.
const GROWTH: f64 = 0.04;
/// Standard deviations to where the kernel ends.
const CUT: f64 = 3.0;

/// Standard deviation of the place of a level so many bins from the mark, in bins of a width (as a logarithm): at least
/// one bin, else 0.1 % and 4 % of the distance (`estimator.md`, display models).
fn sigma(distance: i32, log_step: f64) -> f64 {
    (AT_MARK / log_step + GROWTH * f64::from(distance.abs())).max(1.0)
}

/// Bins around a window, at most so far from the mark, from which mass can reach into it.
pub fn margin(farthest: i32, log_step: f64) -> i32 {
    (CUT * sigma(farthest, log_step) / (1.0 - CUT * GROWTH)).ceil() as i32 + 1
}

/// Weights of the bins 0, 1, 2, … from the middle; both sides together sum to one. A Gaussian by multiplication alone:
/// each weight is the one before times a ratio that itself shrinks by a constant factor.
fn half(sigma: f64, weights: &mut Vec<f64>) {
    let step = libm::exp(-1.0 / (sigma * sigma));
    let mut ratio = libm::exp(-0.5 / (sigma * sigma));
    let mut weight = 1.0;
    let mut sum = -1.0;
    weights.clear();
    for _ in 0..=(CUT * sigma) as usize {
        weights.push(weight);
        sum += 2.0 * weight;
        weight *= ratio;
        ratio *= step;
    }
    for weight in weights {
        *weight /= sum;
    }
}

/// Spreads the amounts of the bins from `first` on over their neighbours. Nothing is lost but what leaves the window, and
/// nothing crosses the upper edge of the mark's bin: a long stays below, a short above.
pub fn spread(values: &[f64], first: i32, mark_bin: i32, log_step: f64) -> Vec<f64> {
    let mut out = vec![0.0; values.len()];
    let mut weights = Vec::new();
    for (i, usd) in values.iter().enumerate().filter(|(_, usd)| **usd > 0.0) {
        let bin = first + i as i32;
        half(sigma(bin - mark_bin, log_step), &mut weights);
        let mut add = |at: i32, weight: f64| {
            let crosses = (at <= mark_bin) != (bin <= mark_bin);
            let at = if crosses { 2 * mark_bin + 1 - at } else { at };
            if let Some(slot) = usize::try_from(at - first).ok().and_then(|at| out.get_mut(at)) {
                *slot += usd * weight;
            }
        };
        for (k, weight) in weights.iter().enumerate() {
            add(bin - k as i32, *weight);
            if k > 0 {
                add(bin + k as i32, *weight);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: f64 = 0.0005;

    #[test]
    fn sigma_is_a_thousandth_and_four_percent_of_the_distance() {
        assert!((sigma(0, STEP) - 2.0).abs() < 1e-12);
        // 100 bins are 5 %: 0.1 % + 0.2 % are 6 bins.
        assert!((sigma(-100, STEP) - 6.0).abs() < 1e-12);
        assert_eq!(sigma(0, 0.01), 1.0, "one bin at least");
    }

    #[test]
    fn mass_is_kept_and_never_crosses_the_mark() {
        let mut values = vec![0.0; 400];
        values[200] = 8.0; // the mark's own bin counts as long
        values[201] = 2.0;
        values[320] = 5.0;
        let smooth = spread(&values, 1_000, 1_200, STEP);
        let (longs, shorts) = smooth.split_at(201);
        assert!((longs.iter().sum::<f64>() - 8.0).abs() < 1e-9);
        assert!((shorts.iter().sum::<f64>() - 7.0).abs() < 1e-9);
        assert!(smooth[320] > smooth[318] && (smooth[315] - smooth[325]).abs() < 1e-12);
        // 120 bins from the mark: sigma 6.8; at one sigma e^-0.5 of the middle.
        assert!((smooth[327] / smooth[320] - libm::exp(-0.5 * (7.0 / 6.8_f64).powi(2))).abs() < 1e-9);
    }

    #[test]
    fn what_lies_beyond_the_margin_does_not_reach_into_the_window() {
        let edge = margin(300, STEP);
        let reach = |beyond: i32| (CUT * sigma(300 + beyond, STEP)) as i32;
        assert!(reach(edge + 1) < edge + 1 && edge < 60);
    }
}
