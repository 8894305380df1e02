//! Where in the swept bins single liquidations fell.
//!
//! The path is given: a method is asked only how what was liquidated lies within the bins that price went through, by the map
//! as it was when the window began.

use super::metrics::{self, Draws};
use super::venue::{OURS, Swept};
use super::{Method, Report};
use crate::market::Side;

/// Fewer bins than this tell nothing about where.
const FEWEST: usize = 6;
/// How much of uniform may be mixed into a map: each method gets the share that was best over the windows before.
const MIXTURES: [f64; 7] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0];
/// The share before there is a best one.
const FIRST_MIXTURE: usize = 3;

/// Measures every method on the bins of the windows: all are learned from, those that `counts` says are scored.
pub fn measure(windows: &[Swept], counts: impl Fn(&Swept) -> bool, report: &mut Report) {
    if windows.is_empty() {
        return;
    }
    let scored: Vec<bool> = windows.iter().map(counts).collect();
    let random = shuffled(windows);
    for method in Method::ALL {
        let levels = |i: usize| match method {
            Method::Random => Some(random[i].as_slice()),
            method => method.map().map(|map| windows[i].levels[map].as_slice()),
        };
        let measures = &mut report.methods[method.index()];
        let of_side = |side: Option<Side>| {
            let (mut x, mut y) = (Vec::new(), Vec::new());
            for (i, window) in windows.iter().enumerate() {
                if scored[i] && side.is_none_or(|side| side == window.side) {
                    x.extend_from_slice(levels(i).unwrap_or(&[]));
                    y.extend_from_slice(&window.usd);
                }
            }
            (x, y)
        };
        if levels(0).is_none() {
            continue;
        }
        [measures.rho_long, measures.rho_short] = Side::BOTH.map(|side| {
            let (x, y) = of_side(Some(side));
            metrics::spearman(&x, &y)
        });
        let (x, y) = of_side(None);
        measures.top10 = metrics::top_share(&x, &y, 0.10);
        measures.top25 = metrics::top_share(&x, &y, 0.25);
        measures.bits = bits(windows, &scored, levels);
    }
}

/// Bits a liquidation over uniform, the mixture chosen on the windows before each.
fn bits<'a>(windows: &[Swept], scored: &[bool], levels: impl Fn(usize) -> Option<&'a [f64]>) -> Option<f64> {
    let mut so_far = [0.0_f64; MIXTURES.len()];
    let (mut gained, mut prints) = (0.0, 0.0);
    for (i, window) in windows.iter().enumerate().filter(|(_, w)| w.usd.len() >= FEWEST) {
        let n: u32 = window.prints.iter().sum();
        if n == 0 {
            continue;
        }
        let Some(x) = levels(i) else { continue };
        let gains = MIXTURES.map(|mixture| metrics::bits(x, &window.prints, mixture));
        if scored[i] {
            let best = (0..MIXTURES.len()).max_by(|&a, &b| so_far[a].total_cmp(&so_far[b]));
            let untried = so_far.iter().all(|gain| *gain == 0.0);
            gained += gains[if untried { FIRST_MIXTURE } else { best.unwrap_or(FIRST_MIXTURE) }];
            prints += f64::from(n);
        }
        so_far.iter_mut().zip(gains).for_each(|(sum, gain)| *sum += gain);
    }
    (prints > 0.0).then(|| gained / prints)
}

/// Our levels of every window, in the order of chance: as much in all, in the wrong places.
fn shuffled(windows: &[Swept]) -> Vec<Vec<f64>> {
    let mut draws = Draws::new(3);
    let one = |window: &Swept| {
        let mut levels = window.levels[OURS].clone();
        draws.shuffle(&mut levels);
        levels
    };
    windows.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::score::venue::MAPS;

    fn window(levels: [f64; 6], prints: [u32; 6]) -> Swept {
        Swept {
            start: 0,
            side: Side::Long,
            levels: [(); MAPS].map(|()| levels.to_vec()),
            usd: prints.map(f64::from).to_vec(),
            prints: prints.to_vec(),
        }
    }

    #[test]
    fn the_mixture_is_the_best_of_the_windows_before() {
        let right = window([1.0, 1.0, 1.0, 1.0, 1.0, 5.0], [0, 0, 0, 0, 0, 4]);
        let both = [right.clone(), right.clone()];
        let got = bits(&both, &[false, true], |i| Some(both[i].levels[OURS].as_slice())).unwrap();
        // The map was right the first time, so as little of uniform as there is: log2(0.98 · 5/10 · 6 + 0.02).
        assert!((got - (0.98 * 0.5 * 6.0 + 0.02_f64).log2()).abs() < 1e-12);
        let wrong = window([5.0, 1.0, 1.0, 1.0, 1.0, 1.0], [0, 0, 0, 0, 0, 4]);
        let both = [wrong, right];
        let got = bits(&both, &[false, true], |i| Some(both[i].levels[OURS].as_slice())).unwrap();
        assert_eq!(got, 0.0, "it was wrong, so only uniform is left");
    }
}
